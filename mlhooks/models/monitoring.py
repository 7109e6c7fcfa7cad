"""What is watched of the champion, and what is told when it leaves its bounds."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Person, Platform, Policy

from .versions import ModelVersion


class Monitoring(models.Model):
    """One look at how the champion does on live items. The row is the work, its task a nudge."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="monitorings", db_index=False
    )
    champion = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)
    figures = models.JSONField(default=dict)  # docs/monitoring.md says what is in it
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_monitoring_at_once",
            ),
        ]
        indexes = [models.Index(fields=["platform", "-id"], name="monitoring_by_newest")]

    def __str__(self) -> str:
        return f"monitoring {self.pk}"


class AlertBounds(models.Model):
    """Where bounds differ from the usual ones (drift.BOUNDS): of one policy, or (none) of the
    platform's own figures."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, related_name="+")
    bounds = models.JSONField(default=dict)  # {figure: [opens, closes]}
    changed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "alert bounds"
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "policy"],
                nulls_distinct=False,
                name="one_bounds_a_platform_and_policy",
            ),
        ]

    def __str__(self) -> str:
        return f"bounds of {self.policy_id or self.platform_id}"


class Alert(models.Model):
    """A figure is out of its bounds, from the look that saw it go to the one that saw it back."""

    class Figure(models.TextChoices):
        CALIBRATION = "calibration", _("Calibration")
        AGREEMENT = "agreement", _("Agreement with decisions")
        SCORE = "score", _("Drift of scores")
        LENGTH = "length", _("Drift of text length")
        LANGUAGE = "language", _("Drift of languages")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="alerts")
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, null=True, related_name="+")
    figure = models.CharField(max_length=12, choices=Figure.choices)
    bound = models.FloatField()  # the one that it crossed
    first_value = models.FloatField()
    value = models.FloatField()  # at the last look
    opened_by = models.ForeignKey(Monitoring, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True, db_default="")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "policy", "figure"],
                condition=Q(closed_at=None),
                nulls_distinct=False,
                name="one_open_alert_a_figure",
            ),
            models.CheckConstraint(
                condition=Q(acknowledged_by=None) | Q(acknowledged_at__isnull=False),
                name="an_acknowledged_alert_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}"


class AlertDelivery(models.Model):
    """One event of an alert on its way to the platform's address; tried until it is taken."""

    class Event(models.TextChoices):
        OPENED = "opened", _("Opened")
        CLOSED = "closed", _("Closed")

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=10, choices=Event.choices)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(db_default=0)
    delivered_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)  # given up after eight attempts
    error = models.CharField(max_length=300, blank=True, db_default="")

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [
            models.UniqueConstraint(fields=["alert", "event"], name="one_delivery_an_event"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(delivered_at=None, parked_at=None),
                name="alert_delivery_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} of {self.alert_id}"
