"""Jobs of items that are already there: open one, or move and re-rank what waits.

What intake.py and reports.py stand on: they call it when content, views, reports or risks change.
"""

import logging
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from django.db import OperationalError, connection, transaction

from . import bulk, draws, ranking, search_entries
from .facts import make_facts, read_background
from .models import Item, Job, Lane, Platform, Queue
from .routing import Router
from .submission import Shape

logger = logging.getLogger(__name__)

# Lanes whose jobs follow the rules; a second opinion or an escalation stays where it was asked for.
ROUTED = (Lane.RISK, Lane.RANDOM, Lane.LEARNING)

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

# By primary key, locked in its order; state, queue and lane are looked at after the lock, and not
# through an index on them (the planner would take a near-empty partial index for a cheap one).
_MOVE = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (
    id bigint, believed_queue bigint, believed_lane text, queue_id bigint, lane text,
    draw_id bigint, inclusion_probability float8, harm float8, rank float8,
    due_at timestamptz, is_overdue boolean, is_soon boolean, lift_at timestamptz)
), locked AS MATERIALIZED (
  SELECT id, state, queue_id, lane FROM reviews_job WHERE id IN (SELECT id FROM given) ORDER BY id
  FOR NO KEY UPDATE
)
UPDATE reviews_job AS job
SET queue_id = given.queue_id, lane = given.lane, draw_id = given.draw_id,
  inclusion_probability = given.inclusion_probability, harm = given.harm,
  rank = given.rank + job.raised, due_at = given.due_at, is_overdue = given.is_overdue,
  is_soon = given.is_soon, lift_at = given.lift_at
FROM given JOIN locked USING (id)
WHERE job.id = given.id AND locked.state = 'ready'
  AND locked.queue_id = given.believed_queue AND locked.lane = given.believed_lane
RETURNING job.id, job.item_id
"""

# By the index, one probe each, however many reports there are.
_FIRST_REPORTS = """
SELECT given.id, wanted.source, report.created_at
FROM unnest(%(items)s::bigint[]) AS given (id)
CROSS JOIN unnest(%(sources)s::text[]) AS wanted (source)
CROSS JOIN LATERAL (
  SELECT created_at FROM reviews_report
  WHERE item_id = given.id AND source = wanted.source ORDER BY id LIMIT 1
) AS report
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
    report_trust: float
    risks: dict[str, float]
    submitted_at: datetime
    account_id: int | None
    joined_at: datetime | None


def set_risks(
    risks_by_item: Mapping[int, Mapping[str, float]],
    *,
    source: str,
    thresholds: Mapping[str, float] | None = None,
    draws_learning: bool = True,
) -> int:
    """Store what the model side thinks, {item id: {policy slug: probability}}; re-rank the jobs.

    An item's risk is its highest probability. A job that somebody holds stays as it is. Above its
    policy's threshold the model would call an item violating: what is near it teaches most, so the
    learning lane is drawn by it (0.5 where none is given), unless somebody else draws that lane
    (`draws_learning`: learning rounds do, where they are on). Returns how many items there were.
    """
    if not risks_by_item:
        return 0
    rows = []
    for item_id, risks in risks_by_item.items():
        plain = {slug: float(risk) for slug, risk in risks.items()}
        highest = max(plain.values(), default=None)
        rows.append({"id": item_id, "risks": plain, "risk": highest, "source": source})
    return again_on_deadlock(lambda: _set_risks(rows, thresholds or {}, draws_learning))


def _set_risks(
    rows: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float], draws_learning: bool
) -> int:
    stored = bulk.over_rows(_SET_RISKS, rows)
    by_platform: dict[int, list[int]] = {}
    for item_id, platform_id in stored:
        by_platform.setdefault(platform_id, []).append(item_id)
    source = str(rows[0]["source"])
    for platform_id, item_ids in sorted(by_platform.items()):
        router = Router(platform_id)
        rerank_jobs(item_ids, router=router)
        if draws_learning:
            draws.draw_for_learning(
                item_ids, router=router, model_version=source, thresholds=thresholds
            )
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
    deciding = Job.objects.open().filter(item_id__in=item_ids).exclude(lane__in=Lane.checking())
    has_one = set(deciding.values_list("item_id", flat=True))
    missing = [pk for pk in item_ids if pk not in has_one]
    erased = Item.objects.filter(pk__in=missing).exclude(erased_at=None)
    nothing_to_read = set(erased.values_list("pk", flat=True))
    subjects = _load_subjects([pk for pk in missing if pk not in nothing_to_read])
    if not subjects:
        return
    now = database_now()
    first_reports = _first_reports(subjects, router)
    jobs = []
    for subject, facts in _with_facts(subjects, router, now):
        place = router.place(
            subject.item_id,
            router.queue_for(facts),
            risks=subject.risks,
            views_per_hour=subject.views_per_hour,
            submitted_at=subject.submitted_at,
            opened_at=now,
            report_trust=subject.report_trust,
            first_reports=first_reports.get(subject.item_id),
        )
        jobs.append(Job(item_id=subject.item_id, created_at=now, **place._asdict()))
    # Somebody else may open one at the same moment: one_open_job_an_item decides.
    Job.objects.bulk_create(jobs, ignore_conflicts=True, batch_size=1000)
    router.write_draws()


def rerank_jobs(
    item_ids: Collection[int],
    *,
    router: Router,
    job_ids: Collection[int] | None = None,
    to: int | None = None,
    tries: int = 3,
) -> None:
    """Work out queue, lane and rank again for the waiting jobs of these items.

    `job_ids` takes only those; `to` moves them into this queue, whatever the rules say. The caller
    holds the items, so that what is read here is not old by the time it is written.
    """
    columns = ("id", "item_id", "queue_id", "lane", "draw_id", "inclusion_probability", "is_pinned")
    waiting = Job.objects.ready().filter(
        item_id__in=item_ids,
        # A decision taken back waits on top of everything, whatever its rank would be.
        rank__lt=ranking.UNDONE_LIFT / 2,
    )
    if job_ids is not None:
        waiting = waiting.filter(pk__in=job_ids)
    jobs = list(waiting.values_list(*columns, "created_at", "due_at"))
    if not jobs:
        return
    now = database_now()
    subjects = _load_subjects({job[1] for job in jobs})
    first_reports = _first_reports(subjects, router)
    known = {
        subject.item_id: (subject, facts) for subject, facts in _with_facts(subjects, router, now)
    }
    queues = {queue.pk: queue for queue in router.queues}
    moves = []
    for pk, item_id, queue_id, lane, draw_id, probability, is_pinned, *rest in jobs:
        created_at, due_at = rest
        subject, facts = known[item_id]
        believed = {"believed_queue": queue_id, "believed_lane": lane}
        reported = first_reports.get(item_id, {})
        is_routed = lane in ROUTED and not is_pinned
        queue = router.queue_for(facts) if is_routed else queues[queue_id]
        if to is not None:
            queue = queues[to]
        if queue.is_archived:  # a second opinion, say, that was asked for there
            queue = router.default
        if queue.pk != queue_id:
            if lane in ROUTED:
                lane, draw_id, probability = router.draw(item_id, queue)
            due_at = ranking.due_at(
                created_at,
                sla_minutes=queue.sla_minutes,
                first_reports=reported,
                sla_by_source=queue.sla_by_source,
            )
        else:
            due_at = ranking.pulled_forward(
                due_at, first_reports=reported, sla_by_source=queue.sla_by_source
            )
        lift = ranking.lift(due_at, now=now, soon_minutes=queue.soon_minutes)
        harm = router.harm(
            queue,
            risks=subject.risks,
            views_per_hour=subject.views_per_hour,
            report_trust=subject.report_trust,
        )
        rank = ranking.rank(
            harm,
            submitted_at=subject.submitted_at,
            doubling_hours=queue.doubling_hours,
            is_overdue=lift.is_overdue,
            is_soon=lift.is_soon,
        )
        moves.append(
            {
                "id": pk,
                **believed,
                "queue_id": queue.pk,
                "lane": lane,
                "draw_id": draw_id,
                "inclusion_probability": probability,
                "harm": harm,
                "rank": rank,
                "due_at": due_at,
                "is_overdue": lift.is_overdue,
                "is_soon": lift.is_soon,
                "lift_at": lift.lift_at,
            }
        )
    moved = dict(bulk.over_rows(_MOVE, moves))
    search_entries.mark_items(
        moved[move["id"]]
        for move in moves
        if move["id"] in moved and move["queue_id"] != move["believed_queue"]
    )
    router.write_draws()
    missed = {job[1] for job in jobs if job[0] not in moved}
    if missed and tries > 1:
        # Claimed, or drawn into another lane, at the same moment: look once more.
        rerank_jobs(missed, router=router, job_ids=job_ids, to=to, tries=tries - 1)


def place_asked(item_id: int, queue: Queue) -> dict[str, Any]:
    """Harm, rank and due time of a job that somebody asks for in `queue`, now: as values of a Job.

    The caller holds the item.
    """
    router = Router(queue.platform_id)
    (subject,) = _load_subjects([item_id])
    place = router.place(
        item_id,
        queue,
        risks=subject.risks,
        views_per_hour=subject.views_per_hour,
        submitted_at=subject.submitted_at,
        opened_at=database_now(),
        report_trust=subject.report_trust,
        first_reports=_first_reports([subject], router).get(item_id),
        is_drawn=False,
    )
    names = ("harm", "rank", "due_at", "is_overdue", "is_soon", "lift_at")
    return {name: getattr(place, name) for name in names}


def explain_rank(job: Job, *, router: Router) -> ranking.Account:
    """The sum behind the rank of this waiting job, from what stands now. For leads."""
    item, queue = job.item, next(one for one in router.queues if one.pk == job.queue_id)
    lift = ranking.Lift(job.is_soon, job.is_overdue, job.lift_at).hours
    if job.rank > ranking.UNDONE_LIFT / 2:
        lift += ranking.UNDONE_LIFT
    return ranking.account(
        router.policies(queue, item.risks),
        views_per_hour=item.views_per_hour,
        handling_minutes=queue.handling_minutes,
        report_trust=item.report_trust,
        report_weight=queue.report_weight,
        submitted_at=item.submitted_at,
        doubling_hours=queue.doubling_hours,
        lift=lift,
    )


def database_now() -> datetime:
    """Times come from the database, never from this machine's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def shapes_of(platform: Platform) -> dict[str, Shape]:
    """Kind slug → the shape its rows are read with."""
    return {
        slug: Shape(pk, slug, fields, is_archived=is_archived)
        for pk, slug, fields, is_archived in platform.kinds.values_list(
            "pk", "slug", "fields", "is_archived"
        )
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
        "report_trust",
        "risks",
        "submitted_at",
        "account_id",
        "account__joined_at",
    )
    return [_Subject(*row) for row in rows]


def _first_reports(
    subjects: Collection[_Subject], router: Router
) -> dict[int, dict[str, datetime]]:
    """Item → source → when it was first reported by that source, for sources promised a time."""
    sources = sorted({source for queue in router.queues for source in queue.sla_by_source})
    reported = [subject.item_id for subject in subjects if subject.report_count]
    found: dict[int, dict[str, datetime]] = {}
    if sources and reported:
        with connection.cursor() as cursor:
            cursor.execute(_FIRST_REPORTS, {"items": reported, "sources": sources})
            for item_id, source, at in cursor.fetchall():
                found.setdefault(item_id, {})[source] = at
    return found


def _with_facts(
    subjects: Collection[_Subject], router: Router, now: datetime
) -> Iterable[tuple[_Subject, dict[str, Any]]]:
    """What lies beyond the item's own row is read only where a rule asks for it."""
    rows = [(subject.item_id, subject.account_id, now) for subject in subjects]
    background = read_background(router.reads, rows)
    for subject in subjects:
        yield (
            subject,
            make_facts(
                kind=subject.kind,
                language=subject.language,
                views_per_hour=subject.views_per_hour,
                report_count=subject.report_count,
                joined_at=subject.joined_at,
                risks=subject.risks,
                now=now,
                **background.of(subject.item_id, subject.account_id),
            ),
        )
