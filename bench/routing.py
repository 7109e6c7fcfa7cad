"""Routing at intake: 50 rules that read every kind of fact, beside no rules in the same run.

    python bench/routing.py [--rows 20000] [--repeat 2]

Items of 500 bytes with authors, languages and views, 1,000 a call through the intake service, each
with its version, job and due score. None of the rules holds, so each is asked for every item.
Then every item is scored (risks come in, its waiting job is routed anew), all are sent through a
dry run, and at last a new version is published and all that waits is re-routed. CPU is this process
and PostgreSQL.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import ingest  # noqa: E402
from bench.report import Result, say  # noqa: E402

RULES = 50
RATE = 1000  # items/s: the bar
MOST_CPU = 3.0  # times what the same costs without rules
CALL = 1000
AUTHORS = 2000


def leaf(fact: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"fact": fact, "op": op, "value": value}


def rules() -> list[dict[str, Any]]:
    """Each asks for something else, together for everything; none holds for these items."""
    kinds = [
        {"all": [leaf("risk.spam", ">=", 0.999), leaf("language", "is", "en")]},
        {"any": [leaf("report_count", ">", 900), leaf("highest_risk", ">", 0.9999)]},
        {"all": [leaf("sources", "has", "law_enforcement")]},
        {"all": [leaf("reports.user", ">=", 500), leaf("reasons", "has", "Spam")]},
        {"all": [leaf("reporter_trust", ">=", 0.99), leaf("mean_reporter_trust", ">", 0.98)]},
        {"all": [leaf("views_per_hour", ">", 1e6), leaf("kind", "is", "message")]},
        {"all": [leaf("account_age_days", "<", 0), leaf("strikes", "=", 0)]},
        {"all": [leaf("recent_items", ">", 900)]},
        {"all": [leaf("field.body", "contains", "not in any of these texts")]},
        {"not": {"any": [leaf("language", "one_of", ["en", "de", "fr"])]}},
    ]
    return [
        {"name": f"Rule {number + 1}", "queue": "urgent", "condition": kinds[number % len(kinds)]}
        for number in range(RULES)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=2)
    arguments = parser.parse_args()
    os.environ["TRUSTCONSOLE_VAR"] = str(ingest.VAR)
    os.environ["DJANGO_SETTINGS_MODULE"] = "trustconsole.settings"
    os.environ.setdefault("SECRET_KEY", "benchmarks-only")
    from trustconsole import embedded

    embedded.lend_to(["bench"])
    ingest._set_up()
    batches = _batches(arguments.rows)
    found: dict[str, list[dict[str, float]]] = {}
    for turn in range(arguments.repeat):
        for part, made in (("control", []), ("rules", rules())):
            platform = _platform(made)
            for name, work in (
                ("intake", lambda p=platform: _submit(p, batches)),
                ("scores", lambda p=platform: _score(p)),
                ("dry run", lambda p=platform, m=made: _dry_run(p, m, arguments.rows)),
                ("publish", lambda p=platform, m=made: _publish(p, m)),
            ):
                sample = _timed(work, arguments.rows)
                found.setdefault(f"{name} {part}", []).append(sample)
                say(
                    f"{turn + 1}. {name:8}{part:8}{sample['per_second']:>9,} items/s, "
                    f"{sample['cpu_us']:.0f} µs CPU an item, PostgreSQL and all"
                )
    _report(found, f"--rows {arguments.rows} --repeat {arguments.repeat}")


def _timed(work: Callable[[], None], rows: int) -> dict[str, float]:
    before, began = ingest._cpu(), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return {
        "per_second": round(rows / seconds),
        "cpu_us": round((ingest._cpu() - before) / rows * 1e6, 1),
    }


def _report(found: dict[str, list[dict[str, float]]], settings: str) -> None:
    def middle(key: str, figure: str) -> float:
        return statistics.median(sample[figure] for sample in found[key])

    command = f"python bench/routing.py {settings}"
    for name, title in (
        ("intake", "routing-intake"),
        ("scores", "routing-rescored"),
        ("dry run", "routing-dry-run"),
        ("publish", "routing-republished"),
    ):
        samples = found[f"{name} rules"]
        Result(
            f"{title}-rate",
            middle(f"{name} rules", "per_second"),
            f"items/s, {RULES} rules",
            RATE,
            command,
            control=middle(f"{name} control", "per_second"),
            samples=samples,
        ).write()
    Result(
        "routing-intake-per-core",
        1e6 / middle("intake rules", "cpu_us"),
        f"items per second of CPU, {RULES} rules",
        RATE,
        command,
        control=1e6 / middle("intake control", "cpu_us"),
        samples=found["intake rules"],
    ).write()
    Result(
        "routing-intake-cpu",
        middle("intake rules", "cpu_us") / middle("intake control", "cpu_us"),
        "× without rules",
        MOST_CPU,
        command,
        higher_is_better=False,
        control=middle("intake control", "cpu_us"),
        samples=[*found["intake rules"], *({"control": one} for one in found["intake control"])],
    ).write()


def _batches(rows: int) -> list[list[dict[str, Any]]]:
    chance = random.Random(rows)  # noqa: S311
    made = [
        {
            "kind": "message",
            "external_id": f"m-{number}",
            "content": {"body": text},
            "account": {
                "external_id": f"a-{chance.randrange(AUTHORS)}",
                "joined_at": "2026-01-01T00:00:00Z",
            },
            "language": chance.choice(["en", "de", "fr"]),
            "views_per_hour": float(chance.randrange(5000)),
        }
        for number, text in enumerate(ingest._texts(rows))
    ]
    return [made[start : start + CALL] for start in range(0, rows, CALL)]


def _platform(made: list[dict[str, Any]]) -> Any:
    from django.core.management import call_command
    from django.db import connection

    from reviews import routing_versions
    from tests.factories import make_kind, make_platform, make_policy, make_queue

    call_command("flush", interactive=False, verbosity=0)
    platform = make_platform(slug="bench")
    make_kind(platform=platform, slug="message")
    policies = [make_policy(platform=platform, slug=slug) for slug in ("spam", "scam", "adult")]
    make_queue(
        platform=platform, slug="general", is_default=True, random_rate=0.1, policies=policies
    )
    make_queue(platform=platform, slug="urgent", policies=policies)
    if made:
        draft = routing_versions.save_draft(platform, made, edition=0, by=None)
        routing_versions.publish(draft, edition=1, by=None)
        routing_versions.reroute_waiting(seconds=60)
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    return platform


def _submit(platform: Any, batches: list[list[dict[str, Any]]]) -> None:
    from reviews import intake
    from reviews.models import Job

    for batch in batches:
        intake.submit_items(platform, batch, by=None)
    stored = Job.objects.filter(queue__slug="general").count()
    if stored != sum(map(len, batches)):
        raise SystemExit(f"{stored:,} jobs stand in the default queue: a rule took some")


def _score(platform: Any) -> None:
    from reviews import intake
    from reviews.models import Item

    ids = list(Item.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CALL):
        intake.set_risks(
            {pk: {"spam": pk % 100 / 101, "scam": 0.1} for pk in ids[start : start + CALL]},
            source="bench",
        )


def _dry_run(platform: Any, made: list[dict[str, Any]], rows: int) -> None:
    from reviews import dry_run

    result = dry_run.replay(platform, made, published=made[: len(made) // 2], days=1)
    if result["items"] != rows:
        raise SystemExit(f"{result['items']:,} of {rows:,} items were looked at")


def _publish(platform: Any, made: list[dict[str, Any]]) -> None:
    """One rule more, that takes half of what waits; without rules it is the only one."""
    from reviews import routing_versions
    from reviews.models import Job

    half = {"name": "Half", "queue": "urgent", "condition": leaf("risk.spam", ">", 0.49)}
    standing = routing_versions.find_published(platform)
    draft = routing_versions.save_draft(platform, [*made, half], edition=0, by=None)
    published = routing_versions.publish(draft, edition=1, by=None)
    routing_versions.reroute_waiting(seconds=600)
    published.refresh_from_db()
    moved = Job.objects.filter(queue__slug="urgent").count()
    if published.rerouted_at is None or not moved or standing == published:
        raise SystemExit("What waits was not re-routed")


if __name__ == "__main__":
    main()
