"""An account's page and its call: what it sent, what was decided, and what a blind queue keeps
back from whoever may get its jobs."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import accounts, clusters, decisions, enforcement, history_charts
from reviews.models import Enforcement, Item, ItemVersion, Report, Strike
from tests.factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db


class World:
    """dora's account, a queue that may strike it, and people who look."""

    def __init__(self):
        self.platform = make_platform()
        self.people = {
            name: make_person(name, platform=self.platform) for name in ("rosa", "remy", "lena")
        }
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam")
        strike = make_action(
            platform=self.platform, slug="strike", name="Strike", target="account", is_strike=True
        )
        self.queue = make_queue(
            platform=self.platform,
            policies=[self.spam],
            actions=[strike],
            members=self.people.values(),
        )
        self.kind = make_kind(platform=self.platform)
        self.account = make_account(
            platform=self.platform, external_id="dora/1", name="Dora", joined_at=timezone.now()
        )

    def add(self, text="hello there", **kw):
        return make_item(kind=self.kind, account=self.account, text=text, **kw)

    def decide(self, item, verdict="violating", name="remy"):
        job = claimed_job(self.people[name], queue=self.queue, item=item)
        is_violating = verdict == "violating"
        return decisions.record_review(
            job.pk,
            job.claim_token,
            by=self.people[name],
            verdict=verdict,
            policy_slugs=["spam"] if is_violating else (),
            action_slugs=["strike"] if is_violating else None,
        )

    def client(self, name="lena"):
        client = Client()
        client.force_login(self.people[name])
        return client

    def page(self, name="lena", **query):
        return self.client(name).get(
            reverse("reviews:account-detail", args=[self.account.pk]), query
        )

    def texts(self, name="lena", **query):
        return [line.item.line for line in self.page(name, **query).context["lines"]]


@pytest.fixture
def world():
    return World()


def test_the_page_says_who_it_is_and_what_came_of_it(world):
    world.decide(world.add("buy now", language="en", report_count=1))
    Report.objects.create(item=Item.objects.get(), external_id="1", reason="Junk", text="again")
    world.decide(world.add("see you", language="pt-BR"), "clean")
    world.add("not yet")
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    page = world.page()
    text = page.content.decode()
    summary = page.context["summary"]
    assert (summary.items, summary.violating, summary.clean, summary.reports) == (3, 1, 1, 1)
    assert [(one.slug, one.count) for one in summary.policies] == [("spam", 1)]
    assert page.context["languages"] == [("English", 1), ("Brazilian Portuguese", 1)]
    assert page.context["counting"] == 1
    assert [(one.name, one.count) for one in summary.carried] == [("Strike", 1)]
    for word in ("Dora", "dora/1", "Spam", "Junk", "counts until", "accounts/dora%2F1"):
        assert word in text, word


def test_strikes_count_until_they_expire_or_are_taken_back(world):
    for text in ("one", "two", "three"):
        world.decide(world.add(text))
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    first, second, _ = Strike.objects.order_by("pk")
    Strike.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(days=1))
    Strike.objects.filter(pk=second.pk).update(reversed_at=timezone.now())
    page = world.page()
    assert page.context["counting"] == 1
    words = page.content.decode()
    assert all(f'">{state}</span>' in words for state in ("counts", "expired", "reversed"))


def test_the_list_is_searched_by_what_stands_policy_words_days_and_reports(world):
    bad, good, open_ = world.add("buy now"), world.add("see you"), world.add("at lunch")
    world.decide(bad)
    world.decide(good, "clean")
    make_job(queue=world.queue, item=open_)
    Item.objects.filter(pk=good.pk).update(
        submitted_at=timezone.now() - timedelta(days=9), report_count=2
    )
    assert world.texts() == ["at lunch", "buy now", "see you"]
    assert world.texts(stands="violating") == ["buy now"]
    assert world.texts(stands="undecided") == world.texts(stands="waiting") == ["at lunch"]
    assert world.texts(policy="spam") == ["buy now"]
    assert world.texts(q="SEE") == ["see you"]
    assert world.texts(q=open_.external_id) == ["at lunch"]
    assert world.texts(reported="1") == ["see you"]
    assert world.texts(kind="no-such") == []
    week = str(timezone.localdate() - timedelta(days=7))
    assert world.texts(until=week) == ["see you"]
    assert world.texts(since=week, stands="clean") == []


def test_a_day_that_is_none_is_refused_beside_its_field_and_nothing_else_is_lost(world):
    world.add("buy now")
    page = world.page(since="2026-02-31", q="buy")
    assert "since" in page.context["errors"]
    assert 'value="2026-02-31"' in page.content.decode()
    assert [line.item.line for line in page.context["lines"]] == ["buy now"]


def test_pages_of_the_list_go_on_by_key_and_nothing_is_told_twice(world, monkeypatch):
    monkeypatch.setattr("reviews.views.accounts.PAGE", 2)
    moment = timezone.now()
    for number in range(5):
        world.add(f"number {number}", submitted_at=moment)
    seen, before = [], None
    for _ in range(3):
        page = world.page(**({"before": before} if before else {}))
        seen += [line.item.line for line in page.context["lines"]]
        before = page.context["next"]
    assert sorted(seen) == [f"number {number}" for number in range(5)] and before is None


def test_the_csv_is_what_is_shown(world):
    world.decide(world.add("buy now"))
    world.add("other")
    answer = world.page(format="csv", q="buy")
    assert answer["Content-Type"].startswith("text/csv")
    assert "buy now" in answer.content.decode() and "other" not in answer.content.decode()


def test_accounts_that_sent_the_same_are_named_to_those_who_see_clusters(world):
    other = make_account(platform=world.platform, name="Her twin")
    items = [world.add("the same"), make_item(kind=world.kind, account=other, text="the same")]
    clusters.mark_versions([item.current_version.pk for item in items])
    Item.objects.update(fingerprint="same")
    clusters.hash_due()
    assert [one.name for one in world.page().context["same"]] == ["Her twin"]
    assert world.page("rosa").context["same"] == []
    assert "Her twin" not in world.page("rosa").content.decode()


@pytest.mark.parametrize("hidden", ["author", "history", "reports"])
def test_an_item_that_waits_for_a_blind_review_is_left_out_for_who_may_get_it(world, hidden):
    item = world.add("whose is this")
    world.decide(world.add("buy now"))
    world.queue.blind = [hidden]
    world.queue.save()
    make_job(queue=world.queue, item=item)
    page = world.page("rosa")
    assert "whose is this" not in page.content.decode()
    assert page.context["summary"].items == 1
    assert "whose is this" in world.page("lena").content.decode()


def test_what_a_check_asks_again_is_not_answered_by_its_authors_page(world):
    item = world.add("asked again")
    world.decide(item)
    make_job(queue=world.queue, item=item, lane="gold")
    assert world.page("rosa").context["summary"].violating == 0
    assert world.page("lena").context["summary"].violating == 1


def test_a_lead_who_holds_a_blind_job_is_not_told_either(world):
    item = world.add("whose is this")
    world.queue.blind = ["author"]
    world.queue.save()
    claimed_job(world.people["lena"], queue=world.queue, item=item)
    assert "whose is this" not in world.page("lena").content.decode()


def test_an_account_without_items_says_so(world):
    assert "No items to show" in world.page().content.decode()


def test_an_erased_item_is_listed_without_its_words(world):
    item = world.add("gone for good")
    ItemVersion.objects.filter(item=item).update(content={})
    Item.objects.filter(pk=item.pk).update(erased_at=timezone.now())
    assert world.texts() == ["(no text)"]


def test_the_page_costs_as_many_queries_with_25_items_as_with_5(world):
    counts = []
    for most in (5, 25):
        while Item.objects.count() < most:
            world.decide(world.add("buy now"))
        Enforcement.objects.update(due_at="2020-01-01T00:00Z")
        enforcement.release_planned()
        client = world.client()
        url = reverse("reviews:account-detail", args=[world.account.pk])
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 25


def test_the_call_answers_with_the_same_figures(world):
    world.decide(world.add("buy now", language="en"))
    body = world.client().get(reverse("reviews_api:account", args=["dora/1"])).json()
    assert body["name"] == "Dora" and body["items"] == 1
    assert body["decisions"] == {"violating": 1, "clean": 0}
    assert body["policies"][0]["slug"] == "spam" and body["languages"] == {"en": 1}


def test_the_call_keeps_from_a_reviewer_what_the_page_keeps_from_her(world):
    item = world.add()
    world.queue.blind = ["author"]
    world.queue.save()
    make_job(queue=world.queue, item=item)
    url = reverse("reviews_api:account", args=["dora/1"])
    assert world.client("rosa").get(url).json()["items"] == 0
    assert world.client("lena").get(url).json()["items"] == 1


def test_an_account_of_another_platform_is_not_there(world):
    stranger = make_account(name="Stranger")
    url = reverse("reviews:account-detail", args=[stranger.pk])
    assert world.client().get(url).status_code == 404
    url = reverse("reviews_api:account", args=[stranger.external_id])
    assert world.client().get(url).status_code == 404


def test_only_reading_is_allowed(world):
    url = reverse("reviews:account-detail", args=[world.account.pk])
    assert world.client().post(url).status_code == 405


# The chart


def rows(*weeks):
    return [history_charts.Row("Spam", "bar-violating", dict(weeks))]


WORDS = history_charts.Words("Decisions", "by time", "From")


def test_a_short_past_is_drawn_by_week_a_longer_one_by_month_and_then_by_year():
    today = date(2026, 11, 25)
    for first, names in (
        (date(2026, 11, 9), ("2026-11-09", "2026-11-23")),
        (date(2026, 1, 5), ("2026-01", "2026-11")),
        (date(2020, 1, 6), ("2020", "2026")),
    ):
        plot = history_charts.rows_plot(
            rows((first, 3), (date(2026, 11, 23), 1)), WORDS, until=today, id="x"
        )
        assert (plot.rows[-1][0], plot.rows[0][0]) == names


def test_bars_are_to_one_scale_and_the_table_behind_has_every_sum():
    two = [
        history_charts.Row("Spam", "bar-violating", {date(2026, 11, 16): 4}),
        history_charts.Row("Clean", "bar-clean", {date(2026, 11, 16): 2}),
    ]
    plot = history_charts.rows_plot(two, WORDS, until=date(2026, 11, 18), id="x")
    spam, clean = plot.boxes
    # 4 fills its row of 44 - 8 px, 2 half of it.
    assert (spam.height, clean.height) == (36, 18)
    assert plot.rows == [("2026-11-16", "4", "2")]


def test_nothing_decided_is_no_chart():
    assert history_charts.rows_plot(rows(), WORDS, until=date(2026, 11, 18), id="x") is None


def test_a_reader_who_may_not_be_told_of_items_gets_sums_without_them(world):
    item = world.add()
    world.decide(item)
    assert accounts.summary(world.account, hidden=[item.pk]).items == 0
