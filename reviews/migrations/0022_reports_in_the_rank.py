"""Track records of reporters, draws that tell all, lifts before the due time. Tables and columns."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import F, Q

_SOURCES = [
    ("user", "User"),
    ("trusted_flagger", "Trusted flagger"),
    ("law_enforcement", "Law enforcement"),
    ("rule", "Rule"),
    ("classifier", "Classifier"),
    ("hash", "Hash match"),
]


def _id():
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


class Migration(migrations.Migration):
    dependencies = [("reviews", "0021_answers_with_fewer_indexes")]

    operations = [
        migrations.AddField(
            "platform", "reports_settled", models.IntegerField(db_default=0, default=0)
        ),
        migrations.AddField(
            "platform", "reports_upheld", models.IntegerField(db_default=0, default=0)
        ),
        migrations.AddField("item", "report_trust", models.FloatField(db_default=0, default=0)),
        migrations.AddField("item", "reporter_trust", models.FloatField(db_default=0, default=0)),
        AddConstraintNotValid(
            "item",
            models.CheckConstraint(
                condition=Q(report_trust__range=(0, 1)) & Q(reporter_trust__range=(0, 1)),
                name="report_trust_is_a_probability",
            ),
        ),
        migrations.CreateModel(
            name="Reporter",
            fields=[
                ("id", _id()),
                ("source", models.CharField(choices=_SOURCES, max_length=20)),
                ("external_id", models.CharField(max_length=200)),
                ("filed", models.PositiveIntegerField(default=0)),
                ("settled", models.PositiveIntegerField(default=0)),
                ("upheld", models.PositiveIntegerField(default=0)),
                ("trust", models.FloatField()),
                (
                    "last_filed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("refreshed_at", models.DateTimeField(null=True)),
                (
                    "platform",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reporters",
                        to="reviews.platform",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["platform", "source", "external_id"], name="one_record_per_reporter"
                    ),
                    models.CheckConstraint(
                        condition=Q(upheld__lte=F("settled")), name="no_more_upheld_than_settled"
                    ),
                    models.CheckConstraint(
                        condition=Q(trust__gt=0, trust__lt=1),
                        name="reporter_trust_is_never_certain",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DueReporter",
            fields=[
                ("id", _id()),
                (
                    "due_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("parked_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True, db_default="")),
                (
                    "reporter",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="due",
                        to="reviews.reporter",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="QueueRanking",
            fields=[
                ("id", _id()),
                ("settings", models.JSONField()),
                ("after_id", models.BigIntegerField(null=True)),
                ("upto_id", models.BigIntegerField(null=True)),
                (
                    "changed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "queue",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ranking",
                        to="reviews.queue",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Gold",
            fields=[
                ("id", _id()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "decision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="golds",
                        to="reviews.decision",
                    ),
                ),
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="gold",
                        to="reviews.item",
                    ),
                ),
                (
                    "marked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField("job", "is_soon", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("job", "lift_at", models.DateTimeField(null=True)),
        migrations.RemoveConstraint("draw", "one_draw_per_setting"),
        migrations.RemoveConstraint("draw", "draw_probability_is_positive"),
        migrations.AlterField("draw", "probability", models.FloatField(null=True)),
        migrations.AlterField(
            "draw",
            "strategy",
            models.CharField(
                choices=[
                    ("poisson", "Poisson, one probability for all"),
                    ("poisson_sqrt", "Poisson, by the root of the risk"),
                    ("poisson_band", "Poisson, mostly near the threshold"),
                    ("certainty", "All of them"),
                    ("follows", "Follows an earlier draw"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddField("draw", "parameters", models.JSONField(default=dict)),
        migrations.AddField("draw", "pool_size", models.PositiveIntegerField(null=True)),
        migrations.AddField("draw", "drawn", models.PositiveIntegerField(null=True)),
        migrations.AddField("draw", "model_version", models.CharField(blank=True, max_length=80)),
        migrations.AddField(
            "draw",
            "follows",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="followers",
                to="reviews.draw",
            ),
        ),
        migrations.AddField(
            "draw",
            "created_by",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            "draw",
            models.CheckConstraint(
                condition=Q(probability=None) | Q(probability__gt=0, probability__lte=1),
                name="draw_probability_is_positive",
            ),
        ),
        migrations.AddConstraint(
            "draw",
            models.CheckConstraint(
                condition=Q(pool_size=None) | Q(drawn__lte=F("pool_size")),
                name="no_more_drawn_than_in_the_pool",
            ),
        ),
        migrations.AddConstraint(
            "draw",
            models.CheckConstraint(
                condition=Q(strategy="follows", follows__isnull=False)
                | (~Q(strategy="follows") & Q(follows=None)),
                name="only_followers_follow",
            ),
        ),
    ]
