"""Which platform a command works on."""

from django.core.management.base import CommandError

from reviews.models import Platform


def find_platform(slug: str | None) -> Platform:
    """The platform of that slug, or the only one there is."""
    platforms = list(Platform.objects.order_by("slug"))
    if not platforms:
        raise CommandError("There is no platform yet. `manage.py load_demo` makes one.")
    if slug is None and len(platforms) == 1:
        return platforms[0]
    for platform in platforms:
        if platform.slug == slug:
            return platform
    known = ", ".join(platform.slug for platform in platforms)
    raise CommandError(f"Say which platform with --platform: {known}.")
