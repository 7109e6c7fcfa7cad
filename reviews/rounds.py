"""A round: the independent answers to one item since it was last settled, and what they come to."""

import statistics
from collections.abc import Collection
from typing import NamedTuple

from .agreement import Answer, consensus
from .answers import SETTLING
from .models import Decision, Finding, Job, Lane, Person
from .situations import Situation
from .statements import Statement

# Lanes whose answers count as independent ones; a lead's adjudication settles by itself.
INDEPENDENT = (
    str(Lane.RISK),
    str(Lane.RANDOM),
    str(Lane.LEARNING),
    str(Lane.SECOND),
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


class Given(NamedTuple):
    """One answer of the round that is open for an item."""

    review_id: int
    reviewer_id: int
    verdict: str
    violated: list[str]

    @property
    def answer(self) -> Answer:
        return Answer(self.verdict, frozenset(self.violated))


class Settled(NamedTuple):
    """What a round came to, and in whose name it stands."""

    verdict: str
    violated: frozenset[str]
    reviewer_id: int
    review_id: int
    severities: dict[str, int]  # of the policies it found violated, the middle of what was said


def given(now: Situation) -> list[Given]:
    """Everybody's newest answer of the round."""
    rows = _ROUND.rows(
        item=now.item_id, version=now.version_id, queue=now.queue_id, lanes=list(INDEPENDENT)
    )
    return [Given(*row) for row in rows]


def settling(now: Situation) -> list[Given]:
    return [one for one in given(now) if one.verdict in SETTLING]


def outcome(answers: list[Given], *, by: Person) -> Settled | None:
    """What more than half of them say. It stands in the name of somebody who said so: the one who
    has just answered, if she did."""
    settled = consensus([one.answer for one in answers])
    if settled is None:
        return None
    with_it = [one for one in answers if one.answer.verdict == settled.verdict]
    exact = [one for one in with_it if one.answer == settled] or with_it
    last = max(exact, key=lambda one: (one.reviewer_id == by.pk, one.review_id))
    severities = _severities([one.review_id for one in with_it], settled.violated)
    return Settled(settled.verdict, settled.violated, last.reviewer_id, last.review_id, severities)


def _severities(review_ids: list[int], violated: Collection[str]) -> dict[str, int]:
    """By policy the middle level, the milder of two: nobody's word alone makes it worse."""
    graded = Finding.objects.filter(
        review__in=review_ids,
        policy_version__policy__slug__in=violated,
        severity__isnull=False,
    ).order_by("policy_version__policy__position", "policy_version__policy_id")
    levels: dict[str, list[int]] = {}
    for slug, level in graded.values_list("policy_version__policy__slug", "severity"):
        levels.setdefault(slug, []).append(level)
    return {slug: statistics.median_low(said) for slug, said in levels.items()}


def was_settled_since(now: Situation, job: Job) -> bool:
    if now.standing_id is None:
        return False
    standing = Decision.objects.get(pk=now.standing_id)
    return standing.verdict is not None and standing.decided_at > job.created_at
