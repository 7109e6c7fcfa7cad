"""The work itself: queues, routing, draws, jobs, and the history of claims.

A live claim is the job row (token, holder, expiry); a Claim row is written when it ends.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from .content import Item, ItemKind, Platform
from .people import Person
from .policy import Action, Policy


class Lane(models.TextChoices):
    """Why a job is in a queue."""

    RISK = "risk", "Risk"
    RANDOM = "random", "Random"
    LEARNING = "learning", "Learning"
    GOLD = "gold", "Gold"
    SECOND = "second", "Second opinion"
    ADJUDICATION = "adjudication", "Adjudication"
    APPEAL = "appeal", "Appeal"
    QA = "qa", "Quality check"


class Queue(models.Model):
    """A named stream of jobs: who works it, how it ranks, what may be decided, its SLA."""

    class Blind(models.TextChoices):
        """What is kept from the reviewer, page and API alike."""

        SCORE = "score", "Risk and reasons"
        REPORTS = "reports", "Reports"
        AUTHOR = "author", "Author and record"
        HISTORY = "history", "Earlier decisions and answers"

    class Filter(models.TextChoices):
        """How media arrives, until the reviewer asks for it as it is."""

        BLUR = "blur", "Blurred"
        GREYSCALE = "greyscale", "In grey"
        MUTE = "mute", "Muted"

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="queues")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    is_default = models.BooleanField(default=False)
    is_archived = models.BooleanField(default=False)  # takes nothing new, is worked no more
    policies = models.ManyToManyField(Policy, related_name="queues")
    kinds = models.ManyToManyField(ItemKind, related_name="queues", blank=True)  # none: every kind
    actions = models.ManyToManyField(
        Action, through="QueueAction", related_name="queues", blank=True
    )
    members = models.ManyToManyField(Person, related_name="queues", blank=True)
    policy_required = models.BooleanField(default=True)  # a violation names its policy
    note_required = models.BooleanField(default=False)
    lease_seconds = models.PositiveIntegerField(default=600)
    undo_seconds = models.PositiveIntegerField(default=60)
    sla_minutes = models.PositiveIntegerField(default=240)
    # {report source: minutes from the report}: a job is due at the earliest of all of these.
    sla_by_source = models.JSONField(default=dict, blank=True)
    soon_minutes = models.PositiveIntegerField(default=0)  # before due; 0: no lift before it
    reviews_wanted = models.PositiveSmallIntegerField(default=1)  # independent, for one decision
    blind = ArrayField(
        models.CharField(max_length=10, choices=Blind.choices), default=list, blank=True
    )
    filters = ArrayField(
        models.CharField(max_length=10, choices=Filter.choices), default=list, blank=True
    )
    handling_minutes = models.FloatField(default=1)  # expected, enters harm
    doubling_hours = models.FloatField(default=2)  # H: hours of waiting worth one doubling of harm
    report_weight = models.FloatField(default=0.5)  # 0: reports do not move the rank; 1: in full
    # {lane: share of claims}; a lane that is not named gets ranking's floor, risk gets the rest.
    lane_shares = models.JSONField(default=dict, blank=True)
    random_rate = models.FloatField(default=0.1)  # inclusion probability of the random lane
    learning_rate = models.FloatField(default=0)  # expected share of scored items for learning
    qa_rate = models.FloatField(default=0)  # share of decisions that another person looks at again
    draw_seed = models.BigIntegerField(default=1)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "slug"], name="one_queue_per_slug"),
            models.UniqueConstraint(
                fields=["platform"], condition=Q(is_default=True), name="one_default_queue"
            ),
            models.CheckConstraint(
                condition=Q(random_rate__range=(0, 1))
                & Q(learning_rate__range=(0, 1))
                & Q(qa_rate__range=(0, 1))
                & Q(report_weight__range=(0, 1)),
                name="queue_rates_are_fractions",
            ),
            models.CheckConstraint(
                condition=Q(handling_minutes__gt=0)
                & Q(doubling_hours__gt=0)
                & Q(lease_seconds__gt=0)
                & Q(reviews_wanted__gt=0),
                name="queue_durations_are_positive",
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(is_archived=False),
                name="default_queue_is_not_archived",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QueueAction(models.Model):
    """An action as one queue offers it: its key there, and whether it is kept out of sight."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="offers")
    action = models.ForeignKey(Action, on_delete=models.PROTECT, related_name="offers")
    key = models.CharField(max_length=1, blank=True)  # empty: the action's own
    is_hidden = models.BooleanField(default=False)  # known here (overrides, API), not on the desk
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["queue", "action"], name="one_offer_per_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action_id} in {self.queue_id}"


class RoutingRule(models.Model):
    """Ordered condition → queue; the first that holds wins. The default queue takes the rest.

    `condition` is a rule-engine expression over the names that routing.facts() gives.
    """

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="routing_rules")
    name = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField(default=0)
    condition = models.TextField()
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="routing_rules")
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Draw(models.Model):
    """How jobs of a sampled lane came to be drawn: enough to draw them again."""

    class Strategy(models.TextChoices):
        POISSON = "poisson", "Poisson, one probability for all"

    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="draws")
    lane = models.CharField(max_length=16, choices=Lane.choices)
    strategy = models.CharField(max_length=20, choices=Strategy.choices)
    probability = models.FloatField()
    seed = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "lane", "strategy", "probability", "seed"],
                name="one_draw_per_setting",
            ),
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1),
                name="draw_probability_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.probability} from {self.queue_id}"


class JobQuerySet(models.QuerySet):
    def ready(self) -> "JobQuerySet":
        return self.filter(state=Job.State.READY)

    def open(self) -> "JobQuerySet":
        return self.filter(state__in=[Job.State.READY, Job.State.CLAIMED])

    def held_by(self, person: Person) -> "JobQuerySet":
        return self.filter(claimed_by=person, state=Job.State.CLAIMED)

    def in_serving_order(self) -> "JobQuerySet":
        return self.order_by("-rank", "id")


class Job(models.Model):
    """One unit of reviewer work: one item, one queue, one independent answer. The hot row."""

    class State(models.TextChoices):
        READY = "ready", "Ready"
        CLAIMED = "claimed", "Claimed"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"

    MAX_CLAIMS = 2  # live claims a reviewer: one on screen, one prefetched

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="jobs")
    # Waiting jobs are found by job_in_serving_order, drawn ones by job_by_draw; every other index
    # would be paid for by each new job.
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="jobs", db_index=False)
    lane = models.CharField(max_length=16, choices=Lane.choices, default=Lane.RISK)
    state = models.CharField(max_length=10, choices=State.choices, default=State.READY)
    rank = models.FloatField(default=0)
    harm = models.FloatField(default=0)  # per hour of waiting and minute of handling
    raised = models.FloatField(db_default=0.0)  # of the rank, by a lead: kept when it is re-ranked
    is_pinned = models.BooleanField(db_default=False)  # a lead put it here: no rule moves it away
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField()
    is_overdue = models.BooleanField(default=False)  # lifted above the rest by the sweep
    run_after = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    draw = models.ForeignKey(
        Draw, on_delete=models.PROTECT, null=True, related_name="jobs", db_index=False
    )
    inclusion_probability = models.FloatField(null=True)
    # The live claim.
    claim_token = models.UUIDField(null=True)
    claimed_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="held_jobs", db_index=False
    )
    claim_slot = models.PositiveSmallIntegerField(null=True)
    claimed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    # Kept for one person by a lead: nobody else is served it.
    assigned_to = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="assigned_jobs", db_index=False
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["claimed_by", "claim_slot"],
                condition=Q(state="claimed"),
                name="two_live_claims_a_reviewer",
            ),
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(state__in=["ready", "claimed"], lane__in=["risk", "random"]),
                name="one_open_job_an_item",
            ),
            models.CheckConstraint(
                condition=Q(
                    state="claimed",
                    claim_token__isnull=False,
                    claimed_by__isnull=False,
                    claim_slot__in=[1, 2],
                    claimed_at__isnull=False,
                    expires_at__isnull=False,
                )
                | (
                    ~Q(state="claimed")
                    & Q(
                        claim_token__isnull=True,
                        claimed_by__isnull=True,
                        claim_slot__isnull=True,
                        expires_at__isnull=True,
                    )
                ),
                name="a_claimed_job_has_a_claim",
            ),
            models.CheckConstraint(
                condition=Q(lane="risk") | Q(inclusion_probability__isnull=False) | Q(draw=None),
                name="a_drawn_job_knows_its_probability",
            ),
        ]
        indexes = [
            models.Index(
                F("queue"),
                F("lane"),
                F("rank").desc(),
                F("id"),
                condition=Q(state="ready", assigned_to=None),
                name="job_in_serving_order",
            ),
            # Kept out of the serving order, so that others need not walk past them.
            models.Index(
                F("assigned_to"),
                F("queue"),
                F("rank").desc(),
                F("id"),
                condition=Q(state="ready", assigned_to__isnull=False),
                name="job_assigned",
            ),
            models.Index(
                fields=["due_at"],
                condition=Q(state="ready", is_overdue=False),
                name="job_falling_due",
            ),
            models.Index(fields=["expires_at"], condition=Q(state="claimed"), name="job_expiring"),
            models.Index(fields=["draw"], condition=Q(draw__isnull=False), name="job_by_draw"),
            # Grows at its end only: what waits longest, and how long.
            models.Index(
                fields=["queue", "created_at", "id"], condition=Q(state="ready"), name="job_by_age"
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    def is_held_with(self, token, now) -> bool:
        return (
            self.state == self.State.CLAIMED and self.claim_token == token and self.expires_at > now
        )


class Claim(models.Model):
    """One ended lease: the history of who held which job, and how it ended."""

    class End(models.TextChoices):
        FINISHED = "finished", "Finished"
        RELEASED = "released", "Released"
        SKIPPED = "skipped", "Skipped"
        EXPIRED = "expired", "Expired"

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="claims")
    reviewer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="claims")
    token = models.UUIDField(unique=True)
    claimed_at = models.DateTimeField()
    ended_at = models.DateTimeField(db_default=Now())
    end = models.CharField(max_length=10, choices=End.choices)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["job", "reviewer"], condition=Q(end="skipped"), name="claim_skipped"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer_id} on {self.job_id}: {self.end}"
