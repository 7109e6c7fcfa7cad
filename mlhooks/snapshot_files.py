"""The files of a snapshot: written from label rows in constant memory, and read back.

Imports Arrow; snapshots.py, which the web process loads, imports this only where files are made.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.translation import gettext as _

from reviews.errors import Conflict

from . import dataset_card, labels
from .json_lines import json_lines
from .label_pages import Pages, Raw
from .models import Snapshot
from .snapshots import get_file

FORMAT = 2  # raise it when a column changes its meaning
FIRST_PAGE, PAGE = 500, 10_000  # decision ids a statement, at first and at most
PAGE_BYTES = 24 * 2**20
ROW_GROUP = 20_000

_CONTENT_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".md": "text/markdown",
}


def write(snapshot: Snapshot, into: Path, *, progress: Callable[[int], None] | None = None) -> dict:
    """All files of the snapshot, in constant memory. Returns the manifest."""
    frozen = labels.Frozen(**snapshot.manifest["frozen"])
    pages = Pages(snapshot.platform_id, snapshot.cutoff_id, frozen)
    raters = pages.learn_raters()
    counts = _Counts(frozen)
    writers = {split: _SplitWriter(into, split, pages.schema) for split in labels.SPLITS}
    try:
        with _LinesWriter(into / "data.jsonl") as lines:
            between = (lambda: progress(counts.rows)) if progress is not None else (lambda: None)
            for rows in _read_ahead(pages, snapshot.cutoff_id, between):
                table = pages.parse(rows)
                lines.add(table)
                counts.add(table)
                for split, writer in writers.items():
                    writer.add(table.filter(pc.equal(table["split"], split)))
    finally:
        for writer in writers.values():
            writer.close()
    files = [
        entry_of(into / f"data-{split}.parquet", rows=writers[split].rows) for split in writers
    ]
    files.append(entry_of(into / "data.jsonl", rows=counts.rows, sha256=lines.sha256))
    manifest = {
        "format": FORMAT,
        "platform": {"slug": snapshot.platform.slug, "name": snapshot.platform.name},
        "number": snapshot.number,
        "note": snapshot.note,
        "cutoff": {
            "decision_id": snapshot.cutoff_id,
            "at": snapshot.cutoff_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "rows": counts.rows,
        "counts": counts.as_json(),
        "policies": [
            {**policy, "versions": counts.policy_versions(policy["slug"])}
            for policy in frozen.policies
        ],
        "schema": [
            {"name": field.name, "type": str(field.type), "description": text}
            for field, text in labels.columns(frozen.policies)
        ],
        "aggregation": {
            slug: {name: value for name, value in learnt.items() if name != "raters"}
            for slug, learnt in raters.items()
        },
        "code": {"pyarrow": pa.__version__},
        "frozen": frozen._asdict(),
    }
    for name, write_text in (
        ("raters.json", lambda: json.dumps(raters, indent=1, ensure_ascii=False) + "\n"),
        ("croissant.json", lambda: dataset_card.croissant(manifest, files=files)),
        ("README.md", lambda: dataset_card.dataset_card(manifest)),
    ):
        (into / name).write_text(write_text(), encoding="utf-8")
        files.append(entry_of(into / name))
    manifest["files"] = files
    with (into / "manifest.json").open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, ensure_ascii=False)
        file.write("\n")
    return manifest


def read_labels(
    snapshot: Snapshot,
    *,
    policy_slugs: Iterable[str] | None = None,
    columns: Iterable[str] = ("item_version_id", "text", "split", "lane", "weight"),
) -> pa.Table:
    """The rows of all splits, with `label_<slug>` for the policies asked for (default: all).

    Each Parquet file is checked against its SHA-256 first.
    """
    if policy_slugs is None:
        policy_slugs = [policy["slug"] for policy in snapshot.manifest["policies"]]
    wanted = [*columns, *(f"label_{slug}" for slug in policy_slugs)]
    tables = []
    for split in labels.SPLITS:
        path, entry = get_file(snapshot, f"data-{split}.parquet")
        if _sha256(path) != entry["sha256"]:
            raise Conflict(
                _("%(value)s was changed after it was written. Make a new snapshot.")
                % {"value": entry["name"]}
            )
        tables.append(pq.read_table(path, columns=wanted))
    return pa.concat_tables(tables)


def items_among(snapshot: Snapshot, version_ids: Sequence[int]) -> list[int]:
    """Those of these item versions' items that the files hold a row of."""
    found: set[int] = set()
    for split in labels.SPLITS:
        path, _entry = get_file(snapshot, f"data-{split}.parquet")
        rows = pq.read_table(path, columns=["item_id", "item_version_id"])
        here = pc.is_in(rows["item_version_id"], pa.array(version_ids, pa.int64()))
        found.update(rows["item_id"].filter(here).to_pylist())
    return sorted(found)


def _read_ahead(pages: Pages, cutoff_id: int, between: Callable[[], None]) -> Iterator[Raw]:
    """Pages in order; PostgreSQL works on the next one while Arrow works on this.

    The connection is lent to the thread that reads. `between` runs while nobody uses it.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    connection.inc_thread_sharing()
    try:
        with ThreadPoolExecutor(1) as reader:
            span, upto = FIRST_PAGE, min(FIRST_PAGE, cutoff_id)
            ahead = reader.submit(pages.read, 0, upto)
            while ahead is not None:
                rows = ahead.result()
                between()
                span = _next_span(span, len(rows.decisions))
                after, upto = upto, min(upto + span, cutoff_id)
                ahead = reader.submit(pages.read, after, upto) if after < upto else None
                yield rows
    finally:
        connection.dec_thread_sharing()


def _next_span(span: int, page_bytes: int) -> int:
    """Decision ids to ask for next: fewer when texts are long. It follows from the rows alone."""
    if page_bytes > PAGE_BYTES:
        return max(span // 2, 1)
    return min(span * 2, PAGE) if page_bytes < PAGE_BYTES // 2 else span


class _LinesWriter:
    """data.jsonl, written by a thread of its own: half the work of a page. One page waits at most,
    so memory stays the same at any size."""

    def __init__(self, path: Path) -> None:
        self.sha256 = ""
        self._hash = hashlib.sha256()
        self._file = path.open("wb")
        self._thread = ThreadPoolExecutor(1)
        self._page: Future[None] | None = None

    def __enter__(self) -> "_LinesWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if exc[0] is None:
                self._wait()
                _sync(self._file)
                self.sha256 = self._hash.hexdigest()
        finally:
            self._thread.shutdown()
            self._file.close()

    def add(self, table: pa.Table) -> None:
        self._wait()
        self._page = self._thread.submit(self._write, table)

    def _wait(self) -> None:
        if self._page is not None:
            self._page.result()

    def _write(self, table: pa.Table) -> None:
        lines = json_lines(table)
        self._file.write(lines)
        self._hash.update(lines)


class _SplitWriter:
    """One Parquet file; row groups of ROW_GROUP rows, so memory stays the same at any size."""

    def __init__(self, into: Path, split: str, schema: pa.Schema) -> None:
        self.rows = 0
        self._file = (into / f"data-{split}.parquet").open("wb")
        plain = {"text", "external_id", "content_hash"}  # hardly ever repeat
        self._parquet = pq.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            use_dictionary=[
                field.name
                for field in schema
                if pa.types.is_string(field.type) and field.name not in plain
            ],
        )
        self._schema = schema
        self._pending: list[pa.Table] = []
        self._pending_rows = self._pending_bytes = 0

    def add(self, table: pa.Table) -> None:
        self._pending.append(table)
        self._pending_rows += table.num_rows
        self.rows += table.num_rows
        self._pending_bytes += table.nbytes
        if self._pending_rows >= ROW_GROUP or self._pending_bytes >= PAGE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            table = pa.concat_tables(self._pending)
            self._parquet.write_table(table, row_group_size=table.num_rows)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def close(self) -> None:
        self._flush()
        self._parquet.close()
        _sync(self._file)
        self._file.close()


class _Counts:
    """Adds up pages into the manifest's counts."""

    _PLAIN = ("split", "lane", "language", "verdict", "kind", "queue")

    def __init__(self, frozen: labels.Frozen) -> None:
        self.rows = 0
        self._plain: dict[str, Counter] = {name: Counter() for name in self._PLAIN}
        self._slugs = [policy["slug"] for policy in frozen.policies]
        self._labels: Counter = Counter()  # (slug, split, label)
        self._versions: Counter = Counter()  # (slug, version)

    def add(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        for name, counter in self._plain.items():
            for pair in pc.value_counts(table[name]).to_pylist():
                counter[pair["values"]] += pair["counts"]
        for slug in self._slugs:
            column = f"label_{slug}"
            grouped = table.group_by(["split", column]).aggregate([([], "count_all")])
            for row in grouped.to_pylist():
                self._labels[slug, row["split"], row[column]] += row["count_all"]
            versions = pc.value_counts(table[f"policy_version_{slug}"])
            for pair in versions.to_pylist():
                self._versions[slug, pair["values"]] += pair["counts"]

    def policy_versions(self, slug: str) -> list[int]:
        return sorted(v for (s, v) in self._versions if s == slug and v is not None)

    def as_json(self) -> dict:
        counts = {name: dict(sorted(counter.items())) for name, counter in self._plain.items()}
        counts["split"] = {split: self._plain["split"][split] for split in labels.SPLITS}
        counts["labels"] = {
            slug: {
                split: {
                    word: self._labels[slug, split, label]
                    for word, label in (("violating", 1), ("clean", 0), ("not_judged", None))
                }
                for split in labels.SPLITS
            }
            for slug in self._slugs
        }
        return counts


def entry_of(path: Path, *, rows: int | None = None, sha256: str = "") -> dict:
    entry: dict = {
        "name": path.name,
        "bytes": path.stat().st_size,
        "sha256": sha256 or _sha256(path),
        "content_type": _CONTENT_TYPES[path.suffix],
    }
    return entry if rows is None else {**entry, "rows": rows}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())
