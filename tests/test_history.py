"""What replays and forecasts read: one queue's past, row by row."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.utils import timezone

from reviews import decisions, history, planning, presence, serving
from reviews.models import Decision, Person

from .factories import make_platform, make_policy, make_queue
from .past import HOUR, answer, arrive, report
from .people import make_person

pytestmark = pytest.mark.django_db

UNTIL = datetime(2026, 3, 9, 12, tzinfo=ZoneInfo("UTC"))  # a Monday
SINCE = UNTIL - timedelta(days=7)


class Place:
    def __init__(self):
        self.platform = make_platform()
        self.spam = make_policy(platform=self.platform, slug="spam", severity_weight=4)
        self.adult = make_policy(platform=self.platform, slug="adult", position=1)
        self.queue = make_queue(
            platform=self.platform, policies=[self.spam, self.adult], sla_minutes=120
        )
        self.rosa, self.remy, self.lena = (
            make_person(name, platform=self.platform) for name in ("rosa", "remy", "lena")
        )

    def read(self, **kw):
        return history.read_world(self.queue, since=SINCE, until=UNTIL, **kw)


@pytest.fixture
def place():
    return Place()


def at(hours):
    return SINCE + timedelta(hours=hours)


def test_what_was_decided_is_read_with_its_truth_and_what_was_known(place):
    job = arrive(
        place.queue,
        at(1),
        risks={"spam": 0.8, "adult": 0.1},
        scored_after=timedelta(minutes=6),
        views_per_hour=50,
    )
    answer(job, place.rosa, claimed_at=at(3), ended_at=at(3.05), violated=[place.spam])
    world = place.read().world
    assert world.policies == ("spam", "adult")
    assert world.at.tolist() == [1.0]
    assert world.known_at.tolist() == pytest.approx([1.1])
    assert world.probabilities.tolist() == [[0.8, 0.1]]
    assert world.verdict.tolist() == [serving.VIOLATING]
    assert world.violates.tolist() == [[True, False]]
    assert world.seconds.tolist() == pytest.approx([180])
    assert world.windows == [[(pytest.approx(3), pytest.approx(3.05))]]


def test_the_standing_decision_is_the_truth_not_the_first(place):
    job = arrive(place.queue, at(1))
    first = answer(job, place.rosa, claimed_at=at(3), ended_at=at(3.1))
    place.queue.members.add(place.lena)
    decisions.override(
        first, by=place.lena, verdict="violating", policy_slugs=["adult"], note="It is."
    )
    world = place.read().world
    assert world.verdict.tolist() == [serving.VIOLATING]
    assert world.violates.tolist() == [[False, True]]


def test_what_was_taken_back_or_never_decided_has_no_verdict(place):
    taken_back = answer(arrive(place.queue, at(1)), place.rosa, claimed_at=at(2), ended_at=at(2.1))
    Decision.objects.create(
        kind="undo",
        item=taken_back.item,
        item_version=taken_back.item_version,
        queue=place.queue,
        job=taken_back.job,
        supersedes=taken_back,
        decided_by=place.rosa,
    )
    arrive(place.queue, at(4))
    assert place.read().world.verdict.tolist() == [serving.UNKNOWN] * 2


def test_what_waited_when_the_period_began_is_there_and_what_was_done_is_not(place):
    done = arrive(place.queue, at(-30))
    answer(done, place.rosa, claimed_at=at(-20), ended_at=at(-19.9))
    still_open = arrive(place.queue, at(-20))
    answer(still_open, place.rosa, claimed_at=at(2), ended_at=at(2.1))
    arrive(place.queue, UNTIL + HOUR)
    world = place.read().world
    assert world.ids.tolist() == [still_open.pk]
    assert world.at.tolist() == [-20.0]


def test_nothing_of_another_queue_is_read(place):
    other = make_queue(platform=place.platform, policies=[place.spam])
    answer(arrive(other, at(1)), place.rosa, claimed_at=at(2), ended_at=at(2.1))
    assert place.read().world.size == 0


def test_pages_of_a_few_rows_read_the_same(place, monkeypatch):
    for number in range(23):
        job = arrive(place.queue, at(number), risks={"spam": 0.5})
        answer(job, place.rosa, claimed_at=at(number + 0.5), ended_at=at(number + 0.6))
    whole = place.read()
    monkeypatch.setattr(history, "_PAGE", 5)
    monkeypatch.setattr(presence, "_PAGE", 5)
    paged = place.read()
    assert paged.world.ids.tolist() == whole.world.ids.tolist()
    assert paged.world.windows == whole.world.windows
    monkeypatch.setattr(history, "MOST_ARRIVALS", 10)
    cut = place.read()
    assert cut.is_cut
    assert cut.world.ids.tolist() == whole.world.ids.tolist()[-10:]  # the newest


def test_she_is_there_from_claim_to_claim_unless_a_quarter_of_an_hour_goes_by(place):
    jobs = [arrive(place.queue, at(0)) for _ in range(4)]
    minutes = [(60, 63), (64, 70), (80, 82), (120, 125)]
    for job, (start, end) in zip(jobs, minutes, strict=True):
        answer(job, place.rosa, claimed_at=at(start / 60), ended_at=at(end / 60))
    # 60–82 (pauses of 1 and 10 min), then 38 min of nobody.
    windows = place.read().world.windows
    assert [(round(a * 60), round(b * 60)) for a, b in windows[0]] == [(60, 82), (120, 125)]


def test_time_spent_in_another_queue_is_not_this_ones(place):
    other = make_queue(platform=place.platform, policies=[place.spam])
    here = [arrive(place.queue, at(0)) for _ in range(2)]
    there = arrive(other, at(0))
    for job, start, end in ((here[0], 60, 64), (there, 64, 69), (here[1], 69, 72)):
        answer(job, place.rosa, claimed_at=at(start / 60), ended_at=at(end / 60))
    windows = place.read().world.windows
    assert [(round(a * 60), round(b * 60)) for a, b in windows[0]] == [(60, 64), (69, 72)]


def test_a_prefetched_item_is_handled_from_when_the_one_before_it_was_done(place):
    first, second = (arrive(place.queue, at(0)) for _ in range(2))
    answer(first, place.rosa, claimed_at=at(1), ended_at=at(1) + timedelta(seconds=40))
    answer(
        second,
        place.rosa,
        claimed_at=at(1) + timedelta(seconds=1),
        ended_at=at(1) + timedelta(seconds=70),
    )
    assert place.read().world.seconds.tolist() == pytest.approx([40, 30])


def test_an_expired_claim_is_no_presence_and_a_skip_is(place):
    job = arrive(place.queue, at(0))
    answer(job, place.remy, claimed_at=at(1), ended_at=at(2), end="expired")
    answer(job, place.rosa, claimed_at=at(3), ended_at=at(3.1), end="skipped")
    history_read = place.read()
    assert history_read.world.windows == [[(pytest.approx(3), pytest.approx(3.1))]]


def test_what_nobody_handled_takes_as_long_as_something_somebody_did(place):
    for number, seconds in enumerate((30, 90)):
        start = at(1 + number)
        answer(
            arrive(place.queue, at(0)),
            place.rosa,
            claimed_at=start,
            ended_at=start + timedelta(seconds=seconds),
        )
    for _ in range(8):
        arrive(place.queue, at(5))
    seconds = place.read(seed=3).world.seconds
    assert set(np.round(seconds[2:]).tolist()) <= {30.0, 90.0}
    assert (place.read(seed=3).world.seconds == seconds).all()


def test_answers_that_took_longer_than_anybody_was_there_are_noticed(place):
    """As when they were simulated: recorded within a second, said to have taken a minute."""
    for number in range(5):
        start = at(1) + timedelta(seconds=number)
        answer(
            arrive(place.queue, at(0)),
            place.rosa,
            claimed_at=start,
            ended_at=start + timedelta(seconds=1),
            active_seconds=60,
        )
    assert not place.read().is_plausible


def test_scoring_is_as_late_as_it_was_after_we_first_had_the_item(place):
    """An import says when an item came in; it was scored when we had it."""
    job = arrive(place.queue, at(1), risks={"spam": 0.5})
    now = timezone.now()
    job.item.versions.update(created_at=now)
    job.item.scored_at = now + timedelta(minutes=30)
    job.item.save(update_fields=["scored_at"])
    assert place.read().world.known_at.tolist() == pytest.approx([1.5])


def test_a_reporters_record_counts_as_it_stood_when_she_reported(place):
    earlier = [arrive(place.queue, at(hours)) for hours in (0, 0.1, 0.2)]
    for job, hours in zip(earlier, (0.5, 0.6, 0.7), strict=True):
        report(job, at(hours), reporter="ann")
    answer(earlier[0], place.rosa, claimed_at=at(5), ended_at=at(5.1), violated=[place.spam])
    answer(earlier[1], place.rosa, claimed_at=at(9), ended_at=at(9.1))
    later = arrive(place.queue, at(6))
    report(later, at(7), reporter="ann")
    report(later, at(7.5), source="classifier")
    reports = place.read().world.reports
    # Nothing of hers had been decided yet: a user's prior, 0.3.
    assert reports[0][0].trust == 0.3
    # At 7 one had been, and upheld: (1 + 0.3 × 8) ÷ (1 + 8). That at 9 came too late to count.
    assert [round(one.trust, 3) for one in reports[3]] == [0.378, 0.5]
    assert [one.source for one in reports[3]] == ["user", "classifier"]


def test_a_roster_staffs_the_replay_hour_by_hour(place):
    planning.save_roster(
        place.queue, [planning.Times(0, 9, 11, 2), planning.Times(0, 10, 12, 1)], by=None
    )
    people = presence.roster_hours(place.queue)
    assert people == {9: 2, 10: 3, 11: 1}
    windows = presence.roster_windows(people, since=SINCE, hours=24.0, productive=1.0)
    # SINCE is a Monday, 12:00 UTC; the next Monday's shifts lie beyond a day.
    assert windows == []
    windows = presence.roster_windows(people, since=SINCE, hours=7 * 24.0, productive=0.5)
    assert windows[0] == [(165.0, 165.5), (166.0, 166.5), (167.0, 167.5)]
    assert [len(one) for one in windows] == [3, 2, 1]


def test_a_roster_is_in_local_time(place, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert presence.week_hour(datetime(2026, 3, 8, 23, 30, tzinfo=ZoneInfo("UTC"))) == 0


def test_parameters_are_those_in_force(place):
    assert history.read_parameters(place.queue).severity_weights == {"spam": 4.0, "adult": 4.0}


def test_the_load_of_a_queue_is_what_came_what_waits_and_who_was_there(place):
    monday = UNTIL.replace(hour=0) - timedelta(days=7)
    for day in range(7):
        for number in range(10):
            start = monday + timedelta(days=day, hours=9, minutes=5 * number)
            job = arrive(place.queue, start - timedelta(minutes=1))
            answer(job, place.rosa, claimed_at=start, ended_at=start + timedelta(minutes=1))
    arrive(place.queue, UNTIL - timedelta(hours=3))
    arrive(place.queue, UNTIL - timedelta(hours=1))
    (load,) = history.read_load(place.platform, now=UNTIL)
    situation = load.situation
    assert situation.backlog_due.tolist() == [-1.0, 1.0]  # 2 h are promised
    assert situation.backlog == 2
    assert situation.first_hour == 12  # Monday
    assert situation.handling.mean == pytest.approx(60, rel=0.01)
    rates = situation.rates.mean
    assert rates[[9 + 24 * day for day in range(7)]].min() > 5 * rates[[3, 20, 100]].max()
    # 46 minutes a day from 9, never at another hour; two Mondays were seen, one of them worked.
    assert situation.people[9] == pytest.approx(23 / 60, abs=0.02)
    assert situation.people[24 + 9] == pytest.approx(46 / 60, abs=0.02)  # Tuesday
    assert situation.people[20] == 0
    assert not load.has_roster
    planning.save_roster(place.queue, [planning.Times(0, 9, 10, 3)], by=None)
    (load,) = history.read_load(place.platform, now=UNTIL)
    assert (load.has_roster, load.situation.people[9]) == (True, 3)
    (load,) = history.read_load(place.platform, now=UNTIL, is_past=True)
    assert load.situation.people[9] < 1


def test_the_past_makes_shifts_of_whole_people():
    people = [0.0] * 168
    people[9:12] = [1.2, 0.9, 2.4]
    people[24 + 22 : 24 + 24] = [1, 1]
    assert planning.suggest_times(people) == [
        (0, 9, 11, 1),
        (0, 11, 12, 2),
        (1, 22, 24, 1),
    ]


def test_reading_writes_nothing(place, django_assert_max_num_queries):
    for number in range(30):
        job = arrive(place.queue, at(number), risks={"spam": 0.5})
        answer(job, place.rosa, claimed_at=at(number + 0.5), ended_at=at(number + 0.6))
    with django_assert_max_num_queries(6) as queries:
        place.read()
    assert not [one for one in queries if not one["sql"].lstrip().startswith("SELECT")]
    assert Person.objects.count() == 3
