"""What was configured when, and by whom: every saved state of a queue, kind, policy, action …"""

from django.db import models
from django.db.models.functions import Now

from .content import Platform
from .people import Person


class Revision(models.Model):
    """One saved state of one configured thing, whole. Never edited; putting back writes a new one.

    `data` is what its form takes, by the slugs and names people see, so that an old state can be
    read, compared and saved again through the same checks.
    """

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="revisions")
    target_type = models.CharField(max_length=40)
    target_id = models.BigIntegerField()
    number = models.PositiveIntegerField()
    data = models.JSONField()
    note = models.CharField(max_length=300, blank=True)
    restores = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["target_type", "target_id", "number"], name="one_revision_per_number"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target_type} {self.target_id}, revision {self.number}"
