"""Rows that say a version of an item waits for some work: leased in a batch, settled, put off.

A batch is one transaction. When it fails, its rows are tried again one by one, so that what fails
then fails alone; what has failed alone three times is parked with its error.
"""

import logging
import time
from collections.abc import Callable, Sequence

from django.db import InterfaceError, OperationalError, connection, models, transaction

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # alone
_ALONE_AT_ONCE = 8

_LEASE = """
SELECT item_version_id FROM {table}
WHERE parked_at IS NULL AND due_at <= clock_timestamp() AND {which}
ORDER BY item_version_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
_IS_ANY = """
SELECT EXISTS (SELECT FROM {table} WHERE parked_at IS NULL AND due_at <= clock_timestamp())
"""
_SETTLE = "DELETE FROM {table} WHERE item_version_id = ANY(%s)"
# The rows of a batch are tried again alone, at once; one that failed alone waits a little.
_PUT_OFF = """
UPDATE {table} SET attempts = attempts + 1, error = %(error)s,
  due_at = clock_timestamp() + %(alone)s * interval '5 seconds',
  parked_at = CASE WHEN attempts + 1 > %(most)s THEN clock_timestamp() END
WHERE item_version_id = ANY(%(versions)s)
"""


class DueRows:
    """The rows of one table (item version, due_at, attempts, parked_at, error), and their work."""

    def __init__(self, model: type[models.Model], work: Callable[[Sequence[int]], None]) -> None:
        """`work` is given version ids in their order, inside the transaction that settles them."""
        self._model, self._work = model, work

    def is_any(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(self._sql(_IS_ANY))
            found: bool = cursor.fetchone()[0]
        return found

    def work_off(self, *, limit: int, seconds: float = 0.0) -> int:
        """One batch; with `seconds`, batch after batch until none is due. Returns how many rows
        were dealt with."""
        stop = time.monotonic() + seconds
        done = 0
        while True:
            count = self._batch("attempts = 0", limit)
            if count < limit:
                for _turn in range(_ALONE_AT_ONCE):
                    if not (again := self._batch("attempts > 0", 1)):
                        break
                    count += again
            done += count
            if not count or time.monotonic() >= stop:
                return done

    def _batch(self, which: str, limit: int) -> int:
        version_ids: list[int] = []
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(self._sql(_LEASE, which=which), {"limit": limit})
                version_ids = [pk for (pk,) in cursor.fetchall()]
                if version_ids:
                    self._work(version_ids)
                    cursor.execute(self._sql(_SETTLE), [version_ids])
        except (OperationalError, InterfaceError):
            raise  # the database went away: the rows are as they were
        except Exception as error:
            logger.exception("%s: a batch of %d failed", self._model.__name__, len(version_ids))
            self._put_off(version_ids, error, is_alone=limit == 1)
        return len(version_ids)

    def _put_off(self, version_ids: Sequence[int], error: Exception, *, is_alone: bool) -> None:
        values = {
            "error": f"{type(error).__name__}: {error}"[:2000],
            "alone": int(is_alone),
            "most": MAX_ATTEMPTS,
            "versions": list(version_ids),
        }
        with connection.cursor() as cursor:
            cursor.execute(self._sql(_PUT_OFF), values)

    def _sql(self, text: str, **more: str) -> str:
        return text.format(table=self._model._meta.db_table, **more)
