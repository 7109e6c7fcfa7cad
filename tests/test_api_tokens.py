"""Tokens: made once, shown once, and what each may do."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from reviews import access, tokens
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import ApiToken, AuditEntry, Person
from tests.factories import make_kind, make_platform, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    platform = make_platform(slug="mail")
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, is_default=True)
    return platform


def client_with(text):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def create(platform, *scopes, name="ingest", **kw):
    return tokens.create_token(name, platform=platform, scopes=list(scopes), by=None, **kw)


def command(*arguments):
    out, err = StringIO(), StringIO()
    call_command("create_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_text_is_known_once_and_never_stored(platform):
    token, text = create(platform, "items:write", "items:read")

    assert text.startswith("tc_") and len(text) == 46
    assert text not in str(ApiToken.objects.values().get())
    assert token.scopes == ["items:read", "items:write"]
    assert token.person.username == "token-mail-ingest"
    assert not token.person.has_usable_password()
    entry = AuditEntry.objects.get(verb="token.create")
    assert entry.data == {"scopes": token.scopes}
    assert text not in str(entry.data)


def test_an_unknown_scope_is_told_which_there_are(platform):
    with pytest.raises(Invalid, match=r"Unknown: items:eat.*decisions:read, items:read"):
        create(platform, "items:eat")
    with pytest.raises(Invalid, match="at least one"):
        create(platform)


def test_a_name_is_taken_once_a_platform(platform):
    create(platform, "items:read")
    with pytest.raises(Conflict, match="named ingest"):
        create(platform, "items:read")
    create(make_platform(), "items:read")


def test_only_an_admin_makes_and_ends_tokens(platform):
    with pytest.raises(Forbidden):
        tokens.create_token(
            "x", platform=platform, scopes=["items:read"], by=make_person("lena", platform=platform)
        )
    ada = make_person("ada", platform=platform)
    token, _ = tokens.create_token("x", platform=platform, scopes=["items:read"], by=ada)
    tokens.revoke_token(token, by=ada)
    assert tokens.revoke_token(token, by=ada).revoked_at
    assert AuditEntry.objects.filter(verb="token.revoke", actor=ada).count() == 1


def test_the_command_prints_the_token_alone_on_standard_output(platform):
    out, err = command("ingest", "--scope", "items:write", "--days", "30")

    assert client_with(out.strip()).get("/api/v1/schema").status_code == 200
    assert "ingest on Platform" in err and "not shown again" in err
    token = ApiToken.objects.get()
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "--scope", "nope"), "The scopes are: decisions:read"),
        (("x",), "Give at least one"),
        (("x", "--scope", "items:read", "--days", "0"), "1 to 3650"),
        (("x", "--scope", "items:read", "--platform", "nope"), "--platform: mail"),
    ],
)
def test_the_command_says_what_is_wrong(platform, arguments, words):
    with pytest.raises(CommandError, match=words):
        command(*arguments)
    assert not ApiToken.objects.exists()


def test_the_command_asks_which_platform_where_there_are_two(platform):
    make_platform(slug="chat")
    with pytest.raises(CommandError, match="--platform: chat, mail"):
        command("x", "--scope", "items:read")


@pytest.mark.parametrize("header", ["Bearer tc_nope", "Bearer", "bearer tc_a b", "Bearer \xff"])
def test_an_unknown_token_is_nobody(platform, header):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    answer = client.get("/api/v1/queues")

    assert answer.status_code == 401
    assert answer.json()["error"].startswith("This token is unknown")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_without_a_token_or_a_session_nobody_is_answered(platform):
    answer = APIClient().get("/api/v1/queues")

    assert (answer.status_code, set(answer.json())) == (401, {"error", "details"})


def test_an_ended_token_is_nobody(platform):
    expired, expired_text = create(platform, "queues:read", name="expired", days=1)
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    revoked, revoked_text = create(platform, "queues:read", name="revoked")
    tokens.revoke_token(revoked, by=None)
    left, left_text = create(platform, "queues:read", name="left")
    Person.objects.filter(pk=left.person_id).update(is_active=False)

    for text in (expired_text, revoked_text, left_text):
        assert client_with(text).get("/api/v1/queues").status_code == 401


def test_use_is_noted_to_the_minute(platform, django_assert_num_queries):
    token, text = create(platform, "queues:read")
    client_with(text).get("/api/v1/queues")
    first = ApiToken.objects.get().last_used_at
    client_with(text).get("/api/v1/queues")

    assert first is not None
    assert ApiToken.objects.get().last_used_at == first


CALLS = {
    ("POST", "/api/v1/items"): "items:write",
    ("GET", "/api/v1/items?external_id=m-1"): "items:read",
    ("GET", "/api/v1/items/0"): "items:read",
    ("POST", "/api/v1/reports"): "reports:write",
    ("GET", "/api/v1/queues"): "queues:read",
    ("GET", "/api/v1/policies"): "policies:read",
    ("GET", "/api/v1/decisions"): "decisions:read",
}


@pytest.mark.parametrize(("method", "path"), list(CALLS))
def test_each_call_takes_its_own_scope_and_no_other(platform, method, path):
    needed = CALLS[method, path]
    _, with_it = create(platform, needed, name="with")
    _, without = create(platform, *(set(access.SCOPES) - {needed}), name="without")

    allowed = client_with(with_it).generic(method, path, "{}", content_type="application/json")
    refused = client_with(without).generic(method, path, "{}", content_type="application/json")
    assert allowed.status_code in (200, 404, 422)
    assert refused.status_code == 403
    assert needed in refused.json()["error"]


def test_a_token_has_no_roles(platform):
    token, text = create(platform, "queues:read")
    from django.contrib.auth.models import Group

    token.person.groups.add(Group.objects.get(name="admin"))
    assert client_with(text).post("/api/v1/items", {}, format="json").status_code == 403
