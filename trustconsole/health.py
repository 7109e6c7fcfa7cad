"""/healthz: this process answers. /readyz: and it can work. For load balancers: open to everybody,
cheap, and silent about why."""

import logging
import time
from collections.abc import Callable
from functools import cache

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache as shared
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from .celery import WORKER_SEEN, app

WORKER_SECONDS = 60

logger = logging.getLogger(__name__)


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when all of them are “ok”, else 503; the reasons are in the log."""
    answers = {
        "database": _answer(_database_answers),
        "migrations": _answer(_migrations_are_applied),
        "broker": _answer(_broker_answers),
        "worker": _answer(_worker_was_seen),
    }
    is_ready = all(answer == "ok" for answer in answers.values())
    return JsonResponse(
        {"status": "ready" if is_ready else "not ready", **answers},
        status=200 if is_ready else 503,
    )


def _answer(question: Callable[[], str]) -> str:
    try:
        return question()
    except Exception as error:  # whatever the driver raises means the same: it does not work
        logger.warning("not ready: %s: %s", question.__name__.strip("_"), error)
        return "unreachable"


def _database_answers() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _migrations_are_applied() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    return "ok" if _newest_migrations() <= applied else "missing"


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of every app, as this code has them on disk."""
    loader = MigrationLoader(None)
    return frozenset(loader.graph.leaf_nodes())


def _broker_answers() -> str:
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=3)
    return "ok"


def _worker_was_seen() -> str:
    seen = shared.get(WORKER_SEEN)
    if seen is None:
        return "none seen"
    return "ok" if time.time() - seen < WORKER_SECONDS else "not seen lately"
