"""Jobs for nobody: which, so that leads are told once; a few rows beside the hot table."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("reviews", "0055_alert_notifications")]

    operations = [
        migrations.CreateModel(
            name="StrandedJob",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="reviews.job",
                    ),
                ),
                ("since", models.DateTimeField(db_default=Now(), editable=False)),
            ],
        ),
    ]
