"""Bulk ingest: by import_items and through the HTTP API, beside bare COPY in the same run.

    python bench/ingest.py [import] [http] [--rows 100000] [--repeat 2] [--full]

Texts of 500 bytes, all new, each with its version, job, draw and due score. The control is what
no ingest can do without: COPY into a stage, items by INSERT … ON CONFLICT, jobs for the new ones,
in bare tables with the two indexes that matter and no foreign keys. HTTP goes through gunicorn as
`manage.py web` starts it, 1,000 rows a call, two clients.
"""

import argparse
import hashlib
import http.client
import io
import json
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.report import FOLDER, Result, say  # noqa: E402

VAR = FOLDER / "ingest-var"  # servers of its own
CALL = 1000
CLIENTS = 2
TARGETS = {"import": 17_000, "http": 5_000}
CONTROL = 51_000  # rows/s of the control where the targets were set: a busy machine has its ratio

_BARE = """
DROP TABLE IF EXISTS bench_job, bench_item;
CREATE TABLE bench_item (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, external_id text UNIQUE, body jsonb,
  hash text
);
CREATE TABLE bench_job (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item_id bigint, queue_id bigint, lane text,
  state text, rank float8, due_at timestamptz
);
CREATE INDEX ON bench_job (queue_id, lane, rank DESC, id) WHERE state = 'ready';
CREATE TEMP TABLE IF NOT EXISTS bench_stage (external_id text, body jsonb, hash text)
ON COMMIT DELETE ROWS
"""
_MERGE = """
WITH item AS (
  INSERT INTO bench_item (external_id, body, hash)
  SELECT external_id, body, hash FROM bench_stage
  ON CONFLICT (external_id) DO NOTHING RETURNING id
)
INSERT INTO bench_job (item_id, queue_id, lane, state, rank, due_at)
SELECT id, 1, 'risk', 'ready', random(), now() FROM item
"""


def main() -> None:
    arguments = _arguments()
    os.environ["TRUSTCONSOLE_VAR"] = str(VAR)
    os.environ["DJANGO_SETTINGS_MODULE"] = "trustconsole.settings"
    os.environ.setdefault("SECRET_KEY", "benchmarks-only")
    from trustconsole import embedded

    embedded.lend_to(["bench"])
    if arguments.child:
        _import(Path(arguments.child))
        return
    _set_up()
    rows = 1_000_000 if arguments.full else arguments.rows
    found: dict[str, list[dict[str, float]]] = {}
    sides = {"control": _control, "import": _by_command, "http": _by_http}
    for turn in range(arguments.repeat):
        texts = _texts(rows)
        for part in ["control", *(arguments.parts or TARGETS)]:
            if part != "control":
                _empty()
            before = _cpu()
            seconds = sides[part](texts)
            sample = {
                "per_second": round(rows / seconds),
                "cpu_us": round((_cpu() - before) / rows * 1e6, 1),
            }
            found.setdefault(part, []).append(sample)
            say(
                f"{turn + 1}. {part:8}{sample['per_second']:>9,} rows/s, "
                f"{sample['cpu_us']:.0f} µs CPU a row, PostgreSQL and all"
            )
    _report(found, f"--rows {rows} --repeat {arguments.repeat}")


def _report(found: dict[str, list[dict[str, float]]], settings: str) -> None:
    bare = found.pop("control")
    control = statistics.median(sample["per_second"] for sample in bare)
    for part, samples in found.items():
        rate = statistics.median(sample["per_second"] for sample in samples)
        samples = [*samples, *({"control": sample} for sample in bare)]
        command = f"python bench/ingest.py {part} {settings}"
        Result(
            f"ingest-{part}-rate",
            rate,
            "items/s",
            TARGETS[part],
            command,
            control=control,
            samples=samples,
        ).write()
        Result(
            f"ingest-{part}-of-control",
            rate / control,
            "× bare COPY",
            round(TARGETS[part] / CONTROL, 3),
            command,
            control=control,
            samples=samples,
        ).write()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="1,000,000 rows")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _set_up() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _empty() -> None:
    """A fresh platform: one kind, three policies, two queues, a rule, a random lane."""
    from django.core.management import call_command
    from django.db import connection

    from tests.factories import make_kind, make_platform, make_policy, make_queue, make_rules

    call_command("flush", interactive=False, verbosity=0)
    platform = make_platform(slug="bench")
    make_kind(platform=platform, slug="message")
    policies = [make_policy(platform=platform, slug=slug) for slug in ("spam", "scam", "adult")]
    make_queue(platform=platform, is_default=True, random_rate=0.1, policies=policies)
    make_queue(platform=platform, slug="urgent", policies=policies)
    make_rules(platform, {"condition": "risk.scam >= 0.8 or report_count > 20", "queue": "urgent"})
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def _texts(rows: int) -> list[str]:
    """Texts of 500 bytes, none twice."""
    chance = random.Random(rows)  # noqa: S311
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(5000)]
    return [f"{number} {' '.join(chance.choices(words, k=90))}"[:500] for number in range(rows)]


def _control(texts: list[str]) -> float:
    from django.db import connection, transaction

    lines = []
    for number, text in enumerate(texts):
        digest = hashlib.sha256(text.encode()).hexdigest()
        lines.append(f"m-{number}\t{json.dumps({'body': text})}\t{digest}\n")
    batches = ["".join(lines[start : start + 5000]) for start in range(0, len(lines), 5000)]
    with connection.cursor() as cursor:
        cursor.execute(_BARE)
        cursor.execute("CHECKPOINT")
        began = time.perf_counter()
        for batch in batches:
            with transaction.atomic():
                cursor.copy_expert("COPY bench_stage FROM STDIN", io.StringIO(batch))
                cursor.execute(_MERGE)
        seconds = time.perf_counter() - began
        cursor.execute("DROP TABLE bench_job, bench_item")
    return seconds


def _by_command(texts: list[str]) -> float:
    """The command as it is, timed inside its process: Python's start is not ingest."""
    file = VAR / "items.jsonl"
    with file.open("w") as out:
        for number, text in enumerate(texts):
            out.write(json.dumps({"id": f"m-{number}", "text": text}) + "\n")
    done = subprocess.run(  # noqa: S603
        [sys.executable, __file__, "--child", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    file.unlink()
    _check(len(texts))
    return float(done.stdout.split()[-1])


def _import(file: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    began = time.perf_counter()
    call_command(
        "import_items",
        file,
        platform="bench",
        kind="message",
        mapping=["external_id=id", "body=text"],
    )
    say(f"{time.perf_counter() - began}")


def _by_http(texts: list[str]) -> float:
    from django.db import connection

    from reviews import tokens
    from reviews.models import Platform

    _, token = tokens.create_token(
        "bench", platform=Platform.objects.get(), scopes=["items:write"], by=None
    )
    bodies = []
    for start in range(0, len(texts), CALL):
        rows = [
            {"kind": "message", "external_id": f"m-{start + n}", "content": {"body": text}}
            for n, text in enumerate(texts[start : start + CALL])
        ]
        bodies.append(json.dumps(rows).encode())
    connection.close()
    with _server() as port:
        turns = iter(bodies)
        lock = threading.Lock()
        failures: list[str] = []
        threads = [
            threading.Thread(target=_client, args=(port, token, turns, lock, failures))
            for _ in range(CLIENTS)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
    if failures:
        raise SystemExit(failures[0])
    _check(len(texts))
    return seconds


def _client(
    port: int, token: str, bodies: Iterator[bytes], lock: threading.Lock, failures: list[str]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while True:
        with lock:
            body = next(bodies, None)
        if body is None or failures:
            return
        connection.request("POST", "/api/v1/items", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            failures.append(f"{answer.status}: {text[:300]!r}")


@contextmanager
def _server() -> Iterator[int]:
    """gunicorn as in production, on a free port, warm."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (VAR / "web.log").open("w") as log:
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, "manage.py", "web"],
            cwd=ROOT,
            env={**os.environ, "PORT": str(port), "SECRET_KEY": secrets.token_hex()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(port, server)
            yield port
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                pass
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            client.request("GET", "/healthz")
            client.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"The web server did not start: see {VAR / 'web.log'}")


def _cpu() -> float:
    """Seconds on a core so far: this process and its ended children, PostgreSQL with all of its."""
    own = os.times()
    total = own.user + own.system + own.children_user + own.children_system
    tick = os.sysconf("SC_CLK_TCK")
    postmaster = (VAR / "postgresql" / "postmaster.pid").read_text().split()[0]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text().partition(" (")
        except OSError:
            continue
        fields = rest.rpartition(") ")[2].split()
        if postmaster in (pid, fields[1]):  # itself, or its child
            total += sum(int(fields[n]) for n in (11, 12)) / tick
        if postmaster == pid:
            total += sum(int(fields[n]) for n in (13, 14)) / tick
    return total


def _check(rows: int) -> None:
    """Nothing counts that was not stored, with its job."""
    from reviews.models import Item, Job

    stored = Item.objects.count(), Job.objects.ready().count()
    if stored != (rows, rows):
        raise SystemExit(f"{stored[0]:,} items and {stored[1]:,} jobs of {rows:,} were stored")


if __name__ == "__main__":
    main()
