"""What an item said, taken out for good. That it was here, and what was decided, stays.

Reviews, decisions and audit entries are never edited: they name versions and hold no content.
"""

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import (
    access,
    audit,
    claims,
    consultations,
    media,
    notes,
    notifications,
    questions,
    search_entries,
)
from .errors import Invalid
from .models import Item, Job, Notification, Person, ThreadPlace, content_hash
from .wording import kept

_REASON = kept("its item was erased")


def erase_item(item: Item, *, by: Person | None, reason: str) -> Item:
    """Blank every version, report text and note of this item, erase the media that only it shows,
    withdraw its jobs. Twice is once.

    A version that comes in later is new content: it is stored and reviewed as any other.
    """
    access.check(by, "item.erase", item.platform_id)
    reason = reason.strip()
    if not reason:
        raise Invalid(_("Say why it is erased."), details={"reason": "required"})
    with transaction.atomic():
        item = Item.objects.select_for_update(no_key=True).get(pk=item.pk)
        if item.erased_at is not None:
            return item
        held = Job.objects.filter(item=item, state=Job.State.CLAIMED, is_prefetched=False)
        holders = list(held.values_list("claimed_by", flat=True))
        cancelled = claims.cancel_open([item.pk], reason=_REASON)
        versions = item.versions.update(content={}, content_hash=content_hash({}))
        erased_media = media.erase_uses(item)
        search_entries.forget_items([item.pk])
        reports = item.reports.exclude(text="").update(text="")
        noted = notes.erase_notes(item)
        consultations.erase_consultations(item)
        questions.erase_questions(item)
        ThreadPlace.objects.filter(item=item).delete()
        # Its fingerprint is made of the text; this one is nobody else's.
        Item.objects.filter(pk=item.pk).update(erased_at=Now(), fingerprint=f"erased{item.pk:026x}")
        item.refresh_from_db()
        audit.record(
            "item.erase",
            item,
            by=by,
            platform=item.platform_id,
            reason=reason[:500],
            versions=versions,
            reports=reports,
            jobs=cancelled,
            notes=noted,
            media=erased_media,
        )
        notifications.tell(
            holders, Notification.Sort.TAKEN, by=by, platform=item.platform_id, item=item
        )
    return item
