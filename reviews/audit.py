"""The trail. record() is the only writer; seal() chains what has committed; verify() recomputes.

hash(n) = SHA-256(hash(n-1) || canonical JSON of entry n), hash(0) = 64 zeros.
"""

import hashlib
import json
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Max, Model

from .models import AuditEntry, Person, Platform
from .statements import Statement

GENESIS = "0" * 64
BATCH = 5000  # entries sealed in one transaction
_SEAL_LOCK = 7_305_110  # advisory lock: one sealer at a time

# Written with every deed: as a queryset it cost more than the decision it speaks of. A deed that is
# one statement itself (decisions.py) takes the same columns by these names.
COLUMNS = "actor_id, platform_id, verb, target_type, target_id, data, hash"
_RECORD = Statement(
    "audit_record",
    f"""
INSERT INTO reviews_auditentry ({COLUMNS})
VALUES (%(actor_id)s, %(platform_id)s, %(verb)s, %(target_type)s, %(target_id)s, %(data)s, '')
RETURNING id, at
""",  # noqa: S608
)


def record(
    verb: str,
    target: Model,
    *,
    by: Person | None,
    platform: Platform | int | None,
    **data: object,
) -> AuditEntry:
    """Write one entry in the caller's transaction. `data` must be JSON."""
    values = columns(verb, target, by=by, platform=platform, data=data)
    ((pk, at),) = _RECORD.rows(**{**values, "data": json.dumps(values["data"])})
    entry = AuditEntry(pk=pk, at=at, **values)
    entry._state.adding, entry._state.db = False, connection.alias
    return entry


def record_many(
    verb: str, targets: list[Model], *, by: Person | None, platform: Platform | int | None
) -> None:
    """One entry a target, in one statement: for bulk operations."""
    AuditEntry.objects.bulk_create(
        AuditEntry(**columns(verb, target, by=by, platform=platform, data={})) for target in targets
    )


def columns(
    verb: str, target: Model, *, by: Person | None, platform: Platform | int | None, data: dict
) -> dict[str, Any]:
    """Of an entry, by name; without its hash."""
    token = getattr(by, "token", None)
    if token is not None:
        data = {**data, "token": token.name}
    return {
        "verb": verb,
        "target_type": target._meta.model_name,
        "target_id": str(target.pk),
        "actor_id": by.pk if by is not None else None,
        "platform_id": platform.pk if isinstance(platform, Platform) else platform,
        "data": data,
    }


def seal(*, limit: int = BATCH) -> int:
    """Chain up to `limit` committed entries. Returns how many; 0 also when another is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_SEAL_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        fresh = list(AuditEntry.objects.filter(position=None).order_by("id")[:limit])
        if not fresh:
            return 0
        position, previous = _head()
        for entry in fresh:
            position += 1
            previous = entry_hash(entry, previous)
            entry.position, entry.hash = position, previous
        cursor.execute(
            """UPDATE reviews_auditentry e SET position = s.position, hash = s.hash
               FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS s (id, position, hash)
               WHERE e.id = s.id""",
            [
                [entry.pk for entry in fresh],
                [entry.position for entry in fresh],
                [entry.hash for entry in fresh],
            ],
        )
    return len(fresh)


class Verification(NamedTuple):
    checked: int
    unsealed: int
    broken_at: int | None  # position of the first entry that does not fit


def verify() -> Verification:
    """Recompute the whole chain. Reads in short key pages; constant memory."""
    position, previous = 0, GENESIS
    while True:
        page = list(AuditEntry.objects.filter(position__gt=position).order_by("position")[:5000])
        if not page:
            break
        for entry in page:
            expected = entry_hash(entry, previous)
            if entry.position != position + 1 or entry.hash != expected:
                return Verification(position, _unsealed(), position + 1)
            position, previous = entry.position, expected
    return Verification(position, _unsealed(), None)


def entry_hash(entry: AuditEntry, previous: str) -> str:
    body = [
        entry.pk,
        entry.at.isoformat(),
        entry.actor_id,
        entry.platform_id,
        entry.verb,
        entry.target_type,
        entry.target_id,
        entry.data,
    ]
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}{canonical}".encode()).hexdigest()


def _head() -> tuple[int, str]:
    position = AuditEntry.objects.aggregate(Max("position"))["position__max"]
    if position is None:
        return 0, GENESIS
    return position, AuditEntry.objects.get(position=position).hash


def _unsealed() -> int:
    return AuditEntry.objects.filter(position=None).count()
