"""What changed between two snapshots of a platform: rows added, labels flipped, rows gone, and why.

A snapshot is a cutoff, so everything new in the later one comes from the decisions between the two;
the rest is equal and is not looked at. In SQL alone: a page asks.
"""

from typing import Any, NamedTuple

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from reviews.errors import Conflict
from reviews.models import Role

from . import labels
from .models import Snapshot

LISTED = 100  # flipped labels, the newest first

WHAT = {
    "added": lazy("added"),
    "flipped": lazy("flipped"),
    "judged": lazy("judged now"),
    "unjudged": lazy("not judged any more"),
}
REASONS = {
    "appeal": lazy("appeal"),
    "override": lazy("override"),
    "adjudication": lazy("adjudication"),
    "policy version": lazy("new policy version"),
    "first answer": lazy("first answer"),
    "another answer": lazy("another answer"),
    "undone": lazy("undone"),
    "left open": lazy("left open: unsure or escalated"),
    "erasure": lazy("erasure"),
}


class Change(NamedTuple):
    """Labels of one policy that changed in the same way for the same reason by the same group."""

    what: str  # of WHAT
    policy: str  # slug
    label: int | None  # now
    reason: str  # of REASONS
    group: str  # a role: of who decided
    people: int  # how many of them
    rows: int


class Flip(NamedTuple):
    decision_id: int
    item_id: int
    policy: str
    label: int
    reason: str
    version_before: int | None
    version: int | None


class Difference(NamedTuple):
    older: Snapshot
    newer: Snapshot
    added: int  # rows
    flipped: int  # rows with a label that flipped
    gone: dict[str, int]  # {reason: rows}
    changes: list[Change]
    flips: list[Flip]
    policies_added: list[str]
    policies_removed: list[str]

    @property
    def erased(self) -> int:
        return self.gone.get("erasure", 0)


def between(one: Snapshot, other: Snapshot) -> Difference:
    """From the one with the earlier cutoff to the other, whichever way they are given.

    Raises Conflict unless both were built.
    """
    if not {one.state, other.state} <= {Snapshot.State.READY, Snapshot.State.WITHDRAWN}:
        raise Conflict(_("A snapshot that is not built cannot be compared."))
    older, newer = sorted((one, other), key=lambda each: (each.cutoff_id, each.number))
    parameters: dict[str, Any] = {
        "platform": older.platform_id,
        "since": older.cutoff_id,
        "upto": newer.cutoff_id,
        "seen": older.erasures_upto,
        "seen_later": newer.erasures_upto,
        "lead": Role.LEAD.value,
        "reviewer": Role.REVIEWER.value,
        "listed": LISTED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, parameters)
        ((added, flipped),) = cursor.fetchall()
        cursor.execute(_CHANGES, parameters)
        changes = [Change(*row) for row in cursor.fetchall()]
        cursor.execute(_FLIPS, parameters)
        flips = [Flip(*row) for row in cursor.fetchall()]
        cursor.execute(_GONE, parameters)
        gone = dict(cursor.fetchall())
    before, after = (
        [one["slug"] for one in each.manifest["frozen"]["policies"]] for each in (older, newer)
    )
    return Difference(
        older,
        newer,
        added,
        flipped,
        gone,
        changes,
        flips,
        policies_added=[slug for slug in after if slug not in before],
        policies_removed=[slug for slug in before if slug not in after],
    )


def as_json(found: Difference) -> dict[str, Any]:
    return {
        "older": found.older.number,
        "newer": found.newer.number,
        "added": found.added,
        "flipped": found.flipped,
        "erased": found.erased,
        "gone": found.gone,
        "changes": [one._asdict() for one in found.changes],
        "flips": [one._asdict() for one in found.flips],
        "policies_added": found.policies_added,
        "policies_removed": found.policies_removed,
    }


def _standing(cutoff: str, row: str = "d") -> str:
    return labels.STANDING.replace("%(cutoff)s", f"%({cutoff})s").replace("d.", f"{row}.")


_JUDGED_BY = """COALESCE({row}.review_id, (
    SELECT max(own.id) FROM reviews_review own WHERE own.job_id = {row}.job_id))"""

# Rows of the later one that follow from a decision between the two, what stood in the earlier one
# for the same text, and what either says of each policy.
_CHANGED = f"""
WITH born AS MATERIALIZED (
    SELECT d.id, d.item_id, d.item_version_id, d.kind, d.decided_by_id, j.lane,
           {_JUDGED_BY.format(row="d")} AS review_id
    FROM reviews_decision d
    JOIN reviews_item i ON i.id = d.item_id
    JOIN reviews_itemversion v ON v.id = d.item_version_id
    JOIN reviews_job j ON j.id = d.job_id
    WHERE d.id > %(since)s AND i.platform_id = %(platform)s AND {_standing("upto")}
      AND {labels.KEPT}
), was AS MATERIALIZED (
    SELECT born.id, d.id AS old_id, {_JUDGED_BY.format(row="d")} AS review_id
    FROM born JOIN reviews_decision d ON d.item_version_id = born.item_version_id
    WHERE {_standing("since")}
), said AS (
    SELECT is_new, id, policy_id, max(label) AS label,
           (array_agg(number ORDER BY label DESC))[1] AS number
    FROM (
        SELECT true AS is_new, born.id, pv.policy_id, pv.number, 0 AS label
        FROM born JOIN reviews_finding f ON f.review_id = born.review_id
        JOIN reviews_policyversion pv ON pv.id = f.policy_version_id
        UNION ALL
        SELECT true, born.id, pv.policy_id, pv.number, 1
        FROM born JOIN reviews_decision_policy_versions dv ON dv.decision_id = born.id
        JOIN reviews_policyversion pv ON pv.id = dv.policyversion_id
        UNION ALL
        SELECT false, was.id, pv.policy_id, pv.number, 0
        FROM was JOIN reviews_finding f ON f.review_id = was.review_id
        JOIN reviews_policyversion pv ON pv.id = f.policy_version_id
        UNION ALL
        SELECT false, was.id, pv.policy_id, pv.number, 1
        FROM was JOIN reviews_decision_policy_versions dv ON dv.decision_id = was.old_id
        JOIN reviews_policyversion pv ON pv.id = dv.policyversion_id
    ) AS each GROUP BY is_new, id, policy_id
), pairs AS (
    SELECT id, policy_id, max(label) FILTER (WHERE NOT is_new) AS before,
           max(label) FILTER (WHERE is_new) AS now,
           max(number) FILTER (WHERE NOT is_new) AS number_before,
           max(number) FILTER (WHERE is_new) AS number
    FROM said GROUP BY id, policy_id
), change AS (
    SELECT born.id, born.item_id, born.decided_by_id, policy.slug, policy.position, pairs.before,
           pairs.now, pairs.number_before, pairs.number,
           CASE WHEN was.id IS NULL THEN 'added' WHEN pairs.before IS NULL THEN 'judged'
                WHEN pairs.now IS NULL THEN 'unjudged'
                WHEN pairs.before <> pairs.now THEN 'flipped' ELSE 'same' END AS what,
           CASE WHEN born.kind = 'override' THEN 'override'
                WHEN born.lane IN ('appeal', 'adjudication') THEN born.lane
                WHEN was.id IS NULL THEN 'first answer'
                WHEN pairs.number_before <> pairs.number THEN 'policy version'
                ELSE 'another answer' END AS reason,
           CASE WHEN EXISTS (
               SELECT FROM reviews_person_groups AS link JOIN auth_group ON auth_group.id = group_id
               WHERE link.person_id = born.decided_by_id AND auth_group.name = %(lead)s)
             THEN %(lead)s ELSE %(reviewer)s END AS role
    FROM born LEFT JOIN was USING (id) JOIN pairs ON pairs.id = born.id
    JOIN reviews_policy AS policy ON policy.id = pairs.policy_id
)
"""  # noqa: S608
_TOTALS = f"""{_CHANGED}
SELECT (SELECT count(*) FROM born WHERE id NOT IN (SELECT id FROM was)),
       (SELECT count(DISTINCT id) FROM change WHERE what = 'flipped')
"""  # noqa: S608
_CHANGES = f"""{_CHANGED}
SELECT what, slug, now, reason, role, count(DISTINCT decided_by_id), count(*)
FROM change WHERE what <> 'same'
GROUP BY what, slug, now, reason, role
ORDER BY what = 'added', what, count(*) DESC, slug, now, reason, role
"""  # noqa: S608
_FLIPS = f"""{_CHANGED}
SELECT id, item_id, slug, now, reason, number_before, number
FROM change WHERE what = 'flipped' ORDER BY id DESC, position, slug LIMIT %(listed)s
"""  # noqa: S608
_GONE = f"""
SELECT CASE WHEN s.kind = 'undo' THEN 'undone' ELSE 'left open' END, count(*)
FROM reviews_decision s
JOIN reviews_decision d ON d.id = s.supersedes_id AND d.item_version_id = s.item_version_id
JOIN reviews_item i ON i.id = d.item_id
JOIN reviews_itemversion v ON v.id = d.item_version_id
WHERE s.id > %(since)s AND s.id <= %(upto)s AND i.platform_id = %(platform)s
  AND {_standing("since")} AND {labels.KEPT} AND NOT EXISTS (
    SELECT FROM reviews_decision t
    WHERE t.item_version_id = d.item_version_id AND {_standing("upto", "t")})
GROUP BY 1
UNION ALL
SELECT 'erasure', count(DISTINCT d.id)
FROM reviews_auditentry AS erased
JOIN reviews_decision d ON d.item_id = erased.target_id::bigint
JOIN reviews_itemversion v ON v.id = d.item_version_id
WHERE erased.verb = 'item.erase' AND erased.target_type = 'item'
  AND erased.position > %(seen)s AND erased.position <= %(seen_later)s
  AND erased.platform_id = %(platform)s AND {_standing("since")}
  AND v.content_hash = '{labels.ERASED}'
HAVING count(*) > 0
"""  # noqa: S608
