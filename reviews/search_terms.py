"""Texts and questions as search terms. Plain values in and out.

The terms are made here, not by PostgreSQL's parser, whose idea of a word hangs on the locale of the
database: case and accents are folded, and scripts without spaces are cut into pairs of characters,
so that Japanese, Chinese and Thai are found as well. A tsvector and a tsquery are written as text.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

MOST_WORDS = 12_000  # of one item; PostgreSQL keeps positions up to 16,383
MOST_PLACES = 64  # of one word in one item
LONGEST = 80  # characters of a word

# A word goes on over marks that stand on its letters and over what cannot be seen in it.
_MARKS = (
    "\u00ad\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0dff"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u102b-\u103e\u200b-\u200f\u2060-\u2064\ufe0f\ufeff"
)
_WORD = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")
# Thai to Myanmar, kana, Han, Hangul: written without spaces, or with particles stuck on.
_PAIRED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
_RUNS = re.compile(f"[{_PAIRED}]+|[^{_PAIRED}]+")
_IS_PAIRED = re.compile(f"[{_PAIRED}]")


class Term(NamedTuple):
    text: str
    start: int  # where it stands in the text it was read from
    end: int


class Phrase(NamedTuple):
    """Terms in a row. `is_open`: the last one may go on ("scam*"). `or_facet` does as well."""

    terms: tuple[str, ...]
    is_open: bool = False
    is_excluded: bool = False
    or_facet: str = ""


class Part(NamedTuple):
    """A piece of a snippet."""

    text: str
    is_hit: bool


@lru_cache(maxsize=20_000)
def folded(word: str) -> str:
    """Without case, accents and characters that cannot be seen: "Ｃafé" → "cafe"."""
    if word.isascii():
        return word.lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", word).casefold())
    return "".join(one for one in text if unicodedata.category(one) not in ("Mn", "Cf"))


def terms(text: str) -> Iterator[Term]:
    """Every term with its place, in order. A pair of characters counts from its first one."""
    for found in _WORD.finditer(text):
        if found[0].isascii():
            yield Term(found[0].lower()[:LONGEST], found.start(), found.end())
            continue
        for run in _RUNS.finditer(found[0]):
            start, end = found.start() + run.start(), found.start() + run.end()
            if not _IS_PAIRED.match(run[0]):
                if word := folded(run[0]):
                    yield Term(word[:LONGEST], start, end)
                continue
            letters = [(letter, at) for at in range(start, end) if (letter := folded(text[at]))]
            for number, (letter, at) in enumerate(letters):
                # The last character stands alone, so that one of them can be asked for too.
                pair = letters[number + 1 : number + 2]
                after = letters[number + 2][1] if number + 2 < len(letters) else end
                yield Term(letter + pair[0][0] if pair else letter, at, after)


def vector(text: str, facets: Sequence[str] = ()) -> str:
    """As a tsvector literal: words with their places, facets ("=v…") without any."""
    places: dict[str, list[int]] = {}
    for number, term in enumerate(terms(text), 1):
        if number > MOST_WORDS:
            break
        at = places.setdefault(term.text, [])
        if len(at) < MOST_PLACES:
            at.append(number)
    words = [f"{_quoted(word)}:{','.join(map(str, at))}" for word, at in places.items()]
    return " ".join([*words, *(_quoted(facet) for facet in dict.fromkeys(facets))])


def phrase(text: str, *, is_open: bool = False, is_excluded: bool = False) -> Phrase | None:
    """What has to stand in a row for this text to be there; None if there is no word in it."""
    found = list(terms(text))
    # The lone last character of a run is in the index to be asked for alone, not here.
    kept = [
        one.text
        for at, one in enumerate(found)
        if at == 0 or not (found[at - 1].end == one.end and len(one.text) == 1)
    ]
    if not kept:
        return None
    ends_in_pairs = bool(_IS_PAIRED.match(kept[-1]))
    is_lone = ends_in_pairs and len(kept[-1]) == 1
    is_open = is_lone if ends_in_pairs else is_open
    return Phrase(tuple(kept), is_open=is_open, is_excluded=is_excluded)


def is_broad(one: Phrase) -> bool:
    """Is it no more than the letter that words begin with? A pair's first character says more."""
    first = one.terms[0]
    return one.is_open and len(one.terms) == len(first) == 1 and not _IS_PAIRED.match(first)


def query(phrases: Sequence[Phrase], facets: Sequence[tuple[Sequence[str], bool]]) -> str:
    """As a tsquery literal. A facet is ([any of these], is it excluded)."""
    parts = []
    for one in phrases:
        words = [_quoted(word) for word in one.terms]
        if one.is_open:
            words[-1] += ":*"
        text = " <-> ".join(words)
        parts.append(
            _not(f"{text} | {_facet(one.or_facet)}" if one.or_facet else text, one.is_excluded)
        )
    for values, is_excluded in facets:
        parts.append(_not(" | ".join(_facet(value) for value in values), is_excluded))
    return " & ".join(parts)


def snippet(text: str, phrases: Sequence[Phrase], *, length: int = 220) -> list[Part]:
    """A piece of the text around the first hit, with the hits told apart."""
    hits = _hits(text, [one for one in phrases if not one.is_excluded])
    start = 0
    if hits and hits[0][1] > length * 3 // 4:
        start = max(0, hits[0][0] - length // 3)
        space = text.find(" ", start, hits[0][0])
        start = space + 1 if space >= 0 else start
    end = min(len(text), start + length)
    if end < len(text):
        space = text.rfind(" ", start + length // 2, end)
        end = space if space >= 0 else end
    parts = [Part("… ", False)] if start else []
    at = start
    for begin, stop in hits:
        if begin < at or stop > end:
            continue
        if begin > at:
            parts.append(Part(text[at:begin], False))
        parts.append(Part(text[begin:stop], True))
        at = stop
    if at < end:
        parts.append(Part(text[at:end], False))
    if end < len(text):
        parts.append(Part(" …", False))
    return parts


def _hits(text: str, phrases: Sequence[Phrase]) -> list[tuple[int, int]]:
    """Where the phrases stand, in order, none overlapping another."""
    found = list(terms(text))
    hits = []
    for one in phrases:
        first, *rest = one.terms
        for at, term in enumerate(found):
            is_last = not rest
            if not _is(term.text, first, one.is_open and is_last):
                continue
            row = found[at : at + len(one.terms)]
            last = len(one.terms) - 1
            if len(row) == last + 1 and all(
                _is(word.text, wanted, one.is_open and number == last)
                for number, (word, wanted) in enumerate(zip(row, one.terms, strict=True))
            ):
                hits.append((term.start, row[-1].end))
    hits.sort()
    apart: list[tuple[int, int]] = []
    for begin, stop in hits:
        if not apart or begin >= apart[-1][1]:
            apart.append((begin, stop))
        elif stop > apart[-1][1]:
            apart[-1] = (apart[-1][0], stop)
    return apart


def _is(word: str, wanted: str, is_open: bool) -> bool:
    return word.startswith(wanted) if is_open else word == wanted


def _facet(value: str) -> str:
    return f"{_quoted(value[:-1])}:*" if value.endswith("*") else _quoted(value)


def _not(text: str, is_excluded: bool) -> str:
    return f"!({text})" if is_excluded else f"({text})"


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''").replace("\x00", "") + "'"
