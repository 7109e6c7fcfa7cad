"""The one row everything follows from: a review becomes a decision, which may be superseded.

Each function here first locks the item, then touches jobs: intake does the same, so an edit and an
answer never pass each other unseen, and never wait for each other in a circle.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.utils.translation import gettext as _

from . import (
    access,
    answers,
    audit,
    claims,
    enforcement,
    notifications,
    opinions,
    rounds,
    wellness,
)
from . import parameters as parameters_
from .errors import Conflict, Invalid
from .models import Action, Decision, Item, Job, Lane, Person, Queue, Review, Verdict
from .signals import decision_recorded
from .situations import Situation, check_seen, look
from .statements import Statement

_REVIEW = Statement(
    "review_record",
    """
WITH review AS (
  INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id, verdict,
    note, active_seconds, score_shown, spans, created_at)
  VALUES (%(job)s, %(claim)s, %(item)s, %(version)s, %(reviewer)s, %(verdict)s, %(note)s,
    %(active_seconds)s, %(score_shown)s, %(spans)s::jsonb, %(at)s)
  RETURNING id
), findings AS (
  INSERT INTO reviews_finding (review_id, policy_version_id, violates, severity)
  SELECT review.id, judged.id, judged.id = ANY(%(violated)s::bigint[]), judged.severity
  FROM review, unnest(%(judged)s::bigint[], %(severities)s::smallint[]) AS judged(id, severity)
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
    verdict, severities, supersedes_id, decided_by_id, decided_at, undo_until, note, risks,
    risk_source)
  VALUES (%(kind)s, %(item)s, %(version)s, %(queue)s, %(job)s, %(review)s, %(verdict)s,
    %(severities)s::jsonb, %(supersedes)s, %(by)s, %(at)s, %(undo_until)s, %(note)s,
    %(risks)s::jsonb, %(risk_source)s)
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
    revealed_seconds: float | None = None,
    item_version_id: int | None = None,
    score_shown: bool = True,
    escalate_to: str = "",
    severities: Mapping[str, object] | None = None,
    spans: Sequence[Mapping[str, object]] = (),
    parameters: parameters_.Given | None = None,
) -> Decision | None:
    """One reviewer's answer on the claim she holds; all of it or nothing.

    Violating and clean settle the item and return the decision; where the queue wants several
    independent answers they do so with the last of these, if more than half say the same, and a
    lead is asked if not. Unsure asks somebody else for a second opinion; escalate, which says why
    in the note, asks a lead of this queue or of `escalate_to` (a second unsure a lead here). What
    settles nothing returns None. So do the lanes that check (gold, qa):
    what stands is not touched; a quality check that disagrees asks a lead.
    `action_slugs=None` takes the queue's first action for a violation. `item_version_id` is what
    she read; without it, what was current when she claimed. `severities` grades policies that ask
    for it ({slug: level}; None leaves all ungraded), `spans` are her marks in the text, and
    `parameters` what she changed of the actions' ({slug: {name: value}}). `revealed_seconds`: how
    long it stood open to her; without it, all her active seconds. Raises ClaimLost, Conflict,
    Invalid.
    """
    verdict = answers.as_verdict(verdict)
    with transaction.atomic():
        now = look(job_id, by)
        access.check_records(by, platform_id=now.platform_id, is_member=now.is_member)
        claim = claims.finish(job_id, token, by=by)
        check_seen(now, item_version_id, claimed_at=claim.claimed_at)
        note = answers.clean_note(
            note, required=now.note_required, escalates=verdict == Verdict.ESCALATE
        )
        violated = answers.violated(now, verdict, policy_slugs)
        graded = answers.severities(now, violated, severities)
        marked = answers.spans(now, violated, spans)
        checks = now.lane in Lane.checking()
        actions = [] if checks else answers.actions(now, verdict, action_slugs)
        changed = parameters_.check(actions, parameters)
        settles = verdict in answers.SETTLING
        # A violation whose policy she need not name judges none of them.
        is_unnamed = verdict == Verdict.VIOLATING and not violated
        judged = now.policies if settles and not is_unnamed else {}
        ((review_id,),) = _REVIEW.rows(
            job=job_id,
            claim=claim.claim_id,
            item=now.item_id,
            version=now.version_id,
            reviewer=by.pk,
            verdict=verdict,
            note=note,
            active_seconds=answers.as_seconds(active_seconds),
            score_shown=score_shown,
            at=claim.at,
            judged=list(judged.values()),
            severities=[graded.get(slug) for slug in judged],
            spans=json.dumps(marked),
            violated=list(violated.values()),
        )
        wellness.expose(
            Queue(pk=now.queue_id, platform_id=now.platform_id),
            by=by,
            token=token,
            risks=now.risks,
            violated=violated,
            seconds=answers.as_seconds(
                active_seconds if revealed_seconds is None else revealed_seconds
            ),
            at_most=(claim.at - claim.claimed_at).total_seconds(),
        )
        decision = None
        found: dict[str, object] = {}
        if checks:
            found = opinions.hold_against_what_stands(now, verdict, violated)
        elif not settles:
            found = opinions.ask_somebody_else(now, verdict, to=escalate_to, by=by)
        elif now.reviews_wanted > 1 and now.lane in rounds.INDEPENDENT:
            settled = opinions.settle_together(now, by=by)
            if settled is not None:
                decision = _decide_together(now, settled, actions, changed, by=by, at=claim.at)
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
                severities=graded,
                parameters=changed,
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
            **({"severities": graded} if graded else {}),
            **({"spans": len(marked)} if marked else {}),
            **found,
        )
        if decision:
            notifications.tell_of_decision(decision, lane=now.lane, platform=now.platform_id)
            decision_recorded.send(sender=Decision, decision=decision)
    return decision


def undo(decision: Decision, *, by: Person, takes_it: bool = True) -> Job:
    """She takes her own decision back while its window is open, and gets the item again.

    With takes_it=False the job only waits on top of its queue: for many taken back at once.
    """
    access.check_undo(by, decision)
    with transaction.atomic():
        now = look(decision.job_id, by)
        _check_stands(decision, now)
        at = claims.clock()
        if not decision.can_be_undone(at):
            raise Conflict(_window_closed(decision))
        if Item.objects.filter(pk=now.item_id).exclude(erased_at=None).exists():
            raise Conflict(_("This item was erased; there is nothing left to decide again."))
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
        job = opinions.open_again(decision.job, by=by if takes_it else None)
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
    severities: Mapping[str, object] | None = None,
    parameters: parameters_.Given | None = None,
    note: str,
) -> Decision:
    """A lead decides otherwise: supersedes the standing decision, its actions and its strikes."""
    access.check_override(by, decision)
    verdict = answers.as_verdict(verdict)
    if verdict not in answers.SETTLING:
        raise Invalid(_("Decide violating or clean."), details={"verdict": _("violating or clean")})
    with transaction.atomic():
        now = look(decision.job_id, by)
        _check_stands(decision, now)
        if decision.kind == Decision.Kind.UNDO:
            raise Conflict(_("This decision was taken back; there is nothing to override."))
        note = answers.clean_note(note, required=True)
        violated = answers.violated(now, verdict, policy_slugs)
        graded = answers.severities(now, violated, severities)
        actions = answers.actions(now, verdict, action_slugs)
        changed = parameters_.check(actions, parameters)
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
            severities=graded,
            parameters=changed,
            supersedes_id=decision.pk,
            item_version_id=decision.item_version_id,
        )
        opinions.cancel_waiting(now, lanes=[Lane.SECOND, Lane.ADJUDICATION])
        audit.record(
            "decision.override",
            new,
            by=by,
            platform=now.platform_id,
            supersedes=decision.pk,
            verdict=verdict,
            policies=list(violated),
            actions=[action.slug for action in actions],
            **({"severities": graded} if graded else {}),
        )
        notifications.tell_of_decision(new, lane=now.lane, platform=now.platform_id)
        decision_recorded.send(sender=Decision, decision=new)
    return new


class Foresight(NamedTuple):
    """What an override would change, before it is made."""

    verdict: str
    policies: list[str]  # slugs
    severities: dict[str, int]
    consequences: list[enforcement.Consequence]


def foresee_override(
    decision: Decision,
    *,
    by: Person,
    verdict: str,
    policy_slugs: Collection[str] = (),
    action_slugs: Collection[str] | None = None,
    severities: Mapping[str, object] | None = None,
    parameters: parameters_.Given | None = None,
) -> Foresight:
    """The same answer as `override` takes, checked the same way; nothing is written."""
    access.check_override(by, decision)
    with transaction.atomic():
        now = look(decision.job_id, by)
        _check_stands(decision, now)
        violated = answers.violated(now, verdict, policy_slugs)
        actions = answers.actions(now, verdict, action_slugs)
        return Foresight(
            verdict,
            list(violated),
            answers.severities(now, violated, severities),
            enforcement.foresee(
                decision, actions, parameters=parameters_.check(actions, parameters)
            ),
        )


def _decide(
    now: Situation,
    violated: dict[str, int],
    actions: list[Action],
    *,
    by: Person,
    at: datetime,
    verdict: str | None,
    kind: str = Decision.Kind.SETTLED,
    note: str = "",
    severities: Mapping[str, int] | None = None,
    parameters: Mapping[int, dict[str, object]] | None = None,
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
        severities=dict(severities or {}),
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
        severities=json.dumps(decision.severities),
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
        enforcement.plan(decision, actions, parameters=parameters or {})
    return decision


def _decide_together(
    now: Situation,
    settled: rounds.Settled,
    actions: list[Action],
    parameters: Mapping[int, dict[str, object]],
    *,
    by: Person,
    at: datetime,
) -> Decision:
    is_hers = settled.reviewer_id == by.pk
    return _decide(
        now,
        {slug: pk for slug, pk in now.policies.items() if slug in settled.violated},
        # What the others asked for was theirs to choose; of theirs only the usual one is known.
        actions if is_hers else answers.actions(now, settled.verdict, None),
        by=by if is_hers else Person.objects.get(pk=settled.reviewer_id),
        at=at,
        verdict=settled.verdict,
        severities=settled.severities,
        parameters=parameters if is_hers else None,
        review_id=settled.review_id,
        supersedes_id=now.standing_id,
    )


def _check_stands(decision: Decision, now: Situation) -> None:
    """Under the item's lock, so that the second of two at once sees the first."""
    if now.standing_id != decision.pk:
        raise Conflict(_("This decision was already superseded. Look at the one that stands now."))


def _window_closed(decision: Decision) -> str:
    if decision.kind == Decision.Kind.UNDO:
        return _("This is an undo already.")
    return _("The time to undo is over. A lead can override this decision.")
