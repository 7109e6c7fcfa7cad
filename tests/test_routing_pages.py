"""The routing pages without a browser: composing by forms, errors beside the row, two at once."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reviews import routing_versions
from reviews.conditions import in_words
from reviews.facts import read_catalogue
from reviews.models import DryRun, RoutingVersion
from reviews.views import composer
from tests.factories import (
    make_item,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db

SPAM = {"all": [{"fact": "risk.spam", "op": ">=", "value": 0.5}]}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def platform():
    platform = make_platform(slug="mail")
    make_kind(platform=platform, slug="message", name="Message")
    spam = make_policy(platform=platform, slug="spam", name="Spam")
    make_queue(platform=platform, slug="general", name="General", is_default=True, policies=[spam])
    make_queue(platform=platform, slug="spam", name="Spam queue", policies=[spam])
    make_queue(platform=platform, slug="old", name="Old", is_archived=True)
    return platform


@pytest.fixture
def lena(platform):
    client = Client()
    client.force_login(make_person("lena", platform=platform))
    return client


def url(name, *arguments):
    return reverse(f"reviews:setup-routing{name}", args=["mail", *arguments])


def form(**kw):
    """A rule with one condition, as the page sends it."""
    return {
        "name": "Likely spam",
        "queue": "spam",
        "is_active": "1",
        "edition": "0",
        "was": "",
        "do": "save",
        "c.sort": "group",
        "c.type": "all",
        "c.0.sort": "fact",
        "c.0.fact": "risk.spam",
        "c.0.op": ">=",
        "c.0.value": "0.5",
        **kw,
    }


def rules_of(platform):
    return routing_versions.find_draft(platform).rules


def text_of(answer):
    return re.sub(r"\s+", " ", answer.content.decode())


def test_a_rule_is_made_by_forms_alone_and_saved(platform, lena):
    answer = lena.post(url("-rule-new"), form())
    assert answer["Location"] == url("-draft")
    assert rules_of(platform) == [
        {"name": "Likely spam", "queue": "spam", "is_active": True, "condition": SPAM}
    ]
    assert "When risk of Spam ≥ 0.5" in text_of(lena.get(url("-draft")))


def test_buttons_build_nested_groups_and_lose_nothing_that_was_typed(platform, lena):
    """The whole of it without JavaScript: what a button answers is sent with the next one."""
    page = lena.get(url("-rule-new"))
    for do, typed in [
        ("group:c", {"name": "Bad", "c.type": "any", "c.0.fact": "sources", "queue": "spam"}),
        ("refresh", {"c.0.op": "has", "c.0.value": "trusted_flagger"}),
        ("fact:c.1", {"c.1.type": "all", "c.1.0.fact": "risk.spam"}),
        ("refresh", {"c.1.0.value": "0.9", "c.1.1.fact": "language"}),
        ("up:c.1", {"c.1.1.op": "is", "c.1.1.value": "en"}),
        ("save", {}),
    ]:
        page = lena.post(url("-rule-new"), fields_of(page) | typed | {"do": do})
        assert page.status_code == (302 if do == "save" else 200)

    [rule] = rules_of(platform)
    assert in_words(rule["condition"], read_catalogue(platform)) == (
        "(risk of Spam ≥ 0.9 and language is en) or sources of its reports include Trusted flagger"
    )


def fields_of(page):
    """What a browser would send of the form in a page."""
    text = page.content.decode()
    text = text[text.index('<form id="_routing_rule"') :]
    found = {}
    for tag in re.findall(r"<input [^>]*>", text):
        name = re.search(r'name="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        is_box = 'type="checkbox"' in tag
        if name and (not is_box or " checked" in tag):
            found[name[1]] = value[1] if value else ""
    for name, options in re.findall(r'<select [^>]*name="([^"]+)".*?>(.*?)</select>', text, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        first = re.search(r'value="([^"]*)"', options)
        found[name] = (chosen or first)[1].replace("&gt;", ">").replace("&lt;", "<")
    for name, typed in re.findall(r'<textarea [^>]*name="([^"]+)".*?>(.*?)</textarea>', text, re.S):
        found[name] = typed
    found.pop("csrfmiddlewaretoken", None)
    return found


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "Give the rule a name."),
        ({"queue": ""}, "Choose a queue."),
        ({"queue": "old"}, "This queue is archived"),
        ({"c.0.value": "lots"}, "Give a number."),
        ({"c.0.value": "80"}, "Give a number from 0 to 1."),
        ({"c.0.fact": ""}, "Choose what to ask about."),
        ({"c.0.sort": "expression", "c.0.text": "report_count >"}, "This is not a condition"),
        ({"c.0.sort": "expression", "c.0.text": "risk.x > 1"}, "There is no risk.x here"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(platform, lena, wrong, words):
    answer = lena.post(url("-rule-new"), form(**wrong))
    text = text_of(answer)
    assert answer.status_code == 422
    assert words in text and 'class="error' in text
    sent = fields_of(answer)
    kept = {**form(), **wrong}
    for name in ("name", "c.0.fact", "c.0.text"):
        if name in sent:
            assert sent[name].replace("&gt;", ">") == kept[name]
    assert not RoutingVersion.objects.exists()


def test_an_empty_group_is_refused_where_it_stands(platform, lena):
    extra = {"c.1.sort": "group", "c.1.type": "any"}
    answer = lena.post(url("-rule-new"), form(**extra))
    assert answer.status_code == 422
    assert "Add a condition to this group" in text_of(answer)


def test_a_name_that_another_rule_has_is_refused_beside_the_name(platform, lena):
    lena.post(url("-rule-new"), form())
    lena.post(url("-rule-new"), form(name="Second", edition="1"))
    answer = lena.post(url("-rule-edit", 1), form(name="Second", was="Likely spam", edition="2"))
    assert answer.status_code == 422
    assert "Another rule has this name" in text_of(answer)


def test_the_second_of_two_who_save_keeps_her_text_and_may_save_again(platform, lena):
    lena.post(url("-rule-new"), form())
    paul = Client()
    paul.force_login(make_person("paul", platform=platform))
    mine = form(**{"was": "Likely spam", "edition": "1", "c.0.value": "0.7"})
    paul.post(url("-rule-new"), form(name="Paul's", edition="1"))

    answer = lena.post(url("-rule-edit", 1), mine)
    assert answer.status_code == 409
    text = text_of(answer)
    assert "paul saved this draft at" in text and 'value="0.7"' in text
    assert rules_of(platform)[0]["condition"] == SPAM

    again = lena.post(url("-rule-edit", 1), fields_of(answer) | {"do": "save"})
    assert again.status_code == 302
    names = [(one["name"], one["condition"]["all"][0]["value"]) for one in rules_of(platform)]
    assert names == [("Likely spam", 0.7), ("Paul's", 0.5)]


def test_a_button_answers_htmx_with_the_very_same_form(platform, lena):
    data = form(do="fact:c")
    fragment = lena.post(url("-rule-new"), data, headers=HTMX).content.decode()
    page = lena.post(url("-rule-new"), data).content.decode()
    assert fragment.strip().startswith('<form id="_routing_rule"')

    def bare(text):
        return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", text).strip()

    assert bare(fragment) in bare(page)


def test_a_condition_is_counted_on_the_newest_items(platform, lena):
    for n in range(10):
        make_item(platform=platform, risks={"spam": n / 10}, risk=n / 10)
    answer = lena.post(url("-rule-new"), form(do="count"), headers=HTMX)
    assert "Holds for 5 of the newest 10 items." in text_of(answer)
    answer = lena.post(url("-rule-new"), form(do="count", **{"c.0.value": ""}), headers=HTMX)
    assert "Give a number." in text_of(answer)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("risk.spam > 0.5", "Good. It reads <code>risk.spam</code>"),
        ("risk.spam >", "This is not a condition"),
        ("risk.toxic > 1", "There is no risk.toxic here. There is: risk.spam"),
        ("a['<b>'] > 1", ".&lt;b&gt; does not exist"),
    ],
)
def test_an_expression_is_checked_while_it_is_typed(platform, lena, typed, words):
    answer = lena.post(url("-check"), {"path": "c.0", "c.0.text": typed})
    assert (
        words in text_of(answer) or words == "&lt;script&gt;" and "<script>" not in text_of(answer)
    )


def test_rules_are_moved_turned_off_removed_and_kept_after_all(platform, lena):
    make_rules(
        platform,
        *({"name": name, "queue": "spam", "condition": SPAM} for name in ("A", "B", "C")),
    )

    def names():
        return [one["name"] for one in rules_of(platform)]

    def press(do, edition):
        return lena.post(url("-draft"), {"do": do, "edition": edition}, headers=HTMX)

    press("down:0", 0)
    assert names() == ["B", "A", "C"]
    answer = press("up:2", 1)
    assert names() == ["B", "C", "A"]
    assert answer.content.decode().strip().startswith('<div id="_routing_draft">')
    press("toggle:0", 2)
    assert rules_of(platform)[0]["is_active"] is False
    press("remove:1", 3)
    assert names() == ["B", "A"]
    assert "Removed" in text_of(lena.get(url("-draft")))
    press("restore:C", 4)
    assert names() == ["B", "A", "C"]
    assert press("up:7", 5).status_code == 404
    stale = press("up:1", 3)
    assert stale.status_code == 409 and "saved this draft" in text_of(stale)


def test_looking_at_the_draft_begins_none(platform, lena):
    make_rules(platform, {"name": "A", "queue": "spam", "condition": SPAM})
    assert "The rules in force, to begin with." in text_of(lena.get(url("-draft")))
    assert lena.get(url("-rule-edit", 1)).status_code == 200
    assert lena.get(url("-rule-edit", 2)).status_code == 404
    assert routing_versions.find_draft(platform) is None


def test_a_rule_that_went_bad_is_marked_in_the_list(platform, lena):
    lena.post(url("-rule-new"), form())
    platform.queues.filter(slug="spam").update(is_archived=True)
    assert "This queue is archived" in text_of(lena.get(url("-draft")))
    answer = lena.post(url("-publish"), {"edition": 1})
    assert answer.status_code == 422 and "archived" in text_of(answer)


def test_a_published_rule_that_is_skipped_says_so(platform, lena):
    make_rules(platform, {"name": "A", "queue": "spam", "condition": SPAM})
    assert "Skipped" not in text_of(lena.get(url("")))
    platform.queues.filter(slug="spam").update(is_archived=True)
    assert "Skipped: This queue is archived" in text_of(lena.get(url("")))


def test_it_is_tried_published_and_put_back(platform, lena):
    make_rules(platform, {"name": "Old", "queue": "spam", "condition": SPAM})
    make_item(platform=platform, risks={"spam": 0.7}, risk=0.7, title="A letter")
    rule = form(was="Old", name="Old", **{"c.0.value": "0.9"})
    lena.post(url("-rule-edit", 1), rule)
    text = text_of(lena.get(url("-publish")))
    assert "have not been tried" in text

    answer = lena.post(url("-dry-run-create"), {"days": "7"}, follow=True)
    text = text_of(answer)
    assert "A letter" in text and "by “Old”" in text and "by default" in text
    text = text_of(lena.get(url("-publish")))
    assert "<b>1</b> of 1 items of the last 7 days" in text

    answer = lena.post(url("-publish"), {"edition": 1, "note": "Fewer"}, follow=True)
    text = text_of(answer)
    assert "Version 2, in force" in text and "Fewer" in text
    assert "risk of Spam ≥ 0.9" in text
    text = text_of(lena.get(url("-version", 2)))
    assert "<del>risk of Spam ≥ 0.5</del> <ins>risk of Spam ≥ 0.9</ins>" in text

    answer = lena.post(url("-put-back", 1), follow=True)
    assert "It puts back version 1." in text_of(answer)
    assert rules_of(platform)[0]["condition"] == SPAM
    lena.post(url("-draft"), {"do": "discard", "edition": 1})
    assert routing_versions.find_draft(platform) is None


def test_publishing_what_somebody_saved_meanwhile_asks_again(platform, lena):
    lena.post(url("-rule-new"), form())
    lena.post(url("-rule-new"), form(name="Second", edition="1"))
    answer = lena.post(url("-publish"), {"edition": 1, "note": "My reason"})
    assert answer.status_code == 409
    assert "My reason" in text_of(answer)


@pytest.mark.parametrize("days", ["", "0", "91", "x"])
def test_a_dry_run_of_no_sensible_length_is_refused(platform, lena, days):
    lena.post(url("-rule-new"), form())
    answer = lena.post(url("-dry-run-create"), {"days": days})
    assert answer.status_code == 422 and "Choose 1 to 90 days" in text_of(answer)
    assert not DryRun.objects.exists()


def test_a_run_that_is_under_way_asks_for_itself_until_it_is_over(platform, lena):
    lena.post(url("-rule-new"), form())
    lena.post(url("-dry-run-create"), {"days": "7"})
    run = DryRun.objects.get()
    DryRun.objects.filter(pk=run.pk).update(state="running", result=None, items_expected=10)
    fragment = lena.get(url("-dry-run", run.pk), headers=HTMX).content.decode()
    assert 'hx-trigger="every 1s"' in fragment and "<html" not in fragment
    DryRun.objects.filter(pk=run.pk).update(state="failed", error="It broke.")
    fragment = lena.get(url("-dry-run", run.pk), headers=HTMX).content.decode()
    assert "hx-trigger" not in fragment and "It broke." in fragment


def test_with_two_platforms_she_chooses_first(platform, lena):
    assert "No rule is in force" in text_of(lena.get(reverse("reviews:setup-routing-list")))
    make_person("lena", platform=make_platform(name="Other place"))
    assert "Other place" in text_of(lena.get(reverse("reviews:setup-routing-list")))


def test_an_auditor_reads_and_is_offered_no_button(platform, lena):
    lena.post(url("-rule-new"), form())
    abel = Client()
    abel.force_login(make_person("abel", platform=platform))
    for page in (url(""), url("-draft")):
        text = text_of(abel.get(page))
        assert "New rule" not in text and "Change the rules" not in text
        assert 'name="do"' not in text


def test_names_are_shown_as_text_and_not_run(platform, lena):
    evil = "<img src=x onerror=alert(1)>"
    lena.post(url("-rule-new"), form(name=evil, **{"c.0.fact": "language", "c.0.op": "is"}))
    assert rules_of(platform)[0]["name"] == evil
    for page in (url("-draft"), url("-rule-edit", 1), url("-publish")):
        assert "<img" not in lena.get(page).content.decode()


def test_a_page_of_50_rules_costs_as_many_queries_as_one_of_5(platform, lena):
    def queries(count):
        rules = ({"name": f"R{n}", "queue": "spam", "condition": SPAM} for n in range(count))
        make_rules(platform, *rules)
        with CaptureQueriesContext(connection) as caught:
            assert lena.get(url("")).status_code == lena.get(url("-draft")).status_code == 200
        return len(caught)

    queries(1)
    assert queries(5) == queries(50)


def test_a_tree_comes_back_from_the_form_as_it_went_in(platform):
    catalogue = read_catalogue(platform)
    tree = {
        "any": [
            {"not": {"any": [{"fact": "kind", "op": "one_of", "value": ["message"]}]}},
            {"not": {"all": [{"fact": "strikes", "op": "unknown"}]}},
            {"all": [{"expression": "report_count * 2 > 3"}, SPAM["all"][0]]},
        ]
    }
    top = composer.dress(composer.from_tree(tree), catalogue, {})
    from reviews import conditions

    assert conditions.check(composer.to_tree(top, catalogue), catalogue) == (tree, {})


def test_the_api_gives_the_rules_in_force_in_words_and_as_data(platform, lena):
    make_rules(platform, {"name": "A", "queue": "spam", "condition": SPAM})
    [found] = lena.get("/api/v1/routing").json()["results"]
    assert (found["platform"], found["version"], found["default_queue"]) == ("mail", 1, "general")
    assert found["rules"] == [
        {
            "name": "A",
            "queue": "spam",
            "is_active": True,
            "condition": SPAM,
            "expression": "(risk.spam >= 0.5)",
            "words": "risk of Spam ≥ 0.5",
        }
    ]
