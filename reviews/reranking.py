"""Sweep: the waiting jobs of a queue that no longer routes, times or ranks as it did.

A lead changed it, a policy version took effect, another queue became the default: nobody has to
say so. What the jobs hang on is compared with how things stood (QueueRanking), and where that
differs the jobs are walked by id, a few seconds a sweep, each through placement.rerank_jobs().
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, Max, Min, OuterRef
from django.db.models.functions import Now

from . import placement
from .errors import Conflict
from .models import Job, Platform, Queue, QueueRanking
from .routing import Router

logger = logging.getLogger(__name__)

# So many ids at a time, so many jobs a transaction, for so long a sweep.
_WINDOW = 10_000
_BATCH = 500
_SECONDS = 4.0
# A change of these makes what waits due at another time.
_TIMING = ("sla_minutes", "sla_by_source")

_LOCK_ITEMS = """
SELECT id FROM reviews_item WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""

# As a job's due time is first worked out: the earliest of the queue's own time to answer and of
# each report's, by its source. {source: minutes} is empty for most queues.
_DUE_AGAIN = """
WITH due AS MATERIALIZED (
  SELECT job.id, least(
    job.created_at + make_interval(mins => queue.sla_minutes),
    (
      SELECT min(report.created_at
        + make_interval(mins => (queue.sla_by_source ->> report.source)::int))
      FROM reviews_report AS report
      WHERE report.item_id = job.item_id AND queue.sla_by_source ? report.source
    )
  ) AS at
  FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
  WHERE job.queue_id = %(queue)s AND job.item_id = ANY(%(items)s) AND job.state = 'ready'
  ORDER BY job.id
)
UPDATE reviews_job AS job SET due_at = due.at
FROM due
WHERE job.id = due.id AND job.state = 'ready' AND job.due_at IS DISTINCT FROM due.at
"""


def keep_settings(queue: Queue) -> None:
    """What waits in it is ranked by what stands now: for a new queue, and before a change."""
    settings = Router(queue.platform_id).settings(queue)
    QueueRanking.objects.bulk_create(
        [QueueRanking(queue=queue, settings=settings)], ignore_conflicts=True
    )


def rerank_queues() -> int:
    """Notice what has changed and walk on. Returns how many jobs it went over."""
    until = time.monotonic() + _SECONDS
    total = 0
    for platform_id in Platform.objects.order_by("pk").values_list("pk", flat=True):
        try:
            router = Router(platform_id)
        except Conflict:
            continue  # no queue yet
        for queue in router.queues:
            _notice_change(queue, router.settings(queue))
    for queue in _stranded():
        _begin_walk(queue)
    for pk in QueueRanking.objects.exclude(after_id=None).values_list("pk", flat=True):
        while time.monotonic() < until:
            count = placement.again_on_deadlock(lambda pk=pk: _walk_on(pk))
            if count is None:
                break
            total += count
    return total


def _notice_change(queue: Queue, settings: Mapping[str, Any]) -> None:
    known = QueueRanking.objects.filter(queue=queue).first()
    if known is None:
        # Made by an older release: what is in it has been ranked with what stands.
        QueueRanking.objects.bulk_create(
            [QueueRanking(queue=queue, settings=settings)], ignore_conflicts=True
        )
    elif known.settings != settings:
        # What an older release did not keep is not known to have changed.
        before = {**settings, **known.settings}
        is_retimed = any(before[name] != settings[name] for name in _TIMING)
        _begin_walk(queue, settings=settings, **({"is_retiming": True} if is_retimed else {}))


def _stranded() -> list[Queue]:
    """Archived, and somebody's claim or undo has brought a job back since."""
    waiting = Job.objects.ready().filter(queue=OuterRef("pk"))
    return list(
        Queue.objects.filter(Exists(waiting), is_archived=True).exclude(
            ranking__after_id__isnull=False
        )
    )


def _begin_walk(queue: Queue, **values: Any) -> None:
    """From the first to the last job that waits now; what comes later is ranked as it comes."""
    ids = queue.jobs.ready().aggregate(first=Min("pk"), last=Max("pk"))
    QueueRanking.objects.filter(queue=queue).update(
        after_id=None if ids["first"] is None else ids["first"] - 1,
        upto_id=ids["last"],
        changed_at=Now(),
        **values,
    )


def _walk_on(pk: int) -> int | None:
    """The jobs of the next window; None when the walk is over or somebody else's."""
    row = (
        QueueRanking.objects.filter(pk=pk)
        .exclude(after_id=None)
        .select_related("queue")
        .select_for_update(of=("self",), skip_locked=True)
        .first()
    )
    if row is None:
        return None
    ready = Job.objects.ready().filter(
        queue=row.queue_id, pk__gt=row.after_id, pk__lte=min(row.after_id + _WINDOW, row.upto_id)
    )
    jobs = list(ready.order_by("pk").values_list("pk", "item_id")[:_BATCH])
    item_ids = sorted({item_id for _, item_id in jobs})
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_ITEMS, [item_ids])
    _rerank_each(row, item_ids, router=Router(row.queue.platform_id))
    is_whole = len(jobs) < _BATCH
    row.after_id = row.after_id + _WINDOW if is_whole else jobs[-1][0]
    if row.after_id >= row.upto_id:
        row.after_id, row.upto_id, row.is_retiming = None, None, False
    row.save(update_fields=["after_id", "upto_id", "is_retiming"])
    return len(jobs)


def _rerank_each(row: QueueRanking, item_ids: list[int], *, router: Router) -> None:
    """One bad item keeps its rank, and does not keep the others from theirs."""
    try:
        with transaction.atomic():
            if row.is_retiming:
                with connection.cursor() as cursor:
                    cursor.execute(_DUE_AGAIN, {"queue": row.queue_id, "items": item_ids})
            placement.rerank_jobs(item_ids, router=router)
    except OperationalError:
        raise  # a deadlock, or the database is away: the whole batch again
    except Exception:
        if len(item_ids) == 1:
            logger.exception("The jobs of item %s keep their rank", item_ids[0])
            return
        for item_id in item_ids:
            _rerank_each(row, [item_id], router=router)
