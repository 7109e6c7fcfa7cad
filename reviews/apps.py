from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ReviewsConfig(AppConfig):
    name = "reviews"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.utils.formats import number_format
        from django.utils.translation import gettext, ngettext

        from . import wording

        def figure(number: float, digits: int) -> str:
            return number_format(number, digits, force_grouping=True)

        wording.speak(gettext, ngettext, _midsentence, figure)
        post_migrate.connect(_create_roles, sender=self)


def _midsentence(label: object) -> str:
    """German keeps the capitals of its nouns."""
    from django.utils.translation import get_language

    return str(label) if (get_language() or "").startswith("de") else str(label).lower()


def _create_roles(using: str, **kwargs: object) -> None:
    """Roles are groups; the code knows them by name, so they always exist."""
    from django.contrib.auth.models import Group

    from .models import Role

    for name in Role.values:
        Group.objects.using(using).get_or_create(name=name)
