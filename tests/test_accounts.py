"""Signing in: closed to strangers, with a second factor for who wants one."""

import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from .factories import make_platform, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _fresh_rate_limits():
    cache.clear()


@pytest.fixture
def rosa():
    person = make_person("rosa")
    person.set_password(PASSWORD)
    person.save()
    return person


def sign_in(client: Client, password: str = PASSWORD):
    return client.post("/accounts/login/", {"login": "rosa", "password": password})


def code_of(secret: str, *, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def activate_totp(client: Client) -> str:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    response = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert response.status_code == 302
    return secret


def test_nobody_signs_herself_up(client):
    response = client.post(
        "/accounts/signup/",
        {"username": "eve", "password1": PASSWORD, "password2": PASSWORD},
    )
    assert b"signup" not in response.headers.get("Location", "").encode()
    assert not type(make_person("rosa")).objects.filter(username="eve").exists()


def test_a_password_signs_in_and_a_wrong_one_does_not(client, rosa):
    assert sign_in(client, "wrong").status_code == 200
    assert "_auth_user_id" not in client.session
    assert sign_in(client).status_code == 302
    assert client.session["_auth_user_id"] == str(rosa.pk)


def test_guessing_is_slowed_down(client, rosa):
    answers = [sign_in(client, f"guess {n}").content for n in range(6)]
    assert b"Too many failed login attempts" in answers[-1]
    assert b"Too many" in sign_in(client).content


def test_a_second_factor_is_asked_for_once_it_is_set_up(client, rosa):
    sign_in(client)
    secret = activate_totp(client)
    assert secret not in str(list(Authenticator.objects.values_list("data", flat=True)))
    client.logout()

    response = sign_in(client)
    assert response["Location"].startswith("/accounts/2fa/authenticate/")
    assert "_auth_user_id" not in client.session
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "_auth_user_id" not in client.session
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret, steps=1)})
    assert client.session["_auth_user_id"] == str(rosa.pk)


def test_a_recovery_code_signs_in_once(client, rosa):
    sign_in(client)
    activate_totp(client)
    codes = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()
    for expected in (True, False):
        client.logout()
        sign_in(client)
        client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert ("_auth_user_id" in client.session) is expected


def test_the_code_to_scan_is_shown_after_the_password_was_asked_for_again(page, live_app, rosa):
    page.goto(f"{live_app}/accounts/login/?next=/accounts/2fa/totp/activate/")
    page.fill("input[name=login]", "rosa")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/reauthenticate/**")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/totp/activate/")
    assert page.locator(".qr svg").is_visible()


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_who_is_deactivated_is_out_with_the_next_click(client, rosa):
    client.force_login(rosa)
    assert is_signed_in(client)
    type(rosa).objects.filter(pk=rosa.pk).update(is_active=False)
    assert not is_signed_in(client)


def test_a_changed_password_ends_the_sessions_made_with_the_old_one(client, rosa):
    client.force_login(rosa)
    rosa.set_password("another horse battery")
    rosa.save()
    assert not is_signed_in(client)


def test_a_session_ends_when_its_time_is_over(client, rosa):
    client.force_login(rosa)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_signed_in(client)


def test_a_session_that_is_not_there_signs_nobody_in(client, rosa):
    client.force_login(rosa)
    Session.objects.all().delete()
    assert not is_signed_in(client)


def test_a_role_and_a_platform_taken_away_are_gone_with_the_next_click(client, rosa):
    platform = make_platform()
    platform.members.add(rosa)
    queue = make_queue(platform=platform, members=[rosa])
    client.force_login(rosa)
    desk = f"/review/{queue.slug}/"
    assert client.get(desk).status_code == 200
    platform.members.remove(rosa)
    assert client.get(desk).status_code == 404
    platform.members.add(rosa)
    assert client.get(desk).status_code == 200
    rosa.groups.clear()
    assert client.get(desk).status_code == 403


def test_redis_away_signs_nobody_out(client, rosa, settings):
    client.force_login(rosa)
    nowhere = {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/redis.sock?db=1"}
    settings.CACHES = {"default": nowhere}
    assert is_signed_in(client)


def test_who_acts_is_read_in_two_round_trips(client, rosa, django_assert_num_queries):
    client.force_login(rosa)
    client.get("/accounts/password/change/")
    with django_assert_num_queries(2 + 1):  # and what her bell counts
        client.get("/accounts/password/change/")
