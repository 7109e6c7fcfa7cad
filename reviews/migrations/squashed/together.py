"""What people tell and ask each other."""

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

TABLES = [
    migrations.CreateModel(
        name="Note",
        fields=[
            ("id", ID),
            ("text", models.TextField()),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("withdrawn_at", models.DateTimeField(null=True)),
            (
                "author",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="notes",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="notes",
                    to="reviews.item",
                ),
            ),
        ],
        options={"indexes": [models.Index(fields=["item", "-id"], name="note_by_item")]},
    ),
    migrations.CreateModel(
        name="Notification",
        fields=[
            ("id", ID),
            (
                "sort",
                models.CharField(
                    choices=[
                        ("assigned", "Jobs are assigned to you"),
                        ("asked", "A colleague asks for your opinion"),
                        ("opinion", "A colleague answers you"),
                        ("question", "A question about a policy of yours"),
                        ("answered", "Your question about a policy is answered"),
                        ("mention", "You are mentioned in a note"),
                        ("overturned", "A decision of yours is decided otherwise"),
                        ("escalation", "What you escalated is decided"),
                        ("hold", "An action you asked for is approved or refused"),
                        ("taken", "A job is taken away from you"),
                        ("alert", "A figure of a model is out of its bounds"),
                        ("stranded", "Jobs that nobody in a queue can take"),
                    ],
                    max_length=12,
                ),
            ),
            ("data", models.JSONField(default=dict)),
            ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("read_at", models.DateTimeField(null=True)),
            (
                "actor",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.item",
                ),
            ),
            (
                "person",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="notifications",
                    to=settings.AUTH_USER_MODEL,
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
            (
                "policy",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.policy",
                ),
            ),
            (
                "queue",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.queue",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["person", "-id"], name="notification_by_person"),
                models.Index(
                    condition=models.Q(("read_at", None)),
                    fields=["person"],
                    name="notification_unread",
                ),
                models.Index(fields=["created_at"], name="notification_by_age"),
            ]
        },
    ),
    migrations.CreateModel(
        name="MutedSort",
        fields=[
            ("id", ID),
            (
                "sort",
                models.CharField(
                    choices=[
                        ("assigned", "Jobs are assigned to you"),
                        ("asked", "A colleague asks for your opinion"),
                        ("opinion", "A colleague answers you"),
                        ("question", "A question about a policy of yours"),
                        ("answered", "Your question about a policy is answered"),
                        ("mention", "You are mentioned in a note"),
                        ("overturned", "A decision of yours is decided otherwise"),
                        ("escalation", "What you escalated is decided"),
                        ("hold", "An action you asked for is approved or refused"),
                        ("taken", "A job is taken away from you"),
                        ("alert", "A figure of a model is out of its bounds"),
                        ("stranded", "Jobs that nobody in a queue can take"),
                    ],
                    max_length=12,
                ),
            ),
            (
                "person",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="muted_sorts",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("person", "sort"), name="one_choice_per_sort")
            ]
        },
    ),
    migrations.CreateModel(
        name="Consultation",
        fields=[
            ("id", ID),
            ("note", models.TextField(blank=True)),
            (
                "leaning",
                models.CharField(
                    blank=True,
                    choices=[("violating", "Violating"), ("clean", "Clean"), ("unsure", "Unsure")],
                    max_length=10,
                ),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("asked", "Asked"),
                        ("answered", "Answered"),
                        ("withdrawn", "Withdrawn"),
                        ("lapsed", "Lapsed"),
                    ],
                    default="asked",
                    max_length=10,
                ),
            ),
            ("asked_at", models.DateTimeField(db_default=Now(), editable=False)),
            ("due_at", models.DateTimeField(null=True)),
            (
                "opinion",
                models.CharField(
                    blank=True,
                    choices=[("violating", "Violating"), ("clean", "Clean"), ("unsure", "Unsure")],
                    max_length=10,
                ),
            ),
            ("text", models.TextField(blank=True)),
            ("ended_at", models.DateTimeField(null=True)),
            (
                "answered_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="opinions",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "asked_by",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="consultations",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "asked_of",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="consultations",
                    to="reviews.item",
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
                "job",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="consultations",
                    to="reviews.job",
                ),
            ),
            (
                "policy_versions",
                models.ManyToManyField(related_name="+", to="reviews.policyversion"),
            ),
            (
                "queue",
                models.ForeignKey(
                    db_index=False, on_delete=models.PROTECT, related_name="+", to="reviews.queue"
                ),
            ),
            ("is_for_anybody", models.BooleanField(db_default=False, default=False)),
        ],
        options={
            "indexes": [
                models.Index(fields=["item", "-id"], name="consultation_by_item"),
                models.Index(
                    condition=models.Q(("state", "asked")),
                    fields=["asked_of"],
                    name="consultation_open",
                ),
                models.Index(fields=["asked_by", "-id"], name="consultation_by_asker"),
                models.Index(
                    condition=models.Q(("due_at__isnull", False)),
                    fields=["due_at"],
                    name="consultation_due",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("state", "asked")),
                    fields=("job",),
                    name="one_open_consultation_a_job",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("answered_by__isnull", False),
                            ("ended_at__isnull", False),
                            ("state", "answered"),
                            models.Q(("opinion", ""), _negated=True),
                        ),
                        models.Q(
                            ("answered_by", None),
                            ("ended_at", None),
                            ("opinion", ""),
                            ("state", "asked"),
                            ("due_at__isnull", False),
                        ),
                        models.Q(
                            ("answered_by", None),
                            ("ended_at__isnull", False),
                            ("opinion", ""),
                            ("state__in", ["withdrawn", "lapsed"]),
                        ),
                        _connector="OR",
                    ),
                    name="a_consultation_is_as_its_state_says",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("asked_of", None),
                            models.Q(("asked_of", models.F("asked_by")), _negated=True),
                            _connector="OR",
                        ),
                        models.Q(
                            ("answered_by", None),
                            models.Q(("answered_by", models.F("asked_by")), _negated=True),
                            _connector="OR",
                        ),
                    ),
                    name="nobody_consults_herself",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("asked_of", None),
                        ("is_for_anybody", True),
                        ("answered_by", None),
                        ("answered_by", models.F("asked_of")),
                        _connector="OR",
                    ),
                    name="whoever_was_asked_answers",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Question",
        fields=[
            ("id", ID),
            ("text", models.TextField(blank=True)),
            ("asked_at", models.DateTimeField(db_default=Now(), editable=False)),
            (
                "state",
                models.CharField(
                    choices=[
                        ("open", "Open"),
                        ("answered", "Answered"),
                        ("withdrawn", "Withdrawn"),
                    ],
                    default="open",
                    max_length=10,
                ),
            ),
            ("answered_at", models.DateTimeField(null=True)),
            ("answer", models.TextField(blank=True)),
            ("is_published", models.BooleanField(default=False)),
            (
                "answered_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "asked_by",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="questions",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "item",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="questions",
                    to="reviews.item",
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="questions",
                    to="reviews.policy",
                ),
            ),
            (
                "policy_version",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="reviews.policyversion",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["policy", "-id"], name="question_by_policy"),
                models.Index(
                    condition=models.Q(("state", "open")), fields=["policy"], name="question_open"
                ),
                models.Index(fields=["asked_by", "-id"], name="question_by_asker"),
                models.Index(
                    condition=models.Q(("item__isnull", False)),
                    fields=["item"],
                    name="question_by_item",
                ),
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("answered_at__isnull", False),
                            ("answered_by__isnull", False),
                            ("state", "answered"),
                        ),
                        models.Q(
                            ("answered_at", None),
                            ("answered_by", None),
                            ("is_published", False),
                            ("state__in", ["open", "withdrawn"]),
                        ),
                        _connector="OR",
                    ),
                    name="an_answered_question_says_by_whom",
                )
            ],
        },
    ),
]
