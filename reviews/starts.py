"""Where a claim may start in a lane, so that its cost does not grow with what lies before it.

A claim walks down the serving order past what is not for her: items she has answered, and entries
of jobs long gone that a transaction held open somewhere keeps vacuum from removing. When that takes
long she keeps the rank she came to, and starts there next time. Soundness:

- A job that becomes ready leaves a note (a trigger, whatever made it ready), and a start counts no
  lower than the notes since it was written, and in the two seconds before, for whoever had not
  committed yet. So nothing is trusted in the first two seconds, when notes are not yet taken.
- What no note tells (a claim rolled back) is found when she looks from the top again: after two to
  thirty seconds, the seldomer the longer that takes.

Nobody keeps a start while claims are quick.
"""

from collections.abc import Sequence

from django.db import connection

from .models import Job, Person, Queue
from .statements import Statement

# A claim that takes longer in the database is worth a start. Seconds.
SLOW = 0.002
# The start of a lane in which nothing is for her.
_NOTHING = float("-inf")

_KEEP = Statement(
    "start_keep",
    """
WITH walked AS (
  SELECT lane, rank FROM unnest(%(lanes)s::text[], %(ranks)s::float8[]) AS row (lane, rank)
), pruned AS (
  DELETE FROM reviews_lanearrival WHERE id IN (
    SELECT note.id FROM walked JOIN reviews_lanearrival AS note
      ON note.queue_id = %(queue)s AND note.lane = walked.lane
      AND note.at < clock_timestamp() - interval '60 s'
    LIMIT 1000 FOR UPDATE OF note SKIP LOCKED
  )
)
INSERT INTO reviews_lanestart AS start (person_id, queue_id, lane, rank, since, at, until)
SELECT %(by)s, %(queue)s, lane, 'infinity', clock_timestamp(), clock_timestamp(),
  clock_timestamp()
FROM walked ORDER BY lane
ON CONFLICT (person_id, queue_id, lane) DO UPDATE SET
  at = clock_timestamp(),
  since = CASE WHEN start.at > clock_timestamp() - interval '60 s' THEN start.since
    ELSE clock_timestamp() END,
  rank = CASE
    WHEN start.at > clock_timestamp() - interval '60 s'
      AND start.since <= clock_timestamp() - interval '2 s'
    THEN (SELECT rank FROM walked WHERE walked.lane = start.lane)
    ELSE 'infinity' END,
  -- A walk from an earlier start does not put off the next one from the top.
  until = CASE WHEN start.rank < 'infinity' AND start.until > clock_timestamp() THEN start.until
    ELSE clock_timestamp() + make_interval(secs => %(life)s::float8) END
WHERE start.at < clock_timestamp() - interval '0.25 s'
RETURNING start.rank
""",
)

_FORGET = "DELETE FROM {table} WHERE at < clock_timestamp() - interval '60 s'"


def keep(
    job: Job | None, *, queue: Queue, by: Person, looked: Sequence[str], seconds: float
) -> None:
    """After a claim: where she may start next time, if it was slow or started from such a place.

    `job` as the claim returned it, None if there was none for her in any lane of `looked`.
    """
    if job is None:
        if seconds > SLOW:
            _keep(queue, by, looked, [_NOTHING] * len(looked), seconds)
        return
    if not job.is_due or not (job.has_start or job.seconds > SLOW):
        return
    order = list(dict.fromkeys([job.turn, *looked]))
    before = order[: order.index(job.lane)]
    _keep(queue, by, [*before, job.lane], [_NOTHING] * len(before) + [job.rank], job.seconds)


def forget() -> None:
    """Sweep: starts and notes that nobody trusts any more."""
    with connection.cursor() as cursor:
        for table in ("reviews_lanestart", "reviews_lanearrival"):
            cursor.execute(_FORGET.format(table=table))


def _keep(
    queue: Queue, by: Person, lanes: Sequence[str], ranks: Sequence[float], seconds: float
) -> None:
    _KEEP.rows(
        queue=queue.pk,
        by=by.pk,
        lanes=list(lanes),
        ranks=list(ranks),
        life=min(max(200 * seconds, 2.0), 30.0),
    )
