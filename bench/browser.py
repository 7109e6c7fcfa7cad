"""The queue browser: a page of jobs by each filter, at 10,000 and at 1,000,000 waiting jobs.

    python bench/browser.py [--ready 1000000] [--full]

Times are CPU time, of this process and its PostgreSQL process together. A page is what jobs.find
and jobs.count ask PostgreSQL for; rare filters match one item in 10,000. Then 10,000 jobs are
raised, moved and put back, each as one operation.
"""

import argparse
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

try:
    from bench import claims as world
except ImportError:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from bench import claims as world
from bench.report import Result, say

COMMAND = "python bench/browser.py"
SMALL = 10_000
GROWTH = 3.0  # of an ordinary page, the largest queue to the smallest
PAGE_MS = 300.0  # the worst page of all, whatever is asked for
REPEATS = 5

_VARIETY = """
UPDATE reviews_item SET language = CASE WHEN id % 10000 = 7 THEN 'fi' ELSE 'en' END,
  risks = jsonb_build_object('spam', (id % 1000) / 1000.0), risk = (id % 1000) / 1000.0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ready", type=int, default=100_000)
    parser.add_argument("--full", action="store_true", help="1,000,000 jobs")
    arguments = parser.parse_args()
    large = 1_000_000 if arguments.full else arguments.ready

    from trustconsole import embedded

    embedded.lend_to(["bench"])
    world.DATABASE = "bench_browser"
    world._set_up()
    found = {size: _pages(size) for size in (SMALL, large)}
    for name in found[large]:
        small, big = found[SMALL][name], found[large][name]
        say(f"  {name:28} {small:7.1f} ms at {SMALL:,}  {big:7.1f} ms at {large:,}")
    plain = ("first page", "deep page", "by age")
    Result(
        name="browser-page-growth",
        value=max(found[large][name] / found[SMALL][name] for name in plain),
        unit=f"× the page at {SMALL:,}, at {large:,}",
        target=GROWTH,
        higher_is_better=False,
        command=COMMAND,
        control={name: found[SMALL][name] for name in plain},
        samples=[found[large][name] for name in plain],
    ).write()
    Result(
        name="browser-worst-page-ms",
        value=max(found[large].values()),
        unit=f"ms CPU, the worst filter's page with its count, at {large:,}",
        target=PAGE_MS,
        higher_is_better=False,
        command=COMMAND,
        control=max(found[SMALL].values()),
        samples=[{name: round(ms, 1) for name, ms in found[large].items()}],
    ).write()
    _operations(large)


def _pages(ready: int) -> dict[str, float]:
    """Milliseconds of each page, the median of REPEATS, with its count."""
    from django.db import connection

    from reviews import bulk_work, jobs
    from reviews.models import Account, Queue

    world._fill(ready)
    with connection.cursor() as cursor:
        cursor.execute(_VARIETY)
        cursor.execute("VACUUM ANALYZE")
    queue = Queue.objects.get(slug="main")
    account = Account.objects.first()
    asked = {
        "first page": jobs.Filter(),
        "deep page": jobs.Filter(),
        "by age": jobs.Filter(order="age"),
        "one lane": jobs.Filter(lane="random"),
        "score band": jobs.Filter(policy="spam", least=0.9, most=0.95),
        "rare language": jobs.Filter(language="fi"),
        "nothing fits": jobs.Filter(language="xx"),
        "rare, by age": jobs.Filter(language="fi", order="age"),
        "one account": jobs.Filter(account=account.pk),
        "claimed": jobs.Filter(state="claimed"),
        "overdue": jobs.Filter(overdue=True),
    }
    place = jobs.find(queue, jobs.Filter(), limit=min(ready // 2, 20_000)).next
    found = {}
    for name, wanted in asked.items():
        after = place if name == "deep page" else None

        def page(wanted: Any = wanted, after: Any = after) -> None:
            found = jobs.find(queue, wanted, limit=50, after=after)
            jobs.load(found.job_ids)
            first = None if after else found
            jobs.count(queue, wanted, most=bulk_work.MOST_JOBS, first_page=first)

        found[name] = statistics.median(_ms(page) for _ in range(REPEATS))
    return found


def _operations(ready: int) -> None:
    from django.contrib.auth.models import Group

    from reviews import bulk_work, jobs
    from reviews.models import Person, Queue

    queue = Queue.objects.get(slug="main")
    other = Queue.objects.create(platform=queue.platform, slug="other", name="Other")
    other.policies.set(queue.policies.all())
    lena = Person.objects.create_user("lena")
    lena.groups.add(Group.objects.get(name="lead"))
    queue.platform.members.add(lena)
    chosen = jobs.find(queue, jobs.Filter(), limit=bulk_work.MOST_JOBS).job_ids
    selection = bulk_work.Selection(chosen)
    common = {"by": lena, "token": None}
    for verb, work in {
        "raise": lambda: bulk_work.raise_jobs(queue, selection, **common | {"token": uuid.uuid4()}),
        "move": lambda: bulk_work.move_jobs(
            queue, selection, to=other, **common | {"token": uuid.uuid4()}
        ),
    }.items():
        started = _cpu()
        operation = work()
        done = _cpu()
        bulk_work.undo_operation(operation, by=lena)
        undone = _cpu()
        say(f"  {verb} {operation.count:,}: {done - started:.1f} s CPU, undo {undone - done:.1f} s")
        Result(
            name=f"browser-{verb}-jobs",
            value=operation.count / (done - started),
            unit=f"jobs a CPU second in one operation, among {ready:,}",
            target=1_000.0,
            command=COMMAND,
            control=f"undo {operation.count / (undone - done):,.0f} jobs/s",
            samples=[done - started, undone - done],
        ).write()


def _ms(work: Callable[[], None]) -> float:
    """On a core, ours and our PostgreSQL process's: what else the machine does costs nothing."""
    started = _cpu()
    work()
    return 1000 * (_cpu() - started)


def _cpu() -> float:
    from django.db import connection

    connection.ensure_connection()
    backend = connection.connection.get_backend_pid()
    return time.process_time() + world._cpu(backend)


if __name__ == "__main__":
    main()
