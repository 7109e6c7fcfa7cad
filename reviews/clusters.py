"""Near-duplicates: texts are hashed where they wait, and joined around an anchor.

Row, nudge, sweep: intake leaves a DueHash row, hash_due() works it off. A text near no anchor
becomes one; a later text joins the anchor it is nearest to, if that is near enough. So a look-up is
an index probe for each band, a wave of copies adds no bands, and no cluster drifts: everybody in it
was compared with the anchor itself. Joins of one platform go one after another.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from celery import current_app
from django.db import InterfaceError, OperationalError, connection, transaction
from kombu.exceptions import OperationalError as BrokerError

from . import audit, bulk, conversations, shingles
from .models import Anchor, Band, Cluster, ClusterMember, ItemKind, Platform
from .submission import Shape, text_of

logger = logging.getLogger(__name__)

BATCH = 200
MAX_ATTEMPTS = 3
# Anchors that one slice leads to: behind a slice that everybody shares there is no near text.
MOST_A_BAND = 20
# A cluster larger than this is not measured against another anchor as a whole.
MOST_MERGED = 5_000
_JOIN_LOCK = 7_305_120  # advisory lock, with the platform: one joiner at a time

How = ClusterMember.How

_LEASE = """
SELECT item_version_id FROM reviews_duehash
WHERE parked_at IS NULL AND due_at <= clock_timestamp() {which}
ORDER BY item_version_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
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


class _Member(NamedTuple):
    cluster_id: int
    item_version_id: int


def mark_versions(version_ids: Sequence[int]) -> None:
    """These wait to be hashed. Inside the caller's transaction; nudges when it commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reviews_duehash (item_version_id) SELECT unnest(%s::bigint[]) "
            "ON CONFLICT DO NOTHING",
            [list(version_ids)],
        )
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

    Returns how many rows were dealt with. What failed before goes alone: it then fails alone.
    """
    stop = time.monotonic() + seconds
    done = 0
    while True:
        count = _hash("AND attempts = 0", limit)
        if count < limit:
            for _ in range(8):
                if not (again := _hash("AND attempts > 0", 1)):
                    break
                count += again
        done += count
        if not count or time.monotonic() >= stop:
            return done


def is_any_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM reviews_duehash "
            "WHERE parked_at IS NULL AND due_at <= clock_timestamp())"
        )
        found: bool = cursor.fetchone()[0]
    return found


def join(
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
        _lock(platform_id)
        joining = _Joining(platform_id, how, near, measure)
        joining.look({pk for one, other, _ in ordered for pk in (one, other)})
        for one, other, similarity in ordered:
            joining.take(one, other, similarity)
        joining.settle()
    return joining.moved


class _Joining:
    """One call of join(), inside its transaction."""

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
            item_id: _Member(cluster_id, version_id)
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
        _recount(self.touched)

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
        _add([(cluster_id, item_id, version_id, how or self.how, similarity)])
        self.cluster_of[item_id] = _Member(cluster_id, version_id)
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
        _add(
            [
                (keep, item_id, version_id, self.how, min(near[version_id], 1.0))
                for item_id, version_id in members
            ]
        )
        Cluster.objects.filter(pk=gone).delete()
        for item_id, version_id in members:
            self.cluster_of[item_id] = _Member(keep, version_id)
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


def _hash(which: str, limit: int) -> int:
    """A batch in one transaction; when that fails, its rows are put off one by one."""
    version_ids: list[int] = []
    try:
        with transaction.atomic():
            version_ids = _lease(which, limit)
            if version_ids:
                conversations.place(version_ids)
                _hash_batch(version_ids)
                _settle(version_ids)
        return len(version_ids)
    except (OperationalError, InterfaceError):
        raise  # the database went away: the rows are as they were
    except Exception as error:
        logger.exception("Hashing a batch of %d failed", len(version_ids))
        message = f"{type(error).__name__}: {error}"[:2000]
        _put_off(version_ids, message, alone=limit == 1)
        return len(version_ids)


def _lease(which: str, limit: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_LEASE.format(which=which), {"limit": limit})
        return [pk for (pk,) in cursor.fetchall()]


def _settle(version_ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM reviews_duehash WHERE item_version_id = ANY(%s)", [list(version_ids)]
        )


def _put_off(version_ids: Sequence[int], error: str, *, alone: bool) -> None:
    """The rows of a batch are tried again alone, at once; one that failed alone waits a little."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE reviews_duehash SET attempts = attempts + 1, error = %s,
              due_at = clock_timestamp() + %s * interval '5 seconds',
              parked_at = CASE WHEN attempts + 1 >= %s THEN clock_timestamp() END
            WHERE item_version_id = ANY(%s)
            """,
            [error, int(alone), MAX_ATTEMPTS + 1, list(version_ids)],
        )


def _hash_batch(version_ids: Sequence[int]) -> None:
    by_platform: dict[int, list[_Text]] = defaultdict(list)
    for platform_id, text in _read(version_ids):
        by_platform[platform_id].append(text)
    for platform_id in sorted(by_platform):
        _lock(platform_id)
        _place(platform_id, by_platform[platform_id])


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
            item_id: _Member(cluster_id, version_id)
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
        _add((named.get(one, one), *rest) for one, *rest in self.joins.values())
        _recount(named.get(one, one) for one in self.touched)

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


def _add(rows: Iterable[tuple[int, int, int, str, float]]) -> None:
    """Members by (cluster, item, version, how, similarity); one that is elsewhere moves."""
    names = ("cluster_id", "item_id", "item_version_id", "how", "similarity")
    values = [dict(zip(names, row, strict=True)) for row in rows]
    if values:
        bulk.over_rows(_JOIN, values)


def _recount(cluster_ids: Iterable[int]) -> None:
    """Sizes; a cluster that nobody is left in goes, and its anchor with it stays a plain one."""
    ids = sorted(cluster_ids)
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT, [ids])
    Cluster.objects.filter(pk__in=ids, size=0).delete()


def _lock(platform_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_JOIN_LOCK, platform_id])
