"""A label in the middle of a sentence; a filter every template has (see settings.py)."""

from django import template
from django.utils.translation import get_language

register = template.Library()


@register.filter
def midsentence(label: object) -> str:
    """ "Second opinion" → "second opinion"; German keeps the capitals of its nouns."""
    return str(label) if (get_language() or "").startswith("de") else str(label).lower()
