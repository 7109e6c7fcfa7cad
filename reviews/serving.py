"""One queue's past served once more, by one order: who was looked at when.

PURE: a World (what came when, what was known about it when, who was there) goes in, times come out.
One queue, one stream: lanes take the same share from every order and are left out. Reviewers are
simpy processes; a free one takes the best job by the order's key at that moment and finishes it.

Times are hours since the world's start; what arrived before it has a negative time.
"""

import heapq
import itertools
import math
from collections.abc import Generator, Mapping, Sequence
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
# Sums of floats miss a moment by less than this (4 microseconds).
_HAIR = 1e-9


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
