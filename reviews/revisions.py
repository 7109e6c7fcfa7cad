"""The history of what people configure: record a state, list them, compare two.

A service that saves something configured calls record() in its transaction, after it has locked
the row. Putting an old state back is the same service, called with the old data.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from . import audit
from .errors import Conflict, Invalid, NotFound
from .models import Person, Platform, Revision
from .wording import kept


class Change(NamedTuple):
    """One field that differs; `lines` is a unified diff where it is long text."""

    name: str
    before: str
    after: str
    lines: list[str]


class Step(NamedTuple):
    """A revision and what it changed from the one before it."""

    revision: Revision
    changes: list[Change]


def record(
    target: Model,
    data: Mapping[str, Any],
    *,
    by: Person | None,
    platform: Platform | int,
    note: str = "",
    restores: Revision | None = None,
) -> Revision | None:
    """Write the next revision and its audit entry ("queue.save"); None if nothing changed."""
    kind = target._meta.model_name
    platform_id = platform if isinstance(platform, int) else platform.pk
    last = history(target, platform=platform_id).first()
    if last is not None and last.data == json.loads(json.dumps(data)):
        return None
    # Numbers go on over all platforms, where a thing (a person) belongs to several.
    number = history(target).values_list("number", flat=True).first() or 0
    revision = Revision.objects.create(
        platform_id=platform_id,
        target_type=kind,
        target_id=target.pk,
        number=number + 1,
        data=data,
        note=note,
        restores=restores,
        by=by,
    )
    changed = [change.name for change in compare(last.data if last else {}, data)]
    audit.record(
        f"{kind}.{'restore' if restores else 'save'}",
        target,
        by=by,
        platform=platform,
        revision=revision.number,
        changed=changed,
        **({"restores": restores.number} if restores else {}),
        **({"note": note} if note else {}),
    )
    return revision


def keep_first(target: Model, data: Mapping[str, Any], *, platform: Platform | int) -> None:
    """What was made before anybody saved it here (a demo, a migration) can be put back too: call
    this with its state as it is, in the transaction that is about to change it."""
    if not history(target, platform=platform).exists():
        note = kept("As it was before its first change here.")
        record(target, data, by=None, platform=platform, note=note)


def check_seen(
    target: Model, seen: int | None, *, platform: Platform | int | None = None
) -> Revision | None:
    """The newest revision; Conflict when it is not the one she saw (None: she does not say).

    0 is what she saw where nothing was kept yet. The caller holds the lock on the row.
    """
    last = history(target, platform=platform).first()
    newest = last.number if last else 0
    if seen is not None and seen != newest:
        who = last.by.username if last is not None and last.by else _("somebody else")
        raise Conflict(
            _("This was changed by %(who)s since you opened it. Nothing was saved.") % {"who": who},
            details={
                "seen": [
                    _("It was %(seen)s and is %(newest)s now.") % {"seen": seen, "newest": newest}
                ]
            },
        )
    return last


def history(target: Model, *, platform: Platform | int | None = None) -> QuerySet[Revision]:
    """All revisions of one thing (on one platform), newest first."""
    rows = Revision.objects.filter(target_type=target._meta.model_name, target_id=target.pk)
    if platform is not None:
        rows = rows.filter(platform=platform)
    return rows.select_related("by", "restores")


def get(target: Model, number: int, *, platform: Platform | int | None = None) -> Revision:
    """One revision, to put it back; NotFound when there is none of that number."""
    revision = history(target, platform=platform).filter(number=number).first()
    if revision is None:
        raise NotFound(_("There is no revision %(number)s of this.") % {"number": number})
    return revision


@contextmanager
def putting_back(number: int) -> Iterator[None]:
    """Around the save of an old state: what no longer passes is told as a matter of that state."""
    try:
        yield
    except Invalid as error:
        reasons = " ".join(dict.fromkeys(sum(error.details.values(), [])))
        raise Invalid(
            _("Revision %(number)s cannot be put back as it is: %(reasons)s")
            % {"number": number, "reasons": reasons},
            details=error.details,
        ) from None


def steps(target: Model, *, platform: Platform | int | None = None, most: int = 50) -> list[Step]:
    """Its newest revisions, each with what it changed."""
    rows = list(history(target, platform=platform)[: most + 1])
    found = [
        Step(newer, compare(older.data, newer.data))
        for newer, older in zip(rows, rows[1:], strict=False)
    ]
    if rows and len(rows) <= most:
        found.append(Step(rows[-1], []))  # the first: everything is new, nothing is a change
    return found


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Fields that differ, in the order of `after`, then what is gone."""
    names = [*after, *(name for name in before if name not in after)]
    changes = []
    for name in names:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        old_text, new_text = _as_text(old), _as_text(new)
        lines: list[str] = []
        if "\n" in old_text or "\n" in new_text:
            lines = list(
                difflib.unified_diff(old_text.splitlines(), new_text.splitlines(), lineterm="", n=2)
            )[2:]
        changes.append(Change(name, old_text, new_text, lines))
    return changes


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, Mapping) and not any(
        isinstance(one, Mapping | list) for one in value.values()
    ):
        return ", ".join(f"{name}: {_as_text(one)}" for name, one in value.items())
    if isinstance(value, Mapping | list):
        return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    return str(value)
