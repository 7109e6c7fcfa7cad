"""Export: a snapshot's files against COPY of the same rows into Parquet, in the same run.

    python bench/export.py [--rows 100000] [--repeat 3] [--full]

Ours pages by key, pivots labels, lists the reviews, and writes Parquet by split, JSONL, hashes
and cards. The control asks the same questions (decisions, answers, violated policies; all columns)
without pages, planned as PostgreSQL likes, and streams each through Arrow's CSV reader into a
Parquet file as it comes; "reading" is the same without writing anything. "one join" is a shorter
question: half the columns, one line a decision, in a single statement, into Parquet.
Each side runs in a process that has its modules loaded. Memory is the process's peak above what it
had when idle.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")

from bench.report import Result, say  # noqa: E402

TARGET_RATIO = 0.6
TARGET_OF_READING = 0.5
TARGET_MEMORY_MB = 300
DATABASE = "bench_export"
BLOCK = 8 << 20  # bytes that Arrow reads at once


def main() -> None:
    arguments = _arguments()
    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up()
    if arguments.child:
        print(json.dumps(_measure(arguments.child)))  # noqa: T201
        return
    rows = 1_000_000 if arguments.full else arguments.rows
    say(f"Filling {rows:,} decisions …")
    _fill(rows)
    samples: dict[str, list[dict]] = {side: [] for side in _SIDES}
    for n in range(1 if arguments.full else arguments.repeat):
        for side in samples:
            samples[side].append(_in_a_process(side))
            found = samples[side][-1]
            say(
                f"{n + 1}. {side:8} {found['rows_per_second']:>9,.0f} rows/s"
                f"  CPU a row: {found['app_cpu_us_a_row']:.1f} + "
                f"{found['postgres_cpu_us_a_row']:.1f} µs"
                f"  {found['memory_mb']:>5.0f} MB above idle"
            )
    _report(rows, samples)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="1,000,000 rows, once")
    parser.add_argument("--child", choices=list(_SIDES), help=argparse.SUPPRESS)
    return parser.parse_args()


def _set_up() -> None:
    """A database of its own beside the real one, kept from run to run."""
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)


def _fill(rows: int) -> None:
    from django.db import connection

    from reviews.models import Decision, Platform
    from tests.factories import make_kind, make_platform, make_policy, make_queue
    from tests.people import make_person

    if Decision.objects.count() == rows:
        return
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in connection.introspection.table_names(cursor):
            if table.startswith(("reviews_", "mlhooks_")):
                cursor.execute(f'TRUNCATE "{table}" RESTART IDENTITY CASCADE')
    platform: Platform = make_platform(slug="bench")
    kind = make_kind(platform=platform)
    policies = [make_policy(platform=platform, slug=f"policy-{n}") for n in range(3)]
    people = [make_person(name, platform=platform) for name in ("rosa", "remy", "lena", "mila")]
    queue = make_queue(platform=platform, policies=policies)
    names = {
        "n": rows,
        "platform": platform.pk,
        "kind": kind.pk,
        "queue": queue.pk,
        "people": [person.pk for person in people],
        "versions": [policy.version.pk for policy in policies],
    }
    with connection.cursor() as cursor:
        for statement in _FILL:
            cursor.execute(statement, names)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")


_FILL = [
    """INSERT INTO reviews_item (platform_id, kind_id, external_id, version_number, language,
         views_per_hour, report_count, fingerprint, split_group, risks, risk_source)
       SELECT %(platform)s, %(kind)s, 'item-' || i, 1, 'en', 1, 0, md5(i::text),
              md5((i / 3)::text), '{}', '' FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_itemversion (item_id, number, content, content_hash)
       SELECT i, 1, jsonb_build_object('subject', 'Message ' || i, 'body',
                (SELECT string_agg(md5((i * 16 + k)::text), ' ') FROM generate_series(1, 15) k)),
              md5(i::text) || md5((-i)::text) FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_draw (id, queue_id, lane, strategy, probability, seed, parameters,
         model_version) VALUES (1, %(queue)s, 'random', 'poisson', 0.1, 1, '{}', '')""",
    """INSERT INTO reviews_job (item_id, queue_id, lane, state, rank, harm, due_at, is_overdue,
         attempts, draw_id, inclusion_probability)
       SELECT i, %(queue)s, CASE WHEN i %% 10 = 0 THEN 'random' ELSE 'risk' END, 'done', 0, 0,
              now(), false, 1, CASE WHEN i %% 10 = 0 THEN 1 END,
              CASE WHEN i %% 10 = 0 THEN 0.1 END
       FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_claim (job_id, reviewer_id, token, claimed_at, "end", reason)
       SELECT i, (%(people)s)[1 + i %% 4], gen_random_uuid(), now(), 'finished', ''
       FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_review (job_id, claim_id, item_id, item_version_id, reviewer_id,
         verdict, note, active_seconds, score_shown)
       SELECT i, i, i, i, (%(people)s)[1 + i %% 4],
              CASE WHEN i %% 4 = 0 THEN 'violating' ELSE 'clean' END, '', 12.5, true
       FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_finding (review_id, policy_version_id, violates)
       SELECT i, v, i %% 4 = 0 AND k = 1 + i %% 3
       FROM generate_series(1, %(n)s) i,
            unnest(%(versions)s) WITH ORDINALITY AS versions(v, k) ORDER BY i""",
    """INSERT INTO reviews_decision (kind, item_id, item_version_id, queue_id, job_id, review_id,
         verdict, decided_by_id, note, risks, risk_source)
       SELECT 'settled', i, i, %(queue)s, i, i,
              CASE WHEN i %% 4 = 0 THEN 'violating' ELSE 'clean' END, (%(people)s)[1 + i %% 4], '',
              jsonb_build_object('policy-0', (i %% 97) / 97.0, 'policy-1', 0.25), 'v1 zero-shot'
       FROM generate_series(1, %(n)s) i""",
    """INSERT INTO reviews_decision_policy_versions (decision_id, policyversion_id)
       SELECT i, (%(versions)s)[1 + i %% 3] FROM generate_series(4, %(n)s, 4) i""",
]


def _in_a_process(side: str) -> dict:
    done = subprocess.run(  # noqa: S603
        [sys.executable, __file__, "--child", side],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _measure(side: str) -> dict:
    import pyarrow.csv  # noqa: F401
    import pyarrow.json
    import pyarrow.parquet  # noqa: F401
    from django.db import connection

    from mlhooks import snapshot_files  # noqa: F401  (a worker that has made one has it loaded)

    pyarrow.array([0])  # loads pandas once a process, where that is there: by our tests' libraries
    connection.ensure_connection()
    folder = Path(tempfile.mkdtemp(prefix="bench-export-"))
    try:
        idle = _peak_mb()
        backend = _backend_pid()
        start = time.perf_counter(), time.process_time(), _cpu_of(backend)
        rows = _SIDES[side](folder)
        seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        postgres = _cpu_of(backend) - start[2]
    finally:
        shutil.rmtree(folder)
    return {
        "rows": rows,
        "rows_per_second": rows / seconds,
        "app_cpu_us_a_row": 1e6 * cpu / rows,
        "postgres_cpu_us_a_row": 1e6 * postgres / rows,
        "memory_mb": _peak_mb() - idle,
    }


def _export(folder: Path) -> int:
    """Ours: what a worker does between waiting and ready."""
    from django.conf import settings

    from mlhooks import snapshots
    from mlhooks.models import Snapshot
    from reviews.models import Platform

    settings.SNAPSHOT_DIR = folder
    settings.CELERY_BROKER_URL = "memory://"
    snapshots.nudge = lambda snapshot_id: None
    snapshot = snapshots.create_snapshot(Platform.objects.get(), by=None)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    if snapshot.state != Snapshot.State.READY:
        raise SystemExit(snapshot.error)
    return snapshot.rows_done


_ONE_JOIN = """
  SELECT d.id AS decision_id, d.item_id, i.external_id, d.item_version_id, v.content_hash,
         i.language, (v.content ->> 'subject') || E'\\n\\n' || (v.content ->> 'body') AS text,
         i.split_group, d.verdict, j.lane, j.inclusion_probability, d.queue_id, d.risk_source,
         (d.risks ->> 'policy-0')::float8 AS score_0, (d.risks ->> 'policy-1')::float8 AS score_1,
         f.label_0, f.label_1, f.label_2, d.decided_at, r.reviewer_id, r.active_seconds
  FROM reviews_decision d
  JOIN reviews_item i ON i.id = d.item_id
  JOIN reviews_itemversion v ON v.id = d.item_version_id
  JOIN reviews_job j ON j.id = d.job_id
  JOIN reviews_review r ON r.id = d.review_id
  LEFT JOIN (
    SELECT review_id, max(violates::int) FILTER (WHERE policy_version_id = 1) AS label_0,
           max(violates::int) FILTER (WHERE policy_version_id = 2) AS label_1,
           max(violates::int) FILTER (WHERE policy_version_id = 3) AS label_2
    FROM reviews_finding GROUP BY review_id) f ON f.review_id = r.id
"""


def _control(folder: Path) -> int:
    return _written(_questions(), folder)


def _reading(folder: Path) -> int:
    rows = [sum(batch.num_rows for batch in _copied(*asked)) for asked in _questions()]
    return rows[0]


def _one_join(folder: Path) -> int:
    copy = f"COPY ({_ONE_JOIN}) TO STDOUT (FORMAT csv, HEADER)".encode()
    return _written([(copy, {"parse_options": _any_text()})], folder)


def _questions() -> list[tuple[bytes, dict]]:
    """What ours asks page by page, as a whole, and how Arrow reads it as fast as it does for us."""
    from mlhooks import copying, labels
    from mlhooks.label_pages import Pages
    from reviews.models import Decision, Platform

    platform = Platform.objects.get()
    cutoff = Decision.objects.order_by("-pk").values_list("pk", flat=True)[0]
    pages = Pages(platform.pk, cutoff, labels.freeze(platform))
    return [
        (copying.copy_out(statement), copying.options(types, block_size=BLOCK))
        for statement, types in pages.statements(0, cutoff)
    ]


def _any_text() -> "pyarrow.csv.ParseOptions":
    import pyarrow.csv

    return pyarrow.csv.ParseOptions(newlines_in_values=True)


def _written(questions: list[tuple[bytes, dict]], folder: Path) -> int:
    """Each into a Parquet file. Returns the rows of the first: decisions."""
    import pyarrow.parquet

    rows = []
    for number, asked in enumerate(questions):
        count, parquet = 0, None
        with ExitStack() as stack:
            for batch in _copied(*asked):
                if parquet is None:
                    path = folder / f"control-{number}.parquet"
                    parquet = stack.enter_context(
                        pyarrow.parquet.ParquetWriter(path, batch.schema, compression="zstd")
                    )
                parquet.write_batch(batch)
                count += batch.num_rows
        rows.append(count)
    return rows[0]


def _copied(copy: bytes, options: dict) -> Iterator["pyarrow.RecordBatch"]:
    """What one COPY sends, as Arrow reads it."""
    import pyarrow.csv
    from django.db import connections

    reading, writing = os.pipe()

    here = connections["default"]  # the thread would be given another

    def send() -> None:
        with os.fdopen(writing, "wb") as sink, here.cursor() as cursor:
            cursor.copy_expert(copy, sink)

    here.inc_thread_sharing()
    thread = threading.Thread(target=send)
    thread.start()
    options.setdefault("read_options", pyarrow.csv.ReadOptions(block_size=BLOCK))
    with os.fdopen(reading, "rb") as source:
        yield from pyarrow.csv.open_csv(source, **options)
    thread.join()


_SIDES = {"one join": _one_join, "control": _control, "reading": _reading, "ours": _export}


def _backend_pid() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        # The embedded server is on this machine; helpers of a parallel plan would not be counted.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _report(rows: int, samples: dict[str, list[dict]]) -> None:
    """The best of each side: what the machine can do when nobody is in the way."""
    best = {
        side: max(found, key=lambda sample: sample["rows_per_second"])
        for side, found in samples.items()
    }
    command = "python bench/export.py" + (" --full" if rows == 1_000_000 else f" --rows {rows}")
    kept = [{"side": side, **sample} for side, found in samples.items() for sample in found]
    Result(
        name=f"export_{rows}",
        value=best["ours"]["rows_per_second"] / best["control"]["rows_per_second"],
        unit="of COPY of the same columns → Parquet, in rows/s",
        target=TARGET_RATIO,
        command=command,
        control=best["control"]["rows_per_second"],
        samples=kept,
    ).write()
    Result(
        name=f"export_{rows}_of_reading",
        value=best["ours"]["rows_per_second"] / best["reading"]["rows_per_second"],
        unit="of COPY of the same columns read by Arrow and not written, in rows/s",
        target=TARGET_OF_READING,
        command=command,
        control=best["reading"]["rows_per_second"],
        samples=kept,
    ).write()
    Result(
        name=f"export_{rows}_of_one_join",
        value=best["ours"]["rows_per_second"] / best["one join"]["rows_per_second"],
        unit="of one join of half the columns → Parquet, in rows/s",
        target=TARGET_RATIO,
        command=command,
        control=best["one join"]["rows_per_second"],
        samples=kept,
    ).write()
    Result(
        name=f"export_{rows}_memory",
        value=max(sample["memory_mb"] for sample in samples["ours"]),
        unit="MB above idle",
        target=TARGET_MEMORY_MB,
        higher_is_better=False,
        command=command,
        control=max(sample["memory_mb"] for sample in samples["control"]),
        samples=kept,
    ).write()


if __name__ == "__main__":
    main()
