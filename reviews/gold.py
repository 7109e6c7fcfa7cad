"""Gold: decisions somebody vouches for, asked of others as a check (drawn by draws.py)."""

from django.db import transaction
from django.utils.translation import gettext as _

from . import access, audit
from .errors import Conflict
from .models import Decision, Gold, Item, Person


def mark(item: Item, *, by: Person) -> Gold:
    """A lead vouches for the decision that stands: the item may be asked of others as a check."""
    access.check(by, "draw.create", item.platform_id)
    with transaction.atomic():
        Item.objects.select_for_update(no_key=True).get(pk=item.pk)
        standing = Decision.objects.settled().filter(item=item).first()
        if standing is None:
            raise Conflict(_("Only an item whose decision stands can be gold. Decide it first."))
        gold, is_new = Gold.objects.update_or_create(
            item=item, defaults={"decision": standing, "marked_by": by}
        )
        audit.record(
            "gold.mark", item, by=by, platform=item.platform_id, decision=standing.pk, gold=gold.pk
        )
    return gold


def unmark(item: Item, *, by: Person) -> None:
    """It is not asked again; jobs that are out stay. Twice is once."""
    access.check(by, "draw.create", item.platform_id)
    with transaction.atomic():
        count, _rest = Gold.objects.filter(item=item).delete()
        if count:
            audit.record("gold.unmark", item, by=by, platform=item.platform_id)
