"""Icons, drawn once a process: the library takes the XML apart anew each time."""

from functools import lru_cache

from django import template
from heroicons.templatetags import heroicons

register = template.Library()


@register.simple_tag
@lru_cache(maxsize=128)
def icon(name: str, *, size: int = 20) -> str:
    """One of the small solid ones ("mini")."""
    return heroicons.heroicon_mini(name, size=size)


@register.simple_tag
@lru_cache(maxsize=128)
def outline_icon(name: str, *, size: int = 24) -> str:
    return heroicons.heroicon_outline(name, size=size)
