"""The work itself: queues, draws, jobs, and the history of claims.

A live claim is the job row (token, holder, expiry); a Claim row is written when it ends.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Item, ItemKind, Platform
from .people import Person
from .policy import Action, Policy


class Lane(models.TextChoices):
    """Why a job is in a queue."""

    RISK = "risk", _("Risk")
    RANDOM = "random", _("Random")
    LEARNING = "learning", _("Learning")
    GOLD = "gold", _("Gold")
    SECOND = "second", _("Second opinion")
    ADJUDICATION = "adjudication", _("Adjudication")
    APPEAL = "appeal", _("Appeal")
    QA = "qa", _("Quality check")

    @classmethod
    def blind(cls) -> list[str]:
        """Lanes judged without the model's view: what they measure or teach would be bent by it."""
        return [cls.RANDOM, cls.LEARNING, cls.GOLD, cls.QA]

    @classmethod
    def checking(cls) -> list[str]:
        """Lanes whose answers settle nothing: they are held against a decision that stands."""
        return [cls.GOLD, cls.QA]


class Queue(models.Model):
    """A named stream of jobs: who works it, how it ranks, what may be decided, its SLA."""

    class Blind(models.TextChoices):
        """What is kept from the reviewer, page and API alike."""

        SCORE = "score", _("Risk and reasons")
        REPORTS = "reports", _("Reports")
        AUTHOR = "author", _("Author and record")
        HISTORY = "history", _("Earlier decisions and answers")

    class Filter(models.TextChoices):
        """How media arrives, until the reviewer asks for it as it is."""

        BLUR = "blur", _("Blurred")
        GREYSCALE = "greyscale", _("In grey")
        MUTE = "mute", _("Muted")

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
    # Jobs side by side on one page, each with an answer of its own; 1: one at a time.
    page_size = models.PositiveSmallIntegerField(default=1, db_default=1)
    handling_minutes = models.FloatField(default=1)  # expected, enters harm
    doubling_hours = models.FloatField(default=2)  # H: hours of waiting worth one doubling of harm
    report_weight = models.FloatField(default=0.5)  # 0: reports do not move the rank; 1: in full
    # {lane: share of claims}; lanes.py says what a lane gets that is not named. Risk gets the rest.
    lane_shares = models.JSONField(default=dict, blank=True)
    random_rate = models.FloatField(default=0.1)  # inclusion probability of the random lane
    learning_rate = models.FloatField(default=0)  # expected share of scored items for learning
    # Other queues may send it what they cannot settle; its leads adjudicate.
    takes_escalations = models.BooleanField(default=False, db_default=False)
    # What a reviewer may say with one key when she skips; none: she is not asked.
    skip_reasons = ArrayField(
        models.CharField(max_length=60), default=list, db_default=[], blank=True
    )
    # Notes ready to be put into an answer: [{text, policy (slug or ""), language (or "")}].
    canned_notes = models.JSONField(default=list, db_default=[], blank=True)
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
                condition=Q(page_size__range=(1, 24)), name="queue_page_holds_up_to_24"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(is_archived=False),
                name="default_queue_is_not_archived",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QueueRanking(models.Model):
    """What the waiting jobs of a queue are ranked with, and how far a new ranking has come.

    The sweep compares `settings` with how things stand now; where they differ (a lead changed the
    queue, a policy version took effect) it walks the waiting jobs: see reranking.py.
    """

    queue = models.OneToOneField(Queue, on_delete=models.CASCADE, related_name="ranking")
    settings = models.JSONField()
    after_id = models.BigIntegerField(null=True)  # the walk stands behind this job; null: none
    upto_id = models.BigIntegerField(null=True)
    is_retiming = models.BooleanField(
        default=False, db_default=False
    )  # due times are worked out too
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"ranking of {self.queue_id}"


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


class Draw(models.Model):
    """One drawing of jobs into a lane: how each chance came about, enough to draw again.

    A job holds its own chance. Written once, in the transaction of its jobs, and never edited.
    """

    class Strategy(models.TextChoices):
        """See sampling.py and docs/ranking.md."""

        POISSON = "poisson", _("Poisson, one probability for all")
        POISSON_SQRT = "poisson_sqrt", _("Poisson, by the root of the risk")
        POISSON_BAND = "poisson_band", _("Poisson, mostly near the threshold")
        POISSON_DISAGREEMENT = "poisson_disagreement", _("Poisson, where two models disagree")
        SAMPLE = "sample", _("So many, each as likely")
        ROUND = "poisson_round", _("Poisson, by a learning round")
        CERTAINTY = "certainty", _("All of them")
        FOLLOWS = "follows", _("Follows an earlier draw")

    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="draws", db_index=False)
    lane = models.CharField(max_length=16, choices=Lane.choices)
    strategy = models.CharField(max_length=20, choices=Strategy.choices)
    probability = models.FloatField(null=True)  # where all of the pool had the same
    seed = models.BigIntegerField()
    # What else it takes to draw again, such as the constant of the probabilities.
    parameters = models.JSONField(default=dict)
    pool_size = models.PositiveIntegerField(null=True)  # null: drawn before pools were counted
    drawn = models.PositiveIntegerField(null=True)
    model_version = models.CharField(max_length=80, blank=True)  # whose risks it went by
    # A second opinion or adjudication comes with certainty once its item has been drawn by this.
    follows = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="followers", db_index=False
    )
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(probability=None) | Q(probability__gt=0, probability__lte=1),
                name="draw_probability_is_positive",
            ),
            models.CheckConstraint(
                condition=Q(pool_size=None) | Q(drawn__lte=F("pool_size")),
                name="no_more_drawn_than_in_the_pool",
            ),
            models.CheckConstraint(
                condition=Q(strategy="follows", follows__isnull=False)
                | (~Q(strategy="follows") & Q(follows=None)),
                name="only_followers_follow",
            ),
        ]
        indexes = [models.Index(fields=["queue", "lane", "-id"], name="draw_by_queue_and_lane")]

    def __str__(self) -> str:
        return f"draw {self.pk}"


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
        READY = "ready", _("Ready")
        CLAIMED = "claimed", _("Claimed")
        DONE = "done", _("Done")
        CANCELLED = "cancelled", _("Cancelled")

    MAX_CLAIMS = 2  # live claims a reviewer; at most one of them prefetched
    GRID_SLOTS = range(3, 27)  # beside these, those of one page of a grid

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
    # What the sweep has added to the rank, and when it has to look next; null: never again.
    is_overdue = models.BooleanField(default=False)
    is_soon = models.BooleanField(default=False, db_default=False)
    lift_at = models.DateTimeField(null=True)
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
    # Taken in advance and not shown yet: on a short lease, and not on her desk.
    is_prefetched = models.BooleanField(default=False, db_default=False)
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
                name="one_live_claim_a_slot",
            ),
            models.UniqueConstraint(
                fields=["claimed_by"],
                condition=Q(state="claimed", is_prefetched=True),
                name="one_prefetched_claim_a_reviewer",
            ),
            models.CheckConstraint(
                condition=Q(state="claimed") | Q(is_prefetched=False),
                name="only_a_claim_is_prefetched",
            ),
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(
                    state__in=["ready", "claimed"], lane__in=["risk", "random", "learning"]
                ),
                name="one_open_job_an_item",
            ),
            models.CheckConstraint(
                condition=Q(
                    state="claimed",
                    claim_token__isnull=False,
                    claimed_by__isnull=False,
                    claim_slot__range=(1, 26),
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
                name="a_claimed_job_has_its_claim",
            ),
            models.CheckConstraint(
                condition=Q(lane="risk")
                | Q(draw__isnull=False, inclusion_probability__isnull=False),
                name="a_drawn_job_knows_its_draw",
            ),
            models.CheckConstraint(
                condition=Q(inclusion_probability=None)
                | Q(inclusion_probability__gt=0, inclusion_probability__lte=1),
                name="inclusion_probability_is_positive",
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
                fields=["lift_at"],
                condition=Q(state="ready", lift_at__isnull=False),
                name="job_to_lift",
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
        FINISHED = "finished", _("Finished")
        RELEASED = "released", _("Released")
        SKIPPED = "skipped", _("Skipped")
        EXPIRED = "expired", _("Expired")
        CANCELLED = "cancelled", _("Cancelled")  # the job was taken away under her

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


class StrandedJob(models.Model):
    """A ready job that nobody who works its queue may be given.

    Kept by handovers.py: leads are told once, when it comes to stand here, and read it on the
    queue's page.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="+")
    since = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"job {self.job_id} for nobody"


class LaneStart(models.Model):
    """Where one person's next claim may begin in a lane: above it, nothing that waits is for her.

    Written by starts.py after a claim that took long, and trusted for seconds only.
    """

    person = models.ForeignKey(Person, on_delete=models.CASCADE, db_index=False, related_name="+")
    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="+")
    lane = models.CharField(max_length=16, choices=Lane.choices)
    rank = models.FloatField()
    since = models.DateTimeField()  # when she began to keep one
    at = models.DateTimeField()
    until = models.DateTimeField()  # then she looks from the top again

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "queue", "lane"], name="one_start_a_person_and_lane"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} from {self.rank} in {self.lane} of {self.queue_id}"


class LaneArrival(models.Model):
    """A job became ready, at this rank, while somebody keeps a start in its lane.

    Written by the database itself (a trigger on jobs), so that no way in is forgotten.
    """

    # Without a constraint, so that a note waits for nobody who edits the queue.
    queue = models.ForeignKey(
        Queue, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    lane = models.CharField(max_length=16, choices=Lane.choices)
    rank = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["queue", "lane", "at"], name="arrival_by_lane")]

    def __str__(self) -> str:
        return f"{self.rank} in {self.lane} of {self.queue_id}"
