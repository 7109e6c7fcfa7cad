"""Track records: who reports, how often she was right, and what that makes her reports worth.

A decision leaves a DueReporter row for everyone who had reported the item; the sweep counts her
record anew from decisions, and ranks what still waits with her reports. A record never hides a
report: it moves jobs up, or leaves them where they are.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import OperationalError, connection
from django.db.models.functions import Now

from . import bulk, ranking
from .models import DueReporter, Platform, Report, Reporter
from .placement import again_on_deadlock, rerank_jobs
from .routing import Router
from .submission import ReportRow

logger = logging.getLogger(__name__)

# A record counts so many of her newest settled reports, looked for among so many.
COUNTED = 500
_SEEN = 20_000
# Her waiting items that are ranked anew: the newest.
_RANKED = 2_000
# A record moves in steps of this: what waits is not ranked anew for less.
STEP = 0.01
_VOICES_WHEN_FILED = 500
_BATCH = 200
_MOST_ATTEMPTS = 3

_FILED = """
INSERT INTO reviews_reporter (platform_id, source, external_id, filed, settled, upheld, trust,
  last_filed_at)
SELECT platform_id, source, external_id, filed, 0, 0, trust, clock_timestamp()
FROM json_to_recordset(%s) AS row (
  platform_id bigint, source text, external_id text, filed integer, trust float8)
ORDER BY source, external_id
ON CONFLICT (platform_id, source, external_id) DO UPDATE
SET filed = reviews_reporter.filed + excluded.filed, last_filed_at = excluded.last_filed_at
"""

_VOICES = """
SELECT item.id, voice.source, voice.reporter = '', voice.reports, reporter.trust
FROM unnest(%(items)s::bigint[]) AS given (id)
JOIN reviews_item AS item ON item.id = given.id
CROSS JOIN LATERAL (
  SELECT source, reporter, count(*) AS reports FROM (
    SELECT source, reporter FROM reviews_report WHERE item_id = item.id
    ORDER BY id DESC LIMIT %(most)s
  ) AS newest GROUP BY source, reporter
) AS voice
LEFT JOIN reviews_reporter AS reporter
  ON reporter.platform_id = item.platform_id AND reporter.source = voice.source
  AND reporter.external_id = voice.reporter
"""

# A report that came after the decision it would be counted by says nothing about its reporter.
_COUNT = """
SELECT reporter.id, count(*), count(*) FILTER (WHERE settled.verdict = 'violating')
FROM reviews_reporter AS reporter
CROSS JOIN LATERAL (
  SELECT DISTINCT ON (found.item_id) found.verdict FROM (
    SELECT report.item_id, decision.verdict
    FROM (
      SELECT report.id, report.item_id, report.created_at
      FROM reviews_report AS report JOIN reviews_item AS item ON item.id = report.item_id
      WHERE report.reporter = reporter.external_id AND report.reporter <> ''
        AND report.source = reporter.source AND item.platform_id = reporter.platform_id
      ORDER BY report.id DESC LIMIT %(seen)s
    ) AS report
    JOIN reviews_decision AS decision
      ON decision.item_id = report.item_id AND decision.verdict IN ('violating', 'clean')
      AND decision.decided_at >= report.created_at
    WHERE NOT EXISTS (
      SELECT FROM reviews_decision AS later WHERE later.supersedes_id = decision.id
    )
    ORDER BY report.id DESC LIMIT %(counted)s
  ) AS found
) AS settled
WHERE reporter.id = ANY(%(reporters)s) GROUP BY reporter.id
"""

_WAITING = """
SELECT DISTINCT newest.item_id
FROM reviews_reporter AS reporter
CROSS JOIN LATERAL (
  SELECT report.item_id FROM reviews_report AS report
  JOIN reviews_item AS item ON item.id = report.item_id
  WHERE report.reporter = reporter.external_id AND report.reporter <> ''
    AND report.source = reporter.source AND item.platform_id = reporter.platform_id
    AND EXISTS (
      SELECT FROM reviews_job AS job
      WHERE job.item_id = item.id AND job.state IN ('ready', 'claimed')
    )
  ORDER BY report.id DESC LIMIT %(ranked)s
) AS newest
WHERE reporter.id = ANY(%(reporters)s)
"""

_SET_TRUST = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (id bigint, together float8, best float8)
), locked AS MATERIALIZED (
  SELECT id FROM reviews_item WHERE id IN (SELECT id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE reviews_item AS item SET report_trust = given.together, reporter_trust = given.best
FROM given JOIN locked USING (id) WHERE item.id = given.id
"""


class Voices(NamedTuple):
    """What the reports of an item are worth: together, and the most trusted reporter alone."""

    together: float
    best: float


def note_filed(platform: Platform, rows: Iterable[ReportRow]) -> None:
    """A record for each who has filed one of these new reports, in the caller's transaction."""
    named = Counter((row.source, row.reporter) for row in rows if row.reporter)
    if not named:
        return
    base = _base_rate(platform.pk)
    values = [
        {
            "platform_id": platform.pk,
            "source": source,
            "external_id": reporter,
            "filed": filed,
            "trust": _prior(source, base),
        }
        for (source, reporter), filed in named.items()
    ]
    bulk.over_rows(_FILED, values)


def voices_of(
    item_ids: Collection[int], *, platform_id: int, most: int = _VOICES_WHEN_FILED
) -> dict[int, Voices]:
    """What the newest `most` reports of each item are worth; unreported items are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_VOICES, {"items": list(item_ids), "most": most})
        rows = cursor.fetchall()
    base = _base_rate(platform_id)
    trusts: dict[int, list[float]] = {}
    for item_id, source, is_nameless, reports, trust in rows:
        voices = min(reports, ranking.MOST_NAMELESS) if is_nameless else 1
        worth = _prior(source, base) if trust is None else trust
        trusts.setdefault(item_id, []).extend([worth] * voices)
    return {pk: Voices(ranking.report_trust(found), max(found)) for pk, found in trusts.items()}


def refresh_reporters() -> int:
    """Sweep: count anew the records that decisions have touched. Returns how many rows were due.

    Two sweeps at once share the rows; a record that cannot be counted is tried again, parked after
    three times, and stops nobody else's.
    """
    total = 0
    while True:
        rows = list(
            DueReporter.objects.filter(parked_at=None, due_at__lte=Now())
            .order_by("pk")
            .values_list("pk", flat=True)[:_BATCH]
        )
        if not rows:
            return total
        done = _refresh_or_put_off(rows)
        total += done
        if not done:
            return total  # the others are at work on them, or wait for another try


def refresh(reporter_ids: Collection[int]) -> None:
    """Count these records and rank what waits with their reports; in the caller's transaction."""
    reporters = list(
        Reporter.objects.filter(pk__in=reporter_ids).order_by("pk").select_for_update(no_key=True)
    )
    if not reporters:
        return
    values = {"reporters": [one.pk for one in reporters], "seen": _SEEN, "counted": COUNTED}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        counts = {pk: (settled, upheld) for pk, settled, upheld in cursor.fetchall()}
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moved: dict[int, list[int]] = {}
    _add_to_bases(reporters, counts)
    bases = {platform_id: _base_rate(platform_id) for platform_id in _platforms(reporters)}
    for reporter in reporters:
        reporter.settled, reporter.upheld = counts.get(reporter.pk, (0, 0))
        prior = _prior(reporter.source, bases[reporter.platform_id])
        trust = ranking.trust(reporter.upheld, reporter.settled, prior=prior)
        if abs(trust - reporter.trust) >= STEP or reporter.refreshed_at is None:
            reporter.trust = trust
            moved.setdefault(reporter.platform_id, []).append(reporter.pk)
        reporter.refreshed_at = now
    Reporter.objects.bulk_update(reporters, ["settled", "upheld", "trust", "refreshed_at"])
    for platform_id, ids in moved.items():
        _rank_waiting(platform_id, ids)


def _refresh_or_put_off(rows: Sequence[int]) -> int:
    """Rows worked off. What fails together is tried one by one."""
    try:
        return again_on_deadlock(lambda: _refresh_due(rows))
    except OperationalError:
        raise  # the database went away: the rows are still there
    except Exception as error:
        if len(rows) > 1:
            logger.warning("A batch of %d records failed (%s); one by one.", len(rows), error)
            return sum(_refresh_or_put_off([pk]) for pk in rows)
        logger.exception("Due reporter %s could not be counted", rows[0])
        _put_off(rows[0], f"{type(error).__name__}: {error}")
        return 0


def _refresh_due(rows: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM reviews_duereporter WHERE id IN (
              SELECT id FROM reviews_duereporter WHERE id = ANY(%s) AND due_at <= clock_timestamp()
              ORDER BY id FOR UPDATE SKIP LOCKED
            ) RETURNING reporter_id
            """,
            [list(rows)],
        )
        reporter_ids = [pk for (pk,) in cursor.fetchall()]
    refresh(set(reporter_ids))
    return len(reporter_ids)


def _put_off(pk: int, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE reviews_duereporter SET attempts = attempts + 1, error = %(error)s,
              due_at = clock_timestamp() + interval '1 minute' * (attempts + 1),
              parked_at = CASE WHEN attempts + 1 >= %(most)s THEN clock_timestamp() END
            WHERE id = %(id)s
            """,
            {"id": pk, "error": error[:1000], "most": _MOST_ATTEMPTS},
        )


def _rank_waiting(platform_id: int, reporter_ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, {"reporters": list(reporter_ids), "ranked": _RANKED})
        item_ids = [pk for (pk,) in cursor.fetchall()]
    found = voices_of(item_ids, platform_id=platform_id, most=_SEEN)
    set_voices(found)
    rerank_jobs(item_ids, router=Router(platform_id))


def set_voices(found: Mapping[int, Voices]) -> None:
    """Store what the items' reports are worth; in the caller's transaction."""
    rows = [{"id": pk, "together": one.together, "best": one.best} for pk, one in found.items()]
    if rows:
        bulk.over_rows(_SET_TRUST, rows)


def _add_to_bases(reporters: Iterable[Reporter], counts: Mapping[int, tuple[int, int]]) -> None:
    """A platform's base rate is kept by what changes, so that nobody has to sum all records."""
    more: dict[int, Counter[str]] = {}
    for reporter in reporters:
        if reporter.source != Report.Source.USER:
            continue
        settled, upheld = counts.get(reporter.pk, (0, 0))
        change = more.setdefault(reporter.platform_id, Counter())
        change["settled"] += settled - reporter.settled
        change["upheld"] += upheld - reporter.upheld
    with connection.cursor() as cursor:
        for platform_id, change in sorted(more.items()):
            cursor.execute(
                """
                UPDATE reviews_platform SET reports_settled = reports_settled + %s,
                  reports_upheld = reports_upheld + %s WHERE id = %s
                """,
                [change["settled"], change["upheld"], platform_id],
            )


def _base_rate(platform_id: int) -> float:
    upheld, settled = Platform.objects.values_list("reports_upheld", "reports_settled").get(
        pk=platform_id
    )
    return ranking.base_rate(upheld, settled)


def _prior(source: str, base: float) -> float:
    return ranking.SOURCE_TRUST.get(source, base)


def _platforms(reporters: Iterable[Reporter]) -> set[int]:
    return {reporter.platform_id for reporter in reporters}
