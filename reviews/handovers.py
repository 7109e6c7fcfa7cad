"""Jobs that nobody in their queue can take any more: they go to a lead, never out of sight."""

from collections.abc import Collection

from django.db import connection, transaction

from . import access, audit, draw_rows
from .models import Draw, Job, Lane
from .statements import Statement

# How far into each lane the sweep looks. What nobody can take stays while others are served, so it
# comes to stand there.
_HEAD = 50
# A lead can settle what these ask; an appeal, a gold item or a quality check is another question.
_LANES = ("risk", "random", "learning", "second")

# Who works the queue and has neither answered the item nor skipped the job.
_SOMEBODY = """
  SELECT FROM reviews_queue_members AS member
  JOIN reviews_person AS person ON person.id = member.person_id AND person.is_active
  JOIN reviews_platform_members AS belongs
    ON belongs.person_id = person.id AND belongs.platform_id = queue.platform_id
  WHERE member.queue_id = queue.id
    AND EXISTS (
      SELECT FROM reviews_person_groups AS link JOIN auth_group ON auth_group.id = link.group_id
      WHERE link.person_id = person.id AND auth_group.name = ANY(%(roles)s::text[])
    )
    AND NOT EXISTS (
      SELECT FROM reviews_review AS own
      WHERE own.item_id = job.item_id AND own.reviewer_id = person.id
    )
    AND NOT EXISTS (
      SELECT FROM reviews_claim AS own
      WHERE own.job_id = job.id AND own.reviewer_id = person.id AND own."end" = 'skipped'
    )
"""

# A queue without people is short of people; its jobs have been seen by nobody, and stay.
_HAND_ON = Statement(
    "hand_on",
    f"""
WITH stranded AS MATERIALIZED (
  SELECT job.id, job.item_id, queue.platform_id,
    -- draw_rows.origin_of() in SQL
    CASE WHEN draw.lane IN ('second', 'adjudication') THEN draw.follows_id ELSE draw.id END
      AS origin_id
  FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
  LEFT JOIN reviews_draw AS draw ON draw.id = job.draw_id
  WHERE job.id = ANY(%(jobs)s::bigint[]) AND job.state = 'ready' AND job.assigned_to_id IS NULL
    AND job.lane = ANY(%(lanes)s::text[])
    AND NOT EXISTS ({_SOMEBODY})
    AND (
      EXISTS (SELECT FROM reviews_review AS seen WHERE seen.item_id = job.item_id)
      OR EXISTS (
        SELECT FROM reviews_claim AS seen WHERE seen.job_id = job.id AND seen."end" = 'skipped'
      )
    )
  ORDER BY job.id FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE reviews_job AS job SET
  lane = CASE WHEN asked.already THEN job.lane ELSE 'adjudication' END,
  state = CASE WHEN asked.already THEN 'cancelled' ELSE job.state END,
  draw_id = CASE WHEN asked.already THEN job.draw_id
    ELSE nextval(pg_get_serial_sequence('reviews_draw', 'id')) END,
  inclusion_probability = CASE WHEN asked.already OR stranded.origin_id IS NOT NULL
    THEN job.inclusion_probability ELSE 1 END
FROM stranded CROSS JOIN LATERAL (
  -- One lead is enough for an item: of several jobs the first is handed on.
  SELECT EXISTS (
    SELECT FROM reviews_job AS other
    WHERE other.item_id = stranded.item_id AND other.lane = 'adjudication'
      AND other.state IN ('ready', 'claimed')
  ) OR EXISTS (
    SELECT FROM stranded AS sooner
    WHERE sooner.item_id = stranded.item_id AND sooner.id < stranded.id
  ) AS already
) AS asked
WHERE job.id = stranded.id
RETURNING job.id, job.state, stranded.platform_id, job.queue_id, job.draw_id, stranded.origin_id,
  job.inclusion_probability
""",  # noqa: S608
)

_HEADS = f"""
SELECT job.id FROM reviews_queue AS queue
CROSS JOIN unnest(%(lanes)s::text[]) AS lanes(lane)
CROSS JOIN LATERAL (
  SELECT ready.id, ready.item_id FROM reviews_job AS ready
  WHERE ready.queue_id = queue.id AND ready.lane = lanes.lane AND ready.state = 'ready'
    AND ready.assigned_to_id IS NULL
  ORDER BY ready.rank DESC, ready.id LIMIT %(head)s
) AS job
WHERE NOT queue.is_archived AND NOT EXISTS ({_SOMEBODY})
"""  # noqa: S608

# Kept for somebody who cannot take it: she left, or has answered the item in another job.
_FREE = f"""
WITH kept AS MATERIALIZED (
  SELECT job.id, queue.platform_id
  FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
  WHERE job.state = 'ready' AND job.assigned_to_id IS NOT NULL
    AND NOT EXISTS ({_SOMEBODY} AND person.id = job.assigned_to_id)
  ORDER BY job.id LIMIT 1000 FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE reviews_job AS job SET assigned_to_id = NULL
FROM kept WHERE job.id = kept.id
RETURNING job.id, kept.platform_id
"""  # noqa: S608


def hand_on(job_ids: Collection[int]) -> int:
    """Those of these ready jobs that no member can take any more go to a lead. Returns how many."""
    with transaction.atomic():
        handed = _HAND_ON.rows(jobs=list(job_ids), lanes=list(_LANES), roles=_roles())
        draw_rows.write(
            draw_rows.Pending(
                queue_id,
                Lane.ADJUDICATION,
                Draw.Strategy.FOLLOWS if origin_id else Draw.Strategy.CERTAINTY,
                0,
                probability=probability,
                pool_size=1,
                follows_id=origin_id,
                id=draw_id,
            )
            for _, state, _, queue_id, draw_id, origin_id, probability in handed
            if state == Job.State.READY
        )
        for verb, now in (("job.hand_on", Job.State.READY), ("job.cancel", Job.State.CANCELLED)):
            _record(verb, [(pk, platform) for pk, state, platform, *_ in handed if state == now])
    return len(handed)


def sweep() -> int:
    """Sweep: what people who left, or a lead's assignment, keep from being served at all."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FREE, {"roles": _roles()})
        freed = cursor.fetchall()
        _record("job.unassign", freed)
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, {"lanes": list(_LANES), "roles": _roles(), "head": _HEAD})
        stranded = [pk for (pk,) in cursor.fetchall()]
    return len(freed) + (hand_on(stranded) if stranded else 0)


def _roles() -> list[str]:
    return sorted(str(role) for role in access.GRANTS["job.claim"].roles)


def _record(verb: str, rows: Collection[tuple[int, int]]) -> None:
    """By nobody: the system itself."""
    for platform in {platform for _, platform in rows}:
        jobs = [Job(pk=pk) for pk, of in rows if of == platform]
        audit.record_many(verb, jobs, by=None, platform=platform)
