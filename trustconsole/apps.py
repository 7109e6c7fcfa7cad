"""What has to happen once Django is ready: the Celery app, the cache's table, our own checks."""

from django.apps import AppConfig, apps
from django.contrib.staticfiles.apps import StaticFilesConfig
from django.db.models.signals import post_migrate


class TrustConsoleConfig(AppConfig):
    name = "trustconsole"

    def ready(self) -> None:
        from . import (
            celery,  # noqa: F401 - shared tasks find their app
            checks,  # noqa: F401 - registers them
        )

        # Sent once for every app that has models, which this one has not.
        post_migrate.connect(_create_cache_table, sender=apps.get_app_config("auth"))


class OurStaticFilesConfig(StaticFilesConfig):
    """Leaves out what the packages carry and no page of ours uses: htmx 4, DRF's browsable API."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        *("rest_framework", "htmax-*", "*-4.js", "*-4.min.js"),
    ]


def _create_cache_table(using: str, verbosity: int, **kwargs: object) -> None:
    """Only where the cache is a table; does nothing when it is there."""
    from django.core.management import call_command

    call_command("createcachetable", database=using, verbosity=max(verbosity - 1, 0))
