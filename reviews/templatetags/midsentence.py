"""A label in the middle of a sentence; a filter every template has (see settings.py)."""

from django import template

from reviews import wording

register = template.Library()


@register.filter
def midsentence(label: object) -> str:
    """ "Second opinion" → "second opinion"; German keeps the capitals of its nouns."""
    return wording.midsentence(label)
