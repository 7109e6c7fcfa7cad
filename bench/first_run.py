"""From a fresh clone to the first decision on screen, and how long the second start takes.

    python bench/first_run.py

Clones what is committed into a temporary folder, lends it this checkout's .venv (package downloads
are left out), and runs `manage.py up` there, as `make run` does: servers, migrations, static files,
demo. Then rosa signs in over HTTP, opens her desk and decides; it ends when the next job's page is
here. A second start of the same folder follows. Everything is stopped and deleted.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.report import Result, say  # noqa: E402
from reviews.demo import PASSWORD  # noqa: E402
from reviews.demo.browser import Browser  # noqa: E402

COMMAND = "python bench/first_run.py"
FIRST_SECONDS, SECOND_SECONDS = 120, 10
PATIENCE = 600
QUEUE = "spam"
_STEP = re.compile(r"^(\w[\w ]*?) +ready \(([\d.]+) s\)", re.M)
# What would lead it to somebody else's servers or folders.
_NOT_HANDED_ON = ("DATABASE_URL", "CELERY_BROKER_URL", "MODEL_DIR", "SNAPSHOT_DIR", "STATIC_ROOT")


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="first-run-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user when this runs as root
    try:
        _measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path) -> None:
    phases: dict[str, float] = {}
    with _timed(phases, "clone"):
        subprocess.run(["git", "clone", "-q", ROOT, folder / "clone"], check=True)  # noqa: S603, S607
    (folder / "clone" / ".venv").symlink_to(Path(sys.prefix).resolve())
    with _up(folder, phases, "up") as url:
        browser = Browser(url)
        with _timed(phases, "sign in"):
            browser.sign_in("rosa", PASSWORD)
        with _timed(phases, "first job"):
            desk = browser.open_desk(QUEUE)
        if desk is None:
            raise SystemExit(f"The demo's queue {QUEUE} is empty.")
        with _timed(phases, "decide, next job"):
            following = browser.decide(desk, [("clean", "1")])
        if following is None or following.job_id == desk.job_id:
            raise SystemExit("After the decision, no other job came.")
        browser.close()
    parts = ("clone", "up", "sign in", "first job", "decide, next job")
    first = sum(phases[part] for part in parts)
    with _up(folder, phases, "second up") as url:
        browser = Browser(url)
        browser.sign_in("rosa", PASSWORD)
        if browser.open_desk(QUEUE) is None:
            raise SystemExit("The second start has lost the queue.")
        browser.close()
    for name, seconds in phases.items():
        say(f"{name:24}{seconds:7.1f} s")
    samples = [{**phases, "load": os.getloadavg()[0]}]
    for name, value, target in (
        ("first-run-decision", first, FIRST_SECONDS),
        ("first-run-second-start", phases["second up"], SECOND_SECONDS),
    ):
        Result(name, value, "s", target, COMMAND, higher_is_better=False, samples=samples).write()


@contextmanager
def _timed(phases: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    phases[name] = round(time.monotonic() - began, 2)


@contextmanager
def _up(folder: Path, phases: dict[str, float], name: str) -> Iterator[str]:
    """`manage.py up` until it says that it is up; yields its URL; stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_HANDED_ON}
    environment |= {"TRUSTCONSOLE_VAR": str(folder / "var"), "PORT": str(port)}
    clone, output = folder / "clone", folder / "up.txt"
    with output.open("w") as log:
        began = time.monotonic()
        child = subprocess.Popen(  # noqa: S603
            [clone / ".venv" / "bin" / "python", clone / "manage.py", "up"],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while "Trust Console is at" not in output.read_text():
                if child.poll() is not None or time.monotonic() - began > PATIENCE:
                    raise SystemExit(f"It did not come up:\n{output.read_text()[-3000:]}")
                time.sleep(0.02)
            phases[name] = round(time.monotonic() - began, 2)
            for step, seconds in _STEP.findall(output.read_text()):
                phases[f"{name}: {step}"] = float(seconds)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


if __name__ == "__main__":
    main()
