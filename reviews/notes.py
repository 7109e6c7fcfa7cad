"""Notes for the next reviewer: left on an item, shown where they cannot lead a blind answer."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit, blind, notifications
from .errors import Conflict, Forbidden, Invalid
from .models import Item, Job, Note, Person

MOST = 2_000  # characters
_Done = TypeVar("_Done")


def leave_note(item: Item, *, by: Person, text: str) -> Note:
    """For whoever looks at this item next. Sent twice in a row, it is left once."""
    access.check(by, "note.leave", item.platform_id)
    text = clean(text)
    with transaction.atomic():
        # Under the item's lock: an erasure blanks this note too, or comes first.
        item = Item.objects.select_for_update(no_key=True).get(pk=item.pk)
        if item.erased_at is not None:
            raise Conflict(_("This item was erased. Nobody will look at it again."))
        last = item.notes.order_by("-pk").first()
        if last and (last.author_id, last.text, last.withdrawn_at) == (by.pk, text, None):
            return last
        note = Note.objects.create(item=item, author=by, text=text)
        audit.record("note.leave", note, by=by, platform=item.platform_id, item=item.pk)
        notifications.tell_mentioned(text, by=by, platform=item.platform_id, item=item)
    return note


def leave_with(deed: Callable[[], _Done], *, job_id: int, by: Person, text: str) -> _Done:
    """Do something with a job and leave a note on its item, both or neither; no text, no note."""
    if not text.strip():
        return deed()
    with transaction.atomic():
        done = deed()
        leave_note(Item.objects.get(jobs=job_id), by=by, text=text)
    return done


def withdraw_note(note: Note, *, by: Person) -> None:
    """By its author: struck through from now on, and no longer shown to who judges."""
    access.check(by, "note.leave", note.item.platform_id)
    if note.author_id != by.pk:
        raise Forbidden(_("Only its author can withdraw a note."))
    with transaction.atomic():
        if Note.objects.filter(pk=note.pk, withdrawn_at=None).update(withdrawn_at=Now()):
            audit.record("note.withdraw", note, by=by, platform=note.item.platform_id)


def erase_notes(item: Item) -> int:
    """With its item, in the caller's transaction: a note may quote what the item said."""
    return item.notes.exclude(text="").update(text="")


def notes_on(item: Item, *, by: Person, open_jobs: Iterable[Job]) -> QuerySet[Note]:
    """Those of this item's notes that she may read, oldest first; her own always."""
    access.check(by, "note.view", item.platform_id)
    notes = item.notes.select_related("author").order_by("pk")
    return notes.filter(author=by) if blind.from_notes(by, open_jobs) else notes


def clean(text: str) -> str:
    """What a person wrote to others: PostgreSQL's text cannot hold a NUL."""
    text = text.replace("\x00", "\ufffd").strip()
    if not text:
        message = _("Write something first.")
        raise Invalid(message, details={"text": [message]})
    if len(text) > MOST:
        message = _("That is too long: %(length)d characters of %(most)d.")
        message %= {"length": len(text), "most": MOST}
        raise Invalid(message, details={"text": [message]})
    return text
