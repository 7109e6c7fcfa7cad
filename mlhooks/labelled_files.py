"""Labelled files of anybody's (Parquet, CSV, JSON Lines) as rows to simulate with."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from .simulation import Rows

SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing"),
}
SHARES = (0.6, 0.2)  # train and valid, where the file has no split; the rest is test


class FileRefused(Exception):
    """The file is not one to learn from; says why, and what to do."""


def read_rows(path: Path, *, text: str, label: str, seed: int = 0) -> Rows:
    """A Parquet, CSV or JSON Lines file. A column `split` is honoured; else a seeded 60/20/20 of
    each label. Rows without a text are left out: nobody could have judged them."""
    table = _read(path)
    for name in (text, label):
        if name not in table.column_names:
            raise FileRefused(
                f"{path.name} has no column {name!r}. It has {', '.join(table.column_names)}."
            )
    if text == label:
        raise FileRefused(f"{text!r} cannot be both the text and the label.")
    if not len(table):
        raise FileRefused(f"{path.name} has no rows.")
    texts = _texts(table[text], text)
    there = np.flatnonzero([bool(one.strip()) for one in texts])
    if not len(there):
        raise FileRefused(f"Every text of {text!r} is empty.")
    labels = _labels(table[label].to_pylist(), label)[there]
    if "split" in table.column_names:
        split = _splits(table["split"].to_pylist())[there]
    else:
        split = _divided(labels, np.random.default_rng(seed))
    left_out = len(texts) - len(there)
    rows = Rows([texts[row] for row in there], labels, split, left_out)
    _check_classes(rows, label)
    return rows


def _check_classes(rows: Rows, label: str) -> None:
    if len(set(rows.labels.tolist())) == 1:
        what = "violate" if rows.labels[0] else "are clean"
        raise FileRefused(f"All rows {what} by {label!r}: there is nothing to tell apart.")
    for name in ("train", "test"):
        found = rows.labels[rows.of(name)]
        if not len(found):
            raise FileRefused(f"There are no {name} rows.")
        if not ((found == 1).any() and (found == 0).any()):
            raise FileRefused(
                f"The {name} rows need both labels, and have {int((found == 1).sum())} positive "
                f"and {int((found == 0).sum())} negative ones."
            )


def _read(path: Path) -> pa.Table:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise FileRefused(f"{path.name} is none of {', '.join(_READERS)}.")
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise FileRefused(f"There is no file {path}.") from error
    except (pa.ArrowException, OSError) as error:
        raise FileRefused(f"{path.name} cannot be read: {error}") from error


def _csv(path: Path) -> pa.Table:
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=options)


_READERS = {".parquet": pyarrow.parquet.read_table, ".csv": _csv, ".jsonl": pyarrow.json.read_json}
_YES = {"1", "1.0", "true", "yes", "y", "violating", "positive"}
_NO = {"0", "0.0", "false", "no", "n", "clean", "negative"}
_MISSING = {"", "none", "nan", "null", "na", "n/a"}


def _texts(column: pa.ChunkedArray, name: str) -> list[str]:
    """As they are, nothing for null. Columns that hold no text by any reading are refused."""
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        why = "is not UTF-8" if pa.types.is_binary(column.type) else f"holds {column.type}"
        raise FileRefused(f"The column {name!r} {why}, so it has no texts to read.")
    return ["" if one is None else str(one) for one in column.to_pylist()]


def _labels(values: list[Any], name: str) -> np.ndarray:
    words = ["" if one is None else str(one).strip().lower() for one in values]
    missing = [number for number, word in enumerate(words) if word in _MISSING]
    if missing:
        raise FileRefused(
            f"{len(missing):,} of {len(words):,} rows have no {name!r}, the first is row "
            f"{missing[0] + 1}. Not judged is not negative: leave them out of the file."
        )
    for number, word in enumerate(words):
        if word not in _YES | _NO:
            raise FileRefused(
                f"Row {number + 1} of {name!r} is {values[number]!r}. A label is 1 or 0, true or "
                "false, violating or clean."
            )
    return np.array([float(word in _YES) for word in words])


def _splits(values: list[Any]) -> np.ndarray:
    names = {word: split for split, words in SPLITS.items() for word in words}
    words = ["" if one is None else str(one).strip().lower() for one in values]
    unknown = sorted({word or "nothing" for word in words} - set(names))
    if unknown:
        some = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise FileRefused(
            f"The column split says {some}. It may say {', '.join(names)}; rename it, and the rows "
            "are divided 60/20/20."
        )
    return np.array([names[word] for word in words], dtype="<U5")


def _divided(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """60/20/20 of each label, so that a rare one is in every part."""
    split = np.full(len(labels), "test", dtype="<U5")
    for label in (0, 1):
        order = rng.permutation(np.flatnonzero(labels == label))
        first, second = (round(share * len(order)) for share in (SHARES[0], sum(SHARES)))
        split[order[:first]], split[order[first:second]] = "train", "valid"
    return split
