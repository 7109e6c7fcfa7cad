"""Composition root: settings, URLs, Celery, the embedded servers. No domain code."""

from .celery import app as celery_app

__all__ = ["celery_app"]
