"""Back to an empty checkout: what `make reset` runs."""

import os
import shutil
import signal
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from trustconsole import embedded

# What the product itself puts into var/; anything else there is somebody's own.
OURS = (
    *("postgresql", "redis", "run", "log", "static", "models", "snapshots", "bench", "test"),
    "secret_key",
)


class Command(BaseCommand):
    help = "Stop the embedded servers and delete all their data. Asks first."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: object, **options: object) -> None:
        var: Path = settings.VAR_DIR
        here = [var / name for name in OURS if os.path.lexists(var / name)]
        if not here:
            self.stdout.write(f"Nothing to delete in {var}.")
            return
        self.stdout.write(f"This stops Trust Console and deletes from {var}:")
        for path in here:
            self.stdout.write(f"  {path.name}")
        if not options["yes"] and not self._agrees():
            raise CommandError("Nothing was deleted.")
        self._stop_up(var)
        for name in ("postgresql", "redis"):
            embedded.stop(name)
        for path in here:
            _delete(path)
        self.stdout.write("Deleted. `make run` starts afresh.")

    def _agrees(self) -> bool:
        if not sys.stdin.isatty():
            return False
        return input("All decisions, labels and models in it are lost. Type “delete”: ") == "delete"

    def _stop_up(self, var: Path) -> None:
        pid = embedded.process_that_runs_up()
        if pid is None:
            return
        self.stdout.write(f"Stopping the running Trust Console (process {pid}) …")
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 90
        while embedded.process_that_runs_up() is not None:
            if time.monotonic() > deadline:
                raise CommandError(f"Process {pid} does not stop. Nothing was deleted.")
            time.sleep(0.1)


def _delete(path: Path) -> None:
    if path.is_symlink():
        # The servers' data lies elsewhere when var/ is closed to their user; see embedded.py.
        home = path.resolve().parent
        path.unlink()
        if home.name.startswith("trustconsole-"):
            shutil.rmtree(home, ignore_errors=True)
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
