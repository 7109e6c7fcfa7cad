"""PURE. How modules that know no Django say things in the reader's language.

The app puts the translating functions in as it starts (apps.py); without it, words stay English.
"""

from collections.abc import Callable
from typing import NamedTuple


class _Speech(NamedTuple):
    one: Callable[[str], str]
    several: Callable[[str, str, int], str]
    inside: Callable[[object], str]
    figure: Callable[[float, int], str]


_speech = _Speech(
    lambda text: text,
    lambda one, many, count: one if count == 1 else many,
    lambda label: str(label).lower(),
    lambda number, digits: f"{number:,.{digits}f}",
)


def speak(
    one: Callable[[str], str],
    several: Callable[[str, str, int], str],
    inside: Callable[[object], str],
    figure: Callable[[float, int], str],
) -> None:
    """From now on, these find the words: gettext, ngettext, midsentence and figure."""
    global _speech
    _speech = _Speech(one, several, inside, figure)


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


def figure(number: float, digits: int | None = None) -> str:
    """1234.5 → "1,234.5" as her language writes it, with a real minus sign; `digits` behind the
    point, or as many as it has."""
    if digits is None:
        short = "" if isinstance(number, int) else f"{number:.10f}".rstrip("0")
        digits = len(short.partition(".")[2])
    return _speech.figure(number, digits).replace("-", "−")


def kept(text: str, **values: object) -> str:
    """A sentence that goes into a row: in English, whoever it is that wrote it. retelling.retold
    says it in the language of whoever reads it."""
    return text % values if values else text
