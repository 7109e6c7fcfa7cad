"""Keeps search entries behind the rows they are made of.

Intake and decisions pay nothing for it: both only add rows, and a sweep reads what was added since
it looked last. What changes in place (a job moved to another queue) is marked.
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, transaction

from . import search_terms
from .models import SearchEntry, SearchProgress

BATCH = 500
# Source → SQL of (id, item_id) of the rows after one id and up to another, oldest first.
_SOURCES = {
    "versions": "SELECT id, item_id FROM reviews_itemversion",
    "decisions": "SELECT id, item_id FROM reviews_decision",
    "jobs": "SELECT id, item_id FROM reviews_job",
}
_NEWEST = {
    "versions": "SELECT max(id) FROM reviews_itemversion",
    "decisions": "SELECT max(id) FROM reviews_decision",
    "jobs": "SELECT max(id) FROM reviews_job",
}
_READ = """
SELECT item.id, item.platform_id, item.submitted_at, item.external_id, item.language,
  kind.slug, kind.fields, account.external_id, account.name, version.content,
  standing.verdict,
  ARRAY(
    SELECT DISTINCT policy.slug FROM reviews_decision_policy_versions AS link
    JOIN reviews_policyversion AS text ON text.id = link.policyversion_id
    JOIN reviews_policy AS policy ON policy.id = text.policy_id
    WHERE link.decision_id = standing.id
  ) AS policies,
  ARRAY(
    SELECT DISTINCT queue.slug FROM reviews_job AS job
    JOIN reviews_queue AS queue ON queue.id = job.queue_id
    WHERE job.item_id = item.id AND job.state <> 'cancelled'
  ) AS queues
FROM reviews_item AS item
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
JOIN reviews_itemkind AS kind ON kind.id = item.kind_id
LEFT JOIN reviews_account AS account ON account.id = item.account_id
LEFT JOIN LATERAL (
  SELECT id, verdict FROM reviews_decision
  WHERE item_id = item.id ORDER BY id DESC LIMIT 1
) AS standing ON true
WHERE item.id = ANY(%s) AND item.erased_at IS NULL
FOR KEY SHARE OF item
"""
_WRITE = """
INSERT INTO reviews_searchentry (item_id, platform_id, submitted_at, terms, is_due)
SELECT id, platform_id, submitted_at, terms::tsvector, false
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[])
  AS given (id, platform_id, submitted_at, terms)
ORDER BY id
ON CONFLICT (item_id) DO UPDATE SET terms = excluded.terms, is_due = false
WHERE reviews_searchentry.terms <> excluded.terms OR reviews_searchentry.is_due
"""


def index_due(*, seconds: float = 0.0) -> int:
    """Read what was added since the last time; returns how many items were written anew.

    What is being written now is found by the next call. Two at once do not wait for each other.
    """
    stop = time.monotonic() + seconds
    done = sum(_advance(source, stop) for source in _SOURCES)
    return done + _index_marked(stop)


def is_any_due() -> bool:
    """Is there something that the next call can read?"""
    rows = {row.source: row for row in SearchProgress.objects.all()}
    for source, sql in _NEWEST.items():
        with connection.cursor() as cursor:
            cursor.execute(sql)
            newest = cursor.fetchone()[0] or 0
        if source not in rows or newest > rows[source].done_id:
            return True
    return SearchEntry.objects.filter(is_due=True).exists()


def index_items(item_ids: Iterable[int]) -> int:
    """Write these items' entries as the items stand now."""
    ids = sorted(set(item_ids))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_READ, [ids])
        rows = cursor.fetchall()
        columns = [
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
            [_vector(row) for row in rows],
        ]
        cursor.execute(_WRITE, columns)
        SearchEntry.objects.filter(pk__in=set(ids) - set(columns[0])).delete()
    return len(rows)


def forget_items(item_ids: Iterable[int]) -> None:
    """Erased: nobody finds them from now on."""
    SearchEntry.objects.filter(pk__in=list(item_ids)).delete()


def mark_items(item_ids: Iterable[int]) -> None:
    """They changed in place: the sweep writes them anew."""
    if ids := list(item_ids):
        SearchEntry.objects.filter(pk__in=ids).update(is_due=True)


def words_of(fields: Iterable[dict], content: dict) -> str:
    """All that an item says in the fields its kind knows, but for who wrote it."""
    named = [field["name"] for field in fields if field.get("role") != "author"]
    return "\n".join(text for name in named for text in _texts(content.get(name)))


def account_facets(external_id: str | None, name: str | None) -> Iterator[str]:
    for value in (external_id, name):
        if value:
            yield f"=a{search_terms.folded(value)}"


def _advance(source: str, stop: float) -> int:
    done = 0
    while True:
        with transaction.atomic():
            SearchProgress.objects.get_or_create(source=source)
            progress = (
                SearchProgress.objects.select_for_update(skip_locked=True)
                .filter(source=source)
                .first()
            )
            if progress is None:
                return done
            if progress.done_id >= progress.ahead_id:
                _look_ahead(progress)
            if progress.done_id >= progress.ahead_id or not _has_settled(progress):
                return done
            rows = _rows(source, progress)
            done += index_items(item_id for _, item_id in rows)
            progress.done_id = rows[-1][0] if len(rows) == BATCH else progress.ahead_id
            progress.save(update_fields=["done_id"])
        if time.monotonic() >= stop:
            return done


def _look_ahead(progress: SearchProgress) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT ({_NEWEST[progress.source]}), "  # noqa: S608
            "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        )
        newest, xid = cursor.fetchone()
    if (newest or 0) > progress.done_id:
        progress.ahead_id, progress.ahead_xid = newest, xid
        progress.save(update_fields=["ahead_id", "ahead_xid"])


def _has_settled(progress: SearchProgress) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        oldest: int = cursor.fetchone()[0]
    return oldest >= progress.ahead_xid


def _rows(source: str, progress: SearchProgress) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_SOURCES[source]} WHERE id > %s AND id <= %s ORDER BY id LIMIT {BATCH}",
            [progress.done_id, progress.ahead_id],
        )
        rows: list[tuple[int, int]] = cursor.fetchall()
    return rows


def _index_marked(stop: float) -> int:
    done = 0
    while True:
        marked = list(
            SearchEntry.objects.filter(is_due=True)
            .order_by("pk")
            .values_list("pk", flat=True)[:BATCH]
        )
        done += index_items(marked) if marked else 0
        if not marked or time.monotonic() >= stop:
            return done


def _vector(row: tuple) -> str:
    (_, platform_id, _, external_id, language, kind, fields, account, name, *rest) = row
    content, verdict, policies, queues = rest
    facets = [
        f"=p{platform_id}",
        f"=k{kind}",
        f"=x{search_terms.folded(external_id)}",
        *account_facets(account, name),
        *(f"=q{queue}" for queue in queues),
        f"=v{verdict}" if verdict else "=vnone",
        *(f"=y{policy}" for policy in policies),
    ]
    if language:
        facets.append(f"=l{language.partition('-')[0].lower()}")
    return search_terms.vector(words_of(_loaded(fields), _loaded(content)), facets)


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
