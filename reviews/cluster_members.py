"""Who is near whom put together: a pair joins a cluster, two clusters become one.

Whoever finds texts near each other (by their words: clusters.py; by meaning: mlhooks) says so here.
Joins of one platform go one after another.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import connection, transaction

from . import audit, bulk
from .models import Anchor, Cluster, ClusterMember, Platform

# A cluster larger than this is not measured against another anchor as a whole.
MOST_MERGED = 5_000
_JOIN_LOCK = 7_305_120  # advisory lock, with the platform: one joiner at a time

How = ClusterMember.How

_JOIN = """
INSERT INTO reviews_clustermember (cluster_id, item_id, item_version_id, how, similarity)
SELECT cluster_id, item_id, item_version_id, how, similarity FROM json_to_recordset(%s) AS row (
  cluster_id bigint, item_id bigint, item_version_id bigint, how text, similarity float8)
ON CONFLICT (item_id) DO UPDATE SET cluster_id = EXCLUDED.cluster_id, how = EXCLUDED.how,
  item_version_id = EXCLUDED.item_version_id, similarity = EXCLUDED.similarity, joined_at = now()
"""
_RECOUNT = """
UPDATE reviews_cluster AS cluster SET
  size = (SELECT count(*) FROM reviews_clustermember WHERE cluster_id = cluster.id),
  joined_at = clock_timestamp()
WHERE cluster.id = ANY(%s)
"""
_CURRENT = """
SELECT version.id, version.item_id, item.platform_id, item.fingerprint
FROM reviews_itemversion AS version
JOIN reviews_item AS item ON item.id = version.item_id AND item.version_number = version.number
WHERE version.id = ANY(%s)
"""


class Near(NamedTuple):
    """Two item versions and how near somebody found them."""

    version_id: int
    other_id: int
    similarity: float


# (anchor's version id, version ids) → how near each is to it; what cannot be measured is left out.
Measure = Callable[[int, Sequence[int]], Mapping[int, float]]


class Member(NamedTuple):
    cluster_id: int
    item_version_id: int


def join_pairs(
    pairs: Iterable[Near], *, platform: Platform | int, how: str, near: float, measure: Measure
) -> int:
    """Put the versions of these pairs together; returns how many items found a cluster or another.

    The same pairs again change nothing. A pair only hints: whoever joins is measured against the
    anchor. Two clusters become one, the older, only if every member of the newer is near it.
    """
    platform_id = platform if isinstance(platform, int) else platform.pk
    ordered = sorted(
        {
            (min(pair[:2]), max(pair[:2]), pair.similarity)
            for pair in pairs
            if pair.version_id != pair.other_id and pair.similarity >= near
        },
        key=lambda pair: (-pair[2], pair[0], pair[1]),
    )
    if not ordered:
        return 0
    with transaction.atomic():
        hold_platform(platform_id)
        joining = _Joining(platform_id, how, near, measure)
        joining.look({pk for one, other, _ in ordered for pk in (one, other)})
        for one, other, similarity in ordered:
            joining.take(one, other, similarity)
        joining.settle()
    return joining.moved


class _Joining:
    """One call of join_pairs(), inside its transaction."""

    def __init__(self, platform_id: int, how: str, near: float, measure: Measure) -> None:
        self.platform_id, self.how, self.near, self.measure = platform_id, how, near, measure
        self.moved = 0
        self.touched: set[int] = set()

    def look(self, version_ids: set[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_CURRENT, [list(version_ids)])
            rows = [row for row in cursor.fetchall() if row[2] == self.platform_id]
        self.item_of = {pk: item_id for pk, item_id, _, _ in rows}
        self.fingerprint_of = {pk: fingerprint for pk, _, _, fingerprint in rows}
        members = ClusterMember.objects.filter(item__in=self.item_of.values())
        self.cluster_of = {
            item_id: Member(cluster_id, version_id)
            for item_id, cluster_id, version_id in members.values_list(
                "item_id", "cluster_id", "item_version_id"
            )
        }
        clusters = {member.cluster_id for member in self.cluster_of.values()}
        self.anchor_of = dict(
            Cluster.objects.filter(pk__in=clusters).values_list("pk", "anchor_id")
        )

    def take(self, one: int, other: int, similarity: float) -> None:
        if one not in self.item_of or other not in self.item_of:
            return  # edited meanwhile: its new text has a row of its own
        if self.item_of[one] == self.item_of[other]:
            return
        home, away = self._cluster(one), self._cluster(other)
        if home is None and away is None:
            self._found(one, other, similarity)
        elif home is not None and away is not None:
            if home != away:
                self._merge(min(home, away), max(home, away))
        else:
            cluster_id = home if away is None else away
            assert cluster_id is not None  # noqa: S101  (for the type checker)
            newcomer, known = (other, one) if away is None else (one, other)
            anchor = self.anchor_of[cluster_id]
            if anchor != known:
                similarity = self.measure(anchor, [newcomer]).get(newcomer, 0.0)
            if similarity >= self.near:
                self._join(cluster_id, newcomer, similarity)

    def settle(self) -> None:
        recount(self.touched)

    def _cluster(self, version_id: int) -> int | None:
        member = self.cluster_of.get(self.item_of[version_id])
        return member.cluster_id if member else None

    def _found(self, one: int, other: int, similarity: float) -> None:
        """A new cluster around the older text."""
        anchor = _ensure_anchor(one, self.item_of[one], self.platform_id, self.fingerprint_of[one])
        cluster, _ = Cluster.objects.get_or_create(
            anchor_id=anchor, defaults={"platform_id": self.platform_id}
        )
        self.anchor_of[cluster.pk] = one
        self._join(cluster.pk, one, 1.0, how=How.EXACT)
        self._join(cluster.pk, other, similarity)

    def _join(
        self, cluster_id: int, version_id: int, similarity: float, *, how: str | None = None
    ) -> None:
        item_id = self.item_of[version_id]
        add_members([(cluster_id, item_id, version_id, how or self.how, similarity)])
        self.cluster_of[item_id] = Member(cluster_id, version_id)
        self.touched.add(cluster_id)
        self.moved += 1

    def _merge(self, keep: int, gone: int) -> None:
        members = list(
            ClusterMember.objects.filter(cluster=gone).values_list("item_id", "item_version_id")[
                : MOST_MERGED + 1
            ]
        )
        if len(members) > MOST_MERGED:
            return
        versions = [version_id for _, version_id in members]
        near = self.measure(self.anchor_of[keep], versions)
        if any(near.get(version_id, 0.0) < self.near for version_id in versions):
            return
        add_members(
            [
                (keep, item_id, version_id, self.how, min(near[version_id], 1.0))
                for item_id, version_id in members
            ]
        )
        Cluster.objects.filter(pk=gone).delete()
        for item_id, version_id in members:
            self.cluster_of[item_id] = Member(keep, version_id)
        self.touched = (self.touched - {gone}) | {keep}
        self.moved += len(members)
        audit.record(
            "cluster.merge",
            Cluster(pk=keep),
            by=None,
            platform=self.platform_id,
            merged=gone,
            members=len(members),
        )


def _ensure_anchor(version_id: int, item_id: int, platform_id: int, fingerprint: str) -> int:
    anchor, _ = Anchor.objects.get_or_create(
        item_version_id=version_id,
        defaults={
            "item_id": item_id,
            "platform_id": platform_id,
            "fingerprint": fingerprint,
            "minhash": b"",
        },
    )
    return anchor.pk


def add_members(rows: Iterable[tuple[int, int, int, str, float]]) -> None:
    """Members by (cluster, item, version, how, similarity); one that is elsewhere moves."""
    names = ("cluster_id", "item_id", "item_version_id", "how", "similarity")
    values = [dict(zip(names, row, strict=True)) for row in rows]
    if values:
        bulk.over_rows(_JOIN, values)


def recount(cluster_ids: Iterable[int]) -> None:
    """Sizes; a cluster that nobody is left in goes, and its anchor with it stays a plain one."""
    ids = sorted(cluster_ids)
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT, [ids])
    Cluster.objects.filter(pk__in=ids, size=0).delete()


def hold_platform(platform_id: int) -> None:
    """In the caller's transaction: nobody else joins anything on this platform meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_JOIN_LOCK, platform_id])
