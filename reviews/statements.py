"""Hand-written SQL that PostgreSQL plans once a connection, not once a call.

Planning was six sevenths of what a claim or an answer cost the database. Behind a pooler that lends
a connection for one transaction only (DATABASE_POOLER), a statement is sent in full each time.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.models import Model

_PLACE = re.compile(r"%\((\w+)\)s")
_M = TypeVar("_M", bound=Model)

# The driver's connection → names of what it has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Statement:
    """SQL with %(name)s places, typed by their use; cast a place that has none.

    {columns} becomes the columns of `model` by name: a plan that returns `*` breaks on the day a
    migration adds one. `name` is how it shows in pg_stat_activity.
    """

    def __init__(self, name: str, sql: str, *, model: type[Model] | None = None) -> None:
        if model is not None:
            table = model._meta.db_table
            columns = [f"{table}.{field.column}" for field in model._meta.concrete_fields]
            sql = sql.replace("{columns}", ", ".join(columns))
        self.sql = sql
        self.places = list(dict.fromkeys(_PLACE.findall(sql)))
        self.name = f"{name}_{zlib.crc32(sql.encode()):08x}"

    def rows(self, **values: Any) -> list[tuple]:
        """Run it; all the rows it returns."""
        with connection.cursor() as cursor:
            cursor.execute(*self._call(values))
            return cursor.fetchall()

    def row(self, **values: Any) -> tuple | None:
        return next(iter(self.rows(**values)), None)

    def instances(self, model: type[_M], **values: Any) -> list[_M]:
        """Run it; its rows as instances of `model`, columns it does not have as attributes."""
        return list(model._base_manager.raw(*self._call(values)))

    def _call(self, values: Mapping[str, Any]) -> tuple[str, Any]:
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            return self.sql, values
        self._prepare()
        places = ", ".join(["%s"] * len(self.places))
        arguments = [values[name] for name in self.places]
        return f"EXECUTE {self.name}({places})" if places else f"EXECUTE {self.name}", arguments

    def _prepare(self) -> None:
        connection.ensure_connection()
        prepared = _prepared.setdefault(connection.connection, set())
        if self.name in prepared:
            return
        numbered = _PLACE.sub(lambda place: f"${self.places.index(place[1]) + 1}", self.sql)
        with connection.cursor() as cursor:
            cursor.execute(f"PREPARE {self.name} AS {numbered}")
        prepared.add(self.name)
