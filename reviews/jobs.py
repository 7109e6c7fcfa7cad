"""Jobs of a queue, found by filters, at a bounded cost however long the queue is.

No index serves a filter over items in the order of jobs. So a search walks that order in pieces,
each one statement, and stops after so many jobs; it says where it stopped and can go on from there.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count as CountOf
from django.db.models import Max, Q

from .models import BulkChange, BulkOperation, Job, Lane, Queue

# Jobs that a page, a count or a selection looks at, some 4 µs each; a page offers to look further.
MOST_LOOKED_AT = 40_000
_LARGEST_PIECE = 20_000
# Lanes whose jobs were drawn to measure something.
SAMPLED = (Lane.RANDOM, Lane.LEARNING, Lane.GOLD, Lane.QA)
# Items of one author, or of one cluster, that are looked up.
_MOST_ITEMS = 20_000

# Each lane by its index, merged; jobs kept for one person stand in an index of their own.
_BY_RANK = """
SELECT * FROM (
  (SELECT job.* FROM unnest(%(lanes)s::text[]) AS lanes(lane) CROSS JOIN LATERAL (
    SELECT id, item_id, rank AS key, created_at, due_at, lane, assigned_to_id FROM reviews_job
    WHERE queue_id = %(queue)s AND lane = lanes.lane AND state = 'ready' AND assigned_to_id IS NULL
      AND {after} {bounds}
    ORDER BY rank DESC, id LIMIT %(piece)s
  ) AS job)
  UNION ALL
  (SELECT id, item_id, rank, created_at, due_at, lane, assigned_to_id FROM reviews_job
    WHERE queue_id = %(queue)s AND lane = ANY(%(lanes)s) AND state = 'ready'
      AND assigned_to_id IS NOT NULL AND {after} {bounds}
    ORDER BY rank DESC, id LIMIT %(piece)s)
) AS merged ORDER BY key DESC, id LIMIT %(piece)s
"""
_BY_AGE = """
SELECT id, item_id, created_at AS key, created_at, due_at, lane, assigned_to_id FROM reviews_job
WHERE queue_id = %(queue)s AND lane = ANY(%(lanes)s) AND state = 'ready' AND {after} {bounds}
ORDER BY created_at, id LIMIT %(piece)s
"""
# What is held, or kept for one person, or by one author: few enough to sort.
_FEW = """
SELECT id, item_id, {key} AS key, created_at, due_at, lane, assigned_to_id FROM reviews_job
WHERE queue_id = %(queue)s AND lane = ANY(%(lanes)s) AND {few} AND {after} {bounds}
ORDER BY {order}, id LIMIT %(piece)s
"""
_PIECE = """
WITH scanned AS MATERIALIZED ({scanned})
(SELECT job.id, job.key, 0::bigint AS looked_at FROM scanned AS job {join}
  WHERE {fits} ORDER BY job.key {direction}, job.id LIMIT %(limit)s)
UNION ALL
(SELECT id, key, (SELECT count(*) FROM scanned) FROM scanned
  ORDER BY key {opposite}, id DESC LIMIT 1)
"""
_AFTER_RANK = "rank <= %(after_key)s AND (rank < %(after_key)s OR id > %(after_id)s)"
_AFTER_AGE = "(created_at, id) > (%(after_key)s, %(after_id)s)"


class Key(NamedTuple):
    """A place in the order: rank or time, then id."""

    value: float | datetime
    job_id: int


class Filter(NamedTuple):
    """What to look for. Empty values ask for nothing."""

    state: str = "ready"  # ready, claimed, assigned, free
    assigned_to: int | None = None  # a person's id; with state "assigned"
    lane: str = ""
    policy: str = ""  # slug; without one the score is the item's highest
    least: float | None = None
    most: float | None = None
    language: str = ""
    kind: int | None = None
    account: int | None = None
    cluster: int | None = None
    waiting_minutes: int | None = None  # longer than this
    since: datetime | None = None  # submitted
    until: datetime | None = None
    overdue: bool = False
    order: str = "rank"  # or age: what waits longest first

    @property
    def is_by_age(self) -> bool:
        return self.order == "age"

    def as_json(self) -> dict[str, Any]:
        """What is asked for, to be kept with an operation."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self._asdict().items()
            if value != Filter._field_defaults[name]
        }


class Found(NamedTuple):
    job_ids: list[int]
    next: Key | None  # where to go on; None: there is no more
    looked_at: int
    is_cut: bool  # stopped because it had looked at enough, not because it had found enough


class Make(NamedTuple):
    """What a selection is made of, before something is done to it."""

    waiting: int
    claimed: int
    assigned: int
    sampled: int  # in a lane that measures something
    items: int


class Count(NamedTuple):
    number: int
    is_more: bool  # there may be more than `number`


def find(
    queue: Queue,
    wanted: Filter,
    *,
    limit: int,
    after: Key | None = None,
    newest_id: int | None = None,
    most_looked_at: int = MOST_LOOKED_AT,
) -> Found:
    """Up to `limit` job ids in order. `newest_id` leaves out what came after that job."""
    sql, values = _statement(queue, wanted, newest_id)
    found: list[tuple[int, Any]] = []
    looked_at, piece = 0, min(max(limit + 1, 250), most_looked_at)
    while True:
        rows, edge, count = _piece(sql, values, after, piece, limit + 1 - len(found))
        found += rows
        looked_at += count
        if len(found) > limit:
            last_id, last_key = found[limit - 1]
            ids = [pk for pk, _ in found[:limit]]
            return Found(ids, Key(last_key, last_id), looked_at, False)
        if edge is None or count < piece:
            return Found([pk for pk, _ in found], None, looked_at, False)
        if looked_at >= most_looked_at:
            return Found([pk for pk, _ in found], edge, looked_at, True)
        after, piece = edge, min(piece * 8, _LARGEST_PIECE, most_looked_at - looked_at)


def count(
    queue: Queue,
    wanted: Filter,
    *,
    most: int,
    newest_id: int | None = None,
    first_page: Found | None = None,
) -> Count:
    """How many fit, up to `most`, among the first MOST_LOOKED_AT of the queue.

    A first page that looked at all of these has counted them already.
    """
    if first_page is not None and (first_page.next is None or first_page.is_cut):
        return Count(len(first_page.job_ids), first_page.is_cut)
    found = find(queue, wanted, limit=most, newest_id=newest_id)
    return Count(len(found.job_ids), found.next is not None)


def newest_id() -> int:
    """The newest job there is: what a selection by filter is made before."""
    return Job.objects.aggregate(Max("pk"))["pk__max"] or 0


def load(job_ids: Sequence[int]) -> list[Job]:
    """These jobs with all that a row of a list shows, in the order given."""
    rows = Job.objects.select_related("item__kind", "item__account", "claimed_by", "assigned_to")
    by_id = rows.in_bulk(job_ids)
    return [by_id[pk] for pk in job_ids if pk in by_id]


def make_of(queue: Queue, job_ids: Collection[int]) -> Make:
    rows = queue.jobs.filter(pk__in=job_ids).aggregate(
        waiting=CountOf("pk", filter=Q(state=Job.State.READY)),
        claimed=CountOf("pk", filter=Q(state=Job.State.CLAIMED)),
        assigned=CountOf("pk", filter=Q(state=Job.State.READY, assigned_to__isnull=False)),
        sampled=CountOf("pk", filter=Q(state=Job.State.READY, lane__in=SAMPLED)),
        items=CountOf("item", distinct=True),
    )
    return Make(**rows)


def raised_by(job_ids: Collection[int]) -> dict[int, str]:
    """Who raised each of these jobs last, as far as that still holds."""
    rows = BulkChange.objects.filter(
        job__in=job_ids,
        operation__verb=BulkOperation.Verb.RAISE,
        operation__undone_at=None,
    ).order_by("operation_id")
    return dict(rows.values_list("job_id", "operation__by__username"))


def _piece(
    sql: str, values: dict[str, Any], after: Key | None, piece: int, limit: int
) -> tuple[list[tuple[int, Any]], Key | None, int]:
    """What fits of the next `piece` jobs; the last one looked at; how many those were."""
    place = {"after_key": after.value, "after_id": after.job_id} if after else {}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**values, **place, "piece": piece, "limit": limit})
        rows = cursor.fetchall()
    fits = [(pk, key) for pk, key, looked_at in rows if not looked_at]
    for pk, key, looked_at in rows:
        if looked_at:
            return fits, Key(key, pk), looked_at
    return fits, None, 0


def _statement(queue: Queue, wanted: Filter, newest: int | None) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {
        "queue": queue.pk,
        "lanes": [wanted.lane] if wanted.lane else list(Lane.values),
        "newest": newest,
        # Before the first; as a place in the order.
        "after_key": "-infinity" if wanted.is_by_age else "infinity",
        "after_id": 0,
    }
    bounds = "AND id <= %(newest)s" if newest is not None else ""
    if wanted.waiting_minutes is not None and wanted.is_by_age:
        # In this order the first one that is too young ends the walk.
        bounds += f" AND {_WAITING.format(job='reviews_job')}"
    few = _few(queue, wanted, values)
    after = _AFTER_AGE if wanted.is_by_age else _AFTER_RANK
    walk = _BY_AGE if wanted.is_by_age else _BY_RANK
    scanned = (_FEW if few else walk).format(
        after=after,
        bounds=bounds,
        few=few,
        key="created_at" if wanted.is_by_age else "rank",
        order="created_at" if wanted.is_by_age else "rank DESC",
    )
    fits = _conditions(wanted, values)
    joins_item = any("item." in condition for condition in fits)
    sql = _PIECE.format(
        scanned=scanned,
        join="JOIN reviews_item AS item ON item.id = job.item_id" if joins_item else "",
        fits=" AND ".join(fits) or "true",
        direction="ASC" if wanted.is_by_age else "DESC",
        opposite="DESC" if wanted.is_by_age else "ASC",
    )
    return sql, values


_WAITING = "{job}.created_at <= clock_timestamp() - make_interval(mins => %(waiting_minutes)s)"


def _few(queue: Queue, wanted: Filter, values: dict[str, Any]) -> str:
    """A condition that an index answers with few rows; "" where the whole queue is walked."""
    parts = []
    if wanted.account is not None:
        parts.append(
            "item_id = ANY(ARRAY(SELECT id FROM reviews_item WHERE account_id = %(account)s "
            "ORDER BY submitted_at DESC LIMIT %(most_items)s))"
        )
        values["account"] = wanted.account
    if wanted.cluster is not None:
        parts.append(
            "item_id = ANY(ARRAY(SELECT item_id FROM reviews_clustermember "
            "WHERE cluster_id = %(cluster)s LIMIT %(most_items)s))"
        )
        values["cluster"] = wanted.cluster
    values["most_items"] = _MOST_ITEMS
    if wanted.state == "claimed":
        parts.append("state = 'claimed'")
    elif wanted.state == "assigned":
        parts.append("state = 'ready' AND assigned_to_id IS NOT NULL")
        if wanted.assigned_to is not None:
            parts.append("assigned_to_id = %(assigned_to)s")
            values["assigned_to"] = wanted.assigned_to
    elif parts:
        parts.append("state = 'ready'")
    return " AND ".join(parts)


def _conditions(wanted: Filter, values: dict[str, Any]) -> list[str]:
    conditions = []

    def add(condition: str, **named: Any) -> None:
        conditions.append(condition)
        values.update(named)

    if wanted.state == "free":
        add("job.assigned_to_id IS NULL")
    if wanted.waiting_minutes is not None:
        add(_WAITING.format(job="job"), waiting_minutes=wanted.waiting_minutes)
    if wanted.overdue:
        add("job.due_at <= clock_timestamp()")
    score = "item.risk"
    if wanted.policy:
        score = "(item.risks ->> %(policy)s)::float8"
        values["policy"] = wanted.policy
    if wanted.least is not None:
        add(f"{score} >= %(least)s", least=wanted.least)
    if wanted.most is not None:
        add(f"{score} <= %(most)s", most=wanted.most)
    if wanted.policy and wanted.least is None and wanted.most is None:
        add("item.risks ? %(policy)s")
    if wanted.language:
        add(
            "(lower(item.language) = %(language)s OR lower(item.language) LIKE %(language_in)s)",
            language=wanted.language.lower(),
            language_in=f"{wanted.language.lower()}-%",
        )
    if wanted.kind is not None:
        add("item.kind_id = %(kind)s", kind=wanted.kind)
    if wanted.since is not None:
        add("item.submitted_at >= %(since)s", since=wanted.since)
    if wanted.until is not None:
        add("item.submitted_at < %(until)s", until=wanted.until)
    return conditions
