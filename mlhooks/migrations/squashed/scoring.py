"""What is due, vectors, and what models say of items."""

import pgvector.django
from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="DueScore",
        fields=[
            (
                "item_version",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="due_score",
                    serialize=False,
                    to="reviews.itemversion",
                ),
            ),
            ("due_at", models.DateTimeField(db_default=Now())),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("parked_at", models.DateTimeField(null=True)),
            ("error", models.TextField(blank=True)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("parked_at", None)), fields=["due_at"], name="score_due"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Embedding",
        fields=[
            ("id", ID),
            ("encoder", models.CharField(max_length=120)),
            ("vector", pgvector.django.HalfVectorField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "item_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="embeddings",
                    to="reviews.itemversion",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("item_version", "encoder"), name="one_embedding_per_encoder"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Score",
        fields=[
            ("id", ID),
            ("probability", models.FloatField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "item_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="scores",
                    to="reviews.itemversion",
                ),
            ),
            (
                "model_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="scores",
                    to="mlhooks.modelversion",
                ),
            ),
            (
                "policy_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="reviews.policyversion"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("item_version", "model_version", "policy_version"),
                    name="one_score_per_policy_and_model",
                ),
                models.CheckConstraint(
                    condition=models.Q(("probability__range", (0, 1))),
                    name="score_is_a_probability",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="DueNeighbour",
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
        name="NearVector",
        fields=[
            (
                "item_version",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="reviews.itemversion",
                ),
            ),
            ("encoder", models.CharField(max_length=120)),
            ("vector", pgvector.django.HalfVectorField()),
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
                models.Index(fields=["platform", "encoder", "-item_version"], name="near_by_newest")
            ]
        },
    ),
    migrations.CreateModel(
        name="StrongSpans",
        fields=[
            ("id", ID),
            ("spans", models.JSONField(default=list)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
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
                "model_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="mlhooks.modelversion",
                ),
            ),
            ("error", models.TextField(blank=True, default="")),
        ],
        options={
            "indexes": [models.Index(fields=["created_at"], name="strong_spans_by_age")],
            "constraints": [
                models.UniqueConstraint(
                    fields=("item_version", "model_version"), name="one_strong_spans_per_model"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Prediction",
        fields=[
            ("id", ID),
            ("texts", models.JSONField()),
            ("answers", models.JSONField(default=list)),
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
            ("error", models.TextField(blank=True, default="")),
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
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="mlhooks.modelversion"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="reviews.platform"
                ),
            ),
        ],
        options={"indexes": [models.Index(fields=["created_at"], name="predictions_by_age")]},
    ),
    migrations.CreateModel(
        name="Shadow",
        fields=[
            ("id", ID),
            ("started_at", models.DateTimeField(db_default=Now())),
            ("stopped_at", models.DateTimeField(null=True)),
            ("error", models.TextField(blank=True, db_default="")),
            (
                "model_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="shadows", to="mlhooks.modelversion"
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="reviews.platform"
                ),
            ),
            (
                "started_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "stopped_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("stopped_at", None)),
                    fields=("model_version",),
                    name="one_open_shadow_a_model_version",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="ShadowScore",
        fields=[
            ("id", ID),
            ("probability", models.FloatField()),
            ("beside_probability", models.FloatField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "beside",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="mlhooks.modelversion",
                ),
            ),
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
                "model_version",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="mlhooks.modelversion",
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    db_index=False, on_delete=models.PROTECT, related_name="+", to="reviews.policy"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    fields=["model_version", "policy", "-created_at"],
                    name="shadow_scores_by_newest",
                )
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("item_version", "model_version", "policy"),
                    name="one_shadow_score_per_policy_and_model",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("beside_probability__range", (0, 1)), ("probability__range", (0, 1))
                    ),
                    name="shadow_scores_are_probabilities",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Disagreement",
        fields=[
            ("id", ID),
            ("flags", models.BooleanField()),
            ("probability", models.FloatField()),
            ("beside_probability", models.FloatField()),
            ("inclusion_probability", models.FloatField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "beside",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="mlhooks.modelversion",
                ),
            ),
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
                "job",
                models.ForeignKey(
                    db_index=False, on_delete=models.PROTECT, related_name="+", to="reviews.job"
                ),
            ),
            (
                "model_version",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="mlhooks.modelversion"
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    db_index=False, on_delete=models.PROTECT, related_name="+", to="reviews.policy"
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("job", "model_version", "policy"),
                    name="one_disagreement_a_job_and_policy",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("inclusion_probability__gt", 0), ("inclusion_probability__lte", 1)
                    ),
                    name="disagreement_probability_is_positive",
                ),
            ]
        },
    ),
]
