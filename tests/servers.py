"""Loaded by pytest before Django: the embedded servers, in their own folder under var/test.

TEST_DATABASE names the suite: its database, its Redis databases and its folders. Suites with
different names run side by side on the same two servers, and so do the processes of pytest-xdist,
each of which is a suite of its own.
"""

import os
import zlib
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "")  # "gw0", "gw1" …; empty in the one that leads
NAME = os.environ.setdefault("TEST_DATABASE", "test_trustconsole") + PROCESS.replace("gw", "_")

os.environ.setdefault(
    "TRUSTCONSOLE_VAR", str(Path(__file__).resolve().parent.parent / "var" / "test")
)
FOLDER = Path(os.environ["TRUSTCONSOLE_VAR"]) / NAME
os.environ.setdefault(
    "SECRET_KEY", "only-for-tests-and-long-enough-that-no-check-complains-0123456789"
)
if PROCESS:  # inherited from the process that leads
    for name in ("STATIC_ROOT", "MODEL_DIR", "SNAPSHOT_DIR", "MEDIA_DIR"):
        os.environ.pop(name, None)
    os.environ["CELERY_BROKER_URL"] = os.environ["CELERY_BROKER_URL"].partition("?")[0]
os.environ.setdefault("STATIC_ROOT", str(FOLDER / "static"))
Path(os.environ["STATIC_ROOT"]).mkdir(parents=True, exist_ok=True)
os.environ.setdefault("MODEL_DIR", str(FOLDER / "models"))
os.environ.setdefault("SNAPSHOT_DIR", str(FOLDER / "snapshots"))
os.environ.setdefault("MEDIA_DIR", str(FOLDER / "media"))

from trustconsole import embedded  # noqa: E402

embedded.lend_to(["test"], durable=False)

if "virtual_host" not in os.environ["CELERY_BROKER_URL"]:
    databases = embedded.REDIS_DATABASES
    number = zlib.crc32(NAME.encode()) % (databases // 2) * 2
    os.environ["CELERY_BROKER_URL"] += f"?virtual_host={number}"


def database_url(name: str) -> str:
    """DATABASE_URL, but for the database `name` on the same server."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
