"""A platform's limits for the sake of its people, as leads and admins set them: read, checked and
saved as a whole, one revision each. A policy of the organisation; nothing here is medicine.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import access, comfort, revisions, wellness
from .errors import Invalid
from .models import (
    Limits,
    Person,
    Platform,
    Policy,
    PolicyVersion,
    Revision,
    Severity,
    Strength,
)

Data = Mapping[str, Any]


class Bound(NamedTuple):
    least: int
    most: int
    label: Any


NUMBERS = {
    "shift_hours": Bound(1, 24, gettext_lazy("A shift (hours)")),
    "rotation": Bound(0, 100, gettext_lazy("Severe items in a row")),
    "break_minutes": Bound(0, 240, gettext_lazy("A break after (minutes of work)")),
    "break_severe": Bound(0, 200, gettext_lazy("A break after (severe items)")),
    "break_length": Bound(1, 60, gettext_lazy("A break lasts (minutes)")),
    "keep_days": Bound(1, 365, gettext_lazy("What was looked at is kept (days)")),
}
LABELS = {
    **{name: bound.label for name, bound in NUMBERS.items()},
    "strength": gettext_lazy("Blur"),
    "budgets": gettext_lazy("Budgets (minutes in a shift)"),
    "harms": gettext_lazy("Harms of policies"),
    "covers_text": gettext_lazy("Text arrives covered"),
}
MOST_MINUTES = 1440
MOST_WORD = 40


class Row(NamedTuple):
    """A policy as the page shows it."""

    policy: Policy
    severity: Severity | None
    key: str  # of its harm, "" for none


def policies_of(platform: Platform) -> list[Row]:
    rows = platform.policies.filter(is_archived=False).annotate(
        severity=Subquery(
            PolicyVersion.objects.in_force().filter(policy=OuterRef("pk")).values("severity")[:1]
        )
    )
    return [
        Row(
            policy,
            Severity(policy.severity) if policy.severity else None,
            comfort.harm_of(policy.slug, policy.harm, policy.severity or 0),
        )
        for policy in rows
    ]


def harms_of(platform: Platform) -> dict[str, str]:
    """{harm: its words} of this platform, in the order of its policies."""
    found: dict[str, str] = {}
    for row in policies_of(platform):
        if row.key:
            found.setdefault(row.key, row.policy.harm or row.policy.name)
    return found


def read(platform: Platform) -> dict[str, Any]:
    """As they stand, as data: what a revision keeps and the form takes."""
    limits = wellness.limits_of(platform.pk)
    policies = platform.policies.filter(is_archived=False).order_by("slug")
    return {
        "shift_hours": limits.shift_hours,
        "budgets": dict(sorted(limits.budgets.items())),
        "rotation": limits.rotation,
        "break_minutes": limits.break_minutes,
        "break_severe": limits.break_severe,
        "break_length": limits.break_length,
        "strength": limits.strength,
        "keep_days": limits.keep_days,
        "harms": {one.slug: one.harm for one in policies if one.harm},
        "covers_text": [one.slug for one in policies if one.covers_text],
    }


def save_limits(
    platform: Platform,
    data: Data,
    *,
    by: Person | None,
    seen: int | None = None,
    note: str = "",
    restores: Revision | None = None,
) -> Limits:
    """All of it or nothing. Desks follow within seconds; what somebody holds is hers to finish."""
    access.check(by, "wellness.edit", platform)
    with transaction.atomic():
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        limits = Limits.objects.filter(platform=platform).first() or Limits(platform=platform)
        revisions.check_seen(limits, seen, platform=platform)
        before = read(platform)
        values = _checked(platform, {**before, **data})
        revisions.keep_first(limits, before, platform=platform)
        renamed = _set_harms(platform, values.pop("harms"), values.pop("covers_text"))
        values["budgets"] = {
            renamed.get(harm, harm): minutes for harm, minutes in values["budgets"].items()
        }
        for name, value in values.items():
            setattr(limits, name, value)
        limits.save()
        _rename_opt_outs(renamed)
        revisions.record(
            limits, read(platform), by=by, platform=platform, note=note, restores=restores
        )
    wellness.forget()
    return limits


def put_back(platform: Platform, number: int, *, by: Person | None, seen: int | None) -> Limits:
    """As revision `number` kept them, through the same checks; what is gone since is left out."""
    access.check(by, "wellness.edit", platform)
    revision = revisions.get(Limits(platform=platform), number, platform=platform)
    slugs = set(platform.policies.filter(is_archived=False).values_list("slug", flat=True))
    data = dict(revision.data)
    data["harms"] = {slug: word for slug, word in data["harms"].items() if slug in slugs}
    data["covers_text"] = [slug for slug in data["covers_text"] if slug in slugs]
    return save_limits(platform, data, by=by, seen=seen, restores=revision)


def _checked(platform: Platform, data: Data) -> dict[str, Any]:
    details: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for name, bound in NUMBERS.items():
        values[name] = _whole(data[name], bound.least, bound.most, name, details)
    values["strength"] = _whole(data["strength"], 1, len(Strength), "strength", details)
    values["budgets"] = {}
    for harm, minutes in data["budgets"].items():
        if minutes in ("", None):
            continue
        number = _whole(minutes, 1, MOST_MINUTES, f"budget:{harm}", details)
        values["budgets"][str(harm)[:80]] = number
    slugs = set(platform.policies.filter(is_archived=False).values_list("slug", flat=True))
    values["harms"] = {}
    for slug, word in data["harms"].items():
        word = " ".join(str(word).split())
        if slug not in slugs:
            details[f"harm:{slug}"] = [_("There is no such policy here.")]
        elif len(word) > MOST_WORD or "\x00" in word:
            details[f"harm:{slug}"] = [_("At most %(most)d characters.") % {"most": MOST_WORD}]
        elif word and word != comfort.NO_HARM and not comfort.harm_of(slug, word, 0):
            details[f"harm:{slug}"] = [_("Give it a word.")]
        elif word:
            values["harms"][slug] = word
    if unknown := sorted(set(data["covers_text"]) - slugs):
        details["covers_text"] = [_("There is no such policy here.") + " " + ", ".join(unknown)]
    values["covers_text"] = set(data["covers_text"])
    if details:
        raise Invalid(_("Some of this does not work yet. Nothing was saved."), details=details)
    return values


def _whole(
    value: object, least: int, most: int, name: str, details: dict[str, list[str]]
) -> int | None:
    try:
        number = int(str(value).strip())
    except ValueError:
        number = least - 1
    if least <= number <= most:
        return number
    details[name] = [
        _("Give a whole number from %(least)d to %(most)d.") % {"least": least, "most": most}
    ]
    return None


def _set_harms(
    platform: Platform, harms: Mapping[str, str], covers_text: set[str]
) -> dict[str, str]:
    """Returns {harm: new harm} of those that no policy carries any more, under that name."""
    before, changed = {}, []
    for row in policies_of(platform):
        policy = row.policy
        before[policy.slug] = row.key
        wanted = (harms.get(policy.slug, ""), policy.slug in covers_text)
        if wanted != (policy.harm, policy.covers_text):
            policy.harm, policy.covers_text = wanted
            changed.append(policy)
    if not changed:
        return {}
    Policy.objects.bulk_update(changed, ["harm", "covers_text"])
    after = {row.policy.slug: row.key for row in policies_of(platform)}
    left = set(after.values())
    return {
        old: after[slug]
        for slug, old in before.items()
        if old and old not in left and after[slug] not in ("", old)
    }


def _rename_opt_outs(renamed: Mapping[str, str]) -> None:
    """Whoever did not take it under the old word does not take it under the new one."""
    with connection.cursor() as cursor:
        for old, new in renamed.items():
            cursor.execute(
                "UPDATE reviews_wellbeing SET opt_outs = array_replace(opt_outs, %(old)s, %(new)s) "
                "WHERE opt_outs @> ARRAY[%(old)s]::varchar[]",
                {"old": old, "new": new},
            )
