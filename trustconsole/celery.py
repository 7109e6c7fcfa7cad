"""The Celery app. Queues, routes, limits and the beat table are in settings.py."""

import ctypes
import logging
import os
import signal
import sys
import time

from celery import Celery
from celery.contrib.django.task import DjangoTask
from celery.result import AsyncResult
from celery.signals import setup_logging, worker_process_init, worker_ready
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")

WORKER_SEEN = "worker-seen"  # cache key: when a worker last did something, seconds since 1970

logger = logging.getLogger(__name__)


class Nudge(DjangoTask):
    """A task whose loss is no loss: the row says that work is due, and a sweep will find it. So a
    broker that is away is no reason to fail the request that has just committed."""

    abstract = True

    def apply_async(self, *args: object, **kwargs: object) -> AsyncResult | None:
        try:
            return super().apply_async(*args, **kwargs)
        except OperationalError as error:
            logger.warning("%s was not sent, its sweep will do it: %s", self.name, error)
            return None


app = Celery("trustconsole", task_cls=Nudge)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["reviews", "mlhooks"])
app.set_default()  # for the threads of the web server too


@app.task(name="trustconsole.heartbeat")
def heartbeat() -> None:
    """Sent by beat, done by a worker: proof that the whole way works. /readyz reads it."""
    from django.core.cache import cache

    cache.set(WORKER_SEEN, time.time(), timeout=3600)


@worker_ready.connect
def _first_heartbeat(**kwargs: object) -> None:
    from django.db import connections

    heartbeat()
    connections.close_all()


@setup_logging.connect
def _keep_our_logging(**kwargs: object) -> None:
    """Celery leaves logging alone when this signal has a receiver: settings.LOGGING rules."""


@worker_process_init.connect
def _end_with_the_worker(**_: object) -> None:
    """A pool process whose worker was killed is killed too (Linux): it would wait for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
