"""Reports come in here: complaints and signals about items that are known already."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from django.utils.translation import gettext as _

from . import access, audit, bulk, reporters
from .errors import Invalid
from .models import Decision, Item, Person, Platform, Report
from .placement import again_on_deadlock, open_missing_jobs, rerank_jobs, shapes_of
from .routing import Router
from .submission import MAX_ROWS, Errors, Outcome, ReportRow, read_report
from .wording import figure

_INSERT = """
INSERT INTO reviews_report (item_id, external_id, source, reporter, reason, text)
SELECT * FROM json_to_recordset(%s) AS row (
  item_id bigint, external_id text, source text, reporter text, reason text, text text)
ORDER BY item_id, external_id
ON CONFLICT (item_id, external_id) DO NOTHING RETURNING item_id, external_id
"""

_COUNT_REPORTS = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (
    id bigint, fresh integer, together float8, best float8)
), locked AS MATERIALIZED (
  SELECT id FROM reviews_item WHERE id IN (SELECT id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE reviews_item AS item
SET report_count = report_count + given.fresh,
  -- More reports can only raise it: a flood of new ones hides no trusted one behind it.
  report_trust = greatest(item.report_trust, given.together),
  reporter_trust = greatest(item.reporter_trust, given.best)
FROM given JOIN locked USING (id) WHERE item.id = given.id
"""


def file_reports(platform: Platform, rows: Sequence[object], *, by: Person | None) -> list[Outcome]:
    """File reports about items; one outcome a row. The same report twice is one report.

    A row: {"kind", "item" (external id), "reason", "source"?, "reporter"?, "text"?,
    "external_id"?}. A decided item stays decided, unless a trusted flagger or law enforcement
    asks; for everybody else there is the appeal.
    """
    access.check(by, "report.file", platform)
    if len(rows) > MAX_ROWS:
        raise Invalid(
            _("At most %(max_rows)s rows at once; these are %(rows)s.")
            % {"max_rows": figure(MAX_ROWS), "rows": figure(len(rows))}
        )
    shapes = shapes_of(platform)
    sources = frozenset(Report.Source.values)
    read = [
        read_report(row, index=index, shapes=shapes, sources=sources)
        for index, row in enumerate(rows)
    ]
    return again_on_deadlock(lambda: _file(platform, read, by=by))


def _file(
    platform: Platform, read: Sequence[ReportRow | Errors], *, by: Person | None
) -> list[Outcome]:
    outcomes = {}
    good: list[ReportRow] = []
    for index, row in enumerate(read):
        if isinstance(row, dict):
            outcomes[index] = Outcome(index, "rejected", errors=row)
        else:
            good.append(row)
    items = _reported_items(platform, good)
    first: dict[tuple[int, str], ReportRow] = {}
    for row in good:
        item = items.get((row.kind_id, row.item))
        if item is None:
            errors = {"item": ["There is no such item. Submit it first."]}
            outcomes[row.index] = Outcome(row.index, "rejected", errors=errors)
        else:
            first.setdefault((item.pk, row.external_id), row)
            outcomes[row.index] = Outcome(row.index, "unchanged", item.pk, item.version_number)
    filed = _insert_reports(first)
    for key in filed:
        outcomes[first[key].index].status = "created"
    if filed:
        _follow_up(platform, [first[key] for key in filed], filed)
        audit.record(
            "report.file",
            Item(pk=filed[0][0]) if len({item_id for item_id, _rest in filed}) == 1 else platform,
            by=by,
            platform=platform,
            created=len(filed),
            rejected=sum(outcome.status == "rejected" for outcome in outcomes.values()),
        )
    return [outcomes[index] for index in range(len(read))]


def trust_of_items(item_ids: Collection[int]) -> dict[int, float]:
    """Item → the trust of its most trusted reporter, 0 where nobody has reported it."""
    rows = Item.objects.filter(pk__in=list(item_ids))
    return dict(rows.values_list("pk", "reporter_trust"))


def _reported_items(platform: Platform, rows: Iterable[ReportRow]) -> dict[tuple[int, str], Item]:
    ids_by_kind: dict[int, set[str]] = {}
    for row in rows:
        ids_by_kind.setdefault(row.kind_id, set()).add(row.item)
    items = {}
    for kind_id, external_ids in ids_by_kind.items():
        found = Item.objects.filter(
            platform=platform, kind_id=kind_id, external_id__in=external_ids
        ).only("pk", "external_id", "version_number")
        items |= {(kind_id, item.external_id): item for item in found}
    return items


def _insert_reports(rows: Mapping[tuple[int, str], ReportRow]) -> list[tuple[int, str]]:
    """Insert in key order; returns the keys that were not there before."""
    values = [
        {
            "item_id": item_id,
            "external_id": external_id,
            "source": row.source,
            "reporter": row.reporter,
            "reason": row.reason,
            "text": row.text,
        }
        for (item_id, external_id), row in rows.items()
    ]
    return bulk.over_rows(_INSERT, values) if values else []


def _follow_up(
    platform: Platform, rows: Iterable[ReportRow], keys: Sequence[tuple[int, str]]
) -> None:
    """Count the new reports, rank the jobs again, open one where it is called for."""
    rows = list(rows)
    fresh = Counter(item_id for item_id, _rest in keys)
    reporters.note_filed(platform, rows)
    voices = reporters.voices_of(fresh.keys(), platform_id=platform.pk)
    counts = [
        {"id": pk, "fresh": n, "together": voices[pk].together, "best": voices[pk].best}
        for pk, n in fresh.items()
    ]
    bulk.over_rows(_COUNT_REPORTS, counts)
    router = Router(platform)
    rerank_jobs(fresh.keys(), router=router)
    urgent = {
        item_id
        for (item_id, _rest), row in zip(keys, rows, strict=True)
        if row.source in (Report.Source.TRUSTED_FLAGGER, Report.Source.LAW_ENFORCEMENT)
    }
    decided = set(
        Decision.objects.settled()
        .filter(item_id__in=fresh.keys() - urgent)
        .values_list("item_id", flat=True)
    )
    open_missing_jobs(fresh.keys() - decided, router=router)
