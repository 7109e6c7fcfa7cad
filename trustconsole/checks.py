"""System checks of the deployment; `manage.py check --deploy` runs them."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register

from reviews import webhooks


@register(Tags.security, deploy=True)
def check_secret_key(app_configs: object, **kwargs: object) -> Iterable[CheckMessage]:
    if settings.SECRET_KEY_IS_GENERATED:
        yield Warning(
            "SECRET_KEY is not set; this machine made one of its own.",
            hint="Every host has to have the same key, or sessions and second factors of one are "
            f"unknown to the others. Copy {settings.VAR_DIR / 'secret_key'} into SECRET_KEY.",
            id="trustconsole.W001",
        )


@register(Tags.security, deploy=True)
def check_hosts(app_configs: object, **kwargs: object) -> Iterable[CheckMessage]:
    if set(settings.ALLOWED_HOSTS) <= {"localhost", "127.0.0.1", "[::1]"}:
        yield Info(
            "ALLOWED_HOSTS names this machine only; requests from others are refused.",
            hint="Set ALLOWED_HOSTS to the name people type, e.g. console.example.org.",
            id="trustconsole.I001",
        )


@register(deploy=True)
def check_folders(app_configs: object, **kwargs: object) -> Iterable[CheckMessage]:
    """Snapshots and models are read by web processes and workers alike."""
    broker = urlsplit(settings.CELERY_BROKER_URL)
    if broker.hostname in (None, "localhost", "127.0.0.1", "::1"):
        return
    for name in ("MODEL_DIR", "SNAPSHOT_DIR"):
        if Path(getattr(settings, name)).is_relative_to(settings.VAR_DIR):
            yield Info(
                f"{name} is a folder of this machine, and the broker is on another.",
                hint=f"With workers on several hosts set {name} to a folder that all of them see.",
                id="trustconsole.I002",
            )


@register()
def check_webhooks(app_configs: object, **kwargs: object) -> Iterable[CheckMessage]:
    for slug, to in settings.ALERT_WEBHOOKS.items():
        try:
            webhooks.key_of(to["secret"])
        except ValueError as error:
            yield Error(
                f"ALERT_WEBHOOKS has no good secret for “{slug}”: {error}",
                hint='Make one: python -c "import base64, os; '
                "print('whsec_' + base64.b64encode(os.urandom(32)).decode())\"",
                id="trustconsole.E002",
            )


@register(Tags.urls)
def check_static(app_configs: object, **kwargs: object) -> Iterable[CheckMessage]:
    for folder in settings.STATICFILES_DIRS:
        if not Path(folder).is_dir():
            yield Error(
                f"The folder of static files {folder} is missing.",
                hint="Is this a complete checkout?",
                id="trustconsole.E001",
            )
