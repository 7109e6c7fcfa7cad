"""Who calls: a program with a bearer token. (People come with their session, as on the pages.)"""

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from reviews.models import ApiToken, Person
from reviews.tokens import PREFIX, digest

# last_used_at tells a dead token from a living one; to the minute is enough.
_USE_NOTED_EVERY = timedelta(minutes=1)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer tc_…`. The person then acts with the token's scopes, not her roles."""

    def authenticate(self, request: Request) -> tuple[Person, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        text = words[1].decode("latin-1") if len(words) == 2 else ""
        token = None
        if text.startswith(PREFIX):
            tokens = ApiToken.objects.select_related("person", "platform")
            token = tokens.filter(digest=digest(text)).first()
        now = timezone.now()
        # One answer for unknown, ended and out of date: a guesser learns nothing.
        if token is None or not token.is_live(now) or not token.person.is_active:
            raise AuthenticationFailed("This token is unknown, revoked or out of date.")
        if token.last_used_at is None or now - token.last_used_at > _USE_NOTED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        token.person.token = token
        return token.person, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "manage.py create_token"}
