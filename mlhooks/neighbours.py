"""Near-duplicates by meaning: who stands next to whom in the encoder's space.

Scoring leaves a DueNeighbour row for each new vector; find_due() works it off. A vector is compared
exactly with the newest WINDOW texts of its platform that lead a cluster or are alone, which costs
the same for ever; a wave of copies is gone from there, because copies have joined somebody.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import connection

from reviews import cluster_members, shingles
from reviews.due_rows import DueRows
from reviews.models import ClusterMember, ItemVersion

from .models import DueNeighbour

# Cosine, and the words two texts must share besides. Measured on the demo's 2,000 mails, read by
# hand: 12 more join an anchor; 10 are one template reworded, two are replies that quote most of a
# mail; all 12 have its verdict. Without the words, newsletters whose first 256 tokens are the same
# (all that the encoder reads) stand at 0.999 with 0.3 of the words. Under 0.95 the subject is the
# same and the text is not.
NEAR = 0.95
LEAST_OVERLAP = 0.5
MOST_NEIGHBOURS = 20
WINDOW = 20_000
BATCH = 100

# Its newest vector by the champion's encoder: a candidate that is only being looked at may have
# left one by its own. Nothing for a text that was replaced, or stands behind an anchor already.
_VECTORS = """
INSERT INTO mlhooks_nearvector (item_version_id, platform_id, encoder, vector)
SELECT DISTINCT ON (version.id) version.id, item.platform_id, embedding.encoder, embedding.vector
FROM reviews_itemversion AS version
JOIN reviews_item AS item ON item.id = version.item_id AND item.version_number = version.number
JOIN mlhooks_embedding AS embedding ON embedding.item_version_id = version.id
LEFT JOIN reviews_clustermember AS member
  ON member.item_id = item.id AND member.item_version_id = version.id
LEFT JOIN reviews_cluster AS cluster ON cluster.id = member.cluster_id
LEFT JOIN mlhooks_modelversion AS champion
  ON champion.platform_id = item.platform_id AND champion.state = 'champion'
  AND regexp_replace(champion.encoder, '/[^/]*$', '')
    = regexp_replace(embedding.encoder, '/[^/]*$', '')
WHERE version.id = ANY(%s) AND (member.id IS NULL OR cluster.anchor_id = version.id)
ORDER BY version.id, champion.id IS NULL, embedding.id DESC
ON CONFLICT (item_version_id) DO UPDATE
  SET encoder = EXCLUDED.encoder, vector = EXCLUDED.vector
RETURNING item_version_id, platform_id, encoder
"""
_NEAREST = """
WITH near AS MATERIALIZED (
  SELECT item_version_id, vector FROM mlhooks_nearvector
  WHERE platform_id = %(platform)s AND encoder = %(encoder)s
  ORDER BY item_version_id DESC LIMIT %(window)s
)
SELECT given.item_version_id, hit.item_version_id, 1 - hit.distance
FROM mlhooks_nearvector AS given CROSS JOIN LATERAL (
  SELECT near.item_version_id, near.vector <=> given.vector AS distance FROM near
  WHERE near.item_version_id <> given.item_version_id
    AND near.vector <=> given.vector <= %(furthest)s
  ORDER BY distance LIMIT %(most)s
) AS hit
WHERE given.item_version_id = ANY(%(versions)s)
"""
_COSINES = """
SELECT other.item_version_id, 1 - (other.vector <=> anchor.vector)
FROM mlhooks_embedding AS anchor
JOIN mlhooks_embedding AS other ON other.encoder = anchor.encoder
WHERE anchor.item_version_id = %s AND anchor.encoder = %s AND other.item_version_id = ANY(%s)
"""
# Who has joined another leads nobody; what is older than the window is out of sight.
_LEAVE = """
DELETE FROM mlhooks_nearvector AS near
USING reviews_clustermember AS member, reviews_cluster AS cluster
WHERE near.item_version_id = ANY(%s) AND member.item_version_id = near.item_version_id
  AND cluster.id = member.cluster_id AND cluster.anchor_id <> near.item_version_id
"""
_PRUNE = """
DELETE FROM mlhooks_nearvector WHERE platform_id = %(platform)s AND encoder = %(encoder)s
  AND item_version_id <= (
    SELECT item_version_id FROM mlhooks_nearvector
    WHERE platform_id = %(platform)s AND encoder = %(encoder)s
    ORDER BY item_version_id DESC OFFSET %(window)s LIMIT 1
  )
"""


def find_due(*, limit: int = BATCH, seconds: float = 0.0) -> int:
    """Compare one batch; with `seconds`, batch after batch until none is due.

    Returns how many rows were dealt with.
    """
    return _DUE.work_off(limit=limit, seconds=seconds)


def is_any_due() -> bool:
    return _DUE.is_any()


def _compare(version_ids: Sequence[int]) -> None:
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_VECTORS, [list(version_ids)])
        for version_id, platform_id, encoder in cursor.fetchall():
            groups[platform_id, encoder].append(version_id)
    for (platform_id, encoder), versions in sorted(groups.items()):
        place = {"platform": platform_id, "encoder": encoder, "window": WINDOW}
        with connection.cursor() as cursor:
            cursor.execute(
                _NEAREST,
                {
                    **place,
                    "versions": versions,
                    "furthest": 1 - NEAR,
                    "most": MOST_NEIGHBOURS,
                },
            )
            pairs = [cluster_members.Near(*row) for row in cursor.fetchall()]
        measure = _Measure(encoder)
        pairs = [pair for pair in pairs if measure.shares_words(pair[0], pair[1])]
        cluster_members.join_pairs(
            pairs,
            platform=platform_id,
            how=ClusterMember.How.EMBEDDING,
            near=NEAR,
            measure=measure,
        )
        with connection.cursor() as cursor:
            cursor.execute(_LEAVE, [sorted({pk for pair in pairs for pk in pair[:2]})])
            cursor.execute(_PRUNE, place)


class _Measure:
    """How near versions are to an anchor: the cosine, where they share words enough."""

    def __init__(self, encoder: str) -> None:
        self.encoder = encoder
        self.texts: dict[int, str] = {}

    def __call__(self, anchor: int, version_ids: Sequence[int]) -> Mapping[int, float]:
        with connection.cursor() as cursor:
            cursor.execute(_COSINES, [anchor, self.encoder, list(version_ids)])
            cosines = cursor.fetchall()
        self._read([anchor, *version_ids])
        return {
            pk: min(max(cosine, 0.0), 1.0)
            for pk, cosine in cosines
            if cosine >= NEAR and self.shares_words(anchor, pk)
        }

    def shares_words(self, one: int, other: int) -> bool:
        self._read([one, other])
        overlap = shingles.overlap(self.texts.get(one, ""), self.texts.get(other, ""))
        return overlap >= LEAST_OVERLAP

    def _read(self, version_ids: Iterable[int]) -> None:
        missing = [pk for pk in version_ids if pk not in self.texts]
        if not missing:
            return
        rows = ItemVersion.objects.filter(pk__in=missing).select_related("item__kind")
        self.texts |= {version.pk: version.text() for version in rows}


_DUE = DueRows(DueNeighbour, _compare)
