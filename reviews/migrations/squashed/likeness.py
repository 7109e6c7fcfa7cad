"""What looks like what: clusters of items, and lists of known ones."""

import pgvector.django
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="DueHash",
        fields=[
            (
                "item_version",
                models.OneToOneField(
                    db_constraint=False,
                    on_delete=models.DO_NOTHING,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="reviews.itemversion",
                ),
            ),
            ("due_at", models.DateTimeField(db_default=Now())),
            ("attempts", models.PositiveSmallIntegerField(db_default=0)),
            ("parked_at", models.DateTimeField(null=True)),
            ("error", models.TextField(blank=True, db_default="")),
        ],
    ),
    migrations.CreateModel(
        name="Anchor",
        fields=[
            (
                "item_version",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="anchor",
                    serialize=False,
                    to="reviews.itemversion",
                ),
            ),
            ("fingerprint", models.CharField(max_length=32)),
            ("minhash", models.BinaryField()),
            (
                "item",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="anchors", to="reviews.item"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.platform",
                ),
            ),
        ],
        options={"indexes": [models.Index(fields=["fingerprint"], name="anchor_by_fingerprint")]},
    ),
    migrations.CreateModel(
        name="Band",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "key",
                    "anchor_id",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            (
                "anchor",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=models.DO_NOTHING,
                    related_name="bands",
                    to="reviews.anchor",
                ),
            ),
            ("key", models.BigIntegerField()),
        ],
    ),
    migrations.CreateModel(
        name="Cluster",
        fields=[
            ("id", ID),
            ("size", models.PositiveIntegerField(default=0)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("joined_at", models.DateTimeField(db_default=Now())),
            (
                "anchor",
                models.OneToOneField(
                    on_delete=models.PROTECT, related_name="cluster", to="reviews.anchor"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="clusters",
                    to="reviews.platform",
                ),
            ),
        ],
        options={
            "indexes": [models.Index(fields=["platform", "-joined_at"], name="cluster_by_newest")]
        },
    ),
    migrations.CreateModel(
        name="ClusterMember",
        fields=[
            ("id", ID),
            (
                "how",
                models.CharField(
                    choices=[
                        ("exact", "Same text"),
                        ("minhash", "Same words"),
                        ("embedding", "Same meaning"),
                    ],
                    max_length=10,
                ),
            ),
            ("similarity", models.FloatField()),
            ("joined_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "item_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="reviews.itemversion",
                ),
            ),
            (
                "cluster",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="members",
                    to="reviews.cluster",
                ),
            ),
            (
                "item",
                models.OneToOneField(
                    on_delete=models.CASCADE, related_name="cluster_member", to="reviews.item"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["cluster", "similarity", "id"], name="member_by_similarity")
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("similarity__range", (0, 1))),
                    name="similarity_is_a_fraction",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="ClusterOperation",
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
            ("policies", models.JSONField(default=list)),
            ("actions", models.JSONField(default=list)),
            ("note", models.TextField(blank=True)),
            ("radius", models.JSONField(default=dict)),
            ("token", models.UUIDField(unique=True)),
            ("at", models.DateTimeField(db_default=Now(), editable=False)),
            ("finished_at", models.DateTimeField(null=True)),
            ("undone_at", models.DateTimeField(null=True)),
            (
                "by",
                models.ForeignKey(
                    on_delete=models.PROTECT,
                    related_name="cluster_operations",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "cluster",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="operations",
                    to="reviews.cluster",
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
            "indexes": [
                models.Index(
                    condition=models.Q(("finished_at", None)),
                    fields=["id"],
                    name="cluster_operation_open",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="ClusterAnswer",
        fields=[
            ("id", ID),
            (
                "state",
                models.CharField(
                    choices=[
                        ("waiting", "Waiting"),
                        ("decided", "Decided"),
                        ("skipped", "Skipped"),
                        ("undone", "Taken back"),
                    ],
                    default="waiting",
                    max_length=10,
                ),
            ),
            ("reason", models.CharField(blank=True, max_length=300)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            (
                "decision",
                models.OneToOneField(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="cluster_answer",
                    to="reviews.decision",
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="cluster_answers", to="reviews.item"
                ),
            ),
            (
                "item_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.itemversion",
                ),
            ),
            (
                "operation",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="answers", to="reviews.clusteroperation"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("operation", "item"), name="one_answer_a_member")
            ]
        },
    ),
    migrations.CreateModel(
        name="KnownList",
        fields=[
            ("id", ID),
            ("name", models.CharField(max_length=80)),
            ("distance", models.PositiveSmallIntegerField(default=20)),
            ("is_archived", models.BooleanField(default=False)),
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
                    on_delete=models.PROTECT, related_name="known_lists", to="reviews.platform"
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="known_lists", to="reviews.policy"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("platform", "name"), name="one_known_list_a_name"),
                models.CheckConstraint(
                    condition=models.Q(("distance__lte", 64)), name="known_distance_is_near"
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="KnownHash",
        fields=[
            ("id", ID),
            (
                "sort",
                models.CharField(
                    choices=[("phash", "What it looks like"), ("sha256", "Its exact bytes")],
                    max_length=6,
                ),
            ),
            ("value", pgvector.django.BitField(length=256)),
            ("note", models.CharField(blank=True, max_length=200)),
            ("added_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "added_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "known_list",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="hashes",
                    to="reviews.knownlist",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "known hashes",
            "constraints": [
                models.UniqueConstraint(
                    fields=("known_list", "sort", "value"), name="one_known_hash_a_list"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="LookAlike",
        fields=[
            (
                "medium",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="look",
                    serialize=False,
                    to="reviews.medium",
                ),
            ),
            ("value", pgvector.django.BitField(length=256, null=True)),
            ("due_at", models.DateTimeField(db_default=Now(), null=True)),
            ("attempts", models.PositiveSmallIntegerField(db_default=0)),
            ("error", models.CharField(blank=True, db_default="", max_length=300)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("due_at__isnull", False)),
                    fields=["due_at"],
                    name="look_due",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="KnownMatch",
        fields=[
            ("id", ID),
            ("distance", models.PositiveSmallIntegerField()),
            ("found_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "known_hash",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="matches", to="reviews.knownhash"
                ),
            ),
            (
                "medium",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="known_matches",
                    to="reviews.medium",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "known matches",
            "constraints": [
                models.UniqueConstraint(
                    fields=("medium", "known_hash"), name="one_match_a_known_hash"
                )
            ],
        },
    ),
]
