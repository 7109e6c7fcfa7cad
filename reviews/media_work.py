"""Preparing media, in a worker: what is due is fetched, if it lies elsewhere, and encoded anew.

Row, nudge, sweep. The row is leased by its due_at, with no transaction open meanwhile. Whatever a
hostile file does to its reader happens in a process of its own (encoding.py), which has no more
memory, time and disk than it is given, and no secrets. A file that cannot be shown is failed at
once; what goes wrong on our side is tried three times, then parked.
"""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.base import File
from django.db import connection, transaction
from django.db.models.functions import Now

from . import encoding, fetching, media
from .models import Medium

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LEASE_SECONDS = 600
WALL_SECONDS = 200
FETCH_SECONDS = 60
LIMITS = encoding.Limits(
    pixels=50_000_000,
    side=1600,
    thumb=320,
    seconds=600,
    frames=600,
    memory_bytes=2 * 2**30,
    cpu_seconds=180,
    file_bytes=256 * 2**20,
)
_PROGRAM = Path(encoding.__file__)
_CHUNK = 2**20

_TAKE = """
UPDATE reviews_medium SET
  attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => %s)
WHERE id = (
  SELECT id FROM reviews_medium WHERE state = 'due' AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id
"""


class Hopeless(Exception):
    """This file is not one we can show; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Prepared(NamedTuple):
    told: dict[str, Any]
    sha256: str
    bytes_in: int
    renditions: dict[str, Any]


def prepare_due(*, seconds: float = 0.0, limit: int = 100) -> int:
    """Prepare one medium after the other until none is due, or the time is up. Returns how many."""
    stop = time.monotonic() + seconds
    done = 0
    while done < limit:
        medium = _take()
        if medium is None:
            break
        prepare(medium)
        done += 1
        if time.monotonic() >= stop:
            break
    return done


def is_any_due() -> bool:
    return Medium.objects.filter(state=Medium.State.DUE, due_at__lte=Now()).exists()


def prepare(medium: Medium) -> None:
    """One attempt for a medium in hand."""
    if medium.attempts > MAX_ATTEMPTS:
        # Whoever had it the last time did not live to say why.
        _settle(medium, state=Medium.State.PARKED, error=medium.error or "gave_up")
        return
    try:
        done = _work(medium)
    except Hopeless as error:
        _settle(medium, state=Medium.State.FAILED, error=error.code)
    except Exception:
        logger.exception("Medium %s could not be prepared (attempt %s)", medium.pk, medium.attempts)
        is_last = medium.attempts == MAX_ATTEMPTS
        _settle(
            medium,
            state=Medium.State.PARKED if is_last else Medium.State.DUE,
            error="gave_up",
            due_at=Now() + timedelta(seconds=30 * medium.attempts),
        )
    else:
        told = done.told
        is_kept = _settle(
            medium,
            state=Medium.State.READY,
            error="cut" if told["is_cut"] else "",
            form=told["form"],
            width=told["width"],
            height=told["height"],
            seconds=told["seconds"],
            sha256=done.sha256,
            bytes_in=done.bytes_in,
            renditions=done.renditions,
        )
        if not is_kept:  # erased meanwhile
            media.remove_files(one["name"] for one in done.renditions.values())


def retry_parked() -> int:
    """After somebody has put right what was wrong on our side."""
    rows = Medium.objects.filter(state=Medium.State.PARKED)
    count = rows.update(state=Medium.State.DUE, attempts=0, due_at=Now(), error="")
    if count:
        media.nudge()
    return count


def encode(source: Path, folder: Path) -> dict[str, Any]:
    """Run encoding.py on a file in a process that cannot take this one down."""
    try:
        done = subprocess.run(  # noqa: S603
            [
                *(sys.executable, "-I", str(_PROGRAM), str(source), str(folder)),
                json.dumps(LIMITS._asdict()),
            ],
            env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WALL_SECONDS,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise Hopeless("too_much") from None
    if done.returncode == 0:
        told: dict[str, Any] = json.loads(done.stdout)
        return told
    if done.returncode == 3:
        raise Hopeless(json.loads(done.stdout)["error"])
    logger.warning(
        "The encoder ended with %s: %s",
        done.returncode,
        done.stderr.decode(errors="replace")[-2000:],
    )
    # By a signal: it hit a limit, or the file brought it down.
    raise Hopeless("too_much" if done.returncode < 0 else "unreadable")


def _take() -> Medium | None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [LEASE_SECONDS])
        row = cursor.fetchone()
    return Medium.objects.get(pk=row[0]) if row else None


def _work(medium: Medium) -> Prepared:
    with tempfile.TemporaryDirectory(prefix="medium-") as folder:
        source, out = Path(folder, "original"), Path(folder, "out")
        out.mkdir()
        _bring(medium, source)
        told = encode(source, out)
        digest, size = _digest(source), source.stat().st_size
        renditions: dict[str, Any] = {}
        try:
            for name, one in told["renditions"].items():
                path = out / one["file"]
                with path.open("rb") as file:
                    stored = media.store(medium.platform_id, one["file"], File(file))
                renditions[name] = {
                    **{key: value for key, value in one.items() if key != "file"},
                    "name": stored,
                    "bytes": path.stat().st_size,
                    "sha256": _digest(path),
                }
        except BaseException:
            media.remove_files(one["name"] for one in renditions.values())
            raise
    return Prepared(told, digest, size, renditions)


def _bring(medium: Medium, to: Path) -> None:
    """The bytes that came in, or that lie at its address, as a file."""
    if medium.source == Medium.Source.ADDRESS:
        if not media.may_fetch(medium.address):  # any more
            raise Hopeless("not_allowed")
        try:
            fetching.fetch(
                medium.address,
                to,
                most_bytes=settings.MEDIA_MAX_BYTES,
                seconds=FETCH_SECONDS,
            )
        except fetching.NotFetched as error:
            if error.is_final or medium.attempts >= MAX_ATTEMPTS:
                raise Hopeless(error.code) from error
            raise
        return
    with media.storage().open(medium.original) as original, to.open("wb") as file:
        for chunk in original.chunks(_CHUNK):
            file.write(chunk)


def _settle(medium: Medium, **values: Any) -> bool:
    """Write what came of this attempt, if it is still ours; then the original has had its use."""
    with transaction.atomic():
        kept = Medium.objects.filter(pk=medium.pk, state=Medium.State.DUE, attempts=medium.attempts)
        is_over = values["state"] in (Medium.State.READY, Medium.State.FAILED)
        if is_over:
            values["original"] = ""
        if not kept.update(**values):
            return False
        if values["state"] == Medium.State.READY:
            media.hold_against_lists([medium.pk])
    if is_over and medium.original:
        media.remove_files([medium.original])
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
