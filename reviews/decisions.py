"""The one row everything follows from: a review becomes a decision, which may be superseded.

Each function here first locks the item, then touches jobs: intake does the same, so an edit and an
answer never pass each other unseen, and never wait for each other in a circle.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction

from . import access, audit, claims, enforcement
from .errors import Conflict, Invalid
from .models import (
    Action,
    Decision,
    Finding,
    Item,
    ItemVersion,
    Job,
    Lane,
    Person,
    PolicyVersion,
    Queue,
    Review,
    Verdict,
)
from .ranking import UNDONE_LIFT
from .signals import decision_recorded

_SETTLING = (Verdict.VIOLATING, Verdict.CLEAN)
_NOTE_LENGTH = 10_000


def record_review(
    job_id: int,
    token: uuid.UUID | str,
    *,
    by: Person,
    verdict: str,
    policy_slugs: Collection[str] = (),
    action_slugs: Collection[str] | None = None,
    note: str = "",
    active_seconds: float = 0.0,
    item_version_id: int | None = None,
    score_shown: bool = True,
) -> Decision | None:
    """One reviewer's answer on the claim she holds; all of it or nothing.

    Violating and clean settle the item and return the decision. Unsure asks somebody else for a
    second opinion, escalate (and a second unsure) asks a lead; both return None.
    `action_slugs=None` takes the queue's first action for a violation. `item_version_id` is what
    she read; without it, what was current when she claimed. Raises ClaimLost, Conflict, Invalid.
    """
    verdict = _as_verdict(verdict)
    with transaction.atomic():
        access.check(by, "review.record")
        job = access.get_held_job(by, job_id)
        item, version = _lock(job.item_id)
        claim = claims.finish(job_id, token, by=by)
        _check_seen(version, item_version_id, claimed_at=claim.claimed_at)
        note = _clean_note(note, required=job.queue.note_required)
        policies = _policies_in_force(job.queue)
        violated = _violated(policies, verdict, policy_slugs)
        actions = _actions(job.queue, item, verdict, action_slugs)
        review = Review.objects.create(
            job=job,
            claim_id=claim.claim_id,
            item=item,
            item_version=version,
            reviewer=by,
            verdict=verdict,
            note=note,
            active_seconds=_as_seconds(active_seconds),
            score_shown=score_shown,
            created_at=claim.at,
        )
        if verdict in _SETTLING:
            decision = _conclude(review, policies, violated, actions)
        else:
            decision = None
            _ask_somebody_else(job, verdict)
        audit.record(
            "review.record",
            review,
            by=by,
            platform=item.platform_id,
            item=item.pk,
            queue=job.queue.slug,
            verdict=verdict,
            policies=[version.policy.slug for version in violated],
            actions=[action.slug for action in actions],
            **({"decision": decision.pk} if decision else {}),
        )
        if decision:
            decision_recorded.send(sender=Decision, decision=decision)
    return decision


def undo(decision: Decision, *, by: Person) -> Job:
    """She takes her own decision back while its window is open, and gets the item again."""
    access.check_undo(by, decision)
    with transaction.atomic():
        item, _ = _lock(decision.item_id)
        _check_stands(decision)
        now = claims.clock()
        if not decision.can_be_undone(now):
            raise Conflict(_window_closed(decision))
        withdrawn = Decision.objects.create(
            kind=Decision.Kind.UNDO,
            verdict=None,
            supersedes=decision,
            decided_by=by,
            decided_at=now,
            job_id=decision.job_id,
            queue_id=decision.queue_id,
            item_id=decision.item_id,
            item_version_id=decision.item_version_id,
            risks=item.risks,
            risk_source=item.risk_source,
        )
        enforcement.reverse_all(decision, by=by)
        job = _open_again(decision.job, by=by)
        audit.record(
            "decision.undo", withdrawn, by=by, platform=item.platform_id, supersedes=decision.pk
        )
        decision_recorded.send(sender=Decision, decision=withdrawn)
    return job


def override(
    decision: Decision,
    *,
    by: Person,
    verdict: str,
    policy_slugs: Collection[str] = (),
    action_slugs: Collection[str] | None = None,
    note: str,
) -> Decision:
    """A lead decides otherwise: supersedes the standing decision, its actions and its strikes."""
    access.check_override(by, decision)
    verdict = _as_verdict(verdict)
    if verdict not in _SETTLING:
        raise Invalid("Decide violating or clean.", details={"verdict": "violating or clean"})
    with transaction.atomic():
        item, _ = _lock(decision.item_id)
        _check_stands(decision)
        if decision.kind == Decision.Kind.UNDO:
            raise Conflict("This decision was taken back; there is nothing to override.")
        note = _clean_note(note, required=True)
        policies = _policies_in_force(decision.queue)
        violated = _violated(policies, verdict, policy_slugs)
        actions = _actions(decision.queue, item, verdict, action_slugs)
        now = claims.clock()
        new = _decide(
            item,
            violated,
            actions,
            kind=Decision.Kind.OVERRIDE,
            verdict=verdict,
            supersedes=decision,
            decided_by=by,
            decided_at=now,
            undo_until=_undo_until(decision.queue, now),
            job_id=decision.job_id,
            queue_id=decision.queue_id,
            item_version_id=decision.item_version_id,
            note=note,
        )
        audit.record(
            "decision.override",
            new,
            by=by,
            platform=item.platform_id,
            supersedes=decision.pk,
            verdict=verdict,
            policies=[version.policy.slug for version in violated],
            actions=[action.slug for action in actions],
        )
        decision_recorded.send(sender=Decision, decision=new)
    return new


def _conclude(
    review: Review,
    policies: list[PolicyVersion],
    violated: list[PolicyVersion],
    actions: list[Action],
) -> Decision:
    """One settling review is enough to decide; whatever stood for the item is superseded."""
    breached = {version.pk for version in violated}
    Finding.objects.bulk_create(
        Finding(review=review, policy_version=version, violates=version.pk in breached)
        for version in policies
    )
    queue = review.job.queue
    return _decide(
        review.item,
        violated,
        actions,
        kind=Decision.Kind.SETTLED,
        verdict=review.verdict,
        supersedes=Decision.objects.current().filter(item=review.item).first(),
        decided_by=review.reviewer,
        decided_at=review.created_at,
        undo_until=_undo_until(queue, review.created_at),
        job=review.job,
        queue=queue,
        review=review,
        item_version=review.item_version,
        note=review.note,
    )


def _decide(
    item: Item, violated: list[PolicyVersion], actions: list[Action], **values: object
) -> Decision:
    decision = Decision.objects.create(
        item=item, risks=item.risks, risk_source=item.risk_source, **values
    )
    Violated = Decision.policy_versions.through
    Violated.objects.bulk_create(
        Violated(decision=decision, policyversion=version) for version in violated
    )
    enforcement.plan(decision, actions)
    return decision


def _ask_somebody_else(job: Job, verdict: str) -> Job:
    """A job for another person; it keeps the first one's place and how it was drawn."""
    if job.lane == Lane.ADJUDICATION:
        raise Invalid(
            "Somebody has to settle this item: decide violating or clean, or release it.",
            details={"verdict": "violating or clean"},
        )
    is_second_doubt = job.lane == Lane.SECOND and verdict == Verdict.UNSURE
    to_lead = verdict == Verdict.ESCALATE or is_second_doubt
    return _copy(job, lane=Lane.ADJUDICATION if to_lead else Lane.SECOND)


def _open_again(job: Job, *, by: Person) -> Job:
    """A job for the item of `job` whose answer was taken back: hers if she has a place for it."""
    waiting = Job.objects.open().filter(item=job.item_id).select_related("queue").first()
    if waiting is None:
        rank = job.rank if job.rank > UNDONE_LIFT / 2 else job.rank + UNDONE_LIFT
        waiting = _copy(job, rank=rank)
    elif waiting.lane == Lane.ADJUDICATION:
        return waiting  # a lead has been asked meanwhile
    return claims.claim_job(waiting, by=by) or waiting


def _copy(job: Job, **values: object) -> Job:
    return Job.objects.create(
        **{
            "item_id": job.item_id,
            "queue": job.queue,
            "lane": job.lane,
            "rank": job.rank,
            "harm": job.harm,
            "due_at": job.due_at,
            "is_overdue": job.is_overdue,
            "draw_id": job.draw_id,
            "inclusion_probability": job.inclusion_probability,
            **values,
        }
    )


def _lock(item_id: int) -> tuple[Item, ItemVersion]:
    """The item, held until the end of the transaction, and its version as it stands."""
    item = Item.objects.select_for_update(no_key=True).get(pk=item_id)
    return item, item.current_version


def _check_seen(version: ItemVersion, seen_id: int | None, *, claimed_at: datetime) -> None:
    if seen_id is None and version.created_at <= claimed_at:
        return
    if seen_id == version.pk:
        return
    raise Conflict(
        "This message was edited while you were reading. Here is the new version.",
        details={"item_version": version.pk},
    )


def _check_stands(decision: Decision) -> None:
    """Under the item's lock, so that the second of two at once sees the first."""
    if Decision.objects.filter(supersedes=decision).exists():
        raise Conflict("This decision was already superseded. Look at the one that stands now.")


def _policies_in_force(queue: Queue) -> list[PolicyVersion]:
    rows = PolicyVersion.objects.in_force().filter(policy__queues=queue)
    return list(rows.select_related("policy"))


def _violated(
    policies: list[PolicyVersion], verdict: str, slugs: Iterable[str]
) -> list[PolicyVersion]:
    by_slug = {version.policy.slug: version for version in policies}
    chosen = list(dict.fromkeys(slugs))
    unknown = [slug for slug in chosen if slug not in by_slug]
    if unknown:
        raise Invalid(
            f"This queue does not judge: {', '.join(unknown)}.",
            details={"policies": f"not of this queue: {', '.join(unknown)}"},
        )
    if verdict == Verdict.VIOLATING and not chosen:
        raise Invalid("Say which policy it violates.", details={"policies": "choose at least one"})
    if verdict != Verdict.VIOLATING and chosen:
        raise Invalid(
            "Only a violating item violates a policy.",
            details={"policies": f"none with the verdict {verdict}"},
        )
    return [by_slug[slug] for slug in chosen]


def _actions(queue: Queue, item: Item, verdict: str, slugs: Collection[str] | None) -> list[Action]:
    if verdict != Verdict.VIOLATING:
        if slugs:
            raise Invalid(
                "Only a violating item is acted on.",
                details={"actions": f"none with the verdict {verdict}"},
            )
        return []
    offered = {action.slug: action for action in queue.actions.all()}
    if item.account_id is None:
        offered = {s: one for s, one in offered.items() if one.target != Action.Target.ACCOUNT}
    if slugs is None:
        return list(offered.values())[:1]
    unknown = [slug for slug in slugs if slug not in offered]
    if unknown:
        raise Invalid(
            f"This queue cannot do this here: {', '.join(unknown)}.",
            details={"actions": f"not offered for this item: {', '.join(unknown)}"},
        )
    return [offered[slug] for slug in dict.fromkeys(slugs)]


def _as_verdict(verdict: str) -> str:
    if verdict not in Verdict.values:
        raise Invalid(
            "Choose a verdict.", details={"verdict": f"one of {', '.join(Verdict.values)}"}
        )
    return str(verdict)


def _clean_note(note: str, *, required: bool) -> str:
    # PostgreSQL's text cannot hold a NUL.
    note = note.replace("\x00", "\ufffd").strip()
    if required and not note:
        raise Invalid("Say why, in the note.", details={"note": "required here"})
    if len(note) > _NOTE_LENGTH:
        raise Invalid(
            f"The note is too long ({len(note):,} characters of {_NOTE_LENGTH:,}).",
            details={"note": f"at most {_NOTE_LENGTH:,} characters"},
        )
    return note


def _as_seconds(active_seconds: float) -> float:
    """What the browser counted, made harmless: never negative, NaN, or more than a day."""
    return min(max(active_seconds, 0.0), 86_400.0) if active_seconds == active_seconds else 0.0


def _undo_until(queue: Queue, now: datetime) -> datetime:
    return now + timedelta(seconds=queue.undo_seconds)


def _window_closed(decision: Decision) -> str:
    if decision.kind == Decision.Kind.UNDO:
        return "This is an undo already."
    return "The time to undo is over. A lead can override this decision."
