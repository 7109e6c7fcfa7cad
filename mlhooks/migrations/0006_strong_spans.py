"""What in a text moved its scores, kept for whoever asks next."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mlhooks", "0005_due_neighbours_are_hot"),
        ("reviews", "0049_canned_notes"),
    ]

    operations = [
        migrations.CreateModel(
            name="StrongSpans",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("spans", models.JSONField(default=list)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "item_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reviews.itemversion",
                    ),
                ),
                (
                    "model_version",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="mlhooks.modelversion",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="strong_spans_by_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("item_version", "model_version"), name="one_strong_spans_per_model"
                    )
                ],
            },
        ),
    ]
