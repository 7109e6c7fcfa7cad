"""Scores what is due with the platform's champion and hands the risks to reviews; then lets the
shadows say what they think (shadow_scores.py), which no rank follows.

A due row is leased, not locked: no transaction is open while the encoder works. `due_at` is both
the lease's end and its token: whoever still finds the row with his own due_at at the end writes the
result; a row that was leased again, or asked for again, is no longer his.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from psycopg2.extras import execute_values

from reviews.intake import set_risks
from reviews.models import ItemKind, Platform

from . import registry, rounds, shadow_scores
from .due import mark_neighbours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .encoder import Encoder
    from .heads import Head

    Vectors = NDArray[np.float32]

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=40)  # several times what a batch takes; a dead worker's rows wait so long
MAX_ATTEMPTS = 3
RETRY_AFTER = timedelta(seconds=5)
RETRIED_AT_ONCE = 8  # singly scored rows between two batches
TEXT_LIMIT = 20_000  # characters read from the database; the encoder reads the first 4,096

# Fresh rows go in batches. A row that was tried before goes alone: whatever it does (a crash
# included) then happens to itself only.
_LEASE = """
WITH picked AS MATERIALIZED (
  SELECT item_version_id FROM mlhooks_duescore
  WHERE parked_at IS NULL AND due_at <= clock_timestamp() AND attempts {attempts}
  ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE mlhooks_duescore AS due
  SET due_at = clock_timestamp() + %(lease)s, attempts = attempts + 1
  FROM picked WHERE due.item_version_id = picked.item_version_id
  RETURNING due.item_version_id, due.due_at, due.attempts
)
SELECT leased.item_version_id, leased.due_at, leased.attempts, version.item_id, item.platform_id,
  item.kind_id, version.number = item.version_number
FROM leased
JOIN reviews_itemversion AS version ON version.id = leased.item_version_id
JOIN reviews_item AS item ON item.id = version.item_id
"""
_PARK_LOST = """
UPDATE mlhooks_duescore SET parked_at = clock_timestamp(),
  error = CASE WHEN error = '' THEN 'The worker died while scoring it.' ELSE error END
WHERE parked_at IS NULL AND due_at <= clock_timestamp() AND attempts >= %s
"""
_GIVE_UP_OR_RETRY = """
UPDATE mlhooks_duescore SET error = %(error)s, due_at = clock_timestamp() + %(after)s * attempts,
  parked_at = CASE WHEN attempts >= %(most)s THEN clock_timestamp() END
WHERE item_version_id = %(pk)s AND due_at = %(token)s
"""
_RETURN_LEASE = """
UPDATE mlhooks_duescore AS due SET due_at = clock_timestamp() + %(after)s,
  attempts = GREATEST(due.attempts - 1, 0), error = %(error)s
FROM unnest(%(pks)s, %(tokens)s) AS mine (pk, token)
WHERE due.item_version_id = mine.pk AND due.due_at = mine.token
"""
_SETTLE = """
DELETE FROM mlhooks_duescore AS due
USING (VALUES %s) AS mine (pk, token)
WHERE due.item_version_id = mine.pk AND due.due_at = mine.token
RETURNING due.item_version_id
"""
_STORE_EMBEDDINGS = """
INSERT INTO mlhooks_embedding (item_version_id, encoder, vector) VALUES %s
ON CONFLICT (item_version_id, encoder) DO NOTHING
"""
_STORE_SCORES = """
INSERT INTO mlhooks_score (item_version_id, model_version_id, policy_version_id, probability)
VALUES %s
ON CONFLICT (item_version_id, model_version_id, policy_version_id)
DO UPDATE SET probability = EXCLUDED.probability, created_at = now()
"""


class _Due(NamedTuple):
    version_id: int
    token: datetime  # due_at as leased
    attempts: int
    item_id: int
    platform_id: int
    kind_id: int
    is_current: bool


class _Scorer(NamedTuple):
    """A champion made ready: its head, and a zero-shot head for policies it does not know."""

    label: str
    model_version_id: int
    encoder: "Encoder"
    parts: tuple["Head", ...]
    policy_versions: dict[str, int]  # slug → policy version id
    policies: dict[str, int]  # slug → policy id
    thresholds: dict[str, float]  # slug → above it the model calls an item violating


def score_due(*, limit: int | None = None, seconds: float = 0.0) -> int:
    """Score one batch of up to `limit`; with `seconds`, batch after batch until none is due.

    Returns how many rows were dealt with: scored, dropped as out of date, or put off.
    """
    limit = limit or settings.SCORE_BATCH
    stop = time.monotonic() + seconds
    # Looking for retried rows walks past all fresh ones: not before every batch.
    done = _retry_singly() if seconds else 0
    while True:
        count = _score(_lease(limit, fresh=True))
        if count < limit:
            count += _retry_singly()
        done += count
        if not count or time.monotonic() >= stop:
            return done


def predictor(platform_id: int) -> Callable[[Sequence[str]], dict[str, list[float]]]:
    """The champion as a function: texts → probabilities by policy. Nothing is stored."""
    scorer = _scorer(platform_id)
    return registry.Ready(scorer.encoder, scorer.parts).probabilities


def is_any_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM mlhooks_duescore WHERE parked_at IS NULL "
            "AND due_at <= clock_timestamp() AND attempts < %s)",
            [MAX_ATTEMPTS],
        )
        found: bool = cursor.fetchone()[0]
    return found


def park_lost() -> int:
    """Sweep: rows that took three workers down with them are left for a person."""
    with connection.cursor() as cursor:
        cursor.execute(_PARK_LOST, [MAX_ATTEMPTS])
        count: int = cursor.rowcount
    if count:
        logger.error("Parked %d item versions that no worker survived scoring.", count)
    return count


def _retry_singly() -> int:
    count = 0
    for _turn in range(RETRIED_AT_ONCE):
        due = _lease(1, fresh=False)
        if not due:
            break
        count += _score(due)
    return count


def _lease(limit: int, *, fresh: bool) -> list[_Due]:
    attempts = "= 0" if fresh else f"BETWEEN 1 AND {MAX_ATTEMPTS - 1}"
    with connection.cursor() as cursor:
        cursor.execute(_LEASE.format(attempts=attempts), {"limit": limit, "lease": LEASE})
        return [_Due(*row) for row in cursor.fetchall()]


def _score(due: list[_Due]) -> int:
    """Platform by platform; what is out of date is dropped, what fails is put off."""
    by_platform: dict[int, list[_Due]] = defaultdict(list)
    stale = [row for row in due if not row.is_current]
    if stale:
        _settle(stale)
    for row in due:
        if row.is_current:
            by_platform[row.platform_id].append(row)
    for platform_id, rows in by_platform.items():
        try:
            scorer = _scorer(platform_id)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # no fault of the rows: they wait until a person mends it
            logger.exception("Platform %s cannot be scored", platform_id)
            _return_lease(rows, str(error))
            continue
        _score_rows(rows, scorer)
    return len(due)


def _score_rows(rows: list[_Due], scorer: _Scorer) -> None:
    """All at once; when that fails, one by one, so that a bad row fails alone."""
    try:
        _score_batch(rows, scorer)
    except (OperationalError, InterfaceError):
        raise  # the database went away: the lease runs out and the rows come back
    except Exception as error:
        if len(rows) == 1:
            logger.exception("Item version %s could not be scored", rows[0].version_id)
            _put_off(rows[0], f"{type(error).__name__}: {error}")
            return
        logger.warning("A batch of %d failed (%s); scoring it row by row.", len(rows), error)
        for row in rows:
            _score_rows([row], scorer)


def _score_batch(rows: list[_Due], scorer: _Scorer) -> None:
    encoder = scorer.encoder
    texts = _texts(rows)
    vectors, fresh = _vectors(rows, texts, encoder)
    columns = [part.predict(vectors, texts) for part in scorer.parts]
    slugs = [slug for part in scorer.parts for slug in part.policies]
    risks = [
        {slug: float(value) for slug, value in zip(slugs, values, strict=True)}
        for values in (
            [value for column in columns for value in column[number]] for number in range(len(rows))
        )
    ]
    with transaction.atomic():
        mine = _settle(rows)
        kept = [number for number, row in enumerate(rows) if row.version_id in mine]
        _store_embeddings(
            [(rows[n].version_id, vectors[n]) for n in kept if n in fresh], encoder.version
        )
        mark_neighbours([rows[n].version_id for n in kept if n in fresh])
        _store_scores([(rows[n].version_id, risks[n]) for n in kept], scorer)
        set_risks(
            {rows[n].item_id: risks[n] for n in kept},
            source=scorer.label,
            thresholds=scorer.thresholds,
            draws_learning=not rounds.is_on(rows[0].platform_id),
        )
    shadow_scores.score_beside(
        rows[0].platform_id,
        champion_id=scorer.model_version_id,
        encoder=encoder,
        policy_ids=scorer.policies,
        version_ids=[rows[n].version_id for n in kept],
        vectors=vectors[kept],
        texts=[texts[n] for n in kept],
        given=[risks[n] for n in kept],
    )


# This process's, by platform; the key says what each was made from.
_scorers: dict[int, tuple[tuple[int, ...], _Scorer]] = {}


def _scorer(platform_id: int) -> _Scorer:
    model_version = registry.champion(platform_id)
    if model_version is None:
        model_version = registry.ensure_zero_shot(Platform.objects.get(pk=platform_id))
    text_encoder = registry.encoder_of(model_version)
    in_force = registry.in_force(model_version.platform)
    key = (model_version.pk, *(version.pk for version in in_force))
    found = _scorers.get(platform_id)
    if found is not None and found[0] == key:
        return found[1]
    parts = registry.parts(model_version, text_encoder)
    scorer = _Scorer(
        label=model_version.label,
        model_version_id=model_version.pk,
        encoder=text_encoder,
        parts=parts.heads,
        policy_versions=parts.policy_versions,
        policies=parts.policies,
        thresholds=registry.thresholds(model_version),
    )
    _scorers[platform_id] = (key, scorer)
    return scorer


def _texts(rows: Sequence[_Due]) -> list[str]:
    """What ItemVersion.text() says, cut by the database: a megabyte never crosses the wire."""
    found: dict[int, str] = {}
    by_kind: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind_id].append(row.version_id)
    for kind in ItemKind.objects.filter(pk__in=by_kind):
        names = [*kind.names_with_role("title", "text")]
        columns = ", ".join(["left(content ->> %s, %s)"] * len(names)) or "NULL"
        values = [value for name in names for value in (name, TEXT_LIMIT)]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, {columns} FROM reviews_itemversion WHERE id = ANY(%s)",  # noqa: S608
                [*values, by_kind[kind.pk]],
            )
            for pk, *parts in cursor.fetchall():
                found[pk] = "\n\n".join(part for part in parts if part)
    return [found[row.version_id] for row in rows]


def _vectors(
    rows: Sequence[_Due], texts: Sequence[str], encoder: "Encoder"
) -> tuple["Vectors", set[int]]:
    """One vector a row, stored ones first, and which rows' vectors are new.

    New ones are rounded as the table stores them, so that a later score from the stored vector is
    the same score.
    """
    import numpy as np

    vectors = np.zeros((len(rows), encoder.dimension), dtype=np.float32)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT item_version_id, vector FROM mlhooks_embedding "
            "WHERE encoder = %s AND item_version_id = ANY(%s)",
            [encoder.version, [row.version_id for row in rows]],
        )
        stored = dict(cursor.fetchall())
    fresh = [number for number, row in enumerate(rows) if row.version_id not in stored]
    for number, row in enumerate(rows):
        if row.version_id in stored:
            vectors[number] = _parse(stored[row.version_id])
    if fresh:
        new = encoder.encode([texts[number] for number in fresh])
        vectors[fresh] = new.astype(np.float16).astype(np.float32)
    return vectors, set(fresh)


def _settle(rows: Sequence[_Due]) -> set[int]:
    """Take the due rows away; returns the version ids that were still ours to take."""
    with connection.cursor() as cursor:
        taken = execute_values(
            cursor.cursor,
            _SETTLE,
            [(row.version_id, row.token) for row in rows],
            page_size=len(rows),
            fetch=True,
        )
    return {pk for (pk,) in taken}


def _store_embeddings(vectors: "list[tuple[int, Vectors]]", encoder: str) -> None:
    if not vectors:
        return
    with connection.cursor() as cursor:
        execute_values(
            cursor.cursor,
            _STORE_EMBEDDINGS,
            [(pk, encoder, _format(vector)) for pk, vector in vectors],
            page_size=len(vectors),
        )


def _store_scores(risks: list[tuple[int, dict[str, float]]], scorer: _Scorer) -> None:
    values = [
        (pk, scorer.model_version_id, scorer.policy_versions[slug], probability)
        for pk, by_slug in risks
        for slug, probability in by_slug.items()
    ]
    if not values:
        return
    with connection.cursor() as cursor:
        execute_values(cursor.cursor, _STORE_SCORES, values, page_size=len(values))


def _put_off(row: _Due, error: str) -> None:
    """Once more in a while, or never: the third failure parks it for a person to look at."""
    with connection.cursor() as cursor:
        cursor.execute(
            _GIVE_UP_OR_RETRY,
            {
                "error": error[:2000],
                "after": RETRY_AFTER,
                "most": MAX_ATTEMPTS,
                "pk": row.version_id,
                "token": row.token,
            },
        )


def _return_lease(rows: Sequence[_Due], error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _RETURN_LEASE,
            {
                "after": LEASE,
                "error": error[:2000],
                "pks": [row.version_id for row in rows],
                "tokens": [row.token for row in rows],
            },
        )


def _format(vector: "Vectors") -> str:
    """pgvector's text form. Five digits say all that half precision holds."""
    return "[" + ",".join([f"{value:.5g}" for value in vector.tolist()]) + "]"


def _parse(text: str) -> "Vectors":
    import numpy as np

    return np.fromstring(text[1:-1], dtype=np.float32, sep=",")
