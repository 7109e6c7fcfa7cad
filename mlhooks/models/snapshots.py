"""Frozen sets of labels."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from reviews.models import Person, Platform


class Snapshot(models.Model):
    """A frozen, hashed, versioned set of labels with a leak-safe split."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        BUILDING = "building", _("Building")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")
        WITHDRAWN = "withdrawn", _("Withdrawn")  # it held what was erased: its files are gone

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
    # The withdrawn version of which this one is all that is left.
    replaces = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="replaced_by"
    )
    withdrawn_at = models.DateTimeField(null=True)
    erased_items = models.PositiveIntegerField(default=0, db_default=0)  # why it was withdrawn
    # Erasures up to this position of the audit trail have been looked for in it.
    erasures_upto = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["platform", "number"], name="one_snapshot_per_number"),
            models.CheckConstraint(
                condition=models.Q(state="withdrawn", withdrawn_at__isnull=False)
                | ~models.Q(state="withdrawn") & models.Q(withdrawn_at=None),
                name="a_withdrawn_snapshot_says_when",
            ),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.number}"

    @property
    def withdrawn_because(self) -> str:
        """A sentence, in the language of whoever reads it; empty where it is not withdrawn."""
        if self.withdrawn_at is None:
            return ""
        return ngettext(
            "An item in it was erased.", "%(count)s items in it were erased.", self.erased_items
        ) % {"count": self.erased_items}
