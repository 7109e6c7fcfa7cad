"""The one row everything follows from: a review becomes a decision, which may be superseded.

Each function here first locks the item, then touches jobs: intake does the same, so an edit and an
answer never pass each other unseen, and never wait for each other in a circle.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from . import (
    access,
    answers,
    audit,
    claims,
    decision_rows,
    enforcement,
    leases,
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
    token = leases.as_uuid(token)
    with transaction.atomic():
        now = look(job_id, by, token=token)
        access.check_records(by, platform_id=now.platform_id, is_member=now.is_member)
        if not now.is_hers:
            raise leases.lost(job_id, token, by)
        check_seen(now, item_version_id)
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
        places = {
            **leases.finishing(job_id, token, by=by),
            "item": now.item_id,
            "version": now.version_id,
            "verdict": verdict,
            "note": note,
            "active_seconds": answers.as_seconds(active_seconds),
            "score_shown": score_shown,
            "judged": list(judged.values()),
            "graded": [graded.get(slug) for slug in judged],
            "spans": json.dumps(marked),
            "violated": list(violated.values()),
        }
        said: dict[str, object] = {
            "item": now.item_id,
            "queue": now.queue,
            "verdict": verdict,
            "policies": list(violated),
            "actions": [action.slug for action in actions],
            **({"severities": graded} if graded else {}),
            **({"spans": len(marked)} if marked else {}),
        }
        is_together = now.reviews_wanted > 1 and now.lane in rounds.INDEPENDENT
        decision = None
        if settles and not checks and not is_together and now.standing_id is None:
            first = decision_rows.draft(now, by=by, verdict=verdict, note=note, severities=graded)
            answered, decision = decision_rows.settle(first, now, places, said, actions, changed)
        else:
            answered = decision_rows.record(places, by=by)
            found: dict[str, object] = {}
            if checks:
                found = opinions.hold_against_what_stands(now, verdict, violated)
            elif not settles:
                found = opinions.ask_somebody_else(now, verdict, to=escalate_to, by=by)
            elif is_together:
                settled = opinions.settle_together(now, by=by)
                if settled is not None:
                    at = answered.ended_at
                    decision = _decide_together(now, settled, actions, changed, by=by, at=at)
            else:
                # One settling review is enough; whatever stood for the item is superseded.
                decision = _decide(
                    now,
                    violated,
                    actions,
                    by=by,
                    at=answered.ended_at,
                    verdict=verdict,
                    note=note,
                    severities=graded,
                    parameters=changed,
                    review_id=answered.review_id,
                    supersedes_id=now.standing_id,
                )
            audit.record(
                "review.record",
                Review(pk=answered.review_id),
                by=by,
                platform=now.platform_id,
                **said,
                **({"decision": decision.pk} if decision else {}),
                **found,
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
            at_most=(answered.ended_at - answered.claimed_at).total_seconds(),
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
    at: datetime,
    parameters: Mapping[int, dict[str, object]] | None = None,
    **known: Any,
) -> Decision:
    """A decision that supersedes, or that several answers came to; `known` is for draft()."""
    decision = decision_rows.draft(now, **known)
    decision_rows.decide(decision, now, violated, at=at)
    if actions or decision.supersedes_id is not None:
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
