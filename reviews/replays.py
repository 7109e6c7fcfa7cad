"""Replays asked for on a page or a command: the row is the work, the task a nudge, a sweep begins
dead ones again. How a replay goes is replay.py's; what it reads is history.py's.
"""

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from celery import current_app
from django.db import OperationalError, connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from . import access, audit, charts, history, replay
from .errors import Conflict, DomainError, Invalid
from .models import Person, Queue, ReplayRun, Report

State = ReplayRun.State
MAX_ATTEMPTS = 3
MOST_DAYS = 92
SILENT_FOR = timedelta(seconds=60)  # a run without a heartbeat this long is dead
PULSE_SECONDS = 10

# What a candidate may change: name → label, least, most.
FIELDS: dict[str, tuple[str, float, float]] = {
    "doubling_hours": ("Hours worth a doubling", 0.01, 1000),
    "report_weight": ("Weight of reports", 0, 1),
    "sla_minutes": ("Answer within (minutes)", 1, 100_000),
    "soon_minutes": ("Due soon (minutes before)", 0, 100_000),
    "handling_minutes": ("Expected handling (minutes)", 0.01, 1000),
}
WEIGHT = (0.01, 10_000)


def read_candidate(queue: Queue, values: Mapping[str, Any]) -> replay.Parameters:
    """Today's parameters with what `values` says otherwise: the names of FIELDS, `weight_<policy>`
    and `sla_<source>` (empty: none). Raises Invalid with every field that is wrong."""
    today = history.read_parameters(queue)
    wrong: dict[str, str] = {}
    changed: dict[str, Any] = {}
    for name, (_, least, most) in FIELDS.items():
        if name in values:
            changed[name] = _number(name, values[name], least, most, wrong)
    weights = dict(today.severity_weights)
    for slug in weights:
        name = f"weight_{slug}"
        if name in values:
            weights[slug] = _number(name, values[name], *WEIGHT, wrong)
    by_source = dict(today.sla_by_source)
    for source in Report.Source.values:
        name = f"sla_{source}"
        text = str(values.get(name, by_source.get(source, ""))).strip()
        by_source.pop(source, None)
        if text:
            by_source[source] = _number(name, text, 1, 100_000, wrong)
    if wrong:
        raise Invalid("Some of the numbers do not work; see beside them.", details=wrong)
    return replay.Parameters(
        **{**asdict(today), **changed, "severity_weights": weights, "sla_by_source": by_source}
    )


def _number(name: str, given: Any, least: float, most: float, wrong: dict[str, str]) -> float:
    try:
        number = float(str(given).strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        wrong[name] = f"A number from {least:g} to {most:,g}."
    return number


def start_replay(
    queue: Queue,
    *,
    by: Person | None,
    candidate: replay.Parameters,
    since: datetime,
    until: datetime,
    staff: str = ReplayRun.Staff.WORKED,
    seed: int = 0,
) -> ReplayRun:
    """A replay for a worker to pick up. Refuses at once what could not work."""
    access.check(by, "replay.run", queue.platform)
    if not timedelta(hours=1) <= until - since <= timedelta(days=MOST_DAYS):
        raise Invalid(
            f"Choose from one hour to {MOST_DAYS} days.",
            details={"days": f"from one hour to {MOST_DAYS} days"},
        )
    if not 0 <= seed < 2**31:
        raise Invalid("The seed is out of range.", details={"seed": "0 to 2147483647"})
    if staff not in ReplayRun.Staff.values:
        raise Invalid("Choose whose hours to spend.", details={"staff": "worked or roster"})
    if staff == ReplayRun.Staff.ROSTER and history.roster_hours(queue) is None:
        raise Invalid(
            "This queue has no roster yet. Fill it in first, or replay with those who worked.",
            details={"staff": "this queue has no roster yet"},
        )
    with transaction.atomic():
        run = ReplayRun.objects.create(
            platform=queue.platform,
            queue=queue,
            since=since,
            until=until,
            staff=staff,
            today=asdict(history.read_parameters(queue)),
            candidate=asdict(candidate),
            seed=seed,
            created_by=by,
        )
        run.refresh_from_db()
        audit.record(
            "replay.run",
            run,
            by=by,
            platform=queue.platform_id,
            queue=queue.slug,
            candidate=run.candidate,
            since=since.isoformat(),
            until=until.isoformat(),
        )
        transaction.on_commit(lambda: nudge(run.pk), robust=True)
    return run


def cancel_replay(run: ReplayRun, *, by: Person | None) -> ReplayRun:
    """Stop it; a worker in the middle of it notices within a second or so."""
    access.check(by, "replay.run", run.platform)
    with transaction.atomic():
        stopped = ReplayRun.objects.filter(
            pk=run.pk, state__in=[State.WAITING, State.RUNNING]
        ).update(state=State.CANCELLED, finished_at=Now())
        if not stopped:
            raise Conflict("This replay is over already.")
        audit.record("replay.cancel", run, by=by, platform=run.platform_id)
    run.refresh_from_db()
    return run


def nudge(run_id: int) -> None:
    current_app.send_task("reviews.tasks.run_replay", args=[run_id])


def run(replay_run_id: int) -> None:
    """Read the history, replay it, keep the figures; unless done, or another process is at it."""
    replay_run = _begin(replay_run_id)
    if replay_run is None:
        return
    try:
        with _pulse(replay_run):
            _replay(replay_run)
    except _Stopped:
        return
    except DomainError as error:
        _fail(replay_run, str(error), for_good=True)
    except Exception as error:
        for_good = not isinstance(error, OperationalError) or replay_run.attempts >= MAX_ATTEMPTS
        _fail(replay_run, f"{type(error).__name__}: {error}", for_good=for_good)
        raise


def resume_stuck() -> int:
    """Sweep: begin again what waits or lost its heartbeat; give up after three attempts."""
    silent = Q(state=State.RUNNING, heartbeat_at__lt=Now() - SILENT_FOR)
    waiting = Q(state=State.WAITING, created_at__lt=Now() - timedelta(seconds=10))
    for lost in ReplayRun.objects.filter(silent, attempts__gte=MAX_ATTEMPTS):
        _fail(
            lost,
            f"The process that ran it stopped {lost.attempts} times without a word; it may be "
            "short of memory. Try a shorter period, or look at the worker's log.",
            for_good=True,
        )
    due = ReplayRun.objects.filter(silent | waiting, attempts__lt=MAX_ATTEMPTS)
    pks = list(due.values_list("pk", flat=True))
    for pk in pks:
        nudge(pk)
    return len(pks)


def _replay(replay_run: ReplayRun) -> None:
    say = _Progress(replay_run)
    say(0.0, "Reading the history")
    people = None
    if replay_run.staff == ReplayRun.Staff.ROSTER:
        people = history.roster_hours(replay_run.queue)
    past = history.read_world(
        replay_run.queue,
        since=replay_run.since,
        until=replay_run.until,
        people=people,
        seed=replay_run.seed,
    )
    check_enough(past)
    result = replay.compare(
        past.world,
        today=replay.Parameters(**replay_run.today),
        candidate=replay.Parameters(**replay_run.candidate),
        seed=replay_run.seed,
        progress=lambda fraction, step: say(0.1 + 0.9 * fraction, step),
    )
    result |= {
        "worked_hours": round(past.worked_hours, 2),
        "handled_hours": round(past.handled_hours, 2),
        "is_plausible": past.is_plausible,
        "is_cut": past.is_cut,
    }
    with transaction.atomic():
        if not _mine(replay_run).update(
            state=State.DONE,
            step="Done",
            fraction=1,
            result=result,
            finished_at=Now(),
            heartbeat_at=Now(),
        ):
            raise _Stopped


def check_enough(past: history.History) -> None:
    """Raise Invalid where a replay would have nothing to say."""
    counts = (past.world.verdict == replay.VIOLATING).sum()
    if not past.world.size:
        raise Invalid("Nothing came in during that time. Choose a longer period.")
    if not counts:
        raise Invalid(
            "Nothing of what came in then was found violating, so there is no harm to prevent. "
            "Choose a longer period."
        )
    if not past.world.capacity_hours:
        raise Invalid(
            "Nobody worked this queue in that time. Choose another period, or the roster's hours."
        )


class _Stopped(Exception):
    """Cancelled, or another process took the run over."""


class _Progress:
    """Writes step and fraction to the run's row, at most once a second."""

    def __init__(self, replay_run: ReplayRun) -> None:
        self._mine = _mine(replay_run)
        self._next = 0.0

    def __call__(self, fraction: float, step: str) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1
        values = {"step": step[:120], "fraction": min(max(fraction, 0.0), 1.0)}
        if not self._mine.update(**values, heartbeat_at=Now()):
            raise _Stopped


@contextlib.contextmanager
def _pulse(replay_run: ReplayRun) -> Iterator[None]:
    """A heartbeat beside the work: one order of a long history may take longer than SILENT_FOR."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(PULSE_SECONDS):
            with contextlib.suppress(OperationalError):
                _mine(replay_run).update(heartbeat_at=Now())
            connections.close_all()

    thread = threading.Thread(target=beat, name="replay-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _mine(replay_run: ReplayRun):
    """The row, as long as this attempt is the one that runs."""
    return ReplayRun.objects.filter(
        pk=replay_run.pk, state=State.RUNNING, attempts=replay_run.attempts
    )


def _begin(replay_run_id: int) -> ReplayRun | None:
    silent = Q(state=State.RUNNING, heartbeat_at__lt=Now() - SILENT_FOR)
    begun = ReplayRun.objects.filter(
        silent | Q(state=State.WAITING), pk=replay_run_id, attempts__lt=MAX_ATTEMPTS
    ).update(
        state=State.RUNNING,
        attempts=F("attempts") + 1,
        heartbeat_at=Now(),
        step="Starting",
        fraction=0,
        error="",
    )
    if not begun:
        return None
    rows = ReplayRun.objects.select_related("platform", "queue__platform", "queue__roster")
    return rows.get(pk=replay_run_id)


def _fail(replay_run: ReplayRun, error: str, *, for_good: bool) -> None:
    values: dict[str, Any] = {"state": State.WAITING, "error": error[:2000]}
    if for_good:
        values |= {"state": State.FAILED, "finished_at": Now()}
    with transaction.atomic():
        if _mine(replay_run).update(**values) and for_good:
            audit.record(
                "replay.fail",
                replay_run,
                by=None,
                platform=replay_run.platform_id,
                error=error[:200],
            )


# In words


class Difference(NamedTuple):
    """A parameter that the candidate has otherwise."""

    name: str
    label: str
    today: str
    candidate: str


def differences(run: ReplayRun) -> list[Difference]:
    found = [
        Difference(name, label, f"{run.today[name]:g}", f"{run.candidate[name]:g}")
        for name, (label, *_) in FIELDS.items()
        if run.today[name] != run.candidate[name]
    ]
    for group, prefix, words in (
        ("severity_weights", "weight", "Severity weight of {}"),
        ("sla_by_source", "sla", "Answer within, report by {} (minutes)"),
    ):
        before, after = run.today[group], run.candidate[group]
        for slug in sorted({*before, *after}):
            if before.get(slug) != after.get(slug):
                sides = (
                    "–" if value is None else f"{value:g}"
                    for value in (before.get(slug), after.get(slug))
                )
                name = slug if prefix == "weight" else Report.Source(slug).label.lower()
                found.append(Difference(f"{prefix}_{slug}", words.format(name), *sides))
    return found


def in_words(run: ReplayRun) -> list[str]:
    """What a finished replay found, the most important sentence first."""
    result = run.result
    change = result["against"]["today"]["candidate"]["views"]
    sentences = []
    if not differences(run):
        sentences.append("The candidate is today’s formula, so the two do not differ.")
    else:
        sentences.append(_change_in_words(change, "The candidate", "today’s order"))
    fifo = result["against"]["fifo"]["today"]["views"]
    sentences.append(_change_in_words(fifo, "Today’s formula", "first in, first out"))
    orders = result["orders"]
    risk = result["against"]["risk"]["today"]["views"]
    if risk["low"] is not None and risk["low"] > 0:
        late = 1 - (orders["today"]["in_time"]["value"] or 0)
        sentences.append(
            _change_in_words(risk, "Today’s formula", "risk only")
            + f" {charts.percent(late)} of the items fall due before they are answered, and what "
            "is overdue goes first, whatever its harm: more people, or a promise they can keep, "
            "would mend it."
        )
    waits = orders["candidate"]["wait_p90"], orders["today"]["wait_p90"]
    shares = orders["candidate"]["in_time"], orders["today"]["in_time"]
    within = [
        "not at all before the end" if one["value"] is None else f"in {charts.hours(one['value'])}"
        for one in waits
    ]
    sentences.append(
        f"Nine in ten violating items are decided {within[0]} by the candidate, {within[1]} today; "
        f"{charts.percent(shares[0]['value'])} of all items are answered in time, "
        f"{charts.percent(shares[1]['value'])} today."
    )
    return sentences


def _change_in_words(change: Mapping[str, float | None], who: str, whom: str) -> str:
    value, low, high = change["value"], change["low"], change["high"]
    if value is None or low is None or high is None:
        return f"{who} cannot be compared with {whom}: nothing violating was seen."
    if low < 0 < high or low == high == 0:
        return (
            f"{who} and {whom} do not differ clearly: {charts.percent(value, sign=True)} views of "
            f"violating items ({charts.percent(low, sign=True)} to "
            f"{charts.percent(high, sign=True)})."
        )
    least, most = sorted((abs(low), abs(high)))
    figures = f"{charts.percent(abs(value))} ({charts.percent(least)} to {charts.percent(most)})"
    what = f"the views of violating items that {whom} lets happen"
    return (
        f"{who} prevents {figures} of {what}." if value < 0 else f"{who} adds {figures} to {what}."
    )


def caveats(run: ReplayRun) -> list[str]:
    """What a reader of the figures has to know about what they stand on."""
    result, counts = run.result, run.result["counts"]
    found = [
        f"{counts['arrivals']:,} items, of which {counts['violating']:,} were found violating and "
        f"{counts['clean']:,} clean. {counts['without_verdict']:,} have no verdict: they take "
        "reviewers’ time here but count neither as harm nor as clean."
    ]
    if counts["without_verdict"] > 0.2 * counts["arrivals"]:
        found.append(
            "That is more than a fifth. Today’s order chose what was decided, so figures for "
            "orders unlike it are less certain than their intervals say."
        )
    if counts["waiting_at_start"]:
        found.append(
            f"{counts['waiting_at_start']:,} waited already when the period began; what was seen "
            "of them before is the same in every order and left out."
        )
    if result["is_cut"]:
        found.append("There was more than a replay takes; it has the newest items only.")
    hours = f"{result['capacity_hours']:,.0f} hours of presence"
    if run.staff == ReplayRun.Staff.ROSTER:
        found.append(f"Staffed as on the roster: {hours} for {result['work_hours']:,.1f} of work.")
    else:
        found.append(
            f"Staffed as it was: {counts['reviewers']} "
            f"{'person' if counts['reviewers'] == 1 else 'people'}, {hours} for "
            f"{result['work_hours']:,.1f} of work."
        )
        if not result["is_plausible"]:
            found.append(
                f"Their answers say they took {result['handled_hours']:,.1f} hours, more than "
                f"the {result['worked_hours']:,.1f} they were there: recorded in bulk, or "
                "simulated. Replay with the roster’s hours instead."
            )
    return found
