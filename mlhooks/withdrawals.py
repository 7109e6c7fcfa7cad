"""Takes back what was erased: a snapshot that holds an erased item loses its files to a new one.

Reviews erases an item and says so in its trail; the sweep here reads the trail on from where each
snapshot stands. The old version keeps its number, counts and hashes; its files are gone, and the
version that took its place, with the same cutoff and without the rows, is named wherever they are
asked for.
"""

import shutil
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from reviews import audit
from reviews.errors import NotFound
from reviews.models import AuditEntry, Platform

from . import labels, snapshots
from .models import ModelVersion, Snapshot

State = Snapshot.State
RETRY_AFTER = timedelta(minutes=15)


def sweep() -> int:
    """Withdraw every snapshot that holds what was erased since; returns how many."""
    head = snapshots.trail_head()
    withdrawn = 0
    for snapshot in Snapshot.objects.filter(state=State.READY, erasures_upto__lt=head):
        erased = _erased(snapshot, head)
        try:
            held = _held(snapshot, erased) if erased else []
        except NotFound:
            continue  # no files to fetch now; should they come back, they are looked through
        if held:
            withdrawn += withdraw(snapshot, items=len(held)) is not None
        else:
            Snapshot.objects.filter(pk=snapshot.pk).update(erasures_upto=head)
    for snapshot in Snapshot.objects.filter(state=State.WITHDRAWN).select_related("platform"):
        _remove_files(snapshot)
    retry_failed()
    return withdrawn


def missing(platform_ids: Iterable[int]) -> QuerySet[Snapshot]:
    """Versions that are to take the place of a withdrawn one, and could not be built."""
    rows = Snapshot.objects.filter(
        platform__in=platform_ids, state=State.FAILED, replaces__isnull=False
    )
    return rows.select_related("platform", "replaces").order_by("-id")


def retry_failed() -> int:
    """Those are begun again, RETRY_AFTER the last failure, for ever: whoever asks for the withdrawn
    one has been sent here. The sweep of what waits nudges a worker."""
    due = Snapshot.objects.filter(
        state=State.FAILED, replaces__isnull=False, finished_at__lt=Now() - RETRY_AFTER
    )
    return due.update(state=State.WAITING, attempts=0)


def withdraw(snapshot: Snapshot, *, items: int) -> Snapshot | None:
    """The version that takes its place, to be built by a worker; None where one has already."""
    with transaction.atomic():
        Platform.objects.select_for_update(no_key=True).get(pk=snapshot.platform_id)
        if not Snapshot.objects.filter(pk=snapshot.pk, state=State.READY).update(
            state=State.WITHDRAWN, withdrawn_at=Now(), erased_items=items
        ):
            return None
        newest = Snapshot.objects.filter(platform=snapshot.platform_id).aggregate(Max("number"))
        new = Snapshot.objects.create(
            platform_id=snapshot.platform_id,
            number=newest["number__max"] + 1,
            note=snapshot.note,
            cutoff_id=snapshot.cutoff_id,
            cutoff_at=snapshot.cutoff_at,
            rows_expected=max(snapshot.rows_done - items, 0),
            manifest={"frozen": snapshot.manifest["frozen"]},
            replaces=snapshot,
            created_by=None,
        )
        audit.record(
            "snapshot.withdraw",
            snapshot,
            by=None,
            platform=snapshot.platform_id,
            number=snapshot.number,
            replaced_by=new.number,
            items=items,
            models=[one.number for one in models_of(snapshot)],
        )
        transaction.on_commit(lambda: _remove_files(snapshot), robust=True)
        transaction.on_commit(lambda: snapshots.nudge(new.pk), robust=True)
    return new


def models_of(snapshot: Snapshot) -> list[ModelVersion]:
    """Those trained on it, the newest first."""
    return list(snapshot.model_versions.order_by("-number"))


def _erased(snapshot: Snapshot, head: int) -> list[int]:
    """Items erased since it was last looked at; committed and sealed, so none comes in later."""
    found = AuditEntry.objects.filter(
        position__gt=snapshot.erasures_upto,
        position__lte=head,
        verb="item.erase",
        platform=snapshot.platform_id,
    )
    return [int(pk) for pk in found.values_list("target_id", flat=True)]


def _held(snapshot: Snapshot, item_ids: Iterable[int]) -> Sequence[int]:
    """Which of these its files hold. A version that came in after the erasure is new content."""
    from . import snapshot_files

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM reviews_itemversion WHERE item_id = ANY(%s) AND content_hash = %s",
            [list(item_ids), labels.ERASED],
        )
        versions = [pk for (pk,) in cursor.fetchall()]
    return snapshot_files.items_among(snapshot, versions) if versions else []


def _remove_files(snapshot: Snapshot) -> None:
    shutil.rmtree(snapshots.folder(snapshot), ignore_errors=True)
