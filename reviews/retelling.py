"""Sentences that rows keep in English (wording.kept, refusals of a worker), said in the reader's
language: the catalogue read backwards.

A row keeps what was said, never a translation of it: whoever reads it may read another language
than who caused it. What no sentence of ours fits is a person's own words, and stays as it is.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from django.utils.translation import get_language, gettext
from django.utils.translation.trans_real import translation

_PLACE = re.compile(r"%\((\w+)\)[sd]")
# A sentence with less of its own than this fits too much.
_LEAST_OWN = 6


class _Pattern(NamedTuple):
    regex: re.Pattern[str]
    text: str


def retold(text: str) -> str:
    """This sentence, in the language that is active now."""
    language = get_language()
    if not text or not language or language.startswith("en"):
        return text
    return _retold(text, language)


@lru_cache(maxsize=2000)
def _retold(text: str, language: str) -> str:
    whole = gettext(text)
    if whole != text:
        return whole
    for pattern in _patterns(language):
        found = pattern.regex.fullmatch(text)
        if found:
            # What stands in a sentence is a name or a figure, unless it is a sentence itself.
            values = {name: _part(value, language) for name, value in found.groupdict().items()}
            return gettext(pattern.text) % values
    return text


def _part(value: str, language: str) -> str:
    sentence = value.rstrip()
    if not sentence.endswith("."):
        return value
    return _retold(sentence, language) + value[len(sentence) :]


@lru_cache
def _patterns(language: str) -> list[_Pattern]:
    """The catalogue's sentences with places in them, those with the most words of their own
    first."""
    found = []
    for key in dict(translation(language)._catalog.items()):  # type: ignore[attr-defined]
        if not isinstance(key, str) or "\x04" in key or not _PLACE.search(key):
            continue
        pieces = [piece.replace("%%", "%") for piece in _PLACE.split(key)]
        own = sum(len(piece) for piece in pieces[::2])
        if own < _LEAST_OWN:
            continue
        names: set[str] = set()
        regex = ""
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                regex += re.escape(piece)
            elif piece in names:
                regex += f"(?P={piece})"
            else:
                names.add(piece)
                regex += f"(?P<{piece}>.*?)"
        found.append((own, _Pattern(re.compile(regex, re.DOTALL), key)))
    return [pattern for _own, pattern in sorted(found, key=lambda one: -one[0])]
