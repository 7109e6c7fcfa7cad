"""Reads for the page of one account: what it sent, what was decided about it, what came of that.

Sums are over its newest MOST_ITEMS items, each in one round trip. Items that wait for a blind
review of whoever asks are left out of everything here: their author is what she must not learn.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import NamedTuple

from django.db import connection

from . import blind
from .models import Account, Item, Job, Person, Strike
from .statements import Statement

MOST_ITEMS = 20_000
MOST_STRIKES = 100
# Looked at for reports by reason, and for accounts that sent the same.
_MOST_REPORTED = 2_000
_MOST_CLUSTERED = 500

_SUMMARY = Statement(
    "account_summary",
    """
WITH newest AS MATERIALIZED (
  SELECT id, submitted_at, language, report_count FROM reviews_item
  WHERE account_id = %(account)s AND id <> ALL(%(hidden)s::bigint[])
  ORDER BY submitted_at DESC LIMIT %(most)s
), standing AS MATERIALIZED (
  SELECT last.id, last.verdict, last.decided_at FROM newest
  CROSS JOIN LATERAL (
    SELECT id, verdict, decided_at FROM reviews_decision
    WHERE item_id = newest.id ORDER BY id DESC LIMIT 1
  ) AS last
  WHERE last.verdict IN ('violating', 'clean')
), violated AS MATERIALIZED (
  SELECT standing.id, standing.decided_at, policy.slug, policy.name FROM standing
  JOIN reviews_decision_policy_versions AS link ON link.decision_id = standing.id
  JOIN reviews_policyversion AS version ON version.id = link.policyversion_id
  JOIN reviews_policy AS policy ON policy.id = version.policy_id
  WHERE standing.verdict = 'violating'
)
SELECT
  (SELECT count(*) FROM newest), (SELECT min(submitted_at) FROM newest),
  (SELECT max(submitted_at) FROM newest), (SELECT coalesce(sum(report_count), 0) FROM newest),
  (SELECT count(*) FROM standing WHERE verdict = 'violating'),
  (SELECT count(*) FROM standing WHERE verdict = 'clean'),
  (SELECT coalesce(json_agg(json_build_array(language, n) ORDER BY n DESC, language), '[]') FROM (
    SELECT language, count(*) AS n FROM newest WHERE language <> ''
    GROUP BY language ORDER BY n DESC LIMIT 8) AS spoken),
  (SELECT coalesce(json_agg(json_build_array(slug, name, n, last_at) ORDER BY n DESC, slug), '[]')
   FROM (SELECT slug, name, count(*) AS n, max(decided_at) AS last_at
     FROM violated GROUP BY slug, name) AS broken),
  (SELECT coalesce(json_agg(json_build_array(week, slug, n)), '[]') FROM (
    SELECT date_trunc('week', decided_at)::date AS week, slug, count(*) AS n
    FROM violated GROUP BY 1, 2
    UNION ALL
    SELECT date_trunc('week', decided_at)::date, verdict, count(*) FROM standing
    WHERE verdict = 'clean' OR NOT EXISTS (SELECT FROM violated WHERE violated.id = standing.id)
    GROUP BY 1, 2) AS weeks),
  (SELECT coalesce(json_agg(json_build_array(source, reason, n) ORDER BY n DESC, reason), '[]')
   FROM (
    SELECT report.source, report.reason, count(*) AS n FROM (
      SELECT id FROM newest WHERE report_count > 0 ORDER BY submitted_at DESC LIMIT %(reported)s
    ) AS item JOIN reviews_report AS report ON report.item_id = item.id
    GROUP BY 1, 2 ORDER BY n DESC LIMIT 8) AS reasons),
  (SELECT coalesce(json_agg(
      json_build_array(name, target, n, reversed, waiting, last_at) ORDER BY n DESC, name), '[]')
   FROM (
    SELECT action.name, action.target, count(*) AS n,
      count(*) FILTER (WHERE carried.state = 'reversed') AS reversed,
      count(*) FILTER (WHERE carried.state IN ('planned', 'held', 'due')) AS waiting,
      max(carried.changed_at) AS last_at
    FROM newest JOIN reviews_decision AS decision ON decision.item_id = newest.id
    JOIN reviews_enforcement AS carried ON carried.decision_id = decision.id
    JOIN reviews_action AS action ON action.id = carried.action_id
    GROUP BY action.id) AS actions)
""",
)

_SAME = Statement(
    "account_same_messages",
    """
SELECT other.account_id, coalesce(nullif(account.name, ''), account.external_id),
  count(DISTINCT mine.cluster_id)
FROM (
  SELECT DISTINCT member.cluster_id FROM (
    SELECT id FROM reviews_item WHERE account_id = %(account)s
    ORDER BY submitted_at DESC LIMIT %(most)s
  ) AS newest
  JOIN reviews_clustermember AS member ON member.item_id = newest.id LIMIT 50
) AS mine
CROSS JOIN LATERAL (
  SELECT item.account_id FROM reviews_clustermember AS member
  JOIN reviews_item AS item ON item.id = member.item_id
  WHERE member.cluster_id = mine.cluster_id AND item.account_id <> %(account)s
    AND item.id <> ALL(%(hidden)s::bigint[]) LIMIT 500
) AS other
JOIN reviews_account AS account ON account.id = other.account_id
GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT 12
""",
)

# By key (submitted, id), so the end of a long list costs what its beginning does; a filter that
# finds little gives up after MOST_ITEMS.
_ITEMS = """
SELECT item.id, standing.id, standing.verdict, standing.kind, standing.decided_at,
  waits.state
FROM (
  SELECT id, submitted_at, external_id, version_number, report_count, kind_id FROM reviews_item
  WHERE account_id = %(account)s AND id <> ALL(%(hidden)s::bigint[]) {bounds}
  ORDER BY submitted_at DESC, id DESC LIMIT %(most)s
) AS item
LEFT JOIN LATERAL (
  SELECT id, verdict, kind, decided_at FROM reviews_decision
  WHERE item_id = item.id ORDER BY id DESC LIMIT 1
) AS standing ON true
LEFT JOIN LATERAL (
  SELECT state FROM reviews_job WHERE item_id = item.id AND state IN ('ready', 'claimed') LIMIT 1
) AS waits ON true
WHERE {which}
ORDER BY item.submitted_at DESC, item.id DESC LIMIT %(limit)s
"""
STANDS = {
    "violating": "standing.verdict = 'violating'",
    "clean": "standing.verdict = 'clean'",
    "undecided": "standing.verdict IS NULL",
    "waiting": "waits.state IS NOT NULL",
}


class Policy(NamedTuple):
    slug: str
    name: str
    count: int
    last_at: datetime


class Carried(NamedTuple):
    """An action against the account or its items, all its enforcements together."""

    name: str
    target: str
    count: int
    reversed: int
    waiting: int
    last_at: datetime


class Summary(NamedTuple):
    items: int
    first_at: datetime | None
    last_at: datetime | None
    reports: int
    violating: int
    clean: int
    languages: list[tuple[str, int]]
    policies: list[Policy]
    weeks: list[tuple[date, str, int]]  # Monday, policy slug or verdict, decisions
    reasons: list[tuple[str, str, int]]  # source, reason, reports
    carried: list[Carried]

    @property
    def is_capped(self) -> bool:
        return self.items >= MOST_ITEMS

    @property
    def decided(self) -> int:
        return self.violating + self.clean


class Row(NamedTuple):
    """One of its items, and what stands about it (None: nothing)."""

    item_id: int
    decision_id: int | None
    verdict: str | None
    kind: str | None
    decided_at: datetime | None
    job_state: str | None


class Same(NamedTuple):
    """Another account whose items are near-identical to some of this one's."""

    account_id: int
    name: str
    clusters: int


def hidden_items(person: Person, account: Account) -> list[int]:
    """Items of this account that a page of it must not tell her of: see blind.telling_jobs."""
    jobs = blind.telling_jobs(person, Job.objects.filter(item__account=account))
    return list(jobs.values_list("item_id", flat=True).distinct())


def summary(account: Account, *, hidden: Collection[int] = ()) -> Summary:
    row = _SUMMARY.row(
        account=account.pk,
        hidden=list(hidden),
        most=MOST_ITEMS,
        reported=_MOST_REPORTED,
    )
    assert row is not None  # noqa: S101  (sums: always one row)
    (*figures, languages, policies, weeks, reasons, carried) = row
    return Summary(
        *figures,
        [tuple(one) for one in languages],
        [Policy(*one[:3], datetime.fromisoformat(one[3])) for one in policies],
        [(date.fromisoformat(week), key, n) for week, key, n in weeks],
        [tuple(one) for one in reasons],
        [Carried(*one[:5], datetime.fromisoformat(one[5])) for one in carried],
    )


def strikes(account: Account, *, hidden: Collection[int] = ()) -> list[Strike]:
    """Newest first, each with the decision it came from."""
    rows = account.strikes.exclude(enforcement__decision__item__in=list(hidden))
    rows = rows.select_related("enforcement__decision__item", "enforcement__action")
    rows = rows.prefetch_related("enforcement__decision__policy_versions__policy")
    return list(rows.order_by("-created_at", "-id")[:MOST_STRIKES])


def senders_of_the_same(account: Account, *, hidden: Collection[int] = ()) -> list[Same]:
    """Accounts that sent messages near-identical to its newest ones, by how many."""
    rows = _SAME.rows(account=account.pk, hidden=list(hidden), most=_MOST_CLUSTERED)
    return [Same(*row) for row in rows]


def find_items(
    account: Account,
    *,
    limit: int,
    hidden: Collection[int] = (),
    before: int | None = None,
    stands: str = "",
    policy: str = "",
    kind: str = "",
    text: str = "",
    reported: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Row]:
    """Its items, newest first; `before` is the id of the last one seen. Filters that are empty
    filter nothing."""
    bounds, which = "", ["true"]
    values: dict[str, object] = {
        "account": account.pk,
        "hidden": list(hidden),
        "most": MOST_ITEMS,
        "limit": limit,
    }
    if before is not None:
        last = Item.objects.filter(pk=before, account=account).values_list("submitted_at").first()
        if last is not None:
            bounds += (
                " AND submitted_at <= %(last_at)s"
                " AND (submitted_at, id) < (%(last_at)s, %(before)s::bigint)"
            )
            values |= {"last_at": last[0], "before": before}
    if since is not None:
        bounds += " AND submitted_at >= %(since)s"
        values["since"] = since
    if until is not None:
        bounds += " AND submitted_at < %(until)s"
        values["until"] = until
    if stands in STANDS:
        which.append(STANDS[stands])
    if policy:
        which.append(
            "EXISTS (SELECT FROM reviews_decision_policy_versions AS link"
            " JOIN reviews_policyversion AS version ON version.id = link.policyversion_id"
            " JOIN reviews_policy AS policy ON policy.id = version.policy_id"
            " WHERE link.decision_id = standing.id AND policy.slug = %(policy)s)"
        )
        values["policy"] = policy
    if kind:
        which.append("item.kind_id IN (SELECT id FROM reviews_itemkind WHERE slug = %(kind)s)")
        values["kind"] = kind
    if reported:
        which.append("item.report_count > 0")
    if text:
        which.append(
            "(item.external_id = %(text)s OR EXISTS (SELECT FROM reviews_itemversion AS version"
            " WHERE version.item_id = item.id AND version.number = item.version_number"
            " AND strpos(lower(version.content::text), lower(%(text)s)) > 0))"
        )
        values["text"] = text
    with connection.cursor() as cursor:
        sql = _ITEMS.format(bounds=bounds, which=" AND ".join(which))
        cursor.execute(sql, values)
        return [Row(*row) for row in cursor.fetchall()]
