"""What is judged by, what a decision may ask for, and the rules that lead to a queue."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Policy",
        fields=[
            ("id", ID),
            ("slug", models.SlugField(max_length=40)),
            ("name", models.CharField(max_length=80)),
            ("key", models.CharField(blank=True, max_length=1)),
            ("position", models.PositiveSmallIntegerField(default=0)),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="policies", to="reviews.platform"
                ),
            ),
            ("is_archived", models.BooleanField(default=False)),
            ("covers_text", models.BooleanField(db_default=False, default=False)),
            ("harm", models.CharField(blank=True, db_default="", max_length=80)),
        ],
        options={
            "verbose_name_plural": "policies",
            "ordering": ["position", "id"],
            "constraints": [
                models.UniqueConstraint(fields=("platform", "slug"), name="one_policy_per_slug")
            ],
        },
    ),
    migrations.CreateModel(
        name="PolicyVersion",
        fields=[
            ("id", ID),
            ("number", models.PositiveIntegerField()),
            ("summary", models.CharField(max_length=200)),
            ("definition", models.TextField()),
            ("examples", models.JSONField(default=list)),
            ("counter_examples", models.JSONField(default=list)),
            (
                "severity",
                models.PositiveSmallIntegerField(
                    choices=[(1, "Low"), (2, "Medium"), (3, "High"), (4, "Critical")], default=2
                ),
            ),
            ("severity_weight", models.FloatField(default=1)),
            ("legal_category", models.CharField(blank=True, max_length=80)),
            ("effective_at", models.DateTimeField(db_default=Now())),
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
                "policy",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="versions", to="reviews.policy"
                ),
            ),
            (
                "severity_levels",
                ArrayField(
                    base_field=models.CharField(max_length=60),
                    blank=True,
                    db_default=[],
                    default=list,
                    size=None,
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("policy", "number"), name="one_policy_version_per_number"
                ),
                models.CheckConstraint(
                    condition=models.Q(("severity_weight__gt", 0)),
                    name="severity_weight_is_positive",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="Action",
        fields=[
            ("id", ID),
            ("slug", models.SlugField(max_length=40)),
            ("name", models.CharField(max_length=80)),
            ("description", models.CharField(blank=True, max_length=200)),
            ("key", models.CharField(blank=True, max_length=1)),
            (
                "target",
                models.CharField(
                    choices=[("item", "Item"), ("account", "Account")], default="item", max_length=8
                ),
            ),
            ("parameters", models.JSONField(blank=True, default=dict)),
            ("needs_approval", models.BooleanField(default=False)),
            ("is_strike", models.BooleanField(default=False)),
            ("strike_days", models.PositiveSmallIntegerField(default=90)),
            ("position", models.PositiveSmallIntegerField(default=0)),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="actions", to="reviews.platform"
                ),
            ),
            ("is_archived", models.BooleanField(default=False)),
            ("asked", models.JSONField(blank=True, db_default={}, default=dict)),
        ],
        options={
            "ordering": ["position", "id"],
            "constraints": [
                models.UniqueConstraint(fields=("platform", "slug"), name="one_action_per_slug")
            ],
        },
    ),
    migrations.CreateModel(
        name="RoutingVersion",
        fields=[
            ("id", ID),
            ("number", models.PositiveIntegerField()),
            (
                "state",
                models.CharField(
                    choices=[
                        ("draft", "Draft"),
                        ("published", "Published"),
                        ("retired", "Retired"),
                    ],
                    default="draft",
                    max_length=10,
                ),
            ),
            ("rules", models.JSONField(default=list)),
            ("note", models.CharField(blank=True, max_length=300)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("edition", models.PositiveIntegerField(default=1)),
            ("saved_at", models.DateTimeField(db_default=Now())),
            ("published_at", models.DateTimeField(null=True)),
            ("rerouted_through", models.BigIntegerField(default=0)),
            ("rerouted_at", models.DateTimeField(null=True)),
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
                    on_delete=models.PROTECT, related_name="routing_versions", to="reviews.platform"
                ),
            ),
            (
                "published_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "restores",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.routingversion",
                ),
            ),
            (
                "saved_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "ordering": ["-number"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "number"), name="one_routing_version_per_number"
                ),
                models.UniqueConstraint(
                    condition=models.Q(("state", "published")),
                    fields=("platform",),
                    name="one_published_routing_version",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("state", "draft")),
                    fields=("platform",),
                    name="one_routing_draft",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("published_at__isnull", True), ("state", "draft")),
                        models.Q(
                            models.Q(("state", "draft"), _negated=True),
                            ("published_at__isnull", False),
                        ),
                        _connector="OR",
                    ),
                    name="what_is_no_draft_was_published",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="DryRun",
        fields=[
            ("id", ID),
            ("edition", models.PositiveIntegerField()),
            ("rules", models.JSONField()),
            ("days", models.PositiveSmallIntegerField()),
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
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("items_done", models.PositiveIntegerField(default=0)),
            ("items_expected", models.PositiveIntegerField(default=0)),
            ("result", models.JSONField(null=True)),
            ("error", models.CharField(blank=True, max_length=500)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("heartbeat_at", models.DateTimeField(null=True)),
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
                "published",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.routingversion",
                ),
            ),
            (
                "version",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="dry_runs", to="reviews.routingversion"
                ),
            ),
        ],
        options={
            "ordering": ["-id"],
            "indexes": [
                models.Index(
                    models.F("created_at"),
                    condition=models.Q(("state__in", ["waiting", "running"])),
                    name="dry_run_due",
                )
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("days__range", (1, 90))), name="dry_run_of_1_to_90_days"
                )
            ],
        },
    ),
]
