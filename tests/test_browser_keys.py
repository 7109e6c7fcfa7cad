"""Keys in Chromium: her own, none at all, and policies found by typing."""

import pytest

from reviews import keymap
from reviews.models import Job, Review
from tests.browsing import press_and_wait, settle
from tests.factories import make_policy
from tests.test_pages_all import World


@pytest.fixture
def world(live_app):
    return World(jobs=4)


def open_desk(page, live_app, world):
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)


def test_her_own_keys_stand_on_the_buttons_and_act_from_job_to_job(world, live_app, page, sign_in):
    rosa = world.people["rosa"]
    own = {"0": "k", "r": "", f"action:{world.remove.slug}": "d"}
    keymap.save_keys(rosa, by=rosa, own=own)
    sign_in(page, rosa)
    open_desk(page, live_app, world)
    for _ in range(2):
        assert page.locator("label:has([name=clean]) kbd").inner_text() == "K"
        page.keyboard.press("0")
        assert not page.locator("[name=clean]").is_checked()
        press_and_wait(page, "k", "Enter")
    page.keyboard.press("1")
    assert page.locator("[name=action]").first.is_checked()
    page.keyboard.press("d")
    assert not page.locator("[name=action]").first.is_checked()
    assert Review.objects.filter(verdict="clean").count() == 2


def test_enter_decides_after_the_mouse_pressed_something_else(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.locator("button.copy").first.click()
    press_and_wait(page, "0", "Enter")
    assert Review.objects.get().verdict == "clean"


def test_enter_presses_what_the_tab_key_came_to(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.keyboard.press("0")
    page.locator("[data-show-keys]").focus()
    page.keyboard.press("Enter")
    page.locator("dialog#keys[open]").wait_for()
    assert not Review.objects.exists()


def test_single_keys_can_be_turned_off(world, live_app, page, sign_in):
    rosa = world.people["rosa"]
    keymap.save_keys(rosa, by=rosa, own={}, off=True)
    sign_in(page, rosa)
    open_desk(page, live_app, world)
    for key in ("0", "1", "s", "?"):
        page.keyboard.press(key)
    assert page.locator("#_decide :checked").count() == 0
    assert page.locator("dialog[open]").count() == 0
    assert not page.locator(".foot kbd").first.is_visible()
    assert Job.objects.filter(claims__end="skipped").count() == 0
    page.get_by_role("button", name="keys").click()
    page.get_by_text("Single keys are off.").wait_for()


def test_a_key_of_another_alphabet_acts_by_its_place(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.evaluate(
        "document.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'т', code: 'KeyN', bubbles: true}))"
    )
    assert page.evaluate("document.activeElement.id") == "note"


def test_a_policy_among_hundreds_is_found_by_typing(world, live_app, page, sign_in):
    for number in range(200):
        policy = make_policy(platform=world.platform, slug=f"rule-{number}", name=f"Rule {number}")
        world.queue.policies.add(policy)
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.keyboard.press("/")
    page.keyboard.type("rule 142")
    assert page.locator("#policies .option:visible [name=policy]").count() == 1
    page.keyboard.press("Enter")
    assert page.locator("[name=policy][value=rule-142]").is_checked()
    assert "Rule 142" in page.locator("#announce").inner_text()
    press_and_wait(page, "Enter")
    found = Review.objects.get().findings.get(violates=True)
    assert found.policy_version.policy.slug == "rule-142"
