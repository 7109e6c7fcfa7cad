"""Carrying a decision out: plan → (hold → approve) → due → … → reversed, and strikes.

What is live for an item is what its standing decision asks for, no more and no less. Delivery to
the platform starts where a row becomes due.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from . import access, audit, notifications
from .errors import Conflict
from .models import Action, Decision, Enforcement, Notification, Person, Strike

State = Enforcement.State
_BATCH = 500

# plan() for the first decision on an item, in the statement that makes it (decisions.py): nothing
# is live yet that it could carry over or take back.
PLANNED = """
planned AS (
  INSERT INTO reviews_enforcement (decision_id, action_id, parameters, state, requested_by_id,
    due_at)
  SELECT decision.id, wanted.action, wanted.parameters::jsonb, 'planned', %(by)s,
    decision.undo_until
  FROM decision, unnest(%(actions)s::bigint[], %(parameters)s::text[])
    AS wanted(action, parameters)
)
"""


def plan(
    decision: Decision,
    actions: Iterable[Action],
    *,
    parameters: Mapping[int, dict[str, object]] | None = None,
) -> list[Enforcement]:
    """Make the item's live enforcements those of `decision`, in the caller's transaction.

    An action that the superseded decision already asked for is carried over, not reversed and
    asked for again: the platform must not see the item come back in between, nor the account get
    a second strike. Only a new version of the item is a new breach, and other `parameters`
    ({action id: all of them}; without, the action's own) another measure.
    """
    wanted = {action.pk: action for action in actions}
    chosen = parameters or {}
    missing = dict(wanted)
    if decision.supersedes_id is not None:
        live = _live_for_item(decision)
        asks_otherwise = [
            one
            for one in live
            if one.action_id not in wanted
            or chosen.get(one.action_id, one.parameters) != one.parameters
        ]
        _reverse(asks_otherwise, by=decision.decided_by)
        for enforcement in live:
            if enforcement in asks_otherwise:
                continue
            is_same_breach = enforcement.decision.item_version_id == decision.item_version_id
            if is_same_breach:
                Enforcement.objects.filter(pk=enforcement.pk).update(decision=decision)
                del missing[enforcement.action_id]
    return Enforcement.objects.bulk_create(
        Enforcement(
            decision=decision,
            action=action,
            parameters=chosen.get(action.pk, action.parameters),
            requested_by_id=decision.decided_by_id,
            due_at=decision.undo_until,
        )
        for action in missing.values()
    )


def planned(
    actions: Collection[Action], parameters: Mapping[int, dict[str, object]]
) -> dict[str, list]:
    """The places of PLANNED, beside who decides."""
    chosen = [parameters.get(action.pk, action.parameters) for action in actions]
    return {
        "actions": [action.pk for action in actions],
        "parameters": [json.dumps(one) for one in chosen],
    }


class Consequence(NamedTuple):
    """What becomes of one action where another decision supersedes."""

    action: Action
    kind: str  # kept, reversed, changed (reversed and asked for anew) or new
    state: str  # of the enforcement there is; "" for a new one


def foresee(
    standing: Decision, actions: Iterable[Action], *, parameters: Mapping[int, dict[str, object]]
) -> list[Consequence]:
    """What `plan` would do for a decision that supersedes `standing`, on the same version."""
    wanted = {action.pk: action for action in actions}
    found = []
    live = Enforcement.objects.live().filter(decision__item=standing.item_id)
    for one in live.select_related("action", "decision").order_by("pk"):
        is_same_breach = one.decision.item_version_id == standing.item_version_id
        if one.action_id not in wanted:
            kind = "reversed"
        elif parameters.get(one.action_id, one.parameters) != one.parameters:
            kind = "changed"
        else:
            kind = "kept" if is_same_breach else "new"
        if kind != "new":
            wanted.pop(one.action_id, None)
        found += [] if kind == "new" else [Consequence(one.action, kind, one.get_state_display())]
    return found + [Consequence(action, "new", "") for action in wanted.values()]


def release_planned() -> int:
    """Sweep: the undo window is over, so what was planned is due, or held for a second person."""
    total = 0
    while True:
        count = _release_batch()
        total += count
        if count < _BATCH:
            return total


def approve(enforcement: Enforcement, *, by: Person) -> Enforcement:
    """The second person says yes: it is due."""
    access.check_approve_enforcement(by, enforcement)
    with transaction.atomic():
        _move(enforcement, State.DUE, believed=State.HELD, approved_by=by)
        _strike([enforcement])
        _record("enforcement.approve", enforcement, by=by)
        _tell(enforcement, by=by, is_approved=True)
    return enforcement


def refuse(enforcement: Enforcement, *, by: Person, note: str = "") -> Enforcement:
    """The second person says no: the action is never carried out. The decision stands."""
    access.check_approve_enforcement(by, enforcement)
    with transaction.atomic():
        _move(enforcement, State.REVERSED, believed=State.HELD)
        _record("enforcement.refuse", enforcement, by=by, **({"note": note} if note else {}))
        _tell(enforcement, by=by, is_approved=False)
    return enforcement


def _live_for_item(decision: Decision) -> list[Enforcement]:
    return list(
        Enforcement.objects.live()
        .filter(decision__item=decision.item_id)
        .select_related("decision", "action")
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )


def _release_batch() -> int:
    with transaction.atomic():
        planned = list(
            Enforcement.objects.filter(state=State.PLANNED, due_at__lte=Now())
            .select_related("action", "decision__item")
            .order_by("due_at")
            .select_for_update(of=("self",), no_key=True, skip_locked=True)[:_BATCH]
        )
        moved: dict[tuple[str, int], list[Enforcement]] = defaultdict(list)
        for enforcement in planned:
            after = State.HELD if enforcement.action.needs_approval else State.DUE
            moved[after, enforcement.action.platform_id].append(enforcement)
        for (after, platform_id), enforcements in moved.items():
            Enforcement.objects.filter(pk__in=[one.pk for one in enforcements]).update(
                state=after, changed_at=Now()
            )
            if after == State.DUE:
                _strike(enforcements)
            verb = "enforcement.hold" if after == State.HELD else "enforcement.due"
            audit.record_many(verb, enforcements, by=None, platform=platform_id)
    return len(planned)


def _move(enforcement: Enforcement, to: str, *, believed: str, **values: object) -> None:
    """One step of the state machine; Conflict when the row is no longer where we believed."""
    if to not in Enforcement.NEXT[State(believed)]:
        raise Conflict(
            _("An action that is %(believed)s cannot become %(to)s.")
            % {"believed": believed, "to": to}
        )
    rows = Enforcement.objects.filter(pk=enforcement.pk, state=believed)
    if not rows.update(state=to, changed_at=Now(), **values):
        now_is = Enforcement.objects.get(pk=enforcement.pk).get_state_display().lower()
        raise Conflict(
            _("This action no longer waits for approval: it is %(now_is)s.") % {"now_is": now_is}
        )
    enforcement.state = to
    for name, value in values.items():
        setattr(enforcement, name, value)


def _reverse(enforcements: list[Enforcement], *, by: Person | None) -> int:
    if not enforcements:
        return 0
    keys = [enforcement.pk for enforcement in enforcements]
    Enforcement.objects.filter(pk__in=keys).update(state=State.REVERSED, changed_at=Now())
    Strike.objects.filter(enforcement__in=keys, reversed_at=None).update(reversed_at=Now())
    audit.record_many(
        "enforcement.reverse", enforcements, by=by, platform=enforcements[0].action.platform_id
    )
    return len(enforcements)


def _strike(enforcements: list[Enforcement]) -> None:
    """A strike for each that counts as one and has an author to count against; never a second."""
    Strike.objects.bulk_create(
        (
            Strike(
                account_id=enforcement.decision.item.account_id,
                enforcement=enforcement,
                expires_at=Now() + timedelta(days=enforcement.action.strike_days),
            )
            for enforcement in enforcements
            if enforcement.action.is_strike and enforcement.decision.item.account_id is not None
        ),
        ignore_conflicts=True,
    )


def _tell(enforcement: Enforcement, *, by: Person, is_approved: bool) -> None:
    """Whoever asked for it."""
    notifications.tell(
        [enforcement.requested_by_id],
        Notification.Sort.HOLD,
        by=by,
        platform=enforcement.action.platform_id,
        item=enforcement.decision.item_id,
        action=enforcement.action.name,
        is_approved=is_approved,
    )


def _record(verb: str, enforcement: Enforcement, *, by: Person, **data: object) -> None:
    audit.record(
        verb,
        enforcement,
        by=by,
        platform=enforcement.action.platform_id,
        action=enforcement.action.slug,
        **data,
    )
