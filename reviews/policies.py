"""Policies: the rule itself (name, key, place), and its dated versions.

A version in force is never edited and never goes: decisions point at it. One whose date is still
to come may be changed or withdrawn. Decisions pick the version in force by the database's clock.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from . import access, audit, claims, policy_texts, revisions
from .errors import Conflict, Invalid
from .models import Person, Platform, Policy, PolicyVersion, Revision
from .policy_texts import MAX_NAME, Errors, Text

MAX_SLUG = 40
# Nobody changes a version in its last moments before it takes effect: a decision made meanwhile
# would point at words that were changed after it read them.
TOO_LATE = timedelta(seconds=5)

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN_SLUGS = frozenset({"new"})  # the page that makes one
_KEY = re.compile(r"[a-z1-9]")


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
    checked = policy_texts.read_text(text, errors)
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
    return _save(policy, values, by=by, note=policy_texts.one_line(note)[:300], seen=seen)


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
    checked = policy_texts.read_text(text, errors)
    with transaction.atomic():
        policy = _lock(policy)
        at = _effective(effective_at, claims.clock(), errors)
        _refuse(errors)
        now = policy.versions.in_force().first()
        if now is not None and policy_texts.text_of(now) == checked:
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
    checked = policy_texts.read_text(text, errors)
    with transaction.atomic():
        _lock(version.policy)
        version = _scheduled(version)
        before = policy_texts.kept(policy_texts.text_of(version))
        before["effective_at"] = version.effective_at.isoformat()
        version.effective_at = _effective(effective_at, claims.clock(), errors)
        _refuse(errors)
        for name, value in checked._asdict().items():
            setattr(version, name, value)
        version.save()
        after = policy_texts.kept(checked) | {"effective_at": version.effective_at.isoformat()}
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
            text=policy_texts.kept(policy_texts.text_of(version)),
        )
        version.delete()


def put_back_version(
    version: PolicyVersion, *, by: Person | None, effective_at: datetime | None = None
) -> PolicyVersion:
    """What an old version said, as a new version, through the same checks."""
    return add_version(
        version.policy,
        by=by,
        text=policy_texts.text_of(version)._asdict(),
        effective_at=effective_at,
        restores=version,
    )


def versions_of(policy: Policy) -> QuerySet[PolicyVersion]:
    """Newest first, each with its state."""
    rows = policy.versions.with_state().select_related("created_by", "policy")
    return rows.order_by("-number")


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
    clean = policy_texts.one_line(name)
    if not 0 < len(clean) <= MAX_NAME:
        errors["name"] = [
            _("Give a name of 1 to %(max_name)s characters.") % {"max_name": MAX_NAME}
        ]
    key = policy_texts.one_line(key).lower()
    if key and not _KEY.fullmatch(key):
        errors["key"] = [_("Give one letter, or a digit from 1 to 9, or none.")]
    number = policy_texts.whole(position)
    if number is None or not 0 <= number <= 32_767:
        errors["position"] = [_("Give a whole number from 0 to 32,767.")]
    return {"name": clean, "key": key, "position": number}


def _refuse(errors: Errors) -> None:
    if errors:
        raise Invalid(_("Nothing was saved: see what is marked below."), details=errors)
