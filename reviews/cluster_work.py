"""One answer for chosen members of a cluster: each has a claim, a review, a decision of its own.

The answers are rows before the first is given, so that what a crash leaves is gone on with. What
cannot be decided together is skipped and says why; what measures something is never decided so.
"""

import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from celery import current_app
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError as BrokerError

from . import access, audit, claims, decisions
from .errors import Conflict, DomainError, Invalid
from .models import (
    Action,
    Claim,
    Cluster,
    ClusterAnswer,
    ClusterMember,
    ClusterOperation,
    Decision,
    Item,
    ItemVersion,
    Job,
    Lane,
    Person,
    Queue,
    Review,
    Verdict,
)
from .wording import figure, kept

logger = logging.getLogger(__name__)

MOST_MEMBERS = 1_000
AT_ONCE = 100  # more are a worker's to answer, with progress
MAX_ATTEMPTS = 3
# An answer waits so long for a free place of hers.
PLACE_WAIT = timedelta(minutes=10)

State = ClusterAnswer.State
# Ordinary work. The other lanes ask for an answer of their own, and why.
_TOGETHER = (Lane.RISK, Lane.LEARNING)
_ALONE = {
    Lane.RANDOM: kept("drawn at random, to measure: judged on its own"),
    Lane.GOLD: kept("a test of reviewers: judged on its own"),
    Lane.QA: kept("a quality check: judged on its own"),
    Lane.SECOND: kept("somebody wants a second opinion on it"),
    Lane.ADJUDICATION: kept("escalated: settle it on its own"),
    Lane.APPEAL: kept("under appeal: judged on its own"),
}
_DECIDED = {
    Verdict.VIOLATING: kept("already decided: violating"),
    Verdict.CLEAN: kept("already decided: clean"),
    Verdict.UNSURE: kept("already decided: unsure"),
    Verdict.ESCALATE: kept("already decided: escalated"),
}


class Answer(NamedTuple):
    """What she says of all of them."""

    verdict: str
    policy_slugs: Sequence[str] = ()
    action_slugs: Sequence[str] = ()
    note: str = ""


class Seen(NamedTuple):
    """A member as it was shown to her."""

    item_id: int
    version_id: int


class Radius(NamedTuple):
    """What an answer would reach, before it is given."""

    decided: list[Item]
    skipped: list[tuple[Item, str]]
    accounts: int
    views_per_hour: float
    strikes: int
    struck: int  # accounts
    held: list[tuple[str, int]]  # action that waits for a second person, how often

    def as_json(self) -> dict[str, Any]:
        return {
            "items": len(self.decided),
            "skipped": len(self.skipped),
            "accounts": self.accounts,
            "views_per_hour": round(self.views_per_hour, 1),
            "strikes": self.strikes,
        }


def obstacles(
    item_ids: Collection[int], *, by: Person, answer: Answer | None = None
) -> dict[int, tuple[Job | None, str]]:
    """Item → its job, or None and why it cannot be decided together with others by her (in English:
    it goes into rows, and retelling.retold says it to who reads)."""
    jobs: dict[int, list[Job]] = {}
    for job in (
        Job.objects.open()
        .filter(item_id__in=item_ids)
        .select_related("queue", "claimed_by", "assigned_to", "item")
    ):
        jobs.setdefault(job.item_id, []).append(job)
    standing = dict(
        Decision.objects.current()
        .exclude(kind=Decision.Kind.UNDO)
        .filter(item_id__in=item_ids)
        .values_list("item_id", "verdict")
    )
    answered = set(
        Review.objects.filter(item_id__in=item_ids, reviewer=by).values_list("item_id", flat=True)
    )
    # What she took back herself is hers to answer again.
    answered -= set(
        Decision.objects.current()
        .filter(item_id__in=item_ids, kind=Decision.Kind.UNDO, decided_by=by)
        .values_list("item_id", flat=True)
    )
    skipped = set(
        Claim.objects.filter(
            job__item_id__in=item_ids, reviewer=by, end=Claim.End.SKIPPED
        ).values_list("job_id", flat=True)
    )
    mine = set(access.queues_to_work(by).values_list("pk", flat=True))
    offers = _Offers(answer) if answer else None
    found: dict[int, tuple[Job | None, str]] = {}
    for item_id in item_ids:
        open_jobs = jobs.get(item_id, [])
        reason = _why_not(open_jobs, by, mine=mine, skipped=skipped)
        if not open_jobs and item_id in standing:
            reason = _DECIDED[Verdict(standing[item_id])]
        elif not reason and item_id in answered:
            reason = kept("you have answered it before")
        elif not reason and offers:
            reason = offers.missing(open_jobs[0].queue)
        found[item_id] = (None, reason) if reason else (open_jobs[0], "")
    return found


def _why_not(
    jobs: Sequence[Job], by: Person, *, mine: Collection[int], skipped: Collection[int]
) -> str:
    if not jobs:
        return kept("nothing waits for it")
    for job in jobs:
        if job.state == Job.State.CLAIMED:
            if job.claimed_by_id == by.pk:
                return kept("you hold it: answer it at your desk")
            return kept("%(person)s is working on it", person=job.claimed_by)
        if job.lane not in _TOGETHER:
            return _ALONE[Lane(job.lane)]
        if job.queue.reviews_wanted > 1:
            return kept("%(queue)s wants several independent reviews", queue=job.queue)
        if job.queue_id not in mine:
            return kept("you do not work in %(queue)s", queue=job.queue)
        if job.assigned_to_id not in (None, by.pk):
            return kept("kept for %(person)s", person=job.assigned_to)
        if job.pk in skipped:
            return kept("you skipped it before")
    return ""


class _Offers:
    """What each queue judges and does, against what the answer asks for."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.known: dict[int, str] = {}

    def missing(self, queue: Queue) -> str:
        if queue.pk not in self.known:
            self.known[queue.pk] = self._missing(queue)
        return self.known[queue.pk]

    def _missing(self, queue: Queue) -> str:
        judged = set(queue.policies.values_list("slug", flat=True))
        if unknown := [slug for slug in self.answer.policy_slugs if slug not in judged]:
            return kept(
                "%(queue)s does not judge %(policies)s", queue=queue, policies=", ".join(unknown)
            )
        offered = set(queue.actions.values_list("slug", flat=True))
        if unknown := [slug for slug in self.answer.action_slugs if slug not in offered]:
            return kept(
                "%(queue)s does not offer %(actions)s", queue=queue, actions=", ".join(unknown)
            )
        if queue.note_required and not self.answer.note:
            return kept("%(queue)s wants a note", queue=queue)
        return ""


def measure_radius(cluster: Cluster, seen: Sequence[Seen], answer: Answer, *, by: Person) -> Radius:
    """What this answer would reach. Writes nothing."""
    access.check(by, "cluster.decide", cluster.platform_id)
    answer = _checked(answer)
    _check_count(seen)
    items = _items(cluster, seen)
    found = obstacles([one.item_id for one in seen], by=by, answer=answer)
    decided, skipped = [], []
    for one in seen:
        item = items.get(one.item_id)
        if item is None:
            continue  # of another platform, or no such item: not hers to hear of
        reason = found[one.item_id][1]
        if item.seen_id != one.version_id:
            reason = kept("changed since you saw it")
        elif item.cluster_id != cluster.pk:
            reason = kept("not in this cluster any more")
        if reason:
            skipped.append((item, reason))
        else:
            decided.append(item)
    accounts = [item.account_id for item in decided if item.account_id]
    actions = list(
        Action.objects.filter(platform=cluster.platform_id, slug__in=answer.action_slugs)
    )
    strikes = sum(action.is_strike for action in actions)
    return Radius(
        decided,
        skipped,
        accounts=len(set(accounts)),
        views_per_hour=sum(item.views_per_hour for item in decided),
        strikes=strikes * len(accounts),
        struck=len(set(accounts)) if strikes else 0,
        held=[
            (
                action.name,
                len(accounts) if action.target == Action.Target.ACCOUNT else len(decided),
            )
            for action in actions
            if action.needs_approval
        ],
    )


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
    answer = _checked(answer)
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


def _checked(answer: Answer) -> Answer:
    note = answer.note.replace("\x00", "\ufffd").strip()
    if answer.verdict not in (Verdict.VIOLATING, Verdict.CLEAN):
        raise Invalid(_("Decide violating or clean."), details={"verdict": _("choose one")})
    if len(note) > 10_000:
        raise Invalid(_("The note is too long."), details={"note": _("at most 10,000 characters")})
    if answer.verdict == Verdict.CLEAN:
        return Answer(Verdict.CLEAN, note=note)
    policies = list(dict.fromkeys(answer.policy_slugs))
    if not policies:
        raise Invalid(
            _("Say which policy they violate."), details={"policies": _("choose at least one")}
        )
    return Answer(Verdict.VIOLATING, policies, list(dict.fromkeys(answer.action_slugs)), note)


def _check_count(seen: Sequence[Seen]) -> None:
    if not seen:
        raise Invalid(
            _("Choose at least one member."), details={"members": _("choose at least one")}
        )
    if len(seen) > MOST_MEMBERS:
        raise Invalid(
            _("At most %(most_members)s members at once; these are %(seen)s.")
            % {"most_members": figure(MOST_MEMBERS), "seen": figure(len(seen))},
            details={
                "members": _("at most %(most_members)s") % {"most_members": figure(MOST_MEMBERS)}
            },
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


def _items(cluster: Cluster, seen: Sequence[Seen]) -> Mapping[int, Item]:
    """The items of this platform, with `.seen_id` (their version now) and `.cluster_id`."""
    rows = Item.objects.filter(
        platform=cluster.platform_id, pk__in=[one.item_id for one in seen]
    ).select_related("kind", "account")
    items = {item.pk: item for item in rows}
    members = dict(
        ClusterMember.objects.filter(item__in=items).values_list("item_id", "cluster_id")
    )
    versions = dict(
        ItemVersion.objects.filter(item__in=items, number=F("item__version_number")).values_list(
            "item_id", "pk"
        )
    )
    for item in items.values():
        item.seen_id = versions[item.pk]
        item.cluster_id = members.get(item.pk)
    return items
