"""A lead sets up a queue in Chromium, and a reviewer meets what she set up."""

import pytest

from reviews import queues
from reviews.models import Queue
from tests.browsing import settle
from tests.test_pages_all import World


@pytest.fixture
def world(live_app):
    return World(jobs=3)


def test_a_lead_opens_a_queue_meets_a_clash_and_puts_an_older_state_back(
    world, live_app, page, sign_in
):
    sign_in(page, world.people["lena"])
    page.goto(f"{live_app}/setup/queues/")
    settle(page)
    page.keyboard.press("n")
    page.get_by_label("Name", exact=True).fill("Scams")
    page.get_by_label("Address").fill("scams")
    page.get_by_label("Spam and scams").check()
    page.get_by_label("rosa").check()
    page.get_by_label("Offered: Remove").select_option("On the desk")
    page.get_by_label("Offered: Suspend").select_option("On the desk")
    page.get_by_label("Key: Suspend").fill("r")
    page.get_by_role("button", name="Open the queue").click()
    # The error is read out with the field it stands beside, and what she typed is kept.
    key = page.get_by_label("Key: Suspend")
    assert key.get_attribute("aria-invalid") == "true"
    words = page.locator(f"#{key.get_attribute('aria-describedby')}").inner_text()
    assert words == "R is the key of Remove already."
    assert not Queue.objects.filter(slug="scams").exists()
    key.fill("x")
    page.get_by_role("button", name="Open the queue").click()
    page.get_by_text("Scams is open").wait_for()
    assert queues.read(Queue.objects.get(slug="scams"))["members"] == ["rosa"]
    page.get_by_label("Answer within").fill("90")
    page.get_by_label("Why").fill("Complaints")
    page.get_by_role("button", name="Save").click()
    newest = page.locator("#_revisions li").first
    assert "Complaints" in newest.inner_text() and "Answer within" in newest.inner_text()
    assert newest.locator("del").inner_text() == "240"
    assert newest.locator("ins").inner_text() == "90"
    page.get_by_role("button", name="Put back revision 1").click()
    page.get_by_text("Revision 1 is put back.").wait_for()
    assert page.get_by_label("Answer within").input_value() == "240"
    assert "put back 1" in page.locator("#_revisions li").first.inner_text()


def test_a_reviewer_gets_the_key_that_a_lead_gave_an_action(world, live_app, new_page, sign_in):
    lead, desk = new_page(), new_page()
    sign_in(lead, world.people["lena"])
    lead.goto(f"{live_app}/queues/{world.queue.slug}/")
    settle(lead)
    lead.keyboard.press("e")
    lead.get_by_label("Key: Remove").fill("x")
    # What would follow is said while she edits, without a page load.
    lead.get_by_label("Doubling time").fill("5")
    lead.get_by_label("Doubling time").blur()
    lead.locator("#_queue_draft").get_by_text("3 waiting jobs will be ranked again").wait_for()
    lead.get_by_role("button", name="Save").click()
    lead.get_by_text("Saved.").wait_for()
    sign_in(desk, world.people["rosa"])
    desk.wait_for_timeout(5_100)  # a desk shows rules of at most five seconds ago
    desk.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(desk)
    desk.keyboard.press("1")
    desk.keyboard.press("x")
    remove = desk.locator(f"[name=action][value={world.remove.slug}]")
    assert remove.get_attribute("data-key") == "x"
    assert not remove.is_checked()  # the first policy had brought it; the key took it away


def test_two_leads_at_once_lose_nothing_in_the_browser(world, live_app, new_page, sign_in):
    one, other = new_page(), new_page()
    sign_in(one, world.people["lena"])
    sign_in(other, world.people["ada"])
    for page in (one, other):
        page.goto(f"{live_app}/setup/queues/{world.queue.slug}/")
    other.get_by_label("Undo within").fill("30")
    other.get_by_role("button", name="Save").click()
    other.get_by_text("Saved.").wait_for()
    one.get_by_label("A claim lasts").fill("7.5")
    one.get_by_role("button", name="Save").click()
    one.get_by_text("ada saved this while you had it open.").wait_for()
    assert one.get_by_label("Undo within").input_value() == "30"
    assert one.get_by_label("A claim lasts").input_value() == "7.5"
    one.get_by_role("button", name="Save").click()
    one.get_by_text("Saved.").wait_for()
    queue = Queue.objects.get(pk=world.queue.pk)
    assert (queue.undo_seconds, queue.lease_seconds) == (30, 450)


def test_setting_up_works_without_javascript(world, live_app, new_page, sign_in):
    page = new_page(java_script_enabled=False)
    sign_in(page, world.people["lena"])
    page.goto(f"{live_app}/setup/queues/{world.queue.slug}/")
    page.get_by_label("remy").uncheck()
    page.get_by_role("button", name="Preview").click()
    assert "remy will give back what they hold here" in page.content()
    assert not page.get_by_label("remy").is_checked()
    page.get_by_role("button", name="Save").click()
    assert queues.read(Queue.objects.get(pk=world.queue.pk))["members"] == ["lena", "rosa"]
