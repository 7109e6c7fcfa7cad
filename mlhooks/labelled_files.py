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
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
}
SHARES = (0.6, 0.2)  # train and valid, where the file has no split; the rest is test


class FileRefused(Exception):
    """The file is not one to learn from; says why, and what to do."""


def read_rows(path: Path, *, text: str, label: str, seed: int = 0) -> Rows:
    """A Parquet, CSV or JSON Lines file. A column `split` is honoured; else a seeded 60/20/20."""
    table = _read(path)
    for name in (text, label):
        if name not in table.column_names:
            raise FileRefused(
                f"{path.name} has no column {name!r}. It has {', '.join(table.column_names)}."
            )
    labels = _labels(table[label].to_pylist(), label)
    texts = ["" if one is None else str(one) for one in table[text].to_pylist()]
    if "split" in table.column_names:
        split = _splits(table["split"].to_pylist())
    else:
        order = np.random.default_rng(seed).permutation(len(texts))
        split = np.full(len(texts), "test", dtype="<U5")
        first, second = (round(share * len(texts)) for share in (SHARES[0], sum(SHARES)))
        split[order[:first]], split[order[first:second]] = "train", "valid"
    rows = Rows(texts, labels, split)
    for name in ("train", "test"):
        found = labels[rows.of(name)]
        if not ((found == 1).any() and (found == 0).any()):
            raise FileRefused(
                f"The {name} rows need both labels, and have {int((found == 1).sum())} positive "
                f"and {int((found == 0).sum())} negative ones."
            )
    return rows


def _read(path: Path) -> pa.Table:
    if path.suffix not in _READERS:
        raise FileRefused(f"{path.name} is none of {', '.join(_READERS)}.")
    try:
        return _READERS[path.suffix](path)
    except FileNotFoundError as error:
        raise FileRefused(f"There is no file {path}.") from error
    except (pa.ArrowException, OSError) as error:
        raise FileRefused(f"{path.name} cannot be read: {error}") from error


def _csv(path: Path) -> pa.Table:
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=options)


_READERS = {".parquet": pyarrow.parquet.read_table, ".csv": _csv, ".jsonl": pyarrow.json.read_json}
_YES = {"1", "1.0", "true", "yes", "y", "violating", "positive"}
_NO = {"0", "0.0", "false", "no", "n", "clean", "negative", ""}


def _labels(values: list[Any], name: str) -> np.ndarray:
    found = np.zeros(len(values))
    for number, value in enumerate(values):
        word = "" if value is None else str(value).strip().lower()
        if value is None or word not in _YES | _NO:
            raise FileRefused(
                f"Row {number + 1} of {name!r} is {value!r}. A label is 1 or 0, true or false, "
                "violating or clean."
            )
        found[number] = word in _YES
    return found


def _splits(values: list[Any]) -> np.ndarray:
    unknown = sorted({str(one) for one in values} - set(SPLITS))
    if unknown:
        raise FileRefused(
            f"The column split says {', '.join(unknown[:5])}. It may say {', '.join(SPLITS)}."
        )
    return np.array([SPLITS[str(one)] for one in values], dtype="<U5")
