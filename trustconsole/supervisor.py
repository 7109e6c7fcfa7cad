"""Runs child processes: brings back the one that ends by itself, shows what they complain about,
stops all of them in order."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_COMPLAINT = re.compile(rb"(^\S+ \S+ (ERROR|CRITICAL) )|(\[(ERROR|CRITICAL)\] )")
_LOG_BYTES = 50_000_000
_STEADY_SECONDS = 60  # after so long a child counts as healthy again


@dataclass
class Child:
    name: str
    arguments: list[str]
    log: Path
    # Told to finish with SIGTERM; how long it may take, and what it gets then.
    patience_seconds: float = 10
    impatient_signal: int = signal.SIGKILL
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0
    failures: int = 0
    restart_at: float = 0
    read_up_to: int = 0
    complained: dict[bytes, float] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def last_words(self, lines: int = 12) -> str:
        text = self.log.read_text(errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


class Supervisor:
    def __init__(
        self, *, folder: Path, environment: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.environment = environment
        self.say = say
        self.children: list[Child] = []

    def start(self, child: Child) -> None:
        self.children.append(child)
        child.log.parent.mkdir(parents=True, exist_ok=True)
        child.log.touch()
        child.read_up_to = child.log.stat().st_size
        self._spawn(child)

    def watch(self) -> None:
        """One look at everything; call it a few times a second."""
        for child in self.children:
            self._relay_complaints(child)
            if child.is_running:
                if child.failures and time.monotonic() - child.started_at > _STEADY_SECONDS:
                    child.failures = 0
            elif not child.restart_at:
                child.failures += 1
                delay = min(2 ** (child.failures - 1), 30)
                child.restart_at = time.monotonic() + delay
                code = child.process.returncode if child.process else None
                self.say(
                    f"{child.name} ended by itself ({_how(code)}); again in {delay} s. "
                    f"The end of {child.log}:\n{child.last_words()}"
                )
            elif time.monotonic() >= child.restart_at:
                self._spawn(child)
                self.say(f"{child.name} started again")

    def stop(self) -> None:
        """First what makes work, then what does it: in the order in which they were started."""
        for child in self.children:
            if child.process is not None and child.is_running:
                child.process.terminate()
        for child in self.children:
            if child.process is None:
                continue
            if not _ended(child.process, child.patience_seconds):
                child.process.send_signal(child.impatient_signal)
                if not _ended(child.process, 5):
                    child.process.kill()
                    child.process.wait()
            _kill_group(child.process.pid)
        self.children.clear()

    def kill(self) -> None:
        """At once, whatever they are doing."""
        for child in self.children:
            if child.process is not None:
                _kill_group(child.process.pid)

    def _spawn(self, child: Child) -> None:
        with child.log.open("ab") as log:
            child.process = subprocess.Popen(  # noqa: S603
                child.arguments,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C in the terminal reaches us only, and we say when.
                start_new_session=True,
                preexec_fn=_follow(signal.SIGKILL),  # noqa: PLW1509
            )
        child.started_at = time.monotonic()
        child.restart_at = 0

    def _relay_complaints(self, child: Child) -> None:
        """Errors in its log, on our own stderr; each sort once a minute."""
        size = child.log.stat().st_size
        if size > _LOG_BYTES:
            # Children append, so the file can be cut under them.
            shutil.copyfile(child.log, child.log.with_suffix(".log.1"))
            os.truncate(child.log, 0)
            size = 0
        if size <= child.read_up_to:
            child.read_up_to = size
            return
        with child.log.open("rb") as log:
            log.seek(child.read_up_to)
            fresh = log.read(1_000_000)
        child.read_up_to += len(fresh)
        now = time.monotonic()
        for line in fresh.splitlines():
            if not _COMPLAINT.search(line):
                continue
            sort = re.sub(rb"[0-9a-f-]{8,}|\d+", b"#", line)
            if now - child.complained.get(sort, -60) >= 60:
                child.complained[sort] = now
                self.say(f"{child.name}: {line.decode(errors='replace')[:400]}")


def _follow(death_signal: int) -> Callable[[], None]:
    parent = os.getpid()

    def follow() -> None:
        """In the child: should this process be killed, it gets the signal too (Linux)."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, int(death_signal))
            if os.getppid() != parent:
                os._exit(1)

    return follow


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"
