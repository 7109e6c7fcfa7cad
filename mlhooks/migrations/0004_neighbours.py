"""Near-duplicates by meaning: what waits to be compared, and what it is compared with."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgvector.django.halfvec
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mlhooks", "0003_due_scores_are_hot"),
        ("reviews", "0029_clusters"),
    ]

    operations = [
        migrations.CreateModel(
            name="DueNeighbour",
            fields=[
                (
                    "item_version",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="reviews.itemversion",
                    ),
                ),
                (
                    "due_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0)),
                ("parked_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True, db_default="")),
            ],
        ),
        migrations.CreateModel(
            name="NearVector",
            fields=[
                (
                    "item_version",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="reviews.itemversion",
                    ),
                ),
                ("encoder", models.CharField(max_length=120)),
                ("vector", pgvector.django.halfvec.HalfVectorField()),
                (
                    "platform",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reviews.platform",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["platform", "encoder", "-item_version"], name="near_by_newest"
                    )
                ],
            },
        ),
    ]
