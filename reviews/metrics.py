"""Reads for pages: figures of queues and people. Each is one query, bounded whatever the size."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, QuerySet
from django.utils import timezone

from . import access
from .models import Decision, Person, Queue, Report
from .statements import Statement

# Depths beyond this are shown as "100,000+": counting a million rows tells nobody more.
MOST_COUNTED = 100_000

_QUEUES = """
SELECT queue.id, ready.depth, ready.oldest_at, overdue.depth, claimed.depth
FROM reviews_queue AS queue
CROSS JOIN LATERAL (
  SELECT
    count(*) AS depth,
    -- A job for an item that came earlier (a second opinion) is as old as its item, as far as its
    -- due time tells: a report of a source with a promise of its own may have moved that.
    min(CASE WHEN queue.sla_by_source = '{}' THEN
      least(created_at, due_at - make_interval(mins => queue.sla_minutes)) ELSE created_at
    END) AS oldest_at
  FROM (
    -- By halves, as the indexes are: in one, it reads every job there ever was.
    (SELECT created_at, due_at FROM reviews_job
     WHERE queue_id = queue.id AND state = 'ready' AND assigned_to_id IS NULL LIMIT %(most)s)
    UNION ALL
    (SELECT created_at, due_at FROM reviews_job
     WHERE queue_id = queue.id AND state = 'ready' AND assigned_to_id IS NOT NULL LIMIT %(most)s)
    LIMIT %(most)s
  ) AS counted
) AS ready
CROSS JOIN LATERAL (
  SELECT count(*) AS depth FROM (
    (SELECT FROM reviews_job
     WHERE queue_id = queue.id AND state = 'ready' AND assigned_to_id IS NULL
       AND due_at <= clock_timestamp() LIMIT %(most)s)
    UNION ALL
    (SELECT FROM reviews_job
     WHERE queue_id = queue.id AND state = 'ready' AND assigned_to_id IS NOT NULL
       AND due_at <= clock_timestamp() LIMIT %(most)s)
    LIMIT %(most)s
  ) AS counted
) AS overdue
CROSS JOIN LATERAL (
  SELECT count(*) AS depth FROM reviews_job WHERE queue_id = queue.id AND state = 'claimed'
) AS claimed
WHERE queue.id = ANY(%(queues)s)
"""

# The desk asks both when it opens.
_WAITING = Statement(
    "queue_waiting",
    """
SELECT count(*) FROM (
  SELECT FROM reviews_job
  WHERE queue_id = %(queue)s AND state = 'ready' AND assigned_to_id IS NULL LIMIT %(most)s
) AS counted
""",
)
_DECIDED = Statement(
    "decided_since",
    """
SELECT count(*) FROM (
  SELECT FROM reviews_review
  WHERE reviewer_id = %(person)s AND created_at >= %(since)s LIMIT %(most)s
) AS counted
""",
)

_USUAL = Statement(
    "usual_seconds",
    """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY active_seconds)
FROM (
  SELECT active_seconds, job_id FROM reviews_review
  WHERE reviewer_id = %(person)s ORDER BY created_at DESC LIMIT 500
) AS newest
JOIN reviews_job AS job ON job.id = newest.job_id AND job.queue_id = %(queue)s
""",
)


class QueueFigures(NamedTuple):
    queue: Queue
    ready: int
    oldest_at: datetime | None
    overdue: int
    claimed: int

    @property
    def is_capped(self) -> bool:
        return self.ready >= MOST_COUNTED


class AuthorRecord(NamedTuple):
    """How an author's items were decided; `items_week` and the rest over her newest items."""

    items_week: int
    decided: int
    violating: int
    strikes: int


class ReportGroup(NamedTuple):
    """Reports that say the same: one line, with a count.

    `record` is of the most trusted among those who said so: "usually right (18 of 21)".
    """

    source: str
    reason: str
    count: int
    texts: list[str]
    record: str = ""

    @property
    def label(self) -> str:
        return str(Report.Source(self.source).label)


def queue_figures(queues: Iterable[Queue]) -> list[QueueFigures]:
    """Depth, age and overdue jobs of each queue, in the order given."""
    rows = list(queues)
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES, {"queues": [queue.pk for queue in rows], "most": MOST_COUNTED})
        figures = {row[0]: row[1:] for row in cursor.fetchall()}
    return [QueueFigures(queue, *figures[queue.pk]) for queue in rows]


def waiting(queue: Queue, *, most: int = 1000) -> int:
    """About how many jobs wait for whoever comes, up to `most`: for a progress bar."""
    return _WAITING.rows(queue=queue.pk, most=most)[0][0]


def decided_today(person: Person, *, most: int = 1000) -> int:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return _DECIDED.rows(person=person.pk, since=midnight, most=most)[0][0]


def usual_seconds(person: Person, queue: Queue) -> float | None:
    """Her own median time on an item of this queue, over her newest answers; None before ten."""
    count, median = _USUAL.rows(person=person.pk, queue=queue.pk)[0]
    return median if count >= 10 else None


def my_decisions(person: Person) -> QuerySet[Decision]:
    """Her decisions, newest first, with what a list of them shows."""
    return (
        Decision.objects.filter(decided_by=person, queue__platform__in=access.platform_ids(person))
        .select_related("item__kind", "item__account", "item_version", "queue", "superseded_by")
        .prefetch_related("policy_versions__policy", "enforcements__action")
        .order_by("-id")
    )


def queue_lanes(queue: Queue) -> dict[str, int]:
    """Ready jobs by lane."""
    rows = queue.jobs.ready().values("lane").annotate(n=Count("pk")).order_by("lane")
    return {row["lane"]: row["n"] for row in rows}
