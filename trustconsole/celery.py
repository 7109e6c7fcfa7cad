"""The Celery app: queues, routes and the beat table."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")

app = Celery("trustconsole")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["reviews", "mlhooks"])
