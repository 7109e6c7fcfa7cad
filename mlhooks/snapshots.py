"""Freezes labels into files anyone can load: Parquet by split, JSONL, manifest, card, Croissant.

A snapshot is a cutoff. Its files follow from the cutoff alone, so building it twice gives the
same bytes, and a build that dies is simply begun again.
"""

import os
import shutil
import time
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, attempts, audit
from reviews.errors import Conflict, DomainError, Gone, Invalid, NotFound
from reviews.models import AuditEntry, Decision, Person, Platform

from . import labels, tallies
from .models import Snapshot

State = Snapshot.State
WRITERS_WAIT_SECONDS = 60


def create_snapshot(platform: Platform, *, by: Person | None, note: str = "") -> Snapshot:
    """Fix the cutoff at the newest decision there is now; the files follow in a task."""
    access.check(by, "snapshot.create", platform)
    note = " ".join(note.split())
    if len(note) > 200:
        raise Invalid(_("The note is too long."), details={"note": _("At most 200 characters.")})
    with transaction.atomic():
        # Numbers have no gaps, so makers queue up; rows that point here are not held up by it.
        Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)
        decisions = Decision.objects.filter(item__platform=platform)
        cutoff_id = decisions.aggregate(Max("id"))["id__max"]
        if cutoff_id is None:
            raise Invalid(_("There is nothing to freeze yet: no item has been decided."))
        newest = Snapshot.objects.filter(platform=platform).aggregate(Max("number"))["number__max"]
        snapshot = Snapshot.objects.create(
            platform=platform,
            number=(newest or 0) + 1,
            note=note,
            cutoff_id=cutoff_id,
            cutoff_at=Now(),
            rows_expected=decisions.filter(verdict__isnull=False).count(),
            manifest={"frozen": labels.freeze(platform)._asdict()},
            created_by=by,
        )
        snapshot.refresh_from_db()
        audit.record(
            "snapshot.create",
            snapshot,
            by=by,
            platform=platform,
            number=snapshot.number,
            cutoff_id=cutoff_id,
        )
        transaction.on_commit(lambda: nudge(snapshot.pk), robust=True)
    return snapshot


def preview(platform: Platform) -> tallies.Tally:
    """What a snapshot taken now would hold."""
    return tallies.count(platform.pk, _newest(platform), labels.freeze(platform))


def preview_leakage(platform: Platform) -> tallies.Leakage:
    """What would stand in two of its splits."""
    return tallies.leakage(platform.pk, _newest(platform))


def _newest(platform: Platform) -> int:
    decisions = Decision.objects.filter(item__platform=platform)
    return decisions.aggregate(Max("id"))["id__max"] or 0


def nudge(snapshot_id: int) -> None:
    current_app.send_task("mlhooks.tasks.build_snapshot", args=[snapshot_id])


def build(snapshot_id: int) -> None:
    """Write the files, unless that is done or another process is at it. Safe to call again."""
    from . import snapshot_files

    rows = Snapshot.objects.select_related("platform")
    attempt = attempts.begin(rows, snapshot_id, running=State.BUILDING, rows_done=0)
    if attempt is None:
        return
    snapshot = attempt.row
    scratch = folder(snapshot).with_name(f".{snapshot.number}.{attempt.number}")
    try:
        with attempt.failing_as("snapshot.fail", refusals=(DomainError, OSError)):
            _wait_for_writers(attempt)
            attempt.write(erasures_upto=trail_head())  # before the first row is read
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            manifest = snapshot_files.write(
                snapshot, scratch, progress=lambda rows: attempt.say(rows_done=rows)
            )
            _publish(scratch, folder(snapshot))
            _finish(attempt, manifest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def resume_stuck() -> int:
    """Sweep: begin again what waits or fell silent; give up after three attempts."""
    pks = attempts.resume(Snapshot.objects.all(), running=State.BUILDING, verb="snapshot.fail")
    for pk in pks:
        nudge(pk)
    return len(pks)


def folder(snapshot: Snapshot) -> Path:
    return settings.SNAPSHOT_DIR / snapshot.platform.slug / str(snapshot.number)


def list_files(snapshot: Snapshot) -> list[dict]:
    """What can be downloaded: the manifest's files, and the manifest itself."""
    return [*snapshot.manifest.get("files", []), *snapshot.manifest.get("itself", [])]


def standing(snapshot: Snapshot) -> Snapshot:
    """Itself, or what has taken the place of a withdrawn one, at the end of the chain."""
    while snapshot.state == State.WITHDRAWN:
        snapshot = snapshot.replaced_by
    return snapshot


def withdrawn(snapshot: Snapshot) -> Gone:
    """What to tell whoever asks for the files of a withdrawn snapshot."""
    number = standing(snapshot).number
    return Gone(
        _(
            "Snapshot %(number)s was taken back: %(because)s Snapshot %(replaced_by)s takes its "
            "place."
        )
        % {
            "number": snapshot.number,
            "because": snapshot.withdrawn_because,
            "replaced_by": number,
        },
        details={"reason": snapshot.withdrawn_because, "replaced_by": number},
    )


def trail_head() -> int:
    """Position of the newest sealed audit entry."""
    return AuditEntry.objects.aggregate(Max("position"))["position__max"] or 0


def get_file(snapshot: Snapshot, name: str) -> tuple[Path, dict]:
    """A file of the snapshot by the name in its manifest; no other path can be asked for."""
    if snapshot.state == State.WITHDRAWN:
        raise withdrawn(snapshot)
    if snapshot.state != State.READY:
        raise Conflict(_("This snapshot has no files: it is not ready."))
    for entry in list_files(snapshot):
        if entry["name"] == name:
            path = folder(snapshot) / entry["name"]
            if not path.is_file():
                raise NotFound(_("The file is gone from the snapshot folder."))
            return path, entry
    raise NotFound(_("This snapshot has no file of that name."))


def record_download(snapshot: Snapshot, name: str, *, by: Person | None, part: str = "") -> None:
    """Who took which file, or which part of it."""
    access.check(by, "snapshot.download", snapshot.platform_id)
    audit.record(
        "snapshot.download",
        snapshot,
        by=by,
        platform=snapshot.platform_id,
        file=name,
        **({"part": part} if part else {}),
    )


def _wait_for_writers(attempt: attempts.Attempt[Snapshot]) -> None:
    """Wait until no open transaction can still commit a decision with an id up to the cutoff.

    Ids are given out before commit, so one below the cutoff may appear after it. Whoever was
    given such an id held a write lock on the table then; when those of this moment are gone,
    the cutoff is closed. (CREATE INDEX CONCURRENTLY waits in the same way.)
    """
    holders = _decision_writers()
    give_up = time.monotonic() + WRITERS_WAIT_SECONDS
    while holders & _decision_writers():
        if time.monotonic() > give_up:
            raise Conflict(
                _(
                    "A transaction that writes decisions has been open for over a minute, so the "
                    "cutoff cannot be closed. End it (see pg_stat_activity) and make a new "
                    "snapshot."
                )
            )
        attempt.write()
        time.sleep(0.1)


def _decision_writers() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT virtualtransaction FROM pg_locks
            WHERE locktype = 'relation' AND relation = 'reviews_decision'::regclass
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND mode = 'RowExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()
            """
        )
        return {row[0] for row in cursor.fetchall()}


def _publish(scratch: Path, final: Path) -> None:
    """Put the finished folder in place in one step. What stands there is an equal older build."""
    shutil.rmtree(final, ignore_errors=True)
    os.replace(scratch, final)


def _finish(attempt: attempts.Attempt[Snapshot], manifest: dict) -> None:
    from . import snapshot_files

    snapshot = attempt.row
    itself = snapshot_files.entry_of(folder(snapshot) / "manifest.json")
    with transaction.atomic():
        attempt.write(
            state=State.READY,
            manifest={**manifest, "itself": [itself]},
            rows_done=manifest["rows"],
            rows_expected=manifest["rows"],
            finished_at=Now(),
        )
        audit.record(
            "snapshot.finish",
            snapshot,
            by=None,
            platform=snapshot.platform_id,
            rows=manifest["rows"],
            manifest_sha256=itself["sha256"],
        )
