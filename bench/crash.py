"""Reviewers die at work: is a job lost, or decided twice?

    python bench/crash.py [--jobs 100000] [--kills 2] [--stops 1] [--lease 1]

16 client processes claim and decide through the services until the queue is empty. So many a second
are killed (and replaced), or stopped until their lease has long run out and woken again. The
product's own worker and beat sweep expired claims, over a Redis database of their own.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.report import Result, say  # noqa: E402
from bench.reviewing import chaos, world  # noqa: E402

# Beyond lease: from the dead one's claim to the next one's.
RESCUE_SECONDS = 2.0
MOST_MINUTES = 5.0
LEAST_LATE = 20
# Of the checkout's Redis; the product uses the first ones.
BROKER_DATABASE = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--kills", type=float, default=2.0, help="SIGKILLs a second")
    parser.add_argument("--stops", type=float, default=1.0, help="SIGSTOPs a second")
    parser.add_argument("--lease", type=int, default=1, help="seconds")
    arguments = parser.parse_args()
    world.set_up()
    world.enter(arguments.jobs)
    plan = chaos.Plan(
        processes=arguments.processes,
        kills=arguments.kills,
        stops=arguments.stops,
        lease=arguments.lease,
    )
    with _short_leases(plan.lease), _sweepers(), tempfile.TemporaryDirectory() as folder:
        names = [f"reviewer-{number}" for number in range(world.REVIEWERS + 1, world.PEOPLE)]
        _report(chaos.run("main", names, plan, Path(folder)), plan)


@contextlib.contextmanager
def _short_leases(seconds: float) -> Iterator[None]:
    from reviews.models import Queue

    before = Queue.objects.get(slug="main").lease_seconds
    Queue.objects.filter(slug="main").update(lease_seconds=seconds)
    yield
    Queue.objects.filter(slug="main").update(lease_seconds=before)


@contextlib.contextmanager
def _sweepers() -> Iterator[None]:
    """Worker and beat as the product starts them, at work when this yields."""
    from django.conf import settings
    from django.db import connection

    from bench.reviewing.browsers import with_name
    from trustconsole import programs

    environment = {
        **programs.environment(),
        "DATABASE_URL": with_name(os.environ["DATABASE_URL"], connection.settings_dict["NAME"]),
        "CELERY_BROKER_URL": _another_database(os.environ["CELERY_BROKER_URL"]),
    }
    log = settings.VAR_DIR / "bench" / "sweepers.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    commands = [
        programs.worker(["sweep", "enforce"], processes=1, name="bench"),
        programs.beat(),
    ]
    with log.open("w") as output:
        running = [
            subprocess.Popen(  # noqa: S603
                command,
                cwd=world.ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            for command in commands
        ]
        try:
            _wait_for_a_sweep(log)
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)


def _another_database(broker: str) -> str:
    """Not the product's: its own workers would take our tasks, and we theirs."""
    parts = urlsplit(broker)
    if parts.scheme == "redis+socket":
        return f"redis+socket://{parts.path}?{urlencode({'virtual_host': BROKER_DATABASE})}"
    return parts._replace(path=f"/{BROKER_DATABASE}").geturl()


def _wait_for_a_sweep(log: Path) -> None:
    from reviews import claims
    from reviews.models import Job, Person, Queue

    queue = Queue.objects.get(slug="main")
    job = claims.claim_next(queue, by=Person.objects.get(username="reviewer-0"))
    for _ in range(120):
        time.sleep(0.5)
        if Job.objects.get(pk=job.pk).state == Job.State.READY:
            return
    raise SystemExit(f"No sweep has run; see {log}.")


def _report(outcome: chaos.Outcome, plan: chaos.Plan) -> None:
    say(
        f"{outcome.kills} killed, {outcome.stops} stopped, {len(outcome.rescues)} rescued, "
        f"{outcome.late_refused} late answers refused, in {outcome.elapsed:,.0f} s"
    )
    say(
        f"lost {outcome.lost}, decided twice {outcome.decided_twice}, finished without a decision "
        f"{outcome.undecided}, told of and gone {outcome.forgotten}, late but accepted "
        f"{outcome.late_accepted}, held by two {outcome.held_twice}"
    )
    sample = outcome._asdict() | {"rescues": sorted(outcome.rescues)[-100:]}
    rows = [
        ("crash-wrong", outcome.wrong, "jobs lost, twice, undecided, late or double-held", 0),
        ("crash-late-refused", outcome.late_refused, "late answers, all refused", LEAST_LATE),
        ("crash-rescue-p99-s", outcome.rescue_p99(), "s from claim to claim", 0),
        ("crash-minutes", outcome.elapsed / 60, "min", MOST_MINUTES),
    ]
    for name, value, unit, target in rows:
        Result(
            name=name,
            value=value,
            unit=unit,
            target=plan.lease + RESCUE_SECONDS if name.startswith("crash-rescue") else target,
            command=f"python {' '.join(sys.argv)}",
            higher_is_better=name == "crash-late-refused",
            control=f"lease {plan.lease:g} s",
            samples=[sample],
        ).write()


if __name__ == "__main__":
    main()
