"""The one row everything follows from: a review becomes a decision, which may be superseded.

Each function here first locks the item, then touches jobs: intake does the same, so an edit and an
answer never pass each other unseen, and never wait for each other in a circle.
"""

import json
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from . import access, audit, claims, draw_rows, enforcement, handovers
from .agreement import Answer, consensus
from .errors import Conflict, Invalid, NotFound
from .models import (
    Action,
    Decision,
    Draw,
    Item,
    Job,
    Lane,
    Person,
    PolicyVersion,
    QueueAction,
    Review,
    Verdict,
)
from .ranking import UNDONE_LIFT
from .signals import decision_recorded
from .statements import Statement

_SETTLING = (Verdict.VIOLATING, Verdict.CLEAN)
_NOTE_LENGTH = 10_000
# Lanes whose answers count as independent ones; a lead's adjudication settles by itself.
_INDEPENDENT = (
    str(Lane.RISK),
    str(Lane.RANDOM),
    str(Lane.LEARNING),
    str(Lane.SECOND),
)

# Before anything else, and a statement of its own, so that what follows sees all that went before.
_LOCK = Statement(
    "item_lock",
    """
SELECT id FROM reviews_item
WHERE id = (SELECT item_id FROM reviews_job WHERE id = %(job)s) FOR NO KEY UPDATE
""",
)

# All that an answer depends on in one round trip; as querysets it was half of an answer's cost.
# "In force" as PolicyVersionQuerySet.in_force() has it; the newest decision is the standing one.
_SITUATION = Statement(
    "situation",
    """
SELECT job.id AS job_id, job.item_id, job.queue_id, queue.slug AS queue, queue.platform_id,
  job.lane, queue.policy_required, queue.note_required, queue.reviews_wanted,
  queue.undo_seconds, item.account_id, item.risks::text,
  item.risk_source, version.id AS version_id, version.created_at AS version_at,
  (
    SELECT id FROM reviews_decision WHERE item_id = item.id ORDER BY id DESC LIMIT 1
  ) AS standing_id,
  ARRAY(
    SELECT json_build_array(slug, id)::text FROM (
      SELECT DISTINCT ON (policy.id) policy.slug, policy.position, policy.id AS policy, version.id
      FROM reviews_queue_policies AS link
      JOIN reviews_policy AS policy ON policy.id = link.policy_id
      JOIN reviews_policyversion AS version ON version.policy_id = policy.id
      WHERE link.queue_id = queue.id AND version.effective_at <= clock_timestamp()
      ORDER BY policy.id, version.effective_at DESC, version.number DESC
    ) AS in_force ORDER BY position, policy
  ) AS policies,
  EXISTS (
    SELECT FROM reviews_queue_members WHERE queue_id = job.queue_id AND person_id = %(by)s
  ) AS is_member,
  item.report_count > 0 AS is_reported
FROM reviews_job AS job
JOIN reviews_queue AS queue ON queue.id = job.queue_id
JOIN reviews_item AS item ON item.id = job.item_id
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
WHERE job.id = %(job)s
""",
)


_REVIEW = Statement(
    "review_record",
    """
WITH review AS (
  INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id, verdict,
    note, active_seconds, score_shown, created_at)
  VALUES (%(job)s, %(claim)s, %(item)s, %(version)s, %(reviewer)s, %(verdict)s, %(note)s,
    %(active_seconds)s, %(score_shown)s, %(at)s)
  RETURNING id
), findings AS (
  INSERT INTO reviews_finding (review_id, policy_version_id, violates)
  SELECT review.id, judged, judged = ANY(%(violated)s::bigint[])
  FROM review, unnest(%(judged)s::bigint[]) AS judged
)
SELECT id FROM review
""",
)

# Whoever reported the item has her record counted anew (reporters.py): one row each, nobody's to
# wait for. Where nobody did, the plan stops at %(is_reported)s and reads nothing.
_DECIDE = Statement(
    "decision_record",
    """
WITH decision AS (
  INSERT INTO reviews_decision (kind, item_id, item_version_id, queue_id, job_id, review_id,
    verdict, supersedes_id, decided_by_id, decided_at, undo_until, note, risks, risk_source)
  VALUES (%(kind)s, %(item)s, %(version)s, %(queue)s, %(job)s, %(review)s, %(verdict)s,
    %(supersedes)s, %(by)s, %(at)s, %(undo_until)s, %(note)s, %(risks)s::jsonb, %(risk_source)s)
  RETURNING id
), violated AS (
  INSERT INTO reviews_decision_policy_versions (decision_id, policyversion_id)
  SELECT decision.id, violated FROM decision, unnest(%(violated)s::bigint[]) AS violated
), due AS (
  INSERT INTO reviews_duereporter (reporter_id, due_at)
  SELECT reporter.id, clock_timestamp() FROM (
    SELECT DISTINCT source, reporter FROM reviews_report
    WHERE %(is_reported)s::boolean AND item_id = %(item)s AND reporter <> ''
  ) AS report
  JOIN reviews_reporter AS reporter
    ON reporter.platform_id = %(platform)s AND reporter.source = report.source
    AND reporter.external_id = report.reporter
)
SELECT id FROM decision
""",
)


# The newest answer of each person since the item was last settled; an undo makes what it took back
# open again. The version has to be the same: who read another text did not answer this one.
_ROUND = Statement(
    "review_round",
    """
SELECT DISTINCT ON (review.reviewer_id) review.id, review.reviewer_id, review.verdict,
  ARRAY(
    SELECT policy.slug::text FROM reviews_finding AS finding
    JOIN reviews_policyversion AS version ON version.id = finding.policy_version_id
    JOIN reviews_policy AS policy ON policy.id = version.policy_id
    WHERE finding.review_id = review.id AND finding.violates
  ) AS violated
FROM reviews_review AS review
JOIN reviews_job AS job ON job.id = review.job_id
WHERE review.item_id = %(item)s AND review.item_version_id = %(version)s
  AND job.queue_id = %(queue)s AND job.lane = ANY(%(lanes)s::text[])
  AND review.created_at > coalesce((
    SELECT max(settled.decided_at) FROM reviews_decision AS settled
    WHERE settled.item_id = %(item)s AND settled.verdict IS NOT NULL AND NOT EXISTS (
      SELECT FROM reviews_decision AS undo
      WHERE undo.supersedes_id = settled.id AND undo.verdict IS NULL
    )
  ), '-infinity')
ORDER BY review.reviewer_id, review.id DESC
""",
)


class _Given(NamedTuple):
    """One answer of the round that is open for an item."""

    review_id: int
    reviewer_id: int
    verdict: str
    violated: list[str]

    @property
    def answer(self) -> Answer:
        return Answer(self.verdict, frozenset(self.violated))


class _Situation(NamedTuple):
    """The item, held until the end of the transaction, and what can be decided about it."""

    job_id: int
    item_id: int
    queue_id: int
    queue: str
    platform_id: int
    lane: str
    policy_required: bool
    note_required: bool
    reviews_wanted: int
    undo_seconds: int
    account_id: int | None
    risks: dict[str, float]
    risk_source: str
    version_id: int
    version_at: datetime
    standing_id: int | None
    policies: dict[str, int]  # slug → id of the policy version in force
    is_member: bool  # of the queue: the person who acts
    is_reported: bool


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

    Violating and clean settle the item and return the decision; where the queue wants several
    independent answers they do so with the last of these, if more than half say the same, and a
    lead is asked if not. Unsure asks somebody else for a second opinion, escalate (and a second
    unsure) asks a lead. What settles nothing returns None. So do the lanes that check (gold, qa):
    what stands is not touched; a quality check that disagrees asks a lead.
    `action_slugs=None` takes the queue's first action for a violation. `item_version_id` is what
    she read; without it, what was current when she claimed. Raises ClaimLost, Conflict, Invalid.
    """
    verdict = _as_verdict(verdict)
    with transaction.atomic():
        now = _look(job_id, by)
        access.check_records(by, platform_id=now.platform_id, is_member=now.is_member)
        claim = claims.finish(job_id, token, by=by)
        _check_seen(now, item_version_id, claimed_at=claim.claimed_at)
        note = _clean_note(note, required=now.note_required)
        violated = _violated(now, verdict, policy_slugs)
        checks = now.lane in Lane.checking()
        actions = [] if checks else _actions(now, verdict, action_slugs)
        settles = verdict in _SETTLING
        # A violation whose policy she need not name judges none of them.
        is_unnamed = verdict == Verdict.VIOLATING and not violated
        ((review_id,),) = _REVIEW.rows(
            job=job_id,
            claim=claim.claim_id,
            item=now.item_id,
            version=now.version_id,
            reviewer=by.pk,
            verdict=verdict,
            note=note,
            active_seconds=_as_seconds(active_seconds),
            score_shown=score_shown,
            at=claim.at,
            judged=list(now.policies.values()) if settles and not is_unnamed else [],
            violated=list(violated.values()),
        )
        decision = None
        found: dict[str, object] = {}
        if checks:
            found = _hold_against_what_stands(now, verdict, violated)
        elif not settles:
            _ask_somebody_else(now, verdict)
        elif now.reviews_wanted > 1 and now.lane in _INDEPENDENT:
            decision = _settle_together(now, actions, by=by, at=claim.at)
        else:
            # One settling review is enough; whatever stood for the item is superseded.
            decision = _decide(
                now,
                violated,
                actions,
                by=by,
                at=claim.at,
                verdict=verdict,
                note=note,
                review_id=review_id,
                supersedes_id=now.standing_id,
            )
        audit.record(
            "review.record",
            Review(pk=review_id),
            by=by,
            platform=now.platform_id,
            item=now.item_id,
            queue=now.queue,
            verdict=verdict,
            policies=list(violated),
            actions=[action.slug for action in actions],
            **({"decision": decision.pk} if decision else {}),
            **found,
        )
        if decision:
            decision_recorded.send(sender=Decision, decision=decision)
    return decision


def undo(decision: Decision, *, by: Person, takes_it: bool = True) -> Job:
    """She takes her own decision back while its window is open, and gets the item again.

    With takes_it=False the job only waits on top of its queue: for many taken back at once.
    """
    access.check_undo(by, decision)
    with transaction.atomic():
        now = _look(decision.job_id, by)
        _check_stands(decision, now)
        at = claims.clock()
        if not decision.can_be_undone(at):
            raise Conflict(_window_closed(decision))
        if Item.objects.filter(pk=now.item_id).exclude(erased_at=None).exists():
            raise Conflict("This item was erased; there is nothing left to decide again.")
        withdrawn = _decide(
            now,
            {},
            [],
            by=by,
            at=at,
            kind=Decision.Kind.UNDO,
            verdict=None,
            supersedes_id=decision.pk,
            item_version_id=decision.item_version_id,
        )
        job = _open_again(decision.job, by=by if takes_it else None)
        audit.record(
            "decision.undo", withdrawn, by=by, platform=now.platform_id, supersedes=decision.pk
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
        now = _look(decision.job_id, by)
        _check_stands(decision, now)
        if decision.kind == Decision.Kind.UNDO:
            raise Conflict("This decision was taken back; there is nothing to override.")
        note = _clean_note(note, required=True)
        violated = _violated(now, verdict, policy_slugs)
        actions = _actions(now, verdict, action_slugs)
        at = claims.clock()
        new = _decide(
            now,
            violated,
            actions,
            by=by,
            at=at,
            kind=Decision.Kind.OVERRIDE,
            verdict=verdict,
            note=note,
            supersedes_id=decision.pk,
            item_version_id=decision.item_version_id,
        )
        _cancel_waiting(now, lanes=[Lane.SECOND, Lane.ADJUDICATION])
        audit.record(
            "decision.override",
            new,
            by=by,
            platform=now.platform_id,
            supersedes=decision.pk,
            verdict=verdict,
            policies=list(violated),
            actions=[action.slug for action in actions],
        )
        decision_recorded.send(sender=Decision, decision=new)
    return new


def _look(job_id: int, by: Person) -> _Situation:
    """Lock the item of this job, then read how things stand."""
    row = _SITUATION.row(after=_LOCK, job=job_id, by=by.pk)
    if row is None:
        raise NotFound("There is no such job here.")
    now = _Situation(*row)
    return now._replace(
        risks=json.loads(now.risks), policies=dict(json.loads(pair) for pair in now.policies)
    )


def _decide(
    now: _Situation,
    violated: dict[str, int],
    actions: list[Action],
    *,
    by: Person,
    at: datetime,
    verdict: str | None,
    kind: str = Decision.Kind.SETTLED,
    note: str = "",
    review_id: int | None = None,
    supersedes_id: int | None,
    item_version_id: int | None = None,
) -> Decision:
    is_undo = kind == Decision.Kind.UNDO
    decision = Decision(
        kind=kind,
        item_id=now.item_id,
        item_version_id=item_version_id or now.version_id,
        queue_id=now.queue_id,
        job_id=now.job_id,
        review_id=review_id,
        verdict=verdict,
        supersedes_id=supersedes_id,
        decided_by=by,
        decided_at=at,
        undo_until=None if is_undo else at + timedelta(seconds=now.undo_seconds),
        note=note,
        risks=now.risks,
        risk_source=now.risk_source,
    )
    ((decision.pk,),) = _DECIDE.rows(
        kind=str(kind),
        item=decision.item_id,
        version=decision.item_version_id,
        queue=decision.queue_id,
        job=decision.job_id,
        review=review_id,
        verdict=verdict,
        supersedes=supersedes_id,
        by=by.pk,
        at=at,
        undo_until=decision.undo_until,
        note=note,
        risks=json.dumps(now.risks),
        risk_source=now.risk_source,
        violated=list(violated.values()),
        is_reported=now.is_reported,
        platform=now.platform_id,
    )
    decision._state.adding, decision._state.db = False, connection.alias
    if actions or supersedes_id is not None:
        enforcement.plan(decision, actions)
    return decision


def _ask_somebody_else(now: _Situation, verdict: str) -> Job:
    """A job for another person; it keeps the first one's place and how it was drawn."""
    if now.lane == Lane.ADJUDICATION:
        raise Invalid(
            "Somebody has to settle this item: decide violating or clean, or release it.",
            details={"verdict": "violating or clean"},
        )
    to_lead = verdict == Verdict.ESCALATE or _is_second_doubt(now)
    job = Job.objects.select_related("draw").get(pk=now.job_id)
    return _ask(job, Lane.ADJUDICATION, after=job) if to_lead else _ask_second(job)


def _ask_second(job: Job) -> Job:
    """A job for another person, or for a lead where there is no other to ask."""
    second = _ask(job, Lane.SECOND, after=job)
    handovers.hand_on([second.pk])
    return second


def _is_second_doubt(now: _Situation) -> bool:
    if now.reviews_wanted == 1:
        return now.lane == Lane.SECOND
    return sum(given.verdict == Verdict.UNSURE for given in _round(now)) > 1


def _settle_together(
    now: _Situation, actions: list[Action], *, by: Person, at: datetime
) -> Decision | None:
    """After one of several independent answers: ask for the next, or settle what they come to."""
    given = [one for one in _round(now) if one.verdict in _SETTLING]
    job = Job.objects.select_related("draw").get(pk=now.job_id)
    if not given or _was_settled_since(now, job):
        return None  # it came late: kept as an answer, and nobody else is bothered
    waiting = Job.objects.open().filter(item=now.item_id, lane=Lane.SECOND).count()
    missing = now.reviews_wanted - len(given)
    if missing > 0:
        for _ in range(missing - waiting):
            _ask_second(job)
        return None
    settled = consensus([one.answer for one in given])
    if settled is None:
        _ask(job, Lane.ADJUDICATION, after=job)
        return None
    # It stands in the name of somebody who said so: the one who has just answered, if she did.
    with_it = [one for one in given if one.answer.verdict == settled.verdict]
    exact = [one for one in with_it if one.answer == settled] or with_it
    last = max(exact, key=lambda one: (one.reviewer_id == by.pk, one.review_id))
    is_hers = last.reviewer_id == by.pk
    _cancel_waiting(now, lanes=[Lane.SECOND])
    return _decide(
        now,
        {slug: pk for slug, pk in now.policies.items() if slug in settled.violated},
        # What the others asked for was theirs to choose; of theirs only the usual one is known.
        actions if is_hers else _actions(now, settled.verdict, None),
        by=by if is_hers else Person.objects.get(pk=last.reviewer_id),
        at=at,
        verdict=settled.verdict,
        review_id=last.review_id,
        supersedes_id=now.standing_id,
    )


def _round(now: _Situation) -> list[_Given]:
    rows = _ROUND.rows(
        item=now.item_id, version=now.version_id, queue=now.queue_id, lanes=list(_INDEPENDENT)
    )
    return [_Given(*row) for row in rows]


def _was_settled_since(now: _Situation, job: Job) -> bool:
    if now.standing_id is None:
        return False
    standing = Decision.objects.get(pk=now.standing_id)
    return standing.verdict is not None and standing.decided_at > job.created_at


def _cancel_waiting(now: _Situation, *, lanes: Collection[str]) -> int:
    """Nobody need look any more: what others were asked is settled."""
    waiting = Job.objects.ready().filter(item=now.item_id, lane__in=lanes)
    return waiting.update(state=Job.State.CANCELLED)


def _hold_against_what_stands(
    now: _Situation, verdict: str, violated: dict[str, int]
) -> dict[str, object]:
    """An answer that checks changes nothing by itself; a lead is asked where it disagrees with the
    decision on the text it was about. What it says of the two, for the audit."""
    if now.lane != Lane.QA or now.standing_id is None:
        return {}
    standing = (
        Decision.objects.select_related("job__draw")
        .filter(pk=now.standing_id, item_version=now.version_id, verdict__in=_SETTLING)
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


def _is_asked(item_id: int) -> bool:
    return Job.objects.open().filter(item=item_id, lane=Lane.ADJUDICATION).exists()


def _ask(job: Job, lane: Lane, *, after: Job) -> Job:
    """A job in the place of `job`, which is certain to be there once `after` has been drawn.

    So it has the inclusion probability of `after`; where that came by rank, there is none to speak
    of, and 1 says that asking left nothing to chance.
    """
    origin_id = draw_rows.origin_of(after.draw)
    probability = after.inclusion_probability if origin_id else 1.0
    draw = draw_rows.Pending(
        job.queue_id,
        lane,
        Draw.Strategy.FOLLOWS if origin_id else Draw.Strategy.CERTAINTY,
        0,
        probability=probability,
        pool_size=1,
        follows_id=origin_id,
    )
    asked = _copy(job, lane=lane, draw_id=draw.set_aside(), inclusion_probability=probability)
    draw_rows.write([draw])
    return asked


def _open_again(job: Job, *, by: Person | None) -> Job:
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
    return claims.claim_job(waiting, by=by) or waiting


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


def _check_seen(now: _Situation, seen_id: int | None, *, claimed_at: datetime) -> None:
    if seen_id is None and now.version_at <= claimed_at:
        return
    if seen_id == now.version_id:
        return
    raise Conflict(
        "This message was edited while you were reading. Here is the new version.",
        details={"item_version": now.version_id},
    )


def _check_stands(decision: Decision, now: _Situation) -> None:
    """Under the item's lock, so that the second of two at once sees the first."""
    if now.standing_id != decision.pk:
        raise Conflict("This decision was already superseded. Look at the one that stands now.")


def _violated(now: _Situation, verdict: str, slugs: Iterable[str]) -> dict[str, int]:
    chosen = list(dict.fromkeys(slugs))
    unknown = [slug for slug in chosen if slug not in now.policies]
    if unknown:
        raise Invalid(
            f"This queue does not judge: {', '.join(unknown)}.",
            details={"policies": f"not of this queue: {', '.join(unknown)}"},
        )
    if verdict == Verdict.VIOLATING and not chosen and now.policy_required:
        raise Invalid("Say which policy it violates.", details={"policies": "choose at least one"})
    if verdict != Verdict.VIOLATING and chosen:
        raise Invalid(
            "Only a violating item violates a policy.",
            details={"policies": f"none with the verdict {verdict}"},
        )
    return {slug: now.policies[slug] for slug in chosen}


def _actions(now: _Situation, verdict: str, slugs: Collection[str] | None) -> list[Action]:
    if verdict != Verdict.VIOLATING:
        if slugs:
            raise Invalid(
                "Only a violating item is acted on.",
                details={"actions": f"none with the verdict {verdict}"},
            )
        return []
    offers = QueueAction.objects.filter(queue=now.queue_id, action__is_archived=False)
    if now.account_id is None:
        offers = offers.exclude(action__target=Action.Target.ACCOUNT)
    offers = offers.select_related("action").order_by("position", "action__position", "action_id")
    if slugs is None:  # the usual one: what stands first on the desk
        return [offer.action for offer in offers if not offer.is_hidden][:1]
    offered = {offer.action.slug: offer.action for offer in offers}
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


def _window_closed(decision: Decision) -> str:
    if decision.kind == Decision.Kind.UNDO:
        return "This is an undo already."
    return "The time to undo is over. A lead can override this decision."
