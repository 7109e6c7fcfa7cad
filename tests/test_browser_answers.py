"""The answer by keys in Chromium: what is missing, and what E and S ask."""

import pytest

from reviews.models import Claim, Decision, Enforcement, Job, Review
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


def test_a_level_is_one_key_after_its_policy(world, desk):
    world.policy.versions.update(severity_levels=["Mild", "Serious", "Severe"])
    page = desk()
    page.keyboard.press("1")
    assert the_button(page) == "How severe is it?"
    page.keyboard.press("3")
    assert the_button(page) == "Decide and go on"
    press_and_wait(page, "Enter")
    assert Decision.objects.get().severities == {world.policy.slug: 3}


def select(page, text):
    """Select `text` on the page, as far as it stands within one element after another."""
    page.evaluate(
        """text => {
          const walker = document.createTreeWalker(
            document.querySelector('[data-field=body]'), NodeFilter.SHOW_TEXT);
          const nodes = []; let all = '';
          while (walker.nextNode()) {
            nodes.push([walker.currentNode, all.length]);
            all += walker.currentNode.data;
          }
          const place = (at) => {
            const [node, start] = nodes.findLast(([, start]) => start <= at);
            return [node, at - start];
          };
          const from = all.indexOf(text);
          getSelection().setBaseAndExtent(...place(from), ...place(from + text.length));
        }""",
        text,
    )


HARD = (
    "Sen\u200bd 😀 mo\u202eney:\r\nhttps://a.example/x e\u0301\u0301\u0301\u0301\u0301\u0301 "
    "p\u0430ypal now. Then more."
)


@pytest.mark.parametrize(
    ("shown", "original"),
    [
        ("SenZWSPd", "Sen\u200bd"),
        ("😀 mo", "😀 mo"),
        ("RLOney", "\u202eney"),
        ("a[.]example/x", "https://a.example/x"),
        ("now", "now"),
    ],
)
def test_a_mark_counts_in_the_original_whatever_is_shown(world, desk, shown, original):
    item = Job.objects.order_by("-rank").first().item
    item.versions.update(content={"body": HARD})
    page = desk()
    page.keyboard.press("1")
    select(page, shown)
    page.keyboard.press("k")
    assert page.locator("#spans li").count() == 1
    press_and_wait(page, "Enter")
    [span] = Review.objects.get().spans
    assert HARD[span["start"] : span["end"]] == original
    assert span["policy"] == world.policy.slug


def test_a_mark_by_keyboard_alone_and_taken_away_again(world, desk):
    item = Job.objects.order_by("-rank").first().item
    item.versions.update(content={"body": "Hello there. Send money. Bye."})
    page = desk()
    page.keyboard.press("k")
    assert page.locator("#policies.is-missing").is_visible()
    for key in ("1", "k", "ArrowDown", "Enter", "k", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#spans q").all_inner_texts() == ["Send money.", "Hello there."]
    page.locator("[data-unmarks]").last.focus()
    page.keyboard.press("Enter")
    page.locator("#_item").focus()
    press_and_wait(page, "Enter")
    assert [(one["start"], one["end"]) for one in Review.objects.get().spans] == [(13, 24)]


def test_marks_of_a_policy_taken_back_are_not_sent(world, desk):
    item = Job.objects.order_by("-rank").first().item
    item.versions.update(content={"body": "Send money."})
    page = desk()
    for key in ("1", "k", "Enter", "0"):
        page.keyboard.press(key)
    assert page.locator("#spans .is-off").is_visible()
    press_and_wait(page, "Enter")
    assert Review.objects.get().spans == []


def test_what_an_action_needs_is_asked_beside_it(world, desk):
    world.remove.parameters = {"days": 7, "text": ""}
    world.remove.asked = {
        "days": {"label": "Days", "least": 1, "most": 30},
        "text": {"label": "What to say", "is_needed": True},
    }
    world.remove.save()
    page = desk()
    page.keyboard.press("1")
    assert the_button(page) == "Fill in what the action needs"
    page.keyboard.press("Enter")
    page.keyboard.type("Not allowed here")
    page.get_by_label("Days").fill("14")
    page.keyboard.press("Escape")
    press_and_wait(page, "Enter")
    assert Enforcement.objects.get().parameters == {"days": 14, "text": "Not allowed here"}


def test_an_override_shows_what_it_changes_and_keeps_what_was_typed(world, live_app, page, sign_in):
    decision = world.decide()
    sign_in(page, world.people["lena"])
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    page.goto(f"{live_app}/decisions/{decision.pk}/override/")
    assert page.get_by_text("taken back", exact=True).first.is_visible()
    assert "POST" not in asked  # the page itself says it, before anybody asks
    page.locator("[name=verdict][value=violating]").check()
    page.get_by_text("stays as it is").first.wait_for()
    page.get_by_label("Why").fill("   ")
    page.get_by_role("button", name="Override").click()
    page.locator("#_notice .notice").wait_for()
    assert page.locator("[name=verdict][value=violating]").is_checked()
    page.locator("[name=verdict][value=clean]").check()
    page.get_by_label("Why").fill("A newsletter she asked for")
    page.get_by_role("button", name="Override").click()
    page.wait_for_url(f"{live_app}/items/{decision.item_id}/")
    assert Decision.objects.get(supersedes=decision).note == "A newsletter she asked for"


def test_after_the_undo_time_a_lead_finds_override_where_undo_stood(world, desk):
    decision = world.decide("lena")
    page = desk("lena")
    assert page.get_by_role("button", name="Undo").is_visible()
    assert page.get_by_role("link", name="Override").is_hidden()
    page.evaluate("document.querySelector('#_undo_bar .undo').remove()")  # as the clock does at 0
    assert page.get_by_role("link", name="Override").is_visible()
    with page.expect_navigation():
        page.keyboard.press("u")
    assert page.url.endswith(f"/decisions/{decision.pk}/override/")


def test_a_canned_note_is_two_keys_away(world, desk):
    item = Job.objects.order_by("-rank").first().item
    assert item.language == "en"
    world.queue.canned_notes = [
        {"text": "Nicht erlaubt: {policy}", "policy": "", "language": "de"},
        {"text": "Not allowed: {policy}", "policy": "", "language": "en"},
        {"text": "Of another policy", "policy": "elsewhere", "language": ""},
    ]
    world.queue.save()
    page = desk()
    page.keyboard.press("1")
    page.keyboard.press("i")
    page.locator("#_canned").wait_for()
    assert page.locator("#_canned .canned li:visible").all_inner_texts() == [
        "1\nNot allowed: Spam and scams",
        "2\nNicht erlaubt: Spam and scams",
    ]
    page.keyboard.press("1")
    assert page.locator("#note").input_value() == "Not allowed: Spam and scams"
    page.keyboard.press("i")
    page.keyboard.type("nicht")
    page.keyboard.press("Enter")
    press_and_wait(page, "Enter")
    assert Review.objects.get().note == (
        "Not allowed: Spam and scams\nNicht erlaubt: Spam and scams"
    )
