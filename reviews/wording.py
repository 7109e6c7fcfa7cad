"""PURE. How modules that know no Django say things in the reader's language.

The app puts the translating functions in as it starts (apps.py); without it, words stay English.
"""

from collections.abc import Callable
from typing import NamedTuple


class _Speech(NamedTuple):
    one: Callable[[str], str]
    several: Callable[[str, str, int], str]
    inside: Callable[[object], str]


_speech = _Speech(
    lambda text: text,
    lambda one, many, count: one if count == 1 else many,
    lambda label: str(label).lower(),
)


def speak(
    one: Callable[[str], str],
    several: Callable[[str, str, int], str],
    inside: Callable[[object], str],
) -> None:
    """From now on, these find the words: gettext, ngettext and midsentence."""
    global _speech
    _speech = _Speech(one, several, inside)


def gettext(text: str) -> str:
    return _speech.one(text)


def ngettext(one: str, many: str, count: int) -> str:
    return _speech.several(one, many, count)


def noop(text: str) -> str:
    """Marks what is translated where it is shown."""
    return text


def midsentence(label: object) -> str:
    """A label in the middle of a sentence: small letters, where the language has no capitals."""
    return _speech.inside(label)
