"""What a lead does to many jobs of a queue at once: assign, move, cancel, raise; and takes back.

Each is one operation in one transaction, written once however often its form is sent. Only jobs
that still wait are touched; the rest is counted with its reason. Rows are locked in the order of
their ids, as everywhere; undo puts back only what is still as the operation left it.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from . import access, assignments, audit, bulk, jobs, notifications, ranking, search_entries
from .errors import Conflict, Invalid
from .models import BulkChange, BulkOperation, Item, Job, Lane, Notification, Person, Queue
from .placement import again_on_deadlock, rerank_jobs
from .routing import Router
from .wording import figure

MOST_JOBS = 10_000
MOST_DOUBLINGS = 20
_BATCH = 1000
_NOTE_LENGTH = 500
# Drawn for their queue, to measure it or to learn from it: in another one they would mean nothing.
_STAYING = (Lane.LEARNING, Lane.GOLD, Lane.QA)

# Kept with the operation as they stand here, translated where they are shown.
HELD = noop("being worked on right now")
GONE = noop("not waiting any more")
ELSEWHERE = noop("in another queue by now")
ON_TOP = noop("taken back by the reviewer and on top already")

# Everything an operation may write; the caller holds the rows.
_COLUMNS = (
    "state",
    "queue_id",
    "lane",
    "draw_id",
    "inclusion_probability",
    "harm",
    "rank",
    "due_at",
    "is_overdue",
    "is_soon",
    "lift_at",
    "raised",
    "is_pinned",
    "assigned_to_id",
)
_WRITE = """
WITH given AS MATERIALIZED (
  SELECT * FROM json_to_recordset(%s) AS row (
    id bigint, state text, queue_id bigint, lane text, draw_id bigint,
    inclusion_probability float8, harm float8, rank float8, due_at timestamptz,
    is_overdue boolean, is_soon boolean, lift_at timestamptz, raised float8,
    is_pinned boolean, assigned_to_id bigint)
)
UPDATE reviews_job AS job
SET state = given.state, queue_id = given.queue_id, lane = given.lane, draw_id = given.draw_id,
  inclusion_probability = given.inclusion_probability, harm = given.harm, rank = given.rank,
  due_at = given.due_at, is_overdue = given.is_overdue, is_soon = given.is_soon,
  lift_at = given.lift_at, raised = given.raised,
  is_pinned = given.is_pinned, assigned_to_id = given.assigned_to_id
FROM given WHERE job.id = given.id
"""
# What must still be as the operation left it, for the job to count as untouched.
_GUARDS = {
    BulkOperation.Verb.ASSIGN: ("state", "queue_id", "assigned_to_id"),
    BulkOperation.Verb.MOVE: ("state", "queue_id", "is_pinned"),
    BulkOperation.Verb.CANCEL: ("state", "queue_id"),
    BulkOperation.Verb.RAISE: ("state", "queue_id", "raised"),
}

_Row = dict[str, Any]  # id, item_id and _COLUMNS
# Changes rows in place; returns {job id: why not} of those it leaves alone.
_Change = Callable[[list[_Row]], dict[int, str]]
_T = TypeVar("_T")


class Selection(NamedTuple):
    """Jobs chosen one by one, or all that fit a filter and were there when she looked."""

    job_ids: Sequence[int] = ()
    filter: jobs.Filter | None = None
    newest_id: int | None = None


def assign_jobs(
    queue: Queue,
    selection: Selection,
    *,
    to: Person | None,
    by: Person,
    token: uuid.UUID,
    note: str = "",
) -> BulkOperation:
    """Keep these jobs for one member of the queue; `to=None` frees them for everybody."""
    access.check(by, "job.manage", queue.platform_id)
    if to is not None:
        assignments.check_works(to, [queue.pk])
    parameters = {"to": to.username if to else None}

    def change(rows: list[_Row]) -> dict[int, str]:
        refused = assignments.refusals([row["id"] for row in rows], to=to) if to else {}
        for row in rows:
            if row["assigned_to_id"] == (to.pk if to else None):
                refused[row["id"]] = noop("already hers") if to else noop("free already")
            elif row["id"] not in refused:
                row["assigned_to_id"] = to.pk if to else None
        return refused

    verb = BulkOperation.Verb.ASSIGN
    return _operate(queue, selection, verb, change, parameters, by=by, token=token, note=note)


def move_jobs(
    queue: Queue,
    selection: Selection,
    *,
    to: Queue,
    by: Person,
    token: uuid.UUID,
    note: str = "",
) -> BulkOperation:
    """Into another queue, where they get its rank, its due time and a draw of their own.

    They stay there: a routing rule moves them no more.
    """
    access.check(by, "job.manage", queue.platform_id)
    if to.platform_id != queue.platform_id or to.pk == queue.pk:
        raise Invalid(
            _("Choose another queue."), details={"to": _("another queue of this platform")}
        )
    if to.is_archived:
        raise Invalid(
            _("%(name)s is archived and takes nothing new.") % {"name": to.name},
            details={"to": _("it is archived")},
        )
    router = Router(queue.platform_id)
    members = set(to.members.values_list("pk", flat=True))

    def change(rows: list[_Row]) -> dict[int, str]:
        refused = {
            row["id"]: ON_TOP if _is_undone(row) else noop("drawn for this queue")
            for row in rows
            if _is_undone(row) or row["lane"] in _STAYING
        }
        moved = {row["id"]: row for row in rows if row["id"] not in refused}
        if not moved:
            return refused
        item_ids = {row["item_id"] for row in moved.values()}
        rerank_jobs(item_ids, router=router, job_ids=moved.keys(), to=to.pk)
        for row in _rows(moved):
            moved[row["id"]] |= row
        for row in moved.values():
            row["is_pinned"] = True
            if row["assigned_to_id"] not in members:
                row["assigned_to_id"] = None
        return refused

    verb, parameters = BulkOperation.Verb.MOVE, {"to": to.slug, "name": to.name}
    return _operate(queue, selection, verb, change, parameters, by=by, token=token, note=note)


def cancel_jobs(
    queue: Queue, selection: Selection, *, by: Person, token: uuid.UUID, note: str
) -> BulkOperation:
    """Nobody need look at these. The items stay, and undo opens their jobs again."""
    access.check(by, "job.manage", queue.platform_id)
    if not note.strip():
        raise Invalid(_("Say why these need no review."), details={"note": _("needed to cancel")})

    def change(rows: list[_Row]) -> dict[int, str]:
        for row in rows:
            row["state"] = Job.State.CANCELLED
        return {}

    verb = BulkOperation.Verb.CANCEL
    return _operate(queue, selection, verb, change, {}, by=by, token=token, note=note)


def raise_jobs(
    queue: Queue,
    selection: Selection,
    *,
    by: Person,
    token: uuid.UUID,
    doublings: int | None = None,
    note: str = "",
) -> BulkOperation:
    """Serve these sooner: as if their harm had doubled so often; None: before all others.

    The lift is kept when they are ranked again. Only what a reviewer took back comes before them.
    """
    access.check(by, "job.manage", queue.platform_id)
    if doublings is not None and not 1 <= doublings <= MOST_DOUBLINGS:
        raise Invalid(
            _("Raise by 1 to %(most_doublings)s doublings, or to the top.")
            % {"most_doublings": MOST_DOUBLINGS},
            details={
                "doublings": _("1 to %(most_doublings)s") % {"most_doublings": MOST_DOUBLINGS}
            },
        )
    wanted = ranking.RAISED_LIFT if doublings is None else doublings * queue.doubling_hours

    def change(rows: list[_Row]) -> dict[int, str]:
        refused = {}
        for row in rows:
            lift = min(wanted, ranking.MOST_RAISED - row["raised"])
            is_at_top = doublings is None and row["raised"] >= ranking.RAISED_LIFT
            if _is_undone(row):
                refused[row["id"]] = ON_TOP
            elif is_at_top or lift <= 0:
                refused[row["id"]] = noop("raised as far as it goes")
            else:
                row["raised"] += lift
                row["rank"] += lift
        return refused

    verb, parameters = BulkOperation.Verb.RAISE, {"doublings": doublings}
    return _operate(queue, selection, verb, change, parameters, by=by, token=token, note=note)


def undo_operation(operation: BulkOperation, *, by: Person) -> BulkOperation:
    """Put back every job that nobody has touched since. Once; says how many could not be."""
    access.check(by, "job.manage", operation.platform_id)
    return _as_one(lambda: _undo(operation.pk, by))


def _operate(
    queue: Queue,
    selection: Selection,
    verb: str,
    change: _Change,
    parameters: dict[str, Any],
    *,
    by: Person,
    token: uuid.UUID,
    note: str,
) -> BulkOperation:
    note = note.replace("\x00", "\ufffd").strip()
    if len(note) > _NOTE_LENGTH:
        raise Invalid(
            _("The note is too long (%(note)s characters of %(note_length)s).")
            % {"note": figure(len(note)), "note_length": figure(_NOTE_LENGTH)},
            details={
                "note": _("at most %(note_length)s characters") % {"note_length": _NOTE_LENGTH}
            },
        )

    def run() -> BulkOperation:
        operation, is_new = BulkOperation.objects.get_or_create(
            token=token,
            defaults={
                "platform_id": queue.platform_id,
                "queue": queue,
                "verb": verb,
                "filter": selection.filter.as_json() if selection.filter else {},
                "parameters": parameters,
                "note": note,
                "by": by,
            },
        )
        if not is_new:
            return _same(operation, queue, verb, by)
        skipped: Counter[str] = Counter()
        for job_ids in _batches(_selected(queue, selection)):
            operation.count += _change_batch(operation, job_ids, change, skipped)
        if not operation.count:
            raise Conflict(_nothing(skipped))
        operation.skipped = dict(skipped)
        operation.save(update_fields=["count", "skipped"])
        audit.record(
            f"job.{verb}",
            operation,
            by=by,
            platform=queue.platform_id,
            operation=operation.pk,
            queue=queue.slug,
            count=operation.count,
            skipped=sum(skipped.values()),
            **{name: value for name, value in parameters.items() if value is not None},
            **({"note": note} if note else {}),
        )
        if verb == BulkOperation.Verb.ASSIGN and parameters["to"]:
            notifications.tell(
                Person.objects.filter(username=parameters["to"]),
                Notification.Sort.ASSIGNED,
                by=by,
                platform=queue.platform_id,
                queue=queue,
                count=operation.count,
            )
        return operation

    return _as_one(run)


def _change_batch(
    operation: BulkOperation, job_ids: Sequence[int], change: _Change, skipped: Counter[str]
) -> int:
    found = {row["id"]: row for row in _rows(job_ids, lock=True)}
    waiting = []
    for pk in job_ids:
        row = found.get(pk)
        if row is None or row["queue_id"] != operation.queue_id:
            skipped[ELSEWHERE] += 1
        elif row["state"] != Job.State.READY:
            skipped[HELD if row["state"] == Job.State.CLAIMED else GONE] += 1
        else:
            waiting.append(row)
    before = {row["id"]: dict(row) for row in waiting}
    refused = change(waiting)
    skipped.update(refused.values())
    changed = [row for row in waiting if row["id"] not in refused]
    bulk.over_rows(_WRITE, changed)
    search_entries.mark_items(row["item_id"] for row in changed)
    BulkChange.objects.bulk_create(
        BulkChange(
            operation=operation,
            job_id=row["id"],
            **_difference(before[row["id"]], row),
        )
        for row in changed
    )
    return len(changed)


def _undo(operation_id: int, by: Person) -> BulkOperation:
    operation = (
        BulkOperation.objects.select_for_update(of=("self",))
        .select_related("queue", "undone_by")
        .get(pk=operation_id)
    )
    if operation.undone_at is not None:
        raise Conflict(
            _("%(undone_by)s has already undone this.") % {"undone_by": operation.undone_by}
        )
    count, reranked = 0, set()
    job_ids = list(operation.changes.order_by("job_id").values_list("job_id", flat=True))
    for batch in _batches(job_ids):
        changes = list(operation.changes.filter(job__in=batch).select_related("job"))
        item_ids = {change.job.item_id for change in changes}
        if operation.verb == BulkOperation.Verb.CANCEL:
            # The item first, as intake does: while it is ours nobody opens another job for it.
            list(
                Item.objects.filter(pk__in=item_ids)
                .order_by("pk")
                .select_for_update(no_key=True)
                .values_list("pk")
            )
        rows = {row["id"]: row for row in _rows(batch, lock=True)}
        closed = _open_elsewhere(item_ids, batch) | _erased(item_ids)
        restored = []
        for change in changes:
            row = rows[change.job_id]
            if not _is_as_left(operation.verb, row, change.after):
                continue
            if operation.verb == BulkOperation.Verb.CANCEL and row["item_id"] in closed:
                continue
            if operation.verb == BulkOperation.Verb.RAISE:
                row["rank"] -= row["raised"] - change.before["raised"]
                row["raised"] = change.before["raised"]
            else:
                row |= change.before
            restored.append(row)
        bulk.over_rows(_WRITE, restored)
        search_entries.mark_items(row["item_id"] for row in restored)
        count += len(restored)
        reranked |= {row["item_id"] for row in restored}
    if not count:
        raise Conflict(_("Nothing could be put back: all of these have been touched since."))
    if operation.verb in (BulkOperation.Verb.MOVE, BulkOperation.Verb.CANCEL):
        # Scores and reports may have come in meanwhile.
        rerank_jobs(reranked, router=Router(operation.platform_id))
    operation.undone_by, operation.undone_count = by, count
    operation.undone_at = Now()
    operation.save(update_fields=["undone_by", "undone_at", "undone_count"])
    operation.refresh_from_db(fields=["undone_at"])
    audit.record(
        "operation.undo",
        operation,
        by=by,
        platform=operation.platform_id,
        operation=operation.pk,
        queue=operation.queue.slug,
        undone=operation.verb,
        count=count,
        left=operation.count - count,
    )
    return operation


def _as_one(work: Callable[[], _T]) -> _T:
    try:
        return again_on_deadlock(work)
    except IntegrityError as error:
        constraint = getattr(getattr(error.__cause__, "diag", None), "constraint_name", "")
        if constraint != "one_open_job_an_item":
            raise
        raise Conflict(
            _("New work came in for these items at the same moment. Try again.")
        ) from None


def _same(operation: BulkOperation, queue: Queue, verb: str, by: Person) -> BulkOperation:
    """The form was sent before: what it did then is the answer now."""
    if (operation.queue_id, operation.verb, operation.by_id) != (queue.pk, verb, by.pk):
        raise Invalid(_("This form was used for something else. Start again from the list."))
    return operation


def _selected(queue: Queue, selection: Selection) -> list[int]:
    if selection.filter is None:
        job_ids = sorted(set(selection.job_ids))
        if not job_ids:
            raise Invalid(_("Choose at least one job."))
        if len(job_ids) > MOST_JOBS:
            raise Invalid(_too_many(figure(len(job_ids))))
        return job_ids
    found = jobs.find(
        queue,
        selection.filter,
        limit=MOST_JOBS,
        newest_id=selection.newest_id,
    )
    if found.next is not None and not found.is_cut:
        raise Invalid(_too_many(_("more than %(most)s") % {"most": figure(MOST_JOBS)}))
    return sorted(found.job_ids)


def _too_many(how_many: str) -> str:
    return _("At most %(most)s jobs at once; these are %(count)s. Narrow the filter.") % {
        "most": figure(MOST_JOBS),
        "count": how_many,
    }


def _nothing(skipped: Counter[str]) -> str:
    told = "; ".join(f"{number:,} {_(reason)}" for reason, number in skipped.most_common())
    return _("Nothing was changed: %(told)s.") % {"told": told or _("no job fits any more")}


def _rows(job_ids: Iterable[int], *, lock: bool = False) -> list[_Row]:
    rows = Job.objects.filter(pk__in=list(job_ids)).order_by("pk")
    if lock:
        rows = rows.select_for_update(no_key=True)
    return list(rows.values("id", "item_id", *_COLUMNS))


def _batches(job_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(job_ids), _BATCH):
        yield job_ids[start : start + _BATCH]


def _difference(before: _Row, after: _Row) -> dict[str, _Row]:
    """As JSON keeps it: what is other now, and what says whether it still is."""
    names = [name for name in _COLUMNS if before[name] != after[name]]
    guards = {"state", "queue_id"}
    return {
        "before": _plain({name: before[name] for name in names}),
        "after": _plain({name: after[name] for name in _COLUMNS if name in {*names, *guards}}),
    }


def _plain(row: _Row) -> _Row:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in row.items()
    }


def _is_as_left(verb: str, row: _Row, after: _Row) -> bool:
    return all(row[name] == after[name] for name in _GUARDS[verb] if name in after)


def _open_elsewhere(item_ids: Iterable[int], job_ids: Sequence[int]) -> set[int]:
    """Items that got another job meanwhile."""
    rows = Job.objects.open().filter(item_id__in=item_ids).exclude(pk__in=job_ids)
    return set(rows.values_list("item_id", flat=True))


def _erased(item_ids: Iterable[int]) -> set[int]:
    """Items of which nothing is left to look at."""
    rows = Item.objects.filter(pk__in=item_ids, erased_at__isnull=False)
    return set(rows.values_list("pk", flat=True))


def _is_undone(row: _Row) -> bool:
    return row["rank"] > ranking.UNDONE_LIFT / 2
