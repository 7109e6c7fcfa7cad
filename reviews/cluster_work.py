"""One answer for chosen members of a cluster: each has a claim, a review, a decision of its own.

The answers are rows before the first is given, so that what a crash leaves is gone on with. What
cannot be decided together is skipped and says why; what measures something is never decided so.
"""

import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

from celery import current_app
from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from . import access, audit, claims, decisions
from .cluster_reach import Answer, Radius, Seen, checked, measure_radius, obstacles
from .errors import Conflict, DomainError, Invalid
from .models import (
    Action,
    Cluster,
    ClusterAnswer,
    ClusterOperation,
    Item,
    Job,
    Person,
    Verdict,
)
from .wording import kept

logger = logging.getLogger(__name__)

AT_ONCE = 100  # more are a worker's to answer, with progress
MAX_ATTEMPTS = 3
# An answer waits so long for a free place of hers.
PLACE_WAIT = timedelta(minutes=10)

State = ClusterAnswer.State


def decide_members(
    cluster: Cluster,
    seen: Sequence[Seen],
    answer: Answer,
    *,
    by: Person,
    token: uuid.UUID,
) -> ClusterOperation:
    """Give this answer for each of these members, as she saw them. Once for its token.

    Up to AT_ONCE are answered before this returns; more are left to a worker. Raises Conflict when
    she has no place free to claim with.
    """
    access.check(by, "cluster.decide", cluster.platform_id)
    answer = checked(answer)
    known = ClusterOperation.objects.filter(token=token).first()
    if known is not None:
        return _same(known, by)
    radius = measure_radius(cluster, seen, answer, by=by)
    if not radius.decided:
        raise Conflict(
            _("None of these can be decided together any more. Look at the cluster again.")
        )
    if len(claims.live_claims(by)) >= Job.MAX_CLAIMS:
        raise Conflict(
            _(
                "You already hold two jobs, and each member is claimed before it is answered. "
                "Answer, skip or release one first."
            )
        )
    with transaction.atomic():
        operation, is_new = ClusterOperation.objects.get_or_create(
            token=token,
            defaults={
                "cluster": cluster,
                "platform_id": cluster.platform_id,
                "verdict": answer.verdict,
                "policies": list(answer.policy_slugs),
                "actions": list(answer.action_slugs),
                "note": answer.note,
                "radius": radius.as_json(),
                "by": by,
            },
        )
        if not is_new:
            return _same(operation, by)
        ids = {item.pk for item in _known(radius)}
        ClusterAnswer.objects.bulk_create(
            ClusterAnswer(operation=operation, item_id=one.item_id, item_version_id=one.version_id)
            for one in sorted(set(seen))
            if one.item_id in ids
        )
        audit.record(
            "cluster.decide",
            operation,
            by=by,
            platform=cluster.platform_id,
            cluster=cluster.pk,
            count=len(ids),
            verdict=answer.verdict,
            policies=list(answer.policy_slugs),
            actions=list(answer.action_slugs),
        )
        if len(ids) > AT_ONCE:
            transaction.on_commit(lambda: nudge(operation.pk), robust=True)
    if len(ids) <= AT_ONCE:
        answer_operation(operation.pk)
        operation.refresh_from_db()
    return operation


def answer_operation(operation_id: int) -> int:
    """Go on with this operation until nothing of it waits; returns how many it dealt with.

    Twice at once is harmless: each answer is held while it is given.
    """
    operation = ClusterOperation.objects.select_related("by").get(pk=operation_id)
    done = 0
    waiting = operation.answers.filter(state=State.WAITING).order_by("pk")
    for answer_id in list(waiting.values_list("pk", flat=True)):
        if not _give(operation, answer_id):
            break  # no place of hers is free: the sweep comes back to it
        done += 1
    if not operation.answers.filter(state=State.WAITING).exists():
        ClusterOperation.objects.filter(pk=operation_id, finished_at=None).update(finished_at=Now())
    return done


def unfinished() -> list[int]:
    return list(
        ClusterOperation.objects.filter(finished_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def nudge(operation_id: int) -> None:
    """Wake a worker. A nudge that is lost is the sweep's to make good."""
    try:
        current_app.send_task(
            "reviews.tasks.answer_cluster", args=[operation_id], expires=60, retry=False
        )
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will go on with it.", error)


def undo_operation(operation: ClusterOperation, *, by: Person) -> dict[str, int]:
    """Take back every decision of it whose undo window is open; {"undone", "left"}.

    Each is an undo of its own. What still waits is not answered any more.
    """
    access.check(by, "cluster.decide", operation.platform_id)
    if operation.by_id != by.pk:
        raise Conflict(
            _("Only who decided can take it all back. You can override the decisions one by one.")
        )
    operation.answers.filter(state=State.WAITING).update(
        state=State.SKIPPED, reason=kept("taken back before it was answered")
    )
    undone, left = 0, 0
    rows = operation.answers.filter(state=State.DECIDED).select_related("decision__item")
    for answer in rows.select_related("decision__job__queue").order_by("pk"):
        try:
            with translation.override("en"), transaction.atomic():
                decisions.undo(answer.decision, by=by, takes_it=False)
                ClusterAnswer.objects.filter(pk=answer.pk).update(state=State.UNDONE, reason="")
            undone += 1
        except DomainError as refusal:
            ClusterAnswer.objects.filter(pk=answer.pk).update(reason=str(refusal)[:300])
            left += 1
    if not undone:
        raise Conflict(
            _("Nothing could be taken back: the time to undo is over, or others decided.")
        )
    with transaction.atomic():
        ClusterOperation.objects.filter(pk=operation.pk).update(undone_at=Now())
        audit.record(
            "cluster.undo",
            operation,
            by=by,
            platform=operation.platform_id,
            count=undone,
            left=left,
        )
    return {"undone": undone, "left": left}


def _give(operation: ClusterOperation, answer_id: int) -> bool:
    """One answer, all of it or nothing. False: she has no place free for it now."""
    try:
        # What it refuses goes into a row, so it is said in English.
        with translation.override("en"), transaction.atomic():
            return _give_one(operation, answer_id)
    except (OperationalError, InterfaceError):
        raise  # the database went away: the row waits on
    except DomainError as refusal:
        _skip(answer_id, str(refusal))
    except Exception as error:
        logger.exception("Cluster answer %s failed", answer_id)
        row = ClusterAnswer.objects.get(pk=answer_id)
        if row.attempts + 1 >= MAX_ATTEMPTS:
            _skip(answer_id, kept("could not be recorded (%(error)s)", error=type(error).__name__))
        else:
            ClusterAnswer.objects.filter(pk=answer_id).update(attempts=row.attempts + 1)
    return True


def _give_one(operation: ClusterOperation, answer_id: int) -> bool:
    row = (
        ClusterAnswer.objects.select_for_update(skip_locked=True)
        .filter(pk=answer_id, state=State.WAITING)
        .first()
    )
    if row is None:
        return True  # somebody else is at it, or was
    by = operation.by
    access.check(by, "cluster.decide", operation.platform_id)
    # The item before its job, as everywhere.
    item = Item.objects.select_for_update(no_key=True).get(pk=row.item_id)
    answer = Answer(operation.verdict, operation.policies, operation.actions, operation.note)
    job, reason = obstacles([item.pk], by=by, answer=answer)[item.pk]
    if job is None:
        _skip(row.pk, reason)
        return True
    held = claims.claim_job(job, by=by)
    if held is None:
        if not Job.objects.filter(pk=job.pk, state=Job.State.READY).exists():
            _skip(row.pk, kept("somebody has just taken it"))
            return True
        if claims.clock() - operation.at > PLACE_WAIT:
            _skip(row.pk, kept("both your places were taken for too long"))
            return True
        return False
    decision = decisions.record_review(
        held.pk,
        held.claim_token,
        by=by,
        verdict=operation.verdict,
        policy_slugs=operation.policies,
        action_slugs=_actions_for(item, operation),
        note=operation.note,
        item_version_id=row.item_version_id,
        score_shown=False,
    )
    ClusterAnswer.objects.filter(pk=row.pk).update(state=State.DECIDED, decision=decision)
    return True


def _actions_for(item: Item, operation: ClusterOperation) -> list[str] | None:
    """Those that make sense: nothing is done to the account of an item that names none."""
    if operation.verdict != Verdict.VIOLATING:
        return None
    if item.account_id is not None:
        return list(operation.actions)
    rows = Action.objects.filter(platform=operation.platform_id, slug__in=operation.actions)
    return list(rows.exclude(target=Action.Target.ACCOUNT).values_list("slug", flat=True))


def _skip(answer_id: int, reason: str) -> None:
    ClusterAnswer.objects.filter(pk=answer_id, state=State.WAITING).update(
        state=State.SKIPPED, reason=reason[:300]
    )


def _same(operation: ClusterOperation, by: Person) -> ClusterOperation:
    """The form was sent before: what it did then is the answer now."""
    if operation.by_id != by.pk:
        raise Invalid(_("This form was used by somebody else. Start again from the cluster."))
    return operation


def _known(radius: Radius) -> Iterable[Item]:
    yield from radius.decided
    for item, _rest in radius.skipped:
        yield item
