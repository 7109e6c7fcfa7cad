"""Learning rounds, and what they are worth."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="LearningRound",
        fields=[
            ("id", ID),
            ("is_scheduled", models.BooleanField(default=False)),
            ("strategy", models.CharField(max_length=20)),
            ("size", models.PositiveIntegerField()),
            ("per_account", models.PositiveSmallIntegerField(null=True)),
            ("per_cluster", models.PositiveSmallIntegerField(null=True)),
            ("seed", models.BigIntegerField()),
            ("pool_size", models.PositiveIntegerField(null=True)),
            ("known", models.PositiveIntegerField(null=True)),
            ("expected", models.FloatField(null=True)),
            ("drawn", models.PositiveIntegerField(null=True)),
            ("left_out", models.JSONField(default=dict)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("waiting", "Waiting"),
                        ("running", "Running"),
                        ("done", "Done"),
                        ("failed", "Failed"),
                    ],
                    default="waiting",
                    max_length=10,
                ),
            ),
            ("step", models.CharField(blank=True, max_length=120)),
            ("error", models.TextField(blank=True)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("heartbeat_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("finished_at", models.DateTimeField(null=True)),
            (
                "created_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("draws", models.ManyToManyField(related_name="learning_rounds", to="reviews.draw")),
            (
                "model_version",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="mlhooks.modelversion"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="rounds", to="reviews.platform"
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["platform", "-id"], name="rounds_by_newest")],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state__in", ["waiting", "running"])),
                    fields=("platform",),
                    name="one_round_at_once",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="RoundPool",
        fields=[
            (
                "learning_round",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="pool",
                    serialize=False,
                    to="mlhooks.learninground",
                ),
            ),
            ("table", models.BinaryField()),
        ],
    ),
    migrations.CreateModel(
        name="RoundSettings",
        fields=[
            (
                "platform",
                models.OneToOneField(
                    on_delete=models.PROTECT,
                    primary_key=True,
                    related_name="round_settings",
                    serialize=False,
                    to="reviews.platform",
                ),
            ),
            ("is_on", models.BooleanField(default=False)),
            ("every_hours", models.PositiveSmallIntegerField(default=24)),
            ("size", models.PositiveIntegerField(default=100)),
            ("strategy", models.CharField(default="default", max_length=20)),
            ("per_account", models.PositiveSmallIntegerField(default=3, null=True)),
            ("per_cluster", models.PositiveSmallIntegerField(default=1, null=True)),
            ("next_at", models.DateTimeField(db_default=Now())),
            ("changed_at", models.DateTimeField(db_default=Now())),
            (
                "changed_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "verbose_name_plural": "round settings",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("every_hours__range", (1, 720)), ("size__range", (1, 5000))
                    ),
                    name="rounds_are_of_a_size_and_pace",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="LearningCurve",
        fields=[
            ("id", ID),
            (
                "state",
                models.CharField(
                    choices=[
                        ("waiting", "Waiting"),
                        ("running", "Running"),
                        ("ready", "Ready"),
                        ("failed", "Failed"),
                    ],
                    default="waiting",
                    max_length=10,
                ),
            ),
            ("step", models.CharField(blank=True, max_length=120)),
            ("figures", models.JSONField(default=dict)),
            ("error", models.TextField(blank=True)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("heartbeat_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("finished_at", models.DateTimeField(null=True)),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="reviews.platform"
                ),
            ),
            (
                "snapshot",
                models.OneToOneField(
                    on_delete=models.PROTECT, related_name="learning_curve", to="mlhooks.snapshot"
                ),
            ),
        ],
        options={"indexes": [models.Index(fields=["platform", "-id"], name="curves_by_newest")]},
    ),
    migrations.CreateModel(
        name="AnsweredPolicies",
        fields=[
            (
                "platform",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="reviews.platform",
                ),
            ),
            ("policy_versions", models.JSONField(default=list)),
        ],
        options={"verbose_name_plural": "answered policies"},
    ),
]
