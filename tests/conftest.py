"""Fixtures of the whole suite.

`db` and `transactional_db` come from pytest-django, on real PostgreSQL. For tests in a browser:
`live_app` is the base URL of a real gunicorn on the test database, `page` a fresh Chromium page
that fails its test on any console error, `worker` a real Celery worker with beat. In a test that
uses none of these, nothing but the test itself touches the database.
"""

import copy
import gc
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What keeps one process of two for longest, longest first: begun last, it would leave the other
# with nothing to do. Most of all that walks every page, in Chromium or for every role.
LONGEST = (
    *("test_every_page", "test_hostile_text", "test_access", "test_loop", "test_up"),
    *("test_lifecycle_machine", "test_pages_all", "test_demo", "test_embedded", "test_crash"),
    *("test_browser_ahead", "test_browser_answers", "test_browser_review", "test_browser_grid"),
    *("test_browser_wellness", "test_browser_setup", "test_browser_routing", "test_keyboard_only"),
    *("test_browser_media", "test_browser_bulk", "test_browser_kinds", "test_browser_evidence"),
    *("test_browser_keys", "test_browser_strongest", "test_claims_concurrency", "test_replays"),
    *("test_setup_pages", "test_claims", "test_ml_pages", "test_media", "test_snapshots"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files, which pytest-xdist hands out in this order (Makefile)."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = servers.NAME


def _migrations_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/migrations/**/*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def django_db_createdb(request: pytest.FixtureRequest) -> bool:
    """The database of the last run is used again, unless a migration has changed since."""
    made_by = servers.FOLDER / "migrations.sha256"
    is_current = made_by.exists() and made_by.read_text() == _migrations_digest()
    return request.config.getvalue("create_db") or not is_current


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker) -> None:
    """Swept, if the last run was killed in a test that commits."""
    from tests import sweeping

    (servers.FOLDER / "migrations.sha256").write_text(_migrations_digest())
    with django_db_blocker.unblock():
        sweeping.sweep()
    sweeping.sweep_after_each_test_that_commits()


class Kept:
    """A world that many tests of a file start from, made once: in a transaction around them."""

    def __init__(self, build: Callable[[], object], blocker) -> None:
        self._build, self._blocker, self._around = build, blocker, None

    def copy(self):
        """Of its objects, for one test. What the test does to their rows is undone after it."""
        return copy.deepcopy(self._made)

    def open(self) -> None:
        from django.db import transaction

        if self._around is None:
            with self._blocker.unblock():
                self._around = transaction.atomic()
                self._around.__enter__()
                self._made = self._build()

    def close(self) -> None:
        from django.db import transaction

        if self._around is not None:
            with self._blocker.unblock():
                transaction.set_rollback(True)
                self._around.__exit__(None, None, None)
            self._around = None


_kept: dict[Path, Kept] = {}


@pytest.fixture(scope="module")
def keep(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker) -> Iterator:
    """keep(build) → Kept: what build() makes, for all tests of this file that use it and for no
    other. From a fixture of the module; one a file."""

    def make(build: Callable[[], object]) -> Kept:
        kept = _kept[request.path] = Kept(build, django_db_blocker)
        kept.open()
        return kept

    yield make
    _kept.pop(request.path).close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the transaction of the test itself begins."""
    for kept in _kept.values():
        if "keep" in getattr(item, "fixturenames", ()):
            kept.open()
        else:
            kept.close()


def pytest_collection_finish() -> None:
    """What the tests import, torch with it, is three quarters of a million objects that nothing
    frees any more: looked through with every collection, they were a twentieth of the suite."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_busy_machine_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the product keeps in its process for seconds is neither left from the test before, whose
    rows are gone, nor does it run out within a test; and no claim counts as a slow one, which costs
    a statement more."""
    from reviews import desk, starts, wellness

    desk.forget_rules()
    wellness.forget()
    monkeypatch.setattr(desk, "RULES_SECONDS", 600.0)
    monkeypatch.setattr(wellness, "CARE_SECONDS", 600.0)
    monkeypatch.setattr(starts, "SLOW", 60.0)


@pytest.fixture
def slow_claims_keep_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the product: for tests of what holds whichever claims were slow."""
    from reviews import starts

    monkeypatch.setattr(starts, "SLOW", 0.002)


@pytest.fixture(scope="session", autouse=True)
def _static_files_as_they_lie() -> None:
    """No manifest: pages render without collectstatic. live_app is the real thing."""
    from django.conf import settings

    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES["staticfiles"]["BACKEND"] = plain


# Processes


def _die_with_parent() -> None:
    """In the child, before exec: a killed pytest takes its servers with it (Linux)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@pytest.fixture(scope="session")
def app_environment(django_db_setup: None) -> dict[str, str]:
    """What a process of the product needs to work on the test database."""
    return {
        **os.environ,
        "DATABASE_URL": servers.database_url(servers.NAME),
        "DJANGO_SETTINGS_MODULE": "trustconsole.settings",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "DEBUG": "0",
    }


@pytest.fixture(scope="session")
def start_process(app_environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen]]:
    """start_process(name, *arguments, **environment) → Popen, its output in <name>.log, ended with
    the session."""
    children: list[subprocess.Popen] = []

    def start(name: str, *arguments: str, **environment: str) -> subprocess.Popen:
        servers.FOLDER.mkdir(parents=True, exist_ok=True)
        with (servers.FOLDER / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**app_environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        children.append(child)
        return child

    yield start
    for child in children:
        child.send_signal(signal.SIGCONT)
        child.terminate()
    for child in children:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _log_of(name: str) -> str:
    return (servers.FOLDER / f"{name}.log").read_text(errors="replace")[-4000:]


def wait_until(
    what: Callable[[], object], *, seconds: float = 15, message: str = "it did not come true"
) -> object:
    """Poll `what` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s: {message}")
        time.sleep(0.05)


# The web server


@pytest.fixture(scope="session")
def _web_server(
    app_environment: dict[str, str], start_process: Callable[..., subprocess.Popen]
) -> str:
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "-v", "0"],
        cwd=ROOT,
        env=app_environment,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = start_process(
        "web",
        *("-m", "gunicorn", "trustconsole.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--threads", "8", "--workers", "1", "--timeout", "60"),
    )

    def answers() -> bool:
        if child.poll() is not None:
            pytest.fail(f"the web server ended at once:\n{_log_of('web')}")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, seconds=60, message="the web server does not answer")
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def live_app(transactional_db: None, _web_server: str) -> str:
    """Base URL (no trailing slash) of the product on the test database; rows are committed, and
    gone after the test. Roles exist."""
    return _web_server


# The worker


@pytest.fixture(scope="session")
def _worker_processes(
    start_process: Callable[..., subprocess.Popen],
) -> tuple[subprocess.Popen, subprocess.Popen]:
    from trustconsole import programs

    command = programs.worker(list(programs.QUEUES), processes=1, name=servers.NAME)
    worker = start_process("worker", *command[1:])
    beat = start_process("beat", *programs.beat()[1:])

    def is_ready() -> bool:
        if worker.poll() is not None:
            pytest.fail(f"the worker ended at once:\n{_log_of('worker')}")
        return " ready." in _log_of("worker")

    wait_until(is_ready, seconds=60, message="the worker does not start")
    return worker, beat


@pytest.fixture
def worker(
    transactional_db: None, _worker_processes: tuple[subprocess.Popen, subprocess.Popen]
) -> Iterator[subprocess.Popen]:
    """A real Celery worker on every queue, with beat, for the length of this test. Between tests
    both are halted: nudges of other tests must not wake a worker while their rows are swept away
    (the two would wait for each other's locks)."""
    from trustconsole import programs

    broker = _broker()
    broker.flushdb()
    process, beat = _worker_processes
    process.send_signal(signal.SIGCONT)
    beat.send_signal(signal.SIGCONT)
    yield process
    beat.send_signal(signal.SIGSTOP)
    broker.delete(*programs.QUEUES)
    # What the worker has taken (acks_late: until done) stands in "unacked".
    wait_until(lambda: not broker.hlen("unacked"), seconds=60, message="the worker is still busy")
    process.send_signal(signal.SIGSTOP)


def _broker():
    import redis

    url = os.environ["CELERY_BROKER_URL"].replace("redis+socket://", "unix://")
    return redis.Redis.from_url(url.replace("virtual_host=", "db="))


# The browser


@pytest.fixture(scope="session")
def chromium() -> Iterator["object"]:
    """One headless Chromium for the session: the system's, never a download."""
    from playwright.sync_api import sync_playwright

    names = ["chromium", "chromium-browser", "google-chrome", "chrome"]
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("No Chromium. `make test` installs it, or set CHROMIUM to its path.")
    # Playwright's sync API keeps an event loop in this thread; Django would refuse its queries.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=CHROMIUM_FLAGS, headless=True
        )
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium, request: pytest.FixtureRequest) -> Iterator[Callable[..., object]]:
    """new_page(**context options) → a page of its own context (its own cookies). The test fails
    if any of them logged an error, broke the CSP, missed a static file or saw a 5xx."""
    contexts, problems = [], []

    def console(message) -> None:
        # A refused form (4xx) is logged by Chromium itself and is no fault of the page.
        refused = re.search(r"Failed to load resource.*status of 4\d\d", message.text)
        # Neither is what was still asked for when the page was left: htmx logs that as two events,
        # the second of which comes with every error and is never the only one.
        left = re.match(r"htmx:(sendAbort|afterRequest),", message.text)
        if message.type == "error" and not refused and not left:
            problems.append(f"console: {message.text}")

    def response(answer) -> None:
        missing = answer.status == 404 and "/static/" in answer.url
        if answer.status >= 500 or missing:
            problems.append(f"{answer.status} {answer.url}")

    def make(**options):
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(10_000)
        context.on("console", console)
        context.on("weberror", lambda error: problems.append(f"uncaught: {error.error}"))
        context.on("response", response)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    if "transactional_db" in request.fixturenames:
        _let_servers_finish()
    assert not problems, "\n".join(problems)


def _let_servers_finish(seconds: float = 5) -> None:
    """A request that the closed page had under way would meet the sweeping of its rows in a
    deadlock. Who is still busy then is halted, and no danger."""
    from django.db import connection

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction') "
                "AND backend_type = 'client backend'"
            )
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.05)


@pytest.fixture
def page(new_page: Callable[..., object]):
    """One page at 1440 × 900; see new_page."""
    return new_page()


@pytest.fixture
def sign_in(live_app: str) -> Callable[..., None]:
    """sign_in(page, person): give the page's context a session of hers, without the form."""
    from django.conf import settings
    from django.test import Client

    def put(page, person) -> None:
        client = Client()
        client.force_login(person)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_app}]
        )

    return put


@pytest.fixture
def make_anchor() -> Callable[..., object]:
    """make_anchor(item): the text that a cluster is built around, straight into the table."""
    from reviews.models import Anchor

    def make(item):
        return Anchor.objects.create(
            item_version=item.current_version,
            item=item,
            platform=item.platform,
            fingerprint=item.fingerprint,
            minhash=b"",
        )

    return make
