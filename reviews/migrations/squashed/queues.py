"""Queues, what they offer, who is on duty, and weeks played again."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Queue",
        fields=[
            ("id", ID),
            ("slug", models.SlugField(max_length=40)),
            ("name", models.CharField(max_length=80)),
            ("description", models.CharField(blank=True, max_length=300)),
            ("position", models.PositiveSmallIntegerField(default=0)),
            ("is_default", models.BooleanField(default=False)),
            ("note_required", models.BooleanField(default=False)),
            ("lease_seconds", models.PositiveIntegerField(default=600)),
            ("undo_seconds", models.PositiveIntegerField(default=60)),
            ("sla_minutes", models.PositiveIntegerField(default=240)),
            ("handling_minutes", models.FloatField(default=1)),
            ("doubling_hours", models.FloatField(default=2)),
            ("random_rate", models.FloatField(default=0.1)),
            ("draw_seed", models.BigIntegerField(default=1)),
            (
                "actions",
                models.ManyToManyField(
                    blank=True,
                    related_name="queues",
                    through="reviews.QueueAction",
                    to="reviews.action",
                ),
            ),
            (
                "members",
                models.ManyToManyField(
                    blank=True, related_name="queues", to=settings.AUTH_USER_MODEL
                ),
            ),
            (
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="queues", to="reviews.platform"
                ),
            ),
            ("policies", models.ManyToManyField(related_name="queues", to="reviews.policy")),
            ("is_archived", models.BooleanField(default=False)),
            (
                "kinds",
                models.ManyToManyField(blank=True, related_name="queues", to="reviews.itemkind"),
            ),
            ("policy_required", models.BooleanField(default=True)),
            ("sla_by_source", models.JSONField(blank=True, default=dict)),
            ("soon_minutes", models.PositiveIntegerField(default=0)),
            ("reviews_wanted", models.PositiveSmallIntegerField(default=1)),
            (
                "blind",
                ArrayField(
                    base_field=models.CharField(
                        choices=[
                            ("score", "Risk and reasons"),
                            ("reports", "Reports"),
                            ("author", "Author and record"),
                            ("history", "Earlier decisions and answers"),
                        ],
                        max_length=10,
                    ),
                    blank=True,
                    default=list,
                    size=None,
                ),
            ),
            (
                "filters",
                ArrayField(
                    base_field=models.CharField(
                        choices=[("blur", "Blurred"), ("greyscale", "In grey"), ("mute", "Muted")],
                        max_length=10,
                    ),
                    blank=True,
                    default=list,
                    size=None,
                ),
            ),
            ("report_weight", models.FloatField(default=0.5)),
            ("lane_shares", models.JSONField(blank=True, default=dict)),
            ("learning_rate", models.FloatField(default=0)),
            ("qa_rate", models.FloatField(default=0)),
            (
                "skip_reasons",
                ArrayField(
                    base_field=models.CharField(max_length=60),
                    blank=True,
                    db_default=[],
                    default=list,
                    size=None,
                ),
            ),
            ("takes_escalations", models.BooleanField(db_default=False, default=False)),
            ("page_size", models.PositiveSmallIntegerField(db_default=1, default=1)),
            ("canned_notes", models.JSONField(blank=True, db_default=[], default=list)),
        ],
        options={
            "ordering": ["position", "id"],
            "constraints": [
                models.UniqueConstraint(fields=("platform", "slug"), name="one_queue_per_slug"),
                models.UniqueConstraint(
                    condition=models.Q(("is_default", True)),
                    fields=("platform",),
                    name="one_default_queue",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("random_rate__range", (0, 1)),
                        ("learning_rate__range", (0, 1)),
                        ("qa_rate__range", (0, 1)),
                        ("report_weight__range", (0, 1)),
                    ),
                    name="queue_rates_are_fractions",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("handling_minutes__gt", 0),
                        ("doubling_hours__gt", 0),
                        ("lease_seconds__gt", 0),
                        ("reviews_wanted__gt", 0),
                    ),
                    name="queue_durations_are_positive",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("is_default", False), ("is_archived", False), _connector="OR"
                    ),
                    name="default_queue_is_not_archived",
                ),
                models.CheckConstraint(
                    condition=models.Q(("page_size__range", (1, 24))),
                    name="queue_page_holds_up_to_24",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="QueueAction",
        fields=[
            ("id", ID),
            ("key", models.CharField(blank=True, max_length=1)),
            ("is_hidden", models.BooleanField(default=False)),
            ("position", models.PositiveSmallIntegerField(default=0)),
            (
                "action",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="offers", to="reviews.action"
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="offers", to="reviews.queue"
                ),
            ),
        ],
        options={
            "ordering": ["position", "id"],
            "constraints": [
                models.UniqueConstraint(fields=("queue", "action"), name="one_offer_per_action")
            ],
        },
    ),
    migrations.CreateModel(
        name="QueueRanking",
        fields=[
            ("id", ID),
            ("settings", models.JSONField()),
            ("after_id", models.BigIntegerField(null=True)),
            ("upto_id", models.BigIntegerField(null=True)),
            ("changed_at", models.DateTimeField(db_default=Now())),
            (
                "queue",
                models.OneToOneField(
                    on_delete=models.CASCADE, related_name="ranking", to="reviews.queue"
                ),
            ),
            ("is_retiming", models.BooleanField(db_default=False, default=False)),
        ],
    ),
    migrations.CreateModel(
        name="Roster",
        fields=[
            ("id", ID),
            ("changed_at", models.DateTimeField(db_default=Now())),
            (
                "queue",
                models.OneToOneField(
                    on_delete=models.CASCADE, related_name="roster", to="reviews.queue"
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Shift",
        fields=[
            ("id", ID),
            ("weekday", models.PositiveSmallIntegerField()),
            ("starts", models.PositiveSmallIntegerField()),
            ("ends", models.PositiveSmallIntegerField()),
            ("headcount", models.PositiveSmallIntegerField()),
            (
                "roster",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="shifts", to="reviews.roster"
                ),
            ),
        ],
        options={
            "ordering": ["weekday", "starts", "ends", "id"],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("ends__lte", 24), ("starts__lt", models.F("ends")), ("weekday__lte", 6)
                    ),
                    name="a_shift_lies_within_a_day",
                ),
                models.CheckConstraint(
                    condition=models.Q(("headcount__range", (1, 200))), name="a_shift_has_people"
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="ReplayRun",
        fields=[
            ("id", ID),
            ("since", models.DateTimeField()),
            ("until", models.DateTimeField()),
            (
                "staff",
                models.CharField(
                    choices=[("worked", "As they worked"), ("roster", "As on the roster")],
                    default="worked",
                    max_length=8,
                ),
            ),
            ("today", models.JSONField()),
            ("candidate", models.JSONField()),
            ("seed", models.BigIntegerField(default=0)),
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
            ("result", models.JSONField(null=True)),
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
                "platform",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="replay_runs", to="reviews.platform"
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="replay_runs", to="reviews.queue"
                ),
            ),
        ],
        options={
            "verbose_name": "replay",
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("since__lt", models.F("until"))),
                    name="a_replay_begins_before_it_ends",
                )
            ],
        },
    ),
]
