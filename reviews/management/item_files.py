"""Files of items: lines of JSON, CSV or Parquet → typed rows, batch by batch, read ahead."""

import csv
import gzip
import io
import json
import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import CommandError

from reviews.models import ItemKind
from reviews.submission import Errors, ItemRow, Shape, clean, read_item

MAX_LINE = 16 * 2**20  # bytes of one JSON line; beyond it the file is not what it says
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})


class Line(NamedTuple):
    """One row of the file, or why it cannot be read."""

    number: int  # as an editor counts: the line in the file; for Parquet the row from 1
    values: dict[str, Any] | None
    error: str = ""


class Batch(NamedTuple):
    lines: list[Line]
    read: list[ItemRow | Errors]
    keys: frozenset[str]  # what its rows share with other batches: external ids and texts
    position: int  # in the file, for the progress bar


class RowReader:
    """Columns of the file → rows as submit_items takes them → typed rows."""

    def __init__(self, kind: ItemKind, shapes: dict[str, Shape], options: dict[str, Any]) -> None:
        self._kind = kind.slug
        self._shapes = shapes
        fields = {field["name"]: field["type"] for field in kind.fields}
        columns = {name: name for name in ("external_id", *fields)}
        self.named: set[str] = set()  # columns asked for by name: they have to be there
        for pair in options["mapping"]:
            name, equals, column = pair.partition("=")
            if not equals or name not in columns:
                raise CommandError(
                    f"--map {pair}: give FIELD=COLUMN; fields: {', '.join(columns)}."
                )
            columns[name] = column
            self.named.add(column)
        self._external_id = columns.pop("external_id")
        self._content = [(name, column, fields[name]) for name, column in columns.items()]
        self._own = {}
        for name in ("account", "account_name", "language", "posted_at", "views", "views_so_far"):
            if options[name]:
                self._own[name] = options[name]
                self.named.add(options[name])
        self.wanted = {self._external_id, *columns.values(), *self._own.values()}

    def check_columns(self, found: Iterable[str]) -> None:
        """Raise CommandError when a column that was named is not in the file."""
        missing = sorted(self.named - set(found))
        if missing:
            raise CommandError(
                f"The file has no column {', '.join(missing)}. It has: {', '.join(found)}."
            )

    def read(self, line: Line, index: int) -> ItemRow | Errors:
        values = line.values
        if values is None:
            return {"row": [line.error]}
        content = {}
        for name, column, kind in self._content:
            value = values.get(column)
            if value is not None:
                content[name] = _typed(value, kind) if isinstance(value, str) else _plain(value)
        row: dict[str, Any] = {
            "kind": self._kind,
            "external_id": values.get(self._external_id),
            "content": content,
        }
        own = self._own
        if own:
            self._add_own(row, values)
        return read_item(row, index=index, shapes=self._shapes)

    def _add_own(self, row: dict[str, Any], values: dict[str, Any]) -> None:
        own = {name: values.get(column) for name, column in self._own.items()}
        own = {name: value for name, value in own.items() if value not in (None, "")}
        if "account" in own:
            row["account"] = {"external_id": own["account"]}
            if "account_name" in own:
                row["account"]["name"] = str(own["account_name"])
        if "language" in own:
            row["language"] = own["language"]
        if "posted_at" in own:
            row["posted_at"] = own["posted_at"]
        if "views" in own:
            views = own["views"]
            row["views_per_hour"] = _typed(views, "number") if isinstance(views, str) else views
        if "views_so_far" in own:
            so_far = own["views_so_far"]
            row["views_so_far"] = _typed(so_far, "number") if isinstance(so_far, str) else so_far


def _typed(text: str, kind: str) -> Any:
    """Text of a CSV cell as the field's type has it; what does not fit is left for read_item."""
    if kind == "number":
        try:
            return int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
        except ValueError:
            return text or None
    if kind == "boolean":
        word = text.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else text or None
    if kind not in ("string", "text") and not text:
        return None
    if kind in ("key-value", "images", "messages"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _plain(value: Any) -> Any:
    """Values of Parquet that JSON has no form for."""
    if isinstance(value, bytes):
        return clean(value.decode("utf-8", "replace"))
    return value


class ReadAhead:
    """Batches of a file, the next one read by a thread while the caller stores the last one."""

    def __init__(self, file: Path, reader: RowReader, size: int) -> None:
        self._file, self._reader, self._size = file, reader, size
        self._ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=2)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ReadAhead":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def __iter__(self) -> Iterator[Batch]:
        while (batch := self._ready.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    def _run(self) -> None:
        try:
            with Source(self._file, self._reader) as source:
                lines: list[Line] = []
                for line in source:
                    lines.append(line)
                    if len(lines) == self._size and not self._put(self._batch(lines, source)):
                        return
                    if len(lines) == self._size:
                        lines = []
                if lines and not self._put(self._batch(lines, source)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  (the main thread raises it)
            self._put(error)

    def _batch(self, lines: list[Line], source: "Source") -> Batch:
        read = [self._reader.read(line, index) for index, line in enumerate(lines)]
        good = [row for row in read if isinstance(row, ItemRow)]
        keys = {row.external_id for row in good} | {row.fingerprint for row in good}
        return Batch(lines, read, frozenset(keys), source.position())

    def _put(self, batch: Batch | BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(batch, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False


class Source:
    """Lines of a file by its ending, and how far into the file they are (compressed bytes)."""

    def __init__(self, file: Path, reader: RowReader) -> None:
        self._file, self._reader = file, reader
        self._raw: io.BufferedReader | None = None
        self._text: io.TextIOWrapper | None = None  # kept: its end would close the file
        self._fraction = 0.0

    def __enter__(self) -> "Source":
        self._raw = self._file.open("rb")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._raw:
            self._raw.close()

    def __iter__(self) -> Iterator[Line]:
        name = self._file.name.lower()
        data = self._raw
        if name.endswith(".gz"):
            data, name = gzip.GzipFile(fileobj=self._raw), name.removesuffix(".gz")
        if name.endswith((".jsonl", ".ndjson")):
            return self._json_lines(data)
        if name.endswith(".csv"):
            return self._csv_lines(data)
        if name.endswith(".parquet"):
            return self._parquet_rows()
        raise CommandError(f"{self._file.name} is not .jsonl, .csv or .parquet (or .gz of these).")

    def position(self) -> int:
        if self._fraction:
            return int(self._fraction * self._file.stat().st_size)
        return self._raw.tell() if self._raw else 0

    def _json_lines(self, data: Any) -> Iterator[Line]:
        data = io.BufferedReader(data, 1 << 20) if isinstance(data, gzip.GzipFile) else data
        first = True
        number = 0
        while raw := data.readline(MAX_LINE):
            number += 1
            if len(raw) == MAX_LINE:
                raise CommandError(f"Line {number} is longer than {MAX_LINE // 2**20} MiB.")
            if raw.isspace():
                continue
            try:
                values = json.loads(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw)
            except (ValueError, RecursionError) as error:
                yield Line(number, None, f"This line is not JSON: {error}"[:300])
                continue
            if not isinstance(values, dict):
                yield Line(number, None, "This line is not a JSON object.")
                continue
            if first:
                first = False
                self._reader.check_columns(values)
            yield Line(number, values)

    def _csv_lines(self, data: Any) -> Iterator[Line]:
        # A field may be as long as an item's text.
        csv.field_size_limit(MAX_LINE)
        text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="replace", newline="")
        self._text = text
        rows = csv.reader(text)
        header = next(rows, None)
        if not header:
            raise CommandError(f"{self._file.name} is empty.")
        self._reader.check_columns(header)
        while True:
            number = rows.line_num + 1
            try:
                cells = next(rows, None)
            except csv.Error as error:
                yield Line(number, None, f"This line is not CSV: {error}")
                continue
            if cells is None:
                return
            if not cells:
                continue
            if len(cells) != len(header):
                yield Line(number, None, f"{len(cells)} cells, but {len(header)} columns.")
                continue
            yield Line(number, dict(zip(header, cells, strict=True)))

    def _parquet_rows(self) -> Iterator[Line]:
        import pyarrow
        import pyarrow.parquet as parquet

        try:
            table = parquet.ParquetFile(self._raw)
        except pyarrow.ArrowInvalid as error:
            raise CommandError(f"{self._file.name} cannot be read: {error}") from None
        names = table.schema_arrow.names
        self._reader.check_columns(names)
        columns = [name for name in names if name in self._reader.wanted]
        number = 0
        for part in table.iter_batches(batch_size=2000, columns=columns):
            for values in part.to_pylist():
                number += 1
                yield Line(number, values)
            self._fraction = number / table.metadata.num_rows
