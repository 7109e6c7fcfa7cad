"""The rows a model is held against: the snapshot's, the random lane's, and what came in lately."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Max
from django.utils.translation import gettext as _

from reviews.errors import Conflict
from reviews.models import Decision, ItemVersion, Platform

from . import snapshots, vectors
from .models import ModelVersion, Snapshot

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .encoder import Encoder

NEWEST_DECISIONS = 20_000  # looked through for random-lane rows
RECENT_ITEMS = 1_000  # whose load is projected


@dataclass(frozen=True)
class Rows:
    """Labelled texts; `labels` and the predictions by policy slug, NaN for not judged."""

    texts: list[str]
    embeddings: "np.ndarray"
    labels: "dict[str, np.ndarray]"
    weights: "np.ndarray"
    groups: "np.ndarray"
    table: "pa.Table"


_COLUMNS = (
    *("item_version_id", "text", "split", "lane", "weight"),
    *("language", "kind", "queue", "split_group"),
)


def of_snapshot(
    snapshot: Snapshot | None, slugs: list[str], encoder: "Encoder"
) -> tuple[Rows, Rows]:
    """The snapshot's (test, train) rows; none where the model was made without one."""
    import pyarrow.compute as pc

    from . import snapshot_files

    if snapshot is None:
        empty = _rows(None, slugs, encoder)
        return empty, empty
    snapshot = snapshots.standing(snapshot)  # what is left of it, where it held what was erased
    if snapshot.state != Snapshot.State.READY:
        raise Conflict(_("The version that takes the snapshot's place is not ready yet."))
    known = {policy["slug"] for policy in snapshot.manifest["policies"]}
    table = snapshot_files.read_labels(
        snapshot, policy_slugs=[slug for slug in slugs if slug in known], columns=_COLUMNS
    )
    test, train = (table.filter(pc.equal(table["split"], split)) for split in ("test", "train"))
    return _rows(test, slugs, encoder), _rows(train, slugs, encoder)


def of_stream(
    model_version: ModelVersion, slugs: list[str], encoder: "Encoder", test: Rows
) -> Rows:
    """Random-lane rows that training never saw: decided after the snapshot, or its test rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from . import label_pages, labels

    platform, snapshot = model_version.platform, model_version.snapshot
    upto = Decision.objects.filter(item__platform=platform).aggregate(Max("id"))["id__max"] or 0
    after = max(snapshot.cutoff_id if snapshot else 0, upto - NEWEST_DECISIONS)
    pages = label_pages.Pages(platform.pk, upto, labels.freeze(platform))
    table = pages.parse(pages.read(after, upto))
    table = table.filter(pc.equal(table["lane"], "random"))
    if test.texts:
        own = test.table.filter(pc.equal(test.table["lane"], "random"))
        table = pa.concat_tables(
            [_same_columns(table, slugs), _same_columns(own, slugs)], promote_options="permissive"
        )
    return _rows(table, slugs, encoder)


def _same_columns(table: "pa.Table", slugs: list[str]) -> "pa.Table":
    names = [*_COLUMNS, *(f"label_{slug}" for slug in slugs)]
    return table.select([name for name in names if name in table.column_names])


def recent(platform: Platform, encoder: "Encoder") -> Rows:
    """What came in last, decided or not."""
    import pyarrow as pa

    versions = list(
        ItemVersion.objects.filter(item__platform=platform)
        .select_related("item__kind")
        .order_by("-id")[:RECENT_ITEMS]
    )
    table = pa.table(
        {
            "item_version_id": pa.array([one.pk for one in versions], pa.int64()),
            "text": pa.array([one.text() for one in versions], pa.string()),
        }
    )
    return _rows(table, [], encoder)


def _rows(table: "pa.Table | None", slugs: list[str], encoder: "Encoder") -> Rows:
    import numpy as np
    import pyarrow as pa

    if table is None:
        table = pa.table(
            {
                "item_version_id": pa.array([], pa.int64()),
                **{
                    name: pa.array([], pa.float64() if name == "weight" else pa.string())
                    for name in _COLUMNS[1:]
                },
            }
        )
    texts = table["text"].to_pylist()
    count = len(texts)
    there = table.column_names
    return Rows(
        texts=texts,
        embeddings=vectors.of_versions(table["item_version_id"].to_pylist(), texts, encoder),
        labels={
            slug: table[f"label_{slug}"].cast("float64").to_numpy()
            if f"label_{slug}" in there
            else np.full(count, np.nan)
            for slug in slugs
        },
        weights=np.nan_to_num(table["weight"].to_numpy(), nan=1.0)
        if "weight" in there
        else np.ones(count),
        groups=np.array(table["split_group"].to_pylist(), dtype=object)
        if "split_group" in there
        else np.arange(count),
        table=table,
    )


def account_ages(version_ids: list[int]) -> list[float | None]:
    """How many days old each item's account was when it came; None where nobody knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version.id, extract(epoch FROM item.submitted_at - account.joined_at)::float8 "
            "/ 86400 FROM reviews_itemversion AS version "
            "JOIN reviews_item AS item ON item.id = version.item_id "
            "JOIN reviews_account AS account ON account.id = item.account_id "
            "WHERE version.id = ANY(%s)",
            [version_ids],
        )
        ages = dict(cursor.fetchall())
    return [ages.get(pk) for pk in version_ids]
