"""`url` for the fragments that are drawn at every job: each place is looked up once a process.

Resolving a name anew costs as much as a row of a list, and a job has some twenty places.
"""

from functools import lru_cache

from django import template
from django.urls import get_script_prefix, reverse

register = template.Library()

_NUMBER = 3141592653


@register.simple_tag
def door(name: str, number: int | None = None) -> str:
    """The path of `name`, which takes nothing, or one number."""
    if number is None:
        return _path(name, get_script_prefix())
    before, after = _around(name, get_script_prefix())
    return f"{before}{number:d}{after}"


@lru_cache(maxsize=256)
def _path(name: str, prefix: str) -> str:
    return reverse(name)


@lru_cache(maxsize=256)
def _around(name: str, prefix: str) -> tuple[str, str]:
    before, after = reverse(name, args=[_NUMBER]).split(str(_NUMBER))
    return before, after
