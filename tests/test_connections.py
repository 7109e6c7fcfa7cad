"""Connections to PostgreSQL are kept from request to request; a dead one is replaced unseen."""

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from trustconsole.postgresql import base

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kept():
    connection.close()
    connection.ensure_connection()
    yield
    connection.close()


def next_request() -> int:
    """What the handler does between two requests, and the first query of the next. Its backend."""
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def asked(monkeypatch) -> list[int]:
    """A list that grows with each question whether a connection lives."""
    found: list[int] = []
    ask = base.base.DatabaseWrapper.is_usable

    def counting(self):
        found.append(1)
        return ask(self)

    monkeypatch.setattr(base.base.DatabaseWrapper, "is_usable", counting)
    return found


def test_a_connection_in_use_is_kept_without_asking(monkeypatch):
    first = next_request()
    questions = asked(monkeypatch)
    with CaptureQueriesContext(connection) as queries:
        assert [next_request() for _ in range(3)] == [first] * 3
    assert len(queries) == 3 and not questions


def test_a_connection_the_server_has_closed_is_replaced_before_it_is_used():
    before = next_request()
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    other.close()
    assert next_request() != before


def test_a_connection_that_rested_is_asked(monkeypatch):
    first = next_request()
    monkeypatch.setattr(base, "ASKED_AFTER_SECONDS", 0.0)
    questions = asked(monkeypatch)
    assert next_request() == first
    assert questions
