"""`manage.py up` brings everything, brings back what dies, and stops what it started."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from trustconsole.supervisor import Child, Supervisor

from .conftest import ROOT, wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Up:
    """A running `manage.py up` with a folder and a port of its own."""

    def __init__(self, var: Path, port: int, **environment: str) -> None:
        self.var, self.port = var, port
        given = ("DATABASE_URL", "CELERY_BROKER_URL", "MODEL_DIR", "SNAPSHOT_DIR")
        kept = {name: value for name, value in os.environ.items() if name not in given}
        self.environment = {
            **kept,
            "TRUSTCONSOLE_VAR": str(var),
            "PORT": str(port),
            "LOAD_DEMO": "0",
            "WEB_WORKERS": "1",
            "SCORE_WORKERS": "1",
            **environment,
        }
        self.output = var / "up.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up"],
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_until_up(self) -> None:
        def is_up() -> bool:
            assert self.process.poll() is None, self.said()
            return "Trust Console is at" in self.said()

        wait_until(is_up, seconds=120, message=f"it did not come up:\n{self.said()}")

    def wait_until_ready(self) -> None:
        self.wait_until_up()
        wait_until(lambda: self.get("/readyz")[0] == 200, seconds=60, message="it is not ready")

    def get(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=10
            ) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def manage(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def processes(self) -> dict[int, str]:
        """Everything that belongs to this folder: by the variable that all of them inherit."""
        mark = f"TRUSTCONSOLE_VAR={self.var}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
                ours = mark in (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if line and (ours or os.fsencode(self.var) in line):
                found[int(process.name)] = line.replace(b"\0", b" ").decode()
        return found

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(90)


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tcup"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def up(var: Path, port: int) -> Iterator[Up]:
    made = Up(var, port)
    yield made
    made.process.kill()
    made.process.wait()
    wait_until(lambda: not made.processes(), seconds=120, message=f"left: {made.processes()}")


def test_up_serves_brings_back_what_dies_and_stops_on_ctrl_c(up):
    up.wait_until_ready()
    assert up.get("/healthz") == (200, {"status": "ok"})

    second = up.manage("up")
    assert second.returncode == 1
    assert "Cannot listen on" in second.stderr
    up.environment["PORT"] = str(free_port())
    second = up.manage("up")
    assert second.returncode == 1
    assert "already runs here" in second.stderr

    joined = up.manage(
        "shell", "-c", "from reviews.models import Person; print(Person.objects.count())"
    )
    assert joined.returncode == 0, joined.stderr
    assert up.get("/readyz")[0] == 200, "a joined command stopped the servers"

    masters = [pid for pid, line in up.processes().items() if "gunicorn" in line]
    os.kill(min(masters), signal.SIGKILL)
    wait_until(lambda: "web started again" in up.said(), seconds=30, message=up.said())
    wait_until(lambda: up.get("/readyz")[0] == 200, seconds=60, message=up.said())
    assert "web ended by itself (signal SIGKILL)" in up.said()

    assert up.end(signal.SIGINT) == 0
    assert up.processes() == {}
    assert up.said().rstrip().endswith("Stopped.")


def test_a_killed_up_leaves_nothing_running_and_the_next_one_starts(up, var, port):
    up.wait_until_up()
    up.end(signal.SIGKILL)
    wait_until(lambda: not up.processes(), seconds=120, message=f"left: {up.processes()}")
    again = Up(var, port)
    again.wait_until_ready()
    assert again.end(signal.SIGTERM) == 0
    assert again.processes() == {}


def test_a_port_in_use_is_said_before_anything_starts(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        up = Up(tmp_path, other.getsockname()[1])
        assert up.process.wait(30) == 1
    assert "Cannot listen on 127.0.0.1" in up.said()
    assert not (tmp_path / "postgresql").exists()


def test_web_and_workers_load_no_torch_before_they_need_it():
    code = (
        "import sys, django; django.setup()\n"
        "import trustconsole.urls\n"
        "from trustconsole.celery import app; app.loader.import_default_modules()\n"
        "print(*{'torch', 'sentence_transformers', 'sklearn', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "trustconsole.settings"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


# The supervisor


@pytest.fixture
def supervisor(tmp_path) -> Iterator[Supervisor]:
    said: list[str] = []
    made = Supervisor(folder=tmp_path, environment=dict(os.environ), say=said.append)
    made.said = said
    yield made
    made.stop()


def child(tmp_path: Path, code: str, **options) -> Child:
    return Child("child", [sys.executable, "-c", code], tmp_path / "child.log", **options)


def watch_until(supervisor: Supervisor, text: str) -> None:
    def is_said() -> bool:
        supervisor.watch()
        return any(text in line for line in supervisor.said)

    wait_until(is_said, message=f"“{text}” was not said, but {supervisor.said}")


def test_a_child_that_ends_is_started_again_later_and_later(supervisor, tmp_path):
    supervisor.start(child(tmp_path, "import sys; sys.exit('no luck')"))
    watch_until(supervisor, "again in 1 s")
    assert "exit status 1" in supervisor.said[0]
    assert "no luck" in supervisor.said[0]
    watch_until(supervisor, "again in 2 s")


def test_an_error_in_a_childs_log_is_shown_once_a_minute(supervisor, tmp_path):
    line = "2026-11-23 04:50:26,866 ERROR 7 reviews: no such thing"
    code = f"import time\nfor n in range(3): print({line!r}, n, flush=True)\ntime.sleep(60)"
    supervisor.start(child(tmp_path, code))
    watch_until(supervisor, "no such thing")
    time.sleep(0.2)
    supervisor.watch()
    assert len(supervisor.said) == 1


def test_a_child_that_will_not_stop_is_made_to(supervisor, tmp_path):
    stubborn = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True);"
        "time.sleep(60)"
    )
    stuck = child(tmp_path, stubborn, patience_seconds=0.2)
    supervisor.start(stuck)
    wait_until(lambda: "on" in stuck.log.read_text())
    process = stuck.process
    supervisor.stop()
    assert process.returncode == -signal.SIGKILL


def test_a_worker_refuses_a_queue_that_does_not_exist():
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "worker", "--queues", "scoer"],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "There is no queue scoer" in done.stderr
