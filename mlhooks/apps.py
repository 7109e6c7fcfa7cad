from django.apps import AppConfig


class MlhooksConfig(AppConfig):
    name = "mlhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import receivers  # noqa: F401
