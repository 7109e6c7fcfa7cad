"""Keeps one embedded server alive for as long as any process uses it, then stops it.

embedded.py starts this file as a process of its own; standard library only, so that it is up in
milliseconds. Whoever uses the server holds a shared flock on <name>.in-use. The kernel drops that
lock however its holder ends, so there is no count of users that a kill -9 could falsify: when
this process gets the lock for itself, nobody is left.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

SOCKET_PATH_LIMIT = 100  # Linux allows 107 bytes, macOS 103
START_SECONDS = 600  # recovery after a crash replays up to max_wal_size
STOP_SECONDS = 60


class ServerFailed(Exception):
    """The server did not come up; str() says why, in words for a person."""


@dataclass(frozen=True)
class Plan:
    """What embedded.py asks for; travels as JSON."""

    name: str  # "postgresql" | "redis"
    program: str  # the server's binary
    data: str
    run: str  # locks and the note where the server listens
    log: str
    uid: int | None = None  # run as this user (only when we are root)
    gid: int | None = None
    durable: bool = True
    database: str = "trustconsole"


class Server:
    """One child process and the folder it works in. Subclasses know the program."""

    stop_signal = signal.SIGTERM
    socket_name = ""

    def __init__(self, plan: Plan, log: IO[bytes]) -> None:
        self.plan = plan
        self.log = log
        self.data = Path(plan.data)
        self.child: subprocess.Popen[bytes] | None = None
        self.sockets = self._socket_folder()

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child else None

    @property
    def has_ended(self) -> bool:
        return self.child is not None and self.child.poll() is not None

    @property
    def socket_path(self) -> Path:
        return self.sockets / self.socket_name

    def arguments(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def make(self) -> None:
        """First start: bring the data folder into being."""

    def evict(self) -> None:
        """Stop a server that an ended keeper left behind on our data."""

    def url(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        self.make()
        self.evict()
        deadline = time.monotonic() + START_SECONDS
        attempts = 0
        self.child = self.spawn(self.arguments())
        while not self.is_ready():
            if self.has_ended:
                # What a killed predecessor leaves (shared memory, last processes) goes by itself.
                attempts += 1
                if attempts == 5:
                    raise ServerFailed(f"{self.plan.name} does not start. {self.last_words()}")
                time.sleep(attempts)
                self.child = self.spawn(self.arguments())
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailed(f"{self.plan.name} is not ready after {START_SECONDS} s.")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.child is None or self.has_ended:
            return
        self.child.send_signal(self.stop_signal)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.send_signal(signal.SIGQUIT)
            self.child.wait()

    def clean_up(self) -> None:
        if self.sockets != self.data:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def spawn(self, arguments: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603
            arguments,
            cwd=self.data if self.data.exists() else "/",
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=_environment(),
            user=self.plan.uid,
            group=self.plan.gid,
            extra_groups=None if self.plan.uid is None else [],
            start_new_session=True,
            preexec_fn=self._follow_parent,  # noqa: PLW1509 - this process has no threads
        )

    def run(self, *arguments: str) -> str:
        """Run a helper program as the server's user and return what it printed."""
        done = subprocess.run(  # noqa: S603
            arguments,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            user=self.plan.uid,
            group=self.plan.gid,
            extra_groups=None if self.plan.uid is None else [],
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise ServerFailed(f"{Path(arguments[0]).name} failed: {said[-1500:]}")
        return done.stdout.decode(errors="replace")

    def make_folder(self, folder: Path) -> None:
        """A folder that only the server's user (and root) may look into."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        if self.plan.uid is not None and self.plan.gid is not None:
            os.chown(folder, self.plan.uid, self.plan.gid)

    def last_words(self) -> str:
        lines = Path(self.plan.log).read_text(errors="replace").splitlines()
        return "Its last words:\n" + "\n".join(f"  {line}" for line in lines[-12:])

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self.data / self.socket_name)) <= SOCKET_PATH_LIMIT:
            return self.data
        folder = Path(tempfile.mkdtemp(prefix=f"trustconsole-{self.plan.name}-"))
        self.make_folder(folder)
        return folder

    def _follow_parent(self) -> None:
        """In the child: should this keeper be killed, the server is told to stop (Linux)."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, int(self.stop_signal))


class PostgreSQL(Server):
    stop_signal = signal.SIGINT  # "fast": roll back, disconnect, checkpoint, end
    socket_name = ".s.PGSQL.5432"

    def arguments(self) -> list[str]:
        self._write_configuration()
        return [self.plan.program, "-D", str(self.data)]

    def make(self) -> None:
        kept = self.data / "PG_VERSION"
        version = self.run(self.plan.program, "--version").split()[-1].split(".")[0]
        if kept.exists():
            if kept.read_text().strip() != version:
                raise ServerFailed(
                    f"{self.data} was made by PostgreSQL {kept.read_text().strip()}, and this is "
                    f"PostgreSQL {version}. Dump it with the old version, or `make reset`."
                )
            return
        # Made beside its place and moved there when whole: a killed initdb leaves no half cluster.
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        self.make_folder(fresh)
        self.run(
            str(Path(self.plan.program).with_name("initdb")),
            *("-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8"),
            *(() if self.plan.durable else ("--no-sync",)),
        )
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def evict(self) -> None:
        note = self.data / "postmaster.pid"
        try:
            pid = int(note.read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            return
        if not _is_running(pid, str(self.data)):
            # The number may belong to anybody by now; PostgreSQL would take it for a rival.
            note.unlink(missing_ok=True)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, self.stop_signal)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_running(pid, str(self.data)):
            if time.monotonic() > deadline:
                raise ServerFailed(f"An older PostgreSQL (process {pid}) does not stop.")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        if len(lines) < 8 or lines[0] != str(self.pid) or lines[7].strip() != "ready":
            return False
        self._make_database()
        return True

    def url(self) -> str:
        return f"postgresql://postgres@/{self.plan.database}?host={_quoted(self.sockets)}"

    def _make_database(self) -> None:
        folder, whom = Path(self.plan.program).parent, ("-h", str(self.sockets), "-U", "postgres")
        names = self.run(str(folder / "psql"), *whom, "-XtAc", "SELECT datname FROM pg_database")
        if self.plan.database not in names.split("\n"):
            self.run(str(folder / "createdb"), *whom, self.plan.database)

    def _write_configuration(self) -> None:
        memory = _memory_mb()
        sockets = str(self.sockets).replace("'", "''").replace('"', '""')
        switch = "on" if self.plan.durable else "off"
        lines = {
            "listen_addresses": "''",
            "port": "5432",
            "unix_socket_directories": f"'\"{sockets}\"'",
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": f"{min(max(memory // 8, 128), 1024)}MB",
            "effective_cache_size": f"{max(memory // 2, 256)}MB",
            "work_mem": "8MB",
            "maintenance_work_mem": "128MB",
            "min_wal_size": "512MB",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "random_page_cost": "1.1",
            "jit": "off",
            "autovacuum_naptime": "15s",
            "autovacuum_vacuum_cost_limit": "2000",
            "timezone": "'UTC'",
            "log_timezone": "'UTC'",
            "log_line_prefix": "'%m [%p] '",
            "log_checkpoints": "off",
            "fsync": switch,
            "full_page_writes": switch,
            "synchronous_commit": switch,
        }
        conf = self.data / "postgresql.conf"
        text = "# Written at every start. To change a setting for good: ALTER SYSTEM SET …\n"
        conf.write_text(text + "".join(f"{name} = {value}\n" for name, value in lines.items()))
        if self.plan.uid is not None and self.plan.gid is not None:
            os.chown(conf, self.plan.uid, self.plan.gid)


class Redis(Server):
    socket_name = "redis.sock"

    def arguments(self) -> list[str]:
        durable = "yes" if self.plan.durable else "no"
        return [
            *(self.plan.program, "--port", "0"),
            *("--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--dir", str(self.data), "--save", "", "--appendonly", durable),
            *("--databases", "1024", "--maxmemory-policy", "noeviction"),
            *("--daemonize", "no", "--loglevel", "notice", "--logfile", ""),
        ]

    def make(self) -> None:
        self.make_folder(self.data)

    def evict(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while self._says(b"PING") is not None:
            self._says(b"SHUTDOWN")
            if time.monotonic() > deadline:
                raise ServerFailed(f"An older Redis on {self.socket_path} does not stop.")
            time.sleep(0.05)
        self.socket_path.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        return self._says(b"PING") == b"+PONG\r\n"  # "-LOADING" while it reads its file

    def url(self) -> str:
        return f"redis+socket://{_quoted(self.socket_path)}"

    def _says(self, command: bytes) -> bytes | None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.socket_path))
                client.sendall(command + b"\r\n")
                return client.recv(1024)
            except OSError:
                return None


def keep(plan: Plan) -> int:
    run = Path(plan.run)
    note = run / f"{plan.name}.json"
    alive = (run / f"{plan.name}.keeper").open("a")
    in_use = (run / f"{plan.name}.in-use").open("a")
    fcntl.flock(alive, fcntl.LOCK_EX)
    _forget_predecessor(note)

    log = _open_log(Path(plan.log))
    server: Server = {"postgresql": PostgreSQL, "redis": Redis}[plan.name](plan, log)
    try:
        server.start()
    except ServerFailed as error:
        server.clean_up()
        _report({"error": str(error)})
        return 1
    fresh = note.with_suffix(".new")
    fresh.write_text(
        json.dumps({"url": server.url(), "sockets": str(server.sockets), "keeper": os.getpid()})
    )
    fresh.rename(note)
    _report({"ready": True})

    told_to_stop = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    _watch(server, in_use, lambda: told_to_stop)
    if told_to_stop:
        note.unlink(missing_ok=True)  # somebody may join this moment: not us any more
    server.stop()
    server.clean_up()
    note.unlink(missing_ok=True)
    # First this one: who sees the other lock free must not take us for alive.
    fcntl.flock(alive, fcntl.LOCK_UN)
    return 0


def _watch(server: Server, in_use: IO[str], told_to_stop: Callable[[], bool]) -> None:
    """Return when nobody uses the server any more. Bring it back if it ends before that."""
    failures = 0
    while not told_to_stop():
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if server.has_ended:
            server.log.write(b"keeper: the server ended by itself; starting it again\n")
            try:
                server.start()
                failures = 0
            except ServerFailed:
                failures += 1
                time.sleep(min(2**failures, 30))
        time.sleep(0.1)


def _forget_predecessor(note: Path) -> None:
    """A keeper that was killed leaves its note, and the folder of its sockets."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        sockets = Path(json.loads(note.read_text())["sockets"])
        if sockets.name.startswith("trustconsole-"):
            shutil.rmtree(sockets, ignore_errors=True)
    note.unlink(missing_ok=True)


def _report(message: dict[str, object]) -> None:
    """To whoever started us; it may be gone by now."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.close(quiet)


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > 20_000_000:
        path.replace(path.with_suffix(".log.1"))
    log = path.open("ab", buffering=0)
    os.dup2(log.fileno(), 2)
    return log


def _is_running(pid: int, folder: str) -> bool:
    """Is `pid` a live process that was started on `folder`?"""
    if Path("/proc/self").exists():
        try:
            return os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    shown = subprocess.run(  # noqa: S603
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
    )
    return os.fsencode(folder) in shown.stdout


def _environment() -> dict[str, str]:
    """Nothing of the person's PG… variables, locale or virtual environment reaches the servers."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}


def _memory_mb() -> int:
    """What this machine, or the container around us, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return memory // 2**20


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))


if __name__ == "__main__":
    sys.exit(keep(Plan(**json.loads(sys.argv[1]))))
