"""Freeze what is decided now into a snapshot."""

import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from mlhooks import snapshots
from mlhooks.models import Snapshot
from reviews.errors import DomainError
from reviews.management.platforms import find_platform


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--platform", help="its slug; may be left out where there is one only")
        parser.add_argument("--note", default="", help="what it is for")
        parser.add_argument("--wait", action="store_true", help="until a worker has built it")
        parser.add_argument(
            "--inline", action="store_true", help="build it in this process, without a worker"
        )

    def handle(self, *, platform, note, wait, inline, **options) -> None:
        try:
            snapshot = snapshots.create_snapshot(find_platform(platform), by=None, note=note)
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Snapshot {snapshot.number}, up to decision {snapshot.cutoff_id}.")
        if inline:
            snapshots.build(snapshot.pk)
        if wait or inline:
            self._watch(snapshot)

    def _watch(self, snapshot: Snapshot) -> None:
        over = (Snapshot.State.READY, Snapshot.State.FAILED)
        with tqdm(total=snapshot.rows_expected, unit="row", disable=None) as bar:
            while True:
                snapshot.refresh_from_db()
                bar.total = snapshot.rows_expected
                bar.update(snapshot.rows_done - bar.n)
                if snapshot.state in over:
                    break
                time.sleep(0.3)
        if snapshot.state == Snapshot.State.FAILED:
            raise CommandError(f"It could not be built: {snapshot.error}")
        folder = snapshots.folder(snapshot)
        self.stdout.write(self.style.SUCCESS(f"{snapshot.rows_done:,} rows in {folder}"))
