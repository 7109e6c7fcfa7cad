"""Reads for pages: figures of queues and people. Each is one query, bounded whatever the size."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, QuerySet
from django.utils import timezone

from .models import Account, Decision, Item, Person, Queue, Report

# Depths beyond this are shown as "100,000+": counting a million rows tells nobody more.
MOST_COUNTED = 100_000
# An author's record is read from so many of her newest items.
ITEMS_OF_AUTHOR = 500

_QUEUES = """
SELECT queue.id, ready.depth, ready.oldest_at, overdue.depth, claimed.depth
FROM unnest(%(queues)s::bigint[]) AS queue(id)
CROSS JOIN LATERAL (
  SELECT count(*) AS depth, min(created_at) AS oldest_at FROM (
    SELECT created_at FROM reviews_job
    WHERE queue_id = queue.id AND state = 'ready' LIMIT %(most)s
  ) AS counted
) AS ready
CROSS JOIN LATERAL (
  SELECT count(*) AS depth FROM (
    SELECT FROM reviews_job
    WHERE queue_id = queue.id AND state = 'ready' AND due_at <= clock_timestamp() LIMIT %(most)s
  ) AS counted
) AS overdue
CROSS JOIN LATERAL (
  SELECT count(*) AS depth FROM reviews_job WHERE queue_id = queue.id AND state = 'claimed'
) AS claimed
"""

_AUTHOR = """
WITH newest AS MATERIALIZED (
  SELECT id, submitted_at FROM reviews_item
  WHERE account_id = %(account)s ORDER BY submitted_at DESC LIMIT %(most)s
)
SELECT
  (SELECT count(*) FROM newest WHERE submitted_at > clock_timestamp() - interval '7 days'),
  count(decision.id),
  count(decision.id) FILTER (WHERE decision.verdict = 'violating'),
  (SELECT count(*) FROM reviews_strike
   WHERE account_id = %(account)s AND reversed_at IS NULL AND expires_at > clock_timestamp())
FROM newest
JOIN reviews_decision AS decision
  ON decision.item_id = newest.id AND decision.verdict IN ('violating', 'clean')
WHERE NOT EXISTS (SELECT FROM reviews_decision AS later WHERE later.supersedes_id = decision.id)
"""


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
    """Reports that say the same: one line, with a count."""

    source: str
    reason: str
    count: int
    first_at: datetime
    texts: list[str]

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
    """About how many jobs wait, up to `most`: for a progress bar."""
    return queue.jobs.ready()[:most].count()


def decided_today(person: Person, *, most: int = 1000) -> int:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = person.reviews.filter(created_at__gte=midnight).order_by("-created_at")
    return rows[:most].count()


def author_record(account: Account) -> AuthorRecord:
    with connection.cursor() as cursor:
        cursor.execute(_AUTHOR, {"account": account.pk, "most": ITEMS_OF_AUTHOR})
        return AuthorRecord(*cursor.fetchone())


def report_groups(item: Item) -> list[ReportGroup]:
    """Reports merged by source and reason, the most first, each with its newest few texts."""
    groups: dict[tuple[str, str], ReportGroup] = {}
    rows = Report.objects.filter(item=item).order_by("-id")
    for source, reason, text, at in rows.values_list("source", "reason", "text", "created_at")[
        :500
    ]:
        known = groups.get((source, reason))
        texts = known.texts if known else []
        if text and len(texts) < 3:
            texts.append(text)
        count = known.count + 1 if known else 1
        groups[source, reason] = ReportGroup(source, reason, count, at, texts)
    return sorted(groups.values(), key=lambda group: -group.count)


def my_decisions(person: Person) -> QuerySet[Decision]:
    """Her decisions, newest first, with what a list of them shows."""
    return (
        Decision.objects.filter(decided_by=person)
        .select_related("item__kind", "item__account", "item_version", "queue", "superseded_by")
        .prefetch_related("policy_versions__policy", "enforcements__action")
        .order_by("-id")
    )


def last_undoable(person: Person) -> Decision | None:
    """Her newest decision, if it still stands and its undo window is open."""
    last = (
        Decision.objects.filter(decided_by=person)
        .select_related("item__kind", "item__account", "superseded_by")
        .order_by("-id")
        .first()
    )
    if last is None or hasattr(last, "superseded_by"):
        return None
    return last if last.can_be_undone(timezone.now()) else None


def queue_lanes(queue: Queue) -> dict[str, int]:
    """Ready jobs by lane."""
    rows = queue.jobs.ready().values("lane").annotate(n=Count("pk")).order_by("lane")
    return {row["lane"]: row["n"] for row in rows}
