"""Claim + decide: by the services beside raw SQL, and through the pages beside a bare Django one.

    python bench/claims.py [services] [http] [--full] [--seconds 10]

services: 16 processes, 10,000 and 100,000 ready jobs (1,000,000 with --full), in turns with the
control: the same claim and the rows no decision can do without, as hand-written SQL.
http: 16 reviewers, signed in, CSRF, each answer bringing the next job's fragment; 100,000 ready.
CPU is each process's own time on a core (schedstat), so a busy machine changes it little.
"""

import argparse
import contextlib
import http.client
import itertools
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")

from bench.report import Result, say  # noqa: E402

DATABASE = "bench_claims"
REVIEWERS = 16
# Of the issue, and of the bars where they say more.
TARGETS = {
    "claims-services-rate": 1000.0,
    "claims-services-pg-cpu-ratio": 1.5,
    "claims-services-growth": 1.15,
    "claims-http-rate": 100.0,
    "claims-http-p95-ms": 250.0,
    "claims-http-of-bare": 0.5,
    "claims-http-app-cpu-ms": 8.0,
    "claims-http-pg-cpu-ms": 2.5,
}


class Measured(NamedTuple):
    """What one run of all reviewers took. Times in seconds."""

    cycles: int
    elapsed: float
    app_cpu: float
    pg_cpu: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return self.cycles / self.elapsed

    def app_ms(self) -> float:
        return 1000 * self.app_cpu / self.cycles

    def pg_ms(self) -> float:
        return 1000 * self.pg_cpu / self.cycles

    def cpu_ms(self) -> float:
        return self.app_ms() + self.pg_ms()

    def percentile_ms(self, percent: int) -> float:
        return 1000 * statistics.quantiles(self.latencies, n=100)[percent - 1]

    def line(self) -> str:
        return (
            f"{self.rate:>7,.0f} cycles/s  {self.app_ms():>5.2f} ms app CPU  "
            f"{self.pg_ms():>5.2f} ms PostgreSQL CPU  p50 {self.percentile_ms(50):>6.1f} ms  "
            f"p95 {self.percentile_ms(95):>6.1f} ms"
        )


def main() -> None:
    arguments = _arguments()
    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up()
    wanted = arguments.parts or ["services", "http"]
    if "services" in wanted:
        _bench_services(
            [10_000, 1_000_000] if arguments.full else [10_000, 100_000], arguments.seconds
        )
    if "http" in wanted:
        _bench_http(1_000_000 if arguments.full else 100_000, arguments.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["services", "http", []])
    parser.add_argument("--seconds", type=float, default=10, help="each run's length")
    parser.add_argument("--full", action="store_true", help="up to 1,000,000 ready jobs")
    return parser.parse_args()


def _set_up() -> None:
    """A database of its own beside the real one."""
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)


# The world the reviewers work in


def _fill(ready: int) -> None:
    """One queue with `ready` waiting jobs, a tenth of them drawn at random; texts of 500 bytes."""
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection

    from reviews.models import (
        Action,
        Draw,
        ItemKind,
        Person,
        Platform,
        Policy,
        PolicyVersion,
        Queue,
    )

    say(f"Filling {ready:,} ready jobs …")
    call_command("flush", interactive=False, verbosity=0)
    platform = Platform.objects.create(slug="bench", name="Bench")
    kind = ItemKind.objects.create(
        platform=platform,
        slug="message",
        name="Message",
        fields=[
            {"name": "subject", "label": "Subject", "type": "string", "role": "title"},
            {"name": "body", "label": "Body", "type": "text", "role": "text"},
        ],
    )
    queue = Queue.objects.create(
        platform=platform, slug="main", name="Main", is_default=True, lane_shares={"random": 0.1}
    )
    for position, slug in enumerate(("spam", "phishing", "adult")):
        policy = Policy.objects.create(
            platform=platform, slug=slug, name=slug.capitalize(), position=position
        )
        PolicyVersion.objects.create(
            policy=policy, number=1, summary="What it forbids.", definition="What it forbids."
        )
        queue.policies.add(policy)
    for position, slug in enumerate(("remove", "warn")):
        queue.actions.add(
            Action.objects.create(platform=platform, slug=slug, name=slug, position=position)
        )
    draw = Draw.objects.create(
        queue=queue, lane="random", strategy="poisson", probability=0.1, seed=1
    )
    reviewers = Group.objects.get(name="reviewer")
    for number in range(REVIEWERS):
        person = Person.objects.create_user(f"reviewer-{number}")
        person.groups.add(reviewers)
        platform.members.add(person)
        queue.members.add(person)
    values = {
        "platform": platform.pk,
        "kind": kind.pk,
        "queue": queue.pk,
        "draw": draw.pk,
        "ready": ready,
    }
    with connection.cursor() as cursor:
        for statement in _FILL:
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")


_FILL = (
    """
    INSERT INTO reviews_account (platform_id, external_id, name, split_group)
    SELECT %(platform)s, 'author-' || n, 'Author ' || n, md5(n::text)
    FROM generate_series(1, greatest(%(ready)s / 10, 1)) AS n
    """,
    """
    INSERT INTO reviews_item (platform_id, kind_id, external_id, account_id, version_number,
      language, views_per_hour, report_count, fingerprint, split_group, risks, risk, risk_source)
    SELECT %(platform)s, %(kind)s, 'item-' || n, account.id, 1, 'en', random() * 1000, n %% 3,
      md5(n::text), md5(n::text), jsonb_build_object('spam', 0.7, 'phishing', 0.2, 'adult', 0.1),
      0.7, 'v1 zero-shot'
    FROM generate_series(1, %(ready)s) AS n
    JOIN reviews_account AS account
      ON account.external_id = 'author-' || (n %% greatest(%(ready)s / 10, 1) + 1)
    """,
    """
    INSERT INTO reviews_itemversion (item_id, number, content, content_hash)
    SELECT id, 1, jsonb_build_object('subject', 'Hello ' || id,
      'body', repeat(md5(id::text) || ' some words in between ', 9)), md5(id::text)
    FROM reviews_item
    """,
    """
    INSERT INTO reviews_report (item_id, external_id, source, reporter, reason, text)
    SELECT item.id, 'report-' || n, 'user', 'user-' || (item.id + n) %% 5000, 'spam', 'not nice'
    FROM reviews_item AS item, generate_series(1, item.report_count) AS n
    """,
    """
    INSERT INTO reviews_job (item_id, queue_id, lane, state, rank, harm, due_at, is_overdue,
      attempts, draw_id, inclusion_probability)
    SELECT id, %(queue)s, CASE WHEN id %% 10 = 0 THEN 'random' ELSE 'risk' END, 'ready',
      random() * 1000 - 60000, 1, now() + interval '4 hours', false, 0,
      CASE WHEN id %% 10 = 0 THEN %(draw)s::bigint END, CASE WHEN id %% 10 = 0 THEN 0.1 END
    FROM reviews_item
    """,
)


# Services and raw SQL


def _bench_services(sizes: list[int], seconds: float) -> None:
    found: dict[tuple[int, str], list[Measured]] = {}
    sides = {"control": _work_raw, "ours": _work_services}
    for ready in sizes:
        _fill(ready)
        for _, (side, work) in itertools.product(range(2), sides.items()):
            measured = _all_at_once(work, seconds)
            found.setdefault((ready, side), []).append(measured)
            say(f"{ready:>9,} ready  {side:8}{measured.line()}")
    small, large = sizes[0], sizes[-1]
    ours = {size: _best(found[size, "ours"]) for size in sizes}
    raw = {size: _best(found[size, "control"]) for size in sizes}
    samples = [
        {"ready": ready, "side": side, "rate": m.rate, "app_ms": m.app_ms(), "pg_ms": m.pg_ms()}
        for (ready, side), runs in found.items()
        for m in runs
    ]
    _report("claims-services-rate", ours[large].rate, "cycles/s", True, raw[large].rate, samples)
    _report(
        "claims-services-pg-cpu-ratio",
        ours[large].pg_ms() / raw[large].pg_ms(),
        "× raw SQL",
        False,
        raw[large].pg_ms(),
        samples,
    )
    _report(
        "claims-services-growth",
        ours[large].pg_ms() / ours[small].pg_ms(),
        f"× PostgreSQL CPU at {small:,}",
        False,
        raw[large].pg_ms() / raw[small].pg_ms(),
        samples,
    )


def _best(runs: list[Measured]) -> Measured:
    """The run the rest of the machine disturbed least."""
    return max(runs, key=lambda run: run.rate)


def _work_services(number: int) -> Callable[[], None]:
    from reviews import claims, decisions
    from reviews.models import Person, Queue

    queue = Queue.objects.get(slug="main")
    person = Person.objects.get(username=f"reviewer-{number}")
    answers = itertools.cycle(
        [
            {"verdict": "clean"},
            {"verdict": "violating", "policy_slugs": ["spam"]},
            {"verdict": "clean"},
        ]
    )

    def cycle() -> None:
        job = claims.claim_next(queue, by=person)
        assert job is not None, "the queue ran dry"  # noqa: S101
        decisions.record_review(job.pk, job.claim_token, by=person, **next(answers))

    return cycle


RAW_CLAIM = """
WITH picked AS MATERIALIZED (
  SELECT id FROM reviews_job
  WHERE queue_id = %s AND lane = 'risk' AND state = 'ready' AND assigned_to_id IS NULL
  ORDER BY rank DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE reviews_job SET state = 'claimed', claim_token = gen_random_uuid(), claimed_by_id = %s,
  claim_slot = 1, claimed_at = clock_timestamp(), expires_at = clock_timestamp() + interval '600 s'
FROM picked WHERE reviews_job.id = picked.id
RETURNING reviews_job.id, item_id, claim_token, claimed_at
"""
RAW_FINISH = """
UPDATE reviews_job SET state = 'done', claim_token = NULL, claimed_by_id = NULL, claim_slot = NULL,
  expires_at = NULL
WHERE id = %s AND claim_token = %s
"""
RAW_END = """
INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, "end", reason)
VALUES (%s, %s, %s, %s, 'finished', '') RETURNING id
"""
RAW_REVIEW = """
INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id, verdict, note,
  active_seconds, score_shown)
VALUES (%s, %s, %s, (SELECT id FROM reviews_itemversion WHERE item_id = %s AND number = 1),
  %s, 'clean', '', 0, true)
RETURNING id, item_version_id
"""
RAW_FINDINGS = """
INSERT INTO reviews_finding (review_id, policy_version_id, violates)
SELECT %s, unnest(%s), false
"""
RAW_DECISION = """
INSERT INTO reviews_decision (kind, item_id, item_version_id, queue_id, job_id, review_id, verdict,
  decided_by_id, note, risks, risk_source)
VALUES ('settled', %s, %s, %s, %s, %s, 'clean', %s, '', '{}', '')
"""
RAW_AUDIT = """
INSERT INTO reviews_auditentry (actor_id, platform_id, verb, target_type, target_id, data, hash)
VALUES (%s, %s, 'review.record', 'review', %s, '{"verdict": "clean"}', '')
"""


def _work_raw(number: int) -> Callable[[], None]:
    """The rows of a clean answer, claim history to audit entry, by hand: nothing is checked."""
    from django.db import connection

    from reviews.models import Person, PolicyVersion, Queue

    main = Queue.objects.get(slug="main")
    queue, platform = main.pk, main.platform_id
    policies = list(PolicyVersion.objects.values_list("pk", flat=True))
    person = Person.objects.get(username=f"reviewer-{number}").pk
    raw = connection.connection

    def cycle() -> None:
        with raw.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(RAW_CLAIM, [queue, person])
            job, item, token, claimed_at = cursor.fetchone()
            cursor.execute("COMMIT")
            cursor.execute("BEGIN")
            cursor.execute(RAW_FINISH, [job, token])
            cursor.execute(RAW_END, [job, person, token, claimed_at])
            claim = cursor.fetchone()[0]
            cursor.execute(RAW_REVIEW, [job, claim, item, item, person])
            review, version = cursor.fetchone()
            cursor.execute(RAW_FINDINGS, [review, policies])
            cursor.execute(RAW_DECISION, [item, version, queue, job, review, person])
            cursor.execute(RAW_AUDIT, [person, platform, str(review)])
            cursor.execute("COMMIT")

    return cycle


def _all_at_once(make_work: Callable[[int], Callable[[], None]], seconds: float) -> Measured:
    """All reviewers for so long, each in a process of her own with one connection."""
    from django.db import connections

    connections.close_all()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(REVIEWERS)
    results = context.SimpleQueue()
    processes = [
        context.Process(target=_one, args=(number, make_work, seconds, barrier, results))
        for number in range(REVIEWERS)
    ]
    for process in processes:
        process.start()
    rows = [results.get() for _ in processes]
    for process in processes:
        process.join()
    failed = [row for row in rows if isinstance(row, str)]
    if failed:
        raise SystemExit(failed[0])
    return Measured(
        cycles=sum(len(row[3]) for row in rows),
        elapsed=max(row[0] for row in rows),
        app_cpu=sum(row[1] for row in rows),
        pg_cpu=sum(row[2] for row in rows),
        latencies=list(itertools.chain.from_iterable(row[3] for row in rows)),
    )


def _one(number, make_work, seconds, barrier, results) -> None:
    from django.db import connection

    try:
        connection.ensure_connection()
        backend = connection.connection.get_backend_pid()
        cycle = make_work(number)
        for _ in range(8):  # PostgreSQL settles on a plan after five
            cycle()
        barrier.wait(60)
        latencies = []
        app, pg, start = time.process_time(), _cpu(backend), time.perf_counter()
        before = start
        while before - start < seconds:
            cycle()
            after = time.perf_counter()
            latencies.append(after - before)
            before = after
        results.put((before - start, time.process_time() - app, _cpu(backend) - pg, latencies))
    except Exception as error:
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")


# Through the pages


class _Page(NamedTuple):
    """What a reviewer's browser needs of the page it shows, to answer it."""

    path: str
    form: dict[str, str]


def _bench_http(ready: int, seconds: float) -> None:
    """Ours and the bare one in turns, each with a fresh gunicorn on the same rows."""
    _fill(ready)
    sessions = _sign_in()
    found: dict[str, list[Measured]] = {}
    sides = {
        "control": ("bench.bare.wsgi", "/", _read_bare),
        "ours": ("trustconsole.wsgi", "/review/main/", _read_ours),
    }
    for _, (side, (module, first, read)) in itertools.product(range(2), sides.items()):
        _put_back()
        with _served(module) as (port, server):
            measured = _browse(port, server, sessions, first, read, seconds)
        found.setdefault(side, []).append(measured)
        say(f"{ready:>9,} ready  {side:8}{measured.line()}")
    ours, bare = (_best(found[side]) for side in ("ours", "control"))
    samples = [
        {
            "side": side,
            "ready": ready,
            "rate": run.rate,
            "app_ms": run.app_ms(),
            "pg_ms": run.pg_ms(),
            "p50_ms": run.percentile_ms(50),
            "p95_ms": run.percentile_ms(95),
        }
        for side, runs in found.items()
        for run in runs
    ]
    # By CPU a cycle: on a quiet machine the same as by the clock, on a busy one steadier.
    pace = bare.cpu_ms() / ours.cpu_ms()
    rows = [
        ("claims-http-rate", ours.rate, "cycles/s", True, bare.rate),
        ("claims-http-p95-ms", ours.percentile_ms(95), "ms", False, bare.percentile_ms(95)),
        ("claims-http-of-bare", pace, "of bare Django by CPU", True, bare.cpu_ms()),
        ("claims-http-app-cpu-ms", ours.app_ms(), "ms a cycle", False, bare.app_ms()),
        ("claims-http-pg-cpu-ms", ours.pg_ms(), "ms a cycle", False, bare.pg_ms()),
    ]
    for name, value, unit, higher_is_better, control in rows:
        _report(name, value, unit, higher_is_better, control, samples)


def _put_back() -> None:
    """What the last run left claimed is ready again."""
    from reviews.models import Job

    Job.objects.filter(state="claimed").update(
        state="ready", claim_token=None, claimed_by=None, claim_slot=None, expires_at=None
    )


def _sign_in() -> list[str]:
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
def _served(module: str) -> Iterator[tuple[int, int]]:
    """The product's own server command line on the bench's database. Yields port and its pid."""
    from django.conf import settings
    from django.db import connection

    from trustconsole import programs

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = os.environ["DATABASE_URL"]
    command = [part.replace("trustconsole.wsgi", module) for part in programs.web()]
    command[command.index("--bind") + 1] = f"127.0.0.1:{port}"
    environment = {
        **programs.environment(),
        "DATABASE_URL": _with_name(url, connection.settings_dict["NAME"]),
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


def _with_name(url: str, name: str) -> str:
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


def _browse(
    port: int,
    server: int,
    sessions: list[str],
    first: str,
    read: Callable[[str], _Page],
    seconds: float,
) -> Measured:
    """All reviewers answer for so long. Their own CPU is not counted, yet shares the machine."""
    from django.db import connection, connections

    connections.close_all()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(sessions) + 1)
    results = context.SimpleQueue()
    browsers = [
        context.Process(
            target=_one_browser, args=(port, cookie, first, read, seconds, barrier, results)
        )
        for cookie in sessions
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
    app, pg = sum(map(_cpu, workers)), sum(map(_cpu, backends))
    rows = [results.get() for _ in browsers]
    app, pg = sum(map(_cpu, workers)) - app, sum(map(_cpu, backends)) - pg
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


def _one_browser(port, cookie, first, read, seconds, barrier, results) -> None:
    """One reviewer: opens the page, then posts answers; every answer brings the next job."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        cookies = {"sessionid": cookie}

        def ask(method: str, path: str, form: dict[str, str] | None = None) -> str:
            headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
            if form is not None:
                headers |= {
                    "HX-Request": "true",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "X-CSRFToken": form["csrfmiddlewaretoken"],
                }
            connection.request(method, path, urlencode(form) if form else None, headers)
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200:
                raise RuntimeError(f"{method} {path}: {response.status} {body[:500]}")
            for header in response.headers.get_all("Set-Cookie") or []:
                name, _, rest = header.partition("=")
                cookies[name] = rest.partition(";")[0]
            return body

        page = read(ask("GET", first))
        for _ in range(8):  # every thread of the server opens its connection and plans
            page = read(ask("POST", page.path, page.form))
        barrier.wait(120)
        latencies = []
        start = before = time.perf_counter()
        while before - start < seconds:
            page = read(ask("POST", page.path, page.form))
            after = time.perf_counter()
            latencies.append(after - before)
            before = after
        results.put((before - start, latencies))
    except Exception as error:
        results.put(f"{type(error).__name__}: {error}")
        barrier.abort()


_INPUT = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"')
_ACTION = re.compile(r'<form id="_decide" method="post" action="([^"]+)"')
_answers = itertools.cycle([("clean", "1"), ("policy", "spam"), ("clean", "1")])


def _read_ours(body: str) -> _Page:
    form_start = body.index('<form id="_decide"')
    path = _ACTION.search(body, form_start).group(1)
    form = body[form_start : body.index("</form>", form_start)]
    return _Page(path, dict([*_INPUT.findall(form), next(_answers)]))


def _read_bare(body: str) -> _Page:
    return _Page("/", dict(_INPUT.findall(body)))


def _cpu(pid: int) -> float:
    """Seconds on a core since it began, all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _report(
    name: str, value: float, unit: str, higher_is_better: bool, control: float, samples: list
) -> None:
    Result(
        name=name,
        value=value,
        unit=unit,
        target=TARGETS[name],
        command=f"python {' '.join(sys.argv)}",
        higher_is_better=higher_is_better,
        control=control,
        samples=samples,
    ).write()


if __name__ == "__main__":
    main()
