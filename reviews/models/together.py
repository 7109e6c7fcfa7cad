"""What people tell each other about the work: notes left on items."""

from django.db import models
from django.db.models.functions import Now

from .content import Item
from .people import Person


class Note(models.Model):
    """Left on an item by one person for whoever looks at it next. Withdrawn, never deleted."""

    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="notes", db_index=False)
    author = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="notes", db_index=False
    )
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["item", "-id"], name="note_by_item")]

    def __str__(self) -> str:
        return f"note {self.pk} on {self.item_id}"
