"""Bulk work in Chromium: filter, choose, move, undo; a cluster decided but for the odd one out."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from reviews.models import BulkOperation, Decision, Item, Job
from tests.factories import make_queue
from tests.test_cluster_work import Wave
from tests.test_pages_all import World


def axe(page):
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def test_lena_filters_chooses_moves_and_undoes(live_app, page, sign_in):
    world = World(jobs=12)
    make_queue(platform=world.platform, slug="fraud", name="Fraud", policies=[world.policy])
    Item.objects.filter(pk__in=list(Item.objects.values_list("pk", flat=True)[:4])).update(
        language="pt"
    )
    sign_in(page, world.people["lena"])
    page.goto(f"{live_app}/queues/{world.queue.slug}/jobs/")
    axe(page)
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    assert page.locator("[data-count]").inner_text() == "4 chosen"
    assert [boxes.nth(n).is_checked() for n in range(6)] == [False, True, True, True, True, False]
    page.get_by_label("Language").fill("pt")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**language=pt**")
    assert page.locator("tbody tr").count() == 4
    page.get_by_label("All 4 that fit").check()
    assert page.locator("[data-count]").inner_text() == "4 chosen"
    page.get_by_role("button", name="Move…").click()
    page.get_by_role("heading", name="Move 4 jobs").wait_for()
    axe(page)
    page.get_by_label("Into").select_option("fraud")
    page.get_by_role("button", name="Move 4 jobs").click()
    page.get_by_text("4 jobs: moved to Fraud.").wait_for()
    axe(page)
    assert Job.objects.filter(queue__slug="fraud").count() == 4
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("4 put back as they were.").wait_for()
    assert Job.objects.filter(queue=world.queue).count() == 12
    assert BulkOperation.objects.get().undone_count == 4


def test_a_whole_row_leads_to_its_item_and_its_box_does_not(live_app, page, sign_in):
    world = World(jobs=2)
    sign_in(page, world.people["lena"])
    page.goto(f"{live_app}/queues/{world.queue.slug}/jobs/")
    page.locator("tbody input[type=checkbox]").first.click()
    assert page.url.endswith("/jobs/")
    page.locator("tbody td.why-cell").first.click(force=True)  # the row's link covers it
    page.wait_for_url("**/items/**")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_a_cluster_is_decided_but_for_the_odd_one_and_one_is_reversed(
    live_app, new_page, sign_in, size
):
    wave = Wave(count=5)
    odd = wave.items[3]
    Item.objects.filter(pk=odd.pk).update(language="de")
    page = new_page(viewport={"width": size[0], "height": size[1]})
    sign_in(page, wave.lena)
    page.goto(f"{live_app}/clusters/")
    axe(page)
    page.locator("a.row-link").first.click()
    page.get_by_text("The text they are compared with").wait_for()
    axe(page)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    page.get_by_text("in German").wait_for()
    for item in wave.items:
        if item != odd:
            page.locator(f"input[name=item][value='{item.pk}']").check()
    page.get_by_label("Violating", exact=True).check()
    page.locator("input[name=policy]").first.check()
    page.get_by_label("Remove").first.check()
    page.get_by_role("button", name="See what it reaches").click()
    page.get_by_role("heading", name="What this answer reaches").wait_for()
    axe(page)
    assert not Decision.objects.exists()
    page.get_by_role("button", name="Decide 4 messages").click()
    page.wait_for_url("**/clusters/operations/**")
    axe(page)
    assert Decision.objects.settled().count() == 4
    assert not Decision.objects.filter(item=odd).exists()
    page.get_by_role("button", name="Undo", exact=True).first.click()
    page.get_by_text("Taken back. Nothing was carried out; decide again.").wait_for()
    assert Decision.objects.settled().count() == 3
