"""When a queue will break its promise: arrivals and roster in, chances and intervals out.

PURE. Arrivals by hour of the week come from a Gamma–Poisson model (so few weeks of history say
little, and the intervals show it), handle times from a lognormal; the coming week is drawn a few
hundred times, by quarters of an hour. Within a queue work is taken first in, first out: what a
promise about the time to an answer needs, and what lifting overdue jobs comes to. The backlog is
kept as work (a fluid): right when people are busy, a little too pessimistic about waits of a few
minutes when many are idle. Differences between what-ifs use the same draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HOURS = 168  # of a week, from Monday 0:00
STEPS = 4  # an hour
PATHS = 400
_STEP = 1 / STEPS
# Departures are looked for this many weeks beyond the one that is forecast.
_WEEKS_AFTER = 3
_TARGET = 0.95
_NEEDED_PATHS, _NEEDED_TRIES = 120, 12


class Rates(NamedTuple):
    """Arrivals an hour by hour of the week: a Gamma for each rate, and how counts scatter."""

    shape: Floats  # (168,)
    scale: Floats  # (168,): rate = Gamma(shape) × scale
    dispersion: float  # variance ÷ mean of an hour's count, at a known rate; 1: Poisson
    hours_seen: int

    @property
    def mean(self) -> Floats:
        return self.shape * self.scale


class Handling(NamedTuple):
    """Seconds a job takes: lognormal, with the mean and variance that were seen."""

    mean: float
    deviation: float
    jobs_seen: int


@dataclass(frozen=True)
class Situation:
    """One queue at the moment of the forecast, which begins with the hour that runs."""

    rates: Rates
    handling: Handling
    sla_hours: float
    people: Floats  # (168,): on duty by hour of the week, from Monday 0:00
    first_hour: int  # of the week: the one that runs
    into_hour: float = 0.0  # how much of it has gone: nothing more comes or is done in that
    backlog: int = 0  # jobs that wait
    # When they are due, in hours from now, below 0 where late: of all of them or an even sample.
    backlog_due: Floats = field(default_factory=lambda: np.zeros(0))
    productive: float = 0.85  # share of a shift that goes into jobs


class Forecast(NamedTuple):
    """By hour from the start of the one that runs; bands and moments are 10 %, 50 % and 90 %."""

    late_share: Floats  # chance that a job which comes in this hour waits beyond the promise
    waiting: Floats  # (3, 168): jobs that wait at the hour's end: low, middle, high
    overdue: Floats  # (3, 168): jobs past their time
    arrivals: Floats  # (3, 168), the middle is the mean
    people: Floats  # (168,)
    late_jobs: Floats  # by path: jobs of the week answered late
    jobs: Floats  # by path: jobs of the week, with those that waited
    break_chance: float  # that it breaks its promise at all within the week
    breaks_at: tuple[float, float, float] | None  # hours; None: on no path
    is_broken: bool  # something is overdue already
    recovers_at: tuple[float, float, float] | None  # if so: when nothing is overdue any more
    recovery_chance: float


def estimate_rates(counts: Floats, hours_of_week: npt.NDArray[np.int64]) -> Rates:
    """Rates from hourly counts, `hours_of_week` their place in the week (0 to 167).

    The prior of a cell is level × hour of the day × day of the week, each pulled to 1 by its own
    counts; how strongly a cell is pulled to that is estimated from how far cells stray from it
    beyond chance (empirical Bayes by moments), so one week of history is hardly believed by cell.
    """
    counts = np.asarray(counts, dtype=np.float64)
    seen = len(counts)
    if not seen:
        return Rates(np.full(HOURS, 0.5), np.full(HOURS, 1e-3), 1.0, 0)
    total = counts.sum()
    level = (total + 0.5) / seen
    clock, day = hours_of_week % 24, hours_of_week // 24
    by_clock = _factors(counts, clock, 24, np.full(seen, level))
    by_day = _factors(counts, day, 7, level * by_clock[clock])
    prior = level * by_clock[np.arange(HOURS) % 24] * by_day[np.arange(HOURS) // 24]
    times = np.bincount(hours_of_week, minlength=HOURS).astype(np.float64)
    sums = np.bincount(hours_of_week, counts, HOURS)
    expected = prior * times
    # How far cells stray: mean of ((sum − expected)² − expected) ÷ expected² is the variance of a
    # cell's own factor about 1. With one week it cannot be told from scatter: pull hard.
    weeks = times.max()
    solid = expected > 0
    stray = ((sums - expected) ** 2 - expected)[solid].sum() / (expected[solid] ** 2).sum()
    strength = 1 / min(max(stray, 1e-3), 4.0) if weeks >= 2 else 20.0
    mean = (prior * (strength + sums) / (strength + expected))[hours_of_week]
    freedom = max(seen - float((expected / (strength + expected)).sum()) - 1, 1.0)
    scatter = float(((counts - mean) ** 2 / np.maximum(mean, 1e-9)).sum()) / freedom
    dispersion = min(max(scatter, 1.0), 50.0)
    # Counts that scatter more than chance say less about their rate by so much.
    return Rates(
        shape=np.asarray(strength + sums / dispersion),
        scale=np.asarray(prior / (strength + expected / dispersion)),
        dispersion=dispersion,
        hours_seen=seen,
    )


def _factors(counts: Floats, places: npt.NDArray[np.int64], many: int, expected: Floats) -> Floats:
    """Gamma-shrunk ratios of counts to what was expected, by place; about 1."""
    got = np.bincount(places, counts, many)
    wanted = np.bincount(places, expected, many)
    solid = wanted > 0
    if not solid.any():
        return np.ones(many)
    stray = ((got - wanted) ** 2 - wanted)[solid].sum() / (wanted[solid] ** 2).sum()
    strength = 1 / min(max(stray, 1e-3), 4.0)
    factors: Floats = (strength + got) / (strength + wanted)
    return factors


def estimate_handling(seconds: Floats, *, default: float) -> Handling:
    """From what was seen; `default` seconds, with a tenth of a job's weight, where nothing was."""
    seconds = np.asarray(seconds, dtype=np.float64)
    seconds = seconds[seconds > 0]
    if len(seconds) < 2:
        return Handling(default, default, len(seconds))
    # Through the logarithm: one lunch with an item open would rule the plain mean.
    logs = np.log(seconds)
    centre, spread = float(logs.mean()), min(float(logs.std(ddof=1)), 1.5)
    mean = math.exp(centre + spread**2 / 2)
    return Handling(mean, mean * math.sqrt(math.expm1(spread**2)), len(seconds))


class Draws(NamedTuple):
    """Chance, drawn once and used for every what-if of a queue: (paths, steps) and (paths,)."""

    rate: Floats  # (paths, 168): rate by hour of the week
    scatter: Floats  # (paths, steps): a Gamma of mean 1, the overdispersion
    jobs: Floats  # (paths, steps): uniform
    work: Floats  # (paths, steps): standard normal
    backlog: Floats  # (paths,): standard normal


def draw(rates: Rates, *, seed: int, paths: int = PATHS) -> Draws:
    rng = np.random.default_rng(seed)
    steps = HOURS * STEPS
    rate = rng.gamma(np.maximum(rates.shape, 1e-6), 1.0, (paths, HOURS)) * rates.scale
    # What all hours share: the level is known as well as the number of jobs behind it.
    seen = max(rates.mean.mean() * rates.hours_seen, 0.5)
    level = rng.gamma(seen / rates.dispersion, rates.dispersion / seen, (paths, 1))
    return Draws(
        rate=rate * level,
        scatter=rng.random((paths, HOURS)),
        jobs=rng.random((paths, steps)),
        work=rng.standard_normal((paths, steps)),
        backlog=rng.standard_normal(paths),
    )


class _Week(NamedTuple):
    """One what-if's week by path and step, as work in hours."""

    jobs: Floats
    work: Floats
    first: Floats  # (paths,): the work that waits now
    waiting: Floats  # (paths, steps + 1)
    is_late: npt.NDArray[np.bool_]
    served: Floats  # capacity used up to each moment of `clock`, if there is always work
    clock: Floats


def _walk(situation: Situation, draws: Draws, growth: float) -> _Week:
    steps = HOURS * STEPS
    mean, deviation = situation.handling.mean / 3600, situation.handling.deviation / 3600
    gone = int(situation.into_hour * STEPS)
    at_hour = (situation.first_hour + np.arange(steps) // STEPS) % HOURS
    jobs = _arrivals(situation, draws, at_hour, growth)
    jobs[:, :gone] = 0
    work = jobs * mean * _gamma(draws.work, (deviation / mean) ** 2 / np.maximum(jobs, 1))

    on_duty = np.roll(situation.people, -situation.first_hour) * situation.productive * _STEP
    capacity = np.tile(np.repeat(on_duty, STEPS), 1 + _WEEKS_AFTER)
    capacity[:gone] = 0
    served = np.concatenate([[0.0], np.cumsum(capacity)])
    clock = np.arange(len(served)) * _STEP
    many = situation.backlog
    first = many * mean * _gamma(draws.backlog, (deviation / mean) ** 2 / max(many, 1))
    waiting = _reflect(first, work, capacity[:steps])

    # What comes in the middle of step t leaves when all that stood before it is done: until then
    # the roster works without a pause, so the moment is read off the capacity alone. Never before
    # it came, and at night not before somebody is there (the hair beyond the plateau).
    reached = np.maximum(
        served[:steps] + waiting[:, :-1] + work / 2,
        served[:steps] + capacity[:steps] / 2 + 1e-6,
    )
    leaves = np.interp(reached, served, clock, right=np.inf)
    came = clock[:steps] + _STEP / 2
    wait = np.maximum(leaves - came, 0.0) + mean
    return _Week(jobs, work, first, waiting, wait > situation.sla_hours, served, np.asarray(clock))


def _by_hour(week: _Week, gone: int) -> Floats:
    """The share of paths and steps that are late, of the steps still to come."""
    share = week.is_late.mean(axis=0)
    share[:gone] = np.nan
    by_hour = share.reshape(HOURS, STEPS)
    by_hour[0, :gone] = share[gone]
    return np.asarray(by_hour.mean(axis=1))


def simulate(situation: Situation, draws: Draws, *, growth: float = 0.0) -> Forecast:
    """The coming week, `growth` 0.2 for a fifth more arrivals."""
    week = _walk(situation, draws, growth)
    mean = situation.handling.mean / 3600
    late_jobs = (week.jobs * week.is_late).sum(axis=1)
    # Those that wait now leave in the order in which they fall due.
    due = np.sort(situation.backlog_due)
    is_broken = bool(len(due) and due[0] < 0)
    due = np.where(due < 0, 0.0, due + situation.into_hour)
    if len(due):
        share = (np.arange(len(due)) + 1) / len(due)
        done = np.interp(week.first[:, None] * share, week.served, week.clock, right=np.inf)
        late_jobs = late_jobs + (done > due).mean(axis=1) * situation.backlog
    overdue = _overdue(situation, due, week, mean)
    ends = np.arange(HOURS) * STEPS + STEPS - 1
    by_hour = week.jobs.reshape(-1, HOURS, STEPS).sum(axis=2)
    broken = overdue >= 0.5  # of a job: work is a fluid here
    return Forecast(
        late_share=_by_hour(week, int(situation.into_hour * STEPS)),
        waiting=_band(week.waiting[:, ends + 1] / mean),
        overdue=_band(overdue[:, ends]),
        arrivals=_band(by_hour, middle=by_hour.mean(axis=0)),
        people=np.roll(situation.people, -situation.first_hour),
        late_jobs=late_jobs,
        jobs=week.jobs.sum(axis=1) + situation.backlog,
        break_chance=1.0 if is_broken else float(broken.any(axis=1).mean()),
        breaks_at=None if is_broken else _first(broken),
        is_broken=is_broken,
        recovers_at=_first(~broken) if is_broken else None,
        recovery_chance=float((~broken).any(axis=1).mean()) if is_broken else 1.0,
    )


def _arrivals(
    situation: Situation, draws: Draws, at_hour: npt.NDArray[np.int64], growth: float
) -> Floats:
    """Jobs by path and step: Poisson about a rate that itself scatters by hour."""
    steps = len(at_hour)
    rate = draws.rate[:, at_hour]
    dispersion = situation.rates.dispersion
    if dispersion > 1.001:
        hour = np.repeat(draws.scatter, STEPS, axis=1)[:, :steps]
        # The same uniform gives the same weather to every what-if.
        variance = np.minimum((dispersion - 1) / np.maximum(rate, 1e-6), 3.0)
        rate = rate * _gamma(_normal(hour), variance)
    mean = rate * _STEP * (1 + growth)
    return _poisson(mean, draws.jobs)


def _gamma(z: Floats, variance: Floats | float) -> Floats:
    """Gamma of mean 1 and that variance out of a standard normal (Wilson and Hilferty's cube)."""
    ninth = variance / 9
    scaled: Floats = np.maximum(1 - ninth + z * np.sqrt(ninth), 0.0) ** 3
    return scaled


def _poisson(mean: Floats, uniform: Floats) -> Floats:
    """Poisson counts by inversion (rounded normals from 12 on), so that the same chance gives more
    jobs to a larger mean."""
    small = mean < 12
    counts = np.zeros(mean.shape)
    if small.any():
        m, u = mean[small], uniform[small]
        term = np.exp(-m)
        reached = term.copy()
        count = np.zeros(len(m))
        for k in range(1, 48):
            more = u > reached
            if not more.any():
                break
            count[more] = k
            term = term * m / k
            reached = reached + term
        counts[small] = count
    if not small.all():
        m = mean[~small]
        counts[~small] = np.maximum(np.round(m + np.sqrt(m) * _normal(uniform[~small])), 0)
    return counts


def _normal(uniform: Floats) -> Floats:
    """Standard normal quantiles, to 5e-4 (Abramowitz and Stegun 26.2.23)."""
    u = np.clip(uniform, 1e-9, 1 - 1e-9)
    t = np.sqrt(-2 * np.log(np.minimum(u, 1 - u)))
    z = t - (2.515517 + 0.802853 * t + 0.010328 * t**2) / (
        1 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3
    )
    quantile: Floats = np.where(u < 0.5, -z, z)
    return quantile


def _reflect(first: Floats, work: Floats, capacity: Floats) -> Floats:
    """Work that waits after each step (Lindley): what came less what could be done, never below 0.

    W(t) = X(t) − min(0, min over s ≤ t of X(s)), with X the first backlog and the running sum.
    """
    x = np.concatenate([first[:, None], first[:, None] + np.cumsum(work - capacity, axis=1)], 1)
    waiting: Floats = x - np.minimum(np.minimum.accumulate(x, axis=1), 0.0)
    return waiting


def _overdue(situation: Situation, backlog_due: Floats, week: _Week, mean: float) -> Floats:
    """Jobs past their time after each step: what has fallen due less what has been done."""
    paths, steps = week.work.shape
    came = np.concatenate([np.zeros((paths, 1)), np.cumsum(week.work, axis=1)], axis=1)
    done = week.first[:, None] + came[:, 1:] - week.waiting[:, 1:]
    ends = (np.arange(steps) + 1) * _STEP
    share = (
        np.searchsorted(backlog_due, ends, side="right") / len(backlog_due)
        if len(backlog_due)
        else np.zeros(steps)
    )
    lag = np.clip((ends - situation.sla_hours) * STEPS, 0, steps)
    low = np.floor(lag).astype(np.int64)
    part = lag - low
    fallen = came[:, low] * (1 - part) + came[:, np.minimum(low + 1, steps)] * part
    due = week.first[:, None] * share + fallen
    missing: Floats = np.maximum(due - done, 0.0) / mean
    return missing


def _band(values: Floats, *, middle: Floats | None = None) -> Floats:
    band: Floats = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    if middle is not None:
        band[1] = middle
    return band


def _first(is_so: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Hours until it is so for the first time, over the paths on which it ever is."""
    some = is_so.any(axis=1)
    if not some.any():
        return None
    at = (is_so[some].argmax(axis=1) + 1) * _STEP
    low, middle, high = np.quantile(at, [0.1, 0.5, 0.9])
    return float(low), float(middle), float(high)


class Change(NamedTuple):
    """What a what-if changes, with a 95 % interval over the same draws."""

    late_jobs: float
    low: float
    high: float


def difference(before: Forecast, after: Forecast) -> Change:
    """Late jobs of the week, after less before."""
    by_path = after.late_jobs - before.late_jobs
    low, high = np.quantile(by_path, [0.025, 0.975])
    return Change(float(by_path.mean()), float(low), float(high))


def needed(situation: Situation, draws: Draws, *, growth: float = 0.0) -> Floats:
    """People by hour of the week so that each hour's jobs are answered in time with 95 % chance.

    Starts from the work that comes within one promise, spread evenly over it (a job may wait that
    long), and adds a person in the hours after those that still fail, until none does. What waits
    already is left out: this is the roster to have, not the way out of a backlog.
    """
    rate = situation.rates.mean * (1 + growth)
    window = int(np.clip(math.ceil(situation.sla_hours), 1, 24))
    hourly = rate * situation.handling.mean / 3600 / situation.productive
    spread = np.mean([np.roll(hourly, shift) for shift in range(window)], axis=0)
    people: Floats = np.ceil(spread - 1e-9)
    fresh = replace(situation, backlog=0, backlog_due=np.zeros(0), into_hour=0.0)
    fewer = Draws(*(one[:_NEEDED_PATHS] for one in draws))
    for _ in range(_NEEDED_TRIES):
        week = _walk(replace(fresh, people=people), fewer, growth)
        failing = np.flatnonzero(_by_hour(week, 0) > 1 - _TARGET)
        if not len(failing):
            break
        short = np.zeros(HOURS)
        for lead in range(min(window, 4)):
            short[(situation.first_hour + failing + lead) % HOURS] = 1
        people = people + short
    return people


def with_people(situation: Situation, change: Sequence[float] | Floats) -> Situation:
    """The same with so many people more (or fewer) by hour of the week; never below none."""
    return replace(situation, people=np.maximum(situation.people + np.asarray(change), 0.0))
