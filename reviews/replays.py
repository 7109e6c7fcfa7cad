"""Replays asked for on a page or a command: the row is the work, the task a nudge, a sweep begins
dead ones again. How a replay goes is replay.py's; what it reads is history.py's.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, attempts, audit, charts, history, presence, replay, serving
from .errors import Conflict, Invalid
from .models import Person, Queue, ReplayRun, Report
from .wording import figure, kept, midsentence, ngettext, noop

State = ReplayRun.State
MOST_DAYS = 92

# What a candidate may change: name → label, least, most.
FIELDS: dict[str, tuple[str, float, float]] = {
    "doubling_hours": (noop("Hours worth a doubling"), 0.01, 1000),
    "report_weight": (noop("Weight of reports"), 0, 1),
    "sla_minutes": (noop("Answer within (minutes)"), 1, 100_000),
    "soon_minutes": (noop("Due soon (minutes before)"), 0, 100_000),
    "handling_minutes": (noop("Expected handling (minutes)"), 0.01, 1000),
}
WEIGHT = (0.01, 10_000)


def read_candidate(queue: Queue, values: Mapping[str, Any]) -> serving.Parameters:
    """Today's parameters with what `values` says otherwise: the names of FIELDS, `weight_<policy>`
    and `sla_<source>` (empty: none). Raises Invalid with every field that is wrong."""
    today = history.read_parameters(queue)
    wrong: dict[str, str] = {}
    changed: dict[str, Any] = {}
    for name, (_rest, least, most) in FIELDS.items():
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
        raise Invalid(_("Some of the numbers do not work; see beside them."), details=wrong)
    return serving.Parameters(
        **{**asdict(today), **changed, "severity_weights": weights, "sla_by_source": by_source}
    )


def _number(name: str, given: Any, least: float, most: float, wrong: dict[str, str]) -> float:
    try:
        number = float(str(given).strip().replace(",", "."))
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        words = _("A number from %(least)s to %(most)s.")
        wrong[name] = words % {"least": figure(least), "most": figure(most)}
    return number


def start_replay(
    queue: Queue,
    *,
    by: Person | None,
    candidate: serving.Parameters,
    since: datetime,
    until: datetime,
    staff: str = ReplayRun.Staff.WORKED,
    seed: int = 0,
) -> ReplayRun:
    """A replay for a worker to pick up. Refuses at once what could not work."""
    access.check(by, "replay.run", queue.platform)
    if not timedelta(hours=1) <= until - since <= timedelta(days=MOST_DAYS):
        raise Invalid(
            _("Choose from one hour to %(most_days)s days.") % {"most_days": MOST_DAYS},
            details={"days": _("from one hour to %(most_days)s days") % {"most_days": MOST_DAYS}},
        )
    if not 0 <= seed < 2**31:
        raise Invalid(_("The seed is out of range."), details={"seed": _("0 to 2147483647")})
    if staff not in ReplayRun.Staff.values:
        raise Invalid(_("Choose whose hours to spend."), details={"staff": _("worked or roster")})
    if staff == ReplayRun.Staff.ROSTER and presence.roster_hours(queue) is None:
        raise Invalid(
            _("This queue has no roster yet. Fill it in first, or replay with those who worked."),
            details={"staff": _("this queue has no roster yet")},
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
            raise Conflict(_("This replay is over already."))
        audit.record("replay.cancel", run, by=by, platform=run.platform_id)
    run.refresh_from_db()
    return run


def nudge(run_id: int) -> None:
    current_app.send_task("reviews.tasks.run_replay", args=[run_id])


def run(replay_run_id: int) -> None:
    """Read the history, replay it, keep the figures; unless done, or another process is at it."""
    rows = ReplayRun.objects.select_related("platform", "queue__platform", "queue__roster")
    attempt = attempts.begin(
        rows, replay_run_id, running=State.RUNNING, step=kept("Starting"), fraction=0
    )
    if attempt is None:
        return
    with attempt.failing_as("replay.fail"), attempt.pulse():
        _replay(attempt)


def resume_stuck() -> int:
    """Sweep: begin again what waits or lost its heartbeat; give up after three attempts."""
    pks = attempts.resume(
        ReplayRun.objects.all(),
        running=State.RUNNING,
        verb="replay.fail",
        advice=kept("Try a shorter period."),
    )
    for pk in pks:
        nudge(pk)
    return len(pks)


def _replay(attempt: attempts.Attempt[ReplayRun]) -> None:
    replay_run = attempt.row

    def say(fraction: float, step: str) -> None:
        attempt.say(step=step[:120], fraction=min(max(fraction, 0.0), 1.0))

    say(0.0, kept("Reading the history"))
    people = None
    if replay_run.staff == ReplayRun.Staff.ROSTER:
        people = presence.roster_hours(replay_run.queue)
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
        today=serving.Parameters(**replay_run.today),
        candidate=serving.Parameters(**replay_run.candidate),
        seed=replay_run.seed,
        progress=lambda fraction, step: say(0.1 + 0.9 * fraction, step),
    )
    result |= {
        "worked_hours": round(past.worked_hours, 2),
        "handled_hours": round(past.handled_hours, 2),
        "is_plausible": past.is_plausible,
        "is_cut": past.is_cut,
    }
    attempt.write(state=State.DONE, step=kept("Done"), fraction=1, result=result, finished_at=Now())


def check_enough(past: history.History) -> None:
    """Raise Invalid where a replay would have nothing to say."""
    counts = (past.world.verdict == serving.VIOLATING).sum()
    if not past.world.size:
        raise Invalid(_("Nothing came in during that time. Choose a longer period."))
    if not counts:
        raise Invalid(
            _(
                "Nothing of what came in then was found violating, so there is no harm to prevent. "
                "Choose a longer period."
            )
        )
    if not past.world.capacity_hours:
        raise Invalid(
            _(
                "Nobody worked this queue in that time. Choose another period, or the roster's "
                "hours."
            )
        )


# In words


_ENDS = ("change", "low", "high")


class Difference(NamedTuple):
    """A parameter that the candidate has otherwise."""

    name: str
    label: str
    today: str
    candidate: str


def differences(run: ReplayRun) -> list[Difference]:
    found = [
        Difference(name, _(label), f"{run.today[name]:g}", f"{run.candidate[name]:g}")
        for name, (label, *_rest) in FIELDS.items()
        if run.today[name] != run.candidate[name]
    ]
    for group, prefix, words in (
        ("severity_weights", "weight", _("Severity weight of %(name)s")),
        ("sla_by_source", "sla", _("Answer within, report by %(name)s (minutes)")),
    ):
        before, after = run.today[group], run.candidate[group]
        for slug in sorted({*before, *after}):
            if before.get(slug) != after.get(slug):
                sides = (
                    "–" if value is None else f"{value:g}"
                    for value in (before.get(slug), after.get(slug))
                )
                name = slug if prefix == "weight" else midsentence(Report.Source(slug).label)
                found.append(Difference(f"{prefix}_{slug}", words % {"name": name}, *sides))
    return found


def in_words(run: ReplayRun) -> list[str]:
    """What a finished replay found, the most important sentence first."""
    result = run.result
    change = result["against"]["today"]["candidate"]["views"]
    sentences = []
    if not differences(run):
        sentences.append(_("The candidate is today’s formula, so the two do not differ."))
    else:
        sentences.append(_change_in_words(change, _("The candidate"), _("today’s order")))
    fifo = result["against"]["fifo"]["today"]["views"]
    sentences.append(_change_in_words(fifo, _("Today’s formula"), _("first in, first out")))
    orders = result["orders"]
    risk = result["against"]["risk"]["today"]["views"]
    if risk["low"] is not None and risk["low"] > 0:
        late = 1 - (orders["today"]["in_time"]["value"] or 0)
        sentences.append(
            _change_in_words(risk, _("Today’s formula"), _("risk only"))
            + " "
            + _(
                "%(share)s of the items fall due before they are answered, and what is overdue "
                "goes first, whatever its harm: more people, or a promise they can keep, would "
                "mend it."
            )
            % {"share": charts.percent(late)}
        )
    waits = orders["candidate"]["wait_p90"], orders["today"]["wait_p90"]
    shares = orders["candidate"]["in_time"], orders["today"]["in_time"]
    within = [
        _("not at all before the end")
        if one["value"] is None
        else _("within %(time)s") % {"time": charts.hours(one["value"])}
        for one in waits
    ]
    sentences.append(
        _(
            "Nine in ten violating items are decided %(candidate)s by the candidate, %(today)s "
            "today; %(candidate_share)s of all items are answered in time, %(today_share)s today."
        )
        % {
            "candidate": within[0],
            "today": within[1],
            "candidate_share": charts.percent(shares[0]["value"]),
            "today_share": charts.percent(shares[1]["value"]),
        }
    )
    return sentences


def _change_in_words(change: Mapping[str, float | None], who: str, whom: str) -> str:
    value, low, high = change["value"], change["low"], change["high"]
    if value is None or low is None or high is None:
        words = _("%(who)s cannot be compared with %(whom)s: nothing violating was seen.")
        return words % {"who": who, "whom": whom}
    if low < 0 < high or low == high == 0:
        words = _(
            "%(who)s and %(whom)s do not differ clearly: %(change)s views of violating items "
            "(%(low)s to %(high)s)."
        )
        ends = (charts.percent(one, sign=True) for one in (value, low, high))
        return words % {"who": who, "whom": whom, **dict(zip(_ENDS, ends, strict=True))}
    least, most = sorted((abs(low), abs(high)))
    words = (
        _(
            "%(who)s prevents %(change)s (%(low)s to %(high)s) of the views of violating items "
            "that %(whom)s lets happen."
        )
        if value < 0
        else _(
            "%(who)s adds %(change)s (%(low)s to %(high)s) to the views of violating items that "
            "%(whom)s lets happen."
        )
    )
    ends = (charts.percent(one) for one in (abs(value), least, most))
    return words % {"who": who, "whom": whom, **dict(zip(_ENDS, ends, strict=True))}


_COUNTED = ("arrivals", "violating", "clean", "without_verdict")


def caveats(run: ReplayRun) -> list[str]:
    """What a reader of the figures has to know about what they stand on."""
    result, counts = run.result, run.result["counts"]
    found = [
        _(
            "%(arrivals)s items, of which %(violating)s were found violating and %(clean)s clean. "
            "%(without_verdict)s have no verdict: they take reviewers’ time here but count neither "
            "as harm nor as clean."
        )
        % {name: figure(counts[name]) for name in _COUNTED}
    ]
    if counts["without_verdict"] > 0.2 * counts["arrivals"]:
        found.append(
            _(
                "That is more than a fifth. Today’s order chose what was decided, so figures for "
                "orders unlike it are less certain than their intervals say."
            )
        )
    if counts["waiting_at_start"]:
        found.append(
            _(
                "%(count)s waited already when the period began; what was seen of them before is "
                "the same in every order and left out."
            )
            % {"count": figure(counts["waiting_at_start"])}
        )
    if result["is_cut"]:
        found.append(_("There was more than a replay takes; it has the newest items only."))
    told = {
        "presence": figure(result["capacity_hours"], 0),
        "work": figure(result["work_hours"], 1),
    }
    if run.staff == ReplayRun.Staff.ROSTER:
        words = _("Staffed as on the roster: %(presence)s hours of presence for %(work)s of work.")
        found.append(words % told)
    else:
        words = ngettext(
            "Staffed as it was: %(count)s person, %(presence)s hours of presence for %(work)s of "
            "work.",
            "Staffed as it was: %(count)s people, %(presence)s hours of presence for %(work)s of "
            "work.",
            counts["reviewers"],
        )
        found.append(words % {**told, "count": counts["reviewers"]})
        if not result["is_plausible"]:
            found.append(
                _(
                    "Their answers say they took %(handled)s hours, more than the %(worked)s they "
                    "were there: recorded in bulk, or simulated. Replay with the roster’s hours "
                    "instead."
                )
                % {
                    "handled": figure(result["handled_hours"], 1),
                    "worked": figure(result["worked_hours"], 1),
                }
            )
    return found
