"""Replays from the form to the figures: the service, the pages, the command, a real worker."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from reviews import claims, history, planning, replays
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import AuditEntry, Person, ReplayRun

from .conftest import wait_until
from .factories import make_platform, make_policy, make_queue
from .past import work_days
from .people import make_person
from .test_german_pages import english

pytestmark = pytest.mark.django_db


class Place:
    """A queue with four worked days behind it."""

    def __init__(self):
        self.platform = make_platform(slug="mail", name="Mail")
        self.people = {
            name: make_person(name, platform=self.platform)
            for name in ("rosa", "remy", "lena", "paul", "abel")
        }
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam and scams")
        self.queue = make_queue(
            platform=self.platform, policies=[self.spam], slug="spam", sla_minutes=600
        )
        self.until = claims.clock()
        rosa = self.people["rosa"]
        self.answered = work_days(self.queue, [rosa], self.spam, until=self.until)
        self.url = reverse("reviews:replay-list", args=["spam"])

    def start(self, *, by=None, **values):
        return replays.start_replay(
            self.queue,
            by=by,
            candidate=replays.read_candidate(self.queue, values),
            since=self.until - timedelta(days=5),
            until=self.until,
        )

    def client(self, name):
        client = Client()
        client.force_login(self.people[name])
        return client

    def form(self, **changes):
        fields = {"days": "5", "seed": "1", "staff": "worked", "doubling_hours": "8"}
        return {**fields, **changes}


@pytest.fixture(scope="module")
def kept(keep):
    return keep(Place)


@pytest.fixture
def place(kept):
    return kept.copy()


def test_a_replay_reads_the_past_and_keeps_its_figures(place):
    run = place.start(by=place.people["lena"], doubling_hours="12")
    assert (run.state, run.candidate["doubling_hours"]) == ("waiting", 12)
    replays.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.fraction, run.error) == ("done", 1, "")
    result = run.result
    assert result["is_plausible"]
    assert result["counts"]["violating"] + result["counts"]["clean"] == place.answered
    views = {name: one["views"]["value"] for name, one in result["orders"].items()}
    assert views["oracle"] < views["today"] < views["fifo"]
    assert AuditEntry.objects.get(verb="replay.run").actor == place.people["lena"]


def test_its_words_and_figures_are_read_in_german(place):
    run = place.start(doubling_hours="12", weight_spam="9")
    replays.run(run.pk)
    Person.objects.update(language="de")
    page = place.client("lena").get(reverse("reviews:replay-detail", args=[run.pk]))
    text = page.content.decode()
    assert list(english(text)) == []
    assert "Nachrechnung" in text and "Reihenfolge des Eingangs" in text
    run.refresh_from_db()
    assert run.step == "Done"  # the row keeps English


def test_first_in_first_out_replayed_comes_close_to_what_happened(place):
    """The days were worked in order of arrival, so that order should find the waits they had."""
    run = place.start()
    replays.run(run.pk)
    run.refresh_from_db()
    past = history.read_world(
        place.queue, since=place.until - timedelta(days=5), until=place.until
    ).world
    from reviews.models import Decision

    decided = dict(Decision.objects.values_list("job", "decided_at"))
    waits = sorted(
        (decided[pk] - past.start).total_seconds() / 3600 - at
        for pk, at, verdict in zip(past.ids.tolist(), past.at, past.verdict, strict=True)
        if verdict == 1
    )
    found = run.result["orders"]["fifo"]["wait_p50"]["value"]
    assert found == pytest.approx(waits[len(waits) // 2], abs=0.25)


def test_a_run_that_is_done_or_at_work_is_left_alone(place):
    run = place.start()
    replays.run(run.pk)
    run.refresh_from_db()
    finished_at = run.finished_at
    replays.run(run.pk)
    run.refresh_from_db()
    assert (run.finished_at, run.attempts) == (finished_at, 1)
    ReplayRun.objects.update(state="running", heartbeat_at=claims.clock())
    replays.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("running", 1)


def test_a_run_that_fell_silent_is_begun_again_and_given_up_after_three(place, monkeypatch):
    nudged = []
    monkeypatch.setattr(replays, "nudge", nudged.append)
    run = place.start()
    long_ago = claims.clock() - timedelta(minutes=5)
    ReplayRun.objects.update(state="running", attempts=2, heartbeat_at=long_ago)
    assert replays.resume_stuck() == 1
    assert nudged == [run.pk]
    ReplayRun.objects.update(attempts=3)
    assert replays.resume_stuck() == 0
    run.refresh_from_db()
    assert run.state == "failed" and "3 times" in run.error


def test_a_stopped_replay_keeps_no_figures(place):
    run = place.start()
    replays.cancel_replay(run, by=place.people["lena"])
    replays.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.result) == ("cancelled", None)
    with pytest.raises(Conflict):
        replays.cancel_replay(run, by=place.people["lena"])


def test_a_replay_stopped_while_it_runs_ends_without_figures(place, monkeypatch):
    run = place.start()

    def stop(*args, **kw):
        ReplayRun.objects.filter(pk=run.pk).update(state="cancelled")
        return real(*args, **kw)

    real = history.read_world
    monkeypatch.setattr(history, "read_world", stop)
    replays.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.result) == ("cancelled", None)


def test_a_period_in_which_nothing_happened_fails_with_a_reason(place):
    queue = make_queue(platform=place.platform, policies=[place.spam])
    run = replays.start_replay(
        queue,
        by=None,
        candidate=history.read_parameters(queue),
        since=place.until - timedelta(days=1),
        until=place.until,
    )
    replays.run(run.pk)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "Choose a longer period" in run.error


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"doubling_hours": "0"}, "doubling_hours"),
        ({"doubling_hours": "soon"}, "doubling_hours"),
        ({"report_weight": "1.5"}, "report_weight"),
        ({"weight_spam": "-1"}, "weight_spam"),
        ({"sla_user": "nan"}, "sla_user"),
    ],
)
def test_a_number_that_does_not_work_is_named(place, values, field):
    with pytest.raises(Invalid) as refused:
        replays.read_candidate(place.queue, values)
    assert list(refused.value.details) == [field]


def test_a_candidate_is_todays_but_for_what_was_changed(place):
    place.queue.sla_by_source = {"user": 90}
    today = history.read_parameters(place.queue)
    assert replays.read_candidate(place.queue, {}) == today
    changed = replays.read_candidate(place.queue, {"sla_user": "", "sla_hash": "5"})
    assert changed.sla_by_source == {"hash": 5}


def test_who_may_only_look_starts_nothing(place):
    with pytest.raises(Forbidden):
        place.start(by=place.people["abel"])
    assert place.client("abel").post(place.url, place.form()).status_code == 403
    assert place.client("abel").get(place.url).status_code == 200
    assert place.client("rosa").get(place.url).status_code == 403
    assert not ReplayRun.objects.exists()


def test_the_form_starts_what_it_says(place):
    answer = place.client("lena").post(place.url, place.form(weight_spam="9"))
    run = ReplayRun.objects.get()
    assert answer["Location"] == reverse("reviews:replay-detail", args=[run.pk])
    assert run.candidate["doubling_hours"] == 8
    assert run.candidate["severity_weights"] == {"spam": 9}
    assert run.until - run.since == timedelta(days=5)


def test_the_form_says_beside_each_field_what_is_wrong_and_keeps_what_was_typed(place):
    form = place.form(days="0", doubling_hours="many", staff="roster")
    answer = place.client("lena").post(place.url, form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="many" aria-describedby="doubling_hours-note" aria-invalid="true"' in text
    assert "A whole number from 1 to 92." in text
    assert not ReplayRun.objects.exists()
    answer = place.client("lena").post(place.url, place.form(staff="roster"))
    assert answer.status_code == 422
    assert "This queue has no roster yet" in answer.content.decode()


def test_a_roster_staffs_the_replay(place):
    planning.save_roster(place.queue, [planning.Times(day, 9, 17, 2) for day in range(7)], by=None)
    answer = place.client("lena").post(place.url, place.form(staff="roster"))
    assert answer.status_code == 302
    run = ReplayRun.objects.get()
    replays.run(run.pk)
    text = place.client("lena").get(answer["Location"]).content.decode()
    assert "Staffed as on the roster" in text


def test_the_page_says_it_in_words_and_gives_the_figures_away(place):
    run = place.start(doubling_hours="12")
    url = reverse("reviews:replay-detail", args=[run.pk])
    lena = place.client("lena")
    waiting = lena.get(url).content.decode()
    assert 'hx-trigger="every 1s"' in waiting
    replays.run(run.pk)
    text = lena.get(url).content.decode()
    assert "hx-trigger" not in text
    assert "first in, first out lets happen" in text
    assert "/setup/queues/spam/?doubling_hours=12" in text
    assert text.count("chart plot") == 3
    plain = lena.get(url, {"format": "json"}).json()
    assert plain["result"]["orders"]["today"]["views"]["value"] > 0
    csv = lena.get(url, {"format": "csv"}).content.decode()
    assert "candidate,wait_p90," in csv
    # An auditor reads, and edits nothing.
    assert "Use these parameters" not in place.client("abel").get(url).content.decode()


def test_the_command_prints_the_orders(place):
    out = StringIO()
    call_command("replay_queue", "spam", days=5, doubling_hours=12.0, stdout=out)
    text = out.getvalue()
    for words in ("first in, first out", "perfect knowledge", "the candidate"):
        assert words in text
    out = StringIO()
    call_command("replay_queue", "spam", days=5, json=True, stdout=out)
    assert json.loads(out.getvalue())["orders"]["fifo"]["views"]["value"] > 0
    assert not ReplayRun.objects.exists()  # it looks, and leaves nothing behind
    with pytest.raises(CommandError, match="no queue nonsense"):
        call_command("replay_queue", "nonsense")
    with pytest.raises(CommandError, match="0.01 to"):
        call_command("replay_queue", "spam", doubling_hours=0.0)


def test_a_lead_starts_a_replay_and_watches_it_end(live_app, worker, page, sign_in):
    place = Place()
    sign_in(page, Person.objects.get(username="lena"))
    page.goto(f"{live_app}/queues/spam/")
    page.get_by_role("link", name="Replays").click()
    page.get_by_label("Days up to now").fill("5")
    page.get_by_label("Hours worth a doubling").fill("12")
    page.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_text("The orders side by side").wait_for(timeout=60_000)
    assert page.locator("figure.plot svg").count() == 3
    assert page.get_by_role("link", name="Use these parameters").is_visible()
    run = ReplayRun.objects.get()
    wait_until(lambda: ReplayRun.objects.get().state == "done")
    assert run.created_by == place.people["lena"]
