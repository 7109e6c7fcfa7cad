"""A page of jobs in Chromium: by keyboard, what was never looked at, and without JavaScript."""

import pytest

from reviews.models import Decision, Job
from tests.browsing import settle
from tests.factories import make_item, make_job, make_policy
from tests.test_grids import World


@pytest.fixture
def world(live_app):
    world = World(jobs=24)
    world.queue.policies.add(make_policy(platform=world.platform, name="Violence", slug="violence"))
    return world


def open_page(page, live_app, world, sign_in):
    sign_in(page, world.rosa)
    page.goto(live_app + world.url)
    page.locator(".tile").first.wait_for()
    settle(page)


def all_seen(page):
    for tile in page.locator(".tile").all()[::4]:
        tile.evaluate("(tile) => tile.scrollIntoView({ block: 'center' })")
        page.wait_for_timeout(700)


def words(page, name):
    return page.locator(f"[data-{name}-words]").inner_text()


def test_a_page_is_decided_by_keyboard_alone(world, live_app, page, sign_in):
    open_page(page, live_app, world, sign_in)
    assert page.locator(".tile:focus .place").inner_text() == "1"
    for key in ("1", "ArrowRight", "ArrowRight", "0", "ArrowDown", " "):
        page.keyboard.press(key)
    page.locator("dialog#enlarged[open]").wait_for()
    for key in ("1", "ArrowRight", "1", "1", "Escape"):
        page.keyboard.press(key)
    page.locator("dialog#enlarged").wait_for(state="hidden")
    assert words(page, "marked") == "Decide the 3 you marked"
    settle(page)
    page.keyboard.press("Enter")
    page.get_by_text("3 answered.").wait_for()
    assert Decision.objects.filter(verdict="violating").count() == 2
    assert Decision.objects.filter(verdict="clean").count() == 1
    assert Job.objects.filter(state="claimed").count() == 21
    assert page.locator(".tile.done").count() == 3
    page.get_by_role("button", name="Undo item 1", exact=True).click()
    page.get_by_text("Taken back").wait_for()
    assert page.locator(".tile.done").count() == 2


def test_the_rest_counts_what_was_on_screen_and_nothing_else(world, live_app, new_page, sign_in):
    page = new_page(viewport={"width": 1000, "height": 700})
    open_page(page, live_app, world, sign_in)
    page.wait_for_timeout(900)
    seen = int("".join(filter(str.isdigit, words(page, "rest"))))
    assert 0 < seen < 24
    assert f"{24 - seen} not looked at yet" in page.locator("[data-unseen]").inner_text()
    page.keyboard.press("1")
    assert words(page, "rest") == f"Clean: the {seen - 1} you did not mark"
    page.keyboard.press("c")
    page.get_by_text(f"{seen - 1} answered.").wait_for()
    assert Decision.objects.count() == seen - 1
    assert not Decision.objects.exclude(verdict="clean").exists()
    all_seen(page)
    assert words(page, "rest") == f"Clean: the {24 - seen} you did not mark"


def test_a_claim_lost_meanwhile_is_said_on_its_tile(world, live_app, page, sign_in):
    world.queue.lease_seconds = 6
    world.queue.save()
    open_page(page, live_app, world, sign_in)
    lost = Job.objects.get(pk=int(page.locator(".tile").first.get_attribute("data-job")))
    Job.objects.filter(pk=lost.pk).update(
        state="ready", claim_token=None, claimed_by=None, claim_slot=None, expires_at=None
    )
    for _ in range(6):
        page.mouse.move(200, 200)
        page.mouse.move(260, 240)
        page.wait_for_timeout(400)
    tile = page.locator(f'.tile[data-job="{lost.pk}"]')
    tile.get_by_text("Your claim ran out").wait_for()


def test_a_policy_that_asks_how_severe_takes_the_digits_until_one_is_pressed(
    world, live_app, page, sign_in
):
    world.policy.versions.update(severity_levels=["Mild", "Serious"])
    open_page(page, live_app, world, sign_in)
    chosen = page.locator(".tile select")
    page.keyboard.press("1")
    page.get_by_text("How severe: Nudity", exact=True).wait_for()
    assert words(page, "marked") == "Decide what you marked"
    page.keyboard.press("2")
    assert chosen.nth(0).input_value() == "policy:nudity:2"
    for key in ("ArrowRight", "1", "ArrowRight", "1", "Escape", "2"):
        page.keyboard.press(
            key
        )  # what is left ungraded is not marked; Escape gives the digits back
    assert chosen.nth(1).input_value() == ""
    assert chosen.nth(2).input_value() == "policy:violence"
    for key in (" ", "1", "1"):
        page.keyboard.press(key)
    assert page.locator("[data-enlarged-mark]").inner_text() == "Nudity: Mild"
    page.keyboard.press("Escape")
    settle(page)
    page.keyboard.press("Enter")
    page.get_by_text("2 answered.").wait_for()
    graded = Decision.objects.order_by("pk").values_list("severities", flat=True)
    assert list(graded) == [{"nudity": 2}, {"nudity": 1}]


def test_without_javascript_each_item_has_its_own_answer(world, live_app, new_page, sign_in):
    page = new_page(java_script_enabled=False)
    sign_in(page, world.rosa)
    page.goto(live_app + world.url)
    page.get_by_label("Answer for item 2", exact=True).select_option(label="Nudity")
    page.get_by_role("button", name="Decide what you marked").click()
    assert Decision.objects.get().verdict == "violating"
    assert page.get_by_role("button", name="Clean: the rest you looked at").is_disabled()
    page.get_by_role("button", name="Undo").click()
    assert Decision.objects.filter(kind="undo").exists()
    page.get_by_role("button", name="Put back and stop").click()
    assert not Job.objects.filter(state="claimed").exists()


def test_a_new_item_fills_the_page_up_when_she_asks(world, live_app, page, sign_in):
    open_page(page, live_app, world, sign_in)
    make_job(queue=world.queue, item=make_item(platform=world.platform, title="Newcomer"))
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    page.get_by_text("1 answered.").wait_for()
    settle(page)
    page.keyboard.press(".")
    page.get_by_text("Newcomer").first.wait_for()
