"""Snapshots, and the models made from them."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Snapshot",
        fields=[
            ("id", ID),
            ("number", models.PositiveIntegerField()),
            ("note", models.CharField(blank=True, max_length=200)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("waiting", "Waiting"),
                        ("building", "Building"),
                        ("ready", "Ready"),
                        ("failed", "Failed"),
                        ("withdrawn", "Withdrawn"),
                    ],
                    default="waiting",
                    max_length=10,
                ),
            ),
            ("cutoff_id", models.BigIntegerField()),
            ("cutoff_at", models.DateTimeField()),
            ("rows_expected", models.PositiveIntegerField(default=0)),
            ("rows_done", models.PositiveIntegerField(default=0)),
            ("manifest", models.JSONField(default=dict)),
            ("error", models.TextField(blank=True)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
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
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="snapshots", to="reviews.platform"
                ),
            ),
            ("heartbeat_at", models.DateTimeField(null=True)),
            ("erased_items", models.PositiveIntegerField(db_default=0, default=0)),
            ("erasures_upto", models.BigIntegerField(db_default=0, default=0)),
            (
                "replaces",
                models.OneToOneField(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="replaced_by",
                    to="mlhooks.snapshot",
                ),
            ),
            ("withdrawn_at", models.DateTimeField(null=True)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "number"), name="one_snapshot_per_number"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("state", "withdrawn"), ("withdrawn_at__isnull", False)),
                        models.Q(
                            models.Q(("state", "withdrawn"), _negated=True), ("withdrawn_at", None)
                        ),
                        _connector="OR",
                    ),
                    name="a_withdrawn_snapshot_says_when",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="ModelVersion",
        fields=[
            ("id", ID),
            ("number", models.PositiveIntegerField()),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("zero-shot", "Zero-shot"),
                        ("few-shot", "Few-shot"),
                        ("trained", "Trained head"),
                        ("fine-tuned", "Fine-tuned"),
                    ],
                    max_length=10,
                ),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("candidate", "Candidate"),
                        ("shadow", "Shadow"),
                        ("champion", "Champion"),
                        ("retired", "Retired"),
                    ],
                    default="candidate",
                    max_length=10,
                ),
            ),
            ("encoder", models.CharField(max_length=120)),
            ("sha256", models.CharField(max_length=64)),
            ("evaluation", models.JSONField(default=dict)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "created_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="model_versions", to="reviews.platform"
                ),
            ),
            (
                "policy_versions",
                models.ManyToManyField(related_name="model_versions", to="reviews.policyversion"),
            ),
            (
                "snapshot",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="model_versions",
                    to="mlhooks.snapshot",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "number"), name="one_model_version_per_number"
                ),
                models.UniqueConstraint(
                    condition=models.Q(("state", "champion")),
                    fields=("platform",),
                    name="one_champion_a_platform",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="TrainingRun",
        fields=[
            ("id", ID),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("zero-shot", "Zero-shot"),
                        ("few-shot", "Few-shot"),
                        ("trained", "Trained head"),
                        ("fine-tuned", "Fine-tuned"),
                    ],
                    default="trained",
                    max_length=10,
                ),
            ),
            ("seed", models.BigIntegerField(default=0)),
            ("config", models.JSONField(default=dict)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("waiting", "Waiting"),
                        ("running", "Running"),
                        ("done", "Done"),
                        ("failed", "Failed"),
                        ("cancelled", "Cancelled"),
                    ],
                    default="waiting",
                    max_length=10,
                ),
            ),
            ("step", models.CharField(blank=True, max_length=120)),
            ("fraction", models.FloatField(default=0)),
            ("history", models.JSONField(default=list)),
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
            (
                "model_version",
                models.OneToOneField(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="training_run",
                    to="mlhooks.modelversion",
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="training_runs", to="reviews.platform"
                ),
            ),
            (
                "snapshot",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="training_runs", to="mlhooks.snapshot"
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Promotion",
        fields=[
            ("id", ID),
            ("proposed_at", models.DateTimeField(db_default=Now())),
            ("reason", models.CharField(blank=True, max_length=300)),
            ("approved_at", models.DateTimeField(null=True)),
            ("withdrawn_at", models.DateTimeField(null=True)),
            ("rolled_back_at", models.DateTimeField(null=True)),
            (
                "approved_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "model_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="promotions", to="mlhooks.modelversion"
                ),
            ),
            (
                "previous",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="mlhooks.modelversion"
                ),
            ),
            (
                "proposed_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("gates", models.JSONField(db_default=[], default=list)),
            (
                "waived_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("waiver", models.CharField(blank=True, db_default="", max_length=300)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("approved_at", None), ("withdrawn_at", None)),
                    fields=("model_version",),
                    name="one_open_promotion_a_model_version",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("approved_by", None),
                        ("proposed_by", None),
                        models.Q(("approved_by", models.F("proposed_by")), _negated=True),
                        _connector="OR",
                    ),
                    name="two_people_promote",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("waived_by", None),
                        ("proposed_by", None),
                        models.Q(("waived_by", models.F("proposed_by")), _negated=True),
                        _connector="OR",
                    ),
                    name="nobody_waives_for_herself",
                ),
            ]
        },
    ),
]
