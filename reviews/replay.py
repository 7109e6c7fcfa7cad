"""Past weeks once more under other orders: who is looked at when, and what that would have spared.

PURE: a World (what came when, what was known about it when, who was there) goes in, figures come
out. One queue, one stream: lanes take the same share from every order and are left out. Reviewers
are simpy processes; a free one takes the best job by the order's key at that moment and finishes
it. Handle times and arrivals are the same in every order (common random numbers), so differences
between orders carry less noise than the figures themselves.

Times are hours since the world's start; what arrived before it has a negative time.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import simpy

from . import ranking

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

VIOLATING, CLEAN, UNKNOWN = 1, 0, -1
FIFO, RISK, RANK, ORACLE = "fifo", "risk", "rank", "oracle"
ORDERS = ("fifo", "risk", "today", "candidate", "oracle")
BOOTSTRAPS = 500
# So many served jobs an order are worth waiting for; small histories get more replications.
_WORTH = 60_000
_MOST_REPLICATIONS = 20
# Sums of floats miss a moment by less than this (4 microseconds).
_HAIR = 1e-9
_CURVE = np.linspace(0.02, 1.0, 50)


@dataclass(frozen=True)
class Parameters:
    """What a queue ranks by; the names are the queue's own."""

    doubling_hours: float
    severity_weights: Mapping[str, float]  # by policy slug
    handling_minutes: float = 1.0
    report_weight: float = 0.0
    sla_minutes: float = 240.0
    sla_by_source: Mapping[str, float] = field(default_factory=dict)  # minutes from the report
    soon_minutes: float = 0.0


class Order(NamedTuple):
    name: str
    kind: str  # FIFO, RISK, RANK or ORACLE
    parameters: Parameters


class Report(NamedTuple):
    at: float
    trust: float  # expected share of such reports that is upheld
    source: str
    reporter: str = ""  # who says the same twice is one voice; several may be nameless


@dataclass(frozen=True)
class World:
    """One queue's history. Arrays have one row an arrival, in order of id."""

    start: datetime
    hours: float
    policies: tuple[str, ...]
    ids: Ints
    at: Floats
    views: Floats  # an hour
    probabilities: Floats  # (n, policies); NaN: never scored for it
    known_at: Floats  # when they became known; infinite: never
    verdict: Ints  # VIOLATING, CLEAN or UNKNOWN
    violates: npt.NDArray[np.bool_]  # (n, policies)
    seconds: Floats  # to handle it
    windows: Sequence[Sequence[tuple[float, float]]]  # presence, a list a reviewer
    reports: Mapping[int, Sequence[Report]] = field(default_factory=dict)  # by row, in time order

    @property
    def size(self) -> int:
        return len(self.ids)

    @property
    def capacity_hours(self) -> float:
        """Presence within the world."""
        return sum(
            max(0.0, min(end, self.hours) - max(start, 0.0))
            for windows in self.windows
            for start, end in windows
        )


class Outcome(NamedTuple):
    started_at: Floats  # infinite: not begun by the end
    decided_at: Floats  # infinite: not decided by the end
    busy_hours: float


def serve(world: World, order: Order, seconds: Floats | None = None) -> Outcome:
    """Let the world's reviewers work through it in this order. Deterministic; ties go by id."""
    environment = simpy.Environment()
    line = _Line(world, order)
    hours = ((world.seconds if seconds is None else seconds) / 3600).tolist()
    started = [math.inf] * world.size
    decided = [math.inf] * world.size
    idle: list[simpy.Event] = []
    busy = 0.0

    def ring() -> None:
        if idle:
            idle.pop(0).succeed()

    def arrivals() -> Generator[simpy.Event, Any, None]:
        for at in np.sort(world.at[(world.at >= 0) & (world.at < world.hours)]).tolist():
            if at > environment.now:
                yield environment.timeout(at - environment.now)
            ring()

    def reviewer(windows: Sequence[tuple[float, float]]) -> Generator[simpy.Event, Any, None]:
        nonlocal busy
        debt = 0.0  # what she worked beyond a window is taken from the next: capacity is kept
        for start, end in windows:
            start += debt
            debt = max(0.0, start - end)
            if debt:
                continue
            if start > environment.now:
                yield environment.timeout(start - environment.now)
            while environment.now < end - _HAIR:
                job = line.take(environment.now)
                if job is None:
                    bell = environment.event()
                    idle.append(bell)
                    yield bell | environment.timeout(end - environment.now)
                    if not bell.triggered:
                        idle.remove(bell)
                    continue
                started[job] = environment.now
                yield environment.timeout(hours[job])
                decided[job] = environment.now
                busy += hours[job]
            debt = max(0.0, environment.now - end)
            ring()  # she was perhaps the one who was called

    environment.process(arrivals())
    for windows in world.windows:
        environment.process(reviewer(windows))
    environment.run(until=world.hours + _HAIR)
    return Outcome(np.array(started), np.array(decided), busy)


class _Line:
    """What waits, best first. A key changes at known moments only (scored, reported, due soon,
    overdue), so it is worked out again at those and the heap is right at any other."""

    def __init__(self, world: World, order: Order) -> None:
        self._world, self._order = world, order
        self._key = _KEYS[order.kind](world, order.parameters)
        self._best: list[tuple[float, int, int, int]] = []  # (−key, id, row, edition)
        self._edition = [0] * world.size  # of the entry that counts; −1: taken
        self._ids: list[int] = world.ids.tolist()
        at: list[float] = world.at.tolist()
        self._changes = [(moment, row) for row, moment in enumerate(at)]
        self._changes += self._key.changes()
        heapq.heapify(self._changes)

    def take(self, now: float) -> int | None:
        """The best job that waits now, and it waits no more; None if nothing does."""
        self._catch_up(now + _HAIR)
        best, edition = self._best, self._edition
        while best:
            _, _, row, number = heapq.heappop(best)
            if edition[row] == number:
                edition[row] = -1
                return row
        return None

    def _catch_up(self, now: float) -> None:
        changes, edition = self._changes, self._edition
        while changes and changes[0][0] <= now:
            moment, row = heapq.heappop(changes)
            if edition[row] < 0:
                continue
            key, again_at = self._key(row, moment)
            edition[row] += 1
            heapq.heappush(self._best, (-key, self._ids[row], row, edition[row]))
            if again_at is not None:
                heapq.heappush(changes, (again_at, row))


class _Fifo:
    """Whoever came first."""

    def __init__(self, world: World, parameters: Parameters) -> None:
        self._at: list[float] = world.at.tolist()

    def changes(self) -> list[tuple[float, int]]:
        return []

    def __call__(self, row: int, now: float) -> tuple[float, float | None]:
        return -self._at[row], None


class _Risk:
    """The highest probability, whatever the policy, the views or the age."""

    def __init__(self, world: World, parameters: Parameters) -> None:
        self._known_at: list[float] = world.known_at.tolist()
        filled = np.where(np.isnan(world.probabilities), ranking.PRIOR, world.probabilities)
        highest = filled.max(axis=1) if filled.shape[1] else np.zeros(world.size)
        self._highest: list[float] = highest.tolist()
        self._at = world.at

    def changes(self) -> list[tuple[float, int]]:
        return [
            (known_at, row)
            for row, known_at in enumerate(self._known_at)
            if self._at[row] < known_at < math.inf
        ]

    def __call__(self, row: int, now: float) -> tuple[float, float | None]:
        return self._highest[row] if now >= self._known_at[row] else ranking.PRIOR, None


class _Rank(_Risk):
    """The product's own formula, lifts included."""

    def __init__(self, world: World, parameters: Parameters) -> None:
        super().__init__(world, parameters)
        self._parameters = parameters
        self._weights = [parameters.severity_weights.get(slug, 1.0) for slug in world.policies]
        filled = np.where(np.isnan(world.probabilities), ranking.PRIOR, world.probabilities)
        self._rows: list[list[float]] = filled.tolist()
        self._views: list[float] = world.views.tolist()
        self._submitted_at = [world.start + timedelta(hours=at) for at in world.at.tolist()]
        self._hours: list[float] = world.at.tolist()
        self._reports = world.reports
        self._sla = parameters.sla_minutes / 60
        self._soon = parameters.soon_minutes / 60

    def changes(self) -> list[tuple[float, int]]:
        found = super().changes()
        for row, reports in self._reports.items():
            found += [(report.at, row) for report in reports if report.at > self._hours[row]]
        return found

    def __call__(self, row: int, now: float) -> tuple[float, float | None]:
        parameters = self._parameters
        due = self._hours[row] + self._sla
        voices: dict[tuple[str, str], list[float]] = {}
        for report in self._reports.get(row, ()):
            if report.at > now:
                break
            heard = voices.setdefault((report.source, report.reporter), [])
            if len(heard) < (1 if report.reporter else ranking.MOST_NAMELESS):
                heard.append(report.trust)
            minutes = parameters.sla_by_source.get(report.source)
            if minutes is not None:
                due = min(due, report.at + minutes / 60)
        is_known = now >= self._known_at[row]
        probabilities = self._rows[row] if is_known else [ranking.PRIOR] * len(self._weights)
        harm = ranking.harm(
            list(zip(self._weights, probabilities, strict=True)),
            report_trust=ranking.report_trust(itertools.chain.from_iterable(voices.values())),
            report_weight=parameters.report_weight,
            views_per_hour=self._views[row],
            handling_minutes=parameters.handling_minutes,
        )
        is_overdue = now >= due
        is_soon = not is_overdue and self._soon > 0 and now >= due - self._soon
        key = ranking.rank(
            harm,
            submitted_at=self._submitted_at[row],
            doubling_hours=parameters.doubling_hours,
            is_overdue=is_overdue,
            is_soon=is_soon,
        )
        if is_overdue:
            return key, None
        return key, due if is_soon else due - self._soon


class _Oracle:
    """Knows the verdicts: what is violating goes by harm a minute, the clean ones come last."""

    def __init__(self, world: World, parameters: Parameters) -> None:
        weights = np.array([parameters.severity_weights.get(slug, 1.0) for slug in world.policies])
        worst = np.where(world.violates, weights, 0.0).max(axis=1, initial=0.0)
        # A violating item whose policy is not known counts as one of weight 1.
        worst = np.where((world.verdict == VIOLATING) & (worst == 0), 1.0, worst)
        hours = np.maximum(world.seconds, 1e-6) / 3600
        self._keys: list[float] = (worst * np.maximum(world.views, 1e-9) / hours).tolist()

    def changes(self) -> list[tuple[float, int]]:
        return []

    def __call__(self, row: int, now: float) -> tuple[float, float | None]:
        return self._keys[row], None


_KEYS: dict[str, Any] = {FIFO: _Fifo, RISK: _Risk, RANK: _Rank, ORACLE: _Oracle}


# What came of it


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
            progress(done, f"Serving by {WORDS[order.name]}, run {number + 1} of {replications}")
            outcome = serve(world, order, seconds)
            measured[order.name].append(_measure(world, outcome, today))
            if not number:
                busy[order.name] = round(outcome.busy_hours, 3)
    progress(0.98, "Working out intervals")
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
    "fifo": "first in, first out",
    "risk": "risk only",
    "today": "today's formula",
    "candidate": "the candidate",
    "oracle": "perfect knowledge",
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
