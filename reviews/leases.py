"""What becomes of a live claim: shown, renewed, given back, finished, taken away, run out.

A live claim is the job row itself (token, holder, expiry); when it ends, a Claim row keeps it.
Renewing and ending name primary key + token and nothing else: with the state in the condition the
planner may walk the partial index of claimed jobs instead (measured: 0.7 → 10.8 ms). All times are
the database's. Taking one: claims.py.
"""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from . import access, audit, handovers, notifications
from .errors import ClaimLost, Invalid
from .models import Claim, Job, Notification, Person, Queue
from .ranking import UNDONE_LIFT
from .statements import Statement
from .wording import kept

# How long a job that she has not looked at yet is kept for her.
PREFETCH_SECONDS = 30
_BATCH = 500

# Shown from now on, or kept a little longer: the lease begins anew.
_SHOW = Statement(
    "claim_show",
    """
UPDATE reviews_job SET
  is_prefetched = %(prefetch)s, claimed_at = clock_timestamp(),
  expires_at = clock_timestamp() + %(lease)s::interval
WHERE id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
  AND expires_at > clock_timestamp()
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
SET expires_at = clock.now + make_interval(secs => reviews_queue.lease_seconds),
  claimed_at = CASE WHEN is_prefetched THEN clock.now ELSE claimed_at END,
  is_prefetched = false
FROM reviews_queue, (SELECT clock_timestamp() AS now) AS clock
WHERE reviews_job.id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
  AND expires_at > clock_timestamp() AND reviews_queue.id = reviews_job.queue_id
RETURNING expires_at
""",
)

# For decisions.py too, whose review goes with it.
ENDING = """
ended AS (
  UPDATE reviews_job SET
    state = %(state)s, claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
    expires_at = NULL, is_prefetched = false,
    assigned_to_id = CASE %(end)s::text WHEN 'skipped' THEN NULL ELSE assigned_to_id END
  WHERE id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
    AND expires_at > clock_timestamp()
  RETURNING id, claimed_at
), claim AS (
  INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
  SELECT id, %(by)s, %(token)s, claimed_at, clock_timestamp(), %(end)s, %(reason)s FROM ended
  RETURNING id, claimed_at, ended_at
)
"""
_END = Statement("claim_end", f"WITH {ENDING} SELECT id FROM claim")  # noqa: S608

# Waiting or held: who holds one is told that it was taken away.
_CANCEL = """
WITH open AS MATERIALIZED (
  SELECT id, claimed_by_id, claim_token, claimed_at, state FROM reviews_job
  WHERE item_id = ANY(%(items)s::bigint[]) AND state IN ('ready', 'claimed')
  ORDER BY id FOR NO KEY UPDATE
), taken AS (
  INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
  SELECT id, claimed_by_id, claim_token, claimed_at, clock_timestamp(), 'cancelled', %(reason)s
  FROM open WHERE state = 'claimed'
)
UPDATE reviews_job SET
  state = 'cancelled', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
  expires_at = NULL, is_prefetched = false
FROM open WHERE reviews_job.id = open.id
"""

_CLOCK = Statement("clock", "SELECT clock_timestamp()")

_EXPIRE = """
WITH expired AS MATERIALIZED (
  SELECT id, claimed_by_id, claim_token, claimed_at, expires_at FROM reviews_job
  WHERE state = 'claimed' AND expires_at <= clock_timestamp() {whose}
  ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), freed AS (
  UPDATE reviews_job SET
    state = 'ready', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL, expires_at = NULL,
    is_prefetched = false
  FROM expired WHERE reviews_job.id = expired.id
)
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
SELECT id, claimed_by_id, claim_token, claimed_at, expires_at, 'expired', '' FROM expired
"""

# For somebody who no longer works here: whatever she holds, alive or run out, is ready for others.
_TAKE_BACK = """
WITH held AS MATERIALIZED (
  SELECT id, claim_token, claimed_at FROM reviews_job
  WHERE claimed_by_id = %(person)s AND state = 'claimed'
    AND (%(queues)s::bigint[] IS NULL OR queue_id = ANY(%(queues)s::bigint[]))
  ORDER BY id FOR UPDATE
), freed AS (
  UPDATE reviews_job SET
    state = 'ready', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL, expires_at = NULL,
    is_prefetched = false
  FROM held WHERE reviews_job.id = held.id
)
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
SELECT id, %(person)s, claim_token, claimed_at, clock_timestamp(), 'released', %(reason)s FROM held
"""


def live_claims(person: Person) -> list[Job]:
    """The jobs on her desk now, the one to show first in front. What is prefetched is not yet."""
    return [job for job in held(person) if not job.is_prefetched]


def renew(job_id: int, token: uuid.UUID | str, *, by: Person) -> datetime:
    """The heartbeat: a full lease from now. Returns when it runs out. What has one is on screen."""
    access.check_holds(by, job_id)
    token = as_uuid(token)
    row = _RENEW.row(job=job_id, token=token, by=by.pk)
    if row is None:
        raise lost(job_id, token, by)
    return row[0]


def release(job_id: int, token: uuid.UUID | str, *, by: Person) -> Job:
    """Give it back unanswered; anyone may have it next, she too."""
    return _give_back(job_id, token, by=by, end=Claim.End.RELEASED, verb="job.release")


def let_go(job_id: int, token: uuid.UUID | str, *, by: Person) -> bool:
    """Give back what was prefetched and never looked at; what she has been shown stays hers."""
    access.check_holds(by, job_id)
    token = as_uuid(token)
    for job in held(by):
        if job.pk == job_id and job.claim_token == token and job.is_prefetched:
            put_back(job, by)
            return True
    return False


def skip(job_id: int, token: uuid.UUID | str, *, by: Person, reason: str = "") -> Job:
    """Give it back for somebody else: it never comes to her again. No penalty, no reason needed."""
    return _give_back(
        job_id, token, by=by, end=Claim.End.SKIPPED, verb="job.skip", reason=reason[:200]
    )


def finishing(job_id: int, token: uuid.UUID, *, by: Person) -> dict[str, object]:
    """The places of ENDING for a job that is done with her answer."""
    return {
        "job": job_id,
        "token": token,
        "by": by.pk,
        "state": str(Job.State.DONE),
        "end": str(Claim.End.FINISHED),
        "reason": "",
    }


def cancel_open(item_ids: Collection[int], *, reason: str) -> int:
    """In the caller's transaction, which holds the items: their open jobs are no more.

    Returns how many; the caller asks who may, and writes the audit entry.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CANCEL, {"items": list(item_ids), "reason": reason[:200]})
        return cursor.rowcount


def clock() -> datetime:
    """The database's time now."""
    ((now,),) = _CLOCK.rows()
    return now


def expire_claims() -> int:
    """Sweep: jobs whose lease has run out are ready again. Returns how many."""
    return in_batches(_EXPIRE.format(whose=""))


def take_back(
    person: Person, *, by: Person | None, platform_id: int, queues: list[int] | None, reason: str
) -> int:
    """Give back for her all she holds, and what is kept for her, in these queues (None: in all).

    Inside the caller's transaction, who has asked whether `by` may. Returns how many claims ended.
    """
    with connection.cursor() as cursor:
        values = {"person": person.pk, "queues": queues, "reason": reason[:200]}
        cursor.execute(_TAKE_BACK, values)
        ended = cursor.rowcount
    kept = Job.objects.ready().filter(assigned_to=person)
    if queues is not None:
        kept = kept.filter(queue__in=queues)
    freed = kept.update(assigned_to=None)
    if ended or freed:
        data = {"claims": ended, "assigned": freed, "reason": reason}
        audit.record("job.take_back", person, by=by, platform=platform_id, **data)
        queue = queues[0] if queues and len(queues) == 1 else None
        notifications.tell(
            [person], Notification.Sort.TAKEN, by=by, platform=platform_id, queue=queue
        )
    return ended


def lease(queue: Queue, by: Person, *, seconds: int | None = None) -> dict:
    """The places of a statement that takes a job, or takes it anew."""
    most = queue.lease_seconds
    kept = timedelta(seconds=most if seconds is None else min(seconds, most))
    return {"by": by.pk, "token": uuid.uuid4(), "lease": kept}


def show(job: Job, queue: Queue, by: Person, *, prefetch: bool) -> Job | None:
    values = lease(queue, by, seconds=PREFETCH_SECONDS if prefetch else None)
    values |= {"job": job.pk, "token": job.claim_token, "prefetch": prefetch}
    rows = _SHOW.instances(Job, **values)
    if not rows:
        return None
    rows[0].queue = queue
    return rows[0]


def put_back(job: Job, by: Person) -> None:
    """A job of hers that she has not looked at goes back. Lost already: as well."""
    _END.row(
        job=job.pk,
        token=job.claim_token,
        by=by.pk,
        state=str(Job.State.READY),
        end=str(Claim.End.RELEASED),
        reason=kept("Prefetched, not looked at"),
    )


def held(by: Person) -> list[Job]:
    """Her live claims; those that have run out are freed on the way, so they block no place."""
    return only_live(_HELD.instances(Job, by=by.pk), by)


def only_live(jobs: list[Job], by: Person) -> list[Job]:
    """Of what she held a moment ago, in the order it is hers to see."""
    if not all(job.is_live for job in jobs):
        in_batches(_EXPIRE.format(whose="AND claimed_by_id = %(reviewer)s"), reviewer=by.pk)
        jobs = [job for job in jobs if job.is_live]
    # What she has just taken back goes first, then what she took first.
    return sorted(jobs, key=lambda job: (job.rank < UNDONE_LIFT / 2, job.claimed_at))


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
    token = as_uuid(token)
    with transaction.atomic():
        values = {"job": job_id, "token": token, "by": by.pk, "state": str(Job.State.READY)}
        if _END.row(**values, end=str(end), reason=reason) is None:
            raise lost(job_id, token, by)
        if end == Claim.End.SKIPPED:
            handovers.hand_on([job_id])
        job = Job.objects.select_related("queue").get(pk=job_id)
        data = {"reason": reason} if reason else {}
        audit.record(verb, job, by=by, platform=job.queue.platform_id, **data)
    return job


def in_batches(statement: str, **values: object) -> int:
    """Short transactions until one comes back less than full."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, {"limit": _BATCH, **values})
            count = cursor.rowcount
        total += count
        if count < _BATCH:
            return total


def lost(job_id: int, token: uuid.UUID, by: Person) -> ClaimLost:
    """Why this token no longer holds, in her words."""
    claim = Claim.objects.filter(token=token, job_id=job_id, reviewer=by).first()
    if claim is None:
        job = Job.objects.filter(pk=job_id, claim_token=token, claimed_by=by).first()
        if job is None:
            return ClaimLost(_("You do not hold this job."))
        return ClaimLost(_ran_out(job.expires_at))
    if claim.end == Claim.End.EXPIRED:
        return ClaimLost(_ran_out(claim.ended_at))
    if claim.end == Claim.End.FINISHED:
        return ClaimLost(_("You have already answered this job."))
    if claim.end == Claim.End.CANCELLED:
        return ClaimLost(
            _("This job was taken away at %(ended_at)s: %(reason)s.")
            % {"ended_at": _clock(claim.ended_at), "reason": claim.reason}
        )
    return ClaimLost(
        _("You %(end)s this job at %(ended_at)s.")
        % {"end": claim.end, "ended_at": _clock(claim.ended_at)}
    )


def _ran_out(at: datetime) -> str:
    return _(
        "Your claim ran out at %(at)s. Nothing was recorded, and the job went back to the queue."
    ) % {"at": _clock(at)}


def _clock(at: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M}"


def as_uuid(token: uuid.UUID | str) -> uuid.UUID:
    if isinstance(token, uuid.UUID):
        return token
    try:
        return uuid.UUID(str(token))
    except ValueError:
        raise Invalid(
            _("This claim token is not one of ours."), details={"token": _("not a UUID")}
        ) from None
