"""Text → the pieces that can be left out of it, to see what a score owes to each. Knows no rows.

A piece is a sentence; of a very long one, or where it is all there is, a window of its words.
"""

import re
from collections.abc import Sequence

MOST = 64  # pieces of one text
LONG = 40  # words from which a sentence is read in windows
WINDOW = 12
_SMALLEST = 3
_SHARES = 8  # a lone sentence is cut into so many windows, if it has words enough

_END = re.compile(r"(?:[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？｡]+[」』”]*|\n)\s*")
# A script without spaces between words, or one endless word, is cut by length.
_WORD = re.compile(r"\S{1,24}")

Piece = tuple[int, int]


def cut(text: str) -> list[Piece]:
    """(start, end) of at most MOST pieces in characters, in order, without white space around."""
    sentences = _sentences(text)
    pieces: list[Piece] = []
    for start, end in sentences:
        words = [one.span() for one in _WORD.finditer(text, start, end)]
        size = len(words)
        if len(sentences) == 1:
            size = max(_SMALLEST, -(-len(words) // _SHARES))
        elif len(words) > LONG:
            size = WINDOW
        pieces += _together(words, size)
    return _together(pieces, -(-len(pieces) // MOST))


def without(text: str, piece: Piece) -> str:
    start, end = piece
    return f"{text[:start]}{text[end:]}"


def _sentences(text: str) -> list[Piece]:
    found, start = [], 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        inner = text[start:end]
        if inner.strip():
            at = start + len(inner) - len(inner.lstrip())
            found.append((at, at + len(inner.strip())))
        start = end
    return found


def _together(pieces: Sequence[Piece], size: int) -> list[Piece]:
    """`size` neighbours made one."""
    size = max(size, 1)
    groups = [pieces[at : at + size] for at in range(0, len(pieces), size)]
    return [(group[0][0], group[-1][1]) for group in groups]
