from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0062_check_severities")]

    operations = [
        migrations.AddField(
            model_name="lookalike",
            name="moments",
            field=models.JSONField(db_default=[], default=list),
        ),
    ]
