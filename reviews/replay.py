"""Past weeks once more under other orders: what each would have spared, beside the others.

PURE: a World goes in, is served by each order (serving.py), and figures come out. Handle times and
arrivals are the same in every order (common random numbers), so differences between orders carry
less noise than the figures themselves.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .serving import (
    CLEAN,
    FIFO,
    ORACLE,
    RANK,
    RISK,
    UNKNOWN,
    VIOLATING,
    Floats,
    Ints,
    Order,
    Outcome,
    Parameters,
    World,
    serve,
)
from .wording import kept, noop

ORDERS = ("fifo", "risk", "today", "candidate", "oracle")
BOOTSTRAPS = 500
# So many served jobs an order are worth waiting for; small histories get more replications.
_WORTH = 60_000
_MOST_REPLICATIONS = 20
_CURVE = np.linspace(0.02, 1.0, 50)


class _Measured(NamedTuple):
    """Per-row figures of one served world, in arrays that a bootstrap can weigh."""

    views: Floats  # of violating rows, while they waited; 0 elsewhere
    harm: Floats  # the same times the severity weight
    waited: Floats  # hours to the decision; infinite: not decided by the end
    in_time: Floats  # 1, 0; NaN: not yet due at the end
    clean_wait: Floats  # hours a clean row waited, up to the end; NaN elsewhere


def _measure(world: World, outcome: Outcome, today: Parameters) -> _Measured:
    """Against today's weights and promises, whatever the order's own are."""
    is_violating = world.verdict == VIOLATING
    end = np.minimum(outcome.decided_at, world.hours)
    # What was seen before the world began was seen in every order.
    exposed = np.clip(end - np.maximum(world.at, 0.0), 0.0, None)
    weights = np.array([today.severity_weights.get(slug, 1.0) for slug in world.policies])
    worst = np.where(world.violates, weights, 0.0).max(axis=1, initial=0.0)
    worst = np.where(worst == 0, 1.0, worst)
    views = np.where(is_violating, world.views * exposed, 0.0)
    due = due_hours(world, today)
    in_time = np.where(outcome.decided_at <= due, 1.0, 0.0)
    in_time[(due > world.hours) & np.isinf(outcome.decided_at)] = np.nan
    is_clean = world.verdict == CLEAN
    return _Measured(
        views=views,
        harm=views * worst,
        waited=outcome.decided_at - world.at,
        in_time=in_time,
        clean_wait=np.where(is_clean, end - world.at, np.nan),
    )


def due_hours(world: World, parameters: Parameters) -> Floats:
    """When each row is due: the earliest of its own time and of each report's."""
    due = world.at + parameters.sla_minutes / 60
    for row, reports in world.reports.items():
        for report in reports:
            minutes = parameters.sla_by_source.get(report.source)
            if minutes is not None:
                due[row] = min(due[row], report.at + minutes / 60)
    return due


Progress = Callable[[float, str], object]


def compare(
    world: World,
    *,
    today: Parameters,
    candidate: Parameters,
    seed: int = 0,
    replications: int | None = None,
    progress: Progress = lambda fraction, step: None,
) -> dict[str, Any]:
    """All orders on the same world, with 95 % intervals; JSON all through.

    The figures are of the handle times as they were; intervals come from a block bootstrap over
    stretches of time, each draw on one of several replications whose handle times are drawn again
    from the same queue's. Both are shared by all orders, so ratios are paired.
    """
    orders = [
        Order("fifo", FIFO, today),
        Order("risk", RISK, today),
        Order("today", RANK, today),
        Order("candidate", RANK, candidate),
        Order("oracle", ORACLE, today),
    ]
    if replications is None:
        replications = int(np.clip(_WORTH // max(world.size, 1), 1, _MOST_REPLICATIONS))
    rng = np.random.default_rng(seed)
    handled = [world.seconds]
    for _ in range(replications - 1):
        handled.append(rng.permutation(world.seconds))
    measured: dict[str, list[_Measured]] = {order.name: [] for order in orders}
    busy: dict[str, float] = {}
    for number, seconds in enumerate(handled):
        for place, order in enumerate(orders):
            done = (number * len(orders) + place) / (replications * len(orders))
            progress(
                done,
                kept(
                    "Serving by %(order)s, run %(run)s of %(runs)s",
                    order=WORDS[order.name],
                    run=number + 1,
                    runs=replications,
                ),
            )
            outcome = serve(world, order, seconds)
            measured[order.name].append(_measure(world, outcome, today))
            if not number:
                busy[order.name] = round(outcome.busy_hours, 3)
    progress(0.98, kept("Working out intervals"))
    block_hours, blocks = _blocks(world)
    draws = _draws(blocks, replications, rng)
    tables = {name: _table(world, runs, blocks, draws) for name, runs in measured.items()}
    return {
        "orders": {
            name: {
                **{metric: _interval(values) for metric, values in table.items()},
                "busy_hours": busy[name],
                "curve": _curve(world, measured[name][0]),
            }
            for name, table in tables.items()
        },
        "against": {
            base: {
                name: {
                    metric: _interval(_change(tables[name][metric], tables[base][metric]))
                    for metric in ("views", "harm")
                }
                for name in tables
                if name != base
            }
            for base in ("fifo", "risk", "today")
        },
        "counts": _counts(world),
        "block_hours": block_hours,
        "blocks": int(blocks.max(initial=-1)) + 1,
        "replications": replications,
        "capacity_hours": round(world.capacity_hours, 2),
        "work_hours": round(float(world.seconds.sum()) / 3600, 2),
        "seed": seed,
    }


WORDS = {
    "fifo": noop("first in, first out"),
    "risk": noop("risk only"),
    "today": noop("today's formula"),
    "candidate": noop("the candidate"),
    "oracle": noop("perfect knowledge"),
}


def _counts(world: World) -> dict[str, int]:
    return {
        "arrivals": world.size,
        "violating": int((world.verdict == VIOLATING).sum()),
        "clean": int((world.verdict == CLEAN).sum()),
        "without_verdict": int((world.verdict == UNKNOWN).sum()),
        "waiting_at_start": int((world.at < 0).sum()),
        "never_scored": int(np.isinf(world.known_at).sum()),
        "reviewers": sum(1 for windows in world.windows if windows),
    }


def _blocks(world: World) -> tuple[float, Ints]:
    """Stretches that are drawn whole: days from two weeks on, shorter ones for a short history."""
    size = 24.0 if world.hours >= 14 * 24 else 6.0 if world.hours >= 4 * 24 else 1.0
    # Rows that waited at the start are a block of their own.
    return size, np.maximum(np.floor(world.at / size), -1).astype(np.int64) + 1


def _draws(blocks: Ints, replications: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """For each bootstrap: how often each block is taken, and in which replication."""
    many = int(blocks.max(initial=0)) + 1
    present = np.unique(blocks)
    counts = np.zeros((BOOTSTRAPS, many), dtype=np.int64)
    if len(present):
        shares = np.full(len(present), 1 / len(present))
        counts[:, present] = rng.multinomial(len(present), shares, size=BOOTSTRAPS)
    return counts, rng.integers(replications, size=BOOTSTRAPS)


def _table(
    world: World, runs: Sequence[_Measured], blocks: Ints, draws: tuple[Ints, Ints]
) -> dict[str, Floats]:
    """Metric → its value, then its bootstraps."""
    counts, picks = draws
    is_violating = world.verdict == VIOLATING
    many = counts.shape[1]
    ones = np.ones((1, many), dtype=np.int64)
    found = {metric: np.full(BOOTSTRAPS + 1, np.nan) for metric in METRICS}
    for number, run in enumerate(runs):
        places = np.flatnonzero(picks == number) + 1
        weights = counts[places - 1]
        if not number:
            places, weights = np.concatenate([[0], places]), np.concatenate([ones, weights])
        if not len(places):
            continue
        for metric, values in (("views", run.views), ("harm", run.harm)):
            found[metric][places] = weights @ np.bincount(blocks, values, many)
        for metric, values in (("in_time", run.in_time), ("clean_wait", run.clean_wait)):
            is_there = ~np.isnan(values)
            total = weights @ np.bincount(blocks[is_there], values[is_there], many)
            rows = weights @ np.bincount(blocks[is_there], minlength=many)
            found[metric][places] = np.divide(
                total, rows, out=np.full(len(places), np.nan), where=rows > 0
            )
        waited, block = run.waited[is_violating], blocks[is_violating]
        by_wait = np.argsort(waited, kind="stable")
        for quantile, metric in ((0.5, "wait_p50"), (0.9, "wait_p90")):
            found[metric][places] = _quantiles(waited[by_wait], block[by_wait], weights, quantile)
    return found


METRICS = ("views", "harm", "wait_p50", "wait_p90", "in_time", "clean_wait")


def _quantiles(values: Floats, block: Ints, weights: Ints, quantile: float) -> Floats:
    """The quantile of sorted `values` with each block counted as often as `weights` says."""
    found = np.full(len(weights), np.nan)
    if not len(values):
        return found
    for number, row in enumerate(weights):
        reached = np.cumsum(row[block])
        if reached[-1]:
            place = np.searchsorted(reached, quantile * reached[-1], side="left")
            found[number] = values[min(int(place), len(values) - 1)]
    return found


def _change(of: Floats, base: Floats) -> Floats:
    """(of − base) ÷ base; NaN where there is nothing to change."""
    changed: Floats = np.divide(of - base, base, out=np.full(len(of), np.nan), where=base > 0)
    return changed


def _interval(values: Floats) -> dict[str, float | None]:
    """The value and its 95 % percentile interval; None for what is not there or not reached."""
    draws = values[1:][~np.isnan(values[1:])]
    if not len(draws):
        return {"value": _plain(float(values[0])), "low": None, "high": None}
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    return {
        "value": _plain(float(values[0])),
        "low": _plain(float(low)),
        "high": _plain(float(high)),
    }


def _curve(world: World, run: _Measured) -> list[tuple[float, float]]:
    """Hours within which a share of the violating items was decided; ends where that ends."""
    waited = np.sort(run.waited[world.verdict == VIOLATING])
    if not len(waited):
        return []
    places = np.minimum(np.ceil(_CURVE * len(waited)).astype(int) - 1, len(waited) - 1)
    pairs = zip(waited[places].tolist(), _CURVE.tolist(), strict=True)
    return [(round(hours, 4), round(share, 3)) for hours, share in pairs if hours < math.inf]


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
