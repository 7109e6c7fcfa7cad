"""Many reviewers at once, each in a process of her own, and what it took.

CPU is each process's own time on a core (schedstat), so a busy machine changes it little.
"""

import gc
import itertools
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .world import REVIEWERS


class Measured(NamedTuple):
    """What one run of all reviewers took. Times in seconds; `ends` from the common start."""

    cycles: int
    elapsed: float
    app_cpu: float
    pg_cpu: float
    latencies: list[float]
    ends: list[float] = []

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

    def rate_between(self, start: float, end: float) -> float:
        """Cycles a second that ended in this part of the run."""
        return sum(start < at <= end for at in self.ends) / (end - start)

    def line(self) -> str:
        return (
            f"{self.rate:>7,.0f} cycles/s  {self.app_ms():>5.2f} ms app CPU  "
            f"{self.pg_ms():>5.2f} ms PostgreSQL CPU  p50 {self.percentile_ms(50):>6.1f} ms  "
            f"p95 {self.percentile_ms(95):>6.1f} ms"
        )


def best(runs: list[Measured]) -> Measured:
    """The run the rest of the machine disturbed least."""
    return max(runs, key=lambda run: run.rate)


def all_at_once(
    make_work: Callable[[int], Callable[[], None]], seconds: float, *, most: int | None = None
) -> Measured:
    """All reviewers for so long, or for `most` cycles together; each in a process of her own with
    one connection."""
    from django.db import connections

    connections.close_all()
    # What was loaded stays as it is: a child's collector would copy it all by looking at it.
    gc.freeze()
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(REVIEWERS)
    left = context.Value("q", sys.maxsize if most is None else most)
    results = context.SimpleQueue()
    processes = [
        context.Process(target=_one, args=(number, make_work, seconds, left, barrier, results))
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
        ends=sorted(itertools.chain.from_iterable(itertools.accumulate(row[3]) for row in rows)),
    )


def _one(number, make_work, seconds, left, barrier, results) -> None:
    from django.db import connection

    try:
        connection.ensure_connection()
        backend = connection.connection.get_backend_pid()
        cycle = make_work(number)
        for _ in range(8):  # PostgreSQL settles on a plan after five
            cycle()
        barrier.wait(60)
        latencies = []
        app, pg, start = time.process_time(), cpu(backend), time.perf_counter()
        before = start
        while before - start < seconds and _is_one_left(left):
            cycle()
            after = time.perf_counter()
            latencies.append(after - before)
            before = after
        results.put((before - start, time.process_time() - app, cpu(backend) - pg, latencies))
    except Exception as error:
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")


def _is_one_left(left) -> bool:
    with left.get_lock():
        left.value -= 1
        return left.value >= 0


def cpu(pid: int) -> float:
    """Seconds on a core since it began, all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
