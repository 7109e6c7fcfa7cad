"""A seventeenth reviewer who only looks: how many pages of PostgreSQL a claim has to touch."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from typing import NamedTuple

from .world import REVIEWERS


class Look(NamedTuple):
    at: float  # seconds since the eye opened
    pages: int


@contextlib.contextmanager
def open_eye(*, every: float = 1.0) -> Iterator[list[Look]]:
    """Claims and gives back so often beside the others; what it saw is in the list at the end."""
    from django.db import connections

    connections.close_all()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_look, args=(there, every))
    process.start()
    seen: list[Look] = []
    try:
        yield seen
    finally:
        here.send("stop")
        found = here.recv()
        process.join()
    if isinstance(found, str):
        raise SystemExit(found)
    seen.extend(found)


def _look(pipe, every: float) -> None:
    looks = []
    try:
        from reviews import claims
        from reviews.models import Person, Queue

        queue = Queue.objects.get(slug="main")
        person = Person.objects.get(username=f"reviewer-{REVIEWERS}")
        # Nothing counts before the connection knows its tables and plans.
        for _ in range(8):
            job = claims.claim_next(queue, by=person)
            claims.release(job.pk, job.claim_token, by=person)
        idle = min(_touched() for _ in range(5))
        begun = time.perf_counter()
        while not pipe.poll(every):
            _touched()
            job = claims.claim_next(queue, by=person)
            looks.append(Look(time.perf_counter() - begun, _touched() - idle))
            claims.release(job.pk, job.claim_token, by=person)
        pipe.send(looks)
    except Exception as error:
        pipe.poll(None)
        pipe.send(f"{type(error).__name__}: {error}")


_before = 0


def _touched() -> int:
    """Pages this connection has touched since the last call (PostgreSQL 18 counts them)."""
    global _before
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT sum(hits) + sum(reads) FROM pg_stat_get_backend_io(pg_backend_pid())"
        )
        now = int(cursor.fetchone()[0])
    touched, _before = now - _before, now
    return touched
