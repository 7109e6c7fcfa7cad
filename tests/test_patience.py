"""Reads that take too long are given up in time, and said to have been."""

import pytest
from django.db import OperationalError, connection, transaction
from django.urls import reverse

from mlhooks import differences, snapshots
from mlhooks.api import datasets as dataset_api
from mlhooks.api import snapshots as snapshot_api
from mlhooks.patience import unless_slow, within
from reviews.errors import TooSlow

from .factories import make_platform, make_policy, make_queue
from .people import make_person
from .test_access import client_of
from .test_snapshots import built, decide

pytestmark = pytest.mark.django_db


def sleep(*_given, seconds=5):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])
    return "slept"


def limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_what_takes_too_long_is_given_up_and_the_connection_goes_on():
    usual = limit()
    with pytest.raises(TooSlow, match=r"longer than 0.05 seconds"):
        within(0.05, sleep)
    assert unless_slow(0.05, sleep) is None
    assert within(5, lambda: sleep(seconds=0)) == "slept"
    assert limit() == usual


def test_a_database_that_is_away_is_another_matter():
    def away():
        raise OperationalError("server closed the connection unexpectedly")

    with transaction.atomic(), pytest.raises(OperationalError):
        unless_slow(1, away)


@pytest.fixture
def platform(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    for name in ("mila", "rosa"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


def test_the_api_answers_503_in_words_where_counting_takes_too_long(platform, monkeypatch):
    client = client_of(platform.mila)
    url = reverse("mlhooks_api:snapshot-dry-run")
    assert client.get(url).status_code == 200
    monkeypatch.setattr(snapshot_api, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(snapshots, "preview", sleep)
    answer = client.get(url)
    assert answer.status_code == 503
    assert "longer than 0.05 seconds" in answer.json()["error"]


def test_and_where_comparing_does(platform, monkeypatch):
    decide(platform)
    one, other = built(platform), built(platform)
    client = client_of(platform.mila)
    url = reverse("mlhooks_api:snapshot-difference", args=[one.number, other.number])
    assert client.get(url).status_code == 200
    monkeypatch.setattr(dataset_api, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(differences, "between", sleep)
    assert client.get(url).status_code == 503
