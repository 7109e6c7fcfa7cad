"""The rules and what can be done about a breach: policies, their dated versions, actions."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, OuterRef, Subquery, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Platform
from .people import Person


class Policy(models.Model):
    """A rule of one platform. What it says is in its versions."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="policies")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    key = models.CharField(max_length=1, blank=True)  # its hotkey on the review page
    position = models.PositiveSmallIntegerField(default=0)
    is_archived = models.BooleanField(default=False)
    # What it does to whoever looks (wellness.py): empty for its own name where it is severe.
    harm = models.CharField(max_length=80, blank=True, db_default="")
    covers_text = models.BooleanField(default=False, db_default=False)  # behind a line of words

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["platform", "slug"], name="one_policy_per_slug"),
        ]

    def __str__(self) -> str:
        return self.name


class Severity(models.IntegerChoices):
    LOW = 1, _("Low")
    MEDIUM = 2, _("Medium")
    HIGH = 3, _("High")
    CRITICAL = 4, _("Critical")


class PolicyVersionQuerySet(models.QuerySet):
    def in_force(self) -> "PolicyVersionQuerySet":
        """The newest version of each policy whose effective date has come."""
        return (
            self.filter(effective_at__lte=Now())
            .order_by("policy_id", "-effective_at", "-number")
            .distinct("policy_id")
        )

    def with_state(self) -> "PolicyVersionQuerySet":
        """Each with `.state`: "in_force", "scheduled" (its date is to come) or "past"."""
        newest = (
            PolicyVersion.objects.filter(policy=OuterRef("policy"), effective_at__lte=Now())
            .order_by("-effective_at", "-number")
            .values("pk")[:1]
        )
        return self.annotate(
            state=Case(
                When(effective_at__gt=Now(), then=Value("scheduled")),
                When(pk=Subquery(newest), then=Value("in_force")),
                default=Value("past"),
            )
        )


class PolicyVersion(models.Model):
    """A policy's text at one time; decisions point here. Never edited once in force."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    summary = models.CharField(max_length=200)  # one line, beside the key on the review page
    definition = models.TextField()
    examples = models.JSONField(default=list)  # texts that break the rule
    counter_examples = models.JSONField(default=list)  # near misses that do not
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.MEDIUM)
    # Words for how bad a breach is, from the mildest: 2 to 4 where its reviewers grade, else none.
    severity_levels = ArrayField(
        models.CharField(max_length=60), default=list, db_default=[], blank=True
    )
    severity_weight = models.FloatField(default=1)  # enters harm (ranking.py)
    legal_category = models.CharField(max_length=80, blank=True)
    effective_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PolicyVersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "number"], name="one_policy_version_per_number"
            ),
            models.CheckConstraint(
                condition=models.Q(severity_weight__gt=0), name="severity_weight_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class Action(models.Model):
    """Something a decision can ask for, with its parameters."""

    class Target(models.TextChoices):
        ITEM = "item", _("Item")
        ACCOUNT = "account", _("Account")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="actions")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=1, blank=True)
    target = models.CharField(max_length=8, choices=Target.choices, default=Target.ITEM)
    parameters = models.JSONField(default=dict, blank=True)
    # Which of these whoever decides may change, and within what (parameters.py).
    asked = models.JSONField(default=dict, db_default={}, blank=True)
    needs_approval = models.BooleanField(default=False)  # held for a second person
    is_strike = models.BooleanField(default=False)
    strike_days = models.PositiveSmallIntegerField(default=90)
    position = models.PositiveSmallIntegerField(default=0)
    is_archived = models.BooleanField(default=False)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["platform", "slug"], name="one_action_per_slug"),
        ]

    def __str__(self) -> str:
        return self.name
