"""Composition root: settings, URLs, Celery, the embedded servers. No domain code."""
