"""A reviewer's day in Chromium: by keyboard, with what goes wrong, and without JavaScript."""

import pytest

from reviews import claims
from reviews.models import Decision, Job, Review
from tests.browsing import press_and_wait, settle
from tests.test_pages_all import PAGES_OF, World


@pytest.fixture
def world(live_app):
    return World(jobs=12)


def open_desk(page, live_app, world):
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)


def test_the_next_job_comes_without_a_page_load(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.evaluate("window.sameDocument = true")
    press_and_wait(page, "0", "Enter")
    assert page.evaluate("window.sameDocument") is True
    assert "New item." in page.locator("#announce").inner_text()


def test_a_policy_brings_its_action_and_clean_takes_it_away(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.keyboard.press("1")
    assert page.locator("[name=action]").first.is_checked()
    page.keyboard.press("0")
    assert not page.locator("[name=policy]").first.is_checked()
    assert not page.locator("[name=action]").first.is_checked()
    assert page.locator("#actions").evaluate("actions => actions.disabled")


def test_keys_are_only_letters_while_a_note_is_typed(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    job = page.locator("#_job").get_attribute("data-job")
    page.keyboard.press("n")
    page.keyboard.type("0 1 skip this? eh")
    assert page.locator("#note").input_value() == "0 1 skip this? eh"
    assert page.locator("#_job").get_attribute("data-job") == job
    assert page.locator("[name=clean]").is_checked() is False
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    press_and_wait(page, "Enter")
    assert Review.objects.get().note == "0 1 skip this? eh"


def test_a_key_pressed_as_the_job_changes_decides_nothing(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.evaluate(
        "document.addEventListener('htmx:afterSwap', (swap) => swap.detail.target.id === '_job' &&"
        " document.dispatchEvent(new KeyboardEvent('keydown', {key: '0', bubbles: true})))"
    )
    press_and_wait(page, "1", "Enter")
    assert page.locator("[name=clean]").is_checked() is False


def test_a_lost_claim_keeps_the_note_and_says_what_happened(world, live_app, page, sign_in):
    rosa = world.people["rosa"]
    sign_in(page, rosa)
    open_desk(page, live_app, world)
    page.keyboard.press("n")
    page.keyboard.type("seen this before")
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    [held] = claims.live_claims(rosa)
    claims.release(held.pk, held.claim_token, by=rosa)
    page.keyboard.press("Enter")
    page.get_by_text("Your note is kept below").wait_for()
    assert page.locator("#note").input_value() == "seen this before"
    assert not Review.objects.exists()
    settle(page)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    for job in claims.live_claims(rosa):
        claims.release(job.pk, job.claim_token, by=rosa)
    open_desk(page, live_app, world)
    # The job was free, so it comes back to her, and her note with it.
    assert page.locator("#_job").get_attribute("data-job") == str(held.pk)
    assert page.locator("#note").input_value() == "seen this before"


def test_an_expired_session_keeps_the_note_and_offers_to_sign_in(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.locator("#note").fill("half a thought")
    page.locator("body").press("Escape")
    page.context.clear_cookies(name="sessionid")
    page.get_by_label("Nothing here breaks a rule").check()
    page.get_by_role("button", name="Decide and go on").click()
    page.get_by_text("You were signed out").wait_for()
    assert page.locator("#note").input_value() == "half a thought"
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    assert page.locator("#note").input_value() == "half a thought"


def test_the_heartbeat_renews_the_claim_of_somebody_at_work(world, live_app, page, sign_in):
    world.queue.lease_seconds = 6
    world.queue.save()
    rosa = world.people["rosa"]
    sign_in(page, rosa)
    open_desk(page, live_app, world)
    [before] = claims.live_claims(rosa)
    for _ in range(8):
        page.mouse.move(200, 200)
        page.mouse.move(260, 240)
        page.wait_for_timeout(500)
    [after] = claims.live_claims(rosa)
    assert after.claim_token == before.claim_token
    assert after.expires_at > before.expires_at


def test_a_lost_connection_is_said_in_place_and_the_answer_stays(
    world, live_app, chromium, sign_in
):
    page = chromium.new_page()  # its own: htmx logs the lost connection as the error it is
    sign_in(page, world.people["rosa"])
    page.route("**/ahead/", lambda route: route.fulfill(status=204))  # the plain way
    open_desk(page, live_app, world)
    page.locator("#note").fill("still here")
    page.get_by_label("Nothing here breaks a rule").check()
    page.evaluate("htmx.config.timeout = 1")
    page.route("**/decide/", lambda route: None)
    page.get_by_role("button", name="Decide and go on").click()
    page.get_by_text("No connection to the server").wait_for()
    assert page.locator("#note").input_value() == "still here"
    assert page.get_by_label("Nothing here breaks a rule").is_checked()
    page.close()


def test_a_part_that_cannot_be_loaded_is_not_said_to_be_an_answer_lost(
    world, live_app, chromium, sign_in
):
    page = chromium.new_page()  # its own: htmx logs the lost connection as the error it is
    sign_in(page, world.people["rosa"])
    page.route("**/evidence/", lambda route: route.abort())
    open_desk(page, live_app, world)
    page.get_by_text("a part of this page could not be loaded").wait_for()
    page.unroute("**/evidence/")
    page.route("**/evidence/", lambda route: route.fulfill(status=500))
    page.reload()
    page.get_by_text("could not be loaded (500)").wait_for()
    page.close()


def test_on_a_phone_the_decision_follows_the_item_and_undo_is_in_reach(
    world, live_app, new_page, sign_in
):
    page = new_page(viewport={"width": 390, "height": 844})
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    tops = [page.locator(part).bounding_box()["y"] for part in ("#_item", ".decide", "#_evidence")]
    assert tops == sorted(tops)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    press_and_wait(page, "0", "Enter")
    assert page.evaluate("scrollY") == 0
    undo, foot = page.get_by_role("button", name="Undo"), page.locator(".foot")
    undo.wait_for()
    box, below = undo.bounding_box(), foot.bounding_box()
    assert box["y"] + box["height"] <= below["y"] + 1 and below["y"] + below["height"] <= 845
    # A refusal is in sight from wherever she answered, and the page is where it was.
    Job.objects.filter(state="claimed").update(expires_at=claims.clock())
    settle(page)
    page.evaluate("scrollTo(0, 400)")
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    notice = page.locator("#_notice .notice")
    notice.wait_for()
    assert 400 <= page.evaluate("scrollY") < 520 and 0 <= notice.bounding_box()["y"] < 60


def test_the_key_overlay_lists_every_key_of_the_page(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    page.keyboard.press("?")
    keys = page.locator("dialog#keys dt").all_inner_texts()
    assert {"0", "1", "R", "N", "Enter", "S", "A", "E", "P", "?"} <= set(keys)
    words = page.locator("dialog#keys dd").all_inner_texts()
    assert "What moved the score" in words  # without the cap that stands on the button
    page.keyboard.press("Escape")
    assert page.locator("dialog#keys").is_hidden()


def test_without_javascript_everything_still_works(world, live_app, new_page, sign_in):
    page = new_page(java_script_enabled=False)
    sign_in(page, world.people["rosa"])
    page.goto(live_app)
    page.get_by_role("link", name="Start reviewing").click()
    page.get_by_label("Spam and scams").check()
    page.get_by_label("Note").fill("by hand")
    page.get_by_role("button", name="Decide and go on").click()
    assert page.url.endswith(f"/review/{world.queue.slug}/")
    decision = Decision.objects.get()
    assert (decision.verdict, decision.note) == ("violating", "by hand")
    page.get_by_role("button", name="Skip").click()
    page.get_by_role("button", name="Undo").click()
    assert Decision.objects.filter(kind="undo").exists()
    assert "Taken back" in page.content()


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_no_page_scrolls_sideways(world, live_app, new_page, sign_in, width):
    world.decide()
    page = new_page(viewport={"width": width, "height": 844})
    sign_in(page, world.people["lena"])
    for one in PAGES_OF["lena"].split():
        page.goto(live_app + world.urls()[one])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), one
