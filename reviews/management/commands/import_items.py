"""Bring items in from a file: JSON lines (.jsonl, .jsonl.gz), CSV (.csv, .csv.gz) or Parquet.

Read and stored in batches, so that a file of any size fits. Each batch is stored whole or not at
all; running the same file again changes nothing, so a broken-off import is simply run again.
"""

import gc
import io
import json
import signal
import threading
import time
from argparse import ArgumentParser
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from reviews import audit, intake
from reviews.errors import DomainError
from reviews.management.item_files import Batch, Line, ReadAhead, RowReader
from reviews.management.platforms import find_platform
from reviews.models import Platform
from reviews.placement import shapes_of
from reviews.submission import MAX_ROWS, Errors, Outcome

WRITERS = 2  # connections that store: one works in the database while the other prepares


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--kind", required=True, help="slug of the item kind")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            dest="mapping",
            metavar="FIELD=COLUMN",
            help="external_id=COLUMN, and FIELD=COLUMN for each field of the kind; what is not "
            "mapped is taken from the column of its own name",
        )
        for name, what in (
            ("account", "the author's id"),
            ("account-name", "the author's name"),
            ("language", "the language"),
            ("posted-at", "when it was posted"),
            ("views", "views per hour"),
            ("views-so-far", "views so far"),
        ):
            parser.add_argument(f"--{name}", metavar="COLUMN", help=f"column of {what}")
        parser.add_argument(
            "--rejects",
            type=Path,
            help="where rejected rows go, as JSON lines with reasons (FILE.rejects.jsonl)",
        )
        parser.add_argument("--batch", type=int, default=5000, help="rows stored at once (5000)")

    def handle(self, *, file: Path, batch: int, rejects: Path | None, **options: Any) -> None:
        platform = find_platform(options["platform"])
        if not 1 <= batch <= MAX_ROWS:
            raise CommandError(f"--batch is a number from 1 to {MAX_ROWS:,}.")
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        shapes = shapes_of(platform)
        if options["kind"] not in shapes:
            raise CommandError(f"The kinds of {platform} are: {', '.join(sorted(shapes))}.")
        reader = RowReader(platform.kinds.get(slug=options["kind"]), shapes, options)
        rejects = rejects or file.with_name(f"{file.name}.rejects.jsonl")
        counts: Counter[str] = Counter()
        started = time.monotonic()
        try:
            with ExitStack() as stack:
                stop = stack.enter_context(StopRequest())
                stack.enter_context(_rare_collection())
                out = stack.enter_context(RejectsFile(rejects))
                bar = stack.enter_context(_progress(file))
                batches = stack.enter_context(ReadAhead(file, reader, batch))
                for part, outcomes in _stored(platform, batches, stop):
                    counts.update(outcome.status for outcome in outcomes)
                    for line, outcome in zip(part.lines, outcomes, strict=True):
                        if outcome.status == "rejected":
                            out.write(line, outcome.errors)
                    bar.update(max(0, part.position - bar.n))
                    bar.set_postfix(items=counts.total(), refresh=False)
        except DomainError as error:
            raise CommandError(str(error)) from None
        self._conclude(platform, file, counts, started, rejects)
        if stop.is_asked:
            raise CommandError(
                "Stopped. Whole batches are stored; run it again to go on.", returncode=130
            )

    def _conclude(
        self, platform: Platform, file: Path, counts: Counter[str], started: float, rejects: Path
    ) -> None:
        """Make it durable, and say what happened."""
        # The writers commit without waiting for the disk; this commit waits for all before it.
        audit.record(
            "item.import", platform, by=None, platform=platform, file=file.name, **dict(counts)
        )
        seconds = max(time.monotonic() - started, 0.001)
        total = counts.total()
        parts = [
            f"{counts[status]:,} {status}"
            for status in ("created", "changed", "unchanged", "rejected")
        ]
        self.stderr.write(
            f"{total:,} rows in {seconds:.1f} s ({total / seconds:,.0f}/s): {', '.join(parts)}."
        )
        if counts["rejected"]:
            self.stderr.write(f"Rejected rows, with reasons: {rejects}")


def _stored(
    platform: Platform, batches: Iterable[Batch], stop: "StopRequest"
) -> Iterator[tuple[Batch, list[Outcome]]]:
    """Batches with their outcomes, in the file's order; WRITERS of them are stored at a time.

    Batches that share an item or a text wait for each other, so that the later row has the last
    word and copies of a text land in one split group.
    """
    pools = [ThreadPoolExecutor(1) for _ in range(WRITERS)]
    running: deque[tuple[Batch, Future[list[Outcome]]]] = deque()
    try:
        for turn, batch in enumerate(batches):
            while len(running) == WRITERS or any(
                not batch.keys.isdisjoint(other.keys) for other, _ in running
            ):
                oldest, future = running.popleft()
                yield oldest, future.result()
            pool = pools[turn % WRITERS]
            future = pool.submit(
                intake.store_items, platform, batch.read, by=None, is_durable=False
            )
            running.append((batch, future))
            if stop.is_asked:
                break
        while running:
            oldest, future = running.popleft()
            yield oldest, future.result()
    finally:
        for pool in pools:
            pool.submit(connection.close)
            pool.shutdown()  # what is under way is stored whole


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Batches make no cycles to speak of; looking for them took a fifth of the time."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _progress(file: Path) -> tqdm:
    return tqdm(total=file.stat().st_size, unit="B", unit_scale=True, desc=file.name, disable=None)


class StopRequest:
    """Ctrl-C ends the import after the batches that are under way; a second one at once."""

    def __init__(self) -> None:
        self.is_asked = False
        self._handler: Any = None

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def _note(self, *_: object) -> None:
        self.is_asked = True
        signal.signal(signal.SIGINT, self._handler)


class RejectsFile:
    """Made when the first row is rejected; an older one is replaced then, or removed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.TextIOBase | None = None

    def __enter__(self) -> "RejectsFile":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()
        elif exc[0] is None:
            self._path.unlink(missing_ok=True)

    def write(self, line: Line, errors: Errors) -> None:
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
        row = {"line": line.number, "errors": errors, "row": line.values}
        self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
