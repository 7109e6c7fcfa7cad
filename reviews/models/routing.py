"""Routing rules, versioned as a whole, and what a dry run of a version found."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Platform
from .people import Person


class RoutingVersion(models.Model):
    """All of a platform's rules at one time, in order; the first that holds wins.

    `rules` is a list of {"name", "queue" (slug), "is_active", "condition" (a tree, conditions.py)}.
    What none takes goes to the default queue. A trigger refuses to change what was published.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")
        RETIRED = "retired", _("Retired")

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="routing_versions"
    )
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    rules = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    # The older version whose rules a draft was begun with, where it puts one back.
    restores = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # How often the draft has been saved: who saves says which one she had before her.
    edition = models.PositiveIntegerField(default=1)
    saved_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    saved_at = models.DateTimeField(db_default=Now())
    published_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    published_at = models.DateTimeField(null=True)
    # Waiting jobs up to this id have been routed anew; rerouted_at is set when all have.
    rerouted_through = models.BigIntegerField(default=0)
    rerouted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "number"], name="one_routing_version_per_number"
            ),
            models.UniqueConstraint(
                fields=["platform"],
                condition=Q(state="published"),
                name="one_published_routing_version",
            ),
            models.UniqueConstraint(
                fields=["platform"], condition=Q(state="draft"), name="one_routing_draft"
            ),
            models.CheckConstraint(
                condition=Q(state="draft", published_at__isnull=True)
                | ~Q(state="draft") & Q(published_at__isnull=False),
                name="what_is_no_draft_was_published",
            ),
        ]

    def __str__(self) -> str:
        return f"routing version {self.number}"


class DryRun(models.Model):
    """Past items sent through a draft's rules and through the published ones; nothing moves.

    `rules` and `published` are what was compared, so that a result never speaks of other rules.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    OVER = (State.READY, State.FAILED)

    version = models.ForeignKey(RoutingVersion, on_delete=models.CASCADE, related_name="dry_runs")
    edition = models.PositiveIntegerField()
    published = models.ForeignKey(
        RoutingVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    rules = models.JSONField()
    days = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    items_done = models.PositiveIntegerField(default=0)
    items_expected = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    error = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(days__range=(1, 90)), name="dry_run_of_1_to_90_days"
            ),
        ]
        indexes = [
            models.Index(
                F("created_at"), condition=Q(state__in=["waiting", "running"]), name="dry_run_due"
            ),
        ]

    def __str__(self) -> str:
        return f"dry run of {self.version}, {self.days} days"
