"""Asking other people: a second opinion, a lead's word, and checks of what already stands."""

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _

from . import access, claims, draw_rows, handovers, placement, rounds
from .answers import SETTLING
from .errors import Invalid
from .models import Decision, Draw, Job, Lane, Person, PolicyVersion, Queue, Verdict
from .ranking import UNDONE_LIFT
from .situations import Situation


def ask_somebody_else(
    now: Situation, verdict: str, *, to: str = "", by: Person
) -> dict[str, object]:
    """A job for another person; it keeps the first one's place and how it was drawn. Escalated, it
    goes to the leads of the queue `to`. What the audit says of it."""
    if now.lane == Lane.ADJUDICATION:
        raise Invalid(
            _("Somebody has to settle this item: decide violating or clean, or release it."),
            details={"verdict": _("violating or clean")},
        )
    to_lead = verdict == Verdict.ESCALATE or _is_second_doubt(now)
    job = Job.objects.select_related("draw").get(pk=now.job_id)
    if not to_lead:
        _ask_second(job)
        return {}
    queue = None
    if to and to != now.queue and verdict == Verdict.ESCALATE:
        queue = access.get_queue_to_escalate_to(by, now.platform_id, to)
    _ask(job, Lane.ADJUDICATION, after=job, queue=queue)
    return {"escalated_to": queue.slug} if queue is not None else {}


def _ask_second(job: Job) -> Job:
    """A job for another person, or for a lead where there is no other to ask."""
    second = _ask(job, Lane.SECOND, after=job)
    handovers.hand_on([second.pk])
    return second


def _is_second_doubt(now: Situation) -> bool:
    if now.reviews_wanted == 1:
        return now.lane == Lane.SECOND
    return sum(given.verdict == Verdict.UNSURE for given in rounds.given(now)) > 1


def settle_together(now: Situation, *, by: Person) -> rounds.Settled | None:
    """After one of several independent answers: ask for the next, or say what they come to."""
    given = rounds.settling(now)
    job = Job.objects.select_related("draw").get(pk=now.job_id)
    if not given or rounds.was_settled_since(now, job):
        return None  # it came late: kept as an answer, and nobody else is bothered
    waiting = Job.objects.open().filter(item=now.item_id, lane=Lane.SECOND).count()
    missing = now.reviews_wanted - len(given)
    if missing > 0:
        for _turn in range(missing - waiting):
            _ask_second(job)
        return None
    settled = rounds.outcome(given, by=by)
    if settled is None:
        _ask(job, Lane.ADJUDICATION, after=job)
        return None
    cancel_waiting(now, lanes=[Lane.SECOND])
    return settled


def hold_against_what_stands(
    now: Situation, verdict: str, violated: dict[str, int]
) -> dict[str, object]:
    """An answer that checks changes nothing by itself; a lead is asked where it disagrees with the
    decision on the text it was about. What it says of the two, for the audit."""
    if now.lane != Lane.QA or now.standing_id is None:
        return {}
    standing = (
        Decision.objects.select_related("job__draw")
        .filter(pk=now.standing_id, item_version=now.version_id, verdict__in=SETTLING)
        .first()
    )
    if standing is None:
        return {}  # taken back or edited meanwhile: it will be decided anew in any case
    judged = PolicyVersion.objects.filter(pk__in=violated.values())
    agrees = verdict == standing.verdict and set(judged.values_list("policy", flat=True)) == set(
        standing.policy_versions.values_list("policy", flat=True)
    )
    if not agrees and not _is_asked(now.item_id):
        # What a lead settles is about the item, so it counts by how the item was drawn.
        _ask(Job.objects.get(pk=now.job_id), Lane.ADJUDICATION, after=standing.job)
    return {"checks": standing.pk, "agrees": agrees}


def open_again(job: Job, *, by: Person | None) -> Job:
    """A job for the item of `job` whose answer was taken back: hers if she has a place for it."""
    waiting = (
        Job.objects.open()
        .filter(item=job.item_id)
        .exclude(lane__in=Lane.checking())
        .select_related("queue")
        .first()
    )
    if waiting is None:
        rank = job.rank if job.rank > UNDONE_LIFT / 2 else job.rank + UNDONE_LIFT
        waiting = _copy(job, rank=rank)
    elif waiting.lane == Lane.ADJUDICATION:
        return waiting  # a lead has been asked meanwhile
    if by is None:
        return waiting
    return claims.claim_job(waiting, by=by, takes_back=True) or waiting


def cancel_waiting(now: Situation, *, lanes: Collection[str]) -> int:
    """Nobody need look any more: what others were asked is settled."""
    waiting = Job.objects.ready().filter(item=now.item_id, lane__in=lanes)
    return waiting.update(state=Job.State.CANCELLED)


def _is_asked(item_id: int) -> bool:
    return Job.objects.open().filter(item=item_id, lane=Lane.ADJUDICATION).exists()


def _ask(job: Job, lane: Lane, *, after: Job, queue: Queue | None = None) -> Job:
    """A job in the place of `job`, which is certain to be there once `after` has been drawn; in
    another queue if one is named, and then with that queue's rank and time to answer.

    So it has the inclusion probability of `after`; where that came by rank, there is none to speak
    of, and 1 says that asking left nothing to chance.
    """
    origin_id = draw_rows.origin_of(after.draw)
    probability = after.inclusion_probability if origin_id else 1.0
    queue_id = job.queue_id if queue is None else queue.pk
    place: dict[str, Any] = {}
    if queue is not None:
        place = placement.place_asked(job.item_id, queue)
        place["rank"] += job.raised + (UNDONE_LIFT if job.rank > UNDONE_LIFT / 2 else 0)
    draw = draw_rows.Pending(
        queue_id,
        lane,
        Draw.Strategy.FOLLOWS if origin_id else Draw.Strategy.CERTAINTY,
        0,
        probability=probability,
        pool_size=1,
        follows_id=origin_id,
    )
    asked = _copy(
        job,
        queue_id=queue_id,
        lane=lane,
        draw_id=draw.set_aside(),
        inclusion_probability=probability,
        **place,
    )
    draw_rows.write([draw])
    return asked


def _copy(job: Job, **values: object) -> Job:
    return Job.objects.create(
        **{
            "item_id": job.item_id,
            "queue_id": job.queue_id,
            "lane": job.lane,
            "rank": job.rank,
            "raised": job.raised,
            "is_pinned": job.is_pinned,
            "harm": job.harm,
            "due_at": job.due_at,
            "is_overdue": job.is_overdue,
            "is_soon": job.is_soon,
            "lift_at": job.lift_at,
            "draw_id": job.draw_id,
            "inclusion_probability": job.inclusion_probability,
            **values,
        }
    )
