"""Text → hashed counts of its words, word pairs and letter groups. Numbers only, no vocabulary.

The hashing trick (Weinberger et al. 2009): a group's bucket follows from its letters alone, so
there is nothing to fit, store or leak, and any worker anywhere gets the same buckets.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

BITS = 18  # buckets of one block, as a power of two
BLOCKS = 2  # words and word pairs; letter groups inside words
BUCKETS = BLOCKS << BITS
TEXT_LIMIT = 4000  # characters read
LETTER_GROUPS = (3, 4, 5)

_WORD = re.compile(r"\w+")
_CHUNK = 1_000_000  # characters hashed at once
_SPACE = 32
# Odd 64-bit constants: a polynomial's base, and a finaliser (splitmix64).
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Counts:
    """Rows of (bucket, 1 + log count), compressed: row i owns start[i]:start[i + 1]."""

    start: NDArray[np.int64]
    buckets: NDArray[np.int64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.start))

    def take(self, rows: NDArray[np.int64]) -> "Counts":
        """The same of some of the rows, in their order."""
        sizes = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        entries = np.repeat(self.start[:-1][rows] - start[:-1], sizes) + np.arange(start[-1])
        return Counts(start, self.buckets[entries], self.values[entries])


class Counted(Sequence[str]):
    """Texts that were counted beforehand, for whoever looks at the same ones again and again."""

    def __init__(self, texts: Sequence[str], counts: Counts | None = None) -> None:
        self.texts = np.array(texts, dtype=object)
        self.counts = count(texts) if counts is None else counts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> "Counted": ...
    def __getitem__(self, at: int | slice) -> "str | Counted":
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        return str(self.texts[at])

    def take(self, rows: NDArray[np.int64]) -> "Counted":
        return Counted(self.texts[rows].tolist(), self.counts.take(rows))


def count(texts: Sequence[str]) -> Counts:
    """Hash texts; each is folded (NFKC, case, white space) and cut to TEXT_LIMIT characters."""
    if isinstance(texts, Counted):
        return texts.counts
    starts = [np.zeros(1, dtype=np.int64)]
    buckets: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float32]] = []
    folded = [_fold(text) for text in texts]
    end = 0
    for first, last in _chunks([len(text) for text in folded]):
        keys, times = np.unique(_keys(folded[first:last]), return_counts=True)
        found = np.bincount(keys // BUCKETS, minlength=last - first)
        starts.append(end + np.cumsum(found))
        end += int(found.sum())
        buckets.append(keys % BUCKETS)
        values.append((1 + np.log(times)).astype(np.float32))
    return Counts(
        start=np.concatenate(starts),
        buckets=np.concatenate(buckets) if buckets else np.zeros(0, dtype=np.int64),
        values=np.concatenate(values) if values else np.zeros(0, dtype=np.float32),
    )


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text[: 2 * TEXT_LIMIT]).casefold()
    return " ".join(plain.split())[:TEXT_LIMIT]


def _chunks(lengths: Sequence[int]) -> list[tuple[int, int]]:
    cuts, first, size = [], 0, 0
    for row, length in enumerate(lengths):
        if size and size + length > _CHUNK:
            cuts.append((first, row))
            first, size = row, 0
        size += length + 2
    if first < len(lengths):
        cuts.append((first, len(lengths)))
    return cuts


def _keys(texts: Sequence[str]) -> NDArray[np.int64]:
    """row · BUCKETS + bucket, once for every time the group stands in the text."""
    return np.concatenate([*_word_keys(texts), *_letter_keys(texts)])


def _word_keys(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    rows: list[int] = []
    hashes: list[int] = []
    for row, text in enumerate(texts):
        found = [zlib.crc32(word.encode("utf-8", "replace")) for word in _WORD.findall(text)]
        hashes += found
        rows += [row] * len(found)
    row_of = np.array(rows, dtype=np.int64)
    single = np.array(hashes, dtype=np.uint64)
    together = row_of[1:] == row_of[:-1]
    pair = (single[:-1] * _BASE + single[1:])[together]
    return [_key(row_of, single, block=0), _key(row_of[:-1][together], pair, block=0)]


def _letter_keys(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Letter groups inside words, a word's edges being letters too: " w", "wor", …, "d "."""
    padded = [f" {text} " for text in texts]
    joined = "".join(padded).encode("utf-32-le", "surrogatepass")
    letters = np.frombuffer(joined, dtype=np.uint32).astype(np.uint64)
    row_of = np.repeat(
        np.arange(len(texts), dtype=np.int64), np.array([len(text) for text in padded], dtype=int)
    )
    spaces = np.concatenate([[0], np.cumsum(letters == _SPACE)])
    keys = []
    for size in LETTER_GROUPS:
        count = len(letters) - size + 1
        if count <= 0:
            continue
        hashed = np.full(count, size, dtype=np.uint64)
        for offset in range(size):
            hashed = hashed * _BASE + letters[offset : offset + count]
        # No space but at the ends: neither two words nor two texts in one group.
        inside = spaces[size - 1 : size - 1 + count] == spaces[1 : 1 + count]
        keys.append(_key(row_of[:count][inside], hashed[inside], block=1))
    return keys


def _key(rows: NDArray[np.int64], hashed: NDArray[np.uint64], *, block: int) -> NDArray[np.int64]:
    mixed = (hashed ^ (hashed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    bucket = (mixed >> np.uint64(64 - BITS)).astype(np.int64) + (block << BITS)
    keys: NDArray[np.int64] = rows * BUCKETS + bucket
    return keys
