"""What the pages share on which something is configured: a draft shown before it is saved, and two
people saving the same thing at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from reviews import access, revisions
from reviews.errors import Conflict, Invalid, NotFound
from reviews.models import Person, Platform

Data = Mapping[str, Any]


class Meanwhile(NamedTuple):
    """What somebody else saved since she opened the form, and her own changes on top of it."""

    who: str
    changes: list[revisions.Change]  # theirs
    data: dict[str, Any]  # hers where she changed something, theirs elsewhere
    both: list[revisions.Change]  # what both changed: theirs → hers


def meanwhile(
    target: Model, seen: int, typed: Data, newest: Data, *, platform: Platform | None = None
) -> Meanwhile:
    """Nothing she typed is lost, and nothing the other saved is undone unawares."""
    rows = revisions.history(target, platform=platform)
    base_row = rows.filter(number=seen).first() or rows.last()
    base = base_row.data if base_row is not None else newest
    last = rows.first()
    data, theirs, hers = dict(newest), {}, {}
    for name, value in typed.items():
        if value != base.get(name):
            data[name] = value
            if name in newest and newest[name] not in (base.get(name), value):
                theirs[name], hers[name] = newest[name], value
    return Meanwhile(
        last.by.username if last is not None and last.by else _("somebody else"),
        revisions.compare(base, newest),
        data,
        revisions.compare(theirs, hers),
    )


def is_stale(error: Conflict) -> bool:
    return "seen" in error.details


def seen(request: HttpRequest) -> int | None:
    """The revision a small form (put back, archive) was shown at."""
    text = request.POST.get("seen", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def newest(target: Model, *, platform: Platform | None = None) -> int:
    row = revisions.history(target, platform=platform).first()
    return row.number if row is not None else 0


def platform_of(person: Person, slug: str = "") -> Platform:
    """Where something new belongs: her one platform, or the one she chose."""
    rows = Platform.objects.filter(pk__in=access.platform_ids(person)).order_by("name")
    if slug:
        rows = rows.filter(slug=slug)
    platform = rows.first()
    if platform is None and slug:
        raise NotFound(_("There is no such platform here."))
    if platform is None:
        raise Invalid(_("You belong to no platform yet. Ask an admin to add you to one."))
    return platform


def platforms_of(person: Person) -> list[Platform]:
    return list(Platform.objects.filter(pk__in=access.platform_ids(person)).order_by("name"))
