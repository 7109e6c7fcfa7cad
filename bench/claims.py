"""Claim + decide: by the services beside raw SQL, and through the pages beside a bare Django one.

    python bench/claims.py [services] [http] [--full] [--sizes 10000 1000000] [--seconds 10]

services: 16 processes, in turns with the control: the same claim and the rows no decision can do
without, as hand-written SQL. Then how far from the best job each claim was.
http: 16 reviewers, signed in, CSRF, each answer bringing the next job's fragment, in turns with the
bare page; then without JavaScript, where the claim is a request of its own.
Each size is a database of its own that is kept (var/), and each run begins with all jobs ready.
"""

import argparse
import itertools
import multiprocessing
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import Result, say  # noqa: E402
from bench.reviewing import browsers, cycles, world  # noqa: E402
from bench.reviewing.crowd import Measured, all_at_once, best  # noqa: E402

# Of the issue, and of the bars where they say more. A size is added to names with {ready}.
TARGETS = {
    "claims-services-rate": 1000.0,
    "claims-services-pg-cpu-ratio": 1.5,
    "claims-services-growth": 1.15,
    "claims-order": 16.0,
    "claims-http-rate-{ready}": 150.0,
    "claims-http-p95-ms-{ready}": 150.0,
    "claims-http-claim-p95-ms-{ready}": 100.0,
    "claims-http-growth": 1.15,
    "claims-http-of-bare": 0.5,
    "claims-http-app-cpu-ms": 8.0,
    "claims-http-pg-cpu-ms": 2.5,
}
# What 16 reviewers have to reach, in cycles a second: claims are timed at this rate.
PACE = 150.0
SIZES = [10_000, 100_000]
FULL_SIZES = [10_000, 100_000, 1_000_000]


def main() -> None:
    arguments = _arguments()
    began = time.perf_counter()
    world.set_up()
    sizes = sorted(arguments.sizes or (FULL_SIZES if arguments.full else SIZES))
    wanted = arguments.parts or ["services", "http"]
    if "services" in wanted:
        _bench_services(sizes, arguments.seconds, arguments.repeat)
        _bench_order(sizes[0], min(arguments.seconds, 5))
    if "http" in wanted:
        _bench_http(sizes, arguments.seconds, arguments.repeat)
    say(f"Took {time.perf_counter() - began:,.0f} s.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=["services", "http", []])
    parser.add_argument("--seconds", type=float, default=10, help="each run's length")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each kind; the best counts")
    parser.add_argument("--sizes", type=int, nargs="+", help="ready jobs, instead of the usual")
    parser.add_argument("--full", action="store_true", help="up to 1,000,000 ready jobs")
    return parser.parse_args()


def _bench_services(sizes: list[int], seconds: float, repeat: int) -> None:
    """The sizes in turns, so that a busy minute of the machine falls on all of them."""
    found: dict[tuple[int, str], list[Measured]] = {}
    sides = {"control": cycles.raw, "ours": cycles.services}
    for _, ready in itertools.product(range(repeat), sizes):
        for side, make_cycle in sides.items():
            world.enter(ready)
            measured = all_at_once(make_cycle, seconds)
            found.setdefault((ready, side), []).append(measured)
            say(f"{ready:>9,} ready  {side:8}{measured.line()}")
    small, large = sizes[0], sizes[-1]
    ours = {ready: best(found[ready, "ours"]) for ready in sizes}
    raw = {ready: best(found[ready, "control"]) for ready in sizes}
    samples = _samples(found)
    _report("claims-services-rate", ours[large].rate, "cycles/s", raw[large].rate, samples)
    _report(
        "claims-services-pg-cpu-ratio",
        ours[large].pg_ms() / raw[large].pg_ms(),
        "× raw SQL",
        raw[large].pg_ms(),
        samples,
    )
    _report(
        "claims-services-growth",
        ours[large].pg_ms() / ours[small].pg_ms(),
        f"× PostgreSQL CPU at {small:,}, with {large:,}",
        raw[large].pg_ms() / raw[small].pg_ms(),
        samples,
    )


def _bench_order(ready: int, seconds: float) -> None:
    """How many better jobs of its lane a claim leaves behind while fifteen others claim too."""
    world.enter(ready)
    left = multiprocessing.Array("q", 200)
    all_at_once(partial(cycles.in_order, left), seconds)
    counts = {behind: count for behind, count in enumerate(left) if count}
    say(f"{sum(counts.values()):,} claims, by better jobs left behind: {counts}")
    _report("claims-order", max(counts), "better jobs left", world.REVIEWERS, [counts])


def _bench_http(sizes: list[int], seconds: float, repeat: int) -> None:
    """Ours and the bare one in turns, each with a fresh gunicorn on the same rows."""
    found: dict[tuple[int, str], list[Measured]] = {}

    def run(ready: int, name: str, side: browsers.Side, *, pace: float | None = None) -> None:
        world.enter(ready)
        sessions = browsers.sign_in()
        with browsers.served(side) as (port, server):
            measured = browsers.browse(side, port, server, sessions, seconds, pace=pace)
        found.setdefault((ready, name), []).append(measured)
        say(f"{ready:>9,} ready  {name:8}{measured.line()}")

    for _, ready in itertools.product(range(repeat), sizes):
        run(ready, "control", browsers.BARE)
        run(ready, "ours", browsers.OURS)
        run(ready, "paced", browsers.OURS, pace=PACE)
    samples = _samples(found)
    small, large = sizes[0], sizes[-1]
    ours = {ready: best(found[ready, "ours"]) for ready in sizes}
    bare = {ready: best(found[ready, "control"]) for ready in sizes}
    for ready in sizes:
        name, mine, floor = f"-{ready}", ours[ready], bare[ready]
        paced = min(found[ready, "paced"], key=lambda one: one.percentile_ms(95))
        _report(f"claims-http-rate{name}", mine.rate, "cycles/s", floor.rate, samples)
        for what, measured in (("p95-ms", mine), ("claim-p95-ms", paced)):
            value, control = measured.percentile_ms(95), floor.percentile_ms(95)
            _report(f"claims-http-{what}{name}", value, "ms", control, samples)
    mine, floor = ours[large], bare[large]
    # By CPU a cycle: on a quiet machine the same as by the clock, on a busy one steadier.
    rows = [
        (
            "growth",
            mine.cpu_ms() / ours[small].cpu_ms(),
            f"× CPU at {small:,}, with {large:,}",
            floor.cpu_ms() / bare[small].cpu_ms(),
        ),
        ("of-bare", floor.cpu_ms() / mine.cpu_ms(), "of bare Django by CPU", floor.cpu_ms()),
        ("app-cpu-ms", mine.app_ms(), "ms a cycle", floor.app_ms()),
        ("pg-cpu-ms", mine.pg_ms(), "ms a cycle", floor.pg_ms()),
    ]
    for what, value, unit, control in rows:
        _report(f"claims-http-{what}", value, unit, control, samples)


def _samples(found: dict[tuple[int, str], list[Measured]]) -> list[dict]:
    return [
        {
            "ready": ready,
            "side": side,
            "rate": run.rate,
            "app_ms": run.app_ms(),
            "pg_ms": run.pg_ms(),
            "p50_ms": run.percentile_ms(50),
            "p95_ms": run.percentile_ms(95),
        }
        for (ready, side), runs in found.items()
        for run in runs
    ]


def _report(name: str, value: float, unit: str, control: float, samples: list) -> None:
    ready = name.rpartition("-")[2]
    target = name.replace(f"-{ready}", "-{ready}") if ready.isdecimal() else name
    Result(
        name=name,
        value=value,
        unit=unit,
        target=TARGETS[target],
        command=f"python {' '.join(sys.argv)}",
        higher_is_better=name.startswith(_MORE_IS_BETTER),
        control=control,
        samples=samples,
    ).write()


_MORE_IS_BETTER = ("claims-services-rate", "claims-http-rate", "claims-http-of-bare")


if __name__ == "__main__":
    main()
