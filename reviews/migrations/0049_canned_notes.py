"""Notes ready to be put into an answer, by queue."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0048_search_entries"),
    ]

    operations = [
        migrations.AddField(
            model_name="queue",
            name="canned_notes",
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
    ]
