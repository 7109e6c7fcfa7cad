"""Near-duplicates: items hashed and joined a second, what a look-up costs, what intake pays.

    python bench/clusters.py [--items 20000] [--full]

Seconds are CPU seconds, of this process and its PostgreSQL process together.

Every sixth text is an earlier one with a few words changed; the rest are alone. The control is the
MinHash of the same texts by itself. Then the search by meaning: one vector against the window of
20,000, exactly, beside an HNSW index over the same vectors.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
os.environ.setdefault("TRUSTCONSOLE_VAR", str(ROOT / "var"))

from bench.report import Result, say  # noqa: E402

COMMAND = "python bench/clusters.py"
DATABASE = "bench_clusters"
CHUNK = 1_000
COPIES = 6  # every sixth
HASHED_SHARE = 0.2  # of the speed of MinHash alone, joined and stored as well
GROWTH = 1.3  # an item's cost at the end to that at the start
RECALL = 0.97
INTAKE = 1.10  # what intake takes with the row that an item waits by
NEAREST_MS = 15.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--full", action="store_true", help="100,000 items")
    arguments = parser.parse_args()
    items = 100_000 if arguments.full else arguments.items

    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up()
    texts, sources = _texts(items)
    intake_ratio = _submit(texts)
    Result(
        name="clusters-intake-cost",
        value=statistics.median(intake_ratio),
        unit="× intake without it",
        target=INTAKE,
        higher_is_better=False,
        command=COMMAND,
        control=1.0,
        samples=intake_ratio,
    ).write()
    _hash(texts, sources)
    _look_up(texts)
    _nearest()


def _set_up() -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)
    call_command("flush", interactive=False, verbosity=0)
    from mlhooks import due
    from reviews import clusters

    clusters.nudge = due.nudge = lambda: None  # no worker but this one


def _texts(count: int) -> tuple[list[str], dict[int, int]]:
    """Texts of 60 to 250 words, and which earlier one each copy was made of."""
    rng = random.Random(1)  # noqa: S311
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(20_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    texts: list[str] = []
    sources: dict[int, int] = {}
    for number in range(count):
        if number % COPIES == COPIES - 1:
            source = rng.randrange(number)
            while source in sources:
                source = rng.randrange(number)
            text = texts[source].split()
            for at in rng.sample(range(len(text)), max(1, len(text) // 60)):
                text[at] = "changed"
            sources[number] = source
            texts.append(" ".join(text))
        else:
            texts.append(" ".join(rng.choices(words, weights, k=rng.randint(60, 250))))
    return texts, sources


def _submit(texts: list[str]) -> list[float]:
    """The items through the real intake, in turns with the row and without; ratio of the times."""
    from reviews import clusters, intake
    from tests.factories import make_kind, make_platform, make_queue

    platform = make_platform(slug="bench")
    kind = make_kind(platform=platform)
    make_queue(platform=platform, is_default=True)
    mark = clusters.mark_new_versions
    left_out: list[int] = []
    taken: dict[bool, list[float]] = {True: [], False: []}
    for start in range(0, len(texts), CHUNK):
        is_marked = start // CHUNK % 2 == 0
        clusters.mark_new_versions = mark if is_marked else left_out.extend
        rows = [
            {"kind": kind.slug, "external_id": str(start + n), "content": {"body": text}}
            for n, text in enumerate(texts[start : start + CHUNK])
        ]
        taken[is_marked].append(
            _seconds(lambda rows=rows: intake.submit_items(platform, rows, by=None))
        )
    clusters.mark_new_versions = mark
    clusters.mark_versions(left_out)
    return [
        with_row / without for with_row, without in zip(taken[True], taken[False], strict=False)
    ]


def _hash(texts: list[str], sources: dict[int, int]) -> None:
    from reviews import clusters, shingles
    from reviews.models import Cluster, ClusterMember, Item

    chunks: list[float] = []
    while clusters.is_any_due():
        chunks.append(_seconds(lambda: clusters.hash_due(limit=200)) / 200)
    taken = sum(chunks) * 200
    sample = texts[:2000]
    alone = _seconds(lambda: [shingles.signature(text) for text in sample]) / len(sample)
    rate = len(texts) / taken
    say(f"  {rate:,.0f} items a CPU second, MinHash alone {1 / alone:,.0f}")
    Result(
        name="clusters-hashed",
        value=rate * alone,
        unit=f"of MinHash's own speed ({rate:,.0f} items a CPU second)",
        target=HASHED_SHARE,
        command=COMMAND,
        control=f"{1 / alone:,.0f} texts/s",
        samples=[rate, 1 / alone],
    ).write()
    edge = max(len(chunks) // 10, 1)
    first, last = statistics.median(chunks[:edge]), statistics.median(chunks[-edge:])
    Result(
        name="clusters-growth",
        value=last / first,
        unit=f"× the first tenth's cost an item, at {len(texts):,}",
        target=GROWTH,
        higher_is_better=False,
        command=COMMAND,
        control=1000 * first,
        samples=[1000 * last],
    ).write()
    cluster_of = dict(ClusterMember.objects.values_list("item__external_id", "cluster_id"))
    together = sum(
        str(copy) in cluster_of and cluster_of[str(copy)] == cluster_of.get(str(source))
        for copy, source in sources.items()
    )
    stray = Item.objects.filter(cluster_member__isnull=False).count() - len(
        {*map(str, sources), *map(str, sources.values())}
    )
    say(f"  {Cluster.objects.count():,} clusters; items in one by mistake: {max(stray, 0)}")
    Result(
        name="clusters-recall",
        value=together / len(sources),
        unit="of the planted copies stand beside their source",
        target=RECALL,
        command=COMMAND,
        control=len(sources),
        samples=[together],
    ).write()


def _look_up(texts: list[str]) -> None:
    """What finding the candidates of one text costs PostgreSQL and us, MinHash left out."""
    from reviews import clusters, shingles
    from reviews.models import Platform

    platform = Platform.objects.get(slug="bench")
    rng = random.Random(2)  # noqa: S311
    chosen = [clusters._Text(0, 0, "", shingles.signature(text)) for text in rng.sample(texts, 300)]
    times = []
    for text in chosen:
        keys = {0: shingles.band_keys(platform.pk, text.sketch)}
        find = partial(clusters._candidates, platform.pk, [text], keys)
        times.append(1000 * _seconds(find))
    Result(
        name="clusters-lookup-ms",
        value=statistics.median(times),
        unit=f"ms CPU a text alone, among {len(texts):,}",
        target=5.0,
        higher_is_better=False,
        command=COMMAND,
        control=None,
        samples=statistics.quantiles(times, n=20)[::6],
    ).write()


def _nearest() -> None:
    """One vector among the window: exactly, and by HNSW over the same vectors."""
    from django.db import connection

    from mlhooks import neighbours
    from mlhooks.models import NearVector
    from reviews.models import ItemVersion, Platform

    platform = Platform.objects.get(slug="bench")
    versions = list(
        ItemVersion.objects.order_by("pk").values_list("pk", flat=True)[: neighbours.WINDOW]
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO mlhooks_nearvector (item_version_id, platform_id, encoder, vector)
            SELECT given.id, %s, 'bench', (
              SELECT array_agg(random() - 0.5)::real[]::halfvec(384)
              FROM generate_series(1, 384 + given.id * 0)
            ) FROM unnest(%s::bigint[]) AS given (id)
            """,
            [platform.pk, versions],
        )
        cursor.execute("ANALYZE mlhooks_nearvector")
    asked = versions[:: max(len(versions) // 100, 1)][:100]
    values: dict[str, Any] = {
        "platform": platform.pk,
        "encoder": "bench",
        "window": neighbours.WINDOW,
        "versions": asked,
        "furthest": 1 - neighbours.NEAR,
        "most": neighbours.MOST_NEIGHBOURS,
    }

    def exact() -> None:
        with connection.cursor() as cursor:
            cursor.execute(neighbours._NEAREST, values)
            cursor.fetchall()

    exact()
    each = [1000 * _seconds(exact) / len(asked) for _ in range(3)]
    build, probe = _hnsw(asked)
    Result(
        name="clusters-nearest-ms",
        value=statistics.median(each),
        unit=f"ms CPU a vector, exactly among {NearVector.objects.count():,}",
        target=NEAREST_MS,
        higher_is_better=False,
        command=COMMAND,
        control=f"HNSW {probe:.1f} ms, and {build:.1f} ms to put a vector in",
        samples=each,
    ).write()


def _hnsw(asked: list[int]) -> tuple[float, float]:
    """(ms to insert a vector, ms to look one up) of an index over the same vectors."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE near AS SELECT item_version_id, vector::halfvec(384) AS vector "
            "FROM mlhooks_nearvector"
        )
        cursor.execute("CREATE INDEX ON near USING hnsw (vector halfvec_cosine_ops)")
        cursor.execute("ANALYZE near")
        look = """SELECT item_version_id FROM near ORDER BY vector <=> (
          SELECT vector FROM near WHERE item_version_id = %s LIMIT 1) LIMIT 20"""
        probe = _seconds(lambda: [cursor.execute(look, [pk]) for pk in asked])
        cursor.execute("CREATE INDEX ON near (item_version_id)")
        probe = _seconds(lambda: [cursor.execute(look, [pk]) for pk in asked])
        put = """INSERT INTO near SELECT -item_version_id, vector FROM near
          WHERE item_version_id = ANY(%s)"""
        build = _seconds(lambda: cursor.execute(put, [asked]))
    return 1000 * build / len(asked), 1000 * probe / len(asked)


def _seconds(work: Callable[[], Any]) -> float:
    started = _cpu()
    work()
    return _cpu() - started


def _cpu() -> float:
    """Seconds on a core so far, ours and our PostgreSQL process's: noise elsewhere costs none."""
    from django.db import connection

    connection.ensure_connection()
    spent = Path(f"/proc/{connection.connection.get_backend_pid()}/schedstat").read_text()
    return time.process_time() + int(spent.split()[0]) / 1e9


if __name__ == "__main__":
    main()
