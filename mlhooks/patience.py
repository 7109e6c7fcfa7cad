"""Reads that may take long, for pages and programs that wait: PostgreSQL ends them in time."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext as _
from psycopg2.errors import QueryCanceled

from reviews.errors import TooSlow

T = TypeVar("T")


def within(seconds: float, work: Callable[..., T], *given: object) -> T:
    """What `work` returns; TooSlow once one of its statements takes longer."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [f"{seconds}s"])
            found = work(*given)
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
            return found
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise  # the database is away: another matter
        raise TooSlow(
            _("This takes longer than %(seconds)s seconds, so it was given up.")
            % {"seconds": seconds}
        ) from error


def unless_slow(seconds: float, work: Callable[..., T], *given: object) -> T | None:
    """None where that takes longer."""
    try:
        return within(seconds, work, *given)
    except TooSlow:
        return None
