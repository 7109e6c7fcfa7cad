"""Reviewers who are killed, or stopped and woken when their lease has run out, while they work a
queue empty; and what the database and their own notes say afterwards.

Each process works as a person of her own, a new one after each death, so what the dead held comes
back only when its lease runs out. Somebody else has to sweep.
"""

import gc
import multiprocessing
import os
import random
import signal
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Plan:
    """How rough it gets. Times in seconds, the rest a second."""

    processes: int = 16
    kills: float = 2.0
    stops: float = 1.0
    lease: float = 1.0
    most_seconds: float = 900.0
    seed: int = 1

    @property
    def stopped_for(self) -> float:
        """Long enough for the lease to run out and the job to be swept and taken by another."""
        return self.lease + 1.5


class Outcome(NamedTuple):
    """What must be nothing comes first."""

    lost: int  # jobs that nobody finished
    decided_twice: int  # items
    undecided: int  # jobs finished without a decision
    forgotten: int  # decisions that a reviewer was told of and that are not there
    late_accepted: int  # answers that counted though their lease was over
    held_twice: int  # leases on one job that overlap
    late_refused: int
    kills: int
    stops: int
    rescues: list[float]  # seconds from the dead one's claim to the next one's
    elapsed: float

    @property
    def wrong(self) -> int:
        return sum(self[:6])

    def rescue_p99(self) -> float:
        return statistics.quantiles(self.rescues, n=100)[98] if len(self.rescues) > 1 else 0.0


def run(queue_slug: str, usernames: list[str], plan: Plan, folder: Path) -> Outcome:
    """Until the queue is empty. `usernames` in turn, over again when there are not enough; each
    process leaves its notes in `folder`."""
    from django.db import connections

    # Loaded here and not by each: two a second are born, and a third of the run was imports.
    from reviews import claims, decisions  # noqa: F401

    connections.close_all()
    # What is loaded stays as it is: a child's collector would copy it all by looking at it.
    gc.freeze()
    context = multiprocessing.get_context("fork")
    dice = random.Random(plan.seed)  # noqa: S311
    began = time.monotonic()
    started = kills = stops = 0

    def start():
        nonlocal started
        name = usernames[started % len(usernames)]
        notes = folder / f"{started}.txt"
        process = context.Process(target=_work, args=(queue_slug, name, notes))
        process.start()
        started += 1
        return process

    at_work = [start() for _ in range(plan.processes)]
    asleep: dict[int, float] = {}  # pid → when to wake it
    due = {"kill": 0.0, "stop": 0.0}
    try:
        while at_work:
            time.sleep(0.02)
            now = time.monotonic() - began
            if now > plan.most_seconds:
                raise TimeoutError(f"The queue is not empty after {now:,.0f} s.")
            for pid in [pid for pid, wake in asleep.items() if now >= wake]:
                del asleep[pid]
                _send(pid, signal.SIGCONT)
            if plan.kills and now >= due["kill"]:
                due["kill"] = now + dice.expovariate(plan.kills)
                dice.choice(at_work).kill()
                kills += 1
            if plan.stops and now >= due["stop"]:
                due["stop"] = now + dice.expovariate(plan.stops)
                pid = dice.choice(at_work).pid
                if pid not in asleep and _send(pid, signal.SIGSTOP):
                    asleep[pid] = now + plan.stopped_for
                    stops += 1
            for process in [one for one in at_work if not one.is_alive()]:
                at_work.remove(process)
                asleep.pop(process.pid, None)
                if process.exitcode == -signal.SIGKILL:
                    at_work.append(start())
                elif process.exitcode:
                    raise RuntimeError(f"A reviewer broke off; see {folder}.")
    finally:
        for process in at_work:
            process.kill()
            process.join()
    return _examine(
        folder, lease=plan.lease, kills=kills, stops=stops, elapsed=time.monotonic() - began
    )


_inherited: list[object] = []


def _send(pid: int, sign: signal.Signals) -> bool:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return False
    return True


def _work(queue_slug: str, username: str, notes: Path) -> None:
    """Claim and decide until nothing is left, noting each answer as soon as it is known.

    A note is one write, which a kill does not cut in two.
    """
    from django.db import connection

    from reviews import claims, decisions
    from reviews.errors import ClaimLost
    from reviews.models import Job, Person, Queue

    # What the parent may have had open is not ours to use, nor to close: kept, and forgotten.
    _inherited.append(connection.connection)
    connection.connection = None

    file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    queue = Queue.objects.get(slug=queue_slug)
    person = Person.objects.get(username=username)
    slugs = list(queue.policies.values_list("slug", flat=True))
    answers = ({"verdict": "clean"}, {"verdict": "violating", "policy_slugs": slugs[:1]})
    while True:
        job = claims.claim_next(queue, by=person)
        if job is None:
            if not Job.objects.open().filter(queue=queue).exists():
                break
            time.sleep(0.05)
            continue
        token = job.claim_token
        was_over = time.time() > job.expires_at.timestamp()
        try:
            decision = decisions.record_review(job.pk, token, by=person, **answers[job.pk % 2])
        except ClaimLost:
            os.write(file, f"late {token} 0 0\n".encode())
        else:
            os.write(file, f"done {token} {decision.pk} {int(was_over)}\n".encode())
    connection.close()
    os.close(file)


def _examine(folder: Path, **found) -> Outcome:
    from reviews.models import Claim, Decision

    notes = [
        line.split() for path in folder.glob("*.txt") for line in path.read_text().splitlines()
    ]
    told = [int(decision) for word, _, decision, _ in notes if word == "done"]
    late = [token for word, token, _, _ in notes if word == "late"]
    known = set(Decision.objects.values_list("pk", flat=True))
    refused_and_counted = Claim.objects.filter(token__in=late, end=Claim.End.FINISHED).count()
    was_over = sum(over == "1" for word, _, _, over in notes if word == "done")
    return Outcome(
        lost=_count("SELECT count(*) FROM reviews_job WHERE state <> 'done'"),
        decided_twice=_count(
            "SELECT count(*) FROM "
            "(SELECT FROM reviews_decision GROUP BY item_id HAVING count(*) > 1) AS twice"
        ),
        undecided=_count(
            "SELECT count(*) FROM reviews_job AS job WHERE state = 'done' AND NOT EXISTS "
            "(SELECT FROM reviews_decision WHERE job_id = job.id)"
        ),
        forgotten=sum(pk not in known for pk in told),
        late_accepted=refused_and_counted + was_over,
        held_twice=_count(
            "SELECT count(*) FROM (SELECT claimed_at < lag(ended_at) OVER "
            "(PARTITION BY job_id ORDER BY claimed_at) AS is_over FROM reviews_claim) AS leases "
            "WHERE is_over"
        ),
        late_refused=len(late),
        rescues=_rescues(),
        kills=found["kills"],
        stops=found["stops"],
        elapsed=found["elapsed"],
    )


def _count(sql: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def _rescues() -> list[float]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT seconds FROM (SELECT "end", extract(epoch FROM lead(claimed_at) OVER '
            "(PARTITION BY job_id ORDER BY claimed_at) - claimed_at)::float8 AS seconds "
            "FROM reviews_claim) AS claims WHERE \"end\" = 'expired'"
        )
        return [seconds for (seconds,) in cursor.fetchall()]
