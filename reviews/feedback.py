"""What a person learns about her own work: for her eyes only, and nothing that ranks people.

Figures stop with yesterday, so that no single answer of today can be told from a check; they are
not shown below LEAST, where chance would speak.
"""

from typing import NamedTuple

from django.utils import timezone

from . import ranking
from .models import Person
from .statements import Statement

DAYS = 90
LEAST = 10
_MOST = 1_000  # of her newest answers and decisions

# "Right" and "the same" mean the verdict and the policies. An answer after a colleague's opinion
# is not hers alone, so it does not count among the known ones.
_FEEDBACK = Statement(
    "own_feedback",
    f"""
WITH said AS MATERIALIZED (
  SELECT review.id, review.item_id, review.item_version_id, review.verdict, job.lane, review.job_id
  FROM reviews_review AS review JOIN reviews_job AS job ON job.id = review.job_id
  WHERE review.reviewer_id = %(person)s AND review.created_at < %(until)s::timestamptz
    AND review.created_at >= %(until)s::timestamptz - interval '{DAYS} days'
  ORDER BY review.created_at DESC LIMIT {_MOST}
), known AS (
  SELECT said.verdict = decision.verdict AND ARRAY(
    SELECT version.policy_id FROM reviews_finding AS finding
    JOIN reviews_policyversion AS version ON version.id = finding.policy_version_id
    WHERE finding.review_id = said.id AND finding.violates ORDER BY 1
  ) = ARRAY(
    SELECT version.policy_id FROM reviews_decision_policy_versions AS link
    JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
    WHERE link.decision_id = decision.id ORDER BY 1
  ) AS is_right
  FROM said
  JOIN reviews_gold AS gold ON gold.item_id = said.item_id
  JOIN reviews_decision AS decision ON decision.id = gold.decision_id
    AND decision.item_version_id = said.item_version_id
  WHERE said.lane = 'gold' AND said.verdict IN ('violating', 'clean') AND NOT EXISTS (
    SELECT FROM reviews_consultation AS asked
    WHERE asked.item_id = said.item_id AND asked.asked_by_id = %(person)s
      AND asked.state = 'answered'
  )
), decided AS MATERIALIZED (
  SELECT decision.id, decision.item_id, decision.item_version_id, decision.verdict,
    decision.decided_at, later.verdict AS later_verdict, later.decided_by_id AS later_by
  FROM (
    SELECT * FROM reviews_decision WHERE decided_by_id = %(person)s ORDER BY id DESC LIMIT {_MOST}
  ) AS decision
  LEFT JOIN reviews_decision AS later ON later.supersedes_id = decision.id
  WHERE decision.verdict IS NOT NULL AND decision.decided_at < %(until)s::timestamptz
    AND decision.decided_at >= %(until)s::timestamptz - interval '{DAYS} days'
    AND later.decided_by_id IS DISTINCT FROM %(person)s
), checked AS (
  SELECT checking.verdict = decided.verdict AS agrees FROM decided
  CROSS JOIN LATERAL (
    SELECT review.verdict FROM reviews_review AS review
    JOIN reviews_job AS job ON job.id = review.job_id AND job.lane = 'qa'
    WHERE review.item_id = decided.item_id
      AND review.item_version_id = decided.item_version_id
      AND review.reviewer_id <> %(person)s AND review.verdict IN ('violating', 'clean')
      AND review.created_at > decided.decided_at AND review.created_at < %(until)s::timestamptz
    ORDER BY review.id LIMIT 1
  ) AS checking
)
SELECT
  (SELECT count(*) FILTER (WHERE is_right) FROM known), (SELECT count(*) FROM known),
  (SELECT count(*) FILTER (WHERE agrees) FROM checked), (SELECT count(*) FROM checked),
  (SELECT count(*) FILTER (WHERE later_verdict <> verdict) FROM decided),
  (SELECT count(*) FROM decided)
""",  # noqa: S608
)


class Share(NamedTuple):
    """`hits` of `n`, with Wilson's 95 % interval."""

    hits: int
    n: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.n

    @property
    def low(self) -> float:
        return 100 * ranking.interval(self.hits, self.n)[0]

    @property
    def high(self) -> float:
        return 100 * ranking.interval(self.hits, self.n)[1]


class Feedback(NamedTuple):
    """Each None below LEAST."""

    known: Share | None  # answers that were right, of items whose answer was known
    checked: Share | None  # of her decisions that somebody looked at again: said the same
    overturned: Share | None  # decided otherwise by somebody else, of her decisions

    @property
    def is_empty(self) -> bool:
        return not any(self)


def of_person(person: Person) -> Feedback:
    """Of the last DAYS, up to yesterday. The caller shows it to this person and to nobody else."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    row = _FEEDBACK.row(person=person.pk, until=midnight)
    assert row is not None  # noqa: S101  (an aggregate always has a row)
    return Feedback(*(_share(hits, n) for hits, n in zip(row[::2], row[1::2], strict=True)))


def _share(hits: int, n: int) -> Share | None:
    return Share(hits, n) if n >= LEAST else None
