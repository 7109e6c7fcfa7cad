"""What a snapshot would hold, counted without reading its rows: the dry run before one is made."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection

from .dataset_card import SPLITS
from .labels import DRAWS, KEPT, LANE, PROBABILITY, STANDING, Frozen

RARE = 10  # violations in a split, below which no figure of it says much

SPLIT = """CASE
    WHEN ('x' || left(encode(sha256(convert_to({group}, 'UTF8')), 'hex'), 8))::bit(32)::bigint
         %% 100 < 70 THEN 'train'
    WHEN ('x' || left(encode(sha256(convert_to({group}, 'UTF8')), 'hex'), 8))::bit(32)::bigint
         %% 100 < 80 THEN 'valid'
    ELSE 'test' END"""

Counts = dict[str, dict[str, int]]  # {what: {split: rows}}


class Drawn(NamedTuple):
    """Rows of the random lane, and how many they are worth when they are weighted (Kish 1965):
    (Σ w)² / Σ w², as many as an even sample of the same variance would have."""

    rows: int
    effective: float


class Rare(NamedTuple):
    """A policy with hardly a violation in a split."""

    policy: str  # slug
    split: str
    violating: int


class Tally(NamedTuple):
    rows: int
    splits: dict[str, int]
    lanes: dict[str, int]
    languages: Counts
    by_lane: Counts
    labels: dict[str, Counts]  # {policy slug: {split: {"violating", "clean"}}}
    drawn: dict[str, Drawn]  # by split, and "all"

    @property
    def rare(self) -> list[Rare]:
        """Of the policies that were judged at all."""
        return [
            Rare(slug, split, counts["violating"])
            for slug, by_split in self.labels.items()
            if any(sum(counts.values()) for counts in by_split.values())
            for split, counts in by_split.items()
            if counts["violating"] < RARE
        ]


class Leakage(NamedTuple):
    """What stands in two splits: groups must not; the others are told, for they may."""

    groups: int
    accounts: int
    copies: int  # texts that are the same but for case and space
    clusters: int  # of near duplicates

    @property
    def is_none(self) -> bool:
        return not any(self)


def count(platform_id: int, cutoff_id: int, frozen: Frozen) -> Tally:
    """In one statement."""
    judged, violated, counts = [], [], []
    for n, policy in enumerate(frozen.policies):
        of_policy = f"FILTER (WHERE pv.policy_id = {int(policy['id'])})"
        judged.append(f"bool_or(true) {of_policy} AS j{n}")
        violated.append(f"bool_or(true) {of_policy} AS v{n}")
        counts.append(
            f"count(*) FILTER (WHERE v{n}), count(*) FILTER (WHERE j{n} AND v{n} IS NULL)"
        )
    rows = _rows(
        _TALLY,
        platform_id,
        cutoff_id,
        split=SPLIT.format(group="page.split_group"),
        judged=", ".join(judged) or "0 AS nothing",
        violated=", ".join(violated) or "0 AS nothing",
        counts="".join(f", {count}" for count in counts),
    )
    found = Tally(0, dict.fromkeys(SPLITS, 0), {}, {}, {}, {}, {})
    weights = dict.fromkeys((*SPLITS, "all"), (0, 0.0, 0.0))
    for split, lane, language, number, drawn, total, squares, *labels in rows:
        found.splits[split] += number
        found.lanes[lane] = found.lanes.get(lane, 0) + number
        for counted, what in ((found.languages, language), (found.by_lane, lane)):
            counted.setdefault(what, dict.fromkeys(SPLITS, 0))[split] += number
        for part in (split, "all"):
            before = weights[part]
            weights[part] = (before[0] + drawn, before[1] + total, before[2] + squares)
        for n, policy in enumerate(frozen.policies):
            of_policy = found.labels.setdefault(policy["slug"], _no_labels())
            of_policy[split]["violating"] += labels[2 * n]
            of_policy[split]["clean"] += labels[2 * n + 1]
    drawn = {
        part: Drawn(number, total**2 / squares if squares else 0.0)
        for part, (number, total, squares) in weights.items()
    }
    return found._replace(rows=sum(found.splits.values()), drawn=drawn)


def leakage(platform_id: int, cutoff_id: int) -> Leakage:
    """Of the same rows."""
    ((groups, accounts, copies, clusters),) = _rows(
        _LEAKAGE, platform_id, cutoff_id, split=SPLIT.format(group="i.split_group")
    )
    return Leakage(groups, accounts, copies, clusters)


def as_json(tally: Tally, leaks: Leakage) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "splits": tally.splits,
        "lanes": tally.by_lane,
        "languages": tally.languages,
        "labels": tally.labels,
        "random_lane": {part: drawn._asdict() for part, drawn in tally.drawn.items()},
        "leakage": leaks._asdict(),
        "rare": [one._asdict() for one in tally.rare],
    }


def _no_labels() -> Counts:
    return {split: {"violating": 0, "clean": 0} for split in SPLITS}


def _rows(
    statement: str, platform_id: int, cutoff_id: int, **parts: str
) -> Sequence[tuple[Any, ...]]:
    """Only constants and integers are put into the statement's text."""
    pieces: Mapping[str, str] = {
        "standing": STANDING,
        "kept": KEPT,
        "lane": LANE,
        "probability": PROBABILITY,
        "draws": DRAWS,
        **parts,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**pieces), {"platform": platform_id, "cutoff": cutoff_id})
        found: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return found


_TALLY = """
WITH page AS (
    SELECT d.id, i.split_group, i.language, {lane} AS lane, 1 / {probability} AS weight,
           COALESCE(d.review_id, (
               SELECT max(r.id) FROM reviews_review r WHERE r.job_id = d.job_id)) AS review_id
    FROM reviews_decision d
    JOIN reviews_item i ON i.id = d.item_id
    JOIN reviews_itemversion v ON v.id = d.item_version_id
    JOIN reviews_job j ON j.id = d.job_id
    {draws}
    WHERE i.platform_id = %(platform)s AND {standing} AND {kept}
), judged AS (
    SELECT page.id, {judged}
    FROM page
    JOIN reviews_finding f ON f.review_id = page.review_id
    JOIN reviews_policyversion pv ON pv.id = f.policy_version_id
    GROUP BY page.id
), violated AS (
    SELECT page.id, {violated}
    FROM page
    JOIN reviews_decision_policy_versions dv ON dv.decision_id = page.id
    JOIN reviews_policyversion pv ON pv.id = dv.policyversion_id
    GROUP BY page.id
)
SELECT {split} AS split, page.lane, page.language, count(*),
  count(page.weight) FILTER (WHERE page.lane = 'random'),
  coalesce(sum(page.weight) FILTER (WHERE page.lane = 'random'), 0),
  coalesce(sum(page.weight ^ 2) FILTER (WHERE page.lane = 'random'), 0){counts}
FROM page LEFT JOIN judged USING (id) LEFT JOIN violated USING (id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_LEAKAGE = """
WITH page AS (
    SELECT i.id, i.split_group, i.account_id, i.fingerprint, {split} AS split
    FROM reviews_decision d
    JOIN reviews_item i ON i.id = d.item_id
    JOIN reviews_itemversion v ON v.id = d.item_version_id
    WHERE i.platform_id = %(platform)s AND {standing} AND {kept}
)
SELECT
  (SELECT count(*) FROM (
    SELECT FROM page GROUP BY split_group HAVING min(split) <> max(split)) AS one),
  (SELECT count(*) FROM (
    SELECT FROM page WHERE account_id IS NOT NULL
    GROUP BY account_id HAVING min(split) <> max(split)) AS one),
  (SELECT count(*) FROM (
    SELECT FROM page GROUP BY fingerprint HAVING min(split) <> max(split)) AS one),
  (SELECT count(*) FROM (
    SELECT FROM page JOIN reviews_clustermember AS member ON member.item_id = page.id
    GROUP BY member.cluster_id HAVING min(split) <> max(split)) AS one)
"""
