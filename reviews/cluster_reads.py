"""Reads for the pages of clusters. Each is one query, bounded whatever there is."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Q

from .models import Cluster, ClusterMember, Verdict

# Of the clusters that grew last, so many are counted and sorted; of each, so many members.
MOST_CLUSTERS = 1_000
_MOST_MEMBERS = 2_000

_LIST = """
WITH newest AS MATERIALIZED (
  SELECT id, anchor_id, size, joined_at FROM reviews_cluster
  WHERE platform_id = ANY(%(platforms)s) AND size >= 2
  ORDER BY joined_at DESC LIMIT %(most)s
)
SELECT newest.id, newest.size, newest.joined_at, anchor.item_id, sums.waiting, sums.held,
  sums.violating, sums.clean, sums.views, sums.accounts
FROM newest
JOIN reviews_anchor AS anchor ON anchor.item_version_id = newest.anchor_id
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE job.state = 'ready') AS waiting,
    count(*) FILTER (WHERE job.state = 'claimed') AS held,
    count(*) FILTER (WHERE standing.verdict = 'violating') AS violating,
    count(*) FILTER (WHERE standing.verdict = 'clean') AS clean,
    sum(item.views_per_hour) FILTER (WHERE job.state IS NOT NULL) AS views,
    count(DISTINCT item.account_id) AS accounts
  FROM (
    SELECT item_id FROM reviews_clustermember WHERE cluster_id = newest.id LIMIT %(members)s
  ) AS member
  JOIN reviews_item AS item ON item.id = member.item_id
  LEFT JOIN LATERAL (
    SELECT state FROM reviews_job
    WHERE item_id = item.id AND state IN ('ready', 'claimed') ORDER BY state LIMIT 1
  ) AS job ON true
  LEFT JOIN LATERAL (
    SELECT verdict FROM reviews_decision WHERE item_id = item.id ORDER BY id DESC LIMIT 1
  ) AS standing ON true
) AS sums
WHERE {which}
ORDER BY {order}, newest.id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_ORDERS = {
    "waiting": "sums.waiting DESC",
    "views": "sums.views DESC NULLS LAST",
    "newest": "newest.joined_at DESC",
}


class Row(NamedTuple):
    """A cluster in a list. `views`: per hour, of the members that wait."""

    pk: int
    size: int
    joined_at: datetime
    item_id: int
    waiting: int
    held: int
    violating: int
    clean: int
    views: float | None
    accounts: int


def list_clusters(
    platform_ids: Collection[int],
    *,
    order: str = "waiting",
    only_waiting: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> list[Row]:
    """Of the MOST_CLUSTERS that grew last, sorted."""
    which = "sums.waiting > 0" if only_waiting else "true"
    sql = _LIST.format(which=which, order=_ORDERS[order])
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "platforms": list(platform_ids),
                "most": MOST_CLUSTERS,
                "members": _MOST_MEMBERS,
                "limit": limit,
                "offset": offset,
            },
        )
        return [Row(*row) for row in cursor.fetchall()]


def members(
    cluster: Cluster, *, limit: int, after: tuple[float, int] | None = None
) -> list[ClusterMember]:
    """The odd ones out first: by similarity, lowest in front."""
    rows = cluster.members.select_related("item__kind", "item__account")
    if after is not None:
        similarity, pk = after
        further = Q(similarity__gt=similarity) | Q(similarity=similarity, pk__gt=pk)
        rows = rows.filter(further, similarity__gte=similarity)
    return list(rows.order_by("similarity", "pk")[:limit])


def verdicts(cluster: Cluster) -> dict[str, int]:
    """How members were decided so far: standing verdict → how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT standing.verdict, count(*) FROM (
              SELECT item_id FROM reviews_clustermember WHERE cluster_id = %s LIMIT %s
            ) AS member
            CROSS JOIN LATERAL (
              SELECT verdict FROM reviews_decision WHERE item_id = member.item_id
              ORDER BY id DESC LIMIT 1
            ) AS standing
            WHERE standing.verdict IS NOT NULL GROUP BY standing.verdict
            """,
            [cluster.pk, _MOST_MEMBERS],
        )
        return {Verdict(verdict).value: number for verdict, number in cursor.fetchall()}
