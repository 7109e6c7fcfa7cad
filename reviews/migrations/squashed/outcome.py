"""Answers, decisions, and what follows from them."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Review",
        fields=[
            ("id", ID),
            (
                "verdict",
                models.CharField(
                    choices=[
                        ("violating", "Violating"),
                        ("clean", "Clean"),
                        ("unsure", "Unsure"),
                        ("escalate", "Escalate"),
                    ],
                    max_length=10,
                ),
            ),
            ("note", models.TextField(blank=True)),
            ("active_seconds", models.FloatField(default=0)),
            ("score_shown", models.BooleanField(default=True)),
            ("created_at", models.DateTimeField(db_default=Now())),
            (
                "claim",
                models.OneToOneField(
                    on_delete=models.PROTECT, related_name="review", to="reviews.claim"
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="reviews",
                    to="reviews.item",
                ),
            ),
            (
                "item_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="reviews", to="reviews.itemversion"
                ),
            ),
            (
                "job",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="reviews", to="reviews.job"
                ),
            ),
            (
                "reviewer",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="reviews",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("spans", models.JSONField(db_default=[], default=list)),
        ],
        options={
            "indexes": [
                models.Index(fields=["item", "reviewer"], name="review_by_item_and_reviewer"),
                models.Index(fields=["reviewer", "-created_at"], name="review_by_reviewer"),
            ]
        },
    ),
    migrations.CreateModel(
        name="Finding",
        fields=[
            ("id", ID),
            ("violates", models.BooleanField()),
            (
                "policy_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="findings",
                    to="reviews.policyversion",
                ),
            ),
            (
                "review",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="findings",
                    to="reviews.review",
                ),
            ),
            ("severity", models.SmallIntegerField(null=True)),
        ],
        options={
            "indexes": [
                models.Index(fields=["policy_version", "-review"], name="finding_by_version")
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("review", "policy_version"), name="one_finding_per_policy_version"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("violates", True), ("severity__isnull", True), _connector="OR"
                    ),
                    name="only_a_violation_has_a_severity",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Decision",
        fields=[
            ("id", ID),
            (
                "kind",
                models.CharField(
                    choices=[("settled", "Settled"), ("undo", "Undo"), ("override", "Override")],
                    default="settled",
                    max_length=10,
                ),
            ),
            (
                "verdict",
                models.CharField(
                    choices=[
                        ("violating", "Violating"),
                        ("clean", "Clean"),
                        ("unsure", "Unsure"),
                        ("escalate", "Escalate"),
                    ],
                    max_length=10,
                    null=True,
                ),
            ),
            ("decided_at", models.DateTimeField(db_default=Now())),
            ("undo_until", models.DateTimeField(null=True)),
            ("note", models.TextField(blank=True)),
            ("risks", models.JSONField(default=dict)),
            ("risk_source", models.CharField(blank=True, max_length=80)),
            (
                "decided_by",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="decisions",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "supersedes",
                models.OneToOneField(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="superseded_by",
                    to="reviews.decision",
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="decisions",
                    to="reviews.item",
                ),
            ),
            (
                "item_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="decisions", to="reviews.itemversion"
                ),
            ),
            (
                "job",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="decisions", to="reviews.job"
                ),
            ),
            (
                "policy_versions",
                models.ManyToManyField(related_name="decisions", to="reviews.policyversion"),
            ),
            (
                "queue",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="decisions", to="reviews.queue"
                ),
            ),
            (
                "review",
                models.OneToOneField(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="decision",
                    to="reviews.review",
                ),
            ),
            ("severities", models.JSONField(db_default={}, default=dict)),
            ("views_per_hour", models.FloatField(null=True)),
        ],
        options={
            "indexes": [
                models.Index(fields=["item", "-id"], name="decision_by_item"),
                models.Index(fields=["decided_by", "-id"], name="decision_by_person"),
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("kind", "undo"), ("verdict__isnull", True)),
                        models.Q(
                            models.Q(("kind", "undo"), _negated=True), ("verdict__isnull", False)
                        ),
                        _connector="OR",
                    ),
                    name="only_an_undo_has_no_verdict",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("kind", "settled"), ("supersedes__isnull", False), _connector="OR"
                    ),
                    name="undo_and_override_supersede",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("supersedes__isnull", True)),
                    fields=("item",),
                    name="one_first_decision_an_item",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Enforcement",
        fields=[
            ("id", ID),
            ("parameters", models.JSONField(default=dict)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("planned", "Planned"),
                        ("held", "Held"),
                        ("due", "Due"),
                        ("delivered", "Delivered"),
                        ("acknowledged", "Acknowledged"),
                        ("failed", "Failed"),
                        ("reversed", "Reversed"),
                    ],
                    default="planned",
                    max_length=12,
                ),
            ),
            ("due_at", models.DateTimeField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("changed_at", models.DateTimeField(db_default=Now())),
            (
                "action",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="enforcements", to="reviews.action"
                ),
            ),
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
                "decision",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="enforcements",
                    to="reviews.decision",
                ),
            ),
            (
                "requested_by",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("state", "planned")),
                    fields=["due_at"],
                    name="enforcement_planned",
                ),
                models.Index(
                    condition=models.Q(("state", "held")),
                    fields=["created_at"],
                    name="enforcement_held",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("decision", "action"), name="one_enforcement_per_action"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("approved_by__isnull", True),
                        models.Q(("approved_by", models.F("requested_by")), _negated=True),
                        _connector="OR",
                    ),
                    name="nobody_approves_her_own",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Strike",
        fields=[
            ("id", ID),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("expires_at", models.DateTimeField()),
            ("reversed_at", models.DateTimeField(null=True)),
            (
                "account",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="strikes", to="reviews.account"
                ),
            ),
            (
                "enforcement",
                models.OneToOneField(
                    on_delete=models.PROTECT, related_name="strike", to="reviews.enforcement"
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["account", "expires_at"], name="strike_by_account")]
        },
    ),
    migrations.CreateModel(
        name="Gold",
        fields=[
            ("id", ID),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "decision",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="golds", to="reviews.decision"
                ),
            ),
            (
                "item",
                models.OneToOneField(
                    on_delete=models.PROTECT, related_name="gold", to="reviews.item"
                ),
            ),
            (
                "marked_by",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Relabelling",
        fields=[
            ("id", ID),
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
            ("asked_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "asked_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("jobs", models.ManyToManyField(related_name="relabellings", to="reviews.job")),
            (
                "policy_version",
                models.ForeignKey(
                    on_delete=models.PROTECT,
                    related_name="relabellings",
                    to="reviews.policyversion",
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    null=True, on_delete=models.PROTECT, related_name="+", to="reviews.queue"
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
            ]
        },
    ),
]
