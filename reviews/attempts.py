"""Work that takes a worker long: its row is the work, the task a nudge, a sweep begins it again.

A row has `state`, `attempts`, `heartbeat_at`, `created_at` and `error`; its states WAITING and
FAILED are called so, and `running` names the one in which an attempt holds it. One attempt at a
time does, and only that one writes there: whoever is late finds that the row is no longer his.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from django.db import OperationalError, connections, transaction
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Now

from . import audit
from .errors import DomainError
from .wording import kept

MOST = 3
SILENT_FOR = timedelta(seconds=60)  # an attempt without a heartbeat this long is dead
PULSE_SECONDS = 10
SAY_SECONDS = 0.5
_NUDGED_BY_THEN = timedelta(seconds=10)

Row = TypeVar("Row", bound=Model)


class Overtaken(Exception):
    """The row was cancelled, or another attempt holds it."""


class Attempt(Generic[Row]):
    """One process at work on one row."""

    def __init__(self, row: Row, running: str) -> None:
        self.row = row
        self.number: int = row.attempts  # type: ignore[attr-defined]
        self.is_last = self.number >= MOST
        self._running = running
        self._next_word = 0.0

    def rows(self) -> "QuerySet[Row]":
        """The row, as long as this attempt holds it."""
        return type(self.row)._default_manager.filter(
            pk=self.row.pk, state=self._running, attempts=self.number
        )

    def write(self, **values: Any) -> None:
        """Raises Overtaken."""
        if not self.rows().update(**values, heartbeat_at=Now()):
            raise Overtaken

    def say(self, **values: Any) -> None:
        """How far it is; written twice a second at most. Raises Overtaken."""
        if time.monotonic() < self._next_word:
            return
        self._next_word = time.monotonic() + SAY_SECONDS
        self.write(**values)

    @contextlib.contextmanager
    def pulse(self) -> Iterator[None]:
        """A heartbeat beside the work: one step of it may take longer than SILENT_FOR."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(PULSE_SECONDS):
                with contextlib.suppress(OperationalError):
                    self.rows().update(heartbeat_at=Now())
                connections.close_all()

        thread = threading.Thread(target=beat, name="pulse", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextlib.contextmanager
    def failing_as(
        self, verb: str, *, refusals: tuple[type[Exception], ...] = (DomainError,)
    ) -> Iterator[None]:
        """What goes wrong inside is kept on the row.

        A refusal is final, an outage of the database is not while there are attempts left;
        whatever is not a refusal is raised again, for the worker's log.
        """
        try:
            yield
        except Overtaken:
            return
        except refusals as error:
            self.fail(str(error), verb=verb)
        except Exception as error:
            is_final = self.is_last or not isinstance(error, OperationalError)
            self.fail(f"{type(error).__name__}: {error}", verb=verb, is_final=is_final)
            raise

    def fail(self, error: str, *, verb: str, is_final: bool = True) -> None:
        """Failed, with an audit entry of that verb ("": none); or, if not final, waiting again."""
        states = self.row.State  # type: ignore[attr-defined]
        longest = type(self.row)._meta.get_field("error").max_length or 2000
        values: dict[str, Any] = {"state": states.WAITING, "error": error[:longest]}
        if is_final:
            values |= {"state": states.FAILED, "finished_at": Now()}
        with transaction.atomic():
            if self.rows().update(**values) and is_final and verb:
                platform = self.row.platform_id  # type: ignore[attr-defined]
                audit.record(verb, self.row, by=None, platform=platform, error=error[:200])


def begin(rows: "QuerySet[Row]", pk: int, *, running: str, **values: Any) -> Attempt[Row] | None:
    """Take this one of `rows` that waits or has fallen silent; None if there is nothing to take."""
    begun = (
        rows.model._default_manager.filter(_silent(running) | Q(state="waiting"), pk=pk)
        .filter(attempts__lt=MOST)
        .update(state=running, attempts=F("attempts") + 1, heartbeat_at=Now(), error="", **values)
    )
    return Attempt(rows.get(pk=pk), running) if begun else None


def resume(rows: "QuerySet[Row]", *, running: str, verb: str, advice: str = "") -> list[int]:
    """Sweep: give up what fell silent three times; the ids of what is to be nudged again."""
    for lost in rows.filter(_silent(running), attempts__gte=MOST):
        error = kept(
            "The process that ran it stopped %(most)s times without a word; it may be short of "
            "memory. %(advice)sLook at the worker's log.",
            most=MOST,
            advice=f"{advice} " if advice else "",
        )
        Attempt(lost, running).fail(error, verb=verb)
    waiting = Q(state="waiting", created_at__lt=Now() - _NUDGED_BY_THEN)
    due = rows.filter(_silent(running) | waiting, attempts__lt=MOST)
    return list(due.values_list("pk", flat=True))


def _silent(running: str) -> Q:
    return Q(state=running, heartbeat_at__lt=Now() - SILENT_FOR)
