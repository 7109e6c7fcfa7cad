"""What is read about an item after the desk has been painted: its author's past, what it answers,
what was said of it before. Bounded whatever there is; the light parts are desk.py's.
"""

from datetime import datetime
from typing import NamedTuple

from . import blind, ranking
from .models import Item, Job, Person, Report
from .statements import Statement

MOST_PAST = 6
# Looked through for those that are shown: what waits for a blind review is left out.
_PAST_READ = 30
_MOST_STRIKES = 3

_PAST = Statement(
    "evidence_past",
    """
SELECT newest.id, newest.submitted_at, standing.verdict, standing.decided_at,
  ARRAY(
    SELECT policy.name FROM reviews_decision_policy_versions AS link
    JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
    JOIN reviews_policy AS policy ON policy.id = version.policy_id
    WHERE link.decision_id = standing.id ORDER BY policy.position, policy.id
  )
FROM (
  SELECT id, submitted_at FROM reviews_item
  WHERE account_id = %(account)s AND id <> %(item)s
  ORDER BY submitted_at DESC LIMIT %(most)s
) AS newest
LEFT JOIN LATERAL (
  SELECT id, verdict, decided_at FROM reviews_decision
  WHERE item_id = newest.id ORDER BY id DESC LIMIT 1
) AS standing ON true
ORDER BY newest.submitted_at DESC, newest.id DESC
""",
)
_STRIKES = Statement(
    "evidence_strikes",
    """
SELECT strike.created_at, strike.expires_at, decision.item_id,
  ARRAY(
    SELECT policy.name FROM reviews_decision_policy_versions AS link
    JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
    JOIN reviews_policy AS policy ON policy.id = version.policy_id
    WHERE link.decision_id = decision.id ORDER BY policy.position, policy.id
  )
FROM reviews_strike AS strike
JOIN reviews_enforcement AS enforcement ON enforcement.id = strike.enforcement_id
JOIN reviews_decision AS decision ON decision.id = enforcement.decision_id
WHERE strike.account_id = %(account)s AND strike.reversed_at IS NULL
  AND strike.expires_at > clock_timestamp()
ORDER BY strike.created_at DESC, strike.id DESC LIMIT %(most)s
""",
)


class PastItem(NamedTuple):
    """Another item of the same author, and what stands about it (None: nothing)."""

    item_id: int
    submitted_at: datetime
    verdict: str | None
    decided_at: datetime | None
    policies: list[str]


class PastStrike(NamedTuple):
    created_at: datetime
    expires_at: datetime
    item_id: int
    policies: list[str]


class Past(NamedTuple):
    """Newest first; `strikes` are those that count."""

    items: list[PastItem]
    strikes: list[PastStrike]
    has_more: bool


def past_of(item: Item, *, by: Person) -> Past:
    """What its author sent before and after, without what waits for a blind review of hers."""
    rows = _PAST.rows(account=item.account_id, item=item.pk, most=_PAST_READ)
    found = [PastItem(*row) for row in rows]
    jobs = Job.objects.filter(item__in=[one.item_id for one in found])
    untold = set(blind.telling_jobs(by, jobs).values_list("item_id", flat=True)) if found else set()
    told = [one for one in found if one.item_id not in untold]
    strikes = [
        PastStrike(*row) for row in _STRIKES.rows(account=item.account_id, most=_MOST_STRIKES)
    ]
    return Past(
        told[:MOST_PAST],
        [one for one in strikes if one.item_id not in untold],
        len(told) > MOST_PAST or len(found) == _PAST_READ,
    )


_REPORTS = Statement(
    "evidence_reports",
    """
SELECT report.id, report.source, report.reporter, report.reason, report.text, report.created_at,
  record.upheld, record.settled
FROM (
  SELECT id, source, reporter, reason, left(text, %(shown)s) AS text, created_at
  FROM reviews_report
  WHERE item_id = %(item)s AND id < %(before)s ORDER BY id DESC LIMIT %(most)s
) AS report
LEFT JOIN reviews_reporter AS record
  ON record.platform_id = %(platform)s AND record.source = report.source
  AND record.external_id = report.reporter AND record.settled > 0
ORDER BY report.id DESC
""",
)
_TEXT_SHOWN = 4_000


class FiledReport(NamedTuple):
    """One report, with its reporter's record in words ("usually right (18 of 21)")."""

    pk: int
    source: str
    reporter: str
    reason: str
    text: str
    created_at: datetime
    record: str

    @property
    def label(self) -> str:
        return str(Report.Source(self.source).label)


def reports_of(item: Item, *, before: int | None = None, limit: int) -> list[FiledReport]:
    """Newest first; `before` is the id of the last one seen."""
    rows = _REPORTS.rows(
        item=item.pk,
        platform=item.platform_id,
        before=before if before is not None else 2**62,
        most=limit,
        shown=_TEXT_SHOWN,
    )
    return [
        FiledReport(*row[:6], ranking.record(upheld, settled) if settled else "")
        for *row, upheld, settled in rows
    ]
