"""Many claims at once, for a page that shows many jobs: taken in one statement, by the rules of
claims.py, and kept alive together. Each is still a claim of its own, answered or given back alone.

They stand in places of their own (Job.GRID_SLOTS), so that a page never takes the two that a
reviewer has for single jobs.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext

from . import access, claims, lanes, wellness
from .claims import FOR_HER, START
from .errors import Conflict
from .models import Job, Person, Queue
from .statements import Statement

_TRIES = 5

# As _CLAIM in claims.py, for `wanted` jobs: what is kept for her; then each turn of the queue's
# asks its lane for one more; what a lane did not have, the others give in their order. Two jobs on
# one item are two answers of one person, so only the first of them is taken.
_CLAIM = Statement(
    "claim_batch",
    f"""
WITH works AS MATERIALIZED (
  SELECT queue.id,
    CASE WHEN %(alone)s::boolean THEN set_config('synchronous_commit', 'off', true) END
  FROM reviews_queue AS queue
  JOIN reviews_queue_members AS member
    ON member.queue_id = queue.id AND member.person_id = %(by)s
  WHERE queue.id = %(queue)s AND NOT queue.is_archived
), kept AS MATERIALIZED (
  SELECT job.* FROM works CROSS JOIN LATERAL (
    SELECT ready.id, ready.item_id, ready.rank FROM reviews_job AS ready
    WHERE ready.assigned_to_id = %(by)s AND ready.queue_id = %(queue)s AND ready.state = 'ready'
      AND ready.lane = ANY(%(fallback)s::text[])
      {FOR_HER}
    ORDER BY ready.rank DESC, ready.id
    LIMIT %(wanted)s::int FOR UPDATE SKIP LOCKED
  ) AS job
), turns AS MATERIALIZED (
  SELECT lane, count(*) AS turns FROM (
    SELECT (%(lanes)s::text[])[CASE
      WHEN cardinality(%(lanes)s::text[]) = 1 THEN 1
      ELSE width_bucket(
        mod(nextval(%(turn)s::regclass) * {lanes.STEP}, 1)::float8, %(starts)s::float8[]
      )
    END] AS lane
    FROM works CROSS JOIN generate_series(1, %(wanted)s::int - (SELECT count(*) FROM kept)::int)
  ) AS turn GROUP BY lane
), served AS MATERIALIZED (
  SELECT job.* FROM turns AS lanes
  CROSS JOIN LATERAL ({START}) AS start
  CROSS JOIN LATERAL (
    SELECT ready.id, ready.item_id, ready.rank FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL AND ready.rank <= start.rank
      {FOR_HER}
    ORDER BY ready.rank DESC, ready.id
    LIMIT lanes.turns FOR UPDATE SKIP LOCKED
  ) AS job
), missing AS MATERIALIZED (
  SELECT %(wanted)s::int - (SELECT count(*) FROM kept) - (SELECT count(*) FROM served) AS jobs
  FROM works
), others AS MATERIALIZED (
  SELECT job.* FROM missing
  CROSS JOIN unnest(%(fallback)s::text[]) AS lanes(lane)
  CROSS JOIN LATERAL ({START}) AS start
  CROSS JOIN LATERAL (
    SELECT ready.id, ready.item_id, ready.rank FROM reviews_job AS ready
    WHERE ready.queue_id = %(queue)s AND ready.lane = lanes.lane AND ready.state = 'ready'
      AND ready.assigned_to_id IS NULL AND ready.rank <= start.rank
      AND ready.id <> ALL(ARRAY(SELECT id FROM served))
      {FOR_HER}
    ORDER BY ready.rank DESC, ready.id
    LIMIT missing.jobs FOR UPDATE SKIP LOCKED
  ) AS job
  WHERE missing.jobs > 0
  LIMIT (SELECT greatest(jobs, 0) FROM missing)
), picked AS (
  SELECT id, row_number() OVER (ORDER BY source, rank DESC, id) AS place FROM (
    SELECT DISTINCT ON (item_id) id, source, rank FROM (
      SELECT *, 0 AS source FROM kept
      UNION ALL SELECT *, 1 FROM served
      UNION ALL SELECT *, 2 FROM others
    ) AS found ORDER BY item_id, source, rank DESC, id
  ) AS one_an_item
)
UPDATE reviews_job SET
  state = 'claimed', claim_token = gen_random_uuid(), claimed_by_id = %(by)s,
  claim_slot = (%(slots)s::int[])[picked.place],
  claimed_at = clock_timestamp(), expires_at = clock_timestamp() + %(lease)s::interval,
  attempts = attempts + 1
FROM picked WHERE reviews_job.id = picked.id AND picked.place <= %(wanted)s::int
RETURNING {{columns}}
""",  # noqa: S608
    model=Job,
)

# By primary key and token, as one claim is renewed.
_RENEW = Statement(
    "claims_renew",
    """
UPDATE reviews_job SET expires_at = clock.now + make_interval(secs => reviews_queue.lease_seconds)
FROM reviews_queue, (SELECT clock_timestamp() AS now) AS clock,
  unnest(%(jobs)s::bigint[], %(tokens)s::uuid[]) AS held(job_id, token)
WHERE reviews_job.id = held.job_id AND claim_token = held.token AND claimed_by_id = %(by)s
  AND expires_at > clock_timestamp() AND reviews_queue.id = reviews_job.queue_id
RETURNING reviews_job.id, reviews_job.expires_at
""",
)


def claim_batch(queue: Queue, *, by: Person, size: int) -> list[Job]:
    """Up to `size` jobs of this queue, leased to her: those she holds in it, then new ones.

    In the order of their places, which they keep as long as she holds them. Empty when there is
    nothing for her (shortages.py says why).
    """
    access.check(by, "job.claim", queue.platform_id)
    for _ in range(_TRIES):
        held = claims.live_claims(by)
        here = [job for job in held if job.queue_id == queue.pk]
        slots = _free_slots(held)[: max(size - len(here), 0)]
        guard = claims.guard_for(by, queue, held=held)
        if not slots or not guard.is_open:
            access.check_belongs(by, queue)
            return _in_their_places(here)
        try:
            taken = _claim(queue, by, slots, held, guard)
        except IntegrityError:
            continue  # she claimed in another window at the same moment: look again
        if not taken:
            access.check_works(by, queue)
            if claims.expire_claims():
                continue  # somebody's claim had run out since the last sweep
        return _in_their_places(here + taken)
    raise Conflict(gettext("You are claiming from several windows at once. Try again."))


def renew_batch(tokens: Mapping[int, str], *, by: Person) -> dict[int, datetime]:
    """The heartbeat of a page: {job: token} → {job: when it runs out}. What is missing is lost."""
    access.check(by, "job.claim")
    held = [(job, token) for job, text in tokens.items() if (token := _as_uuid(text)) is not None]
    rows = _RENEW.rows(jobs=[job for job, _ in held], tokens=[one for _, one in held], by=by.pk)
    return dict(rows)


def _claim(
    queue: Queue, by: Person, slots: list[int], held: list[Job], guard: wellness.Guard
) -> list[Job]:
    """Calm jobs first where it is a calm one's turn, then whatever she may be given."""
    values = {
        "queue": queue.pk,
        "by": by.pk,
        "alone": not connection.in_atomic_block,
        "turn": f"reviews_queue_turn_{queue.pk}",
        "lease": timedelta(seconds=queue.lease_seconds),
        **claims.lanes_for(queue, by, None),
    }
    taken: list[Job] = []
    for shunned, unscored in wellness.filters_to_try(queue, guard, values["fallback"]):
        free = slots[len(taken) :]
        if not free:
            break
        values |= {
            "slots": free,
            "wanted": len(free),
            "items": [job.item_id for job in [*held, *taken]],
            "shunned": shunned,
            "unscored": unscored,
        }
        with transaction.atomic():
            taken += _CLAIM.instances(Job, **values)
    for job in taken:
        job.queue = queue
        wellness.note_shown(job, by=by)
    return taken


def _free_slots(held: list[Job]) -> list[int]:
    taken = {job.claim_slot for job in held}
    return [slot for slot in Job.GRID_SLOTS if slot not in taken]


def _in_their_places(jobs: list[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.claim_slot)


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
