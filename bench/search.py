"""Search over a million items: the 95th percentile of each sort of question, and filling the index.

    python bench/search.py [--items 100000] [--full] [--seconds 480] [--build]

--full: 1,000,000 items. They are built once and kept (some 4 GB in var/): rows by COPY, entries by
the product's own filler, a process for each core, the index in one go. Building goes on where the
last run stopped, --seconds at a time at most; --build does nothing else.
Seven in ten texts are posts of 5 to 40 words, the others mails of 60 to 250; words are as frequent
as Zipf says; one in twenty is Japanese. Each question is asked 40 times with other words, after 40
that do not count (a machine that has just started has nothing of the database in memory). By the
service, and as the page: middleware, query, snippets and HTML, by Django's client in this process.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
os.environ.setdefault("TRUSTCONSOLE_VAR", str(ROOT / "var"))
os.environ.setdefault("ALLOWED_HOSTS", "testserver")

from bench.report import Result, say  # noqa: E402

DATABASE = "bench_search_{items}"
CHUNK = 10_000
ACCOUNTS = 20_000
ASKED = 40
FILLED = 20_000
TARGET_MS = 300.0
INDEX_RATE = 1_000.0  # items a second, one process; what comes in is found within seconds
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめも"
POLICIES = ("spam", "hate", "fraud", "nudity", "threat")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 items")
    parser.add_argument("--seconds", type=int, default=480, help="to build for, at most")
    parser.add_argument("--build", action="store_true", help="build, and measure nothing")
    arguments = parser.parse_args()
    wanted = 1_000_000 if arguments.full else arguments.items

    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up(wanted)
    if not _build(wanted, arguments.seconds):
        say("Not all of them are there yet: run it again to go on.")
        return
    if not arguments.build:
        _measure(wanted)


def _set_up(items: int) -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE.format(items=items)
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    django.setup()
    from django.db import connection

    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=True)


def _words() -> tuple[list[str], list[float]]:
    rng = random.Random(1)  # noqa: S311
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = sorted({"".join(rng.choices(letters, k=rng.randint(3, 10))) for _ in range(60_000)})
    rng.shuffle(words)
    return words, [1 / (rank + 3) for rank in range(len(words))]


def _text(rng: random.Random, words: list[str], weights: list[float]) -> tuple[str, str]:
    """The text and its language. A number says which, so that a question can be made from it."""
    if rng.random() < 0.05:
        return "".join(rng.choices(KANA, k=rng.randint(20, 120))), "ja"
    most = rng.randint(5, 40) if rng.random() < 0.7 else rng.randint(60, 250)
    return " ".join(rng.choices(words, cum_weights=weights, k=most)), "en"


def _build(wanted: int, seconds: float) -> bool:
    """Chunks that are not there yet, side by side; then the index of terms, as it is made in bulk.

    Foreign keys are not checked: all these rows come from here.
    """
    from django.db import connection

    began = time.monotonic()
    world = _make_world()
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT (id - 1) / %s FROM reviews_item", [CHUNK])
        there = {row[0] for row in cursor.fetchall()}
        missing = [chunk for chunk in range(wanted // CHUNK) if chunk not in there]
        if not missing and _has_index(cursor):
            return True
        cursor.execute("DROP INDEX IF EXISTS search_by_terms")
    if missing and not there:
        _write_chunk(world, missing.pop(0))
        _analyze()  # or the filler's statement is planned for empty tables
    connection.close()
    left = len(missing)
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for is_written in pool.imap_unordered(_Writer(world, began + seconds), missing):
            left -= is_written
            if is_written and left % 5 == 0:
                say(f"{wanted - left * CHUNK:,} items after {time.monotonic() - began:.0f} s")
    if left:
        return False
    with connection.cursor() as cursor:
        for table in ("item", "itemversion", "job", "decision"):
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)",
                [f"reviews_{table}", wanted],
            )
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("CREATE INDEX search_by_terms ON reviews_searchentry USING gin (terms)")
    _analyze()
    say(f"{wanted:,} items built in {time.monotonic() - began:.0f} s")
    return True


def _has_index(cursor: Any) -> bool:
    cursor.execute("SELECT to_regclass('search_by_terms') IS NOT NULL")
    return bool(cursor.fetchone()[0])


def _analyze() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for table in ("item", "itemversion", "job", "decision", "searchentry"):
            cursor.execute(f"VACUUM ANALYZE reviews_{table}")


class World(NamedTuple):
    platform: int
    kind: int
    queue: int
    person: int
    accounts: list[int]
    versions: list[int]  # of POLICIES


def _make_world() -> World:
    from reviews.models import (
        Account,
        ItemKind,
        Person,
        Platform,
        Policy,
        PolicyVersion,
        Queue,
    )

    platform, _ = Platform.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    fields = [{"name": "body", "label": "Text", "type": "text", "role": "text", "required": True}]
    kind, _ = ItemKind.objects.get_or_create(
        platform=platform, slug="post", defaults={"name": "Post", "fields": fields}
    )
    versions = []
    for slug in POLICIES:
        policy, _ = Policy.objects.get_or_create(
            platform=platform, slug=slug, defaults={"name": slug.title()}
        )
        versions.append(PolicyVersion.objects.get_or_create(policy=policy, number=1)[0].pk)
    queue, _ = Queue.objects.get_or_create(platform=platform, slug="all", defaults={"name": "All"})
    person, _ = Person.objects.get_or_create(username="lena")
    if not Account.objects.exists():
        Account.objects.bulk_create(
            Account(platform=platform, external_id=f"user-{n}", split_group=f"u{n}")
            for n in range(ACCOUNTS)
        )
    accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    return World(platform.pk, kind.pk, queue.pk, person.pk, accounts, versions)


class _Writer:
    """Writes a chunk, unless the time is over. Tells whether it did."""

    def __init__(self, world: World, stop: float) -> None:
        self.world, self.stop = world, stop

    def __call__(self, chunk: int) -> bool:
        if time.monotonic() >= self.stop:
            return False
        _write_chunk(self.world, chunk)
        return True


def _write_chunk(world: World, chunk: int) -> None:
    """Whole or not at all: items, their versions and jobs, four in ten decided; their entries."""
    from django.db import connection, transaction

    from reviews import bulk, search_entries

    first = chunk * CHUNK + 1
    lines: dict[str, list[str]] = {copy: [] for copy in _COPIES}
    for values in _rows(world, chunk):
        for copy, line in values.items():
            lines[copy].append(line)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("SET LOCAL synchronous_commit = off")
        for copy, columns in _COPIES.items():
            bulk.copy_in(f"COPY reviews_{copy} ({columns}) FROM STDIN", lines[copy])
        for at in range(first, first + CHUNK, search_entries.BATCH):
            search_entries.index_items(range(at, at + search_entries.BATCH))


_COPIES = {
    "item": "id, platform_id, kind_id, external_id, account_id, version_number, language, "
    "submitted_at, views_per_hour, report_count, fingerprint, split_group, risks, risk_source",
    "itemversion": "id, item_id, number, content, content_hash, created_at",
    "job": "id, item_id, queue_id, lane, state, rank, harm, created_at, due_at, is_overdue, "
    "is_soon, attempts",
    "decision": "id, kind, item_id, item_version_id, queue_id, job_id, verdict, decided_by_id, "
    "decided_at, note, risks, risk_source",
    "decision_policy_versions": "decision_id, policyversion_id",
}


def _rows(world: World, chunk: int) -> Iterator[dict[str, str]]:
    """Each item as lines of COPY, by table. An item, its version, job and decision have one id."""
    rng = random.Random(chunk)  # noqa: S311
    words, weights = _words()
    cumulative = list(accumulate(weights))
    for number in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        text, language = _text(rng, words, cumulative)
        account = rng.randrange(len(world.accounts))
        verdict = rng.choices(["none", "clean", "violating"], [6, 3, 1])[0]
        version = rng.choice(world.versions)
        pk, at = number + 1, (FIRST_DAY + timedelta(seconds=30 * number)).isoformat()
        content = json.dumps({"body": text}, ensure_ascii=False)
        state = "ready" if verdict == "none" else "done"
        lines = {
            "item": f"{pk}\t{world.platform}\t{world.kind}\tpost-{number:07d}\t"
            f"{world.accounts[account]}\t1\t{language}\t{at}\t0\t0\t{number:032x}\t"
            f"u{account}\t{{}}\t\n",
            "itemversion": f"{pk}\t{pk}\t1\t{content}\t{number:064x}\t{at}\n",
            "job": f"{pk}\t{pk}\t{world.queue}\trisk\t{state}\t0\t0\t{at}\t{at}\tf\tf\t1\n",
        }
        if verdict != "none":
            lines["decision"] = (
                f"{pk}\tsettled\t{pk}\t{pk}\t{world.queue}\t{pk}\t{verdict}\t{world.person}\t"
                f"{at}\t\t{{}}\t\n"
            )
        if verdict == "violating":
            lines["decision_policy_versions"] = f"{pk}\t{version}\n"
        yield lines


def _measure(wanted: int) -> None:
    from django.db import connection

    from reviews import search, search_entries
    from reviews.models import Item, ItemVersion, SearchEntry

    person, by_page = _reader()
    rng = random.Random(7)  # noqa: S311
    words, _ = _words()
    newest = Item.objects.order_by("-pk").first()
    last = newest.submitted_at

    def piece(language: str, size: int) -> str:
        pk = newest.pk - rng.randrange(wanted - 1)
        version = ItemVersion.objects.filter(item__pk__lte=pk, item__language=language)
        text = version.order_by("-item").first().content["body"]
        if language == "ja":
            at = rng.randrange(len(text) - size)
            return text[at : at + size]
        parts = text.split()
        at = rng.randrange(max(1, len(parts) - size))
        return " ".join(parts[at : at + size])

    def day() -> str:
        return f"{FIRST_DAY + (last - FIRST_DAY) * rng.random():%Y-%m-%d}"

    questions: dict[str, Callable[[], tuple[str, str]]] = {
        "a rare word": lambda: (rng.choice(words[20_000:50_000]), ""),
        "a frequent word": lambda: (rng.choice(words[:20]), ""),
        "a word in between": lambda: (rng.choice(words[200:2_000]), ""),
        "two words": lambda: (f"{rng.choice(words[50:200])} {rng.choice(words[50:500])}", ""),
        "a phrase": lambda: (f'"{piece("en", 3)}"', ""),
        "how words begin": lambda: (f"{rng.choice(words[:5_000])[:4]}*", ""),
        "Japanese": lambda: (piece("ja", 4), ""),
        "an id": lambda: (f"post-{rng.randrange(wanted):07d}", ""),
        "how an id begins": lambda: (f"id:post-{rng.randrange(wanted // 100):05d}"[:-1] + "*", ""),
        "no more than a letter": lambda: (rng.choice("aeinst"), ""),
        "what a letter begins, and no hit": lambda: (
            f"{rng.choice('aeinst')}* qqqqzzzz{rng.randrange(999)}",
            "",
        ),
        "all without a word": lambda: (f"-{rng.choice(words[:20])}", ""),
        "an account": lambda: (f"account:user-{rng.randrange(20_000)}", ""),
        "a policy": lambda: (f"policy:{rng.choice(POLICIES)}", ""),
        "a decision": lambda: (f"decision:{rng.choice(('clean', 'violating', 'none'))}", ""),
        "a day": lambda: ("from:{0} until:{0}".format(day()), ""),
        "a word and a day": lambda: (
            "{1} from:{0} until:{0}".format(day(), rng.choice(words[20:2_000])),
            "",
        ),
        "a decision and a word, up to a day": lambda: (
            f"decision:violating {rng.choice(words[:500])} until:{day()}",
            "",
        ),
        "a word, a policy and a day": lambda: (
            f"{rng.choice(words[50:500])} policy:{rng.choice(POLICIES)} until:{day()}",
            "",
        ),
        "words that exclude each other": lambda: (f"{rng.choice(words[:50])} language:ja", ""),
        "no hit": lambda: (f"{rng.choice(words[:50])} qqqqzzzz{rng.randrange(999)}", ""),
        "deep in the pages": lambda: (
            rng.choice(words[:200]),
            f"{(last - (last - FIRST_DAY) * rng.random()).isoformat()}~1",
        ),
    }
    service: dict[str, float] = {}
    page: dict[str, float] = {}
    for name, make in questions.items():
        asked = [[make() for _ in range(ASKED)] for _ in range(3)]
        hits: list[int] = []

        def ask(text: str, after: str, into: list[int] = hits) -> None:
            question = search.understand(text, {}, by=person)
            into.append(len(search.find(question, by=person, after=after).hits))

        _p95(ask, asked[0])  # what a server that has been up for an hour has in memory
        hits.clear()
        service[name] = _p95(ask, asked[1])
        page[name] = _p95(by_page, asked[2])
        say(f"{name:32}{service[name]:8.1f} ms  page {page[name]:8.1f} ms  hits {sum(hits)}")
    size = f"{wanted // 1000}k"
    for what, found in (("service", service), ("page", page)):
        Result(
            name=f"search-{what}-p95-ms-{size}",
            value=max(found.values()),
            unit=f"ms, the slowest sort of question at {wanted:,} items",
            target=TARGET_MS,
            higher_is_better=False,
            command=f"python bench/search.py --items {wanted}",
            control=sorted(found.values())[len(found) // 2],
            samples=[found],
        ).write()
    ids = list(Item.objects.order_by("?").values_list("pk", flat=True)[:FILLED])
    SearchEntry.objects.filter(pk__in=ids).delete()
    began = time.perf_counter()
    for at in range(0, len(ids), search_entries.BATCH):
        search_entries.index_items(ids[at : at + search_entries.BATCH])
    Result(
        name=f"search-index-rate-{size}",
        value=len(ids) / (time.perf_counter() - began),
        unit="items/s written into the index",
        target=INDEX_RATE,
        command=f"python bench/search.py --items {wanted}",
        samples=[],
    ).write()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_size_pretty(pg_relation_size('search_by_terms')), "
            "pg_size_pretty(pg_total_relation_size('reviews_searchentry'))"
        )
        say("index {}, with its table {}".format(*cursor.fetchone()))


def _reader() -> tuple[Any, Callable[[str, str], None]]:
    from django.contrib.auth.models import Group
    from django.test import Client

    from reviews.models import Person, Platform, Role

    person, _ = Person.objects.get_or_create(username="lena")
    person.groups.add(Group.objects.get_or_create(name=Role.LEAD)[0])
    Platform.objects.get(slug="bench").members.add(person)
    client = Client()
    client.force_login(person)

    def ask(text: str, after: str) -> None:
        answer = client.get("/search/", {"q": text, "after": after})
        assert answer.status_code == 200, answer.status_code  # noqa: S101

    return person, ask


def _p95(ask: Callable[[str, str], None], asked: list[tuple[str, str]]) -> float:
    times = []
    for text, after in asked:
        began = time.perf_counter()
        ask(text, after)
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[int(len(times) * 0.95) - 1]


if __name__ == "__main__":
    main()
