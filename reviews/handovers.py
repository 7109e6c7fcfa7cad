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
_STRANDED = Statement(
    "stranded",
    f"""
SELECT job.id, job.item_id, queue.platform_id, EXISTS (
  SELECT FROM reviews_job AS other
  WHERE other.item_id = job.item_id AND other.lane = 'adjudication'
    AND other.state IN ('ready', 'claimed')
) AS is_asked
FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
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

# Kept for somebody who cannot take it: she left, or has answered the item in another job. Or who
# has not until it was due, whatever her reason: some reasons are hers alone to know (wellness.py).
_FREE = f"""
WITH kept AS MATERIALIZED (
  SELECT job.id, queue.platform_id
  FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
  WHERE job.state = 'ready' AND job.assigned_to_id IS NOT NULL
    AND (
      job.due_at < clock_timestamp()
      OR NOT EXISTS ({_SOMEBODY} AND person.id = job.assigned_to_id)
    )
  ORDER BY job.id LIMIT 1000 FOR NO KEY UPDATE OF job SKIP LOCKED
)
UPDATE reviews_job AS job SET assigned_to_id = NULL
FROM kept WHERE job.id = kept.id
RETURNING job.id, kept.platform_id
"""  # noqa: S608


def hand_on(job_ids: Collection[int]) -> int:
    """Those of these ready jobs that no member can take any more go to a lead. Returns how many."""
    with transaction.atomic():
        stranded = _STRANDED.rows(jobs=list(job_ids), lanes=list(_LANES), roles=_roles())
        asked: set[int] = {item for _, item, _, is_asked in stranded if is_asked}
        for pk, item_id, platform_id, _ in stranded:
            if item_id in asked:
                # One lead is enough for an item.
                Job.objects.filter(pk=pk).update(state=Job.State.CANCELLED)
                audit.record("job.cancel", Job(pk=pk), by=None, platform=platform_id)
                continue
            asked.add(item_id)
            _to_lead(Job.objects.select_related("draw").get(pk=pk))
            audit.record("job.hand_on", Job(pk=pk), by=None, platform=platform_id)
    return len(stranded)


def _to_lead(job: Job) -> None:
    """It counts by how the item was drawn; where it came by rank, nothing was left to chance."""
    origin_id = draw_rows.origin_of(job.draw)
    probability = job.inclusion_probability if origin_id else 1.0
    draw = draw_rows.Pending(
        job.queue_id,
        Lane.ADJUDICATION,
        Draw.Strategy.FOLLOWS if origin_id else Draw.Strategy.CERTAINTY,
        0,
        probability=probability,
        pool_size=1,
        follows_id=origin_id,
    )
    Job.objects.filter(pk=job.pk).update(
        lane=Lane.ADJUDICATION, draw_id=draw.set_aside(), inclusion_probability=probability
    )
    draw_rows.write([draw])


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
