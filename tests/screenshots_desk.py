"""Pictures of the desk in a reviewer's hands: what each key opens, what is refused, what is lost;
and of the doors in front of it, for who comes without a password or too often."""

import pytest

from reviews import claims
from reviews.models import Queue
from tests.browsing import press_and_wait, settle
from tests.pictures import Camera
from tests.screenshots_day import Day

DESK = "/review/spam-and-scams/"
# What is pressed on a fresh desk, and what has come when it is done.
OPENED = {
    "desk-keys": ("?", "#keys[open]"),
    "desk-escalate": ("e", "#_escalate[open]"),
    "desk-skip": ("s", "#_skip[open]"),
    "desk-ask": ("c", "#_aside form"),
    "desk-note": ("m", "#_aside form"),
    "desk-question": ("q", "#_aside form"),
    "desk-policies": ("/sp", ".option.marked"),
    "desk-missing": (("Enter",), ".is-missing"),
    "desk-marking": (("1", "k", "Enter"), "#spans li"),
}


@pytest.fixture
def day(live_app):
    return Day()


@pytest.fixture
def camera(live_app, new_page, sign_in):
    return Camera(live_app, new_page, sign_in)


def test_pictures_of_the_desk_in_use(day, camera, live_app, new_page, sign_in):
    rosa = day.people["rosa"]
    page = new_page(reduced_motion="reduce")
    sign_in(page, rosa)
    for shot, (keys, sign) in OPENED.items():
        page.goto(live_app + DESK)
        page.locator("#_deeper.deeper:not([hx-get])").wait_for()
        settle(page)
        for key in keys:
            page.keyboard.press(key)
        page.locator(sign).first.wait_for()
        camera.shoot(page, shot)
    page.goto(live_app + DESK)
    settle(page)
    press_and_wait(page, "0", "Enter")
    camera.shoot(page, "desk-undo")
    page.keyboard.press("n")
    page.keyboard.type("The same text as this morning, from another account.")
    page.keyboard.press("Escape")
    for job in claims.live_claims(rosa):
        claims.release(job.pk, job.claim_token, by=rosa)
    for key in ("0", "Enter"):
        page.keyboard.press(key)
    page.get_by_text("Your note is kept below").wait_for()
    camera.shoot(page, "desk-lost")
    page.context.clear_cookies(name="sessionid")
    page.goto(live_app + DESK)
    camera.shoot(page, "desk-signed-out")
    assert camera.too_wide == []


def test_pictures_of_what_the_desk_refuses(day, camera, live_app, new_page, sign_in):
    """Without the script, where a refusal is a page of its own."""
    rosa = day.people["rosa"]
    page = new_page(java_script_enabled=False)
    sign_in(page, rosa)
    page.goto(live_app + DESK)
    page.locator("#note").fill("The same text as this morning, from another account.")
    for job in claims.live_claims(rosa):
        claims.release(job.pk, job.claim_token, by=rosa)
    page.get_by_label("Nothing here breaks a rule").check()
    page.get_by_role("button", name="Decide and go on").click()
    page.get_by_text("Your note is kept here").wait_for()
    camera.shoot(page, "refused-lost")
    for slug in ("spam-and-scams", "posts"):
        claims.claim_next(Queue.objects.get(slug=slug), by=rosa)
    camera.take(rosa, {"refused-both-held": "/review/adult/"})
    assert camera.too_wide == []


def test_pictures_of_the_doors(day, camera, live_app, new_page, sign_in):
    page = new_page(reduced_motion="reduce")
    page.goto(f"{live_app}/accounts/login/?next=/queues/")
    page.get_by_label("Name").fill("rosa")
    page.get_by_label("Password").fill("not hers")
    page.get_by_role("button", name="Sign in").click()
    page.locator(".errorlist").wait_for()
    camera.shoot(page, "sign-in-wrong")
    ada = new_page(reduced_motion="reduce")
    sign_in(ada, day.people["ada"])
    ada.goto(f"{live_app}/setup/people/remy/")
    ada.locator("form[action$='/link/'] button").click()
    camera.shoot(ada, "person-link")
    page.goto(ada.locator("#link").input_value())
    camera.shoot(page, "sign-in-first")
    camera.shoot_template("too-many", "429.html")
    camera.take(
        day.people["rosa"],
        {
            "second-factor-new": "/accounts/2fa/totp/activate/",
            "reauthenticate": "/accounts/reauthenticate/",
        },
    )
    assert camera.too_wide == []
