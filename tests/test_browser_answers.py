"""The answer by keys in Chromium: what is missing, and what E and S ask."""

import pytest

from reviews.models import Claim, Job, Review
from tests.browsing import press_and_wait, settle
from tests.factories import make_queue
from tests.test_pages_all import World


@pytest.fixture
def world(live_app):
    return World(jobs=6)


@pytest.fixture
def desk(world, live_app, page, sign_in):
    """Opens the desk for rosa, once the test has set the queue up."""

    def open_desk(who="rosa", query=""):
        sign_in(page, world.people[who])
        page.goto(f"{live_app}/review/{world.queue.slug}/{query}")
        settle(page)
        return page

    return open_desk


def the_button(page):
    return page.locator(".foot .primary .say").inner_text()


def test_the_button_says_what_is_missing_and_sends_nothing_until_it_is_there(world, desk):
    world.queue.note_required = True
    world.queue.save()
    page = desk()
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    assert the_button(page) == "Choose a policy, or 0 for none"
    page.keyboard.press("Enter")
    assert page.locator("#policies.is-missing").is_visible()
    page.keyboard.press("1")
    assert the_button(page) == "Write a note: needed here"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "note"
    page.keyboard.type("Sells pills")
    assert the_button(page) == "Decide and go on"
    assert not [url for url in sent if "decide" in url]
    page.keyboard.press("Escape")
    press_and_wait(page, "Enter")
    assert Review.objects.get().note == "Sells pills"


def test_e_asks_why_and_to_whom(world, desk):
    make_queue(platform=world.platform, slug="legal", name="Legal", takes_escalations=True)
    page = desk()
    page.keyboard.press("e")
    page.locator("#_escalate").wait_for()
    page.keyboard.press("Control+Enter")
    assert page.get_by_text("Say why in a few words.").is_visible()
    page.keyboard.type("A court case; 1 of 3")
    page.get_by_label("To", exact=True).select_option(label="Legal")
    page.get_by_label("Why").focus()
    press_and_wait(page, "Control+Enter")
    review = Review.objects.get()
    assert (review.verdict, review.note) == ("escalate", "A court case; 1 of 3")
    assert Job.objects.get(lane="adjudication").queue.slug == "legal"


def test_a_cancelled_dialog_leaves_the_keys_to_the_desk(world, desk):
    page = desk()
    page.keyboard.press("e")
    page.locator("#_escalate").wait_for()
    page.keyboard.press("Escape")
    page.locator("#_escalate").wait_for(state="hidden")
    press_and_wait(page, "0", "Enter")
    assert Review.objects.get().verdict == "clean"


def test_s_takes_a_reason_by_one_key(world, desk):
    world.queue.skip_reasons = ["I do not read this language", "I know the author"]
    world.queue.save()
    page = desk()
    press_and_wait(page, "s", "2")
    assert Claim.objects.get().reason == "I know the author"
    press_and_wait(page, "s", "s")
    assert [claim.reason for claim in Claim.objects.order_by("pk")] == ["I know the author", ""]


def test_who_settles_it_reads_what_was_said(world, desk):
    page = desk("remy")
    page.keyboard.press("e")
    page.keyboard.type("Part of a <b>wave</b>")
    press_and_wait(page, "Control+Enter")
    page = desk("lena", "?lane=adjudication")
    assert page.locator(".passed-on .quote").inner_text() == "Part of a <b>wave</b>"
