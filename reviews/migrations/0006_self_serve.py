"""What a lead sets on a queue herself, an item kind's layout, and offers with keys of their own."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0005_one_first_decision")]

    operations = [
        migrations.AddField("itemkind", "layout", models.JSONField(blank=True, default=list)),
        migrations.AddField("itemkind", "is_archived", models.BooleanField(default=False)),
        migrations.AddField("policy", "is_archived", models.BooleanField(default=False)),
        migrations.AddField("action", "is_archived", models.BooleanField(default=False)),
        migrations.AddField("queue", "is_archived", models.BooleanField(default=False)),
        migrations.AddField(
            "queue",
            "kinds",
            models.ManyToManyField(blank=True, related_name="queues", to="reviews.itemkind"),
        ),
        migrations.AddField("queue", "policy_required", models.BooleanField(default=True)),
        migrations.AddField("queue", "sla_by_source", models.JSONField(blank=True, default=dict)),
        migrations.AddField("queue", "soon_minutes", models.PositiveIntegerField(default=0)),
        migrations.AddField("queue", "reviews_wanted", models.PositiveSmallIntegerField(default=1)),
        migrations.AddField(
            "queue",
            "blind",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("score", "Risk and reasons"),
                        ("reports", "Reports"),
                        ("author", "Author and record"),
                        ("history", "Earlier decisions and answers"),
                    ],
                    max_length=10,
                ),
                blank=True,
                default=list,
                size=None,
            ),
        ),
        migrations.AddField(
            "queue",
            "filters",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[("blur", "Blurred"), ("greyscale", "In grey"), ("mute", "Muted")],
                    max_length=10,
                ),
                blank=True,
                default=list,
                size=None,
            ),
        ),
        migrations.AddField("queue", "report_weight", models.FloatField(default=0.5)),
        migrations.AddField("queue", "lane_shares", models.JSONField(blank=True, default=dict)),
        migrations.AddField("queue", "learning_rate", models.FloatField(default=0)),
        migrations.AddField("queue", "qa_rate", models.FloatField(default=0)),
        migrations.AddField(
            "job",
            "assigned_to",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assigned_jobs",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.CreateModel(
            name="QueueAction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(blank=True, max_length=1)),
                ("is_hidden", models.BooleanField(default=False)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                (
                    "action",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="offers",
                        to="reviews.action",
                    ),
                ),
                (
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="offers",
                        to="reviews.queue",
                    ),
                ),
            ],
            options={
                "ordering": ["position", "id"],
                "constraints": [
                    models.UniqueConstraint(fields=("queue", "action"), name="one_offer_per_action")
                ],
            },
        ),
    ]
