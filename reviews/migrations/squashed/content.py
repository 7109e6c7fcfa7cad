"""What came in: kinds, accounts, items, reports, and how they are found."""

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="ItemKind",
        fields=[
            ("id", ID),
            ("slug", models.SlugField(max_length=40)),
            ("name", models.CharField(max_length=80)),
            ("fields", models.JSONField(default=list)),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="kinds", to="reviews.platform"
                ),
            ),
            ("layout", models.JSONField(blank=True, default=list)),
            ("is_archived", models.BooleanField(default=False)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("platform", "slug"), name="one_kind_per_slug")
            ]
        },
    ),
    migrations.CreateModel(
        name="Account",
        fields=[
            ("id", ID),
            ("external_id", models.CharField(max_length=200)),
            ("name", models.CharField(blank=True, max_length=200)),
            ("joined_at", models.DateTimeField(blank=True, null=True)),
            ("split_group", models.CharField(max_length=32)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="accounts", to="reviews.platform"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "external_id"), name="one_account_per_external_id"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Item",
        fields=[
            ("id", ID),
            ("external_id", models.CharField(max_length=200)),
            ("version_number", models.PositiveIntegerField(default=1)),
            ("language", models.CharField(blank=True, max_length=16)),
            ("posted_at", models.DateTimeField(blank=True, null=True)),
            ("submitted_at", models.DateTimeField(db_default=Now())),
            ("views_per_hour", models.FloatField(default=0)),
            ("report_count", models.PositiveIntegerField(default=0)),
            ("fingerprint", models.CharField(max_length=32)),
            ("split_group", models.CharField(max_length=32)),
            ("risks", models.JSONField(default=dict)),
            ("risk", models.FloatField(blank=True, null=True)),
            ("risk_source", models.CharField(blank=True, max_length=80)),
            ("scored_at", models.DateTimeField(blank=True, null=True)),
            ("known_answer", models.JSONField(blank=True, null=True)),
            (
                "account",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="items",
                    to="reviews.account",
                ),
            ),
            (
                "kind",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="items",
                    to="reviews.itemkind",
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="items",
                    to="reviews.platform",
                ),
            ),
            ("erased_at", models.DateTimeField(blank=True, null=True)),
            ("report_trust", models.FloatField(db_default=0, default=0)),
            ("reporter_trust", models.FloatField(db_default=0, default=0)),
            ("views_so_far", models.BigIntegerField(blank=True, null=True)),
        ],
        options={
            "indexes": [
                models.Index(fields=["account", "-submitted_at"], name="item_by_account"),
                models.Index(fields=["fingerprint"], name="item_by_fingerprint"),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "kind", "external_id"), name="one_item_per_external_id"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("risk__isnull", True), ("risk__range", (0, 1)), _connector="OR"
                    ),
                    name="risk_is_a_probability",
                ),
                models.CheckConstraint(
                    condition=models.Q(("views_per_hour__gte", 0)), name="views_are_not_negative"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("report_trust__range", (0, 1)), ("reporter_trust__range", (0, 1))
                    ),
                    name="report_trust_is_a_probability",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("views_so_far", None), ("views_so_far__gte", 0), _connector="OR"
                    ),
                    name="views_so_far_are_not_negative",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="ItemVersion",
        fields=[
            ("id", ID),
            ("number", models.PositiveIntegerField()),
            ("content", models.JSONField()),
            ("content_hash", models.CharField(max_length=64)),
            ("created_at", models.DateTimeField(db_default=Now())),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="versions",
                    to="reviews.item",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("item", "number"), name="one_version_per_number")
            ]
        },
    ),
    migrations.CreateModel(
        name="Reporter",
        fields=[
            ("id", ID),
            (
                "source",
                models.CharField(
                    choices=[
                        ("user", "User"),
                        ("trusted_flagger", "Trusted flagger"),
                        ("law_enforcement", "Law enforcement"),
                        ("rule", "Rule"),
                        ("classifier", "Classifier"),
                        ("hash", "Hash match"),
                    ],
                    max_length=20,
                ),
            ),
            ("external_id", models.CharField(max_length=200)),
            ("filed", models.PositiveIntegerField(default=0)),
            ("settled", models.PositiveIntegerField(default=0)),
            ("upheld", models.PositiveIntegerField(default=0)),
            ("trust", models.FloatField()),
            ("last_filed_at", models.DateTimeField(db_default=Now())),
            ("refreshed_at", models.DateTimeField(null=True)),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="reporters",
                    to="reviews.platform",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("platform", "source", "external_id"), name="one_record_per_reporter"
                ),
                models.CheckConstraint(
                    condition=models.Q(("upheld__lte", models.F("settled"))),
                    name="no_more_upheld_than_settled",
                ),
                models.CheckConstraint(
                    condition=models.Q(("trust__gt", 0), ("trust__lt", 1)),
                    name="reporter_trust_is_never_certain",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="DueReporter",
        fields=[
            ("id", ID),
            ("due_at", models.DateTimeField(db_default=Now())),
            ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
            ("parked_at", models.DateTimeField(null=True)),
            ("error", models.TextField(blank=True, db_default="")),
            (
                "reporter",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="due",
                    to="reviews.reporter",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Report",
        fields=[
            ("id", ID),
            ("external_id", models.CharField(max_length=200)),
            (
                "source",
                models.CharField(
                    choices=[
                        ("user", "User"),
                        ("trusted_flagger", "Trusted flagger"),
                        ("law_enforcement", "Law enforcement"),
                        ("rule", "Rule"),
                        ("classifier", "Classifier"),
                        ("hash", "Hash match"),
                    ],
                    default="user",
                    max_length=20,
                ),
            ),
            ("reporter", models.CharField(blank=True, max_length=200)),
            ("reason", models.CharField(max_length=200)),
            ("text", models.TextField(blank=True)),
            ("created_at", models.DateTimeField(db_default=Now())),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="reports",
                    to="reviews.item",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("reporter", ""), _negated=True),
                    fields=["reporter", "source", "-id"],
                    name="report_by_reporter_newest",
                ),
                models.Index(fields=["item", "source", "id"], name="report_by_item_and_source"),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("item", "external_id"), name="one_report_per_external_id"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Revision",
        fields=[
            ("id", ID),
            ("target_type", models.CharField(max_length=40)),
            ("target_id", models.BigIntegerField()),
            ("number", models.PositiveIntegerField()),
            ("data", models.JSONField()),
            ("note", models.CharField(blank=True, max_length=300)),
            ("at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "by",
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
                    on_delete=models.PROTECT, related_name="revisions", to="reviews.platform"
                ),
            ),
            (
                "restores",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="reviews.revision"
                ),
            ),
        ],
        options={
            "ordering": ["-number"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("target_type", "target_id", "number"), name="one_revision_per_number"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="ThreadPlace",
        fields=[
            (
                "item",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="thread_place",
                    serialize=False,
                    to="reviews.item",
                ),
            ),
            ("thread_key", models.BigIntegerField(null=True)),
            ("parent_key", models.BigIntegerField(null=True)),
        ],
        options={
            "indexes": [
                models.Index(fields=["thread_key", "item"], name="place_by_thread"),
                models.Index(fields=["parent_key", "item"], name="place_by_parent"),
            ]
        },
    ),
    migrations.CreateModel(
        name="SearchEntry",
        fields=[
            (
                "item",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="search_entry",
                    serialize=False,
                    to="reviews.item",
                ),
            ),
            ("submitted_at", models.DateTimeField()),
            ("terms", SearchVectorField()),
            ("is_due", models.BooleanField(db_default=False, default=False)),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="reviews.platform",
                ),
            ),
        ],
        options={
            "indexes": [
                GinIndex(fields=["terms"], name="search_by_terms"),
                models.Index(fields=["submitted_at", "item"], name="search_by_age"),
                models.Index(
                    condition=models.Q(("is_due", True)), fields=["item"], name="search_entries_due"
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="SearchProgress",
        fields=[
            ("source", models.CharField(max_length=20, primary_key=True, serialize=False)),
            ("done_id", models.BigIntegerField(db_default=0, default=0)),
            ("ahead_id", models.BigIntegerField(db_default=0, default=0)),
            ("ahead_xid", models.BigIntegerField(db_default=0, default=0)),
        ],
    ),
]
