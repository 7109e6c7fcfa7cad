"""The lease on a job: take, renew, give back, finish, expire. All times are the database's.

A live claim is the job row itself (token, holder, expiry); when it ends, a Claim row keeps it.
Renewing and ending name primary key + token and nothing else: with the state in the condition the
planner may walk the partial index of claimed jobs instead (measured: 0.7 → 10.8 ms).
"""

import uuid
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from . import access, audit
from .errors import ClaimLost, Conflict, Invalid
from .models import Claim, Job, Lane, Person, Queue
from .ranking import OVERDUE_LIFT, SOON_LIFT, UNDONE_LIFT
from .statements import Statement

# Of a queue's claims, so many look into this lane first; otherwise a busy queue starves it.
SECOND_SHARE = 0.1
_BATCH = 500
_TRIES = 5

# Where a claim looks when its own lane is empty. Every lane is here, so none starves; a lead looks
# into adjudication before all of them, since nobody else may.
_FALLBACK = (
    Lane.RISK,
    Lane.RANDOM,
    Lane.SECOND,
    Lane.LEARNING,
    Lane.GOLD,
    Lane.APPEAL,
    Lane.QA,
)

# One statement and one round trip. The turn picks the lanes' order: the fractional part of
# turn × golden ratio is spread evenly over every run of claims, so a lane's share holds for a
# hundred claims as for a million, without a counter to lock. The lanes are tried in that order:
# unnest streams, and LIMIT stops it at the first hit, so no row of a later lane is locked.
# OFFSET 0 keeps each NOT EXISTS a per-row index probe; as a join it could cost the serving order.
# A claim that a crash forgets was never answered, so it need not wait for the disk (`alone`: only
# where this statement is its own transaction).
_CLAIM = Statement(
    "claim_next",
    """
WITH turn AS MATERIALIZED (
  SELECT mod(nextval('reviews_claim_turn') * 0.6180339887498949, 1) AS fraction,
    CASE WHEN %(alone)s::boolean THEN set_config('synchronous_commit', 'off', true) END
), picked AS MATERIALIZED (
  SELECT job.id
  FROM turn
  JOIN reviews_queue_members AS member
    ON member.queue_id = %(queue)s AND member.person_id = %(by)s
  CROSS JOIN unnest(
    CASE
      WHEN turn.fraction < %(random_share)s::float8 THEN %(random_first)s::text[]
      WHEN turn.fraction >= 1 - %(second_share)s::float8 THEN %(second_first)s::text[]
      ELSE %(risk_first)s::text[]
    END
  ) AS lanes(lane)
  CROSS JOIN LATERAL (
    SELECT ready.id FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL
      AND (ready.run_after IS NULL OR ready.run_after <= clock_timestamp())
      AND NOT EXISTS (
        SELECT FROM reviews_review AS own
        WHERE own.item_id = ready.item_id AND own.reviewer_id = %(by)s OFFSET 0
      )
      AND NOT EXISTS (
        SELECT FROM reviews_claim AS own
        WHERE own.job_id = ready.id AND own.reviewer_id = %(by)s AND own."end" = 'skipped' OFFSET 0
      )
    ORDER BY ready.rank DESC, ready.id
    LIMIT 1 FOR UPDATE SKIP LOCKED
  ) AS job
  LIMIT 1
)
UPDATE reviews_job SET
  state = 'claimed', claim_token = %(token)s, claimed_by_id = %(by)s, claim_slot = %(slot)s,
  claimed_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval,
  attempts = attempts + 1
FROM picked WHERE reviews_job.id = picked.id
RETURNING {columns}
""",
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
RETURNING {columns}
""",
    model=Job,
)

_HELD = Statement(
    "claims_held",
    """
SELECT {columns}, expires_at > clock_timestamp() AS is_live
FROM reviews_job WHERE claimed_by_id = %(by)s AND state = 'claimed'
""",
    model=Job,
)

_RENEW = Statement(
    "claim_renew",
    """
UPDATE reviews_job
SET expires_at = clock_timestamp() + make_interval(secs => reviews_queue.lease_seconds)
FROM reviews_queue
WHERE reviews_job.id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
  AND expires_at > clock_timestamp() AND reviews_queue.id = reviews_job.queue_id
RETURNING expires_at
""",
)

_END = Statement(
    "claim_end",
    """
WITH ended AS (
  UPDATE reviews_job SET
    state = %(state)s, claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
    expires_at = NULL
  WHERE id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
    AND expires_at > clock_timestamp()
  RETURNING id, claimed_at
)
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
SELECT id, %(by)s, %(token)s, claimed_at, clock_timestamp(), %(end)s, %(reason)s FROM ended
RETURNING id, claimed_at, ended_at
""",
)

_CLOCK = Statement("clock", "SELECT clock_timestamp()")

_EXPIRE = """
WITH expired AS MATERIALIZED (
  SELECT id, claimed_by_id, claim_token, claimed_at, expires_at FROM reviews_job
  WHERE state = 'claimed' AND expires_at <= clock_timestamp() {whose}
  ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), freed AS (
  UPDATE reviews_job SET
    state = 'ready', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL, expires_at = NULL
  FROM expired WHERE reviews_job.id = expired.id
)
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
SELECT id, claimed_by_id, claim_token, claimed_at, expires_at, 'expired', '' FROM expired
"""

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


class Ended(NamedTuple):
    """A claim that was alive until now."""

    claim_id: int
    claimed_at: datetime
    at: datetime


def claim_next(queue: Queue, *, by: Person, prefetch: bool = False) -> Job | None:
    """The next job of this queue for this person, leased to her; None when there is none.

    A job of the queue that she already holds comes first, unless she asks for one more in advance
    (`prefetch`). Raises Conflict when both her places are taken.
    """
    access.check(by, "job.claim", queue.platform_id)
    for _ in range(_TRIES):
        held = _held(by)
        here = [job for job in held if job.queue_id == queue.pk]
        if here and not prefetch:
            access.check_works(by, queue)
            return here[0]
        slot = _free_slot(held)
        if slot is None:
            raise Conflict(_both_taken(held))
        try:
            job = _claim(queue, by, slot)
        except IntegrityError:
            continue  # she claimed in another window at the same moment: look again
        if job is None:
            # Nothing there, or not for her: the claim itself asked who works here.
            access.check_works(by, queue)
            if expire_claims():
                continue  # somebody's claim had run out since the last sweep
        return job
    raise Conflict("You are claiming from several windows at once. Try again.")


def claim_job(job: Job, *, by: Person) -> Job | None:
    """This one ready job, leased to her, in the caller's transaction; None if that cannot be."""
    slot = _free_slot(_held(by))
    if slot is None:
        return None
    values = {"job": job.pk, **_lease(job.queue, by, slot)}
    try:
        with transaction.atomic():
            rows = _CLAIM_ONE.instances(Job, **values)
    except IntegrityError:
        return None
    return rows[0] if rows else None


def live_claims(person: Person) -> list[Job]:
    """The jobs she holds now, the one to show first in front. At most two."""
    return [job for job in _held(person) if job.is_live]


def renew(job_id: int, token: uuid.UUID | str, *, by: Person) -> datetime:
    """The heartbeat: a full lease from now. Returns when it runs out."""
    access.check_holds(by, job_id)
    token = _as_uuid(token)
    row = _RENEW.row(job=job_id, token=token, by=by.pk)
    if row is None:
        raise _lost(job_id, token, by)
    return row[0]


def release(job_id: int, token: uuid.UUID | str, *, by: Person) -> Job:
    """Give it back unanswered; anyone may have it next, she too."""
    return _give_back(job_id, token, by=by, end=Claim.End.RELEASED, verb="job.release")


def skip(job_id: int, token: uuid.UUID | str, *, by: Person, reason: str = "") -> Job:
    """Give it back for somebody else: it never comes to her again. No penalty, no reason needed."""
    return _give_back(
        job_id, token, by=by, end=Claim.End.SKIPPED, verb="job.skip", reason=reason[:200]
    )


def finish(job_id: int, token: uuid.UUID | str, *, by: Person) -> Ended:
    """The job is done; the caller writes the review in the same transaction."""
    token = _as_uuid(token)
    return _end(job_id, token, by=by, state=Job.State.DONE, end=Claim.End.FINISHED)


def clock() -> datetime:
    """The database's time now."""
    ((now,),) = _CLOCK.rows()
    return now


def expire_claims() -> int:
    """Sweep: jobs whose lease has run out are ready again. Returns how many."""
    return _in_batches(_EXPIRE.format(whose=""))


def lift_overdue() -> int:
    """Sweep: ready jobs that are due soon go before others, those past it before these too.

    Returns how many it lifted.
    """
    return _in_batches(_LIFT, overdue=OVERDUE_LIFT, soon=SOON_LIFT)


def _claim(queue: Queue, by: Person, slot: int) -> Job | None:
    is_inside = connection.in_atomic_block
    values = {
        "queue": queue.pk,
        "alone": not is_inside,
        "random_share": queue.lane_shares.get(Lane.RANDOM, 0.0),
        "second_share": SECOND_SHARE,
        **_lane_orders(adjudicates=access.may(by, "job.adjudicate")),
        **_lease(queue, by, slot),
    }
    with transaction.atomic() if is_inside else nullcontext():
        rows = _CLAIM.instances(Job, **values)
    if not rows:
        return None
    rows[0].queue = queue
    return rows[0]


def _lane_orders(*, adjudicates: bool) -> dict[str, list[str]]:
    """Which lanes a claim looks into, by the one that its turn puts first."""
    above = [Lane.ADJUDICATION] if adjudicates else []
    return {
        f"{first}_first": [str(lane) for lane in dict.fromkeys([*above, first, *_FALLBACK])]
        for first in (Lane.RISK, Lane.RANDOM, Lane.SECOND)
    }


def _lease(queue: Queue, by: Person, slot: int) -> dict:
    return {
        "by": by.pk,
        "slot": slot,
        "token": uuid.uuid4(),
        "lease": timedelta(seconds=queue.lease_seconds),
    }


def _held(by: Person) -> list[Job]:
    """Her live claims; those that have run out are freed on the way, so they block no place."""
    held = _HELD.instances(Job, by=by.pk)
    if not all(job.is_live for job in held):
        _in_batches(_EXPIRE.format(whose="AND claimed_by_id = %(reviewer)s"), reviewer=by.pk)
        held = [job for job in held if job.is_live]
    # What she has just taken back goes first, then what she took first.
    return sorted(held, key=lambda job: (job.rank < UNDONE_LIFT / 2, job.claimed_at))


def _free_slot(held: Iterable[Job]) -> int | None:
    taken = {job.claim_slot for job in held}
    return next((slot for slot in range(1, Job.MAX_CLAIMS + 1) if slot not in taken), None)


def _both_taken(held: list[Job]) -> str:
    queues = " and ".join(sorted({job.queue.name for job in held}))
    return f"You already hold two jobs ({queues}). Answer, skip or release one first."


def _give_back(
    job_id: int,
    token: uuid.UUID | str,
    *,
    by: Person,
    end: str,
    verb: str,
    reason: str = "",
) -> Job:
    access.check_holds(by, job_id)
    token = _as_uuid(token)
    with transaction.atomic():
        _end(job_id, token, by=by, state=Job.State.READY, end=end, reason=reason)
        job = Job.objects.select_related("queue").get(pk=job_id)
        data = {"reason": reason} if reason else {}
        audit.record(verb, job, by=by, platform=job.queue.platform_id, **data)
    return job


def _end(
    job_id: int, token: uuid.UUID, *, by: Person, state: str, end: str, reason: str = ""
) -> Ended:
    row = _END.row(job=job_id, token=token, by=by.pk, state=str(state), end=str(end), reason=reason)
    if row is None:
        raise _lost(job_id, token, by)
    return Ended(*row)


def _in_batches(statement: str, **values: object) -> int:
    """Short transactions until one comes back less than full."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"limit": _BATCH, **values})
            count = cursor.rowcount
        total += count
        if count < _BATCH:
            return total


def _lost(job_id: int, token: uuid.UUID, by: Person) -> ClaimLost:
    """Why this token no longer holds, in her words."""
    claim = Claim.objects.filter(token=token, job_id=job_id, reviewer=by).first()
    if claim is None:
        job = Job.objects.filter(pk=job_id, claim_token=token, claimed_by=by).first()
        if job is None:
            return ClaimLost("You do not hold this job.")
        return ClaimLost(_ran_out(job.expires_at))
    if claim.end == Claim.End.EXPIRED:
        return ClaimLost(_ran_out(claim.ended_at))
    if claim.end == Claim.End.FINISHED:
        return ClaimLost("You have already answered this job.")
    return ClaimLost(f"You {claim.end} this job at {_clock(claim.ended_at)}.")


def _ran_out(at: datetime) -> str:
    return (
        f"Your claim ran out at {_clock(at)}. Nothing was recorded, and the job went back to the "
        "queue."
    )


def _clock(at: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M}"


def _as_uuid(token: uuid.UUID | str) -> uuid.UUID:
    if isinstance(token, uuid.UUID):
        return token
    try:
        return uuid.UUID(str(token))
    except ValueError:
        raise Invalid(
            "This claim token is not one of ours.", details={"token": "not a UUID"}
        ) from None
