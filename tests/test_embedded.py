"""The embedded servers live exactly as long as somebody uses them, and survive any way to die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from trustconsole import embedded

from .conftest import ROOT, wait_until

BORROW = """
import json, os, sys
from trustconsole import embedded
embedded.lend_to(["shell"])
print(json.dumps([os.environ["DATABASE_URL"], os.environ["CELERY_BROKER_URL"]]), flush=True)
sys.stdin.read()
"""


def environment(var: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "CELERY_BROKER_URL")}
    return {**kept, "TRUSTCONSOLE_VAR": str(var), "PYTHONPATH": str(ROOT)}


class Borrower:
    """A process that uses the servers until it is let go, or killed."""

    def __init__(self, var: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BORROW],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(var),
            cwd="/",
        )

    def urls(self) -> tuple[str, str]:
        line = self.process.stdout.readline()
        assert line, "it could not borrow"
        return tuple(json.loads(line))

    def end(self) -> None:
        self.process.communicate(timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def begun() -> Iterator[Path]:
    """A folder whose servers have run once: initdb takes a second or two."""
    folder = _short_folder()
    command = Borrower(folder)
    command.urls()
    command.end()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def var(begun: Path) -> Iterator[Path]:
    """A copy of it, for one test."""
    folder = _short_folder()
    subprocess.run(["cp", "-a", *begun.glob("[pr]*"), str(folder)], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_var() -> Iterator[Path]:
    folder = _short_folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> Path:
    """Sockets live in it, and their paths have to be short."""
    folder = Path(tempfile.mkdtemp(prefix="tc"))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def borrow(var: Path) -> Iterator[Callable[..., Borrower]]:
    made: list[Borrower] = []

    def make(folder: Path = var) -> Borrower:
        made.append(Borrower(folder))
        return made[-1]

    yield make
    for borrower in made:
        borrower.kill()
    wait_until(lambda: not kept(var), seconds=60, message="the servers did not stop")


def kept(var: Path) -> list[int]:
    """Processes that work for `var`: keepers and their servers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rsplit(")")[-1].split()[0]
        except OSError:
            continue
        names = (b"keeper.py", b"bin/postgres", b"redis-server")
        if os.fsencode(var) in line and any(name in line for name in names) and state != "Z":
            found.append(int(process.name))
    return found


def keeper_of(var: Path, name: str) -> int:
    return json.loads((var / "run" / f"{name}.json").read_text())["keeper"]


def postmaster_of(var: Path) -> int:
    return int((var / "postgresql" / "postmaster.pid").read_text().split("\n")[0])


def query(url: str, sql: str) -> object:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def ping(url: str) -> bool:
    return redis.Redis.from_url(url.replace("redis+socket://", "unix://")).ping()


def test_they_start_for_a_command_and_stop_with_it(var, borrow):
    command = borrow()
    database, broker = command.urls()
    assert query(database, "SELECT current_setting('fsync')") == "on"
    assert query(database, "SELECT current_setting('max_connections')") == "200"
    assert ping(broker)
    command.end()
    wait_until(lambda: kept(var) == [], seconds=5, message="a server is still there")


def test_a_second_command_joins_and_the_last_one_out_stops_them(var, borrow):
    first, second = borrow(), borrow()  # both at once
    assert first.urls() == (urls := second.urls())
    assert len([pid for pid in kept(var) if pid == postmaster_of(var)]) == 1
    first.end()
    assert query(urls[0], "SELECT 1") == 1
    assert ping(urls[1])
    second.end()
    wait_until(lambda: kept(var) == [], seconds=5, message="a server is still there")


def test_a_killed_command_leaves_nothing_running_and_loses_nothing(var, borrow):
    command = borrow()
    database, _ = command.urls()
    query(database, "CREATE TABLE kept AS SELECT 7 AS number")
    command.kill()
    wait_until(lambda: not kept(var), message="the servers outlived their only user")
    database, broker = borrow().urls()
    assert query(database, "SELECT number FROM kept") == 7
    assert ping(broker)


def test_after_everything_was_killed_the_next_start_works(var, borrow):
    command = borrow()
    database, _ = command.urls()
    query(database, "CREATE TABLE kept AS SELECT 7 AS number")
    for pid in [keeper_of(var, "postgresql"), keeper_of(var, "redis"), *kept(var)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    command.kill()
    database, broker = borrow().urls()
    assert query(database, "SELECT number FROM kept") == 7
    assert ping(broker)


def test_servers_follow_a_keeper_that_is_killed(var, borrow):
    command = borrow()
    command.urls()
    os.kill(keeper_of(var, "postgresql"), signal.SIGKILL)
    os.kill(keeper_of(var, "redis"), signal.SIGKILL)
    wait_until(lambda: not kept(var), message="the servers outlived their keepers")
    assert ping(borrow().urls()[1])


def test_a_server_that_crashes_is_brought_back(var, borrow):
    database, broker = borrow().urls()
    crashed = postmaster_of(var)
    os.kill(crashed, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return postmaster_of(var) != crashed and query(database, "SELECT 1") == 1
        except (OSError, ValueError, psycopg2.OperationalError):
            return False

    wait_until(is_back, seconds=60, message="PostgreSQL did not come back")
    assert ping(broker)


def test_a_number_in_a_stale_pid_file_that_now_is_somebody_elses_is_no_rival(var, borrow):
    command = borrow()
    command.urls()
    command.end()
    stranger = os.getpid()
    (var / "postgresql" / "postmaster.pid").write_text(
        f"{stranger}\n{var}/postgresql\n1\n5432\n{var}/postgresql\n\n0 0\nready\n"
    )
    assert query(borrow().urls()[0], "SELECT 1") == 1


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(var, borrow):
    deep = var / ("long" * 30) / "with space"
    command = borrow(deep)
    database, broker = command.urls()
    assert query(database, "SELECT 1") == 1
    assert ping(broker)
    sockets = Path(json.loads((deep / "run" / "redis.json").read_text())["sockets"])
    assert sockets.stat().st_mode & 0o777 == 0o700
    command.end()
    assert not sockets.exists()


def test_a_path_with_a_space_works_for_celery_and_django_too(var, borrow):
    database, broker = borrow(var / "two words").urls()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import django; django.setup()\n"
            "from django.core.cache import cache; from django.db import connection\n"
            "from trustconsole.celery import app\n"
            "cache.set('a', 1); assert cache.get('a') == 1\n"
            "with connection.cursor() as cursor: cursor.execute('SELECT 1')\n"
            "with app.connection_for_write() as c: c.ensure_connection(max_retries=1)\n",
        ],
        env={
            **environment(var / "two words"),
            "DATABASE_URL": database,
            "CELERY_BROKER_URL": broker,
            "DJANGO_SETTINGS_MODULE": "trustconsole.settings",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_only_its_user_may_look_at_the_data(var, borrow):
    borrow().urls()
    for name in ("postgresql", "redis"):
        assert (var / name).stat().st_mode & 0o777 == 0o700
    for socket in (var / "postgresql" / ".s.PGSQL.5432", var / "redis" / "redis.sock"):
        assert socket.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")
def test_as_root_a_closed_folder_is_not_opened_to_others(var, borrow):
    closed = var / "closed"
    closed.mkdir(mode=0o700)
    command = borrow(closed / "var")
    database, broker = command.urls()
    assert query(database, "SELECT 1") == 1
    assert ping(broker)
    assert closed.stat().st_mode & 0o777 == 0o700
    home = (closed / "var" / "postgresql").resolve().parent
    assert home.parent == Path("/var/lib")
    command.end()
    reset = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "reset", "--yes"],
        env=environment(closed / "var"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert reset.returncode == 0, reset.stderr
    assert not home.exists()


@pytest.mark.parametrize("arguments", [["help"], ["check"], ["migrate", "--help"], ["version"]])
def test_a_command_without_need_of_a_database_starts_none(empty_var, arguments):
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=environment(empty_var),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    assert not (empty_var / "postgresql").exists()
    assert not (empty_var / "redis").exists()


def test_urls_that_are_given_are_used_and_nothing_is_started(empty_var, monkeypatch):
    monkeypatch.setenv("TRUSTCONSOLE_VAR", str(empty_var))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.org/console")
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://mq.example.org")
    embedded.lend_to(["migrate"])
    assert os.environ["DATABASE_URL"] == "postgresql://db.example.org/console"
    assert list(empty_var.iterdir()) == []
