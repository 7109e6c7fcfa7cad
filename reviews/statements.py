"""Hand-written SQL that PostgreSQL plans once a connection, not once a call.

Planning was six sevenths of what a claim or an answer cost the database. Behind a pooler that lends
a connection for one transaction only (DATABASE_POOLER), a statement is sent in full each time.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

_PLACE = re.compile(r"%\((\w+)\)s")
_M = TypeVar("_M", bound=Model)

# The driver's connection → names of what it has prepared.
_prepared: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Statement:
    """SQL with %(name)s places, typed by their use; cast a place that has none.

    {columns} becomes the columns of `model` by name and comes first: a plan that returns `*` breaks
    on the day a migration adds one. `name` is how it shows in pg_stat_activity.
    """

    def __init__(self, name: str, sql: str, *, model: type[Model] | None = None) -> None:
        if model is not None:
            table = model._meta.db_table
            columns = [f"{table}.{field.column}" for field in model._meta.concrete_fields]
            sql = sql.replace("{columns}", ", ".join(columns))
        self.sql = sql
        self.places = list(dict.fromkeys(_PLACE.findall(sql)))
        self.name = f"{name}_{zlib.crc32(sql.encode()):08x}"

    def rows(self, *, after: "Statement | None" = None, **values: Any) -> list[tuple]:
        """Run it; all the rows it returns.

        `after` is run before it, with places of the same values and its rows not looked at: two
        statements, each with its own view of the data, for one round trip.
        """
        return self._run(values, after)[0]

    def row(self, *, after: "Statement | None" = None, **values: Any) -> tuple | None:
        return next(iter(self.rows(after=after, **values)), None)

    def instances(self, model: type[_M], **values: Any) -> list[_M]:
        """Run it; its rows as instances of `model`, columns it does not have as attributes.

        As Manager.raw() would, which finds out anew each time which column is which field.
        """
        rows, names = self._run(values)
        attributes, converted = _fields(model)
        count = len(attributes)
        found = []
        for row in rows:
            columns = list(row[:count])
            for at, convert in converted:
                columns[at] = convert(columns[at], None, connections[DEFAULT_DB_ALIAS])
            instance = model.from_db(DEFAULT_DB_ALIAS, attributes, columns)
            for name, value in zip(names[count:], row[count:], strict=True):
                setattr(instance, name, value)
            found.append(instance)
        return found

    def _run(
        self, values: Mapping[str, Any], after: "Statement | None" = None
    ) -> tuple[list[tuple], list[str]]:
        # Looked up once: `django.db.connection` looks it up again with every attribute.
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            sql, arguments = self._call(connection, cursor, values)
            if after is not None:
                first, its_arguments = after._call(connection, cursor, values)
                sql, arguments = f"{first}; {sql}", [*its_arguments, *arguments]
            cursor.execute(sql, arguments)
            return cursor.fetchall(), [column[0] for column in cursor.description]

    def _call(
        self, connection: BaseDatabaseWrapper, cursor: Any, values: Mapping[str, Any]
    ) -> tuple[str, list[Any]]:
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            places = _PLACE.findall(self.sql)
            return _PLACE.sub("%s", self.sql), [values[name] for name in places]
        prepared = _prepared.setdefault(connection.connection, set())
        if self.name not in prepared:
            numbered = _PLACE.sub(lambda place: f"${self.places.index(place[1]) + 1}", self.sql)
            cursor.execute(f"PREPARE {self.name} AS {numbered}")
            prepared.add(self.name)
        call = f"EXECUTE {self.name}"
        if self.places:
            call += f"({', '.join(['%s'] * len(self.places))})"
        return call, [values[name] for name in self.places]


@cache
def _fields(model: type[Model]) -> tuple[list[str], list[tuple[int, Callable]]]:
    """Names of its columns' attributes, and what turns the driver's value into the field's."""
    fields = model._meta.concrete_fields
    converted = [
        (at, field.from_db_value)
        for at, field in enumerate(fields)
        if hasattr(field, "from_db_value")
    ]
    return [field.attname for field in fields], converted
