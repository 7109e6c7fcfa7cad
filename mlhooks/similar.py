"""What was decided about items like this one: the nearest decided texts, with how their copies
were decided. Exact over the newest WINDOW texts that lead a cluster or stand alone, so it costs the
same for ever; neighbours.py keeps that window.
"""

from datetime import datetime
from typing import NamedTuple

from reviews import blind
from reviews.models import Item, Job, Person
from reviews.statements import Statement

from .neighbours import WINDOW

# Cosine from which a text is shown at all, and from which the words for it change.
SIMILAR, VERY, SAME = 0.65, 0.8, 0.95
MOST_SHOWN = 4
# The nearest texts that are looked at for decisions; of a cluster, so many members.
_LOOKED_AT = 40
_MEMBERS = 100

_NEAREST = Statement(
    "similar_decided",
    """
WITH given AS MATERIALIZED (
  SELECT embedding.vector, embedding.encoder FROM mlhooks_embedding AS embedding
  JOIN reviews_itemversion AS version ON version.id = embedding.item_version_id
  JOIN reviews_item AS item
    ON item.id = version.item_id AND item.version_number = version.number
  LEFT JOIN mlhooks_modelversion AS champion
    ON champion.platform_id = item.platform_id AND champion.state = 'champion'
    AND regexp_replace(champion.encoder, '/[^/]*$', '')
      = regexp_replace(embedding.encoder, '/[^/]*$', '')
  WHERE item.id = %(item)s ORDER BY champion.id IS NULL, embedding.id DESC LIMIT 1
), own AS (
  SELECT cluster_id FROM reviews_clustermember WHERE item_id = %(item)s
), nearest AS MATERIALIZED (
  SELECT near.item_version_id, near.vector <=> given.vector AS distance
  FROM given CROSS JOIN LATERAL (
    SELECT item_version_id, vector FROM mlhooks_nearvector
    WHERE platform_id = %(platform)s AND encoder = given.encoder
    ORDER BY item_version_id DESC LIMIT %(window)s
  ) AS near
  WHERE near.vector <=> given.vector <= %(furthest)s
  ORDER BY distance LIMIT %(looked_at)s
), leads AS (
  SELECT version.item_id, member.cluster_id, 1 - nearest.distance AS similarity
  FROM nearest
  JOIN reviews_itemversion AS version ON version.id = nearest.item_version_id
  LEFT JOIN reviews_clustermember AS member ON member.item_id = version.item_id
  WHERE member.cluster_id IS DISTINCT FROM (SELECT cluster_id FROM own)
    OR member.cluster_id IS NULL
  UNION ALL
  SELECT (SELECT item_id FROM reviews_clustermember WHERE cluster_id = own.cluster_id
      AND item_id <> %(item)s ORDER BY similarity DESC, id LIMIT 1), own.cluster_id, 1.0
  FROM own
)
SELECT told.item_id, leads.similarity, sums.violating, sums.clean, sums.people, sums.last_at,
  ARRAY(
    SELECT policy.name FROM reviews_decision_policy_versions AS link
    JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
    JOIN reviews_policy AS policy ON policy.id = version.policy_id
    WHERE link.decision_id = sums.shown ORDER BY policy.position, policy.id
  )
FROM leads
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE standing.verdict = 'violating') AS violating,
    count(*) FILTER (WHERE standing.verdict = 'clean') AS clean,
    count(DISTINCT standing.decided_by_id) AS people, max(standing.decided_at) AS last_at,
    coalesce(max(standing.id) FILTER (WHERE standing.verdict = 'violating'), max(standing.id))
      AS shown
  FROM (
    SELECT leads.item_id AS id
    UNION
    (SELECT item_id FROM reviews_clustermember
     WHERE cluster_id = leads.cluster_id LIMIT %(members)s)
  ) AS copy
  CROSS JOIN LATERAL (
    SELECT id, verdict, decided_by_id, decided_at FROM reviews_decision
    WHERE item_id = copy.id ORDER BY id DESC LIMIT 1
  ) AS standing
  WHERE standing.verdict IN ('violating', 'clean') AND copy.id <> %(item)s
) AS sums
JOIN LATERAL (SELECT item_id FROM reviews_decision WHERE id = sums.shown) AS told ON true
WHERE leads.item_id <> %(item)s
ORDER BY leads.similarity DESC, told.item_id DESC LIMIT %(read)s
""",
)


class Similar(NamedTuple):
    """A decided text near this one; the figures are over it and its near-identical copies."""

    item_id: int
    similarity: float
    violating: int
    clean: int
    people: int
    last_at: datetime
    policies: list[str]

    @property
    def step(self) -> str:
        """ "same", "very" or "similar": what the template has words for."""
        if self.similarity >= SAME:
            return "same"
        return "very" if self.similarity >= VERY else "similar"


def decided_like(item: Item, *, by: Person) -> list[Similar]:
    """The nearest first, without those that wait for a blind review of hers."""
    rows = _NEAREST.rows(
        item=item.pk,
        platform=item.platform_id,
        window=WINDOW,
        furthest=1 - SIMILAR,
        looked_at=_LOOKED_AT,
        members=_MEMBERS,
        read=3 * MOST_SHOWN,
    )
    found = [Similar(*row) for row in rows]
    if not found:
        return []
    jobs = Job.objects.filter(item__in=[one.item_id for one in found])
    untold = set(blind.telling_jobs(by, jobs).values_list("item_id", flat=True))
    return [one for one in found if one.item_id not in untold][:MOST_SHOWN]
