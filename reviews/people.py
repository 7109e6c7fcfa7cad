"""Who works on a platform: added, given roles, put to rest. Which queues somebody works is each
queue's own business (queues.staff) and stands in its revisions.

Roles, names and whether somebody may sign in hold on every platform of hers; so only an admin of
all of them changes these.
"""

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from . import access, audit, claims, queues, revisions
from .errors import Conflict, Forbidden
from .models import Person, Platform, Revision, Role
from .refusals import Refusals
from .wording import kept

Data = Mapping[str, Any]

LABELS = {
    "first_name": lazy("First name"),
    "last_name": lazy("Last name"),
    "email": "E-mail",
    "roles": lazy("Roles"),
    "is_active": lazy("May sign in"),
    "is_member": lazy("On this platform"),
}
_NAMES = {"first_name": 150, "last_name": 150}


def read(person: Person, platform: Platform) -> dict[str, Any]:
    """The person as she stands on this platform, as data."""
    roles = person.groups.filter(name__in=Role.values).values_list("name", flat=True)
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "roles": sorted(roles),
        "is_active": person.is_active,
        "is_member": platform.members.filter(pk=person.pk).exists(),
    }


def create_person(
    platform: Platform, username: str, data: Data, *, by: Person | None, note: str = ""
) -> Person:
    """Somebody new, who cannot sign in before she has set a password by a link of hers."""
    access.check(by, "person.edit", platform)
    details = {}
    try:
        UnicodeUsernameValidator()(username)
        if not 1 <= len(username) <= 150:
            raise ValidationError("length")
    except ValidationError:
        details["username"] = [_("Use letters, digits and @ . + - _ only, 1 to 150 of them.")]
    if username.lower().startswith("token-"):
        details["username"] = [_("Names that start with token- belong to API tokens.")]
    elif username in ("new", "link"):
        details["username"] = [_("This is the address of a page here. Choose another name.")]
    elif Person.objects.filter(username__iexact=username).exists():
        details["username"] = [_("Somebody has this name. Choose another.")]
    data = {"first_name": "", "last_name": "", "email": "", "roles": [], **data}
    with transaction.atomic():
        person = Person(username=username)
        _check(person, data, more=details)
        person.set_unusable_password()
        try:
            with transaction.atomic():
                _apply(person, data)
        except IntegrityError:
            raise Conflict(
                _("Somebody else was added as %(username)s just now.") % {"username": username}
            ) from None
        platform.members.add(person)
        revisions.record(person, read(person, platform), by=by, platform=platform, note=note)
    return person


def save_person(
    person: Person,
    platform: Platform,
    data: Data,
    *,
    by: Person | None,
    seen: int | None = None,
    note: str = "",
    restores: Revision | None = None,
) -> Person:
    """Names, e-mail and roles. Nobody takes her own admin role; one active admin stays."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        person = _locked(person, platform, by)
        revisions.check_seen(person, seen, platform=platform)
        before = read(person, platform)
        wanted = {name: data[name] for name in (*_NAMES, "email", "roles") if name in data}
        data = {**before, **wanted}
        loses_admin = Role.ADMIN in before["roles"] and Role.ADMIN not in data["roles"]
        more: dict[str, list[str]] = {}
        if loses_admin and by is not None and by.pk == person.pk:
            more["roles"] = [_("You cannot take the admin role from yourself. Ask another admin.")]
        elif loses_admin and not _other_admins(person, platform):
            more["roles"] = [_("She is the only admin here. Make somebody else one first.")]
        if not _may_work(data["roles"]) and (names := _queue_names(person)):
            text = _("Without a role that reviews she cannot work %(names)s. Take her out.") % {
                "names": ", ".join(names)
            }
            more.setdefault("roles", []).append(text)
        _check(person, data, more=more)
        revisions.keep_first(person, before, platform=platform)
        _apply(person, data)
        revisions.record(
            person,
            read(person, platform),
            by=by,
            platform=platform,
            note=note,
            restores=restores,
        )
    return person


def put_back(
    person: Person,
    platform: Platform,
    number: int,
    *,
    by: Person | None,
    seen: int | None = None,
) -> Person:
    """Names, e-mail and roles as revision `number` kept them; whether she may sign in stays."""
    access.check(by, "person.edit", platform)
    revision = revisions.get(person, number, platform=platform)
    with revisions.putting_back(number):
        return save_person(person, platform, revision.data, by=by, seen=seen, restores=revision)


def deactivate_person(person: Person, platform: Platform, *, by: Person | None) -> Person:
    """She is signed out at once and cannot sign in; what she held waits for others again."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        person = _locked(person, platform, by)
        if not person.is_active:
            return person
        _check_leaves(person, platform, by=by, whom="deactivate")
        revisions.keep_first(person, read(person, platform), platform=platform)
        for own in person.platforms.order_by("pk"):
            queues.staff(person, own, (), by=by, is_leaving=True)
        claims.take_back(
            person, by=by, platform_id=platform.pk, queues=None, reason=kept("Signs in no more.")
        )
        person.is_active = False
        person.save(update_fields=["is_active"])
        _end_sessions(person)
        revisions.record(person, read(person, platform), by=by, platform=platform)
    return person


def reactivate_person(person: Person, platform: Platform, *, by: Person | None) -> Person:
    """She may sign in again, in no queue yet."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        person = _locked(person, platform, by)
        if person.is_active:
            return person
        revisions.keep_first(person, read(person, platform), platform=platform)
        person.is_active = True
        person.save(update_fields=["is_active"])
        revisions.record(person, read(person, platform), by=by, platform=platform)
    return person


def remove_person(person: Person, platform: Platform, *, by: Person | None) -> Person:
    """Off this platform: nothing of it exists for her any more. Her past answers stay hers."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        if not platform.members.filter(pk=person.pk).exists():
            return person
        _check_leaves(person, platform, by=by, whom="remove")
        revisions.keep_first(person, read(person, platform), platform=platform)
        queues.staff(person, platform, (), by=by, is_leaving=True)
        platform.members.remove(person)
        revisions.record(person, read(person, platform), by=by, platform=platform)
    return person


def add_again(person: Person, platform: Platform, *, by: Person | None) -> Person:
    """Back on the platform she was removed from, in no queue yet."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        if platform.members.filter(pk=person.pk).exists():
            return person
        platform.members.add(person)
        revisions.record(person, read(person, platform), by=by, platform=platform)
    return person


def record_link(person: Person, platform: Platform, *, by: Person) -> None:
    """A link that sets her password is about to be shown to `by`: who asked for it is kept."""
    access.check(by, "person.edit", platform)
    with transaction.atomic():
        person = _locked(person, platform, by)
        if not person.is_active:
            raise Conflict(
                _("%(username)s may not sign in. Reactivate her first.")
                % {"username": person.username}
            )
        audit.record("person.link", person, by=by, platform=platform)


def _locked(person: Person, platform: Platform, by: Person | None) -> Person:
    """The person, with everything that decides whether she may change held still."""
    Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
    person = Person.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not platform.members.filter(pk=person.pk).exists():
        raise Conflict(
            _("%(username)s is no longer on this platform. Add her again first.")
            % {"username": person.username}
        )
    elsewhere = set(person.platforms.values_list("pk", flat=True))
    if by is not None and elsewhere - access.platform_ids(by):
        raise Forbidden(
            _(
                "%(username)s also works on a platform that is not yours. An admin of both has "
                "to do this."
            )
            % {"username": person.username}
        )
    return person


def _check(person: Person, data: Data, *, more: Mapping[str, list[str]] | None = None) -> None:
    refuse = Refusals(more)
    for name, most in _NAMES.items():
        if len(data[name]) > most or "\x00" in data[name]:
            refuse(name, _("At most %(most)s characters, all of them printable.") % {"most": most})
    if data["email"]:
        try:
            validate_email(data["email"])
        except ValidationError:
            refuse("email", _("This is not an e-mail address."))
        same = Person.objects.exclude(pk=person.pk).filter(email__iexact=data["email"])
        if same.exists():
            refuse("email", _("Somebody else has this address."))
    for role in data["roles"]:
        if role not in Role.values:
            refuse("roles", _("There is no role %(role)s.") % {"role": role})
    refuse.raise_any()


def _check_leaves(person: Person, platform: Platform, *, by: Person | None, whom: str) -> None:
    if by is not None and by.pk == person.pk:
        raise Conflict(_("You cannot %(whom)s yourself. Ask another admin.") % {"whom": whom})
    is_admin = person.is_active and person.groups.filter(name=Role.ADMIN).exists()
    if is_admin and not _other_admins(person, platform):
        raise Conflict(_("She is the only admin here. Make somebody else one first."))


def _other_admins(person: Person, platform: Platform) -> bool:
    rows = platform.members.filter(is_active=True, groups__name=Role.ADMIN)
    return rows.exclude(pk=person.pk).exists()


def _may_work(roles: Collection[str]) -> bool:
    return not access.GRANTS["job.claim"].roles.isdisjoint(roles)


def _queue_names(person: Person) -> list[str]:
    rows = person.queues.filter(is_archived=False).order_by("position", "pk")
    return list(rows.values_list("name", flat=True))


def _apply(person: Person, data: Data) -> None:
    for name in (*_NAMES, "email"):
        setattr(person, name, data[name].strip())
    person.save()
    others = list(person.groups.exclude(name__in=Role.values))
    person.groups.set([*Group.objects.filter(name__in=data["roles"]), *others])
    person.__dict__.pop("_roles", None)  # they were read before


def _end_sessions(person: Person) -> None:
    """Signed out at once, and not signed in again by an old cookie once she is back."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get("_auth_user_id") == str(person.pk):
            session.delete()
