"""Taking the lease on a job: the next one of a queue, or this one. What becomes of it: leases.py.

Other modules know both by this one's name.
"""

import time
from collections.abc import Collection
from contextlib import nullcontext

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from . import access, lanes, leases, starts, wellness
from .errors import Conflict
from .leases import (
    PREFETCH_SECONDS,
    cancel_open,
    clock,
    expire_claims,
    let_go,
    live_claims,
    release,
    renew,
    skip,
    take_back,
)
from .models import Job, Lane, Person, Queue
from .ranking import OVERDUE_LIFT, SOON_LIFT
from .statements import Statement

__all__ = [
    "FOR_HER",
    "PREFETCH_SECONDS",
    "START",
    "cancel_open",
    "claim_job",
    "claim_next",
    "clock",
    "expire_claims",
    "guard_for",
    "lanes_for",
    "let_go",
    "lift_overdue",
    "live_claims",
    "release",
    "renew",
    "skip",
    "take_back",
]

_TRIES = 5

# What nobody is given: an item she has answered, or holds in another job; what she skipped; and
# where somebody is to look at a decision again, one of her own. OFFSET 0 keeps each NOT EXISTS a
# per-row index probe; as a join it could cost the serving order.
FOR_HER = f"""
      AND (ready.run_after IS NULL OR ready.run_after <= clock_timestamp())
      AND ready.item_id <> ALL(%(items)s::bigint[])
      AND NOT EXISTS (
        SELECT FROM reviews_review AS own
        WHERE own.item_id = ready.item_id AND own.reviewer_id = %(by)s OFFSET 0
      )
      AND NOT EXISTS (
        SELECT FROM reviews_claim AS own
        WHERE own.job_id = ready.id AND own.reviewer_id = %(by)s AND own."end" = 'skipped' OFFSET 0
      )
      AND (ready.lane NOT IN ('appeal', 'qa', 'second') OR NOT EXISTS (
        SELECT FROM reviews_decision AS own
        WHERE own.item_id = ready.item_id AND own.decided_by_id = %(by)s OFFSET 0
      ))
{wellness.CARRIES}"""  # noqa: S608

# Where to start in a lane: from the top, unless she keeps a start there (starts.py), and then no
# lower than what has come in since. Two seconds more, for whoever had not committed by then.
# An aggregate, so that there is a row without a start too.
START = """
    SELECT
      coalesce(min(greatest(start.rank, (
        SELECT max(arrival.rank) FROM reviews_lanearrival AS arrival
        WHERE arrival.queue_id = start.queue_id AND arrival.lane = start.lane
          AND arrival.at > start.at - interval '2 s'
      ))) FILTER (WHERE start.until > clock_timestamp()), 'infinity') AS rank,
      coalesce(min(start.at) < clock_timestamp() - interval '0.25 s', true) AS is_due
    FROM reviews_lanestart AS start
    WHERE start.person_id = %(by)s AND start.queue_id = %(queue)s AND start.lane = lanes.lane
"""

# One statement and one round trip. Where she turns out to hold something, that comes back and
# nothing is taken, unless it is `besides` what she is known to hold. What a lead keeps for her
# comes first, and takes no turn of the queue's. Else the turn says which lane is looked into first
# (lanes.py), and the others follow: unnest streams, and LIMIT stops it at the first hit, so no row
# of a later lane is locked.
# A claim that a crash forgets was never answered, so it need not wait for the disk (`alone`: only
# where this statement is its own transaction).
_CLAIM = Statement(
    "claim_next",
    f"""
WITH held AS MATERIALIZED (
  SELECT {{columns}}, NULL::text AS turn, NULL::boolean AS has_start, NULL::boolean AS is_due,
    NULL::boolean AS has_expired, NULL::float8 AS seconds,
    false AS is_new, expires_at > clock_timestamp() AS is_live
  FROM reviews_job
  WHERE NOT %(besides)s::boolean AND claimed_by_id = %(by)s AND state = 'claimed'
), works AS MATERIALIZED (
  SELECT queue.id,
    CASE WHEN %(alone)s::boolean THEN set_config('synchronous_commit', 'off', true) END
  FROM reviews_queue AS queue
  JOIN reviews_queue_members AS member
    ON member.queue_id = queue.id AND member.person_id = %(by)s
  WHERE queue.id = %(queue)s AND NOT queue.is_archived AND NOT EXISTS (SELECT FROM held)
), kept AS MATERIALIZED (
  SELECT job.id FROM works CROSS JOIN LATERAL (
    SELECT ready.id FROM reviews_job AS ready
    WHERE ready.assigned_to_id = %(by)s AND ready.queue_id = %(queue)s AND ready.state = 'ready'
      AND ready.lane = ANY(%(fallback)s::text[])
      {FOR_HER}
    ORDER BY ready.rank DESC, ready.id
    LIMIT 1 FOR UPDATE SKIP LOCKED
  ) AS job
), turn AS MATERIALIZED (
  SELECT (%(lanes)s::text[])[CASE
    WHEN cardinality(%(lanes)s::text[]) = 1 THEN 1
    ELSE width_bucket(
      mod(nextval(%(turn)s::regclass) * {lanes.STEP}, 1)::float8, %(starts)s::float8[]
    )
  END] AS lane
  FROM works WHERE NOT EXISTS (SELECT FROM kept)
), served AS MATERIALIZED (
  SELECT job.id, start.rank < 'infinity' AS has_start, start.is_due
  FROM turn
  CROSS JOIN unnest(turn.lane || array_remove(%(fallback)s::text[], turn.lane)) AS lanes(lane)
  CROSS JOIN LATERAL ({START}) AS start
  CROSS JOIN LATERAL (
    SELECT ready.id FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL AND ready.rank <= start.rank
      {FOR_HER}
    ORDER BY ready.rank DESC, ready.id
    LIMIT 1 FOR UPDATE SKIP LOCKED
  ) AS job
  LIMIT 1
), picked AS (
  SELECT id, false AS has_start, false AS is_due FROM kept
  UNION ALL SELECT id, has_start, is_due FROM served
), claimed AS (
  UPDATE reviews_job SET
    state = 'claimed', claim_token = %(token)s, claimed_by_id = %(by)s, claim_slot = %(slot)s,
    claimed_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval,
    is_prefetched = %(prefetch)s, attempts = attempts + 1
  FROM picked WHERE reviews_job.id = picked.id
  RETURNING {{columns}}, (SELECT lane FROM turn) AS turn, picked.has_start, picked.is_due,
    EXISTS (
      SELECT FROM reviews_job AS other
      WHERE other.state = 'claimed' AND other.expires_at <= statement_timestamp() OFFSET 0
    ) AS has_expired,
    extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS seconds,
    true AS is_new, true AS is_live
)
SELECT * FROM claimed UNION ALL SELECT * FROM held
""",  # noqa: S608
    model=Job,
)

_CLAIM_ONE = Statement(
    "claim_one",
    """
UPDATE reviews_job SET
  state = 'claimed', claim_token = %(token)s, claimed_by_id = %(by)s, claim_slot = %(slot)s,
  claimed_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval,
  attempts = attempts + 1
WHERE id = %(job)s AND state = 'ready'
  AND (assigned_to_id IS NULL OR assigned_to_id = %(by)s)
RETURNING {columns}
""",
    model=Job,
)

# ranking.lift() in SQL: overdue above soon, each once; lift_at says when there is more to add.
_LIFT = """
WITH risen AS MATERIALIZED (
  SELECT id, due_at <= clock_timestamp() AS is_late FROM reviews_job
  WHERE state = 'ready' AND lift_at <= clock_timestamp()
  ORDER BY lift_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE reviews_job SET
  rank = rank
    - CASE WHEN is_overdue THEN %(overdue)s::float8 WHEN is_soon THEN %(soon)s::float8 ELSE 0 END
    + CASE WHEN risen.is_late THEN %(overdue)s::float8 ELSE %(soon)s::float8 END,
  is_overdue = risen.is_late, is_soon = NOT risen.is_late,
  lift_at = CASE WHEN risen.is_late THEN NULL ELSE due_at END
FROM risen WHERE reviews_job.id = risen.id
"""


def claim_next(
    queue: Queue, *, by: Person, prefetch: bool = False, lane: str | None = None
) -> Job | None:
    """The next job of this queue for this person, leased to her; None when there is none for her
    (shortages.py says why).

    A job of the queue that she already holds comes first. `prefetch` takes one more in advance, on
    a short lease: it is hers for good when she asks again without. `lane`: this one only, which is
    a lead's to choose. Raises Conflict when both her places are taken.
    """
    access.check(by, "job.claim", queue.platform_id)
    if lane is not None:
        access.check_focus(by, lane, queue)
    for _turn in range(_TRIES):
        guard = guard_for(by, queue, held=(), prefetch=prefetch)
        held = None if guard.is_open else leases.held(by)
        if held is None:
            # Nearly always: she holds nothing, and that is found out on the way.
            try:
                job, held = _claim(queue, by, prefetch=prefetch, lane=lane, guard=guard)
            except IntegrityError:
                continue  # she claimed in another window at the same moment: look again
            if held is None:
                if job is None and _look_again(queue, by):
                    continue
                return job
            if not held:
                continue  # it had run out, and is gone
        here = [job for job in held if job.queue_id == queue.pk]
        shown = [job for job in here if not job.is_prefetched]
        if shown and not prefetch:
            access.check_belongs(by, queue)
            return shown[0]
        guard = guard_for(by, queue, held=held, prefetch=prefetch)
        if not guard.is_open:
            access.check_works(by, queue)
            return None
        ahead = next((job for job in held if job.is_prefetched), None)
        if ahead is not None and ahead in here and lane in (None, ahead.lane):
            access.check_works(by, queue)
            if not wellness.is_for(ahead, guard):
                leases.put_back(ahead, by)
                continue
            job = leases.show(ahead, queue, by, prefetch=prefetch)
            if job is None:
                continue  # it ran out at this moment
            if not prefetch:
                wellness.note_shown(job, by=by)
            return job
        slot = _free_slot(held)
        if ahead is not None and (prefetch or slot is None or ahead in here):
            # Not looked at, and something else is wanted now.
            leases.put_back(ahead, by)
            continue
        if slot is None:
            raise Conflict(_both_taken(held))
        try:
            job, unknown = _claim(
                queue, by, prefetch=prefetch, lane=lane, guard=guard, slot=slot, besides=held
            )
        except IntegrityError:
            continue
        if unknown is not None:
            continue
        if job is None and _look_again(queue, by):
            continue
        return job
    raise Conflict(_("You are claiming from several windows at once. Try again."))


def claim_job(job: Job, *, by: Person, takes_back: bool = False) -> Job | None:
    """This one ready job, leased to her, in the caller's transaction; None if that cannot be.
    What she takes back is hers, whatever she has looked at since."""
    held = leases.held(by)
    if not takes_back and not wellness.is_for(job, guard_for(by, job.queue, held=held)):
        return None
    slot = _free_slot(held)
    ahead = next((one for one in held if one.is_prefetched), None)
    if slot is None and ahead is not None:
        leases.put_back(ahead, by)
        slot = ahead.claim_slot
    if slot is None:
        return None
    values = {"job": job.pk, "slot": slot, **leases.lease(job.queue, by)}
    try:
        with transaction.atomic():
            rows = _CLAIM_ONE.instances(Job, **values)
    except IntegrityError:
        return None
    return rows[0] if rows else None


def guard_for(
    person: Person, queue: Queue, *, held: Collection[Job] | None = None, prefetch: bool = False
) -> wellness.Guard:
    """What she may be given of it, beside what she holds: a look at an item counts when she is
    through with it, so two windows, or a page of many, would spend the same minutes twice.

    `held`: her claims, where the caller knows them.
    """
    ahead = prefetch or queue.page_size > 1
    if not ahead and wellness.care_of(queue).budgets:
        held = leases.held(person) if held is None else held
        ahead = any(not job.is_prefetched for job in held)
    return wellness.guard(person, queue, ahead=ahead)


def lift_overdue() -> int:
    """Sweep: ready jobs that are due soon go before others, those past it before these too.

    Returns how many it lifted.
    """
    return leases.in_batches(_LIFT, overdue=OVERDUE_LIFT, soon=SOON_LIFT)


def _claim(
    queue: Queue,
    by: Person,
    *,
    prefetch: bool,
    lane: str | None,
    guard: wellness.Guard,
    slot: int = 1,
    besides: Collection[Job] = (),
) -> tuple[Job | None, list[Job] | None]:
    """A job taken for her, `besides` those that she is known to hold. Without these: or what she
    turned out to hold."""
    is_inside = connection.in_atomic_block
    kept = leases.PREFETCH_SECONDS if prefetch else None
    values = {
        "queue": queue.pk,
        "alone": not is_inside,
        "besides": bool(besides),
        "turn": f"reviews_queue_turn_{queue.pk}",
        "slot": slot,
        "prefetch": prefetch,
        "items": [job.item_id for job in besides],
        **lanes_for(queue, by, lane),
        **leases.lease(queue, by, seconds=kept),
    }
    job = None
    for shunned, unscored in wellness.filters_to_try(queue, guard, values["fallback"]):
        values |= {"shunned": shunned, "unscored": unscored}
        begun = time.perf_counter()
        with transaction.atomic() if is_inside else nullcontext():
            rows = _CLAIM.instances(Job, **values)
        seconds = time.perf_counter() - begun
        if rows and not rows[0].is_new:
            return None, leases.only_live(rows, by)
        job = rows[0] if rows else None
        # Where a calm one was looked for, the severe ones above it are still for her.
        if not is_inside and len(shunned) == len(guard.shunned):
            starts.keep(job, queue=queue, by=by, looked=values["fallback"], seconds=seconds)
        if job:
            break
    if job is None:
        return None, None
    job.queue = queue
    if not prefetch:
        wellness.note_shown(job, by=by)
    if job.has_expired and not connection.in_atomic_block:
        # Who died at work is not waited for until the next sweep, while anybody claims.
        expire_claims()
    return job, None


def _look_again(queue: Queue, by: Person) -> bool:
    """Nothing there, or not for her: the claim itself asked who works here. Had somebody's claim
    run out since the last sweep?"""
    access.check_works(by, queue)
    return bool(expire_claims())


def lanes_for(queue: Queue, by: Person, lane: str | None) -> dict[str, list]:
    """The lane of each turn, where on the circle its part begins, and where to look else."""
    if lane is not None:
        return {"lanes": [lane], "starts": [0.0], "fallback": [lane]}
    adjudicates = access.may(by, "job.adjudicate")
    hidden = () if adjudicates else (Lane.ADJUDICATION,)
    return {
        # Whose turn falls on a lane that is not hers to work, looks into risk.
        "lanes": [str(Lane.RISK) if one in hidden else one for one in lanes.LANES],
        "starts": lanes.starts(queue.lane_shares),
        "fallback": [one for one in lanes.FALLBACK if one not in hidden],
    }


def _free_slot(held: Collection[Job]) -> int | None:
    taken = {job.claim_slot for job in held}
    return next((slot for slot in range(1, Job.MAX_CLAIMS + 1) if slot not in taken), None)


def _both_taken(held: list[Job]) -> str:
    singles = [job for job in held if job.claim_slot <= Job.MAX_CLAIMS]
    queues = _(" and ").join(sorted({job.queue.name for job in singles}))
    return _("You already hold two jobs (%(queues)s). Answer, skip or release one first.") % {
        "queues": queues
    }
