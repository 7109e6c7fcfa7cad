"""Which parameters of an action whoever decides may change."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reviews", "0041_grades_and_marks"),
    ]

    operations = [
        migrations.AddField(
            "action", "asked", models.JSONField(blank=True, db_default={}, default=dict)
        ),
    ]
