"""Jobs that a lead keeps for one person: served to her first, and to nobody else."""

from collections.abc import Collection

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from . import access, audit, notifications
from .errors import Conflict, Invalid, NotFound
from .models import Job, Lane, Notification, Person, Platform, Queue

# Locked in the order of their ids, as everywhere.
_WAITING = """
SELECT job.id, job.queue_id, job.lane, job.assigned_to_id, queue.platform_id,
  EXISTS (
    SELECT FROM reviews_review AS own
    WHERE own.item_id = job.item_id AND own.reviewer_id = %(to)s
  ) AS has_answered,
  EXISTS (
    SELECT FROM reviews_claim AS own
    WHERE own.job_id = job.id AND own.reviewer_id = %(to)s AND own."end" = 'skipped'
  ) AS has_skipped,
  job.lane IN ('appeal', 'qa', 'second') AND EXISTS (
    SELECT FROM reviews_decision AS own
    WHERE own.item_id = job.item_id AND own.decided_by_id = %(to)s
  ) AS is_her_decision
FROM reviews_job AS job JOIN reviews_queue AS queue ON queue.id = job.queue_id
WHERE job.id = ANY(%(jobs)s::bigint[]) AND job.state = 'ready'
ORDER BY job.id FOR NO KEY UPDATE OF job
"""


def assign(job_ids: Collection[int], *, to: Person | None, by: Person) -> int:
    """Keep these waiting jobs for `to`; None frees them. Returns how many changed hands.

    All of one platform. Jobs that wait no more are passed over, and so are those she cannot take
    (`unassignable` says why); Invalid if she could take none, or does not work their queue.
    """
    access.check(by, "job.manage")
    with transaction.atomic():
        jobs = _waiting(job_ids, to)
        platform = _platform_of(jobs, by)
        if to is not None:
            check_works(to, {job.queue_id for job in jobs})
        refused = _refusals(jobs, to)
        person = to.pk if to else None
        moving = [j.pk for j in jobs if j.pk not in refused and j.assigned_to_id != person]
        if refused and len(refused) == len(jobs):
            raise Invalid(
                _("%(to)s can take none of these: %(refused)s.")
                % {"to": to, "refused": _in_words(refused)},
                details={"to": sorted(set(refused.values()))},
            )
        Job.objects.filter(pk__in=moving).update(assigned_to=to)
        if moving:
            data = {"count": len(moving), "jobs": moving, "refused": len(refused)}
            if to is not None:
                data["to"] = to.username
            verb = "job.assign" if to else "job.unassign"
            audit.record(verb, Platform(pk=platform), by=by, platform=platform, **data)
            if to is not None:
                queues = {job.queue_id for job in jobs if job.pk in moving}
                notifications.tell(
                    [to],
                    Notification.Sort.ASSIGNED,
                    by=by,
                    platform=platform,
                    queue=queues.pop() if len(queues) == 1 else None,
                    count=len(moving),
                )
    return len(moving)


def unassignable(job_ids: Collection[int], *, to: Person, by: Person) -> dict[int, str]:
    """Which of these waiting jobs she cannot take, and why: job id → reason."""
    access.check(by, "job.manage")
    with transaction.atomic():
        jobs = _waiting(job_ids, to)
        _platform_of(jobs, by)
        return _refusals(jobs, to)


def refusals(job_ids: Collection[int], *, to: Person) -> dict[int, str]:
    """The same for a caller who has asked who may, and holds the jobs."""
    return _refusals(_waiting(job_ids, to), to)


def _waiting(job_ids: Collection[int], to: Person | None) -> list[Job]:
    values = {"jobs": sorted(set(job_ids)), "to": to.pk if to else None}
    jobs = []
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, values)
        for pk, queue_id, lane, assigned_to_id, platform_id, *why in cursor.fetchall():
            job = Job(pk=pk, queue_id=queue_id, lane=lane, assigned_to_id=assigned_to_id)
            job.platform_id = platform_id
            job.has_answered, job.has_skipped, job.is_her_decision = why
            jobs.append(job)
    return jobs


def _platform_of(jobs: Collection[Job], by: Person) -> int:
    platforms = {job.platform_id for job in jobs}
    if not platforms:
        raise Conflict(_("None of these jobs waits any more."))
    for platform in platforms:
        if not access.is_on_platform(by, platform):
            raise NotFound(_("There is no such job here."))
    if len(platforms) > 1:
        raise Invalid(_("Assign the jobs of one platform at a time."))
    return platforms.pop()


def check_works(to: Person, queue_ids: Collection[int]) -> None:
    """Invalid unless all of these queues are hers to work."""
    hers = set(access.queues_to_work(to).filter(pk__in=queue_ids).values_list("pk", flat=True))
    others = Queue.objects.filter(pk__in=set(queue_ids) - hers).order_by("position", "pk")
    names = _(" and ").join(others.values_list("name", flat=True))
    if names:
        message = _("%(to)s does not work %(names)s. Add her to the queue first.") % {
            "to": to,
            "names": names,
        }
        raise Invalid(message, details={"to": [message]})


def _refusals(jobs: Collection[Job], to: Person | None) -> dict[int, str]:
    if to is None:
        return {}
    adjudicates = access.may(to, "job.adjudicate")
    reasons = {}
    for job in jobs:
        if job.has_answered:
            reasons[job.pk] = noop("answered by her before")
        elif job.has_skipped:
            reasons[job.pk] = noop("skipped by her before")
        elif job.is_her_decision:
            reasons[job.pk] = noop("decided by herself")
        elif job.lane == Lane.ADJUDICATION and not adjudicates:
            reasons[job.pk] = noop("for a lead to settle")
    return reasons


def _in_words(refused: dict[int, str]) -> str:
    return ", ".join(dict.fromkeys(refused.values()))
