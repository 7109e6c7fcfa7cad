"""The web process: gunicorn imports this."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
application = get_wsgi_application()
# What is loaded by now stays: the collector need not walk it for every few hundred requests, nor
# make each worker a copy of it by doing so.
gc.collect()
gc.freeze()
