"""What waits and could be drawn for learning: told to whoever works out the chances.

How much each of it is wanted is somebody else's to say (mlhooks/rounds.py); from there on it is a
draw like any other (draws.draw_given).
"""

from collections.abc import Collection
from typing import NamedTuple

from django.db import connection

from .models import Platform, Queue
from .routing import Router

# By the index on what is ready; newest first, so a cap keeps what came last.
_WAITING = """
SELECT job.id, job.queue_id, item.id, version.id, item.account_id, member.cluster_id,
  item.split_group
FROM reviews_job AS job
JOIN reviews_item AS item ON item.id = job.item_id
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
LEFT JOIN reviews_clustermember AS member ON member.item_id = item.id
WHERE job.queue_id = ANY(%(queues)s) AND job.lane = 'risk' AND job.state = 'ready'
  AND job.assigned_to_id IS NULL AND item.risk IS NOT NULL
ORDER BY job.id DESC LIMIT %(most)s
"""


class Waiting(NamedTuple):
    """A job that waits in the risk lane, nobody's yet, and what it is about."""

    job_id: int
    queue_id: int
    item_id: int
    item_version_id: int
    account_id: int | None
    cluster_id: int | None
    split_group: str


def read_waiting(platform: Platform, *, most: int) -> list[Waiting]:
    """What could be drawn for learning from all of a platform's queues, the newest first."""
    queues = Queue.objects.filter(platform=platform, is_archived=False)
    with connection.cursor() as cursor:
        cursor.execute(
            _WAITING, {"queues": list(queues.values_list("pk", flat=True)), "most": most}
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def read_severities(platform: Platform, queue_ids: Collection[int]) -> dict[int, dict[str, float]]:
    """{queue: {policy slug: severity weight}} of the policies that each queue judges now."""
    router = Router(platform.pk)
    return {
        queue.pk: {slug: weight for slug, weight, _rest in router.policies(queue, {}) if slug}
        for queue in router.queues
        if queue.pk in queue_ids
    }
