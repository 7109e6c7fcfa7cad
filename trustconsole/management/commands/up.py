"""Everything on this machine with one command: what `make run` starts."""

import fcntl
import hashlib
import http.client
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from trustconsole import embedded, programs
from trustconsole.supervisor import Child, Supervisor

READY_SECONDS = 120


class Stopped(BaseException):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class Command(BaseCommand):
    help = "Prepare the database, then run web server, workers and beat until Ctrl-C."
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        lock = self._be_the_only_one()
        supervisor = Supervisor(
            folder=settings.BASE_DIR, environment=programs.environment(), say=self._say
        )
        code = 0
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _stop)
            self._prepare()
            self._start(supervisor)
            self._await_web(supervisor)
            self._greet()
            while True:
                supervisor.watch()
                time.sleep(0.2)
        except Stopped:
            self._say("Stopping …")
        except CommandError as error:
            code = 1
            self._say(str(error))
        finally:
            self._stop(supervisor)
            lock.close()
        sys.exit(code)

    def _be_the_only_one(self) -> IO[str]:
        run = settings.VAR_DIR / "run"
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / "up").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid, url = lock.read().split()
            raise CommandError(f"Trust Console already runs here: {url} (process {pid})") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()} {_url()}")
        lock.flush()
        return lock

    # Before anything runs

    def _prepare(self) -> None:
        with self._step("database"):
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                self._say(f"database     {len(plan)} migrations to apply …")
                call_command("migrate", interactive=False, verbosity=0)
            else:
                executor.check_replacements()  # a database that took the steps of a squashed one
            # The cache may have moved into the database since then.
            call_command("createcachetable", verbosity=0)
        with self._step("static files"):
            _collect_static()
        if settings.LOAD_DEMO:
            self._load_demo()
        connections.close_all()

    def _load_demo(self) -> None:
        """Into an empty database only; once begun it is finished, should the first try be cut."""
        from reviews.models import Platform

        begun = settings.VAR_DIR / "run" / "demo-begun"
        if Platform.objects.exists() and not begun.exists():
            return
        begun.touch()
        with self._step("demo"):
            # A process of its own: it loads torch, and this one stays for long.
            loading = subprocess.Popen(  # noqa: S603
                [sys.executable, str(settings.BASE_DIR / "manage.py"), "load_demo"],
                env=programs.environment(),
                stdin=subprocess.DEVNULL,
            )
            try:
                if loading.wait() != 0:
                    raise CommandError("The demo was not loaded whole; the next start goes on.")
            except Stopped:
                loading.terminate()
                loading.wait()
                raise
        begun.unlink()

    # While it runs

    def _start(self, supervisor: Supervisor) -> None:
        logs = settings.LOG_DIR
        supervisor.start(Child("beat", programs.beat(), logs / "beat.log", 5))
        supervisor.start(Child("web", programs.web(), logs / "web.log", 12, signal.SIGQUIT))
        for name, queues, processes in (
            ("ask", ["ask"], 1),
            ("score", ["score", "train", "media"], settings.SCORE_WORKERS),
            ("sweep", ["enforce", "sweep"], settings.SWEEP_WORKERS),
        ):
            command = programs.worker(queues, processes=processes, name=name)
            log = logs / f"worker-{name}.log"
            # SIGQUIT: leave the task; its row says that it is still to be done.
            supervisor.start(Child(f"worker {name}", command, log, 5, signal.SIGQUIT))

    def _await_web(self, supervisor: Supervisor) -> None:
        web = next(child for child in supervisor.children if child.name == "web")
        deadline = time.monotonic() + READY_SECONDS
        with self._step("web server"):
            while not _answers():
                if not web.is_running:
                    raise CommandError(f"The web server does not start:\n{web.last_words(30)}")
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"The web server does not answer after {READY_SECONDS} s; see {web.log}."
                    )
                time.sleep(0.1)

    def _greet(self) -> None:
        lines = ["", f"Trust Console is at {_url()}", *_demo_sign_ins()]
        lines += [f"Logs are in {_short(settings.LOG_DIR)}. Ctrl-C stops everything.", ""]
        self._say("\n".join(lines))

    def _stop(self, supervisor: Supervisor) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: supervisor.kill())  # asked twice: at once
        supervisor.stop()
        connections.close_all()
        still_used = embedded.give_back()
        if still_used:
            self._say(f"{' and '.join(still_used)} stay up: another command still uses them.")
        self._say("Stopped.")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._say(f"{name:<12} ready ({time.monotonic() - began:.1f} s)")

    def _say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError:
            return  # the terminal is gone; what we do does not depend on it


def _stop(*_: object) -> None:
    raise Stopped


def _url() -> str:
    return f"http://{'localhost' if _listens_here() else settings.HOST}:{settings.PORT}"


def _listens_here() -> bool:
    """On this machine's own address, or on all of them."""
    try:
        address = ipaddress.ip_address(settings.HOST)
    except ValueError:
        return settings.HOST == "localhost"
    return address.is_loopback or address.is_unspecified


def _answers() -> bool:
    here = "::1" if ":" in settings.HOST else "127.0.0.1"
    web = http.client.HTTPConnection(
        here if _listens_here() else settings.HOST, settings.PORT, timeout=5
    )
    try:
        web.request("GET", "/healthz", headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".")})
        return web.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        web.close()


def _collect_static() -> None:
    """Only when a file, a version or the storage changed: hashing and compressing takes a while."""
    ignored = apps.get_app_config("staticfiles").ignore_patterns
    marks = [settings.STORAGES["staticfiles"]["BACKEND"]]
    for finder in get_finders():
        for path, storage in finder.list(ignored):
            stat = os.stat(storage.path(path))
            marks.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    fingerprint = hashlib.sha256(json.dumps(sorted(marks)).encode()).hexdigest()
    kept = Path(settings.STATIC_ROOT) / ".fingerprint"
    if kept.exists() and kept.read_text() == fingerprint:
        return
    call_command("collectstatic", interactive=False, verbosity=0, clear=kept.exists())
    kept.write_text(fingerprint)


def _demo_sign_ins() -> list[str]:
    """Who can sign in, as long as the demo's people still have the demo's password."""
    from reviews import demo
    from reviews.demo import people
    from reviews.models import Person

    names = [member.username for member in people.MEMBERS]
    first = Person.objects.filter(username__in=names, is_active=True).first()
    if first is None or not first.check_password(demo.PASSWORD):
        return []
    rows = [f"  {member.username:<6} {member.role.label}" for member in people.MEMBERS]
    return ["Demo sign-ins, all with the password " + demo.PASSWORD + ":", *rows]


def _short(path: Path) -> str:
    try:
        return f"{path.relative_to(Path.cwd())}/"
    except ValueError:
        return f"{path}/"
