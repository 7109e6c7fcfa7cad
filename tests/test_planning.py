"""Rosters and forecasts on their pages: what is saved, what is said, what a change would do."""

import json
import re
from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from reviews import charts, claims, forecast, history, planning, presence, revisions, week_charts
from reviews.errors import Forbidden, Invalid
from reviews.models import AuditEntry, Person, Revision, Roster, Shift

from .factories import make_platform, make_policy, make_queue
from .past import arrive, work_days
from .people import make_person
from .test_german_pages import english

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 11, 9, 30, tzinfo=ZoneInfo("UTC"))  # a Wednesday
WEEK = [planning.Times(day, 9, 17, 1) for day in range(5)]


class Place:
    def __init__(self, *, history=True):
        self.platform = make_platform(slug="mail", name="Mail")
        names = ("rosa", "remy", "lena", "paul", "abel", "ada")
        self.people = {name: make_person(name, platform=self.platform) for name in names}
        policy = make_policy(platform=self.platform)
        self.phishing = make_queue(
            platform=self.platform,
            policies=[policy],
            slug="phishing",
            name="Phishing",
            sla_minutes=240,
        )
        self.spam = make_queue(
            platform=self.platform, policies=[policy], slug="spam", name="Spam", sla_minutes=2880
        )
        if history:
            for queue, name in ((self.phishing, "rosa"), (self.spam, "remy")):
                until = claims.clock()
                work_days(queue, [self.people[name]], policy, until=until, days=3, per_day=30)

    def client(self, name="lena"):
        client = Client()
        client.force_login(self.people[name])
        return client


@pytest.fixture(scope="module")
def kept(keep):
    return keep(Place)


@pytest.fixture
def place(kept):
    return kept.copy()


@pytest.fixture
def empty():
    return Place(history=False)


def roster_form(*rows, **more):
    names = planning.Times._fields
    return {name: [str(row[n]) for row in rows] for n, name in enumerate(names)} | more


# Rosters


def test_a_roster_is_saved_whole_with_a_revision_and_an_audit_entry(empty):
    lena = empty.people["lena"]
    planning.save_roster(empty.spam, WEEK, by=lena, note="Autumn")
    planning.save_roster(empty.spam, WEEK[:2], by=lena)
    assert [tuple(one) for one in planning.times_of(Roster.objects.get().queue)] == WEEK[:2]
    assert Shift.objects.count() == 2
    assert list(Revision.objects.values_list("number", "note")) == [(2, ""), (1, "Autumn")]
    entries = AuditEntry.objects.filter(verb="roster.save")
    assert [entry.actor for entry in entries] == [lena, lena]


def test_saving_the_same_roster_again_leaves_no_second_revision(empty):
    for _ in range(2):
        planning.save_roster(empty.spam, WEEK, by=empty.people["lena"])
    assert Revision.objects.count() == 1


def test_an_old_roster_can_be_put_back(empty):
    url = reverse("reviews:roster", args=["spam"])
    lena = empty.client()
    lena.post(url, roster_form((0, 9, 17, 2), (1, 22, 24, 1)))
    lena.post(url, roster_form((6, 0, 1, 1)))
    text = lena.get(url).content.decode()
    assert "-Monday 09–17: 2" in text and "+Sunday 00–01: 1" in text
    lena.post(url, {"restore": "1"})
    roster = Roster.objects.get()
    assert list(roster.shifts.values_list("weekday", "starts", "ends", "headcount")) == [
        (0, 9, 17, 2),
        (1, 22, 24, 1),
    ]
    assert revisions.history(roster).first().restores.number == 1
    assert lena.post(url, {"restore": "77"}).status_code == 404


def test_who_may_only_look_edits_no_roster(empty):
    url = reverse("reviews:roster", args=["spam"])
    with pytest.raises(Forbidden):
        planning.save_roster(empty.spam, WEEK, by=empty.people["paul"])
    assert empty.client("paul").post(url, roster_form((0, 9, 17, 2))).status_code == 403
    text = empty.client("paul").get(url).content.decode()
    assert "Save the roster" not in text
    assert not Roster.objects.exists()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((0, 17, 9, 1), "A shift ends after it starts"),
        ((0, 9, 25, 1), "A shift ends after it starts"),
        ((0, 9, 17, 0), "From 1 to 200 people."),
        ((0, 9, "", 1), "Fill in all four with whole numbers."),
        ((8, 9, 17, 1), "Choose a weekday."),
    ],
)
def test_a_shift_that_does_not_work_is_said_beside_it_and_nothing_is_saved(empty, row, words):
    url = reverse("reviews:roster", args=["spam"])
    answer = empty.client().post(url, roster_form((0, 9, 17, 2), row))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert [shift.get("wrong") for shift in answer.context["shifts"][:2]][0] is None
    assert not Roster.objects.exists()


def test_empty_rows_are_no_shifts(empty):
    url = reverse("reviews:roster", args=["spam"])
    empty.client().post(url, roster_form((0, 9, 17, 2), (0, "", "", ""), (3, "", "", "")))
    assert Shift.objects.count() == 1


def test_the_past_can_fill_a_roster_in(place):
    url = reverse("reviews:roster", args=["phishing"])
    page = place.client().get(url, {"suggest": "1"})
    assert page.context["shifts"][0].get("headcount") == 1
    assert 9 <= page.context["shifts"][0]["starts"] < 17
    assert not Roster.objects.exists()


# What if


def read(**values):
    return planning.read_what_if(
        values, [type("Queue", (), {"slug": s, "name": s.title()}) for s in ("phishing", "spam")]
    )


def test_a_what_if_says_what_it_changes():
    moved = read(people="2", into="phishing", out="spam", hours="9-17", days="0", growth="20")
    assert moved.growth == 0.2
    assert np.flatnonzero(moved.people["phishing"]).tolist() == list(range(9, 17))
    assert moved.people["spam"][9] == -2
    assert moved.words == [
        "2 people moved from Spam to Phishing, on Monday from 9:00 to 17:00",
        "20 % more arrivals",
    ]
    assert not read()
    assert read(growth="-10").words == ["10 % fewer arrivals"]
    assert read(into="spam", hours="0–24").words[0].startswith("1 person more in Spam, every day")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"into": "nowhere"}, "into"),
        ({"into": "spam", "out": "spam"}, "out"),
        ({"into": "spam", "people": "many"}, "people"),
        ({"into": "spam", "hours": "17-9"}, "hours"),
        ({"into": "spam", "days": "someday"}, "days"),
        ({"growth": "-100"}, "growth"),
    ],
)
def test_a_what_if_that_does_not_work_names_the_field(values, field):
    with pytest.raises(Invalid) as refused:
        read(**values)
    assert list(refused.value.details) == [field]


# In words


def outlook(queue, **changes):
    rates = forecast.Rates(np.full(168, 1e5), np.full(168, 1e-4), 1.0, 10_000)  # 10 an hour
    situation = forecast.Situation(
        **{
            "rates": rates,
            "handling": forecast.Handling(180, 60, 500),
            "sla_hours": 4.0,
            "people": np.ones(168),
            "first_hour": presence.week_hour(NOW),
            "productive": 1.0,
            **changes,
        }
    )
    load = history.Load(queue, situation, 700, True, False)
    found = forecast.simulate(situation, forecast.draw(rates, seed=1))
    return planning.Outlook(load, found, None, None, None)


def test_a_queue_that_keeps_its_promise_says_so(empty):
    words = planning.in_words(outlook(empty.phishing), NOW)
    assert words == "Phishing keeps its 4 h promise all week (100\u202f% sure)."


def test_a_queue_that_breaks_it_says_when(empty):
    """Nobody from Thursday 10:00 on: what comes at 10:00 is late at 14:00."""
    people = np.zeros(168)
    people[48 : 3 * 24 + 10] = 1
    words = planning.in_words(outlook(empty.phishing, people=people), NOW)
    assert words.startswith("Phishing breaks its 4 h promise about Thursday 14:00")


def test_a_queue_that_is_late_says_when_it_has_caught_up(empty):
    late = outlook(empty.phishing, backlog=40, backlog_due=np.full(40, -1.0))
    words = planning.in_words(late, NOW)
    # It is 9:30; forty of three minutes are two hours.
    assert words.startswith("Phishing has 40 overdue now; it has caught up about today 11:00")
    never = outlook(
        empty.phishing, backlog=40, backlog_due=np.full(40, -1.0), people=np.ones(168) * 0.1
    )
    assert "hardly catch up" in planning.in_words(never, NOW)


def test_a_queue_that_nobody_works_says_that(empty):
    words = planning.in_words(outlook(empty.phishing, people=np.zeros(168)), NOW)
    assert words == "Nobody works Phishing, so nothing that comes in would be answered."


# The pages


def test_the_forecast_shows_every_queue_in_words_and_by_the_hour(place):
    page = place.client().get(reverse("reviews:forecast"))
    text = page.content.decode()
    assert "Phishing" in page.context["rows"][0]["words"]
    assert text.count('class="box heat-') == 2 * 168
    assert re.search(r"\b[34] days of history", text)  # by the hour of the day
    assert "as worked" in text  # there is no roster yet


def test_the_forecast_of_a_platform_without_any_history_is_a_page_too(empty):
    text = empty.client().get(reverse("reviews:forecast")).content.decode()
    assert "Nobody works Phishing" in text
    assert empty.client().get(reverse("reviews:forecast-detail", args=["spam"])).status_code == 200


def test_a_what_if_lives_in_the_url_and_says_what_it_changes(place):
    for queue in (place.phishing, place.spam):
        planning.save_roster(queue, WEEK, by=None)
        for number in range(40):
            arrive(queue, claims.clock() - timedelta(minutes=number))
    query = {"into": "phishing", "people": "3", "hours": "0-24", "days": "all"}
    page = place.client().get(reverse("reviews:forecast"), query)
    text = page.content.decode()
    assert "3 people more in Phishing, every day from 0:00 to 24:00" in text
    phishing, spam = page.context["rows"]
    assert phishing["change"].late_jobs < 0
    assert spam["change"] is None
    assert "?into=phishing&amp;people=3" in text  # carried to the queue's own page
    detail = place.client().get(reverse("reviews:forecast-detail", args=["phishing"]), query)
    assert "With the change" in detail.content.decode()
    assert detail.content.decode().count("chart plot") == 4


@pytest.mark.parametrize("url", ["reviews:forecast", "reviews:forecast-detail"])
def test_the_week_to_come_is_read_in_german(place, url):
    Person.objects.update(language="de")
    args = ["phishing"] if url.endswith("detail") else []
    query = {"people": "1", "into": "phishing", "out": "spam", "days": "0", "growth": "20"}
    text = place.client().get(reverse(url, args=args), query).content.decode()
    assert list(english(text)) == []
    assert "am Montag von 0:00 bis 24:00" in text


def test_a_what_if_that_does_not_work_is_said_beside_its_field(place):
    answer = place.client().get(reverse("reviews:forecast"), {"into": "spam", "hours": "late"})
    assert answer.status_code == 422
    assert "Two full hours of a day, like 9-17." in answer.content.decode()


def test_the_forecast_as_csv_has_an_hour_a_line(place):
    answer = place.client().get(reverse("reviews:forecast"), {"format": "csv"})
    lines = answer.content.decode().splitlines()
    assert lines[0].startswith("queue,from,late_chance")
    assert len(lines) == 1 + 2 * 168


def test_the_queue_pages_lead_there_for_those_who_may(place):
    for url in (reverse("reviews:queue-list"), reverse("reviews:queue-detail", args=["spam"])):
        assert "/forecast/" in place.client().get(url).content.decode()
        assert "/forecast/" not in place.client("rosa").get(url).content.decode()


def test_the_command_says_the_same_in_words_and_in_json(place):
    out = StringIO()
    call_command("forecast", into="phishing", hours="9-17", stdout=out)
    assert "Phishing" in out.getvalue()
    assert "1 person more in Phishing, every day from 9:00 to 17:00" in out.getvalue()
    out = StringIO()
    call_command("forecast", json=True, stdout=out)
    found = json.loads(out.getvalue())
    assert [one["queue"] for one in found] == ["phishing", "spam"]
    assert len(found[0]["late_chance_by_hour"]) == 168
    with pytest.raises(CommandError, match="Choose one of the queues"):
        call_command("forecast", into="nowhere")


# Charts


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.183, "18\u202f%"), (-0.031, "−3.1\u202f%"), (0.0, "0\u202f%"), (-0.0001, "0\u202f%")],
)
def test_shares_are_said_with_as_many_figures_as_they_have(value, words):
    assert charts.percent(value) == words


def test_hours_that_follow_in_one_shade_are_one_line_of_the_table():
    shares = [0.0] * 5 + [0.9] * 3
    labels = [f"{hour}:00" for hour in range(8)]
    plot = week_charts.heat_plot([week_charts.Strip("Phishing", shares)], labels, [])
    assert plot.rows == [
        ("Phishing", "0:00 to 5:00", "0\u202f%"),
        ("Phishing", "5:00 to the end", "90\u202f%"),
    ]
    assert len(plot.boxes) == 8


@pytest.mark.parametrize("width", [390, 1440])
def test_planning_pages_fit_the_screen(live_app, new_page, sign_in, width):
    place = Place()
    planning.save_roster(place.spam, WEEK, by=None)
    page = new_page(viewport={"width": width, "height": 844})
    sign_in(page, Person.objects.get(username="lena"))
    for path in (
        "forecast/",
        "forecast/phishing/?into=phishing&growth=20",
        "queues/spam/roster/",
        "queues/spam/replay/",
    ):
        page.goto(f"{live_app}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
