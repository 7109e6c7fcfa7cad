"""Frozen sets of labels."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from reviews.models import Person, Platform


class Snapshot(models.Model):
    """A frozen, hashed, versioned set of labels with a leak-safe split."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        BUILDING = "building", _("Building")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="snapshots")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    cutoff_id = models.BigIntegerField()  # decisions up to this id, as they stood at cutoff_at
    cutoff_at = models.DateTimeField()
    rows_expected = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    manifest = models.JSONField(default=dict)  # files, sha256, counts per split and label
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)  # of the process that builds it
    created_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "number"], name="one_snapshot_per_number"),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.number}"
