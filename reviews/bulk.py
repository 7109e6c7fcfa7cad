"""Statements over many rows at once. Errors come as Django's own, as from its cursors."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from psycopg2.extras import execute_values


def over_values(
    sql: str, rows: Sequence[Sequence[Any]], *, template: str | None = None, fetch: bool = False
) -> list[tuple]:
    """Run `sql` once with `rows` for its `VALUES %s`; `template` casts what could be null."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        found = execute_values(
            cursor.cursor, sql, rows, template=template, page_size=len(rows), fetch=fetch
        )
    return found or []


def copy_in(sql: str, lines: Iterable[str]) -> None:
    """COPY … FROM STDIN, lines in COPY's text format."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.copy_expert(sql, io.BytesIO("".join(lines).encode()))
