"""Settings refuse what makes no sense, and docs/configuration.md has every variable."""

import os
import re
import runpy
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from trustconsole.accounts import SealingMFAAdapter

from .conftest import ROOT
from .people import make_person

SOURCE = ROOT / "trustconsole" / "settings.py"


@pytest.fixture
def read(monkeypatch, tmp_path):
    """read(NAME="value") → the settings as they would be with that environment."""

    def settings(**environment: str) -> dict:
        monkeypatch.setenv("TRUSTCONSOLE_VAR", str(tmp_path))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SOURCE))

    return settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DEBUG", "ture", "it must be 1 or 0"),
        ("PORT", "80000", "from 1 to 65535"),
        ("PORT", "-1", "from 1 to 65535"),
        ("WEB_WORKERS", "two", "a whole number"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO"),
        ("DATABASE_URL", "mysql://root:hunter2@db/x", "postgres://"),
        ("DATABASE_URL", "", "No database"),
        ("CELERY_BROKER_URL", "kafka://:hunter2@mq", "amqp://"),
        ("CELERY_BROKER_URL", "", "No broker"),
        ("CELERY_BROKER_URL", "redis://mq/first", "number of a database"),
        ("CACHE_URL", "memcached://cache", "database://"),
        ("EMAIL_URL", "mail.example.org", "smtp://"),
        ("CSRF_TRUSTED_ORIGINS", "console.example.org", "begins with https://"),
        ("SESSION_HOURS", "0", "from 1 to"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(read, name, value, said):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(**{name: value})
    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    if value:
        assert name in str(refusal.value)


def test_an_empty_variable_counts_as_not_set(read):
    settings = read(DEBUG="", PORT="", LOG_LEVEL="", ALLOWED_HOSTS="", CACHE_URL="", EMAIL_URL="")
    assert settings["DEBUG"] is False
    assert settings["PORT"] == 8000
    assert settings["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("broker", "backend", "location"),
    [
        ("redis://mq:6379/4", "RedisCache", "redis://mq:6379/5"),
        ("rediss://:secret@mq", "RedisCache", "rediss://:secret@mq/1"),
        ("redis+socket:///a%20b/redis.sock", "RedisCache", "unix:///a b/redis.sock?db=1"),
        ("redis+socket:///r.sock?virtual_host=6", "RedisCache", "unix:///r.sock?db=7"),
        ("amqp://guest:guest@mq//", "DatabaseCache", "trustconsole_cache"),
    ],
)
def test_the_cache_is_the_brokers_redis_but_never_its_queues(read, broker, backend, location):
    cache = read(CELERY_BROKER_URL=broker, CACHE_URL="")["CACHES"]["default"]
    assert cache["BACKEND"].endswith(backend)
    assert cache["LOCATION"] == location


def test_redis_gives_back_what_a_lost_worker_held_but_never_a_running_task(read):
    settings = read(CELERY_BROKER_URL="redis://mq")
    options = settings["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert options["unacked_restore_interval"] == options["unacked_restore_throttle"] == 1
    hard_limits = [settings["CELERY_TASK_TIME_LIMIT"]]
    hard_limits += [a["time_limit"] for a in settings["CELERY_TASK_ANNOTATIONS"].values()]
    assert options["visibility_timeout"] > max(hard_limits)
    assert read(CELERY_BROKER_URL="amqp://mq")["CELERY_BROKER_TRANSPORT_OPTIONS"] == {}


def test_every_task_has_a_queue_that_some_worker_serves():
    from trustconsole import programs
    from trustconsole.celery import app

    app.loader.import_default_modules()
    queues = {
        name: app.amqp.router.route({}, name)["queue"].name
        for name in app.tasks
        if not name.startswith("celery.")
    }
    assert set(queues.values()) <= set(programs.QUEUES)
    assert queues["mlhooks.tasks.score_due"] == "score"
    assert queues["mlhooks.tasks.score_texts"] == queues["mlhooks.tasks.score_pieces"] == "ask"
    assert queues["mlhooks.tasks.sweep_scores"] == "sweep"
    assert queues["mlhooks.tasks.run_training"] == "train"
    assert queues["mlhooks.tasks.build_snapshot"] == "train"
    assert queues["reviews.tasks.release_enforcements"] == "enforce"
    assert queues["reviews.tasks.expire_claims"] == "sweep"


def test_beat_sends_only_tasks_that_exist_and_drops_what_nobody_took():
    from trustconsole.celery import app

    app.loader.import_default_modules()
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"] in app.tasks, name
        # No more than a few lie about, and on a busy machine one of them is taken.
        period = entry["schedule"].run_every.total_seconds()
        assert entry["options"]["expires"] == max(period, 10)


def test_a_key_of_its_own_is_made_once_and_kept_to_itself(read, tmp_path):
    first = read(SECRET_KEY="")["SECRET_KEY"]
    assert read(SECRET_KEY="")["SECRET_KEY"] == first
    assert len(first) >= 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_deployment_check_is_clean_with_https_and_a_key():
    # Browser tests set it for themselves; a deployment must not.
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=environment | {"HTTPS": "1", "SECRET_KEY": "k9-" * 30 + "xyzabc"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_variable_is_in_the_table_and_nothing_else_is():
    readers = r"_(?:text|flag|number|choice|list|folder|url|json)\(\s*\"([A-Z_]+)\""
    read = set(re.findall(readers, SOURCE.read_text()))
    table = (ROOT / "docs" / "configuration.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert listed == read


def test_the_environment_is_read_in_two_places_only():
    # setdefault is for others to read: Django's settings module, libraries.
    reading = re.compile(r"os\.environ(?!\.setdefault)|os\.getenv|environ\.Env")
    readers = {
        str(path.relative_to(ROOT))
        for app in ("trustconsole", "reviews", "mlhooks")
        for path in (ROOT / app).rglob("*.py")
        if reading.search(path.read_text())
    }
    passing_it_on = {"trustconsole/programs.py", "trustconsole/keeper.py"}
    elsewhere = {
        "mlhooks/client.py",  # runs on other machines, without Django
        # Which of several workers this is: torchrun tells each by its environment.
        "mlhooks/tuning.py",
        "mlhooks/management/commands/fine_tune.py",
    }
    assert readers - passing_it_on - elsewhere == {
        "trustconsole/settings.py",
        "trustconsole/embedded.py",
    }


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/accounts/login/", "/nowhere", "/api/v1/nowhere"])
def test_the_headers_are_on_every_answer(path):
    headers = Client().get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "no-store" in headers["Cache-Control"]
    csp = headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp
    assert "unsafe" not in csp


@pytest.mark.django_db
def test_a_session_is_not_written_at_every_request(client):
    client.force_login(make_person("rosa"))
    client.get("/accounts/password/change/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/accounts/password/change/")
    reads = ("SELECT", "EXECUTE session_", "EXECUTE person_")
    assert [q["sql"] for q in queries if not q["sql"].startswith(reads)] == []


def test_second_factors_are_sealed_and_older_keys_still_open_them(settings):
    adapter = SealingMFAAdapter()
    settings.SECRET_KEY = "the first key"
    sealed = adapter.encrypt("JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in sealed
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the second key", ["the first key"]
    assert adapter.decrypt(sealed) == "JBSWY3DPEHPK3PXP"
