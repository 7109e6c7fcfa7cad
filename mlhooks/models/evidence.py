"""What is held against a model version before it may be promoted."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Person, Platform, Policy

from .versions import ModelVersion


class Evidence(models.Model):
    """One gathering of figures about a model version, beside the champion of that moment.

    The row is the work, its task a nudge. The newest one that is ready counts.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="+")
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="evidence"
    )
    champion = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    step = models.CharField(max_length=120, blank=True)
    figures = models.JSONField(default=dict)  # {"policies": {slug: {…}}, "speed": …}
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "evidence"
        constraints = [
            models.UniqueConstraint(
                fields=["model_version"],
                condition=Q(state__in=["waiting", "running"]),
                name="one_gathering_at_once",
            ),
        ]

    def __str__(self) -> str:
        return f"evidence {self.pk}"


class FunctionalCase(models.Model):
    """A text whose answer under a policy is beyond doubt, in the style of HateCheck (Röttger et al.
    2021): `functionality` names what it tries the model at."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="functional_cases")
    functionality = models.CharField(max_length=80)
    text = models.TextField()
    violates = models.BooleanField()
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["policy", "functionality"], name="cases_by_policy")]

    def __str__(self) -> str:
        return f"{self.functionality}: {self.text[:40]}"


class GateBounds(models.Model):
    """Where a policy's bounds differ from the usual ones (gates.GATES)."""

    policy = models.OneToOneField(
        Policy, on_delete=models.PROTECT, primary_key=True, related_name="gate_bounds"
    )
    bounds = models.JSONField(default=dict)  # {gate: bound}
    changed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "gate bounds"

    def __str__(self) -> str:
        return f"gates of {self.policy_id}"
