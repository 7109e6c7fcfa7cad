"""Jobs that nobody in their queue can take any more: they go to a lead, never out of sight.

What a queue's leads cannot take either stands on the queue's page, and all leads are told. What a
person opted out of (wellness.py) does not count here: nobody is to learn of it.
"""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from . import access, audit, draw_rows, notifications
from .models import (
    Claim,
    Draw,
    Job,
    Lane,
    Notification,
    Person,
    Queue,
    Review,
    Role,
    StrandedJob,
)
from .statements import Statement

# How far into each lane the sweep looks. What nobody can take stays while others are served, so it
# comes to stand there.
_HEAD = 50
# A lead can settle what these ask; an appeal, a gold item or a quality check is another question.
_LANES = ("risk", "random", "learning", "second")

# Those ask of whoever is left what only some may answer, or only who has not seen it.
_OTHER_LANES = ("adjudication", "appeal", "qa", "gold")
_MOST_SHOWN = 50

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


# An adjudication is a lead's to answer; who decided is not asked whether she was right.
_SOMEBODY_ELSE = f"""
  {_SOMEBODY}
    AND (job.lane <> 'adjudication' OR EXISTS (
      SELECT FROM reviews_person_groups AS link JOIN auth_group ON auth_group.id = link.group_id
      WHERE link.person_id = person.id AND auth_group.name = ANY(%(leads)s::text[])
    ))
    AND (job.lane NOT IN ('appeal', 'qa') OR NOT EXISTS (
      SELECT FROM reviews_decision AS own
      WHERE own.item_id = job.item_id AND own.decided_by_id = person.id
    ))
"""  # noqa: S608

_FOR_NOBODY = f"""
INSERT INTO reviews_strandedjob (job_id)
SELECT job.id FROM reviews_queue AS queue
CROSS JOIN unnest(%(lanes)s::text[]) AS lanes(lane)
CROSS JOIN LATERAL (
  SELECT ready.id, ready.item_id, ready.lane FROM reviews_job AS ready
  WHERE ready.queue_id = queue.id AND ready.lane = lanes.lane AND ready.state = 'ready'
    AND ready.assigned_to_id IS NULL
    AND (ready.run_after IS NULL OR ready.run_after <= clock_timestamp())
  ORDER BY ready.rank DESC, ready.id LIMIT %(head)s
) AS job
WHERE NOT queue.is_archived
  AND EXISTS (SELECT FROM reviews_queue_members AS member WHERE member.queue_id = queue.id)
  AND NOT EXISTS ({_SOMEBODY_ELSE})
ON CONFLICT DO NOTHING
RETURNING job_id
"""  # noqa: S608

_SOMEBODY_AGAIN = f"""
DELETE FROM reviews_strandedjob AS stranded
USING reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
WHERE job.id = stranded.job_id
  AND (job.state <> 'ready' OR queue.is_archived OR EXISTS ({_SOMEBODY_ELSE}))
"""  # noqa: S608


class Stranded(NamedTuple):
    """A job for nobody, and how many have skipped it or answered its item."""

    job: Job
    skipped: int
    answered: int


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
        _tell(Job.objects.filter(pk__in=[pk for pk, *_rest in stranded]).ready(), handed_on=True)
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
    handed_on = hand_on(stranded) if stranded else 0
    _find_stranded()
    return len(freed) + handed_on


def for_nobody(queue: Queue) -> list[Stranded]:
    """Those of this queue that the sweep found, the longest waiting first."""
    jobs = list(
        Job.objects.ready()
        .filter(queue=queue, pk__in=StrandedJob.objects.values("job"))
        .select_related("item__kind", "item__account")
        .order_by("created_at", "pk")[:_MOST_SHOWN]
    )
    if not jobs:
        return []
    skips = Claim.objects.filter(job__in=jobs, end=Claim.End.SKIPPED)
    reviews = Review.objects.filter(item__in=[job.item_id for job in jobs])
    skipped = _people_by(skips, "job")
    answered = _people_by(reviews, "item")
    return [Stranded(job, skipped.get(job.pk, 0), answered.get(job.item_id, 0)) for job in jobs]


def _find_stranded() -> None:
    """Keep what nobody may be given, and tell of what is new; forget what somebody may again."""
    roles = {"roles": _roles(), "leads": [str(Role.LEAD)]}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_SOMEBODY_AGAIN, roles)
        cursor.execute(_FOR_NOBODY, {**roles, "lanes": list(_OTHER_LANES), "head": _HEAD})
        found = [pk for (pk,) in cursor.fetchall()]
        _tell(Job.objects.filter(pk__in=found), handed_on=False)


def _tell(jobs: QuerySet[Job], *, handed_on: bool) -> None:
    """What was handed on is served to the leads who work the queue. What is for nobody is for every
    lead of the platform to settle."""
    counts = Counter(jobs.values_list("queue", flat=True))
    for queue in Queue.objects.filter(pk__in=counts):
        leads = Person.objects.filter(
            groups__name=Role.LEAD, platforms=queue.platform_id, is_active=True
        )
        if handed_on:
            leads = leads.filter(queues=queue)
        notifications.tell(
            list(leads),
            Notification.Sort.STRANDED,
            by=None,
            platform=queue.platform_id,
            queue=queue,
            count=counts[queue.pk],
            is_handed_on=handed_on,
        )


def _people_by(rows: QuerySet, of: str) -> dict[int, int]:
    return dict(
        rows.order_by().values(of).annotate(n=Count("reviewer", distinct=True)).values_list(of, "n")
    )


def _roles() -> list[str]:
    return sorted(str(role) for role in access.GRANTS["job.claim"].roles)


def _record(verb: str, rows: Collection[tuple[int, int]]) -> None:
    """By nobody: the system itself."""
    for platform in {platform for _, platform in rows}:
        jobs = [Job(pk=pk) for pk, of in rows if of == platform]
        audit.record_many(verb, jobs, by=None, platform=platform)
