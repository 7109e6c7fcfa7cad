"""What rules may ask about an item, read in bulk: and only what some rule does ask for.

conditions.py says which facts there are; here they are read from the rows. What a new item cannot
have yet (risks, reports) is known without looking.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Now

from . import bulk
from .catalogue import Fact, make_catalogue
from .models import Item, ItemKind, ItemVersion, Platform, Policy, Report, Strike
from .statements import Statement

RECENT_MOST = 1000  # what _RECENT counts up to
_NO_REPORTS = dict.fromkeys(Report.Source.values, 0)
_REPORT_FACTS = frozenset({"sources", "reasons", "reports"})
_TRUST_FACTS = frozenset({"reporter_trust", "mean_reporter_trust"})

_REPORTS = """
SELECT item_id, source, reason, count(*) FROM reviews_report
WHERE item_id = ANY(%s) GROUP BY item_id, source, reason
"""

# Through item_by_account; however much an account posts, no more than so many entries are read.
_RECENT = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (key bigint, account_id bigint, at timestamptz)
)
SELECT given.key, count(item.account_id) FROM given CROSS JOIN LATERAL (
  SELECT account_id FROM reviews_item
  WHERE account_id = given.account_id AND submitted_at <= given.at
    AND submitted_at > given.at - interval '7 days'
  LIMIT 1000
) AS item GROUP BY given.key
"""

# A reporter's record: of her reports on items that were settled, how many were upheld. Drawn
# towards a half by two made-up reports, so that one lucky hit makes nobody an authority.
# The record each reporter has at this moment (reporters.py keeps it), one voice a name and source.
_TRUST = """
SELECT said.item_id, max(reporter.trust), avg(reporter.trust)
FROM (
  SELECT DISTINCT report.item_id, item.platform_id, report.source, report.reporter
  FROM reviews_report AS report JOIN reviews_item AS item ON item.id = report.item_id
  WHERE report.item_id = ANY(%(items)s) AND report.reporter <> ''
) AS said
JOIN reviews_reporter AS reporter ON reporter.platform_id = said.platform_id
  AND reporter.source = said.source AND reporter.external_id = said.reporter
GROUP BY said.item_id
"""

# What a page offers to choose from. The newest rows answer for all: a page must not wait, however
# much there is, and however little of it is this platform's.
_LANGUAGES = Statement(
    "languages_seen",
    """
    SELECT language, count(*) FROM (
      SELECT language FROM reviews_item
      WHERE platform_id = %(platform)s AND id > (SELECT max(id) - 100000 FROM reviews_item)
      ORDER BY id DESC LIMIT 5000
    ) AS newest WHERE language <> '' GROUP BY language ORDER BY count(*) DESC, language LIMIT 60
    """,
)
_REASONS = Statement(
    "reasons_seen",
    """
    SELECT reason, count(*) FROM (
      SELECT report.reason FROM reviews_report AS report
      JOIN reviews_item AS item ON item.id = report.item_id
      WHERE item.platform_id = %(platform)s
        AND report.id > (SELECT max(id) - 20000 FROM reviews_report)
      ORDER BY report.id DESC LIMIT 2000
    ) AS newest GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 60
    """,
)


class Trust(NamedTuple):
    """How right an item's named reporters have been so far: the best of them, and the mean."""

    best: float
    mean: float


class Reported(NamedTuple):
    by_source: Mapping[str, int]
    reasons: Sequence[str]


_UNREPORTED = Reported(_NO_REPORTS, ())


def read_catalogue(platform: Platform | int) -> dict[str, Fact]:
    """Every fact of a platform, with the values that a page offers."""
    platform_id = platform if isinstance(platform, int) else platform.pk
    kinds = list(ItemKind.objects.filter(platform_id=platform_id).order_by("id"))
    policies = Policy.objects.filter(platform_id=platform_id).order_by("position", "id")
    return make_catalogue(
        policies=policies.values_list("slug", "name"),
        fields=[field for kind in kinds for field in kind.fields],
        kinds=[(kind.slug, kind.name) for kind in kinds],
        sources=Report.Source.choices,
        languages=[language for language, _ in _LANGUAGES.rows(platform=platform_id)],
        reasons=[reason for reason, _ in _REASONS.rows(platform=platform_id)],
    )


def make_facts(
    *,
    kind: str,
    language: str,
    views_per_hour: float,
    report_count: int,
    joined_at: datetime | None,
    strikes: int | None,
    risks: Mapping[str, float],
    content: Mapping[str, Any],
    now: datetime,
    reported: Reported = _UNREPORTED,
    trust: Trust | None = None,
    recent_items: int | None = None,
) -> dict[str, Any]:
    """What a condition is asked with; None is what is not known."""
    age = None if joined_at is None else (now - joined_at) / timedelta(days=1)
    return {
        "kind": kind,
        "language": language or None,
        "views_per_hour": views_per_hour,
        "highest_risk": max(risks.values(), default=None),
        "report_count": report_count,
        "sources": [source for source, count in reported.by_source.items() if count],
        "reasons": reported.reasons,
        "reporter_trust": trust.best if trust else None,
        "mean_reporter_trust": trust.mean if trust else None,
        "account_age_days": age,
        "strikes": strikes,
        "recent_items": recent_items,
        "risk": {slug.replace("-", "_"): risk for slug, risk in risks.items()},
        "reports": reported.by_source,
        "field": {name.replace("-", "_"): value for name, value in content.items()},
    }


class Background(NamedTuple):
    """What was read about some items beyond their own rows; empty where no rule asks."""

    strikes: Mapping[int, int]  # by account
    contents: Mapping[int, Mapping[str, Any]]  # the rest by item
    reported: Mapping[int, Reported]
    trust: Mapping[int, Trust]
    recent: Mapping[int, int]

    def of(self, item_id: int, account_id: int | None) -> dict[str, Any]:
        """Arguments for make_facts."""
        return {
            "strikes": self.strikes.get(account_id, 0) if account_id else None,
            "content": self.contents.get(item_id, {}),
            "reported": self.reported.get(item_id, _UNREPORTED),
            "trust": self.trust.get(item_id),
            "recent_items": self.recent.get(item_id) if account_id else None,
        }


def read_background(
    reads: Collection[str], rows: Sequence[tuple[int, int | None, datetime]]
) -> Background:
    """For items already stored: (item id, account id, the moment its recent items are counted)."""
    item_ids = [item_id for item_id, _, _ in rows]
    account_ids = {account_id for _, account_id, _ in rows if account_id}
    return Background(
        count_strikes(account_ids) if "strikes" in reads else {},
        _read_contents(item_ids) if "field" in reads else {},
        reports_of_items(item_ids) if _REPORT_FACTS.intersection(reads) else {},
        trust_of_items(item_ids) if _TRUST_FACTS.intersection(reads) else {},
        count_recent((key, account, at) for key, account, at in rows if account)
        if "recent_items" in reads
        else {},
    )


def read_facts(item: Item, reads: Collection[str], *, now: datetime) -> dict[str, Any]:
    """The facts of one item as it stands now."""
    background = read_background(reads, [(item.pk, item.account_id, now)])
    return make_facts(
        kind=item.kind.slug,
        language=item.language,
        views_per_hour=item.views_per_hour,
        report_count=item.report_count,
        joined_at=item.account.joined_at if item.account else None,
        risks=item.risks,
        now=now,
        **background.of(item.pk, item.account_id),
    )


def count_strikes(account_ids: Iterable[int]) -> dict[int, int]:
    """Standing strikes an account; accounts without one are left out."""
    standing = Strike.objects.filter(
        account_id__in=list(account_ids), reversed_at=None, expires_at__gt=Now()
    )
    return dict(standing.values_list("account_id").annotate(Count("pk")).order_by())


def count_recent(rows: Iterable[tuple[int, int, datetime]]) -> dict[int, int]:
    """(key, account id, moment) → by key, the account's items of the seven days up to then."""
    given = [{"key": key, "account_id": account, "at": at} for key, account, at in rows]
    return dict(bulk.over_rows(_RECENT, given)) if given else {}


def reports_of_items(item_ids: Collection[int]) -> dict[int, Reported]:
    """By source and reason; items that nobody reported are left out."""
    found: dict[int, Reported] = {}
    with connection.cursor() as cursor:
        cursor.execute(_REPORTS, [list(item_ids)])
        for item_id, source, reason, count in cursor.fetchall():
            reported = found.setdefault(item_id, Reported(dict(_NO_REPORTS), []))
            reported.by_source[source] += count  # type: ignore[index]
            if reason not in reported.reasons:
                reported.reasons.append(reason)  # type: ignore[attr-defined]
    return found


def trust_of_items(item_ids: Collection[int]) -> dict[int, Trust]:
    """Items with a named reporter → the track record of their reporters, 0 to 1."""
    with connection.cursor() as cursor:
        cursor.execute(_TRUST, {"items": list(item_ids)})
        return {item_id: Trust(best, mean) for item_id, best, mean in cursor.fetchall()}


def _read_contents(item_ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
    """As the newest version has it: it comes last, and stays."""
    versions = ItemVersion.objects.filter(item_id__in=item_ids).order_by("number")
    return dict(versions.values_list("item_id", "content"))
