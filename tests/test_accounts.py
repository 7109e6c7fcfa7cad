"""Signing in: closed to strangers, with a second factor for who wants one."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

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
