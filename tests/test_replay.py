"""Replays: five arrivals worked out by hand, and what must hold of any."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from reviews.replay import ORDERS, compare, due_hours
from reviews.serving import (
    CLEAN,
    FIFO,
    ORACLE,
    RANK,
    RISK,
    UNKNOWN,
    VIOLATING,
    Order,
    Parameters,
    Report,
    World,
    serve,
)

START = datetime(2026, 3, 2, tzinfo=UTC)
PLAIN = Parameters(doubling_hours=1, severity_weights={"spam": 1.0}, sla_minutes=10_000)


def make_world(at, views, p, verdict, *, hours=10.0, seconds=3600.0, windows=None, **kw):
    size = len(at)
    verdict = np.array(verdict, dtype=np.int64)
    return World(
        **{
            "start": START,
            "hours": hours,
            "policies": ("spam",),
            "ids": np.arange(size),
            "at": np.array(at, dtype=float),
            "views": np.array(views, dtype=float),
            "probabilities": np.array(p, dtype=float)[:, None],
            "known_at": np.array(at, dtype=float),
            "verdict": verdict,
            "violates": (verdict == VIOLATING)[:, None],
            "seconds": np.full(size, seconds) if np.isscalar(seconds) else np.array(seconds),
            "windows": windows or [[(0.0, hours)]],
            **kw,
        }
    )


@pytest.fixture
def five():
    """One reviewer, an hour an item. By hand:

    | row | comes at | views/h | P | truth |
    |---|---|---|---|---|
    | 0 | 0 | 10 | .9 | violating |
    | 1 | 0.5 | 100 | .2 | clean |
    | 2 | 0.6 | 20 | .8 | violating |
    | 3 | 0.7 | 1 | .95 | violating |
    | 4 | 2.5 | 1000 | .5 | violating |
    """
    return make_world(
        at=[0, 0.5, 0.6, 0.7, 2.5],
        views=[10, 100, 20, 1, 1000],
        p=[0.9, 0.2, 0.8, 0.95, 0.5],
        verdict=[VIOLATING, CLEAN, VIOLATING, VIOLATING, VIOLATING],
    )


def order_of(world, kind, parameters=PLAIN, **kw):
    outcome = serve(world, Order(kind, kind, parameters), **kw)
    return np.argsort(outcome.started_at, kind="stable").tolist()


def views_of(world, kind, parameters=PLAIN):
    decided = serve(world, Order(kind, kind, parameters)).decided_at
    is_violating = world.verdict == VIOLATING
    return float((world.views * (decided - world.at))[is_violating].sum())


def test_first_in_first_out_takes_them_as_they_came(five):
    assert order_of(five, FIFO) == [0, 1, 2, 3, 4]
    # 10 × 1 + 20 × (3 − 0.6) + 1 × (4 − 0.7) + 1000 × (5 − 2.5)
    assert views_of(five, FIFO) == pytest.approx(10 + 48 + 3.3 + 2500)


def test_risk_only_looks_at_the_probability(five):
    # At 1 wait .2, .8, .95; at 2: .2, .8; at 3: .2, .5.
    assert order_of(five, RISK) == [0, 3, 2, 4, 1]
    # 10 + 1 × (2 − 0.7) + 20 × (3 − 0.6) + 1000 × (4 − 2.5)
    assert views_of(five, RISK) == pytest.approx(10 + 1.3 + 48 + 1500)


def test_the_formula_weighs_harm_against_waiting(five):
    # At 1: log2(.2 × 100) − .5 = 3.82; log2(.8 × 20) − .6 = 3.4; log2(.95) − .7 = −.77.
    # At 3: log2(.5 × 1000) − 2.5 = 6.47 against −.77.
    assert order_of(five, RANK) == [0, 1, 2, 4, 3]
    # 10 + 20 × (3 − 0.6) + 1000 × (4 − 2.5) + 1 × (5 − 0.7)
    assert views_of(five, RANK) == pytest.approx(10 + 48 + 1500 + 4.3)


def test_few_hours_a_doubling_come_close_to_first_in_first_out(five):
    # 0.001 h × log2(harm) moves nothing past somebody who came 0.1 h earlier.
    assert order_of(five, RANK, replace(PLAIN, doubling_hours=0.001)) == order_of(five, FIFO)


def test_perfect_knowledge_leaves_the_clean_one_for_the_end(five):
    # At 1: 20 views/h before 1, the clean one last.
    assert order_of(five, ORACLE) == [0, 2, 3, 4, 1]
    # 10 + 20 × (2 − 0.6) + 1 × (3 − 0.7) + 1000 × (4 − 2.5)
    assert views_of(five, ORACLE) == pytest.approx(10 + 28 + 2.3 + 1500)


def test_an_overdue_item_goes_before_any_harm(five):
    # Promised within the hour: at 2 rows 2 and 3 are late; at 3 row 3 is, row 4 (due 3.5) is not.
    assert order_of(five, RANK, replace(PLAIN, sla_minutes=60)) == [0, 1, 2, 3, 4]


def test_what_is_due_soon_goes_before_what_is_not(five):
    # Due at .7 + 3 = 3.7; soon is 45 min before, 2.95: at 3 row 3 is soon, row 4 (due 5.5) not.
    soon = replace(PLAIN, sla_minutes=180, soon_minutes=45)
    assert order_of(five, RANK, soon) == [0, 1, 2, 3, 4]
    assert order_of(five, RANK, replace(soon, soon_minutes=0)) == [0, 1, 2, 4, 3]


def test_a_report_lifts_what_it_speaks_of_from_when_it_comes(five):
    reported = replace(five, reports={3: [Report(1.5, 0.5, "user")]})
    # 1 − (1 − .95)(1 − .5) moves nothing at 1 view an hour …
    assert order_of(reported, RANK, replace(PLAIN, report_weight=1)) == [0, 1, 2, 4, 3]
    # … but row 2, doubted at .01, is passed by row 3's 100 views and a trusted flagger at 1.5.
    doubted = replace(
        reported,
        probabilities=np.array([0.9, 0.2, 0.01, 0.001, 0.5])[:, None],
        views=np.array([10.0, 100, 100, 90, 1000]),
        reports={3: [Report(1.5, 0.9, "trusted_flagger")]},
    )
    assert order_of(doubted, RANK, replace(PLAIN, report_weight=0)) == [0, 1, 2, 4, 3]
    assert order_of(doubted, RANK, replace(PLAIN, report_weight=1)) == [0, 1, 3, 4, 2]


def test_a_report_of_a_strict_source_makes_it_due_earlier(five):
    strict = replace(PLAIN, sla_by_source={"law_enforcement": 60})
    reported = replace(five, reports={3: [Report(1.2, 0.5, "law_enforcement")]})
    # Due at 1.2 + 1 = 2.2: overdue when she is free at 3.
    assert due_hours(reported, strict)[3] == pytest.approx(2.2)
    assert order_of(reported, RANK, strict) == [0, 1, 2, 3, 4]


def test_a_probability_counts_from_when_it_was_known(five):
    late = replace(five, known_at=np.array([0, 0.5, 0.6, 1.5, 2.5]))
    # At 1 row 3 still counts as .1, so .8 goes first; at 2 it is known as .95.
    assert order_of(late, RISK) == [0, 2, 3, 4, 1]


def test_an_item_that_was_never_scored_counts_as_the_prior(five):
    unknown = replace(five, probabilities=np.full((5, 1), np.nan), known_at=np.full(5, np.inf))
    # All .1: by views, 100 before 20 before 1.
    assert order_of(unknown, RANK) == [0, 1, 2, 4, 3]


def test_equals_go_by_id():
    world = make_world([0, 0, 0, 0], [1, 1, 1, 1], [0.5] * 4, [CLEAN] * 4)
    for kind in (FIFO, RISK, RANK, ORACLE):
        assert order_of(world, kind) == [0, 1, 2, 3]


def test_nobody_works_outside_her_hours():
    world = make_world(
        [0, 0, 0], [1] * 3, [0.5] * 3, [CLEAN] * 3, windows=[[(1.0, 2.5), (5.0, 8.0)]]
    )
    outcome = serve(world, Order(FIFO, FIFO, PLAIN))
    # 1–2, 2–3 (half an hour over, finished all the same), then half an hour later than her window.
    assert outcome.started_at.tolist() == pytest.approx([1.0, 2.0, 5.5])


def test_many_short_windows_have_the_capacity_of_their_sum():
    """Half a minute there, half a minute elsewhere: 100 windows of 0.1 h are ten items of 1 h."""
    windows = [[(0.2 * n, 0.2 * n + 0.1) for n in range(100)]]
    world = make_world([0] * 20, [1] * 20, [0.5] * 20, [CLEAN] * 20, hours=20.0, windows=windows)
    outcome = serve(world, Order(FIFO, FIFO, PLAIN))
    assert outcome.busy_hours == pytest.approx(10, abs=1)


def test_what_is_on_the_screen_at_the_end_is_not_decided():
    world = make_world([0, 0], [10, 10], [0.5] * 2, [VIOLATING] * 2, hours=1.5)
    outcome = serve(world, Order(FIFO, FIFO, PLAIN))
    assert np.isinf(outcome.decided_at[1])
    found = compare(world, today=PLAIN, candidate=PLAIN, replications=1)
    # Row 0 is seen for 1 h; row 1 up to the end: 10 × 1 + 10 × 1.5.
    assert found["orders"]["fifo"]["views"]["value"] == pytest.approx(25)
    assert found["orders"]["fifo"]["wait_p90"]["value"] is None  # not reached


def busy_world(size=1500, *, seed=0, load=0.9, people=3):
    rng = np.random.default_rng(seed)
    hours = 24.0 * 5
    at = np.sort(rng.random(size) * hours * 0.9)
    seconds = rng.exponential(size=size)
    seconds *= load * people * hours * 3600 / seconds.sum()
    is_violating = rng.random(size) < 0.2
    return make_world(
        at,
        rng.lognormal(3, 1.3, size),
        np.clip(rng.beta(1 + 3 * is_violating, 4 - 2 * is_violating), 0.001, 0.999),
        np.where(is_violating, VIOLATING, np.where(rng.random(size) < 0.1, UNKNOWN, CLEAN)),
        hours=hours,
        seconds=seconds,
        windows=[[(0.0, hours)] for _ in range(people)],
    )


def test_the_work_is_the_same_whatever_the_order():
    world = busy_world()
    busy = {
        kind: serve(world, Order(kind, kind, PLAIN)).busy_hours
        for kind in (FIFO, RISK, RANK, ORACLE)
    }
    assert list(busy.values()) == pytest.approx([world.seconds.sum() / 3600] * 4)


def test_nobody_does_two_things_at_once_and_nobody_idles_while_something_waits():
    world = busy_world()
    for kind in (FIFO, RISK, RANK, ORACLE):
        outcome = serve(world, Order(kind, kind, PLAIN))
        started, ended = np.sort(outcome.started_at), np.sort(outcome.decided_at)
        assert (outcome.started_at >= world.at - 1e-6).all()
        for moment in started:
            at_work = (started <= moment).sum() - (ended <= moment + 1e-6).sum()
            assert at_work <= 3
        # Whoever had to wait began the moment somebody became free.
        waited = outcome.started_at > world.at + 1e-6
        nearest = ended[np.clip(np.searchsorted(ended, outcome.started_at - 1e-6), 0, None)]
        assert np.abs(nearest - outcome.started_at)[waited] == pytest.approx(0, abs=1e-5)


def test_first_in_first_out_begins_in_the_order_of_arrival():
    outcome = serve(busy_world(), Order(FIFO, FIFO, PLAIN))
    assert (np.diff(outcome.started_at) >= -1e-9).all()


def test_a_single_busy_reviewer_spares_most_with_perfect_knowledge():
    for seed in range(4):
        world = busy_world(seed=seed, people=1, load=0.98)
        views = {kind: views_of(world, kind) for kind in (FIFO, RISK, RANK, ORACLE)}
        assert views[ORACLE] <= min(views.values())
        assert views[RANK] < views[FIFO]


def test_the_mean_wait_of_a_steady_queue_is_what_the_books_say():
    """M/M/1 at a load of 0.7: the mean wait in the queue is ρ ÷ (μ − λ) = 0.7 ÷ 0.3 services."""
    rng = np.random.default_rng(3)
    size = 40_000
    at = np.cumsum(rng.exponential(1 / 0.7, size))
    hours = float(at[-1] + 100)
    world = make_world(
        at,
        np.ones(size),
        np.full(size, 0.5),
        np.zeros(size, dtype=int),
        hours=hours,
        seconds=rng.exponential(3600, size),
    )
    outcome = serve(world, Order(FIFO, FIFO, PLAIN))
    assert (outcome.started_at - at).mean() == pytest.approx(0.7 / 0.3, rel=0.08)


def test_the_same_seed_gives_the_same_figures():
    world = busy_world(400)
    candidate = replace(PLAIN, doubling_hours=8)
    first, again, other = (
        compare(world, today=PLAIN, candidate=candidate, seed=seed, replications=3)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first["orders"]["today"]["views"] != other["orders"]["today"]["views"]


def test_a_candidate_like_today_changes_nothing_at_all():
    found = compare(busy_world(400), today=PLAIN, candidate=PLAIN, replications=3)
    assert found["against"]["today"]["candidate"]["views"] == {"value": 0, "low": 0, "high": 0}


def test_figures_are_json_and_lie_within_their_intervals():
    found = compare(busy_world(), today=PLAIN, candidate=replace(PLAIN, doubling_hours=4))
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
    assert list(found["orders"]) == list(ORDERS)
    for figures in found["orders"].values():
        for metric in ("views", "wait_p50", "in_time", "clean_wait"):
            one = figures[metric]
            assert one["low"] <= one["value"] <= one["high"]
    counts = found["counts"]
    assert counts["violating"] + counts["clean"] + counts["without_verdict"] == counts["arrivals"]


def test_a_longer_promise_of_the_candidate_is_not_its_own_judge():
    """In time means within what is promised today."""
    world = busy_world(load=1.1)
    today = replace(PLAIN, sla_minutes=30)
    patient = replace(today, sla_minutes=100_000)
    found = compare(world, today=today, candidate=patient, replications=1)
    shares = {name: one["in_time"]["value"] for name, one in found["orders"].items()}
    assert shares["candidate"] < 0.99
