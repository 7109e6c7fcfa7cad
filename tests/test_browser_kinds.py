"""In Chromium: a policy owner changes a rule and asks again, a lead arranges what the desk shows,
and a blind queue tells nothing."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from reviews.models import Item, ItemVersion, Job, Lane, Queue
from tests.browsing import settle
from tests.test_pages_all import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(live_app):
    return World()


def test_paul_changes_a_rule_sees_what_it_made_old_and_asks_again_for_two(
    world, live_app, page, sign_in
):
    for _ in range(3):
        world.decide()
    sign_in(page, world.people["paul"])
    page.goto(f"{live_app}/setup/")
    page.get_by_role("navigation", name="Setup").get_by_role("link", name="Policies").click()
    page.get_by_role("link", name="Spam and scams").click()
    page.get_by_role("link", name="Write a new version").click()
    page.get_by_label("Definition").fill("What it forbids.\nNewsletters nobody can leave, too.")
    changes = page.locator("#_version_changes")
    changes.get_by_text("+Newsletters nobody can leave, too.").wait_for()
    page.get_by_role("button", name="Publish it").click()
    page.get_by_text("Version 2 is in force.").wait_for()
    page.get_by_text("3 standing decisions were made under an earlier version").wait_for()
    page.get_by_role("link", name="Decided under an earlier version").click()
    rows = page.get_by_role("region", name="Items").locator("tbody tr")
    assert rows.count() == 3
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("spinbutton", name="How many").fill("2")
    page.get_by_role("button", name="Ask again").click()
    page.get_by_text("2 of 3 are asked about again").wait_for()
    assert page.get_by_role("region", name="Items").get_by_text("looked at again").count() == 2
    assert Job.objects.filter(lane=Lane.SECOND, state="ready").count() == 2


def test_lena_arranges_the_layout_with_a_preview_and_rosas_desk_shows_it(
    world, live_app, new_page, sign_in
):
    lena = new_page()
    sign_in(lena, world.people["lena"])
    kind = world.platform.kinds.get()
    lena.goto(f"{live_app}/setup/kinds/{kind.slug}/")
    preview = lena.locator("#_kind_preview")
    assert preview.get_by_text("Offer 2").count() == 1
    lena.get_by_role("button", name="Arrange it yourself").click()
    blocks = lena.locator(".block-rows > li b")
    blocks.first.wait_for()
    assert blocks.all_text_contents() == ["Title", "Text"]
    # By key: the row one is in goes up, and the focus goes with it.
    lena.locator("#b-1-label").focus()
    lena.keyboard.press("Alt+ArrowUp")
    lena.wait_for_function(
        "() => document.querySelector('.block-rows > li b').textContent === 'Text'"
    )
    lena.wait_for_function("() => document.activeElement.id === 'b-0-down'")
    # The preview follows what is typed, and moves with the rows, before anything is saved.
    lena.locator("#b-0-label").fill("What it says")
    preview.get_by_text("What it says").wait_for()
    tops = [
        preview.get_by_text(text).first.bounding_box()["y"] for text in ("What it says", "Offer 2")
    ]
    assert tops == sorted(tops)
    kind.refresh_from_db()
    assert kind.layout == []
    assert Axe().run(lena).response["violations"] == []
    lena.get_by_role("button", name="Save", exact=False).last.click()
    lena.get_by_text("is saved. The desk shows it").wait_for()

    rosa = new_page()
    sign_in(rosa, world.people["rosa"])
    rosa.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(rosa)
    texts = rosa.locator("#_item .content").inner_text()
    assert texts.index("What it says") < texts.index("hxxps") < texts.index("Offer")


def test_a_blind_queue_tells_nothing_in_the_page_nor_in_the_next_fragment(
    world, live_app, page, sign_in
):
    Queue.objects.filter(pk=world.queue.pk).update(blind=list(Queue.Blind.values))
    kind = world.platform.kinds.get()
    kind.fields = [*kind.fields, {"name": "by", "label": "By", "type": "string", "role": "author"}]
    kind.save()
    for item in Item.objects.all():
        content = {**item.current_version.content, "by": item.account.name}
        ItemVersion.objects.filter(item=item).update(content=content)
    sign_in(page, world.people["rosa"])
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)
    seen = [page.content()]
    page.keyboard.press("0")
    with page.expect_response("**/decide/") as fragment:
        page.keyboard.press("Enter")
    seen.append(fragment.value.text())
    page.wait_for_function("() => document.querySelector('#_undo_bar form') !== null")
    seen.append(page.content())
    page.get_by_role("link", name="its page").click()
    page.get_by_role("heading", name="What happened").wait_for()
    seen.append(page.content())
    secret = re.compile("author \\d|zero-shot|ikely spam|0[.]9|>High<|Critical|2 reports|Strikes")
    assert [secret.findall(body) for body in seen] == [[]] * 4
    page.get_by_text("you are not shown: risk and reasons").wait_for()
