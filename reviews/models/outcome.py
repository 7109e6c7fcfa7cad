"""What came of it: reviews, findings, decisions, enforcements, strikes.

Reviews, findings and decisions are never edited; a trigger refuses UPDATE and DELETE.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Account, Item, ItemVersion
from .people import Person
from .policy import Action, PolicyVersion
from .work import Claim, Job, Queue


class Verdict(models.TextChoices):
    VIOLATING = "violating", _("Violating")
    CLEAN = "clean", _("Clean")
    UNSURE = "unsure", _("Unsure")
    ESCALATE = "escalate", _("Escalate")


class Review(models.Model):
    """One reviewer's answer on one claim."""

    # No index of its own where one of those below begins with it: each answer pays for every one.
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="reviews")
    claim = models.OneToOneField(Claim, on_delete=models.PROTECT, related_name="review")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="reviews", db_index=False)
    item_version = models.ForeignKey(ItemVersion, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="reviews", db_index=False
    )
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    note = models.TextField(blank=True)
    active_seconds = models.FloatField(default=0)
    score_shown = models.BooleanField(default=True)
    # What she marked as evidence: [{field, start, end, policy}], in characters of the field's text
    # as it came in this version of the item.
    spans = models.JSONField(default=list, db_default=[])
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["item", "reviewer"], name="review_by_item_and_reviewer"),
            models.Index(fields=["reviewer", "-created_at"], name="review_by_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer_id} on {self.item_id}: {self.verdict}"


class Finding(models.Model):
    """A review's yes or no for one policy version. No row: not judged."""

    # Neither has an index of its own: those below begin with them.
    review = models.ForeignKey(
        Review, on_delete=models.PROTECT, related_name="findings", db_index=False
    )
    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, related_name="findings", db_index=False
    )
    violates = models.BooleanField()
    # Of the version's severity_levels, from 1; null where it asks for none or nobody said.
    severity = models.SmallIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["review", "policy_version"], name="one_finding_per_policy_version"
            ),
            models.CheckConstraint(
                condition=Q(violates=True) | Q(severity__isnull=True),
                name="only_a_violation_has_a_severity",
            ),
        ]
        # A policy's answers from the newest on: what was judged by an old text (relabelling.py).
        indexes = [
            models.Index(fields=["policy_version", "-review"], name="finding_by_version"),
        ]

    def __str__(self) -> str:
        return f"{self.policy_version_id}: {self.violates}"


class DecisionQuerySet(models.QuerySet):
    def current(self) -> "DecisionQuerySet":
        """Decisions that stand: nothing supersedes them."""
        return self.filter(superseded_by__isnull=True)

    def settled(self) -> "DecisionQuerySet":
        """Standing decisions that say something about the item."""
        return self.current().filter(verdict__in=[Verdict.VIOLATING, Verdict.CLEAN])


class Decision(models.Model):
    """The settled outcome for an item. Superseded by another, never edited."""

    class Kind(models.TextChoices):
        SETTLED = "settled", _("Settled")
        UNDO = "undo", _("Undo")
        OVERRIDE = "override", _("Override")

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SETTLED)
    item = models.ForeignKey(
        Item, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    item_version = models.ForeignKey(
        ItemVersion, on_delete=models.PROTECT, related_name="decisions"
    )
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, related_name="decisions")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="decisions")
    # The review it settles on; an undo or override has none of its own.
    review = models.OneToOneField(
        Review, on_delete=models.PROTECT, null=True, related_name="decision"
    )
    verdict = models.CharField(max_length=10, choices=Verdict.choices, null=True)  # noqa: DJ001
    policy_versions = models.ManyToManyField(PolicyVersion, related_name="decisions")  # violated
    severities = models.JSONField(default=dict, db_default={})  # {policy slug: level}, where graded
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="superseded_by"
    )
    decided_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    decided_at = models.DateTimeField(db_default=Now())
    undo_until = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    # The model's view at that moment, for measurement and training.
    risks = models.JSONField(default=dict)
    risk_source = models.CharField(max_length=80, blank=True)
    # How much it was looked at on the platform then; null: decided before this was kept.
    views_per_hour = models.FloatField(null=True)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="undo", verdict__isnull=True)
                | ~Q(kind="undo") & Q(verdict__isnull=False),
                name="only_an_undo_has_no_verdict",
            ),
            models.CheckConstraint(
                condition=Q(kind="settled") | Q(supersedes__isnull=False),
                name="undo_and_override_supersede",
            ),
            # With one follower each (supersedes is unique), one decision stands an item.
            models.UniqueConstraint(
                fields=["item"],
                condition=Q(supersedes__isnull=True),
                name="one_first_decision_an_item",
            ),
        ]
        indexes = [
            models.Index(fields=["item", "-id"], name="decision_by_item"),
            models.Index(fields=["decided_by", "-id"], name="decision_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.verdict or 'withdrawn'}"

    def can_be_undone(self, now) -> bool:
        return self.kind != self.Kind.UNDO and self.undo_until is not None and now < self.undo_until


class Relabelling(models.Model):
    """One asking-again about items that were decided under an older version of a policy.

    The jobs keep how their items were first drawn; which of the old decisions were asked about
    again, and with what chance, is said here.
    """

    policy_version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, related_name="relabellings"
    )  # in force: what they are judged by now
    queue = models.ForeignKey(Queue, on_delete=models.PROTECT, null=True, related_name="+")
    verdict = models.CharField(max_length=10, choices=Verdict.choices, blank=True)
    pool = models.PositiveIntegerField()  # old decisions that could have been asked about
    asked = models.PositiveIntegerField()
    # pool → asked: the same chance for each, by the order of SHA-256("seed:item id").
    probability = models.FloatField()
    seed = models.BigIntegerField()
    jobs = models.ManyToManyField(Job, related_name="relabellings")
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1),
                name="relabelling_probability_is_positive",
            ),
            # A form carries its seed: sent twice, it asks once.
            models.UniqueConstraint(
                fields=["policy_version", "seed"], name="one_relabelling_per_seed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asked} of {self.pool} asked again under {self.policy_version_id}"


class EnforcementQuerySet(models.QuerySet):
    def held(self) -> "EnforcementQuerySet":
        return self.filter(state=Enforcement.State.HELD)

    def live(self) -> "EnforcementQuerySet":
        return self.exclude(state=Enforcement.State.REVERSED)


class Enforcement(models.Model):
    """The carrying-out of one action of one decision."""

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")  # the undo window is open
        HELD = "held", _("Held")  # waits for a second person
        DUE = "due", _("Due")  # to be delivered
        DELIVERED = "delivered", _("Delivered")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        FAILED = "failed", _("Failed")
        REVERSED = "reversed", _("Reversed")

    # Who may follow whom: enforcement.move() is the only writer and asks here.
    NEXT = {
        State.PLANNED: {State.HELD, State.DUE, State.REVERSED},
        State.HELD: {State.DUE, State.REVERSED},
        State.DUE: {State.DELIVERED, State.FAILED, State.REVERSED},
        State.DELIVERED: {State.ACKNOWLEDGED, State.FAILED, State.REVERSED},
        State.ACKNOWLEDGED: {State.REVERSED},
        State.FAILED: {State.DUE, State.REVERSED},
        State.REVERSED: set(),
    }

    decision = models.ForeignKey(
        Decision, on_delete=models.PROTECT, related_name="enforcements", db_index=False
    )
    action = models.ForeignKey(Action, on_delete=models.PROTECT, related_name="enforcements")
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PLANNED)
    requested_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    due_at = models.DateTimeField()  # not before: the end of the undo window
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now())

    objects = EnforcementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["decision", "action"], name="one_enforcement_per_action"
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True) | ~Q(approved_by=F("requested_by")),
                name="nobody_approves_her_own",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state="planned"), name="enforcement_planned"
            ),
            models.Index(fields=["created_at"], condition=Q(state="held"), name="enforcement_held"),
        ]

    def __str__(self) -> str:
        return f"{self.action}: {self.get_state_display()}"


class Strike(models.Model):
    """A counted, expiring mark against an account, from a decision."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="strikes")
    enforcement = models.OneToOneField(Enforcement, on_delete=models.PROTECT, related_name="strike")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    reversed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["account", "expires_at"], name="strike_by_account")]

    def __str__(self) -> str:
        return f"strike on {self.account_id}"

    def counts(self, now) -> bool:
        return self.reversed_at is None and self.expires_at > now


class Gold(models.Model):
    """A lead vouches for an item's standing decision: it may be asked of others as a check."""

    item = models.OneToOneField(Item, on_delete=models.PROTECT, related_name="gold")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="golds")
    marked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"gold: item {self.item_id}"
