"""A lead changes the routing in Chromium: composes, tries, publishes, puts back."""

import pytest

from reviews import intake, routing_versions
from reviews.models import Job
from tests.conftest import wait_until
from tests.factories import (
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import make_person


@pytest.fixture
def platform(live_app):
    platform = make_platform(slug="mail", name="Mail")
    make_kind(platform=platform, slug="message", name="Message")
    spam = make_policy(platform=platform, slug="spam", name="Spam")
    make_queue(platform=platform, slug="general", name="General", is_default=True, policies=[spam])
    make_queue(platform=platform, slug="urgent", name="Urgent", policies=[spam])
    # Rows made straight away: the worker must not score them by a model of its own.
    for n, (language, risk) in enumerate([("en", 0.95), ("en", 0.2), ("de", 0.97)]):
        item = make_item(
            platform=platform,
            external_id=f"m-{n}",
            language=language,
            risks={"spam": risk},
            risk=risk,
        )
        make_job(queue=platform.queues.get(slug="general"), item=item)
    return platform


def queues():
    return dict(Job.objects.values_list("item__external_id", "queue__slug"))


def open_as(page, live_app, sign_in, platform, path=""):
    sign_in(page, make_person("lena", platform=platform))
    page.goto(f"{live_app}/setup/routing/mail/{path}")


def choose(page, label, value, nth=-1):
    """A select that has the form sent and come back."""
    boxes = page.get_by_label(label)
    box = boxes.nth(nth if nth >= 0 else boxes.count() - 1)
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        box.select_option(value)
    page.wait_for_timeout(60)


def press(page, name, nth=0):
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name=name).nth(nth).click()
    page.wait_for_timeout(60)


def test_lena_composes_tries_publishes_and_puts_back(platform, live_app, page, sign_in, worker):
    """any of (risk.spam ≥ 0.9 and language is en), (a trusted flagger reported)"""
    open_as(page, live_app, sign_in, platform)
    page.get_by_role("link", name="Change the rules").click()
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name").fill("Urgent spam")
    page.get_by_label("Goes to").select_option("urgent")
    page.get_by_label("How these conditions go together").select_option("any")
    choose(page, "What to ask about", "sources")
    page.get_by_label("Value").select_option("trusted_flagger")
    press(page, "Add a group")
    page.get_by_label("How these conditions go together").nth(1).select_option("all")
    choose(page, "What to ask about", "risk.spam")
    page.get_by_label("Number from 0 to 1").fill("0.9")
    press(page, "Add a condition", nth=0)
    choose(page, "What to ask about", "language", nth=2)
    page.get_by_label("Value", exact=True).last.fill("en")
    press(page, "Count on the newest items")
    assert "Holds for 1 of the newest 3 items." in page.content()
    assert "(risk of Spam ≥ 0.9 and language is en)" in page.locator(".spoken").inner_text()
    page.get_by_role("button", name="Save in the draft").last.click()
    page.wait_for_url("**/draft/")

    page.get_by_role("button", name="Try it").click()
    page.wait_for_url("**/dry-runs/*/")
    assert page.locator(".stat", has_text="Would move").locator("dd").first.inner_text() == "1"
    page.get_by_role("link", name="Publish").click()
    page.get_by_label("Note").fill("Fast lane for English spam.")
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/setup/routing/mail/")
    assert "Version 1, in force" in page.content()
    wait_until(lambda: queues()["m-0"] == "urgent", seconds=30, message="it does not move")
    assert queues() == {"m-0": "urgent", "m-1": "general", "m-2": "general"}
    flag = {"kind": "message", "item": "m-2", "source": "trusted_flagger", "reason": "Spam"}
    intake.file_reports(platform, [flag], by=None)
    assert queues()["m-2"] == "urgent"

    # Turned off in a second version; then the first is put back.
    page.get_by_role("link", name="Change the rules").click()
    press(page, "Turn Urgent spam off")
    page.get_by_role("link", name="Publish").click()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/setup/routing/mail/")
    wait_until(lambda: set(queues().values()) == {"general"}, seconds=30)
    page.get_by_role("link", name="Version 1").click()
    page.get_by_role("button", name="Put back as a draft").click()
    page.get_by_role("link", name="Publish").click()
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/setup/routing/mail/")
    wait_until(lambda: queues()["m-0"] == queues()["m-2"] == "urgent", seconds=30)
    assert "Puts back version 1." in page.content()


def test_rules_are_moved_by_keys_and_the_focus_goes_along(platform, live_app, page, sign_in):
    always = {"expression": "true"}
    rules = [{"name": name, "queue": "urgent", "condition": always} for name in "ABC"]
    routing_versions.save_draft(platform, rules, edition=0, by=None)
    open_as(page, live_app, sign_in, platform, "draft/")
    page.get_by_role("link", name="A", exact=True).focus()
    for key in ("Alt+ArrowDown", "Alt+ArrowDown", "Alt+ArrowUp"):
        with page.expect_response(lambda answer: answer.request.method == "POST"):
            page.keyboard.press(key)
        page.wait_for_timeout(150)
    names = [rule["name"] for rule in routing_versions.find_draft(platform).rules]
    assert names == ["B", "A", "C"]
    assert "Move A" in page.evaluate("document.activeElement.ariaLabel")


def test_the_composer_works_by_buttons_alone_without_javascript(
    platform, live_app, new_page, sign_in
):
    page = new_page(java_script_enabled=False)
    open_as(page, live_app, sign_in, platform, "draft/new/")
    page.get_by_label("Name").fill("By hand")
    page.get_by_label("Goes to").select_option("urgent")
    page.get_by_label("What to ask about").select_option("report_count")
    page.get_by_role("button", name="Update").click()
    page.get_by_label("Number").fill("3")
    page.get_by_role("button", name="Add a group").first.click()
    assert page.get_by_label("Number").input_value() == "3"
    page.get_by_label("What to ask about").nth(1).select_option("kind")
    page.get_by_role("button", name="Update").nth(1).click()
    page.get_by_label("Value").select_option("message")
    page.get_by_label("Name").press("Enter")
    page.wait_for_url("**/draft/")
    [rule] = routing_versions.find_draft(platform).rules
    assert rule["condition"] == {
        "all": [
            {"fact": "report_count", "op": ">=", "value": 3},
            {"any": [{"fact": "kind", "op": "is", "value": "message"}]},
        ]
    }


def test_an_expression_is_checked_as_it_is_typed(platform, live_app, page, sign_in):
    open_as(page, live_app, sign_in, platform, "draft/new/")
    press(page, "Add an expression")
    page.get_by_label("Expression", exact=True).press_sequentially("report_count >")
    page.get_by_text("This is not a condition").wait_for()
    page.get_by_label("Expression", exact=True).press_sequentially(" 3")
    page.get_by_text("Good. It reads report_count").wait_for()
