"""Why there is no job for her: "locked by others" is not "empty"."""

from typing import NamedTuple

from . import access, claims, lanes, wellness
from .models import Person, Queue
from .statements import Statement

# Of each lane so many waiting jobs are looked at, and of the rest so many counted: a page has to
# say what it is like, not how much there is of it.
MOST = 200

_WHY = Statement(
    "shortage",
    f"""
WITH waiting AS MATERIALIZED (
  SELECT job.*
  FROM unnest(%(lanes)s::text[]) AS lanes(lane)
  CROSS JOIN LATERAL (
    SELECT ready.id, ready.item_id, ready.lane, ready.run_after FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL
    ORDER BY ready.rank DESC, ready.id LIMIT {MOST}
  ) AS job
), looked AS (
  SELECT CASE
    WHEN lane = 'adjudication' AND NOT %(adjudicates)s::boolean THEN 'lead'
    WHEN run_after > clock_timestamp() THEN 'later'
    WHEN EXISTS (
      SELECT FROM reviews_review AS own
      WHERE own.item_id = ready.item_id AND own.reviewer_id = %(by)s
    ) OR EXISTS (
      SELECT FROM reviews_claim AS own
      WHERE own.job_id = ready.id AND own.reviewer_id = %(by)s AND own."end" = 'skipped'
    ) OR lane IN ('appeal', 'qa', 'second') AND EXISTS (
      SELECT FROM reviews_decision AS own
      WHERE own.item_id = ready.item_id AND own.decided_by_id = %(by)s
    ) THEN 'seen'
    WHEN NOT (true {wellness.CARRIES}) THEN 'spared'
    ELSE 'fresh'
  END AS why
  FROM waiting AS ready
)
SELECT
  (SELECT count(*) FROM (
    SELECT FROM reviews_job
    WHERE queue_id = %(queue)s AND state = 'claimed' AND lane = ANY(%(lanes)s::text[])
      AND claimed_by_id <> %(by)s LIMIT {MOST}
  ) AS counted) AS held,
  count(*) FILTER (WHERE why = 'seen') AS seen,
  (SELECT count(*) FROM (
    SELECT job.id FROM reviews_person AS other CROSS JOIN LATERAL (
      SELECT kept.id FROM reviews_job AS kept
      WHERE kept.assigned_to_id = other.id AND kept.queue_id = %(queue)s AND kept.state = 'ready'
        AND kept.lane = ANY(%(lanes)s::text[])
      LIMIT {MOST}
    ) AS job
    WHERE other.id <> %(by)s LIMIT {MOST}
  ) AS counted) AS assigned,
  count(*) FILTER (WHERE why = 'lead') AS for_lead,
  count(*) FILTER (WHERE why = 'later') AS later,
  count(*) FILTER (WHERE why = 'fresh') AS fresh,
  count(*) FILTER (WHERE why = 'spared') AS spared,
  (SELECT is_archived FROM reviews_queue WHERE id = %(queue)s) AS is_archived
FROM looked
""",  # noqa: S608
)


class Shortage(NamedTuple):
    """What waits in a queue that is not for her, by why; each count at most MOST a lane."""

    held: int = 0  # others are at it right now
    seen: int = 0  # she has answered the item, skipped the job, or decided it herself
    assigned: int = 0  # kept for somebody else
    for_lead: int = 0  # to be adjudicated, and she may not
    later: int = 0  # not before its time
    fresh: int = 0  # came in, or back, since she asked
    spared: int = 0  # carries what she has had enough of, or opted out of
    is_archived: bool = False  # since a moment ago: the desk's own queue may not know it yet
    is_withheld: bool = False  # wellness.py says that she has had enough for now

    @property
    def is_empty(self) -> bool:
        return not any(self)


def why_nothing(queue: Queue, *, by: Person, lane: str | None = None) -> Shortage:
    """What claim_next found instead of a job for her. She works the queue: the caller has asked."""
    guard = claims.guard_for(by, queue)
    row = _WHY.row(
        queue=queue.pk,
        shunned=list(guard.shunned),
        unscored=False,
        by=by.pk,
        lanes=[lane] if lane else list(lanes.LANES),
        adjudicates=access.may(by, "job.adjudicate"),
    )
    return Shortage(*row, is_withheld=not guard.is_open)
