"""Who did what to what, when. Append-only, and chained by hash; reviews/audit.py writes it."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from .content import Platform
from .people import Person


class AuditEntry(models.Model):
    """One deed. A trigger refuses DELETE, and any UPDATE but the sealing of a fresh row.

    Entries are sealed into the chain a moment after they commit (audit.seal): a chain written
    inside each transaction would make every decision wait for the one before it.
    """

    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.ForeignKey(
        Person, on_delete=models.PROTECT, null=True, related_name="deeds", db_index=False
    )
    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, null=True, related_name="+")
    verb = models.CharField(max_length=40)  # "decision.undo": the word access.py knows
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=40)
    data = models.JSONField(default=dict)
    position = models.BigIntegerField(null=True, unique=True)  # in the chain, from 1
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["target_type", "target_id"], name="audit_by_target"),
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
            models.Index(fields=["id"], condition=Q(position=None), name="audit_unsealed"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_type} {self.target_id}"
