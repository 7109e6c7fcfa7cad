"""What items are found by. Written by search_entries.py, some seconds behind the rows it is of."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from .content import Item, Platform


class SearchEntry(models.Model):
    """One item's words, and how it stands, as terms of one index."""

    item = models.OneToOneField(
        Item, on_delete=models.CASCADE, primary_key=True, related_name="search_entry"
    )
    platform = models.ForeignKey(
        Platform, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    submitted_at = models.DateTimeField()
    terms = SearchVectorField()
    # Something changed that no new row tells of (its job went to another queue).
    is_due = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [
            GinIndex(fields=["terms"], name="search_by_terms"),
            models.Index(fields=["submitted_at", "item"], name="search_by_age"),
            models.Index(
                fields=["item"], condition=models.Q(is_due=True), name="search_entries_due"
            ),
        ]

    def __str__(self) -> str:
        return f"search entry of {self.item_id}"


class SearchProgress(models.Model):
    """How far the rows of one table have been read: up to `done_id`.

    Ids are given out before they commit. `ahead_id` was the newest row when the next transaction
    would have been `ahead_xid`: once all older ones have ended, everything up to it is there.
    """

    source = models.CharField(max_length=20, primary_key=True)
    done_id = models.BigIntegerField(default=0, db_default=0)
    ahead_id = models.BigIntegerField(default=0, db_default=0)
    ahead_xid = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.source} up to {self.done_id}"
