"""New items in bulk: straight into items, versions and jobs with COPY, ids set aside beforehand.

The caller has worked everything out; here is only SQL. COPY writes a table several times as fast
as INSERT does, and knows no ON CONFLICT: who meets a row that is there already starts over.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction

from . import bulk
from .routing import Placement
from .submission import ItemRow

_IDS = """
WITH sequence AS MATERIALIZED (  -- or they are looked up for every row
  SELECT pg_get_serial_sequence('reviews_item', 'id')::regclass AS item,
    pg_get_serial_sequence('reviews_itemversion', 'id')::regclass AS version
)
SELECT nextval(item), nextval(version) FROM sequence, generate_series(1, %s)
"""
_ITEMS = """COPY reviews_item (id, platform_id, kind_id, external_id, account_id, version_number,
  language, posted_at, submitted_at, views_per_hour, views_so_far, report_count, fingerprint,
  split_group, risks, risk_source, known_answer) FROM STDIN"""
_VERSIONS = """COPY reviews_itemversion (id, item_id, number, content, content_hash, created_at)
  FROM STDIN"""
_JOBS = """COPY reviews_job (item_id, queue_id, lane, state, rank, harm, created_at, due_at,
  is_overdue, is_soon, lift_at, attempts, draw_id, inclusion_probability) FROM STDIN"""
_ONE_ITEM = "one_item_per_external_id"


class NewItem(NamedTuple):
    item_id: int
    version_id: int
    row: ItemRow
    account_id: int | None
    split_group: str
    known_answer_json: str | None
    placement: Placement


def next_ids(count: int) -> list[tuple[int, int]]:
    """Ids of items and their versions before they exist: the draw of a job hangs on the item's."""
    with connection.cursor() as cursor:
        cursor.execute(_IDS, [count])
        return cursor.fetchall()


def write(new: Sequence[NewItem], *, platform_id: int, now: datetime) -> bool:
    """Store all of them; False, and none stored, if somebody else stored one meanwhile."""
    # In key order: two calls that bring the same items wait for each other, never in a ring.
    new = sorted(new, key=lambda item: item.row.key)
    time = now.isoformat()
    try:
        with transaction.atomic():
            bulk.copy_in(_ITEMS, _item_lines(new, platform_id, time))
            bulk.copy_in(_VERSIONS, _version_lines(new, time))
            bulk.copy_in(_JOBS, _job_lines(new, time))
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        if getattr(diagnosis, "constraint_name", None) != _ONE_ITEM:
            raise
        return False
    return True


def _item_lines(new: Iterable[NewItem], platform_id: int, time: str) -> Iterable[str]:
    for item_id, _, row, account_id, split_group, known_answer, _ in new:
        account = "\\N" if account_id is None else account_id
        posted_at = "\\N" if row.posted_at is None else row.posted_at.isoformat()
        so_far = "\\N" if row.views_so_far is None else row.views_so_far
        answer = "\\N" if known_answer is None else known_answer.replace("\\", "\\\\")
        yield (
            f"{item_id}\t{platform_id}\t{row.shape.pk}\t{_escape(row.external_id)}\t{account}\t1\t"
            f"{row.language or ''}\t{posted_at}\t{time}\t{row.views_per_hour or 0.0!r}\t"
            f"{so_far}\t0\t{row.fingerprint}\t{split_group}\t{{}}\t\t{answer}\n"
        )


def _version_lines(new: Iterable[NewItem], time: str) -> Iterable[str]:
    """JSON has no raw control characters: in COPY's text format only its backslashes need care."""
    for item in new:
        row = item.row
        content = row.content_json.replace("\\", "\\\\")
        yield f"{item.version_id}\t{item.item_id}\t1\t{content}\t{row.content_hash}\t{time}\n"


def _job_lines(new: Iterable[NewItem], time: str) -> Iterable[str]:
    tails: dict[int, str] = {}  # new items share few placements
    for item in new:
        place = item.placement
        tail = tails.get(id(place))
        if tail is None:
            draw = (
                "\\N\t\\N"
                if place.draw_id is None
                else f"{place.draw_id}\t{place.inclusion_probability!r}"
            )
            lift_at = "\\N" if place.lift_at is None else place.lift_at.isoformat()
            tail = tails[id(place)] = (
                f"{place.queue_id}\t{place.lane}\tready\t{place.rank!r}\t{place.harm!r}\t{time}\t"
                f"{place.due_at.isoformat()}\t{_bool(place.is_overdue)}\t{_bool(place.is_soon)}\t"
                f"{lift_at}\t0\t{draw}\n"
            )
        yield f"{item.item_id}\t{tail}"


def _bool(value: bool) -> str:
    return "t" if value else "f"


def _escape(text: str) -> str:
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
