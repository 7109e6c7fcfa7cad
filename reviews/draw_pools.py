"""What there is to draw from, lane by lane: waiting jobs to learn from, decisions to check,
verdicts that are known. Who is drawn of it: draws.py.
"""

import json
from typing import NamedTuple

from django.db import connection
from django.utils.translation import gettext_lazy as lazy

from .models import Lane, Queue

# No pool is larger than its newest so many.
MOST_IN_POOL = 100_000

# Decisions of reviewers that stand. A lead's word on a disagreement is the last one.
CHECKED = """
FROM {decisions} AS decision
JOIN reviews_job AS settled_by ON settled_by.id = decision.job_id
JOIN reviews_item AS item ON item.id = decision.item_id
WHERE decision.queue_id = %(queue)s AND decision.kind = 'settled'
  AND decision.verdict IN ('violating', 'clean') AND settled_by.lane <> 'adjudication'
  AND NOT EXISTS (SELECT FROM reviews_decision AS later WHERE later.supersedes_id = decision.id)
  AND NOT EXISTS (
    SELECT FROM reviews_job AS open
    WHERE open.item_id = item.id AND open.state IN ('ready', 'claimed')
  )
"""

_POOLS = {
    Lane.LEARNING: """
SELECT job.id, item.id, item.risks
FROM reviews_job AS job JOIN reviews_item AS item ON item.id = job.item_id
WHERE job.queue_id = %(queue)s AND job.lane = 'risk' AND job.state = 'ready'
  AND job.assigned_to_id IS NULL AND item.risk IS NOT NULL
ORDER BY job.id DESC LIMIT %(most)s
FOR NO KEY UPDATE OF job SKIP LOCKED
""",
    Lane.QA: f"""
SELECT decision.id, item.id, decision.risks
{CHECKED.format(decisions="reviews_decision")}
  AND decision.undo_until < clock_timestamp() AND decision.item_version_id = (
    SELECT id FROM reviews_itemversion
    WHERE item_id = item.id AND number = item.version_number)
  AND NOT EXISTS (SELECT FROM reviews_job AS check_ WHERE check_.item_id = item.id
    AND check_.lane = 'qa' AND check_.created_at > decision.decided_at)
ORDER BY decision.id DESC LIMIT %(most)s
""",  # noqa: S608
    # Known: two people say so and nobody otherwise, or a lead vouches for it; and somebody who
    # works here has not seen it yet.
    Lane.GOLD: """
SELECT decision.id, item.id, decision.risks
FROM reviews_decision AS decision
JOIN reviews_item AS item ON item.id = decision.item_id
JOIN reviews_itemversion AS version
  ON version.id = decision.item_version_id AND version.number = item.version_number
WHERE decision.queue_id = %(queue)s AND decision.verdict IN ('violating', 'clean')
  AND NOT EXISTS (SELECT FROM reviews_decision AS later WHERE later.supersedes_id = decision.id)
  AND (
    EXISTS (SELECT FROM reviews_gold AS gold WHERE gold.decision_id = decision.id)
    OR (
      SELECT count(DISTINCT reviewer_id) >= 2 AND bool_and(verdict = decision.verdict)
      FROM reviews_review WHERE item_version_id = version.id AND item_id = item.id
        AND verdict IN ('violating', 'clean')
    )
  )
  AND NOT EXISTS (
    SELECT FROM reviews_job AS open
    WHERE open.item_id = item.id AND open.state IN ('ready', 'claimed')
  )
  AND EXISTS (
    SELECT FROM reviews_queue_members AS member
    WHERE member.queue_id = decision.queue_id AND NOT EXISTS (
      SELECT FROM reviews_review AS own
      WHERE own.item_id = item.id AND own.reviewer_id = member.person_id
    )
  )
ORDER BY decision.id DESC LIMIT %(most)s
""",
}


NOTHING = {
    Lane.LEARNING: lazy(
        "No job with a score waits in the risk lane, so there is nothing to draw from."
    ),
    Lane.QA: lazy(
        "No decision of this queue is left to check: each is checked already, open again or "
        "can still be taken back."
    ),
    Lane.GOLD: lazy(
        "No verdict is known here that somebody has not seen: two people have to agree on "
        "an item, or a lead marks it as gold on its page."
    ),
}


class Candidate(NamedTuple):
    """One of a pool: `pk` is of the job (learning) or of the decision (the rest)."""

    pk: int
    item_id: int
    risks: dict[str, float]


def read(queue: Queue, lane: str) -> list[Candidate]:
    """The pool of a lane, newest first; of the learning lane, locked and nobody's by now."""
    with connection.cursor() as cursor:
        cursor.execute(_POOLS[Lane(lane)], {"queue": queue.pk, "most": MOST_IN_POOL})
        rows = cursor.fetchall()
    return [Candidate(pk, item_id, _as_dict(risks)) for pk, item_id, risks in rows]


def sizes(queue: Queue) -> dict[str, int]:
    """Lane → how many there are to draw from now, up to MOST_IN_POOL."""
    found = {}
    with connection.cursor() as cursor:
        for lane, statement in _POOLS.items():
            counted = statement.replace("FOR NO KEY UPDATE OF job SKIP LOCKED", "")
            cursor.execute(
                f"SELECT count(*) FROM ({counted}) AS pool",  # noqa: S608
                {"queue": queue.pk, "most": MOST_IN_POOL},
            )
            found[str(lane)] = cursor.fetchone()[0]
    return found


def _as_dict(risks: object) -> dict[str, float]:
    return json.loads(risks) if isinstance(risks, str) else dict(risks or {})
