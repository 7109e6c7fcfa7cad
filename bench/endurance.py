"""Claiming for long: beside an old snapshot, and 200,000 cycles without a pause.

    python bench/endurance.py [snapshot] [cycles] [--seconds 60] [--cycles 200000]

snapshot: 16 processes claim and decide by the services while a REPEATABLE READ transaction stays
open, so that no dead row can be cleared away; the control is the same without it. Compared are the
last ten seconds (the last sixth of a shorter run).
cycles: autovacuum works beside them as it does in production. Part of `make bench-full` only.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import Result, say  # noqa: E402
from bench.reviewing import cycles, world  # noqa: E402
from bench.reviewing.crowd import Measured, all_at_once  # noqa: E402
from bench.reviewing.eye import Look, open_eye  # noqa: E402

TARGETS = {
    "claims-old-snapshot": 0.7,
    "claims-old-snapshot-pages": 300.0,
    "claims-endurance": 0.8,
    "claims-endurance-pages": 300.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=["snapshot", "cycles", []])
    parser.add_argument("--seconds", type=float, default=60, help="how long the snapshot is held")
    parser.add_argument("--cycles", type=int, default=200_000, help="without a pause")
    parser.add_argument("--full", action="store_true", help="both parts, as without a name")
    arguments = parser.parse_args()
    began = time.perf_counter()
    world.set_up()
    wanted = arguments.parts or ["snapshot", "cycles"]
    if "snapshot" in wanted:
        _bench_snapshot(arguments.seconds)
    if "cycles" in wanted:
        _bench_cycles(arguments.cycles)
    say(f"Took {time.perf_counter() - began:,.0f} s.")


def _bench_snapshot(seconds: float) -> None:
    tail = min(10.0, seconds / 6)
    found: dict[str, tuple[Measured, list[Look]]] = {}
    for side in ("control", "snapshot"):
        world.enter(100_000)
        beside = _old_snapshot() if side == "snapshot" else contextlib.nullcontext()
        with beside, open_eye() as looks:
            measured = all_at_once(cycles.services, seconds)
        found[side] = measured, looks
        say(f"{side:9}{measured.line()}  pages a claim {_pages(looks):,.0f}")
    samples = [
        {
            "side": side,
            "rate_by_second": [measured.rate_between(at, at + 1) for at in range(int(seconds))],
            "pages": [look.pages for look in looks],
            "pg_ms": measured.pg_ms(),
        }
        for side, (measured, looks) in found.items()
    ]
    rates = {side: m.rate_between(seconds - tail, seconds) for side, (m, _) in found.items()}
    pages = {
        side: _pages([look for look in looks if look.at > looks[-1].at - tail])
        for side, (_, looks) in found.items()
    }
    _report(
        "claims-old-snapshot",
        rates["snapshot"] / rates["control"],
        f"× the rate without it, in the last {tail:.0f} s",
        rates["control"],
        samples,
    )
    _report("claims-old-snapshot-pages", pages["snapshot"], "a claim", pages["control"], samples)


@contextlib.contextmanager
def _old_snapshot() -> Iterator[None]:
    """A transaction of somebody else that sees the world as it was when it began."""
    from django.db import connections

    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM reviews_queue")
        # The children inherit the socket and leave it alone; Django's own list does not know it.
        yield
        cursor.execute("COMMIT")
    other.close()


def _bench_cycles(most: int) -> None:
    world.enter(max(most + most // 4, 10_000))
    with open_eye() as looks:
        measured = all_at_once(cycles.services, float("inf"), most=most)
    say(measured.line())
    ends, tenth = measured.ends, len(measured.ends) // 10
    marks = [0.0, *(ends[tenth * part - 1] for part in range(1, 11))]
    rates = [tenth / (end - start) for start, end in zip(marks, marks[1:], strict=False)]
    pages = [
        _pages([look for look in looks if start < look.at <= end] or looks)
        for start, end in zip(marks, marks[1:], strict=False)
    ]
    for part, (rate, touched) in enumerate(zip(rates, pages, strict=True), 1):
        say(f"tenth {part:>2}: {rate:>6,.0f} cycles/s, {touched:>5,.0f} pages a claim")
    samples = [{"rate": rate, "pages": touched} for rate, touched in zip(rates, pages, strict=True)]
    unit = f"× the first tenth's rate, {len(ends):,} cycles"
    _report("claims-endurance", rates[-1] / rates[0], unit, rates[0], samples)
    _report("claims-endurance-pages", max(pages), "a claim in the worst tenth", pages[0], samples)


def _pages(looks: list[Look]) -> float:
    return statistics.mean(look.pages for look in looks)


def _report(name: str, value: float, unit: str, control: float, samples: list) -> None:
    Result(
        name=name,
        value=value,
        unit=unit,
        target=TARGETS[name],
        command=f"python {' '.join(sys.argv)}",
        higher_is_better=not name.endswith("pages"),
        control=control,
        samples=samples,
    ).write()


if __name__ == "__main__":
    main()
