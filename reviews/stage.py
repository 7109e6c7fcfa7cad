"""New items in bulk: COPY into a temporary stage, then one statement writes items, versions, jobs.

The caller has worked out everything beforehand, ids included; here is only SQL.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from .routing import Placement
from .submission import ItemRow

# One stage a connection, empty outside a transaction; behind a pooler it may have to be made anew.
_PREPARE = """
CREATE TEMP TABLE IF NOT EXISTS intake_stage (
  item_id bigint, kind_id bigint, external_id text, account_id bigint, language text,
  posted_at timestamptz, views_per_hour float8, fingerprint text, split_group text,
  known_answer jsonb, content jsonb, content_hash text,
  queue_id bigint, lane text, draw_id bigint, inclusion_probability float8, harm float8,
  rank float8, due_at timestamptz
) ON COMMIT DELETE ROWS;
DELETE FROM pg_temp.intake_stage
"""

# Items in key order: two calls that bring the same items wait for each other, never in a ring.
_WRITE = """
WITH item AS (
  INSERT INTO reviews_item (
    id, platform_id, kind_id, external_id, account_id, version_number, language, posted_at,
    submitted_at, views_per_hour, report_count, fingerprint, split_group, risks, risk_source,
    known_answer)
  SELECT item_id, %(platform)s, kind_id, external_id, account_id, 1, language, posted_at,
    %(now)s, views_per_hour, 0, fingerprint, split_group, '{}', '', known_answer
  FROM intake_stage ORDER BY kind_id, external_id COLLATE "C"
  ON CONFLICT (platform_id, kind_id, external_id) DO NOTHING
  RETURNING id
), version AS (
  INSERT INTO reviews_itemversion (item_id, number, content, content_hash, created_at)
  SELECT item_id, 1, content, content_hash, %(now)s
  FROM intake_stage JOIN item ON item.id = item_id
  RETURNING id, item_id
), job AS (
  INSERT INTO reviews_job (
    item_id, queue_id, lane, state, rank, harm, created_at, due_at, is_overdue, attempts, draw_id,
    inclusion_probability)
  SELECT item_id, queue_id, lane, 'ready', rank, harm, %(now)s, due_at, false, 0, draw_id,
    inclusion_probability
  FROM intake_stage JOIN item ON item.id = item_id
)
SELECT item_id, id FROM version
"""

_COPY = "COPY pg_temp.intake_stage FROM STDIN"


class NewItem(NamedTuple):
    item_id: int
    row: ItemRow
    account_id: int | None
    split_group: str
    known_answer_json: str | None
    placement: Placement


def next_item_ids(count: int) -> list[int]:
    """Ids set aside before the items exist: the draw of a job hangs on them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('reviews_item', 'id'))"
            " FROM generate_series(1, %s)",
            [count],
        )
        return [pk for (pk,) in cursor.fetchall()]


def write(new: Sequence[NewItem], *, platform_id: int, now: datetime) -> dict[int, int]:
    """Store the items that are not there yet; returns item id → version id of those stored.

    An item left out was stored by somebody else in the meantime.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PREPARE)
        cursor.copy_expert(_COPY, io.StringIO("".join(_lines(new))))
        cursor.execute(_WRITE, {"platform": platform_id, "now": now})
        return dict(cursor.fetchall())


def _lines(new: Iterable[NewItem]) -> Iterable[str]:
    """COPY's text format. JSON has no raw control characters: only its backslashes need care."""
    for item_id, row, account_id, split_group, known_answer, place in new:
        yield (
            "\t".join(
                (
                    str(item_id),
                    str(row.shape.pk),
                    _escape(row.external_id),
                    "\\N" if account_id is None else str(account_id),
                    row.language or "",
                    "\\N" if row.posted_at is None else row.posted_at.isoformat(),
                    repr(row.views_per_hour or 0.0),
                    row.fingerprint,
                    split_group,
                    "\\N" if known_answer is None else known_answer.replace("\\", "\\\\"),
                    row.content_json.replace("\\", "\\\\"),
                    row.content_hash,
                    str(place.queue_id),
                    place.lane,
                    "\\N" if place.draw_id is None else str(place.draw_id),
                    "\\N"
                    if place.inclusion_probability is None
                    else repr(place.inclusion_probability),
                    repr(place.harm),
                    repr(place.rank),
                    place.due_at.isoformat(),
                )
            )
            + "\n"
        )


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
