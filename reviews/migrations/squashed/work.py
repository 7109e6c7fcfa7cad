"""Draws, jobs and claims: the hot tables."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Draw",
        fields=[
            ("id", ID),
            (
                "lane",
                models.CharField(
                    choices=[
                        ("risk", "Risk"),
                        ("random", "Random"),
                        ("learning", "Learning"),
                        ("gold", "Gold"),
                        ("second", "Second opinion"),
                        ("adjudication", "Adjudication"),
                        ("appeal", "Appeal"),
                        ("qa", "Quality check"),
                    ],
                    max_length=16,
                ),
            ),
            (
                "strategy",
                models.CharField(
                    choices=[
                        ("poisson", "Poisson, one probability for all"),
                        ("poisson_sqrt", "Poisson, by the root of the risk"),
                        ("poisson_band", "Poisson, mostly near the threshold"),
                        ("poisson_disagreement", "Poisson, where two models disagree"),
                        ("sample", "So many, each as likely"),
                        ("poisson_round", "Poisson, by a learning round"),
                        ("certainty", "All of them"),
                        ("follows", "Follows an earlier draw"),
                    ],
                    max_length=20,
                ),
            ),
            ("probability", models.FloatField(null=True)),
            ("seed", models.BigIntegerField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "queue",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="draws",
                    to="reviews.queue",
                ),
            ),
            ("parameters", models.JSONField(default=dict)),
            ("pool_size", models.PositiveIntegerField(null=True)),
            ("drawn", models.PositiveIntegerField(null=True)),
            ("model_version", models.CharField(blank=True, max_length=80)),
            (
                "follows",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="followers",
                    to="reviews.draw",
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
        ],
        options={
            "indexes": [
                models.Index(fields=["queue", "lane", "-id"], name="draw_by_queue_and_lane")
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("probability", None),
                        models.Q(("probability__gt", 0), ("probability__lte", 1)),
                        _connector="OR",
                    ),
                    name="draw_probability_is_positive",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("pool_size", None), ("drawn__lte", models.F("pool_size")), _connector="OR"
                    ),
                    name="no_more_drawn_than_in_the_pool",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("follows__isnull", False), ("strategy", "follows")),
                        models.Q(
                            models.Q(("strategy", "follows"), _negated=True), ("follows", None)
                        ),
                        _connector="OR",
                    ),
                    name="only_followers_follow",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Job",
        fields=[
            ("id", ID),
            (
                "lane",
                models.CharField(
                    choices=[
                        ("risk", "Risk"),
                        ("random", "Random"),
                        ("learning", "Learning"),
                        ("gold", "Gold"),
                        ("second", "Second opinion"),
                        ("adjudication", "Adjudication"),
                        ("appeal", "Appeal"),
                        ("qa", "Quality check"),
                    ],
                    default="risk",
                    max_length=16,
                ),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("ready", "Ready"),
                        ("claimed", "Claimed"),
                        ("done", "Done"),
                        ("cancelled", "Cancelled"),
                    ],
                    default="ready",
                    max_length=10,
                ),
            ),
            ("rank", models.FloatField(default=0)),
            ("harm", models.FloatField(default=0)),
            ("created_at", models.DateTimeField(db_default=Now())),
            ("due_at", models.DateTimeField()),
            ("is_overdue", models.BooleanField(default=False)),
            ("run_after", models.DateTimeField(blank=True, null=True)),
            ("attempts", models.PositiveSmallIntegerField(default=0)),
            ("inclusion_probability", models.FloatField(null=True)),
            ("claim_token", models.UUIDField(null=True)),
            ("claim_slot", models.PositiveSmallIntegerField(null=True)),
            ("claimed_at", models.DateTimeField(null=True)),
            ("expires_at", models.DateTimeField(null=True)),
            (
                "claimed_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="held_jobs",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "draw",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="jobs",
                    to="reviews.draw",
                ),
            ),
            (
                "item",
                models.ForeignKey(on_delete=models.PROTECT, related_name="jobs", to="reviews.item"),
            ),
            (
                "queue",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="jobs",
                    to="reviews.queue",
                ),
            ),
            (
                "assigned_to",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="assigned_jobs",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("is_prefetched", models.BooleanField(db_default=False, default=False)),
            ("is_soon", models.BooleanField(db_default=False, default=False)),
            ("lift_at", models.DateTimeField(null=True)),
            ("is_pinned", models.BooleanField(db_default=False)),
            ("raised", models.FloatField(db_default=0.0)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("state", "claimed")),
                    fields=["expires_at"],
                    name="job_expiring",
                ),
                models.Index(
                    condition=models.Q(("draw__isnull", False)), fields=["draw"], name="job_by_draw"
                ),
                models.Index(
                    models.F("queue"),
                    models.F("lane"),
                    models.OrderBy(models.F("rank"), descending=True),
                    models.F("id"),
                    condition=models.Q(("assigned_to", None), ("state", "ready")),
                    name="job_in_serving_order",
                ),
                models.Index(
                    models.F("assigned_to"),
                    models.F("queue"),
                    models.OrderBy(models.F("rank"), descending=True),
                    models.F("id"),
                    condition=models.Q(("assigned_to__isnull", False), ("state", "ready")),
                    name="job_assigned",
                ),
                models.Index(
                    condition=models.Q(("lift_at__isnull", False), ("state", "ready")),
                    fields=["lift_at"],
                    name="job_to_lift",
                ),
                models.Index(
                    condition=models.Q(("state", "ready")),
                    fields=["queue", "created_at", "id"],
                    name="job_by_age",
                ),
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("state", "claimed"), ("is_prefetched", False), _connector="OR"
                    ),
                    name="only_a_claim_is_prefetched",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("is_prefetched", True), ("state", "claimed")),
                    fields=("claimed_by",),
                    name="one_prefetched_claim_a_reviewer",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("lane", "risk"),
                        models.Q(("draw__isnull", False), ("inclusion_probability__isnull", False)),
                        _connector="OR",
                    ),
                    name="a_drawn_job_knows_its_draw",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("inclusion_probability", None),
                        models.Q(
                            ("inclusion_probability__gt", 0), ("inclusion_probability__lte", 1)
                        ),
                        _connector="OR",
                    ),
                    name="inclusion_probability_is_positive",
                ),
                models.UniqueConstraint(
                    condition=models.Q(
                        ("lane__in", ["risk", "random", "learning"]),
                        ("state__in", ["ready", "claimed"]),
                    ),
                    fields=("item",),
                    name="one_open_job_an_item",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("claim_slot__range", (1, 26)),
                            ("claim_token__isnull", False),
                            ("claimed_at__isnull", False),
                            ("claimed_by__isnull", False),
                            ("expires_at__isnull", False),
                            ("state", "claimed"),
                        ),
                        models.Q(
                            models.Q(("state", "claimed"), _negated=True),
                            ("claim_slot__isnull", True),
                            ("claim_token__isnull", True),
                            ("claimed_by__isnull", True),
                            ("expires_at__isnull", True),
                        ),
                        _connector="OR",
                    ),
                    name="a_claimed_job_has_its_claim",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("state", "claimed")),
                    fields=("claimed_by", "claim_slot"),
                    name="one_live_claim_a_slot",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Claim",
        fields=[
            ("id", ID),
            ("token", models.UUIDField(unique=True)),
            ("claimed_at", models.DateTimeField()),
            ("ended_at", models.DateTimeField(db_default=Now())),
            (
                "end",
                models.CharField(
                    choices=[
                        ("finished", "Finished"),
                        ("released", "Released"),
                        ("skipped", "Skipped"),
                        ("expired", "Expired"),
                        ("cancelled", "Cancelled"),
                    ],
                    max_length=10,
                ),
            ),
            ("reason", models.CharField(blank=True, max_length=200)),
            (
                "reviewer",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="claims", to=settings.AUTH_USER_MODEL
                ),
            ),
            (
                "job",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="claims", to="reviews.job"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("end", "skipped")),
                    fields=["job", "reviewer"],
                    name="claim_skipped",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="StrandedJob",
        fields=[
            (
                "job",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="reviews.job",
                ),
            ),
            ("since", models.DateTimeField(db_default=Now(), editable=False)),
        ],
    ),
    migrations.CreateModel(
        name="LaneStart",
        fields=[
            ("id", ID),
            (
                "lane",
                models.CharField(
                    choices=[
                        ("risk", "Risk"),
                        ("random", "Random"),
                        ("learning", "Learning"),
                        ("gold", "Gold"),
                        ("second", "Second opinion"),
                        ("adjudication", "Adjudication"),
                        ("appeal", "Appeal"),
                        ("qa", "Quality check"),
                    ],
                    max_length=16,
                ),
            ),
            ("rank", models.FloatField()),
            ("since", models.DateTimeField()),
            ("at", models.DateTimeField()),
            ("until", models.DateTimeField()),
            (
                "person",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "queue",
                models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="reviews.queue"),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("person", "queue", "lane"), name="one_start_a_person_and_lane"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="LaneArrival",
        fields=[
            ("id", ID),
            (
                "lane",
                models.CharField(
                    choices=[
                        ("risk", "Risk"),
                        ("random", "Random"),
                        ("learning", "Learning"),
                        ("gold", "Gold"),
                        ("second", "Second opinion"),
                        ("adjudication", "Adjudication"),
                        ("appeal", "Appeal"),
                        ("qa", "Quality check"),
                    ],
                    max_length=16,
                ),
            ),
            ("rank", models.FloatField()),
            ("at", models.DateTimeField()),
            (
                "queue",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="reviews.queue",
                ),
            ),
        ],
        options={"indexes": [models.Index(fields=["queue", "lane", "at"], name="arrival_by_lane")]},
    ),
]
