"""Arrow tables as JSON lines, written column by column: row by row would be many times slower."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def json_lines(table: pa.Table) -> bytes:
    """The rows as JSON, one a line, keys in the order of the columns."""
    if not table.num_rows:
        return b""
    columns = [table[name].combine_chunks() for name in table.column_names]
    lines = pc.binary_join_element_wise(*_pairs(table.column_names, columns), "}\n", "")
    return _bytes_of(lines).tobytes()


def _pairs(names: Sequence[str], columns: Sequence[pa.Array]) -> list[object]:
    """Keys and values of an object, but for its closing brace: texts, and arrays of texts."""
    parts: list[object] = []
    run: list[tuple[str, pa.Array]] = []  # columns side by side that say few different things
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        key = f"{',' if number else '{'}{json.dumps(name)}:"
        if _is_repetitive(column):
            run.append((key, column))
            continue
        parts += [*_together(run), key, _as_json(column)]
        run = []
    return [*parts, *_together(run)]


def _together(run: list[tuple[str, pa.Array]]) -> list[object]:
    """What comes again and again in a run of columns is written once for all rows that say it."""
    parts: list[object] = []
    keys: list[str] = []
    words: list[pa.Array] = []
    codes, size = np.zeros(0, np.int64), 1

    def text() -> pa.Array:
        said = np.flatnonzero(np.bincount(codes, minlength=size))
        place, rest, columns = np.zeros(size, np.int32), said, []
        place[said] = np.arange(len(said))
        for key, word in zip(reversed(keys), reversed(words), strict=True):
            rest, digit = np.divmod(rest, len(word))
            columns[:0] = [key, word.take(pa.array(digit))]
        return pc.binary_join_element_wise(*columns, "").take(pa.array(place[codes]))

    for key, column in run:
        encoded = column.dictionary_encode(null_encoding="encode")
        word = _as_json(encoded.dictionary)
        digits = encoded.indices.to_numpy().astype(np.int64)
        if keys and size * len(word) > _MOST_TOGETHER:
            parts.append(text())
            keys, words, size = [], [], 1
        codes = codes * len(word) + digits if keys else digits
        keys, words, size = [*keys, key], [*words, word], size * len(word)
    return [*parts, text()] if keys else parts


def _is_repetitive(column: pa.Array) -> bool:
    """By its first rows: it changes how quickly it is written, not what."""
    if pa.types.is_nested(column.type) or len(column) <= _LOOK:
        return False
    return len(pc.unique(column[:_LOOK])) <= _LOOK // 4


_LOOK = 128
_MOST_TOGETHER = 2**16


def _as_json(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Each value as JSON text."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_string(kind):
        text = _quoted(column)
    elif pa.types.is_list(kind):
        # Flattened, written, and gathered again by the same offsets.
        inner = pa.ListArray.from_arrays(column.offsets, _as_json(column.values))
        text = pc.binary_join_element_wise("[", pc.binary_join(inner, ","), "]", "")
    elif pa.types.is_struct(kind):
        names = [field.name for field in kind]
        columns = [column.field(number) for number in range(len(names))]
        text = pc.binary_join_element_wise(*_pairs(names, columns), "}", "")
    elif pa.types.is_timestamp(kind):
        # "2026-11-23 05:17:46.000123", quicker than strftime
        text = column.cast(pa.timestamp("us")).cast(pa.string())
        text = pc.binary_replace_slice(text.cast(pa.binary()), 10, 11, b"T").cast(pa.string())
        text = pc.binary_join_element_wise('"', text, 'Z"', "")
    else:
        text = column.cast(pa.string())
    return pc.fill_null(text, "null")


def _quoted(column: pa.Array) -> pa.Array:
    """Words that come again and again are written once."""
    if _is_repetitive(column):
        words = column.dictionary_encode()
        return _quoted(words.dictionary).take(words.indices)
    return pc.binary_join_element_wise('"', _escaped(column), '"', "")


# What JSON escapes in ordinary texts; other control characters are rare enough to go one by one.
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


def _escaped(column: pa.Array) -> pa.Array:
    data = _bytes_of(column)
    text, odd_ones = column, np.count_nonzero(data < 32)
    for plain, escaped in _ESCAPES:
        found = np.count_nonzero(data == ord(plain))
        odd_ones -= found if plain.isspace() else 0
        if found:
            text = pc.replace_substring(text, plain, escaped)
    if not odd_ones:
        return text
    is_odd = pc.fill_null(pc.match_substring_regex(text, r"[\x00-\x1f]"), False)
    odd = [
        json.dumps(value, ensure_ascii=False)[1:-1] for value in column.filter(is_odd).to_pylist()
    ]
    return pc.replace_with_mask(text, is_odd, pa.array(odd, pa.string()))


def _bytes_of(column: pa.Array) -> NDArray[np.uint8]:
    """The UTF-8 of all the strings, end to end."""
    _, offsets, data = column.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
