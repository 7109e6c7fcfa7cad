"""What each person can bear, and what she has seen."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Wellbeing",
        fields=[
            (
                "person",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="wellbeing",
                    serialize=False,
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("filters", models.JSONField(db_default={}, default=dict)),
            (
                "reveal",
                models.CharField(
                    choices=[
                        ("click", "One press shows it, another covers it"),
                        ("hold", "Only while I hold the key or the button"),
                    ],
                    db_default="click",
                    default="click",
                    max_length=5,
                ),
            ),
            (
                "strength",
                models.PositiveSmallIntegerField(
                    blank=True,
                    choices=[
                        (1, "Strong"),
                        (2, "Stronger"),
                        (3, "Strongest: only light and colour are left"),
                    ],
                    null=True,
                ),
            ),
            (
                "opt_outs",
                ArrayField(
                    base_field=models.CharField(max_length=80),
                    db_default=[],
                    default=list,
                    size=None,
                ),
            ),
            ("break_until", models.DateTimeField(null=True)),
            ("last_job_id", models.BigIntegerField(null=True)),
            ("severe_run", models.PositiveIntegerField(db_default=0, default=0)),
            ("severe_since_break", models.PositiveIntegerField(db_default=0, default=0)),
        ],
    ),
    migrations.CreateModel(
        name="Limits",
        fields=[
            (
                "platform",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="limits",
                    serialize=False,
                    to="reviews.platform",
                ),
            ),
            ("budgets", models.JSONField(default=dict)),
            ("shift_hours", models.PositiveSmallIntegerField(default=10)),
            ("rotation", models.PositiveSmallIntegerField(default=0)),
            ("break_minutes", models.PositiveSmallIntegerField(default=60)),
            ("break_severe", models.PositiveSmallIntegerField(default=0)),
            ("break_length", models.PositiveSmallIntegerField(default=5)),
            (
                "strength",
                models.PositiveSmallIntegerField(
                    choices=[
                        (1, "Strong"),
                        (2, "Stronger"),
                        (3, "Strongest: only light and colour are left"),
                    ],
                    default=2,
                ),
            ),
            ("keep_days", models.PositiveSmallIntegerField(default=30)),
        ],
        options={
            "verbose_name_plural": "limits",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("shift_hours__gt", 0), ("keep_days__gt", 0), ("break_length__gt", 0)
                    ),
                    name="limits_are_positive",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Exposure",
        fields=[
            ("id", ID),
            ("token", models.UUIDField()),
            ("harm", models.CharField(max_length=80)),
            ("seconds", models.FloatField()),
            ("weight", models.FloatField()),
            ("at", models.DateTimeField(db_default=Now())),
            (
                "person",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="exposures",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    db_index=False, on_delete=models.CASCADE, related_name="+", to="reviews.queue"
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["person", "at"], name="exposure_by_person")],
            "constraints": [
                models.UniqueConstraint(
                    fields=("token", "harm"), name="one_exposure_a_claim_and_harm"
                ),
                models.CheckConstraint(
                    condition=models.Q(("seconds__gt", 0)), name="exposure_is_positive"
                ),
            ],
        },
    ),
]
