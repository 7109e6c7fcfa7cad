from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mlhooks", "0013_fine_tuned_models")]

    operations = [
        migrations.AddField(
            model_name="prediction",
            name="with_spans",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="prediction",
            name="spans",
            field=models.JSONField(db_default=[], default=list),
        ),
        migrations.AddField(
            model_name="prediction",
            name="is_brief",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
