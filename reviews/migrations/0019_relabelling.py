"""Which decisions were asked about again under a newer policy, and with what chance."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0018_rerank_due")]

    operations = [
        migrations.CreateModel(
            name="Relabelling",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("violating", "Violating"),
                            ("clean", "Clean"),
                            ("unsure", "Unsure"),
                            ("escalate", "Escalate"),
                        ],
                        max_length=10,
                    ),
                ),
                ("pool", models.PositiveIntegerField()),
                ("asked", models.PositiveIntegerField()),
                ("probability", models.FloatField()),
                ("seed", models.BigIntegerField()),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "asked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("jobs", models.ManyToManyField(related_name="relabellings", to="reviews.job")),
                (
                    "policy_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="relabellings",
                        to="reviews.policyversion",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("probability__gt", 0), ("probability__lte", 1)),
                        name="relabelling_probability_is_positive",
                    ),
                    models.UniqueConstraint(
                        fields=("policy_version", "seed"), name="one_relabelling_per_seed"
                    ),
                ],
            },
        ),
    ]
