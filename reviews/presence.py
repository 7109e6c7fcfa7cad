"""Who was there and when: by the claims that ended, and by the roster."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from .models import Queue

MOST_CLAIMS = 400_000
_PAGE = 5000
# Without a claim for so long she was not there.
PAUSE = timedelta(minutes=15)
# What share of a shift goes into jobs, where history does not say.
PRODUCTIVE = 0.85
_HOUR = timedelta(hours=1)

_CLAIMS = """
SELECT claim.id, claim.reviewer_id, job.queue_id, job.item_id, claim.claimed_at, claim.ended_at,
  claim."end", coalesce(review.active_seconds, 0)
FROM reviews_claim AS claim
JOIN reviews_job AS job ON job.id = claim.job_id
JOIN reviews_queue AS queue ON queue.id = job.queue_id
LEFT JOIN reviews_review AS review ON review.claim_id = claim.id
WHERE claim.id < %(before)s AND queue.platform_id = %(platform)s
ORDER BY claim.id DESC LIMIT %(page)s
"""


class Work(NamedTuple):
    """One ended claim of one person, from when she could begin with it."""

    reviewer: int
    queue: int
    item: int
    start: float  # hours from a moment the reader chose
    end: float
    seconds: float  # of handling; 0 where she gave it back
    is_finished: bool


def read_work(platform_id: int, *, since: datetime, until: datetime) -> Iterator[Work]:
    """Claims that ended in between, newest first read, given person by person in time order. A
    prefetched job begins when the one before it ends."""
    claims: list[tuple] = []
    before = 2**62
    while len(claims) < MOST_CLAIMS:
        with connection.cursor() as cursor:
            cursor.execute(_CLAIMS, {"before": before, "platform": platform_id, "page": _PAGE})
            page = cursor.fetchall()
        claims += [row for row in page if row[6] != "expired" and since <= row[5] < until]
        # Ids rise with the end; a day's grace for claims that were long open.
        if len(page) < _PAGE or page[-1][5] < since - timedelta(days=1):
            break
        before = page[-1][0]
    claims.sort(key=lambda row: (row[1], row[5], row[0]))
    last: dict[int, datetime] = {}
    for _, reviewer, queue, item, claimed_at, ended_at, end, active in claims:
        start = max(claimed_at, last.get(reviewer, claimed_at))
        last[reviewer] = ended_at
        wall = (ended_at - start).total_seconds()
        is_finished = end == "finished"
        yield Work(
            reviewer=reviewer,
            queue=queue,
            item=item,
            start=(start - since) / _HOUR,
            end=(ended_at - since) / _HOUR,
            seconds=max(wall, active) if is_finished else 0.0,
            is_finished=is_finished,
        )


def windows_of(work: Iterable[Work], queue_id: int) -> dict[int, list[tuple[float, float]]]:
    """Reviewer → when she was there for this queue: her claims in it, joined over pauses of up to
    PAUSE, without the time that went into other queues' jobs."""
    own: dict[int, list[tuple[float, float]]] = defaultdict(list)
    elsewhere: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for one in work:
        (own if one.queue == queue_id else elsewhere)[one.reviewer].append((one.start, one.end))
    found = {}
    for reviewer, spans in own.items():
        joined = _join(spans, gap=PAUSE / _HOUR)
        found[reviewer] = _without(joined, _join(elsewhere[reviewer], gap=0.0))
    return found


def _join(spans: Iterable[tuple[float, float]], *, gap: float) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _without(
    spans: Sequence[tuple[float, float]], holes: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Sorted spans less sorted holes."""
    left: list[tuple[float, float]] = []
    first = 0
    for start, end in spans:
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        at = start
        for hole_start, hole_end in holes[first:]:
            if hole_start >= end:
                break
            if hole_start > at:
                left.append((at, hole_start))
            at = max(at, hole_end)
        if at < end:
            left.append((at, end))
    return left


# The roster


def week_hour(moment: datetime) -> int:
    """Its hour of the local week: 0 is Monday, 0:00."""
    local = timezone.localtime(moment)
    return local.weekday() * 24 + local.hour


def roster_hours(queue: Queue) -> dict[int, float] | None:
    """People on duty by hour of the week; None where the queue has no roster."""
    roster = getattr(queue, "roster", None)
    shifts = list(roster.shifts.all()) if roster is not None else []
    if not shifts:
        return None
    people: dict[int, float] = defaultdict(float)
    for shift in shifts:
        for hour in range(shift.starts, shift.ends):
            people[shift.weekday * 24 + hour] += shift.headcount
    return people


def roster_windows(
    people: Mapping[int, float], *, since: datetime, hours: float, productive: float = PRODUCTIVE
) -> list[list[tuple[float, float]]]:
    """Presence of the first, second … person on duty: of each hour the share that goes into jobs,
    so that a roster has the capacity it has in the forecast."""
    first = since.replace(minute=0, second=0, microsecond=0)
    slots: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for number in range(math.ceil(hours) + 1):
        moment = first + number * _HOUR
        start = (moment - since) / _HOUR
        for slot in range(round(people.get(week_hour(moment), 0))):
            slots[slot].append((max(start, 0.0), min(start + productive, hours)))
    return [[(start, end) for start, end in slots[slot] if start < end] for slot in sorted(slots)]


def past_people(
    windows: Mapping[int, Sequence[tuple[float, float]]],
    hours: Sequence[datetime],
    since: datetime,
) -> dict[int, float]:
    """Average presence by hour of the week over `hours`. Windows count from a full hour."""
    times: dict[int, int] = defaultdict(int)
    for hour in hours:
        times[week_hour(hour)] += 1
    present: dict[int, float] = defaultdict(float)
    for spans in windows.values():
        for at, end in spans:
            while at < end:
                upto = min(math.floor(at) + 1.0, end)
                present[week_hour(since + at * _HOUR)] += upto - at
                at = upto
    return {hour: round(length / max(times.get(hour, 1), 1), 2) for hour, length in present.items()}
