"""Items and reports come in here, whoever brings them: API, import, demo. Idempotent.

One row is known by (platform, kind, external id). submission.py reads rows, stage.py stores new
items in bulk, placement.py opens and moves jobs, reports.py takes the reports.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from django.db import connection
from django.utils.translation import gettext as _

from . import access, audit, bulk, clusters, media, signals, stage
from .errors import Conflict, Invalid
from .facts import RECENT_MOST, count_recent, count_strikes
from .models import Account, Item, ItemVersion, Person, Platform
from .placement import (
    again_on_deadlock,
    database_now,
    open_jobs,
    open_missing_jobs,
    rerank_jobs,
    set_risks,
    shapes_of,
)
from .reports import file_reports
from .routing import Router
from .submission import MAX_ROWS, AccountRow, Errors, ItemRow, Outcome, author_group, read_item
from .wording import figure

__all__ = ["Outcome", "file_reports", "open_jobs", "set_risks", "submit_items"]

_ATTEMPTS = 10

_KNOWN = """
SELECT item.id, item.external_id, item.version_number, version.content_hash, item.language,
  item.posted_at, item.views_per_hour, item.views_so_far, item.account_id, account.external_id
FROM reviews_item AS item
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
LEFT JOIN reviews_account AS account ON account.id = item.account_id
WHERE item.platform_id = %s AND item.kind_id = %s AND item.external_id = ANY(%s)
"""

_GROUPS = """
SELECT DISTINCT ON (fingerprint) fingerprint, split_group FROM reviews_item
WHERE platform_id = %s AND fingerprint = ANY(%s) ORDER BY fingerprint, id
"""

# A row whose version is no longer the one we compared with is left for another look.
_CHANGE = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (
    id bigint, believed integer, is_new integer, fingerprint text, language text,
    posted_at timestamptz, views_per_hour float8, views_so_far bigint, account_id bigint)
), locked AS MATERIALIZED (
  SELECT id FROM reviews_item WHERE id IN (SELECT id FROM given) ORDER BY id FOR NO KEY UPDATE
)
UPDATE reviews_item AS item
SET language = given.language, posted_at = given.posted_at, account_id = given.account_id,
  views_per_hour = given.views_per_hour, views_so_far = given.views_so_far,
  fingerprint = given.fingerprint,
  version_number = item.version_number + given.is_new,
  risks = CASE given.is_new WHEN 1 THEN '{}' ELSE item.risks END,
  risk = CASE given.is_new WHEN 1 THEN NULL ELSE item.risk END,
  risk_source = CASE given.is_new WHEN 1 THEN '' ELSE item.risk_source END,
  scored_at = CASE given.is_new WHEN 1 THEN NULL ELSE item.scored_at END,
  erased_at = CASE given.is_new WHEN 1 THEN NULL ELSE item.erased_at END
FROM given JOIN locked USING (id)
WHERE item.id = given.id AND item.version_number = given.believed
RETURNING item.id, item.version_number
"""


_T = TypeVar("_T")


class _Known(NamedTuple):
    """An item as the database has it."""

    item_id: int
    external_id: str
    version: int
    content_hash: str
    language: str
    posted_at: datetime | None
    views_per_hour: float
    views_so_far: int | None
    account_id: int | None
    author: str | None


class _Account(NamedTuple):
    pk: int
    name: str
    joined_at: datetime | None
    split_group: str


def submit_items(platform: Platform, rows: Sequence[object], *, by: Person | None) -> list[Outcome]:
    """Store items; one outcome a row, in order. A bad row is reported and stops no other.

    A row: {"kind", "external_id", "content": {field: value}, "account"?: {"external_id", "name"?,
    "joined_at"?}, "language"?, "posted_at"?, "views_per_hour"?, "views_so_far"?}; from the
    system also "known_answer". What is left out of a later row stays as it was.
    """
    access.check(by, "item.submit", platform)
    shapes = shapes_of(platform)
    read = [
        read_item(row, index=index, shapes=shapes, trusted=by is None)
        for index, row in enumerate(rows)
    ]
    return store_items(platform, read, by=by)


def store_items(
    platform: Platform,
    read: Sequence[ItemRow | Errors],
    *,
    by: Person | None,
    is_durable: bool = True,
) -> list[Outcome]:
    """Second half of submit_items, for a caller that reads the next rows meanwhile.

    With is_durable=False the commit does not wait for the disk: the next one that does makes it
    last. Until then a crash of the database may lose it whole, never in part.
    """
    access.check(by, "item.submit", platform)
    if len(read) > MAX_ROWS:
        raise Invalid(
            _("At most %(max_rows)s rows at once; these are %(read)s.")
            % {"max_rows": figure(MAX_ROWS), "read": figure(len(read))}
        )

    def store() -> list[Outcome]:
        if not is_durable:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL synchronous_commit = off")
        return _store(platform, read, by=by)

    return again_on_deadlock(store)


def _store(
    platform: Platform, read: Sequence[ItemRow | Errors], *, by: Person | None
) -> list[Outcome]:
    read = _with_media(platform, read)
    outcomes = {
        index: Outcome(index, "rejected", errors=errors)
        for index, errors in enumerate(read)
        if isinstance(errors, dict)
    }
    call = _Call(platform, outcomes)
    for rows in _rounds(row for row in read if isinstance(row, ItemRow)):
        call.store(rows)
    if call.media:
        media.link(platform, call.media)
    if call.version_ids:
        clusters.mark_new_versions(call.version_ids)
        signals.item_submitted.send(sender=Item, version_ids=call.version_ids)
    call.record(by=by)
    return [outcomes[index] for index in range(len(read))]


def _with_media(platform: Platform, read: Sequence[ItemRow | Errors]) -> Sequence[ItemRow | Errors]:
    """What was read, but what names a medium that is not here is wrong."""
    naming = [row for row in read if isinstance(row, ItemRow) and row.media]
    if not naming:
        return read
    missing = media.find_missing(platform, naming)
    return [missing.get(index, row) for index, row in enumerate(read)]


def _rounds(rows: Iterable[ItemRow]) -> list[list[ItemRow]]:
    """Each row of an item in a round of its own, in order: it finds what the one before left."""
    rounds: list[list[ItemRow]] = []
    seen: dict[tuple[int, str], int] = {}
    for row in rows:
        turn = seen.get(row.key, 0)
        seen[row.key] = turn + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(row)
    return rounds


class _Call:
    """What one submit_items call knows and has done so far, inside its transaction."""

    def __init__(self, platform: Platform, outcomes: dict[int, Outcome]) -> None:
        self.platform = platform
        self.outcomes = outcomes
        self.version_ids: list[int] = []
        self.media: list[tuple[int, list[tuple[str, str]]]] = []  # by version
        self.router = Router(platform)
        self.now = database_now()

    def store(self, rows: list[ItemRow]) -> None:
        """Rows of different items. Those that somebody else stores meanwhile get another look."""
        for _turn in range(_ATTEMPTS):
            known = self._find(rows)
            groups = self._groups(row for row in rows if row.key not in known)
            accounts = self._accounts(rows, groups)
            new, changed = [], []
            for row in rows:
                found = known.get(row.key)
                if found is None:
                    new.append(row)
                elif _is_same(row, found):
                    self._settle(row, "unchanged", found.item_id, found.version)
                else:
                    changed.append((row, found))
            rows = self._create(new, accounts, groups) + self._change(changed, accounts)
            if not rows:
                return
        raise Conflict(_("Others keep changing these items at the same moment. Try again."))

    def record(self, *, by: Person | None) -> None:
        """One audit entry a call: counts and the ids it touched, first to last.

        An entry an item would double what a bulk call writes; versions carry their own times.
        """
        touched = [o for o in self.outcomes.values() if o.status in ("created", "changed")]
        if not touched:
            return
        ids = sorted({outcome.item_id for outcome in touched if outcome.item_id})
        counts = {"created": 0, "changed": 0, "unchanged": 0, "rejected": 0}
        for outcome in self.outcomes.values():
            counts[outcome.status] += 1
        target = Item(pk=ids[0]) if len(ids) == 1 else self.platform
        audit.record(
            "item.submit",
            target,
            by=by,
            platform=self.platform,
            **counts,
            first_item=ids[0],
            last_item=ids[-1],
        )

    def _settle(self, row: ItemRow, status: str, item_id: int, version: int) -> None:
        self.outcomes[row.index] = Outcome(row.index, status, item_id, version)

    def _find(self, rows: Iterable[ItemRow]) -> dict[tuple[int, str], _Known]:
        ids_by_kind: dict[int, list[str]] = {}
        for row in rows:
            ids_by_kind.setdefault(row.shape.pk, []).append(row.external_id)
        known = {}
        with connection.cursor() as cursor:
            for kind_id, external_ids in ids_by_kind.items():
                cursor.execute(_KNOWN, [self.platform.pk, kind_id, external_ids])
                for values in cursor.fetchall():
                    known[kind_id, values[1]] = _Known(*values)
        return known

    def _create(
        self, rows: list[ItemRow], accounts: Mapping[str, _Account], groups: dict[str, str]
    ) -> list[ItemRow]:
        """Store new items with their jobs; returns them all if one is there already."""
        if not rows:
            return []
        strikes = {}
        if "strikes" in self.router.reads:
            strikes = count_strikes(account.pk for account in accounts.values())
        recent: dict[int, int] | None = None
        if "recent_items" in self.router.reads:
            posting = {account.pk for account in accounts.values()}
            recent = count_recent((pk, pk, self.now) for pk in posting)
        new = []
        ids = stage.next_ids(len(rows))
        for (item_id, version_id), row in zip(ids, rows, strict=True):
            account = accounts[row.account.external_id] if row.account else None
            if recent is not None and account:
                recent[account.pk] = min(recent.get(account.pk, 0) + 1, RECENT_MOST)
            new.append(
                stage.NewItem(
                    item_id,
                    version_id,
                    row,
                    account.pk if account else None,
                    account.split_group if account else groups[row.fingerprint],
                    None if row.known_answer is None else json.dumps(row.known_answer),
                    self.router.place_new(
                        item_id,
                        kind=row.shape.slug,
                        language=row.language or "",
                        views_per_hour=row.views_per_hour or 0.0,
                        joined_at=account.joined_at if account else None,
                        strikes=strikes.get(account.pk, 0) if account else None,
                        content=row.content,
                        now=self.now,
                        recent_items=recent[account.pk] if recent is not None and account else None,
                    ),
                )
            )
        if not stage.write(new, platform_id=self.platform.pk, now=self.now):
            self.router.forget_draws()
            return rows
        self.router.write_draws()
        for item in new:
            self.version_ids.append(item.version_id)
            if item.row.media:
                self.media.append((item.version_id, item.row.media))
            self._settle(item.row, "created", item.item_id, 1)
        return []

    def _groups(self, rows: Iterable[ItemRow]) -> dict[str, str]:
        """Fingerprint → the split group of the first item that had it."""
        fingerprints = list({row.fingerprint for row in rows})
        if not fingerprints:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(_GROUPS, [self.platform.pk, fingerprints])
            return dict(cursor.fetchall())

    def _accounts(self, rows: Sequence[ItemRow], groups: dict[str, str]) -> dict[str, _Account]:
        """The rows' authors by external id: made, or brought up to date, where need be.

        Completes `groups`: an author keeps hers; a new one, or a text without an author, joins
        the group of the first item that says the same, in this call too.
        """
        wanted = _authors(rows)
        accounts = self._find_accounts(wanted) if wanted else {}
        fresh: dict[str, Account] = {}
        for row in rows:
            author = row.account.external_id if row.account else None
            if author is None:
                group = None
            elif author in accounts:
                group = accounts[author].split_group
            elif author in fresh:
                group = fresh[author].split_group
            else:
                group = groups.get(row.fingerprint) or author_group(self.platform.pk, author)
                fresh[author] = Account(
                    platform=self.platform,
                    external_id=author,
                    name=wanted[author].name,
                    joined_at=wanted[author].joined_at,
                    split_group=group,
                )
            # A text of nobody's is a group of its own, named by itself.
            groups.setdefault(row.fingerprint, group or row.fingerprint)
        if fresh:
            Account.objects.bulk_create(
                [fresh[author] for author in sorted(fresh)], ignore_conflicts=True, batch_size=1000
            )
            accounts |= self._find_accounts(fresh)
        self._refresh_accounts(wanted, accounts)
        return accounts

    def _refresh_accounts(
        self, wanted: Mapping[str, AccountRow], accounts: Mapping[str, _Account]
    ) -> None:
        stale = []
        for author, row in wanted.items():
            account = accounts[author]
            name, joined_at = row.name or account.name, row.joined_at or account.joined_at
            if (name, joined_at) != (account.name, account.joined_at):
                stale.append(Account(pk=account.pk, name=name, joined_at=joined_at))
        stale.sort(key=lambda account: account.pk)
        Account.objects.bulk_update(stale, ["name", "joined_at"], batch_size=1000)

    def _find_accounts(self, external_ids: Iterable[str]) -> dict[str, _Account]:
        found = Account.objects.filter(
            platform=self.platform, external_id__in=list(external_ids)
        ).values_list("external_id", "pk", "name", "joined_at", "split_group")
        return {external_id: _Account(*rest) for external_id, *rest in found}

    def _change(
        self, pairs: list[tuple[ItemRow, _Known]], accounts: Mapping[str, _Account]
    ) -> list[ItemRow]:
        """Store what is other than before; returns the rows whose item moved on meanwhile."""
        if not pairs:
            return []
        values = []
        for row, found in pairs:
            account = accounts[row.account.external_id] if row.account else None
            values.append(
                {
                    "id": found.item_id,
                    "believed": found.version,
                    "is_new": int(row.content_hash != found.content_hash),
                    "fingerprint": row.fingerprint,
                    "language": _or(row.language, found.language),
                    "posted_at": _or(row.posted_at, found.posted_at),
                    "views_per_hour": _or(row.views_per_hour, found.views_per_hour),
                    "views_so_far": _or(row.views_so_far, found.views_so_far),
                    "account_id": account.pk if account else found.account_id,
                }
            )
        updated = dict(bulk.over_rows(_CHANGE, values))
        missed, versions, reopened, shown = [], [], [], []
        for row, found in pairs:
            number = updated.get(found.item_id)
            if number is None:
                missed.append(row)
                continue
            self._settle(row, "changed", found.item_id, number)
            if number != found.version:
                reopened.append(found.item_id)
                shown.append(row.media)
                versions.append(
                    ItemVersion(
                        item_id=found.item_id,
                        number=number,
                        content=row.content,
                        content_hash=row.content_hash,
                    )
                )
        made = ItemVersion.objects.bulk_create(versions, batch_size=1000)
        self.version_ids += [version.pk for version in made]
        self.media += [
            (version.pk, named) for version, named in zip(made, shown, strict=True) if named
        ]
        rerank_jobs(updated.keys(), router=self.router)
        open_missing_jobs(reopened, router=self.router)
        return missed


def _or(said: _T | None, before: _T) -> _T:
    """What the row says; where it says nothing, what was."""
    return before if said is None else said


def _authors(rows: Iterable[ItemRow]) -> dict[str, AccountRow]:
    """Authors by external id; what a later row does not say stays as an earlier one said."""
    authors: dict[str, AccountRow] = {}
    for row in rows:
        if row.account is None:
            continue
        known = authors.setdefault(row.account.external_id, row.account)
        if known is not row.account:
            authors[row.account.external_id] = AccountRow(
                row.account.external_id,
                row.account.name or known.name,
                row.account.joined_at or known.joined_at,
            )
    return authors


def _is_same(row: ItemRow, found: _Known) -> bool:
    """Is everything the row says already so?"""
    return (
        row.content_hash == found.content_hash
        and row.language in (None, found.language)
        and row.posted_at in (None, found.posted_at)
        and row.views_per_hour in (None, found.views_per_hour)
        and row.views_so_far in (None, found.views_so_far)
        and (row.account is None or row.account.external_id == found.author)
    )
