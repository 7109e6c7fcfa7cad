"""How much of what came in violates: the random lane's labels, with the champion's word."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import Max

from reviews.models import Item, Queue

from . import prevalence
from .models import ModelVersion, Promotion

if TYPE_CHECKING:
    import pyarrow as pa

_MEAN_SCORE = """
SELECT avg((item.risks ->> %(policy)s)::float8) FROM reviews_item AS item
WHERE item.platform_id = %(platform)s AND item.erased_at IS NULL
  AND item.submitted_at > %(since)s AND item.risk_source = %(model)s
  AND EXISTS (
    SELECT FROM reviews_job AS job WHERE job.item_id = item.id AND job.queue_id = ANY(%(queues)s))
"""


def share(
    table: "pa.Table | None", slug: str, champion: ModelVersion | None, *, since: datetime
) -> prevalence.Prevalence | None:
    """`table`: the random lane's rows decided since then, with `item_id`, `queue`, `risk_source`,
    `weight`, and label and score of the policy. None where nobody judged by it.

    The champion helps where most of the rows are of items that came in while it was champion: it
    scored all of those, drawn or not. Of what waited when it was promoted the random lane's share
    may have been decided before, so its scores of the rest stand for nothing but what is left.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if table is None:
        return None
    rows = table.filter(pc.and_(pc.is_valid(table[f"label_{slug}"]), pc.is_valid(table["weight"])))
    if not rows.num_rows:
        return None
    plain = _estimate(rows, slug, mean_score=None)
    if champion is None:
        return plain
    since = max(since, champion_since(champion))
    came = Item.objects.filter(pk__in=rows["item_id"].to_pylist(), submitted_at__gt=since)
    is_new = pc.is_in(rows["item_id"], pa.array(came.values_list("pk", flat=True), pa.int64()))
    is_own = pc.and_(pc.equal(rows["risk_source"], champion.label), is_new)
    own = rows.filter(pc.and_(is_own, pc.is_valid(rows[f"score_{slug}"])))
    if own.num_rows * 2 < rows.num_rows:
        return plain
    mean = _mean_score(champion, slug, own["queue"].unique().to_pylist(), since)
    return plain if mean is None else _estimate(own, slug, mean_score=mean)


def champion_since(champion: ModelVersion) -> datetime:
    """When it last became what scores everything: promoted, or returned to by a rollback."""
    promoted = champion.promotions.aggregate(Max("approved_at"))["approved_at__max"]
    rolled_back = Promotion.objects.filter(previous=champion).aggregate(Max("rolled_back_at"))
    times = [champion.created_at, promoted, rolled_back["rolled_back_at__max"]]
    return max(time for time in times if time is not None)


def _estimate(
    rows: "pa.Table", slug: str, *, mean_score: float | None
) -> prevalence.Prevalence | None:
    import numpy as np

    chances = 1 / rows["weight"].to_numpy()
    scores = np.zeros(len(chances)) if mean_score is None else rows[f"score_{slug}"].to_numpy()
    return prevalence.estimate(
        rows[f"label_{slug}"].to_numpy(), chances, scores, mean_score=mean_score or 0.0
    )


def _mean_score(
    champion: ModelVersion, slug: str, queue_slugs: list[str], since: datetime
) -> float | None:
    """Of all that came into the queues that these labels are of."""
    queues = Queue.objects.filter(platform=champion.platform_id, slug__in=queue_slugs)
    with connection.cursor() as cursor:
        cursor.execute(
            _MEAN_SCORE,
            {
                "platform": champion.platform_id,
                "policy": slug,
                "since": since,
                "model": champion.label,
                "queues": list(queues.values_list("pk", flat=True)),
            },
        )
        mean: float | None = cursor.fetchone()[0]
    return mean
