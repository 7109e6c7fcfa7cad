"""Forecasts: rates, staffing and chances against sums, books and the simulation of replay.py."""

import math
from dataclasses import replace

import numpy as np
import pytest

from reviews.forecast import (
    HOURS,
    Handling,
    Rates,
    Situation,
    difference,
    draw,
    estimate_handling,
    estimate_rates,
    needed,
    simulate,
    with_people,
)
from reviews.serving import CLEAN, FIFO, Order, Parameters, World, serve

from .test_replay import START

ALWAYS = np.ones(HOURS)


def known_rates(per_hour, *, weeks=10_000):
    """Rates as good as certain."""
    mean = np.full(HOURS, float(per_hour)) if np.isscalar(per_hour) else np.array(per_hour)
    return Rates(mean * weeks, np.full(HOURS, 1 / weeks), 1.0, HOURS * weeks)


def make_situation(**kw):
    return Situation(
        **{
            "rates": known_rates(10),
            "handling": Handling(180, 180, 1000),
            "sla_hours": 1.0,
            "people": ALWAYS,
            "first_hour": 0,
            "productive": 1.0,
            **kw,
        }
    )


def week(situation, *, seed=1, **kw):
    return simulate(situation, draw(situation.rates, seed=seed), **kw)


# Rates


def test_many_weeks_speak_for_themselves():
    rng = np.random.default_rng(0)
    truth = 20 * (1 + 0.8 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi))
    hours = np.arange(HOURS * 50) % HOURS
    rates = estimate_rates(rng.poisson(truth[hours]), hours)
    assert np.abs(rates.mean - truth).mean() < 0.6
    assert rates.dispersion == pytest.approx(1, abs=0.05)


def test_a_single_week_is_pulled_to_the_shape_of_its_days():
    """One Tuesday at 3 with 40 where every other night has 2 is hardly believed."""
    counts = np.full(HOURS, 2.0)
    counts[27] = 40
    rates = estimate_rates(counts, np.arange(HOURS))
    assert 2 < rates.mean[27] < 20
    # And nobody is sure of any hour: a coefficient of variation of a fifth or so.
    assert (1 / np.sqrt(rates.shape)).min() > 0.1


def test_an_hour_that_was_never_seen_leans_on_the_same_hour_of_other_days():
    rng = np.random.default_rng(1)
    hours = np.arange(72)  # Monday to Wednesday
    truth = np.where(hours % 24 < 12, 2.0, 30.0)
    rates = estimate_rates(rng.poisson(truth), hours)
    friday = rates.mean[96:120]
    assert friday[:12].mean() < 6
    assert friday[12:].mean() > 20


def test_bursts_are_seen_as_overdispersion_and_widen_the_week():
    rng = np.random.default_rng(2)
    hours = np.arange(HOURS * 8) % HOURS
    smooth = estimate_rates(rng.poisson(20, len(hours)), hours)
    bursty = estimate_rates(rng.poisson(20 * rng.gamma(0.5, 2, len(hours))), hours)
    # Variance ÷ mean of a Gamma(0.5) mixture of mean 20: 1 + 20 ÷ 0.5 = 41.
    assert bursty.dispersion == pytest.approx(41, rel=0.25)
    spreads = []
    for rates in (smooth, bursty):
        spreads.append(week(make_situation(rates=rates, people=ALWAYS * 9)).jobs.std())
    assert spreads[1] > 3 * spreads[0]


def test_the_drawn_weeks_come_as_often_as_the_rates_say():
    rng = np.random.default_rng(3)
    hours = np.arange(HOURS * 4) % HOURS
    truth = np.where(np.arange(HOURS) % 24 < 8, 1.0, 15.0)
    rates = estimate_rates(rng.poisson(truth[hours]), hours)
    found = week(make_situation(rates=rates, people=ALWAYS * 5))
    assert found.jobs.mean() == pytest.approx(truth.sum(), rel=0.05)
    # 80 % of drawn weeks lie within the band, near enough.
    total = rng.poisson(truth, (400, HOURS)).sum(axis=1)
    low, high = np.quantile(found.jobs, [0.1, 0.9])
    assert 0.75 < ((total >= low) & (total <= high)).mean() <= 1


def test_without_any_history_next_to_nothing_comes():
    rates = estimate_rates(np.zeros(0), np.zeros(0, dtype=int))
    assert rates.mean.sum() < 1


def test_handle_times_are_lognormal_and_one_lunch_is_not_the_rule():
    rng = np.random.default_rng(4)
    seconds = rng.lognormal(3, 0.5, 2000)
    handling = estimate_handling(seconds, default=60)
    # exp(3 + 0.5² ÷ 2) = 22.76; deviation = mean × √(exp(0.25) − 1) = 12.1
    assert handling.mean == pytest.approx(22.76, rel=0.03)
    assert handling.deviation == pytest.approx(12.1, rel=0.08)
    lunch = estimate_handling(np.append(seconds, 3600.0), default=60)
    assert lunch.mean == pytest.approx(handling.mean, rel=0.02)
    assert estimate_handling(np.zeros(5), default=45).mean == 45


# The week


def test_a_backlog_is_worked_off_as_fast_as_people_can():
    """120 items of a minute each and one person: 2 hours; promised within 1: half of it is late."""
    situation = make_situation(
        rates=known_rates(0.001),
        handling=Handling(60, 0, 100),
        backlog=120,
        backlog_due=np.ones(120),
    )
    found = week(situation)
    assert found.waiting[1][0] == pytest.approx(60, abs=1)
    assert found.waiting[1][1] == pytest.approx(0, abs=1)
    assert found.late_jobs.mean() == pytest.approx(60, abs=2)
    assert found.breaks_at[1] == pytest.approx(1.25, abs=0.26)  # the quarter after the first hour
    with_two = week(with_people(situation, ALWAYS))
    assert with_two.late_jobs.mean() == pytest.approx(0, abs=1)


def test_what_comes_at_night_waits_until_somebody_is_there():
    """On duty from 8 to 20; within 4 h: what comes from 20 to 4 is late, the rest is in time."""
    people = np.where((np.arange(HOURS) % 24 >= 8) & (np.arange(HOURS) % 24 < 20), 5.0, 0.0)
    found = week(make_situation(rates=known_rates(2), sla_hours=4.0, people=people))
    late = found.late_share.reshape(7, 24).mean(axis=0)
    assert (late[:3] > 0.99).all()
    assert (late[5:19] < 0.01).all()
    assert (late[20:] > 0.99).all()


def test_hours_are_those_of_the_week_from_now():
    people = np.zeros(HOURS)
    people[50] = 1  # Wednesday, 2:00
    found = week(make_situation(people=people, first_hour=48))
    assert found.people[:4].tolist() == [0, 0, 1, 0]


def test_what_has_gone_of_the_hour_does_nothing_more():
    situation = make_situation(backlog=60, backlog_due=np.full(60, 5.0), into_hour=0.5)
    whole = week(replace(situation, into_hour=0.0)).waiting[1][0]
    half = week(situation).waiting[1][0]
    # Half an hour of one person, 180 s an item: 10 items less are done, 5 fewer have come.
    assert half - whole == pytest.approx(5, abs=2.5)


def test_overdue_now_is_said_with_when_it_is_over():
    found = week(
        make_situation(
            rates=known_rates(1),
            backlog=60,
            backlog_due=np.concatenate([np.full(30, -1.0), np.full(30, 90.0)]),
        )
    )
    assert found.is_broken and found.breaks_at is None
    # Thirty of three minutes each are done after an hour and a half.
    assert found.recovers_at[1] == pytest.approx(1.5, abs=0.5)
    assert found.recovery_chance > 0.9


def test_nobody_on_duty_answers_nothing():
    found = week(make_situation(people=np.zeros(HOURS)))
    assert found.late_share.min() == 1
    assert found.late_jobs.mean() == pytest.approx(found.jobs.mean())


def test_the_same_seed_gives_the_same_week():
    first, again = (week(make_situation(), seed=5) for _ in range(2))
    assert (first.late_jobs == again.late_jobs).all()
    assert (week(make_situation(), seed=6).late_jobs != first.late_jobs).any()


# What if


def test_one_more_person_never_makes_it_later():
    rng = np.random.default_rng(5)
    situation = make_situation(rates=known_rates(19), people=rng.integers(0, 3, HOURS) * 1.0)
    draws = draw(situation.rates, seed=1)
    base = simulate(situation, draws)
    more = simulate(with_people(situation, ALWAYS), draws)
    assert (more.late_jobs <= base.late_jobs).all()
    change = difference(base, more)
    assert change.low <= change.late_jobs <= change.high < 0


def test_more_arrivals_make_it_no_better_and_a_move_takes_from_one():
    situation = make_situation(rates=known_rates(18))
    draws = draw(situation.rates, seed=1)
    base = simulate(situation, draws)
    grown = simulate(situation, draws, growth=0.2)
    assert grown.jobs.mean() == pytest.approx(1.2 * base.jobs.mean(), rel=0.02)
    assert difference(base, grown).late_jobs > 0
    fewer = with_people(situation, -2 * ALWAYS)
    assert fewer.people.max() == 0  # never below none


def test_common_draws_tell_a_small_change_from_noise():
    situation = make_situation(rates=known_rates(18))
    draws = draw(situation.rates, seed=1)
    base = simulate(situation, draws)
    paired = (simulate(situation, draws, growth=0.02).late_jobs - base.late_jobs).std()
    other = simulate(situation, draw(situation.rates, seed=2), growth=0.02)
    assert paired < 0.5 * (other.late_jobs - base.late_jobs).std()


def test_what_is_needed_is_enough_and_not_far_more():
    rates = known_rates(np.where(np.arange(HOURS) % 24 < 8, 5.0, 45.0))
    situation = make_situation(rates=rates, sla_hours=2.0)
    people = needed(situation, draw(rates, seed=1))
    found = simulate(replace(situation, people=people, first_hour=30), draw(rates, seed=9))
    assert found.late_share.max() < 0.08
    # 45 an hour of 3 minutes are 2.25 people; 5 are 0.25.
    assert people.max() <= 5
    assert people.sum() < 1.8 * (rates.mean * 180 / 3600).sum()


# Against what is known


def erlang_c(servers, load, promise):
    """P(wait > promise) of M/M/c; load in Erlangs, promise in mean service times."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    waits = last / (sum(terms) + last)
    return waits * math.exp(-(servers - load) * promise)


@pytest.mark.parametrize("servers", [1, 3, 6])
@pytest.mark.parametrize("load", [0.8, 0.9])
def test_a_steady_queue_is_late_as_often_as_erlang_says(servers, load):
    """The backlog as a fluid, steps of a quarter: within a few points for promises beyond that."""
    service = 600.0  # seconds; the promise is 6 services: an hour
    rates = known_rates(servers * load * 3600 / service)
    situation = make_situation(
        rates=rates,
        handling=Handling(service, service, 1000),
        people=ALWAYS * servers,
        sla_hours=1.0 + service / 3600,  # we promise the answer, Erlang the wait
    )
    found = week(situation)
    expected = erlang_c(servers, servers * load, 6.0)
    assert found.late_share[48:].mean() == pytest.approx(expected, abs=0.045)


def test_a_day_with_a_rush_is_late_as_often_as_reviewers_who_work_it():
    """The same day by replay.py's engine: eight hours, two people, a rush in the middle."""
    per_hour = np.zeros(HOURS)
    per_hour[:8] = [10, 10, 60, 60, 10, 10, 10, 10]
    people = np.zeros(HOURS)
    people[:16] = 2
    situation = make_situation(rates=known_rates(per_hour), people=people, sla_hours=0.75)
    found = week(situation)
    rng = np.random.default_rng(6)
    late, came = np.zeros(8), np.zeros(8)
    for _ in range(60):
        at = np.sort(
            np.concatenate([hour + rng.random(rng.poisson(per_hour[hour])) for hour in range(8)])
        )
        size = len(at)
        world = World(
            start=START,
            hours=16.0,
            policies=(),
            ids=np.arange(size),
            at=at,
            views=np.ones(size),
            probabilities=np.zeros((size, 0)),
            known_at=at,
            verdict=np.full(size, CLEAN),
            violates=np.zeros((size, 0), dtype=bool),
            seconds=rng.lognormal(math.log(180) - 0.3466, 0.8326, size),  # mean = deviation = 180
            windows=[[(0.0, 16.0)]] * 2,
        )
        decided = serve(world, Order("fifo", FIFO, Parameters(1, {}))).decided_at
        np.add.at(late, at.astype(int), decided - at > 0.75)
        np.add.at(came, at.astype(int), 1)
    assert found.late_share[:8] == pytest.approx(late / came, abs=0.12)
    assert (found.late_share[:8] * per_hour[:8]).sum() == pytest.approx(late.sum() / 60, rel=0.12)
