"""Search over a million items: the 95th percentile of each sort of question, and filling the index.

    python bench/search.py [--items 100000] [--full] [--seconds 480]

--full: 1,000,000 items. Building goes on where the last run stopped, --seconds at a time at most.
Seven in ten texts are posts of 5 to 40 words, the others mails of 60 to 250; words are as frequent
as Zipf says; one in twenty is Japanese. Each question is asked 40 times with other words. By the
service, and as the page: middleware, query, snippets and HTML, by Django's client in this process.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
os.environ.setdefault("TRUSTCONSOLE_VAR", str(ROOT / "var"))
os.environ.setdefault("ALLOWED_HOSTS", "testserver")

from bench.report import Result, say  # noqa: E402

DATABASE = "bench_search"
CHUNK = 5_000
ASKED = 40
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
    arguments = parser.parse_args()
    wanted = 1_000_000 if arguments.full else arguments.items

    from trustconsole import embedded

    embedded.lend_to(["bench"])
    _set_up()
    if not _build(wanted, arguments.seconds):
        say("Not all of them are there yet: run it again to go on.")
        return
    _measure(wanted)


def _set_up() -> None:
    import django
    from django.conf import settings

    settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = DATABASE
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
    from itertools import accumulate

    from django.db import connection, transaction

    from reviews import search_entries, search_terms
    from reviews.models import Account, Item, ItemKind, ItemVersion, Platform, Policy, Queue

    platform, _ = Platform.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    fields = [{"name": "body", "label": "Text", "type": "text", "role": "text", "required": True}]
    kind, _ = ItemKind.objects.get_or_create(
        platform=platform, slug="post", defaults={"name": "Post", "fields": fields}
    )
    for slug in POLICIES:
        Policy.objects.get_or_create(platform=platform, slug=slug, defaults={"name": slug.title()})
    Queue.objects.get_or_create(platform=platform, slug="all", defaults={"name": "All"})
    if not Account.objects.exists():
        Account.objects.bulk_create(
            Account(platform=platform, external_id=f"user-{n}", split_group=f"u{n}")
            for n in range(20_000)
        )
    accounts = list(Account.objects.order_by("pk").values_list("pk", flat=True))
    words, weights = _words()
    cumulative = list(accumulate(weights))
    there = Item.objects.count()
    stop = time.monotonic() + seconds
    written = 0
    while there < wanted and time.monotonic() < stop:
        rng = random.Random(there)  # noqa: S311
        rows = []
        for number in range(there, there + CHUNK):
            text, language = _text(rng, words, cumulative)
            account = rng.randrange(len(accounts))
            verdict = rng.choices(["none", "clean", "violating"], [6, 3, 1])[0]
            rows.append((number, text, language, account, verdict, rng.choice(POLICIES)))
        with transaction.atomic():
            items = Item.objects.bulk_create(
                Item(
                    platform=platform,
                    kind=kind,
                    external_id=f"post-{number:07d}",
                    account_id=accounts[account],
                    language=language,
                    submitted_at=FIRST_DAY + timedelta(seconds=30 * number),
                    fingerprint=f"{number:032x}",
                    split_group=f"u{account}",
                )
                for number, _, language, account, _, _ in rows
            )
            ItemVersion.objects.bulk_create(
                ItemVersion(item=item, number=1, content={"body": row[1]}, content_hash="")
                for item, row in zip(items, rows, strict=True)
            )
            vectors = []
            for row in rows:
                number, text, language, account, verdict, policy = row
                facets = [
                    *(f"=p{platform.pk}", "=kpost", f"=xpost-{number:07d}", f"=auser-{account}"),
                    *("=qall", f"=v{verdict}", f"=l{language}"),
                    *([f"=y{policy}"] if verdict == "violating" else []),
                ]
                vectors.append(search_terms.vector(text, facets))
            with connection.cursor() as cursor:
                cursor.execute(
                    search_entries._WRITE,
                    [
                        [item.pk for item in items],
                        [platform.pk] * len(items),
                        [item.submitted_at for item in items],
                        vectors,
                    ],
                )
        there += CHUNK
        written += CHUNK
        if there % 50_000 == 0:
            say(f"{there:,} items")
    if there >= wanted and written:
        with connection.cursor() as cursor:
            for table in ("reviews_item", "reviews_itemversion", "reviews_searchentry"):
                cursor.execute(f"VACUUM ANALYZE {table}")
    return there >= wanted


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
        "an account": lambda: (f"account:user-{rng.randrange(20_000)}", ""),
        "a policy": lambda: (f"policy:{rng.choice(POLICIES)}", ""),
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
        asked = [make() for _ in range(ASKED)]
        hits = []

        def ask(text: str, after: str, into: list[int] = hits) -> None:
            question = search.understand(text, {}, by=person)
            into.append(len(search.find(question, by=person, after=after).hits))

        service[name] = _p95(ask, asked)
        page[name] = _p95(by_page, asked)
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
    ids = list(Item.objects.order_by("?").values_list("pk", flat=True)[:5_000])
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
