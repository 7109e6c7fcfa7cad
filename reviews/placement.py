"""Jobs of items that are already there: open one, or move and re-rank what waits.

What intake.py and reports.py stand on: they call it when content, views, reports or risks change.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from django.db import OperationalError, connection, transaction

from . import bulk, ranking
from .models import Item, ItemVersion, Job, Lane, Platform
from .routing import Router, count_strikes, make_facts
from .submission import Shape

# Lanes whose jobs follow the rules; a second opinion or an escalation stays where it was asked for.
_ROUTED = (Lane.RISK, Lane.RANDOM)

_SET_RISKS = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (id bigint, risks jsonb, risk float8, source text)
), locked AS MATERIALIZED (
  SELECT id FROM reviews_item WHERE id IN (SELECT id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE reviews_item AS item
SET risks = given.risks, risk = given.risk, risk_source = given.source,
  scored_at = clock_timestamp()
FROM given JOIN locked USING (id) WHERE item.id = given.id
RETURNING item.id, item.platform_id
"""

# By primary key, locked in its order; the state is looked at after the lock, and not through an
# index on it (the planner would take a near-empty partial index for a cheap one).
_MOVE = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (
    id bigint, queue_id bigint, lane text, draw_id bigint, inclusion_probability float8,
    harm float8, rank float8, due_at timestamptz, is_overdue boolean)
), locked AS MATERIALIZED (
  SELECT id, state FROM reviews_job WHERE id IN (SELECT id FROM given) ORDER BY id
  FOR NO KEY UPDATE
)
UPDATE reviews_job AS job
SET queue_id = given.queue_id, lane = given.lane, draw_id = given.draw_id,
  inclusion_probability = given.inclusion_probability, harm = given.harm,
  rank = given.rank + job.raised, due_at = given.due_at, is_overdue = given.is_overdue
FROM given JOIN locked USING (id)
WHERE job.id = given.id AND locked.state = 'ready'
"""


_T = TypeVar("_T")
_ATTEMPTS = 5
_DEADLOCK = ("40P01", "40001")


class _Subject(NamedTuple):
    """What routing and ranking ask about one item."""

    item_id: int
    kind: str
    language: str
    views_per_hour: float
    report_count: int
    risks: dict[str, float]
    submitted_at: datetime
    account_id: int | None
    joined_at: datetime | None


def set_risks(risks_by_item: Mapping[int, Mapping[str, float]], *, source: str) -> int:
    """Store what the model side thinks, {item id: {policy slug: probability}}; re-rank the jobs.

    An item's risk is its highest probability. A job that somebody holds stays as it is. Returns
    how many items there were.
    """
    if not risks_by_item:
        return 0
    rows = []
    for item_id, risks in risks_by_item.items():
        plain = {slug: float(risk) for slug, risk in risks.items()}
        highest = max(plain.values(), default=None)
        rows.append({"id": item_id, "risks": plain, "risk": highest, "source": source})
    return again_on_deadlock(lambda: _set_risks(rows))


def _set_risks(rows: Sequence[Mapping[str, Any]]) -> int:
    stored = bulk.over_rows(_SET_RISKS, rows)
    by_platform: dict[int, list[int]] = {}
    for item_id, platform_id in stored:
        by_platform.setdefault(platform_id, []).append(item_id)
    for platform_id, item_ids in sorted(by_platform.items()):
        rerank_jobs(item_ids, router=Router(platform_id))
    return len(stored)


def open_jobs(items: Iterable[Item], *, router: Router | None = None) -> list[Job]:
    """A job for each item that has none open. Returns the open jobs of all of them."""
    by_platform: dict[int, list[int]] = {}
    for item in items:
        by_platform.setdefault(item.platform_id, []).append(item.pk)
    opened: list[Job] = []
    with transaction.atomic():
        for platform_id, item_ids in by_platform.items():
            open_missing_jobs(item_ids, router=router or Router(platform_id))
            opened += Job.objects.open().filter(item_id__in=item_ids)
    return opened


def open_missing_jobs(item_ids: Collection[int], *, router: Router) -> None:
    """The same by ids of one platform, inside the caller's transaction."""
    has_one = set(Job.objects.open().filter(item_id__in=item_ids).values_list("item_id", flat=True))
    subjects = _load_subjects([pk for pk in item_ids if pk not in has_one])
    if not subjects:
        return
    now = database_now()
    jobs = []
    for subject, facts in _with_facts(subjects, router, now):
        place = router.place(
            subject.item_id,
            router.queue_for(facts),
            risks=subject.risks,
            views_per_hour=subject.views_per_hour,
            submitted_at=subject.submitted_at,
            opened_at=now,
        )
        jobs.append(Job(item_id=subject.item_id, created_at=now, **place._asdict()))
    # Somebody else may open one at the same moment: one_open_job_an_item decides.
    Job.objects.bulk_create(jobs, ignore_conflicts=True, batch_size=1000)


def rerank_jobs(
    item_ids: Collection[int],
    *,
    router: Router,
    job_ids: Collection[int] | None = None,
    to: int | None = None,
) -> None:
    """Work out queue, lane and rank again for the waiting jobs of these items.

    `job_ids` takes only those; `to` moves them into this queue, whatever the rules say.
    """
    columns = ("id", "item_id", "queue_id", "lane", "draw_id", "inclusion_probability", "is_pinned")
    waiting = Job.objects.ready().filter(
        item_id__in=item_ids,
        # A decision taken back waits on top of everything, whatever its rank would be.
        rank__lt=ranking.UNDONE_LIFT / 2,
    )
    if job_ids is not None:
        waiting = waiting.filter(pk__in=job_ids)
    jobs = list(waiting.values_list(*columns, "created_at", "due_at", "is_overdue"))
    if not jobs:
        return
    now = database_now()
    subjects = _load_subjects({job[1] for job in jobs})
    known = {
        subject.item_id: (subject, facts) for subject, facts in _with_facts(subjects, router, now)
    }
    queues = {queue.pk: queue for queue in router.queues}
    moves = []
    for pk, item_id, queue_id, lane, draw_id, probability, is_pinned, *rest in jobs:
        created_at, due_at, is_overdue = rest
        subject, facts = known[item_id]
        is_routed = lane in _ROUTED and not is_pinned
        queue = router.queue_for(facts) if is_routed else queues[queue_id]
        if to is not None:
            queue = queues[to]
        if queue.pk != queue_id:
            if lane in _ROUTED:
                lane, draw_id, probability = router.draw(item_id, queue)
            due_at = created_at + timedelta(minutes=queue.sla_minutes)
            is_overdue = due_at <= now
        harm = router.harm(queue, risks=subject.risks, views_per_hour=subject.views_per_hour)
        rank = ranking.rank(
            harm,
            submitted_at=subject.submitted_at,
            doubling_hours=queue.doubling_hours,
            is_overdue=is_overdue,
        )
        moves.append(
            {
                "id": pk,
                "queue_id": queue.pk,
                "lane": lane,
                "draw_id": draw_id,
                "inclusion_probability": probability,
                "harm": harm,
                "rank": rank,
                "due_at": due_at,
                "is_overdue": is_overdue,
            }
        )
    bulk.over_rows(_MOVE, moves)


def database_now() -> datetime:
    """Times come from the database, never from this machine's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def shapes_of(platform: Platform) -> dict[str, Shape]:
    """Kind slug → the shape its rows are read with."""
    return {
        slug: Shape(pk, slug, fields)
        for pk, slug, fields in platform.kinds.values_list("pk", "slug", "fields")
    }


def again_on_deadlock(work: Callable[[], _T]) -> _T:
    """Two calls can still meet in a ring of row locks; PostgreSQL ends one, which tries again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            code = getattr(error.__cause__, "pgcode", None)
            if code not in _DEADLOCK or connection.in_atomic_block or attempt == _ATTEMPTS:
                raise
            time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311
    raise AssertionError("unreachable")


def _load_subjects(item_ids: Collection[int]) -> list[_Subject]:
    rows = Item.objects.filter(pk__in=list(item_ids)).values_list(
        "pk",
        "kind__slug",
        "language",
        "views_per_hour",
        "report_count",
        "risks",
        "submitted_at",
        "account_id",
        "account__joined_at",
    )
    return [_Subject(*row) for row in rows]


def _with_facts(
    subjects: Collection[_Subject], router: Router, now: datetime
) -> Iterable[tuple[_Subject, dict[str, Any]]]:
    """Strikes and content are read only where a rule asks for them."""
    strikes: dict[int, int] = {}
    if "strikes" in router.reads:
        strikes = count_strikes(subject.account_id for subject in subjects if subject.account_id)
    contents: dict[int, dict[str, Any]] = {}
    if "field" in router.reads:
        versions = ItemVersion.objects.filter(item_id__in=[subject.item_id for subject in subjects])
        # The newest comes last, and stays.
        contents = dict(versions.order_by("number").values_list("item_id", "content"))
    for subject in subjects:
        account_id = subject.account_id
        yield (
            subject,
            make_facts(
                kind=subject.kind,
                language=subject.language,
                views_per_hour=subject.views_per_hour,
                report_count=subject.report_count,
                joined_at=subject.joined_at,
                strikes=strikes.get(account_id, 0) if account_id else None,
                risks=subject.risks,
                content=contents.get(subject.item_id, {}),
                now=now,
            ),
        )
