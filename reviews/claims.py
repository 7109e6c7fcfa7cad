"""The lease on a job: take, renew, give back, finish, expire. All times are the database's.

A live claim is the job row itself (token, holder, expiry); when it ends, a Claim row keeps it.
Renewing and ending name primary key + token and nothing else: with the state in the condition the
planner may walk the partial index of claimed jobs instead (measured: 0.7 → 10.8 ms).
"""

import time
import uuid
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from . import access, audit, handovers, lanes, notifications, starts, wellness
from .errors import ClaimLost, Conflict, Invalid
from .models import Claim, Job, Lane, Notification, Person, Queue
from .ranking import OVERDUE_LIFT, SOON_LIFT, UNDONE_LIFT
from .statements import Statement

# How long a job that she has not looked at yet is kept for her.
PREFETCH_SECONDS = 30
_BATCH = 500
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

# One statement and one round trip. What a lead keeps for her comes first, and takes no turn of the
# queue's. Else the turn says which lane is looked into first (lanes.py), and the others follow:
# unnest streams, and LIMIT stops it at the first hit, so no row of a later lane is locked.
# A claim that a crash forgets was never answered, so it need not wait for the disk (`alone`: only
# where this statement is its own transaction).
_CLAIM = Statement(
    "claim_next",
    f"""
WITH works AS MATERIALIZED (
  SELECT queue.id,
    CASE WHEN %(alone)s::boolean THEN set_config('synchronous_commit', 'off', true) END
  FROM reviews_queue AS queue
  JOIN reviews_queue_members AS member
    ON member.queue_id = queue.id AND member.person_id = %(by)s
  WHERE queue.id = %(queue)s AND NOT queue.is_archived
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
)
UPDATE reviews_job SET
  state = 'claimed', claim_token = %(token)s, claimed_by_id = %(by)s, claim_slot = %(slot)s,
  claimed_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval,
  is_prefetched = %(prefetch)s, attempts = attempts + 1
FROM picked WHERE reviews_job.id = picked.id
RETURNING {{columns}}, (SELECT lane FROM turn) AS turn, picked.has_start, picked.is_due,
  EXISTS (
    SELECT FROM reviews_job AS held
    WHERE held.state = 'claimed' AND held.expires_at <= statement_timestamp() OFFSET 0
  ) AS has_expired,
  extract(epoch FROM clock_timestamp() - statement_timestamp())::float8 AS seconds
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

_END = Statement(
    "claim_end",
    """
WITH ended AS (
  UPDATE reviews_job SET
    state = %(state)s, claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
    expires_at = NULL, is_prefetched = false,
    assigned_to_id = CASE %(end)s::text WHEN 'skipped' THEN NULL ELSE assigned_to_id END
  WHERE id = %(job)s AND claim_token = %(token)s AND claimed_by_id = %(by)s
    AND expires_at > clock_timestamp()
  RETURNING id, claimed_at
)
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, ended_at, "end", reason)
SELECT id, %(by)s, %(token)s, claimed_at, clock_timestamp(), %(end)s, %(reason)s FROM ended
RETURNING id, claimed_at, ended_at
""",
)

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
        held = _held(by)
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
                _let_go(ahead, by)
                continue
            job = _show(ahead, queue, by, prefetch=prefetch)
            if job is None:
                continue  # it ran out at this moment
            if not prefetch:
                wellness.note_shown(job, by=by)
            return job
        slot = _free_slot(held)
        if ahead is not None and (prefetch or slot is None or ahead in here):
            # Not looked at, and something else is wanted now.
            _let_go(ahead, by)
            continue
        if slot is None:
            raise Conflict(_both_taken(held))
        try:
            job = _claim(queue, by, slot, prefetch=prefetch, lane=lane, held=held, guard=guard)
        except IntegrityError:
            continue  # she claimed in another window at the same moment: look again
        if job is None:
            # Nothing there, or not for her: the claim itself asked who works here.
            access.check_works(by, queue)
            if expire_claims():
                continue  # somebody's claim had run out since the last sweep
        else:
            if not prefetch:
                wellness.note_shown(job, by=by)
            if job.has_expired and not connection.in_atomic_block:
                # Who died at work is not waited for until the next sweep, while anybody claims.
                expire_claims()
        return job
    raise Conflict(_("You are claiming from several windows at once. Try again."))


def claim_job(job: Job, *, by: Person, takes_back: bool = False) -> Job | None:
    """This one ready job, leased to her, in the caller's transaction; None if that cannot be.
    What she takes back is hers, whatever she has looked at since."""
    held = _held(by)
    if not takes_back and not wellness.is_for(job, guard_for(by, job.queue, held=held)):
        return None
    slot = _free_slot(held)
    ahead = next((one for one in held if one.is_prefetched), None)
    if slot is None and ahead is not None:
        _let_go(ahead, by)
        slot = ahead.claim_slot
    if slot is None:
        return None
    values = {"job": job.pk, "slot": slot, **_lease(job.queue, by)}
    try:
        with transaction.atomic():
            rows = _CLAIM_ONE.instances(Job, **values)
    except IntegrityError:
        return None
    return rows[0] if rows else None


def guard_for(
    person: Person, queue: Queue, *, held: Iterable[Job] | None = None, prefetch: bool = False
) -> wellness.Guard:
    """What she may be given of it, beside what she holds: a look at an item counts when she is
    through with it, so two windows, or a page of many, would spend the same minutes twice.

    `held`: her claims, where the caller knows them.
    """
    ahead = prefetch or queue.page_size > 1
    if not ahead and wellness.care_of(queue).budgets:
        held = _held(person) if held is None else held
        ahead = any(not job.is_prefetched for job in held)
    return wellness.guard(person, queue, ahead=ahead)


def live_claims(person: Person) -> list[Job]:
    """The jobs on her desk now, the one to show first in front. What is prefetched is not yet."""
    return [job for job in _held(person) if not job.is_prefetched]


def renew(job_id: int, token: uuid.UUID | str, *, by: Person) -> datetime:
    """The heartbeat: a full lease from now. Returns when it runs out. What has one is on screen."""
    access.check_holds(by, job_id)
    token = _as_uuid(token)
    row = _RENEW.row(job=job_id, token=token, by=by.pk)
    if row is None:
        raise _lost(job_id, token, by)
    return row[0]


def release(job_id: int, token: uuid.UUID | str, *, by: Person) -> Job:
    """Give it back unanswered; anyone may have it next, she too."""
    return _give_back(job_id, token, by=by, end=Claim.End.RELEASED, verb="job.release")


def let_go(job_id: int, token: uuid.UUID | str, *, by: Person) -> bool:
    """Give back what was prefetched and never looked at; what she has been shown stays hers."""
    access.check_holds(by, job_id)
    token = _as_uuid(token)
    for job in _held(by):
        if job.pk == job_id and job.claim_token == token and job.is_prefetched:
            _let_go(job, by)
            return True
    return False


def skip(job_id: int, token: uuid.UUID | str, *, by: Person, reason: str = "") -> Job:
    """Give it back for somebody else: it never comes to her again. No penalty, no reason needed."""
    return _give_back(
        job_id, token, by=by, end=Claim.End.SKIPPED, verb="job.skip", reason=reason[:200]
    )


def finish(job_id: int, token: uuid.UUID | str, *, by: Person) -> Ended:
    """The job is done; the caller writes the review in the same transaction."""
    token = _as_uuid(token)
    return _end(job_id, token, by=by, state=Job.State.DONE, end=Claim.End.FINISHED)


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
    return _in_batches(_EXPIRE.format(whose=""))


def lift_overdue() -> int:
    """Sweep: ready jobs that are due soon go before others, those past it before these too.

    Returns how many it lifted.
    """
    return _in_batches(_LIFT, overdue=OVERDUE_LIFT, soon=SOON_LIFT)


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


def _claim(
    queue: Queue,
    by: Person,
    slot: int,
    *,
    prefetch: bool,
    lane: str | None,
    held: Iterable[Job],
    guard: wellness.Guard,
) -> Job | None:
    is_inside = connection.in_atomic_block
    values = {
        "queue": queue.pk,
        "alone": not is_inside,
        "turn": f"reviews_queue_turn_{queue.pk}",
        "slot": slot,
        "prefetch": prefetch,
        "items": [job.item_id for job in held],
        **lanes_for(queue, by, lane),
        **_lease(queue, by, seconds=PREFETCH_SECONDS if prefetch else None),
    }
    rows: list[Job] = []
    for shunned, unscored in wellness.filters_to_try(queue, guard, values["fallback"]):
        values |= {"shunned": shunned, "unscored": unscored}
        begun = time.perf_counter()
        with transaction.atomic() if is_inside else nullcontext():
            rows = _CLAIM.instances(Job, **values)
        # Where a calm one was looked for, the severe ones above it are still for her.
        if not is_inside and len(shunned) == len(guard.shunned):
            starts.keep(
                rows[0] if rows else None,
                queue=queue,
                by=by,
                looked=values["fallback"],
                seconds=time.perf_counter() - begun,
            )
        if rows:
            break
    if not rows:
        return None
    rows[0].queue = queue
    return rows[0]


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


def _lease(queue: Queue, by: Person, *, seconds: int | None = None) -> dict:
    lease = queue.lease_seconds if seconds is None else min(seconds, queue.lease_seconds)
    return {"by": by.pk, "token": uuid.uuid4(), "lease": timedelta(seconds=lease)}


def _show(job: Job, queue: Queue, by: Person, *, prefetch: bool) -> Job | None:
    lease = _lease(queue, by, seconds=PREFETCH_SECONDS if prefetch else None)
    values = {**lease, "job": job.pk, "token": job.claim_token, "prefetch": prefetch}
    rows = _SHOW.instances(Job, **values)
    if not rows:
        return None
    rows[0].queue = queue
    return rows[0]


def _let_go(job: Job, by: Person) -> None:
    """A job she has not looked at goes back. Lost already: as well."""
    _END.row(
        job=job.pk,
        token=job.claim_token,
        by=by.pk,
        state=str(Job.State.READY),
        end=str(Claim.End.RELEASED),
        reason="Prefetched, not looked at",
    )


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
    singles = [job for job in held if job.claim_slot <= Job.MAX_CLAIMS]
    queues = _(" and ").join(sorted({job.queue.name for job in singles}))
    return _("You already hold two jobs (%(queues)s). Answer, skip or release one first.") % {
        "queues": queues
    }


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
        if end == Claim.End.SKIPPED:
            handovers.hand_on([job_id])
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


def _as_uuid(token: uuid.UUID | str) -> uuid.UUID:
    if isinstance(token, uuid.UUID):
        return token
    try:
        return uuid.UUID(str(token))
    except ValueError:
        raise Invalid(
            _("This claim token is not one of ours."), details={"token": _("not a UUID")}
        ) from None
