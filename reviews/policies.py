"""Policies: the rule itself (name, key, place), and its dated versions.

A version in force is never edited and never goes: decisions point at it. One whose date is still
to come may be changed or withdrawn. Decisions pick the version in force by the database's clock.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from . import access, audit, claims, revisions
from .errors import Conflict, Invalid
from .models import Person, Platform, Policy, PolicyVersion, Revision, Severity
from .wording import figure

MAX_NAME = 80
MAX_SLUG = 40
MAX_SUMMARY = 200
MAX_DEFINITION = 20_000
MAX_EXAMPLES = 200
MAX_EXAMPLE = 2_000
MAX_WEIGHT = 10_000.0
MAX_LEVEL = 60
# Nobody changes a version in its last moments before it takes effect: a decision made meanwhile
# would point at words that were changed after it read them.
TOO_LATE = timedelta(seconds=5)

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN_SLUGS = frozenset({"new"})  # the page that makes one
_KEY = re.compile(r"[a-z1-9]")

Errors = dict[str, list[str]]


class Text(NamedTuple):
    """What a version says, checked."""

    summary: str
    definition: str
    examples: list[str]
    counter_examples: list[str]
    severity: int
    severity_weight: float
    legal_category: str
    severity_levels: list[str] = []


def create_policy(
    platform: Platform,
    *,
    by: Person | None,
    slug: str,
    name: str,
    key: str = "",
    position: object = 0,
    text: Mapping[str, Any],
    effective_at: datetime | None = None,
) -> Policy:
    """A new policy with its first version, in force at once or from `effective_at` on."""
    access.check(by, "policy.edit", platform)
    errors: Errors = {}
    slug = str(slug).strip()
    if len(slug) > MAX_SLUG or not _SLUG.fullmatch(slug):
        errors["slug"] = [_("Give small letters, digits and hyphens, such as hate-speech.")]
    elif slug in _TAKEN_SLUGS:
        errors["slug"] = [
            _("%(slug)s cannot be used: a page of ours has this name.") % {"slug": slug}
        ]
    values = _own(name, key, position, errors)
    checked = _text(text, errors)
    now = claims.clock()
    at = _effective(effective_at, now, errors)
    _refuse(errors)
    with transaction.atomic():
        try:
            with transaction.atomic():
                policy = Policy.objects.create(platform=platform, slug=slug, **values)
        except IntegrityError as error:
            taken = _("There is a policy of this name already.")
            raise Invalid(taken, details={"slug": [taken]}) from error
        revisions.record(policy, as_data(policy), by=by, platform=platform)
        _write(policy, checked, at, by=by)
    return policy


def save_policy(
    policy: Policy,
    *,
    by: Person | None,
    name: str,
    key: str,
    position: object,
    note: str = "",
    seen: int | None = None,
) -> Policy:
    """Its name, key and place. What it says is in its versions."""
    access.check(by, "policy.edit", policy.platform_id)
    errors: Errors = {}
    values = _own(name, key, position, errors)
    _refuse(errors)
    return _save(policy, values, by=by, note=_line(note)[:300], seen=seen)


def put_back(policy: Policy, number: int, *, by: Person | None, seen: int | None = None) -> Policy:
    """A former name, key and place, through the same checks."""
    access.check(by, "policy.edit", policy.platform_id)
    old = revisions.get(policy, number)
    errors: Errors = {}
    data = old.data
    values = _own(data.get("name"), data.get("key", ""), data.get("position"), errors)
    _refuse(errors)
    return _save(policy, values, by=by, seen=seen, restores=old)


def archive_policy(policy: Policy, *, by: Person | None, is_archived: bool = True) -> Policy:
    """No queue may judge it any more, or it may again. Its decisions stay."""
    access.check(by, "policy.edit", policy.platform_id)
    if is_archived:
        judging = policy.queues.filter(is_archived=False).values_list("name", flat=True)
        if judging:
            raise Conflict(
                _("It is judged in %(names)s. Take it out there first.")
                % {"names": ", ".join(judging)}
            )
    return _save(policy, {"is_archived": is_archived}, by=by)


def add_version(
    policy: Policy,
    *,
    by: Person | None,
    text: Mapping[str, Any],
    effective_at: datetime | None = None,
    restores: PolicyVersion | None = None,
) -> PolicyVersion:
    """The next version, in force at once or from `effective_at` on (never in the past)."""
    access.check(by, "policy.edit", policy.platform_id)
    errors: Errors = {}
    checked = _text(text, errors)
    with transaction.atomic():
        policy = _lock(policy)
        at = _effective(effective_at, claims.clock(), errors)
        _refuse(errors)
        now = policy.versions.in_force().first()
        if now is not None and text_of(now) == checked:
            words = _("This says the same as version %(number)s, which is in force.") % {
                "number": now.number
            }
            raise Invalid(words, details={"definition": [words]})
        return _write(policy, checked, at, by=by, restores=restores)


def save_version(
    version: PolicyVersion,
    *,
    by: Person | None,
    text: Mapping[str, Any],
    effective_at: datetime | None = None,
) -> PolicyVersion:
    """Change a version whose date is still to come."""
    access.check(by, "policy.edit", version.policy.platform_id)
    errors: Errors = {}
    checked = _text(text, errors)
    with transaction.atomic():
        _lock(version.policy)
        version = _scheduled(version)
        before = as_words(text_of(version)) | {"effective_at": version.effective_at.isoformat()}
        version.effective_at = _effective(effective_at, claims.clock(), errors)
        _refuse(errors)
        for name, value in checked._asdict().items():
            setattr(version, name, value)
        version.save()
        after = as_words(checked) | {"effective_at": version.effective_at.isoformat()}
        changed = [change.name for change in revisions.compare(before, after)]
        audit.record(
            "policyversion.save",
            version,
            by=by,
            platform=version.policy.platform_id,
            policy=version.policy.slug,
            version=version.number,
            changed=changed,
            before={name: before[name] for name in changed},
            effective_at=version.effective_at.isoformat(),
        )
    return version


def withdraw_version(version: PolicyVersion, *, by: Person | None) -> None:
    """A version whose date is still to come goes; the trail keeps what it said."""
    access.check(by, "policy.edit", version.policy.platform_id)
    with transaction.atomic():
        _lock(version.policy)
        version = _scheduled(version)
        audit.record(
            "policyversion.withdraw",
            version,
            by=by,
            platform=version.policy.platform_id,
            policy=version.policy.slug,
            version=version.number,
            effective_at=version.effective_at.isoformat(),
            text=as_words(text_of(version)),
        )
        version.delete()


def put_back_version(
    version: PolicyVersion, *, by: Person | None, effective_at: datetime | None = None
) -> PolicyVersion:
    """What an old version said, as a new version, through the same checks."""
    return add_version(
        version.policy,
        by=by,
        text=text_of(version)._asdict(),
        effective_at=effective_at,
        restores=version,
    )


def versions_of(policy: Policy) -> QuerySet[PolicyVersion]:
    """Newest first, each with its state."""
    rows = policy.versions.with_state().select_related("created_by", "policy")
    return rows.order_by("-number")


def text_of(version: PolicyVersion) -> Text:
    return Text(
        version.summary,
        version.definition,
        list(map(str, version.examples)),
        list(map(str, version.counter_examples)),
        version.severity,
        version.severity_weight,
        version.legal_category,
        list(version.severity_levels),
    )


def as_words(text: Text) -> dict[str, str]:
    """For people and for comparing: lists as one line each."""
    return {
        "summary": text.summary,
        # Ends with a line break, so that even a one-line text is compared line by line.
        "definition": f"{text.definition}\n",
        "examples": "".join(f"{line}\n" for line in text.examples),
        "counter_examples": "".join(f"{line}\n" for line in text.counter_examples),
        "severity": _severity(text.severity),
        "severity_weight": f"{text.severity_weight:g}",
        "legal_category": text.legal_category,
        "severity_levels": "".join(f"{level}\n" for level in text.severity_levels),
    }


def check_text(text: Mapping[str, Any]) -> tuple[Text, Errors]:
    """What a version would say, and what is wrong with it."""
    errors: Errors = {}
    return _text(text, errors), errors


def compare(before: Text, after: Text) -> list[revisions.Change]:
    """What `after` changes, field by field; long texts as a unified diff."""
    return revisions.compare(as_words(before), as_words(after))


def in_words(old: Text, new: Text) -> str:
    """ "More severe (Medium to High); definition: 3 lines new, 1 line gone." """
    found = []
    if old.severity != new.severity:
        is_more = new.severity > old.severity
        words = (
            _("more severe (%(old)s to %(new)s)")
            if is_more
            else _("less severe (%(old)s to %(new)s)")
        )
        told = {"old": _severity(old.severity), "new": _severity(new.severity)}
        found.append(words % told)
    if old.severity_weight != new.severity_weight:
        told = {"old": figure(old.severity_weight), "new": figure(new.severity_weight)}
        found.append(_("weight in harm %(old)s to %(new)s") % told)
    for label, unit, one, other in (
        ("definition", " line", old.definition.splitlines(), new.definition.splitlines()),
        ("examples", "", old.examples, new.examples),
        ("counter-examples", "", old.counter_examples, new.counter_examples),
    ):
        if one != other:
            found.append(f"{label}: {_lines_changed(one, other, unit)}")
    if old.summary != new.summary:
        found.append(_("summary reworded"))
    if old.legal_category != new.legal_category:
        words = _("legal category: %(category)s")
        found.append(words % {"category": new.legal_category or _("none")})
    if old.severity_levels != new.severity_levels:
        words = _("levels: %(levels)s")
        found.append(words % {"levels": ", ".join(new.severity_levels) or _("none")})
    text = "; ".join(found) or _("says the same")
    return f"{text[:1].upper()}{text[1:]}."


def as_data(policy: Policy) -> dict[str, Any]:
    """What a revision keeps of it."""
    return {
        "name": policy.name,
        "key": policy.key,
        "position": policy.position,
        "is_archived": policy.is_archived,
    }


def _save(
    policy: Policy,
    values: Mapping[str, Any],
    *,
    by: Person | None,
    note: str = "",
    seen: int | None = None,
    restores: Revision | None = None,
) -> Policy:
    with transaction.atomic():
        policy = _lock(policy)
        revisions.check_seen(policy, seen)
        revisions.keep_first(policy, as_data(policy), platform=policy.platform_id)
        for name, value in values.items():
            setattr(policy, name, value)
        policy.save(update_fields=list(values))
        revisions.record(
            policy,
            as_data(policy),
            by=by,
            platform=policy.platform_id,
            note=note,
            restores=restores,
        )
    return policy


def _lock(policy: Policy) -> Policy:
    """One writer a policy: version numbers without gaps, and no edit beside another."""
    return Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)


def _scheduled(version: PolicyVersion) -> PolicyVersion:
    """The row as it is now, if it may still be changed."""
    found = PolicyVersion.objects.select_related("policy").filter(pk=version.pk).first()
    if found is None:
        raise Conflict(_("This version was withdrawn meanwhile."))
    if found.effective_at <= claims.clock() + TOO_LATE:
        raise Conflict(
            _(
                "Version %(number)s is in force: decisions point at it, so it stays as it is. "
                "Write a new version."
            )
            % {"number": found.number}
        )
    return found


def _write(
    policy: Policy,
    text: Text,
    at: datetime,
    *,
    by: Person | None,
    restores: PolicyVersion | None = None,
) -> PolicyVersion:
    newest = policy.versions.aggregate(Max("number"))["number__max"] or 0
    version = PolicyVersion.objects.create(
        policy=policy, number=newest + 1, created_by=by, effective_at=at, **text._asdict()
    )
    audit.record(
        "policyversion.create",
        version,
        by=by,
        platform=policy.platform_id,
        policy=policy.slug,
        version=version.number,
        effective_at=at.isoformat(),
        **({"restores": restores.number} if restores else {}),
    )
    return version


def _effective(at: datetime | None, now: datetime, errors: Errors) -> datetime:
    """None means now. Never in the past, so never before what is in force."""
    if at is None:
        return now
    if at <= now:
        errors["effective_at"] = [_("Choose a time to come, or let it take effect at once.")]
    elif at > now + timedelta(days=3660):
        errors["effective_at"] = [_("Choose a time within ten years.")]
    return at


def _own(name: object, key: object, position: object, errors: Errors) -> dict[str, Any]:
    clean = _line(name)
    if not 0 < len(clean) <= MAX_NAME:
        errors["name"] = [
            _("Give a name of 1 to %(max_name)s characters.") % {"max_name": MAX_NAME}
        ]
    key = _line(key).lower()
    if key and not _KEY.fullmatch(key):
        errors["key"] = [_("Give one letter, or a digit from 1 to 9, or none.")]
    number = _whole(position)
    if number is None or not 0 <= number <= 32_767:
        errors["position"] = [_("Give a whole number from 0 to 32,767.")]
    return {"name": clean, "key": key, "position": number}


def _text(text: Mapping[str, Any], errors: Errors) -> Text:
    summary = _line(text.get("summary"))
    if not 0 < len(summary) <= MAX_SUMMARY:
        errors["summary"] = [
            _("Say it in one line of at most %(max_summary)s characters.")
            % {"max_summary": MAX_SUMMARY}
        ]
    definition = _block(text.get("definition"))
    if not 0 < len(definition) <= MAX_DEFINITION:
        errors["definition"] = [
            _("Say what it forbids, in at most %(max_definition)s characters.")
            % {"max_definition": figure(MAX_DEFINITION)}
        ]
    legal = _line(text.get("legal_category"))
    if len(legal) > MAX_NAME:
        errors["legal_category"] = [_("At most %(max_name)s characters.") % {"max_name": MAX_NAME}]
    severity = _whole(text.get("severity"))
    if severity not in Severity.values:
        errors["severity"] = [_("Choose how severe a breach is.")]
    weight = _number(text.get("severity_weight"))
    if weight is None or not 0 < weight <= MAX_WEIGHT:
        errors["severity_weight"] = [
            _("Give a number above 0, at most %(max_weight)s.") % {"max_weight": figure(MAX_WEIGHT)}
        ]
    return Text(
        summary,
        definition,
        _examples(text.get("examples"), "examples", errors),
        _examples(text.get("counter_examples"), "counter_examples", errors),
        severity or 0,
        weight or 0.0,
        legal,
        _levels(text.get("severity_levels"), errors),
    )


def _levels(value: object, errors: Errors) -> list[str]:
    rows = value if isinstance(value, list | tuple) else []
    levels = [line for row in rows if (line := _line(row))]
    if len(levels) not in (0, 2, 3, 4) or len(set(levels)) < len(levels):
        errors["severity_levels"] = [_("Give two to four different words, or none.")]
    elif any(len(level) > MAX_LEVEL for level in levels):
        errors["severity_levels"] = [
            _("Each has at most %(max_level)s characters.") % {"max_level": MAX_LEVEL}
        ]
    return levels


def _examples(value: object, name: str, errors: Errors) -> list[str]:
    rows = value if isinstance(value, list | tuple) else []
    lines = list(dict.fromkeys(line for row in rows if (line := _line(row))))
    if len(lines) > MAX_EXAMPLES:
        errors[name] = [
            _("At most %(max_examples)s; these are %(count)s.")
            % {"max_examples": MAX_EXAMPLES, "count": figure(len(lines))}
        ]
    elif any(len(line) > MAX_EXAMPLE for line in lines):
        errors[name] = [
            _("Each has at most %(max_example)s characters.") % {"max_example": figure(MAX_EXAMPLE)}
        ]
    return lines


def _refuse(errors: Errors) -> None:
    if errors:
        raise Invalid(_("Nothing was saved: see what is marked below."), details=errors)


def _lines_changed(before: Sequence[str], after: Sequence[str], unit: str) -> str:
    before, after = ([line for line in lines if line.strip()] for lines in (before, after))
    new = gone = 0
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            gone += j - i
            new += m - k
    parts = [
        f"{count}{unit and (unit if count == 1 else f'{unit}s')} {what}"
        for count, what in ((new, "new"), (gone, "gone"))
        if count
    ]
    return ", ".join(parts) or _("spaced otherwise")


def _severity(value: int) -> str:
    return str(Severity(value).label) if value in Severity.values else ""


def _line(value: object) -> str:
    """One line of text as PostgreSQL can hold it."""
    return " ".join(value.replace("\x00", "").split()) if isinstance(value, str) else ""


def _block(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return value.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").strip()


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
