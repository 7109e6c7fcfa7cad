"""Stored embeddings by item version; what is missing is encoded and stored."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from django.db import connection

from reviews.wording import kept

from .models import Embedding

if TYPE_CHECKING:
    import numpy as np

    from .encoder import Encoder

ENCODE_AT_ONCE = 256
_READ_AT_ONCE = 5000

# Called with (fraction done, what is being done).
Say = Callable[[float, str], None]


def of_versions(
    version_ids: Sequence[int],
    texts: Sequence[str],
    encoder: "Encoder",
    say: Say = lambda fraction, step: None,
) -> "np.ndarray":
    """(n, d) float32, a row a version, as the table rounds them (half precision)."""
    import numpy as np

    vectors = np.zeros((len(version_ids), encoder.dimension), dtype=np.float32)
    is_missing = np.ones(len(version_ids), dtype=bool)
    place = {int(pk): number for number, pk in enumerate(version_ids)}
    ids = list(place)
    for start in range(0, len(ids), _READ_AT_ONCE):
        for pk, data in _stored(ids[start : start + _READ_AT_ONCE], encoder.version):
            vectors[place[pk]] = np.frombuffer(data, dtype=">f2", offset=4)
            is_missing[place[pk]] = False
        say(0.3 * start / len(ids), kept("Reading embeddings"))
    missing = np.flatnonzero(is_missing)
    for start in range(0, len(missing), ENCODE_AT_ONCE):
        part = missing[start : start + ENCODE_AT_ONCE]
        fresh = encoder.encode([texts[number] for number in part]).astype(np.float16)
        vectors[part] = fresh
        Embedding.objects.bulk_create(
            [
                Embedding(
                    item_version_id=int(version_ids[n]), encoder=encoder.version, vector=vector
                )
                for n, vector in zip(part, fresh, strict=True)
            ],
            ignore_conflicts=True,
        )
        done = start + len(part)
        say(
            0.3 + 0.7 * done / len(missing),
            kept("Encoding texts, %(done)s of %(all)s", done=f"{done:,}", all=f"{len(missing):,}"),
        )
    return vectors


def stored(version_ids: Sequence[int], encoder_version: str) -> "tuple[np.ndarray, np.ndarray]":
    """(n, d) float32 and (n,) whether it is there, 0 where it is not; nothing is encoded.

    Of any precision of the encoder: those are told apart by the last part of its version only.
    """
    import numpy as np

    place = {int(pk): number for number, pk in enumerate(version_ids)}
    ids = list(place)
    found: dict[int, np.ndarray] = {}
    for start in range(0, len(ids), _READ_AT_ONCE):
        with connection.cursor() as cursor:
            cursor.execute(_STORED_OF_FAMILY, [ids[start : start + _READ_AT_ONCE], encoder_version])
            for pk, data in cursor.fetchall():
                found[place[pk]] = np.frombuffer(data, dtype=">f2", offset=4)
    dimension = len(next(iter(found.values()))) if found else 0
    vectors = np.zeros((len(version_ids), dimension), dtype=np.float32)
    is_there = np.zeros(len(version_ids), dtype=bool)
    for number, vector in found.items():
        vectors[number], is_there[number] = vector, True
    return vectors, is_there


_STORED_OF_FAMILY = """
SELECT DISTINCT ON (item_version_id) item_version_id, halfvec_send(vector)
FROM mlhooks_embedding
WHERE item_version_id = ANY(%s)
  AND regexp_replace(encoder, '/[^/]*$', '') = regexp_replace(%s, '/[^/]*$', '')
ORDER BY item_version_id, encoder
"""


def _stored(version_ids: list[int], encoder_version: str) -> Iterator[tuple[int, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT item_version_id, halfvec_send(vector) FROM mlhooks_embedding "
            "WHERE encoder = %s AND item_version_id = ANY(%s)",
            [encoder_version, version_ids],
        )
        yield from cursor.fetchall()
