"""Listens to reviews: new item versions become due for scoring."""

from django.dispatch import receiver

from reviews.signals import item_submitted

from . import due


@receiver(item_submitted)
def mark_due(version_ids: list[int], **kwargs: object) -> None:
    """In the submission's own transaction: an item without its due row never exists."""
    due.mark_new_versions(version_ids)
