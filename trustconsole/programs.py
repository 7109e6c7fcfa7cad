"""The command lines of the three programs. `web`, `worker` and `beat` become them, `up` starts
all of them."""

import os
import sys
from pathlib import Path

from django.conf import settings

QUEUES = ("ask", "score", "train", "media", "enforce", "sweep")


def web() -> list[str]:
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    # Where gunicorn's docs want the file of its heartbeat: a disk may stall.
    memory = "/dev/shm"  # noqa: S108 # nosec B108
    return [
        *(sys.executable, "-m", "gunicorn", "trustconsole.wsgi"),
        *("--bind", f"{host}:{settings.PORT}"),
        *("--worker-class", "gthread"),
        *("--workers", str(settings.WEB_WORKERS), "--threads", str(settings.WEB_THREADS)),
        *("--timeout", "60", "--graceful-timeout", "10", "--keep-alive", "15"),
        # Recycled now and then, not all at once, should a library leak.
        *("--max-requests", "50000", "--max-requests-jitter", "5000"),
        *(("--worker-tmp-dir", memory) if Path(memory).is_dir() else ()),
        "--no-control-socket",
        # Loaded once and forked; with --reload each worker has to load for itself.
        "--reload" if settings.DEBUG else "--preload",
    ]


def worker(queues: list[str], *, processes: int, name: str) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "trustconsole", "worker"),
        *("--queues", ",".join(queues), "--concurrency", str(processes)),
        *("--pool", "prefork", "--hostname", f"{name}@%h"),
        *("--without-gossip", "--without-mingle"),
        *("--loglevel", settings.LOG_LEVEL),
    ]


def beat() -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "trustconsole", "beat"),
        *("--loglevel", settings.LOG_LEVEL, "--pidfile="),
    ]


def environment() -> dict[str, str]:
    """For every program: one thread a process, they are many. (torch on several threads collapses
    on a busy machine.)"""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "trustconsole.settings",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def become(arguments: list[str]) -> None:
    """Replace this process. Embedded servers stay up for as long as the program runs."""
    from . import embedded

    embedded.hold_through_exec()
    os.chdir(settings.BASE_DIR)
    os.execve(arguments[0], arguments, environment())  # noqa: S606
