"""What speaks for a model, gates, and alerts."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Evidence",
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
                "champion",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="mlhooks.modelversion"
                ),
            ),
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
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="evidence", to="mlhooks.modelversion"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="reviews.platform"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "evidence",
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state__in", ["waiting", "running"])),
                    fields=("model_version",),
                    name="one_gathering_at_once",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="FunctionalCase",
        fields=[
            ("id", ID),
            ("functionality", models.CharField(max_length=80)),
            ("text", models.TextField()),
            ("violates", models.BooleanField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("archived_at", models.DateTimeField(null=True)),
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
                "policy",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="functional_cases", to="reviews.policy"
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["policy", "functionality"], name="cases_by_policy")]
        },
    ),
    migrations.CreateModel(
        name="GateBounds",
        fields=[
            (
                "policy",
                models.OneToOneField(
                    on_delete=models.PROTECT,
                    primary_key=True,
                    related_name="gate_bounds",
                    serialize=False,
                    to="reviews.policy",
                ),
            ),
            ("bounds", models.JSONField(default=dict)),
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
        options={"verbose_name_plural": "gate bounds"},
    ),
    migrations.CreateModel(
        name="Monitoring",
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
                "champion",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="mlhooks.modelversion"
                ),
            ),
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
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="monitorings",
                    to="reviews.platform",
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["platform", "-id"], name="monitoring_by_newest")],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state__in", ["waiting", "running"])),
                    fields=("platform",),
                    name="one_monitoring_at_once",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Alert",
        fields=[
            ("id", ID),
            (
                "figure",
                models.CharField(
                    choices=[
                        ("calibration", "Calibration"),
                        ("agreement", "Agreement with decisions"),
                        ("score", "Drift of scores"),
                        ("length", "Drift of text length"),
                        ("language", "Drift of languages"),
                    ],
                    max_length=12,
                ),
            ),
            ("bound", models.FloatField()),
            ("first_value", models.FloatField()),
            ("value", models.FloatField()),
            ("opened_at", models.DateTimeField(db_default=Now())),
            ("acknowledged_at", models.DateTimeField(null=True)),
            ("note", models.CharField(blank=True, db_default="", max_length=300)),
            ("closed_at", models.DateTimeField(null=True)),
            (
                "acknowledged_by",
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
                    on_delete=models.PROTECT, related_name="alerts", to="reviews.platform"
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="reviews.policy"
                ),
            ),
            (
                "opened_by",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="mlhooks.monitoring"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("closed_at", None)),
                    fields=("platform", "policy", "figure"),
                    name="one_open_alert_a_figure",
                    nulls_distinct=False,
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("acknowledged_by", None),
                        ("acknowledged_at__isnull", False),
                        _connector="OR",
                    ),
                    name="an_acknowledged_alert_says_when",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="AlertBounds",
        fields=[
            ("id", ID),
            ("bounds", models.JSONField(default=dict)),
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
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="reviews.platform"
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="reviews.policy"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "alert bounds",
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "policy"),
                    name="one_bounds_a_platform_and_policy",
                    nulls_distinct=False,
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="AlertDelivery",
        fields=[
            ("id", ID),
            (
                "event",
                models.CharField(
                    choices=[("opened", "Opened"), ("closed", "Closed")], max_length=10
                ),
            ),
            ("due_at", models.DateTimeField(db_default=Now())),
            ("attempts", models.PositiveSmallIntegerField(db_default=0)),
            ("delivered_at", models.DateTimeField(null=True)),
            ("parked_at", models.DateTimeField(null=True)),
            ("error", models.CharField(blank=True, db_default="", max_length=300)),
            (
                "alert",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="deliveries", to="mlhooks.alert"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "alert deliveries",
            "indexes": [
                models.Index(
                    condition=models.Q(("delivered_at", None), ("parked_at", None)),
                    fields=["due_at"],
                    name="alert_delivery_due",
                )
            ],
            "constraints": [
                models.UniqueConstraint(fields=("alert", "event"), name="one_delivery_an_event")
            ],
        },
    ),
]
