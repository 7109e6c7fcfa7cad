"""What is wrong with something that is to be saved: collected by field, told all at once. And what
every name, address and key that a lead gives has to keep to."""

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from . import access
from .errors import Invalid
from .models import Person, Platform
from .wording import figure

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
_KEY = re.compile(r"[a-z0-9]")
_LONGEST_NAME = 80


class Refusals:
    """Call it with a field ("field.name" within one) and what is wrong there."""

    def __init__(self, more: Mapping[str, list[str]] | None = None) -> None:
        self._wrong = {name: list(texts) for name, texts in (more or {}).items()}

    def __call__(self, name: str, text: str) -> None:
        self._wrong.setdefault(name, []).append(text)

    def __contains__(self, name: str) -> bool:
        return name in self._wrong

    def raise_any(self) -> None:
        """Invalid, with {field: [what is wrong]}, if anything is."""
        if self._wrong:
            raise Invalid(
                _("Some of this does not work yet. Nothing was saved."), details=self._wrong
            )


def check_words(
    data: Mapping[str, Any],
    others: QuerySet,
    refuse: Refusals,
    *,
    taken: str,
    longest_description: int,
) -> None:
    """A name that none of the `others` in use has (`taken` says so), and a description."""
    name = data["name"].strip()
    if not name or len(name) > _LONGEST_NAME:
        refuse("name", _("Give a name of 1 to 80 characters."))
    if name and others.filter(is_archived=False, name__iexact=name).exists():
        refuse("name", taken)
    if len(data["description"]) > longest_description:
        refuse(
            "description", _("At most %(most)s characters.") % {"most": figure(longest_description)}
        )
    for field in ("name", "description"):
        if "\x00" in data[field]:
            refuse(field, _("There is a character in it that cannot be stored."))


def slug_refusals(
    slug: str, model: type[Model], platform: Platform, *, by: Person | None, new: str, taken: str
) -> dict[str, list[str]]:
    """As details: free on all her platforms, because the address of a page names no platform.

    `new` and `taken` are the words for a slug that is the address of the page for new ones, and
    for one that another has."""
    if not _SLUG.fullmatch(slug):
        return {
            "slug": [_("Use 2 to 40 small letters, digits and hyphens, a letter or digit first.")]
        }
    if slug == "new":
        return {"slug": [new]}
    mine = {platform.pk} | (set(access.platform_ids(by)) if by is not None else set())
    rows: QuerySet = model._default_manager.filter(platform__in=mine, slug=slug)
    return {"slug": [taken]} if rows.exists() else {}


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None
