"""What waits to be scored: rows in, a nudge out. scoring.py works them off."""

import logging
from collections.abc import Sequence

from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from reviews import bulk
from reviews.models import Platform

logger = logging.getLogger(__name__)

# Asked for again, a version starts afresh; the new due_at also tells whoever is scoring it right
# now that his answer comes too late (see scoring.py).
_UPSERT = """
INSERT INTO mlhooks_duescore (item_version_id, due_at, attempts, error)
{source}
ON CONFLICT (item_version_id) DO UPDATE
SET due_at = clock_timestamp(), attempts = 0, parked_at = NULL, error = ''
"""
_VERSIONS = """
SELECT id, clock_timestamp(), 0, '' FROM unnest(%s::bigint[]) AS given (id) ORDER BY id
"""
_OPEN_ITEMS = """
SELECT version.id, clock_timestamp(), 0, ''
FROM reviews_item AS item
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
WHERE item.platform_id = %s AND EXISTS (
  SELECT FROM reviews_job AS job
  WHERE job.item_id = item.id AND job.state IN ('ready', 'claimed')
)
ORDER BY version.id
"""


def mark_versions(version_ids: Sequence[int]) -> None:
    """These item versions are due. Inside the caller's transaction; nudges when it commits."""
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT.format(source=_VERSIONS), [bulk.id_array(version_ids)])
    nudge_on_commit()


def mark_new_versions(version_ids: Sequence[int]) -> None:
    """The same of versions that this transaction has made, of which none can be due yet: by COPY,
    as they come by the thousand."""
    bulk.copy_in(
        "COPY mlhooks_duescore (item_version_id, attempts, error) FROM STDIN",
        (f"{pk}\t0\t\n" for pk in version_ids),
    )
    nudge_on_commit()


def mark_open_items(platform: Platform) -> int:
    """Every item that somebody still has to look at is due again. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT.format(source=_OPEN_ITEMS), [platform.pk])
        count: int = cursor.rowcount
    nudge_on_commit()
    return count


def mark_neighbours(version_ids: Sequence[int]) -> None:
    """These have a new vector to be compared. Inside the caller's transaction."""
    if not version_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mlhooks_dueneighbour (item_version_id) SELECT unnest(%s::bigint[]) "
            "ON CONFLICT DO NOTHING",
            [list(version_ids)],
        )
    transaction.on_commit(nudge_neighbours, robust=True)


def nudge_neighbours() -> None:
    try:
        current_app.send_task("mlhooks.tasks.find_neighbours", expires=60, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will compare what is due.", error)


def nudge_on_commit() -> None:
    """Once a transaction, however many rows it marks."""
    if not any(function is nudge for _, function, *_ in connection.run_on_commit):
        transaction.on_commit(nudge, robust=True)


def nudge() -> None:
    """Wake a worker. A nudge that is lost, or too old to matter, is the sweep's to make good."""
    try:
        current_app.send_task("mlhooks.tasks.score_due", expires=60, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("No broker to nudge (%s); the sweep will score what is due.", error)
