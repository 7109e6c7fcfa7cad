"""API tokens: made once, shown once, kept as a hash."""

import hashlib
import secrets
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit
from .errors import Conflict, Invalid
from .models import ApiToken, Person, Platform

PREFIX = "tc_"


def create_token(
    name: str,
    *,
    platform: Platform,
    scopes: list[str],
    by: Person | None,
    days: int | None = None,
) -> tuple[ApiToken, str]:
    """A token for a program of `platform`, and its text: the only time it is known."""
    access.check(by, "token.create", platform)
    _check(name, scopes, days)
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        person, _created = Person.objects.get_or_create(
            username=f"token-{platform.slug}-{name}", defaults={"password": "!"}
        )
        try:
            with transaction.atomic():
                token = ApiToken.objects.create(
                    person=person,
                    platform=platform,
                    name=name,
                    digest=digest(text),
                    scopes=sorted(set(scopes)),
                    expires_at=None if days is None else Now() + timedelta(days=days),
                )
        except IntegrityError:
            raise Conflict(
                _("There is a token named %(name)s on %(platform)s already.")
                % {"name": name, "platform": platform}
            ) from None
        token.refresh_from_db()
        audit.record("token.create", token, by=by, platform=platform, scopes=token.scopes)
    return token, text


def revoke_token(token: ApiToken, *, by: Person | None) -> ApiToken:
    """End a token now; ending it again changes nothing."""
    access.check(by, "token.revoke", token.platform)
    with transaction.atomic():
        ended = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=Now())
        if ended:
            audit.record("token.revoke", token, by=by, platform=token.platform)
    token.refresh_from_db()
    return token


def digest(text: str) -> str:
    """Tokens carry 256 random bits, so a plain hash keeps them: nothing can be guessed from it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _check(name: str, scopes: list[str], days: int | None) -> None:
    details = {}
    if not name or len(name) > 80 or not name.isprintable():
        details["name"] = [_("Give a name of 1 to 80 characters.")]
    unknown = sorted(set(scopes) - set(access.SCOPES))
    if unknown or not scopes:
        words = (
            _("Unknown: %(unknown)s. The scopes are: %(scopes)s.")
            if unknown
            else _("Give at least one. The scopes are: %(scopes)s.")
        )
        told = {"unknown": ", ".join(unknown), "scopes": ", ".join(access.SCOPES)}
        details["scopes"] = [words % told]
    if days is not None and not 0 < days <= 3650:
        details["days"] = [_("Give a number of days from 1 to 3650.")]
    if details:
        raise Invalid(
            " ".join(message for messages in details.values() for message in messages),
            details=details,
        )
