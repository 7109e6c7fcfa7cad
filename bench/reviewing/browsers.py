"""Sixteen reviewers before the product's own web server, and before the bare one beside it."""

import contextlib
import http.client
import itertools
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from .crowd import Measured, cpu
from .world import REVIEWERS, ROOT


class Page(NamedTuple):
    """What a reviewer's browser needs of the page it shows, to answer it."""

    path: str
    form: dict[str, str]


class Side(NamedTuple):
    """Whose pages: the WSGI module, the first page, and how to read one."""

    module: str
    first: str
    read: Callable[[str], Page]


def sign_in() -> list[str]:
    """A session for each reviewer, as signing in makes it: its cookie."""
    from django.conf import settings
    from django.test import Client

    from reviews.models import Person

    cookies = []
    for number in range(REVIEWERS):
        client = Client()
        client.force_login(
            Person.objects.get(username=f"reviewer-{number}"),
            backend=settings.AUTHENTICATION_BACKENDS[0],
        )
        cookies.append(client.cookies[settings.SESSION_COOKIE_NAME].value)
    return cookies


@contextlib.contextmanager
def served(side: Side) -> Iterator[tuple[int, int]]:
    """The product's own server command line on the bench's database. Yields port and its pid."""
    from django.conf import settings
    from django.db import connection

    from trustconsole import programs

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = os.environ["DATABASE_URL"]
    command = [part.replace("trustconsole.wsgi", side.module) for part in programs.web()]
    command[command.index("--bind") + 1] = f"127.0.0.1:{port}"
    environment = {
        **programs.environment(),
        "DATABASE_URL": with_name(url, connection.settings_dict["NAME"]),
        "ALLOWED_HOSTS": "127.0.0.1",
        "PORT": str(port),
    }
    log = settings.VAR_DIR / "bench" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput"]
        subprocess.run(  # noqa: S603
            collect, cwd=ROOT, env=environment, stdout=output, stderr=output, check=True
        )
        server = subprocess.Popen(  # noqa: S603
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(port, server, log)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait(30)


def with_name(url: str, name: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"The server did not start; see {log}.")


def browse(
    side: Side,
    port: int,
    server: int,
    sessions: list[str],
    seconds: float,
    *,
    scripted: bool = True,
    pace: float | None = None,
) -> Measured:
    """All reviewers answer for so long. Their own CPU is not counted, yet shares the machine.

    Scripted, as htmx does it: each answer brings the next job, and the latency is the whole
    cycle's. Without, each answer sends her to the page that claims the next job, and the latency is
    that page's alone: what a claim takes over HTTP.
    `pace`: cycles a second, all reviewers together, instead of as fast as they can. A latency is
    counted from when the cycle was due then, so that one late cycle does not excuse the next.
    """
    from django.db import connection, connections

    connections.close_all()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(sessions) + 1)
    results = context.SimpleQueue()
    browsers = [
        context.Process(
            target=_one_browser,
            args=(side, port, cookie, seconds, scripted, due, barrier, results),
        )
        for cookie, due in zip(sessions, _timetables(len(sessions), pace), strict=True)
    ]
    for browser in browsers:
        browser.start()
    try:
        barrier.wait(120)
    except Exception:
        raise SystemExit(results.get()) from None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        backends = [pid for (pid,) in cursor.fetchall()]
    workers = [server, *_children(server)]
    app, pg = sum(map(cpu, workers)), sum(map(cpu, backends))
    rows = [results.get() for _ in browsers]
    app, pg = sum(map(cpu, workers)) - app, sum(map(cpu, backends)) - pg
    for browser in browsers:
        browser.join()
    failed = [row for row in rows if isinstance(row, str)]
    if failed:
        raise SystemExit(failed[0])
    latencies = list(itertools.chain.from_iterable(latencies for _, latencies in rows))
    return Measured(
        cycles=len(latencies),
        elapsed=max(elapsed for elapsed, _ in rows),
        app_cpu=app,
        pg_cpu=pg,
        latencies=latencies,
    )


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def _timetables(browsers: int, pace: float | None) -> list[tuple[float, float]]:
    """(first, every): when each one's cycles are due, in seconds; 0 and 0 for as fast as can be."""
    if pace is None:
        return [(0.0, 0.0)] * browsers
    return [(number / pace, browsers / pace) for number in range(browsers)]


def _one_browser(side, port, cookie, seconds, scripted, due, barrier, results) -> None:
    """One reviewer: opens the page, then answers job after job."""
    try:
        browser = _Browser(port, cookie, scripted=scripted)
        page = side.read(browser.get(side.first))

        def cycle() -> tuple[Page, float]:
            before = time.perf_counter()
            body = browser.post(page)
            if not scripted:
                before = time.perf_counter()
                body = browser.get(side.first)
            return side.read(body), time.perf_counter() - before

        for _ in range(8):  # every thread of the server opens its connection and plans
            page, _ = cycle()
        barrier.wait(120)
        latencies = []
        start = time.perf_counter()
        next_due, every = start + due[0], due[1]
        while time.perf_counter() - start < seconds:
            late = 0.0
            if every:
                time.sleep(max(next_due - time.perf_counter(), 0))
                late = max(time.perf_counter() - next_due, 0)
                next_due += every
            page, latency = cycle()
            latencies.append(late + latency)
        results.put((time.perf_counter() - start, latencies))
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")
        barrier.abort()


class _Browser:
    """A kept connection and a cookie jar."""

    def __init__(self, port: int, session: str, *, scripted: bool) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies = {"sessionid": session}
        self.scripted = scripted

    def get(self, path: str) -> str:
        return self._ask("GET", path, None, {}, expected=200)

    def post(self, page: Page) -> str:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.scripted:
            headers |= {"HX-Request": "true", "X-CSRFToken": page.form["csrfmiddlewaretoken"]}
        expected = 200 if self.scripted else 302
        return self._ask("POST", page.path, urlencode(page.form), headers, expected=expected)

    def _ask(
        self, method: str, path: str, body: str | None, headers: dict[str, str], *, expected: int
    ) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, path, body, {"Cookie": cookies, **headers})
        response = self.connection.getresponse()
        text = response.read().decode()
        if response.status != expected:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:500]}")
        for header in response.headers.get_all("Set-Cookie") or []:
            name, _, rest = header.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return text


_INPUT = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')
_ACTION = re.compile(r'<form id="_decide" method="post"[^>]*? action="([^"]+)"')
_answers = itertools.cycle([("clean", "1"), ("policy", "spam"), ("clean", "1")])


def _read_ours(body: str) -> Page:
    form_start = body.index('<form id="_decide"')
    path = _ACTION.search(body, form_start).group(1)
    form = body[form_start : body.index("</form>", form_start)]
    return Page(path, dict([*_INPUT.findall(form), next(_answers)]))


def _read_bare(body: str) -> Page:
    return Page("/", dict(_INPUT.findall(body)))


OURS = Side("trustconsole.wsgi", "/review/main/", _read_ours)
BARE = Side("bench.bare.wsgi", "/", _read_bare)
