"""What shadows say of a batch that the champion has just scored, into a table of their own: on the
same texts and vectors, or on vectors of their own encoder. Nothing here can change a risk, a rank,
or the fate of the batch.
"""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg2.extras import execute_values

from reviews.errors import DomainError

from . import registry
from .models import ModelVersion, Shadow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .encoder import Encoder
    from .heads import Head

logger = logging.getLogger(__name__)

_STORE = """
INSERT INTO mlhooks_shadowscore (item_version_id, model_version_id, policy_id, probability,
  beside_id, beside_probability)
VALUES %s
ON CONFLICT (item_version_id, model_version_id, policy_id) DO UPDATE
SET probability = EXCLUDED.probability, beside_id = EXCLUDED.beside_id,
  beside_probability = EXCLUDED.beside_probability, created_at = now()
"""
# This process's, by model version: a model version's weights never change.
_heads: dict[int, "Head"] = {}


def score_beside(
    platform_id: int,
    *,
    champion_id: int,
    encoder: "Encoder",
    policy_ids: Mapping[str, int],
    version_ids: Sequence[int],
    vectors: "NDArray[np.float32]",
    texts: Sequence[str],
    given: Sequence[Mapping[str, float]],
) -> None:
    """After the champion's own scores are committed. `encoder` and `vectors` are his; `given` what
    he said, by policy slug, a row a text.

    Whatever goes wrong is kept on the shadow's row and raised to nobody.
    """
    if not version_ids:
        return
    by_family = {encoder.family: vectors}
    for shadow in _running(platform_id):
        try:
            head = _head(shadow.model_version)
            found = head.predict(_vectors(shadow.model_version, texts, by_family), texts)
            slugs = [slug for slug in head.policies if slug in policy_ids]
            values = [
                (
                    version_ids[row],
                    shadow.model_version_id,
                    policy_ids[slug],
                    float(found[row, head.policies.index(slug)]),
                    champion_id,
                    given[row][slug],
                )
                for row in range(len(version_ids))
                for slug in slugs
                if slug in given[row]
            ]
            with transaction.atomic():
                _store(values)
            error = ""
        except Exception as raised:
            logger.exception("%s could not score a batch in the shadow", shadow)
            says = str(raised)
            error = says if isinstance(raised, DomainError) else f"{type(raised).__name__}: {says}"
        if error[:2000] != shadow.error:
            with contextlib.suppress(DatabaseError, InterfaceError):
                Shadow.objects.filter(pk=shadow.pk).update(error=error[:2000])


def _running(platform_id: int) -> list[Shadow]:
    rows = Shadow.objects.filter(platform_id=platform_id, stopped_at=None)
    try:
        running = list(rows.select_related("model_version__platform").order_by("id"))
    except (DatabaseError, InterfaceError):
        logger.exception("The shadows of platform %s cannot be read", platform_id)
        return []
    return running


def _vectors(
    model_version: ModelVersion, texts: Sequence[str], by_family: "dict[str, NDArray[np.float32]]"
) -> "NDArray[np.float32]":
    """Encoded once a batch and encoder, rounded as stored ones are; kept nowhere."""
    import numpy as np

    family = model_version.encoder_family
    if family not in by_family:
        own = registry.encoder_of(model_version).encode(texts)
        by_family[family] = own.astype(np.float16).astype(np.float32)
    return by_family[family]


def _head(model_version: ModelVersion) -> "Head":
    if model_version.pk not in _heads:
        _heads[model_version.pk] = registry.load(model_version)
    return _heads[model_version.pk]


def _store(values: list[tuple]) -> None:
    if not values:
        return
    with connection.cursor() as cursor:
        execute_values(cursor.cursor, _STORE, values, page_size=len(values))
