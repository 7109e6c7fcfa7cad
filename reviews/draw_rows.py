"""Draw rows: an id set aside before there are jobs, the row written after them, once and whole.

A job needs the id of its draw, and a draw the number of its jobs. So the id comes from the
sequence, the jobs are written, and the row counts them in the same transaction (the foreign key
looks at commit). No row is ever waited for: each call draws for itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from . import bulk
from .models import Draw, Lane

_ID = "SELECT nextval(pg_get_serial_sequence('reviews_draw', 'id'))"

_WRITE = """
INSERT INTO reviews_draw (id, queue_id, lane, strategy, probability, seed, parameters, pool_size,
  drawn, model_version, follows_id, created_by_id, created_at)
SELECT coalesce(id, nextval(pg_get_serial_sequence('reviews_draw', 'id'))), queue_id, lane,
  strategy, probability, seed, parameters, pool_size,
  (SELECT count(*) FROM reviews_job WHERE draw_id = row.id), model_version, follows_id,
  created_by_id, clock_timestamp()
FROM json_to_recordset(%s) AS row (
  id bigint, queue_id bigint, lane text, strategy text, probability float8, seed bigint,
  parameters jsonb, pool_size integer, model_version text, follows_id bigint,
  created_by_id bigint)
"""


@dataclass
class Pending:
    """A draw under way in this call."""

    queue_id: int
    lane: str
    strategy: str
    seed: int
    probability: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    pool_size: int = 0
    model_version: str = ""
    follows_id: int | None = None
    created_by_id: int | None = None
    id: int | None = None

    def set_aside(self) -> int:
        """Its id, the same at every call."""
        if self.id is None:
            with connection.cursor() as cursor:
                cursor.execute(_ID)
                self.id = cursor.fetchone()[0]
        return self.id


def origin_of(draw: Draw | None) -> int | None:
    """The draw by which an item first came to a reviewer, by the draw of a job; None: by rank."""
    if draw is None or draw.lane not in (Lane.SECOND, Lane.ADJUDICATION):
        return draw and draw.pk
    return draw.follows_id


def write(draws: Iterable[Pending]) -> None:
    """In the transaction of their jobs, after these."""
    rows = [vars(draw) for draw in draws if draw.pool_size]
    if rows:
        bulk.over_rows(_WRITE, rows)
