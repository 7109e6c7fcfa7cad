"""Near-duplicates: texts are hashed where they wait, and joined around an anchor.

Row, nudge, sweep: intake leaves a DueHash row, hash_due() works it off. A text near no anchor
becomes one; a later text joins the anchor it is nearest to, if that is near enough. So a look-up is
an index probe for each band, a wave of copies adds no bands, and no cluster drifts: everybody in it
was compared with the anchor itself. Who joins is written by cluster_members.py.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerError

from . import bulk, conversations, shingles
from .cluster_members import How, Member, add_members, hold_platform, recount
from .due_rows import DueRows
from .models import Anchor, Band, Cluster, ClusterMember, DueHash, ItemKind
from .submission import Shape, text_of

logger = logging.getLogger(__name__)

BATCH = 200
# Anchors that one slice leads to: behind a slice that everybody shares there is no near text.
MOST_A_BAND = 20

_TEXTS = """
SELECT version.id, item.id, item.platform_id, item.kind_id, version.content::text,
  item.fingerprint
FROM reviews_itemversion AS version
JOIN reviews_item AS item ON item.id = version.item_id AND item.version_number = version.number
WHERE version.id = ANY(%s) ORDER BY version.id
"""
_CANDIDATES = """
SELECT given.key, hit.anchor_id FROM unnest(%s::bigint[]) AS given (key)
CROSS JOIN LATERAL (
  SELECT anchor_id FROM reviews_band WHERE key = given.key ORDER BY anchor_id LIMIT %s
) AS hit
"""
# The cluster of an anchor: its own, or the one its item has joined with this very text.
_ANCHORS = """
SELECT anchor.item_version_id, anchor.item_id, anchor.fingerprint, anchor.minhash,
  own.id, member.cluster_id, member.similarity
FROM reviews_anchor AS anchor
LEFT JOIN reviews_cluster AS own ON own.anchor_id = anchor.item_version_id
LEFT JOIN reviews_clustermember AS member
  ON member.item_id = anchor.item_id AND member.item_version_id = anchor.item_version_id
  AND own.id IS NULL
WHERE {which} AND anchor.platform_id = %s ORDER BY anchor.item_version_id
"""


class _Text(NamedTuple):
    version_id: int
    item_id: int
    fingerprint: str
    sketch: bytes


class _Anchor(NamedTuple):
    version_id: int
    item_id: int
    fingerprint: str
    sketch: bytes
    cluster_id: int | None
    joined_id: int | None  # the cluster that its item has joined elsewhere
    joined_similarity: float | None


def mark_versions(version_ids: Sequence[int]) -> None:
    """These wait to be hashed. Inside the caller's transaction; nudges when it commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reviews_duehash (item_version_id) SELECT unnest(%s::bigint[]) "
            "ON CONFLICT DO NOTHING",
            [bulk.id_array(version_ids)],
        )
    _nudge_on_commit()


def mark_new_versions(version_ids: Sequence[int]) -> None:
    """The same of versions that this transaction has made, of which none can wait yet: by COPY."""
    bulk.copy_in(
        "COPY reviews_duehash (item_version_id) FROM STDIN", (f"{pk}\n" for pk in version_ids)
    )
    _nudge_on_commit()


def _nudge_on_commit() -> None:
    if not any(function is nudge for _, function, *_ in connection.run_on_commit):
        transaction.on_commit(nudge, robust=True)


def nudge() -> None:
    """Wake a worker. A nudge that is lost, or too old to matter, is the sweep's to make good."""
    try:
        current_app.send_task("reviews.tasks.hash_items", expires=60, retry=False)
    except (BrokerError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will hash what is due.", error)


def hash_due(*, limit: int = BATCH, seconds: float = 0.0) -> int:
    """Hash and join one batch; with `seconds`, batch after batch until none is due.

    Returns how many rows were dealt with.
    """
    return _DUE.work_off(limit=limit, seconds=seconds)


def is_any_due() -> bool:
    return _DUE.is_any()


def _hash(version_ids: Sequence[int]) -> None:
    conversations.place(version_ids)
    by_platform: dict[int, list[_Text]] = defaultdict(list)
    for platform_id, text in _read(version_ids):
        by_platform[platform_id].append(text)
    for platform_id in sorted(by_platform):
        hold_platform(platform_id)
        _place(platform_id, by_platform[platform_id])


_DUE = DueRows(DueHash, _hash)


def _read(version_ids: Sequence[int]) -> Iterable[tuple[int, _Text]]:
    """Versions that are still their item's newest, hashed."""
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, [list(version_ids)])
        rows = cursor.fetchall()
    kinds = ItemKind.objects.filter(pk__in={row[3] for row in rows})
    shapes = {kind.pk: Shape(kind.pk, kind.slug, kind.fields) for kind in kinds}
    for version_id, item_id, platform_id, kind_id, content, fingerprint in rows:
        text = text_of(json.loads(content), shapes[kind_id])
        yield platform_id, _Text(version_id, item_id, fingerprint, shingles.signature(text))


def _place(platform_id: int, texts: Sequence[_Text]) -> None:
    """Each text to the anchor it is nearest to, or as an anchor of its own."""
    _forget_old(platform_id, texts)
    placing = _Placing(platform_id, texts)
    for text in texts:
        placing.take(text)
    placing.settle()


class _Placing:
    """Texts of one platform, hashed, on their way to an anchor; inside the caller's transaction."""

    def __init__(self, platform_id: int, texts: Sequence[_Text]) -> None:
        self.platform_id = platform_id
        self.keys = {
            text.version_id: shingles.band_keys(platform_id, text.sketch) for text in texts
        }
        self.anchors, self.by_key, self.by_fingerprint = _candidates(platform_id, texts, self.keys)
        rows = ClusterMember.objects.filter(item__in=[text.item_id for text in texts])
        self.members = {
            item_id: Member(cluster_id, version_id)
            for item_id, cluster_id, version_id in rows.values_list(
                "item_id", "cluster_id", "item_version_id"
            )
        }
        self.new: list[tuple[_Text, bool]] = []  # anchors, and whether they get bands
        self.joins: dict[int, tuple[int, int, int, str, float]] = {}
        self.founded: list[int] = []  # anchors that get a cluster
        self.touched: set[int] = set()

    def take(self, text: _Text) -> None:
        member = self.members.get(text.item_id)
        # The embedding may have been here first, with this very text.
        placed = member.cluster_id if member and member.item_version_id == text.version_id else None
        hit = self._nearest(text)
        if hit is not None and placed in (None, hit[0]):
            self._join(text, *hit)
        elif member is not None and placed is None:
            # It says something else now.
            ClusterMember.objects.filter(item=text.item_id).delete()
            self.touched.add(member.cluster_id)
        if hit is None or placed not in (None, hit[0]):
            self._anchor(text, placed)

    def settle(self) -> None:
        self._write_anchors()
        made = Cluster.objects.bulk_create(
            Cluster(platform_id=self.platform_id, anchor_id=anchor_id) for anchor_id in self.founded
        )
        named = {-cluster.anchor_id: cluster.pk for cluster in made}
        add_members((named.get(one, one), *rest) for one, *rest in self.joins.values())
        recount(named.get(one, one) for one in self.touched)

    def _join(
        self, text: _Text, cluster_id: int, anchor_id: int, how: str, similarity: float
    ) -> None:
        member = self.members.get(text.item_id)
        if member is not None and member.cluster_id != cluster_id:
            self.touched.add(member.cluster_id)
        if not cluster_id:
            # It gets its number at the end, with all the others of this batch.
            cluster_id = -anchor_id
            self.founded.append(anchor_id)
            anchor = self.anchors[anchor_id]
            self.anchors[anchor_id] = anchor._replace(cluster_id=cluster_id)
            first = (cluster_id, anchor.item_id, anchor_id, How.EXACT, 1.0)
            self.joins[anchor.item_id] = first
        self.joins[text.item_id] = (cluster_id, text.item_id, text.version_id, how, similarity)
        self.touched.add(cluster_id)

    def _anchor(self, text: _Text, placed: int | None) -> None:
        """A text that others may join; one with a cluster already is known by its words only."""
        known = self.anchors.get(text.version_id)
        if known is not None and known.sketch:
            return
        own = known.cluster_id if known else None
        joined = placed if own is None else None
        self.anchors[text.version_id] = _Anchor(*text, own, joined, None)
        self.by_fingerprint.setdefault(text.fingerprint, text.version_id)
        self.new.append((text, joined is None))
        if joined is None:
            for key in self.keys[text.version_id]:
                self.by_key[key].append(text.version_id)

    def _nearest(self, text: _Text) -> tuple[int, int, str, float] | None:
        """(cluster or 0, anchor, how, similarity) of what this text belongs to."""
        twin = self.anchors.get(self.by_fingerprint.get(text.fingerprint, 0))
        if twin is not None and twin.version_id != text.version_id:
            if twin.cluster_id is None and twin.joined_id is not None:
                return twin.joined_id, twin.version_id, How.EXACT, twin.joined_similarity or 1.0
            return twin.cluster_id or 0, twin.version_id, How.EXACT, 1.0
        near = {pk for key in self.keys[text.version_id] for pk in self.by_key.get(key, ())}
        near.discard(text.version_id)
        # Who has joined another anchor is none any more.
        known = [self.anchors[pk] for pk in near if pk in self.anchors]
        anchors = [anchor for anchor in known if anchor.joined_id is None]
        found = shingles.best(text.sketch, ((one.version_id, one.sketch) for one in anchors))
        if found is None:
            return None
        return self.anchors[found[0]].cluster_id or 0, found[0], How.MINHASH, found[1]

    def _write_anchors(self) -> None:
        Anchor.objects.bulk_create(
            [
                Anchor(
                    item_version_id=text.version_id,
                    item_id=text.item_id,
                    platform_id=self.platform_id,
                    fingerprint=text.fingerprint,
                    minhash=text.sketch,
                )
                for text, _ in self.new
            ],
            update_conflicts=True,
            unique_fields=["item_version"],
            update_fields=["minhash"],
        )
        rows = [
            (key, text.version_id)
            for text, is_banded in self.new
            if is_banded
            for key in self.keys[text.version_id]
        ]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO reviews_band (key, anchor_id) "
                "SELECT unnest(%s::bigint[]), unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
                [[key for key, _ in rows], [pk for _, pk in rows]],
            )


def _candidates(
    platform_id: int, texts: Sequence[_Text], keys: Mapping[int, Sequence[int]]
) -> tuple[dict[int, _Anchor], dict[int, list[int]], dict[str, int]]:
    by_key: dict[int, list[int]] = defaultdict(list)
    wanted = list({key for some in keys.values() for key in some})
    fingerprints = list({text.fingerprint for text in texts})
    anchors: dict[int, _Anchor] = {}
    by_fingerprint: dict[str, int] = {}
    with connection.cursor() as cursor:
        if wanted:
            cursor.execute(_CANDIDATES, [wanted, MOST_A_BAND])
            for key, anchor_id in cursor.fetchall():
                by_key[key].append(anchor_id)
        found = list({pk for some in by_key.values() for pk in some})
        for which, value in (
            ("anchor.item_version_id = ANY(%s)", found),
            ("anchor.fingerprint = ANY(%s)", fingerprints),
        ):
            sql = _ANCHORS.format(which=which)
            cursor.execute(sql, [value, platform_id])
            for pk, item_id, fingerprint, sketch, own, joined, similarity in cursor.fetchall():
                anchor = _Anchor(pk, item_id, fingerprint, bytes(sketch), own, joined, similarity)
                anchors[pk] = anchor
                by_fingerprint.setdefault(fingerprint, pk)
    return anchors, by_key, by_fingerprint


def _forget_old(platform_id: int, texts: Sequence[_Text]) -> None:
    """Anchors of texts that these have replaced, unless a cluster stands on them."""
    rows = Anchor.objects.filter(item__in=[text.item_id for text in texts], cluster=None)
    old = list(rows.exclude(pk__in=[text.version_id for text in texts]))
    if not old:
        return
    keys = [key for anchor in old for key in shingles.band_keys(platform_id, bytes(anchor.minhash))]
    gone = [anchor.pk for anchor in old]
    Band.objects.filter(key__in=keys, anchor_id__in=gone).delete()
    Anchor.objects.filter(pk__in=gone).delete()
