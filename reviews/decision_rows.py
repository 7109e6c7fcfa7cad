"""Writing an answer: its claim ended, review, findings, decision, what it asks for, and the trail,
in as few round trips as it can be. What an answer may be is decisions.py's to say.

Each function here runs in its caller's transaction, who holds the item.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from . import audit, enforcement, leases
from .models import Action, Decision, Person, Review
from .situations import Situation
from .statements import Statement

# Each of these is a part of a statement, so that what goes together takes one round trip.
_REVIEW = """
review AS (
  INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id, verdict,
    note, active_seconds, score_shown, spans, created_at)
  SELECT %(job)s, claim.id, %(item)s, %(version)s, %(by)s, %(verdict)s, %(note)s,
    %(active_seconds)s, %(score_shown)s, %(spans)s::jsonb, claim.ended_at FROM claim
  RETURNING id
), findings AS (
  INSERT INTO reviews_finding (review_id, policy_version_id, violates, severity)
  SELECT review.id, judged.id, judged.id = ANY(%(violated)s::bigint[]), judged.severity
  FROM review, unnest(%(judged)s::bigint[], %(graded)s::smallint[]) AS judged(id, severity)
)
"""

# Whoever reported the item has her record counted anew (reporters.py): one row each, nobody's to
# wait for. Where nobody did, the plan stops at %(is_reported)s and reads nothing.
_DECISION = """
decision AS (
  INSERT INTO reviews_decision (kind, item_id, item_version_id, queue_id, job_id, review_id,
    verdict, severities, supersedes_id, decided_by_id, decided_at, undo_until, note, risks,
    risk_source, views_per_hour)
  SELECT %(kind)s, %(item)s, %(version)s, %(queue)s, %(job)s, answer.review, %(verdict)s,
    %(severities)s::jsonb, %(supersedes)s, %(by)s, answer.at,
    answer.at + make_interval(secs => %(undo_seconds)s), %(note)s, %(risks)s::jsonb,
    %(risk_source)s, %(views_per_hour)s
  FROM answer
  RETURNING id, decided_at, undo_until
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
"""

_ANSWER = Statement(
    "answer_record",
    f"""
WITH {leases.ENDING}, {_REVIEW}
SELECT review.id, claim.claimed_at, claim.ended_at FROM review, claim
""",  # noqa: S608
)

_DECIDE = Statement(
    "decision_record",
    f"""
WITH answer AS (SELECT %(review)s::bigint AS review, %(at)s::timestamptz AS at), {_DECISION}
SELECT id, decided_at, undo_until FROM decision
""",  # noqa: S608
)

# Nearly every answer: the first on its item, and it settles it. Claim, review, decision, what is to
# be done and the trail in one.
_SETTLE = Statement(
    "answer_settle",
    f"""
WITH {leases.ENDING}, {_REVIEW},
answer AS (SELECT review.id AS review, claim.ended_at AS at FROM review, claim),
{_DECISION}, {enforcement.PLANNED}, trail AS (
  INSERT INTO reviews_auditentry ({audit.COLUMNS})
  SELECT %(actor_id)s, %(platform_id)s, %(verb)s, %(target_type)s, review.id::text,
    %(data)s::jsonb || jsonb_build_object('decision', decision.id), ''
  FROM review, decision
)
SELECT review.id, claim.claimed_at, claim.ended_at, decision.id, decision.decided_at,
  decision.undo_until
FROM review, claim, decision
""",  # noqa: S608
)


class Answered(NamedTuple):
    review_id: int
    claimed_at: datetime
    ended_at: datetime


def record(places: dict[str, Any], *, by: Person) -> Answered:
    """Claim and review."""
    row = _ANSWER.row(**places)
    if row is None:  # it ran out at this moment
        raise leases.lost(places["job"], places["token"], by)
    return Answered(*row)


def settle(
    decision: Decision,
    now: Situation,
    answer: dict[str, Any],
    said: dict[str, object],
    actions: list[Action],
    parameters: Mapping[int, dict[str, object]],
) -> tuple[Answered, Decision]:
    """The first decision on its item, with all that goes with it: `answer` as record() takes it,
    `said` as the audit does."""
    by = decision.decided_by
    entry = audit.columns("review.record", Review(), by=by, platform=now.platform_id, data=said)
    row = _SETTLE.row(
        **{
            **_places(decision, now),
            **answer,
            **enforcement.planned(actions, parameters),
            **entry,
            "data": json.dumps(entry["data"]),
        }
    )
    if row is None:
        raise leases.lost(answer["job"], answer["token"], by)
    answered = Answered(*row[:3])
    decision.review_id = answered.review_id
    return answered, _made(decision, *row[3:])


def decide(
    decision: Decision, now: Situation, violated: Mapping[str, int], *, at: datetime
) -> Decision:
    """The decision alone."""
    (row,) = _DECIDE.rows(
        **_places(decision, now),
        violated=list(violated.values()),
        review=decision.review_id,
        at=at,
    )
    return _made(decision, *row)


def draft(
    now: Situation,
    *,
    by: Person,
    verdict: str | None,
    kind: str = Decision.Kind.SETTLED,
    note: str = "",
    severities: Mapping[str, int] | None = None,
    review_id: int | None = None,
    supersedes_id: int | None = None,
    item_version_id: int | None = None,
) -> Decision:
    """Not written yet."""
    return Decision(
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
        note=note,
        risks=now.risks,
        risk_source=now.risk_source,
        views_per_hour=now.views_per_hour,
    )


def _places(decision: Decision, now: Situation) -> dict[str, Any]:
    """Of _DECISION, but for the policies violated."""
    return {
        "kind": str(decision.kind),
        "item": decision.item_id,
        "version": decision.item_version_id,
        "queue": decision.queue_id,
        "job": decision.job_id,
        "verdict": decision.verdict,
        "severities": json.dumps(decision.severities),
        "supersedes": decision.supersedes_id,
        "by": decision.decided_by_id,
        "undo_seconds": None if decision.kind == Decision.Kind.UNDO else now.undo_seconds,
        "note": decision.note,
        "risks": json.dumps(decision.risks),
        "risk_source": decision.risk_source,
        "views_per_hour": decision.views_per_hour,
        "is_reported": now.is_reported,
        "platform": now.platform_id,
    }


def _made(decision: Decision, pk: int, at: datetime, undo_until: datetime | None) -> Decision:
    decision.pk, decision.decided_at, decision.undo_until = pk, at, undo_until
    decision._state.adding, decision._state.db = False, connection.alias
    return decision
