"""What happened, as plain arrays: a queue's past for a replay, its load for a forecast.

Reads only, in short keyset pages; bounded however much there is. What is in a World and what is
left out is written down in docs/replay-and-forecast.md and said on the page.
"""

import bisect
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection

from . import forecast, presence, ranking, serving
from .models import Platform, PolicyVersion, Queue
from .presence import PRODUCTIVE, Work, week_hour

MOST_ARRIVALS = 200_000
MOST_WAITING = 100_000
_PAGE = 5000
_KEPT = 500  # due times of a backlog that are kept as its sample
_HOUR = timedelta(hours=1)
_LANES = ["risk", "random", "learning"]

_ARRIVALS = """
SELECT job.id, job.item_id, job.created_at, item.views_per_hour, item.risks, item.scored_at,
  stored.created_at, standing.id, standing.verdict, settled.decided_at, settled.risks
FROM reviews_job AS job
JOIN reviews_item AS item ON item.id = job.item_id
-- When we first had it: an import may say that it came in earlier.
CROSS JOIN LATERAL (
  SELECT created_at FROM reviews_itemversion WHERE item_id = item.id ORDER BY number LIMIT 1
) AS stored
LEFT JOIN LATERAL (
  SELECT id, verdict FROM reviews_decision WHERE item_id = item.id ORDER BY id DESC LIMIT 1
) AS standing ON true
LEFT JOIN LATERAL (
  SELECT decided_at, risks FROM reviews_decision
  WHERE item_id = item.id AND kind = 'settled' ORDER BY id LIMIT 1
) AS settled ON true
WHERE job.id < %(before)s AND job.queue_id = %(queue)s AND job.lane = ANY(%(lanes)s)
  AND job.state <> 'cancelled' AND job.created_at < %(until)s
  AND (job.created_at >= %(since)s OR settled.decided_at IS NULL
    OR settled.decided_at >= %(since)s)
ORDER BY job.id DESC LIMIT %(page)s
"""

_VIOLATED = """
SELECT link.decision_id, policy.slug
FROM reviews_decision_policy_versions AS link
JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
JOIN reviews_policy AS policy ON policy.id = version.policy_id
WHERE link.decision_id = ANY(%(ids)s)
"""

_REPORTS = """
SELECT item_id, created_at, source, reporter FROM reviews_report
WHERE item_id = ANY(%(ids)s) ORDER BY created_at, id
"""

_LOAD = """
SELECT queue_id, date_trunc('hour', created_at), count(*)
FROM reviews_job
WHERE queue_id = ANY(%(queues)s) AND created_at >= %(since)s AND created_at < %(until)s
  AND state <> 'cancelled'
GROUP BY 1, 2
"""

_WAITING = """
SELECT due_at FROM reviews_job
WHERE queue_id = %(queue)s AND state IN ('ready', 'claimed') LIMIT %(most)s
"""


@dataclass(frozen=True)
class History:
    """A world to replay, and what has to be said about it."""

    world: serving.World
    worked_hours: float  # presence that the claims show
    handled_hours: float  # what the answers say they took
    is_cut: bool  # there was more than MOST_ARRIVALS

    @property
    def is_plausible(self) -> bool:
        """Could these people have done this work in the hours they were there? Where answers were
        simulated, or recorded in bulk, they could not."""
        return self.worked_hours >= 0.9 * self.handled_hours


def read_parameters(queue: Queue) -> serving.Parameters:
    """What the queue ranks by now."""
    versions = PolicyVersion.objects.in_force().filter(policy__queues=queue)
    return serving.Parameters(
        doubling_hours=queue.doubling_hours,
        handling_minutes=queue.handling_minutes,
        report_weight=queue.report_weight,
        severity_weights=dict(versions.values_list("policy__slug", "severity_weight")),
        sla_minutes=queue.sla_minutes,
        sla_by_source=dict(queue.sla_by_source),
        soon_minutes=queue.soon_minutes,
    )


def read_world(
    queue: Queue,
    *,
    since: datetime,
    until: datetime,
    people: Mapping[int, float] | None = None,
    seed: int = 0,
) -> History:
    """The queue between two moments. `people` by hour of the week (roster_hours) takes the place
    of those who worked then; what nobody handled gets a handle time drawn from the others'."""
    rows, is_cut = _read_arrivals(queue, since, until)
    work = list(presence.read_work(queue.platform_id, since=since, until=until))
    handled: dict[int, float] = defaultdict(float)
    for one in work:
        if one.queue == queue.pk and one.is_finished:
            handled[one.item] += one.seconds
    windows = presence.windows_of(work, queue.pk)
    hours = (until - since) / _HOUR
    world = _make_world(queue, rows, handled, since=since, hours=hours, seed=seed)
    worked = sum(
        max(0.0, min(end, hours) - max(start, 0.0))
        for present in windows.values()
        for start, end in present
    )
    chosen = [windows[reviewer] for reviewer in sorted(windows)]
    if people is not None:
        chosen = presence.roster_windows(people, since=since, hours=hours)
    world = replace(world, windows=chosen)
    return History(world, worked, sum(handled.values()) / 3600, is_cut)


def _read_arrivals(queue: Queue, since: datetime, until: datetime) -> tuple[list[tuple], bool]:
    found: list[tuple] = []
    before = 2**62
    while len(found) < MOST_ARRIVALS:
        page = _rows(
            _ARRIVALS,
            before=before,
            queue=queue.pk,
            lanes=_LANES,
            since=since,
            until=until,
            page=_PAGE,
        )
        found += page
        if len(page) < _PAGE:
            return found[::-1], False
        before = page[-1][0]
    return found[::-1], True


def _make_world(
    queue: Queue,
    rows: Sequence[tuple],
    handled: Mapping[int, float],
    *,
    since: datetime,
    hours: float,
    seed: int,
) -> serving.World:
    slugs = tuple(queue.policies.order_by("position", "id").values_list("slug", flat=True))
    place = {slug: number for number, slug in enumerate(slugs)}
    size = len(rows)
    at, views, known_at = np.zeros(size), np.zeros(size), np.full(size, np.inf)
    probabilities = np.full((size, len(slugs)), np.nan)
    verdict = np.full(size, serving.UNKNOWN, dtype=np.int64)
    violates = np.zeros((size, len(slugs)), dtype=bool)
    seconds = np.zeros(size)
    violated = _read_violated([row[7] for row in rows if row[8] == "violating"])
    outcomes: dict[int, tuple[datetime, bool]] = {}
    for number, row in enumerate(rows):
        (_, item, created_at, per_hour, risks, scored_at, stored_at, standing, word, *rest) = row
        decided_at, decided_risks = rest
        at[number] = (created_at - since) / _HOUR
        views[number] = per_hour
        seconds[number] = handled.get(item, 0.0)
        known = json.loads(decided_risks or "{}") or json.loads(risks)
        for slug, probability in known.items():
            if slug in place:
                probabilities[number, place[slug]] = probability
        if known and scored_at is not None:
            # How long scoring took, counted from when we first had it.
            lag = max(scored_at - stored_at, timedelta(0))
            if decided_at is not None and scored_at > decided_at:
                lag = timedelta(0)  # scored again since: when the first came is not known
            known_at[number] = at[number] + lag / _HOUR
        if word in ("violating", "clean"):
            is_violating = word == "violating"
            verdict[number] = serving.VIOLATING if is_violating else serving.CLEAN
            for slug in violated.get(standing, ()) if is_violating else ():
                if slug in place:
                    violates[number, place[slug]] = True
            if decided_at is not None:
                outcomes[item] = (decided_at, is_violating)
    _fill_seconds(seconds, default=queue.handling_minutes * 60, seed=seed)
    reports = _read_reports([row[1] for row in rows], outcomes, since)
    return serving.World(
        start=since,
        hours=hours,
        policies=slugs,
        ids=np.array([row[0] for row in rows], dtype=np.int64),
        at=at,
        views=views,
        probabilities=probabilities,
        known_at=known_at,
        verdict=verdict,
        violates=violates,
        seconds=seconds,
        windows=[],
        reports={number: reports[row[1]] for number, row in enumerate(rows) if row[1] in reports},
    )


def _fill_seconds(seconds: np.ndarray, *, default: float, seed: int) -> None:
    """What nobody handled takes as long as something that somebody did."""
    missing = np.flatnonzero(seconds <= 0)
    seen = seconds[seconds > 0]
    if not len(missing):
        return
    rng = np.random.default_rng(seed)
    seconds[missing] = rng.choice(seen, len(missing)) if len(seen) else default


def _read_violated(decision_ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for part in _parts(decision_ids):
        for decision, slug in _rows(_VIOLATED, ids=part):
            found[decision].append(slug)
    return found


def _read_reports(
    item_ids: Sequence[int], outcomes: Mapping[int, tuple[datetime, bool]], since: datetime
) -> dict[int, list[serving.Report]]:
    """Reports by item, each with its reporter's record as it stood then: of the items in this
    history that were decided before."""
    rows = [row for part in _parts(item_ids) for row in _rows(_REPORTS, ids=part)]
    records: dict[tuple[str, str], list[tuple[datetime, bool]]] = defaultdict(list)
    for item, _, source, reporter in rows:
        if reporter and item in outcomes:
            records[source, reporter].append(outcomes[item])
    for record in records.values():
        record.sort()
    found: dict[int, list[serving.Report]] = defaultdict(list)
    for item, created_at, source, reporter in sorted(rows, key=lambda row: row[1]):
        record = records.get((source, reporter), []) if reporter else []
        before = bisect.bisect_left(record, (created_at, False))
        upheld = sum(is_violating for _, is_violating in record[:before][-200:])
        prior = ranking.SOURCE_TRUST.get(source, ranking.USER_TRUST)
        trust = ranking.trust(upheld, min(before, 200), prior=prior)
        found[item].append(serving.Report((created_at - since) / _HOUR, trust, source, reporter))
    return found


# The load


@dataclass(frozen=True)
class Load:
    """What a forecast of one queue stands on."""

    queue: Queue
    situation: forecast.Situation
    hours_seen: int  # of arrivals
    has_roster: bool
    is_productive_seen: bool  # the productive share comes from history


def read_load(
    platform: Platform, *, now: datetime, days: int = 28, is_past: bool = False
) -> list[Load]:
    """Each of the platform's queues as it stands, with rates and handle times of `days` past.
    `is_past`: with the people who were there then, whatever the roster says."""
    queues = list(
        platform.queues.filter(is_archived=False)
        .select_related("roster")
        .prefetch_related("roster__shifts")
    )
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    since = this_hour - timedelta(days=days)
    counts: dict[int, dict[datetime, int]] = defaultdict(dict)
    for queue_id, hour, count in _rows(
        _LOAD, queues=[queue.pk for queue in queues], since=since, until=this_hour
    ):
        counts[queue_id][hour] = count
    # All queues saw the same hours, from the first that any of them saw.
    begins = min((min(hours) for hours in counts.values()), default=this_hour)
    work = list(presence.read_work(platform.pk, since=since, until=now))
    return [
        _load(queue, counts[queue.pk], begins, now, since, work, is_past=is_past)
        for queue in queues
    ]


def _load(
    queue: Queue,
    counts: Mapping[datetime, int],
    begins: datetime,
    now: datetime,
    since: datetime,
    work: Sequence[Work],
    *,
    is_past: bool,
) -> Load:
    hours = [begins + number * _HOUR for number in range(math.floor((now - begins) / _HOUR))]
    rates = forecast.estimate_rates(
        np.array([counts.get(hour, 0) for hour in hours], dtype=np.float64),
        np.array([week_hour(hour) for hour in hours], dtype=np.int64),
    )
    own = [one for one in work if one.queue == queue.pk and one.is_finished]
    handling = forecast.estimate_handling(
        np.array([one.seconds for one in own]), default=queue.handling_minutes * 60
    )
    windows = presence.windows_of(work, queue.pk)
    worked = sum(end - start for present in windows.values() for start, end in present)
    handled = sum(one.seconds for one in own) / 3600
    is_seen = len(own) >= 200 and worked >= handled
    roster = None if is_past else presence.roster_hours(queue)
    people = np.zeros(forecast.HOURS)
    for hour, count in (
        roster if roster is not None else presence.past_people(windows, hours, since)
    ).items():
        people[hour] = count
    due = [due_at for (due_at,) in _rows(_WAITING, queue=queue.pk, most=MOST_WAITING)]
    backlog_due = np.sort(np.array([(due_at - now) / _HOUR for due_at in due]))
    if len(backlog_due) > _KEPT:
        shares = (np.arange(_KEPT) + 0.5) / _KEPT
        backlog_due = backlog_due[(shares * len(backlog_due)).astype(int)]
    return Load(
        queue=queue,
        situation=forecast.Situation(
            rates=rates,
            handling=handling,
            sla_hours=queue.sla_minutes / 60,
            people=people,
            first_hour=week_hour(now),
            into_hour=now.minute / 60,
            backlog=len(due),
            backlog_due=backlog_due,
            productive=min(max(handled / worked, 0.5), 1.0) if is_seen else PRODUCTIVE,
        ),
        hours_seen=len(hours),
        has_roster=roster is not None,
        is_productive_seen=is_seen,
    )


def _parts(ids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _PAGE):
        yield list(ids[start : start + _PAGE])


def _rows(sql: str, **values: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()
