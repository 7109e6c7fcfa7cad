"""What comes to the desk after it was painted, in Chromium: it moves nothing, folds stay as they
were left, all reports open in place; the pages behind it by axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from reviews.models import Account, Item, Report
from tests.browsing import press_and_wait, settle
from tests.test_pages_all import World


@pytest.fixture
def world(live_app):
    world = World(jobs=4)
    account = Account.objects.first()
    Item.objects.update(account=account)
    return world


def top_of(page, text):
    return page.get_by_role("heading", name=text, exact=True).bounding_box()["y"]


def test_more_evidence_comes_below_what_is_read_and_folds_stay(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)
    before = top_of(page, "So far")
    fold = page.locator("details[data-fold=past]")
    fold.wait_for()
    assert top_of(page, "So far") == before
    assert "Offer" in fold.inner_text()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is None
    page.locator("#_item").focus()
    press_and_wait(page, "0", "Enter")
    again = page.locator("details[data-fold=past]")
    again.wait_for()
    assert again.get_attribute("open") is None
    again.locator("summary").click()
    page.reload()
    page.locator("details[data-fold=past][open]").wait_for()


def test_all_reports_open_in_place_and_the_job_stays(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    job = page.locator("#_job").get_attribute("data-job")
    item = Item.objects.get(jobs=job)
    Report.objects.create(item=item, external_id="x", reason="Spam", text="it wants my card")
    page.get_by_role("link", name="Read all 2 reports").click()
    page.get_by_text("it wants my card").wait_for()
    assert page.locator("#_job").get_attribute("data-job") == job


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_have_no_axe_violations(world, live_app, new_page, sign_in, theme):
    world.decide()
    item = Item.objects.filter(decisions__isnull=False).first()
    page = new_page(color_scheme=theme)
    sign_in(page, world.people["lena"])
    wrong = []
    for url in (
        f"/accounts/{item.account_id}/",
        f"/accounts/{item.account_id}/?since=2026-02-31",
        f"/items/{item.pk}/",
        f"/items/{item.pk}/reports/",
    ):
        page.goto(live_app + url)
        for one in Axe().run(page).response["violations"]:
            wrong.append(f"{url}: {one['id']} {one['nodes'][0]['html'][:120]}")
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    page.locator("details[data-fold=past]").wait_for()
    for one in Axe().run(page).response["violations"]:
        wrong.append(f"desk: {one['id']} {one['nodes'][0]['html'][:120]}")
    assert not wrong, "\n".join(wrong)
