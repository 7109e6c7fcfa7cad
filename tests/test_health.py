"""/healthz and /readyz, and what a request answers while the database or the broker is away."""

import time

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.urls import reverse

from reviews.statements import Statement
from trustconsole import outage
from trustconsole.celery import WORKER_SEEN, app, heartbeat

from .people import make_person


@pytest.fixture(autouse=True)
def _forget_the_worker():
    cache.delete(WORKER_SEEN)
    yield
    cache.delete(WORKER_SEEN)


@pytest.fixture
def no_broker():
    """The broker is away: nothing listens there."""
    kept = app.conf.broker_url
    app.conf.broker_url = app.conf.broker_write_url = "redis://127.0.0.1:1/0"
    app.set_default()
    app._pool = app.amqp._producer_pool = None
    yield
    app.conf.broker_url = app.conf.broker_write_url = kept
    app._pool = app.amqp._producer_pool = None


def test_healthz_asks_nobody(client):
    # No `db` fixture here, so that a query would fail.
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert not response.cookies


@pytest.mark.django_db
def test_readyz_is_ready_when_a_worker_was_just_seen(client):
    heartbeat()
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "broker": "ok",
        "worker": "ok",
    }
    assert response["Cache-Control"] == "no-store, private"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds_ago", "answer"), [(None, "none seen"), (61, "not seen lately"), (59, "ok")]
)
def test_readyz_wants_a_worker_within_the_last_minute(client, seconds_ago, answer):
    if seconds_ago is not None:
        cache.set(WORKER_SEEN, time.time() - seconds_ago)
    response = client.get("/readyz")
    assert response.json()["worker"] == answer
    assert response.status_code == (200 if answer == "ok" else 503)


@pytest.mark.django_db
def test_readyz_sees_a_migration_that_was_not_applied(client):
    heartbeat()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE id = "
            "(SELECT id FROM django_migrations WHERE app = 'reviews' ORDER BY name DESC LIMIT 1)"
        )
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["migrations"] == "missing"


@pytest.mark.django_db
def test_readyz_without_a_broker_says_so_and_no_more(client, no_broker):
    heartbeat()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["broker"] == "unreachable"
    assert b"127.0.0.1" not in response.content


@pytest.mark.django_db
def test_readyz_takes_two_queries_and_no_more(client, django_assert_num_queries):
    client.get("/readyz")
    with django_assert_num_queries(2):
        client.get("/readyz")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db
def test_probes_are_read_only(client, path):
    assert client.post(path).status_code == 405


def test_a_broker_that_is_away_fails_no_request(no_broker):
    assert heartbeat.delay() is None


@pytest.mark.django_db
def test_a_database_that_is_away_answers_503(monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    rosa = make_person("rosa")
    client = Client(raise_request_exception=False)
    client.force_login(rosa)
    monkeypatch.setattr(Statement, "_run", away)
    response = client.get(reverse("reviews:home"))
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert b"Back in a moment" in response.content


@pytest.mark.parametrize(("error", "status"), [(OperationalError(), 503), (ValueError(), 500)])
def test_a_program_gets_json_when_a_call_fails(error, status):
    request = RequestFactory().get("/api/v1/items")
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("wrapped") from inner
    except RuntimeError:
        response = outage.failed(request)
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response.headers.get("Retry-After") == ("5" if status == 503 else None)
