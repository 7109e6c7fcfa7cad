"""What a lead did to many jobs at once, and how to put it back."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .content import Platform
from .people import Person
from .work import Job, Queue


class BulkOperation(models.Model):
    """One deed over many jobs of a queue. `token` is its form's: sent twice, it is done once."""

    class Verb(models.TextChoices):
        ASSIGN = "assign", _("Assign")
        MOVE = "move", _("Move")
        CANCEL = "cancel", _("Cancel")
        RAISE = "raise", _("Raise")

    platform = models.ForeignKey(
        Platform, on_delete=models.PROTECT, related_name="operations", db_index=False
    )
    queue = models.ForeignKey(
        Queue, on_delete=models.PROTECT, related_name="operations", db_index=False
    )
    verb = models.CharField(max_length=10, choices=Verb.choices)
    filter = models.JSONField(default=dict)  # jobs.Filter; empty: chosen one by one
    parameters = models.JSONField(default=dict)  # {"to": …}, {"doublings": …}
    note = models.CharField(max_length=500, blank=True)
    count = models.PositiveIntegerField(default=0)
    skipped = models.JSONField(default=dict)  # {reason: how many}
    token = models.UUIDField(unique=True)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="operations")
    at = models.DateTimeField(db_default=Now(), editable=False)
    undone_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)
    undone_count = models.PositiveIntegerField(null=True)  # the rest had been touched since

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(undone_at=None, undone_by=None, undone_count=None)
                | Q(undone_at__isnull=False, undone_by__isnull=False, undone_count__isnull=False),
                name="an_undone_operation_says_by_whom",
            ),
        ]
        indexes = [models.Index(fields=["queue", "-id"], name="operation_by_queue")]

    def __str__(self) -> str:
        return f"{self.verb} {self.count} jobs"


class BulkChange(models.Model):
    """One job of an operation: its columns before, and as the operation left them."""

    operation = models.ForeignKey(
        BulkOperation, on_delete=models.CASCADE, related_name="changes", db_index=False
    )
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="changes")
    before = models.JSONField()
    after = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["operation", "job"], name="one_change_an_operation"),
        ]

    def __str__(self) -> str:
        return f"job {self.job_id} in operation {self.operation_id}"
