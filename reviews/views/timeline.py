"""The life of one item as events in time, from submission to proof: sorts that can be chosen, each
event with a link of its own. Bounded whatever there is: long runs of reports are told as one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from reviews import access, blind, consultations, notes
from reviews.models import (
    AuditEntry,
    BulkOperation,
    Claim,
    ClusterMember,
    Decision,
    Enforcement,
    Item,
    ItemVersion,
    Job,
    Report,
    Review,
)

from .operations import words

MOST_REPORTS = 200
_MOST_CLAIMS = 200
_MOST_NOTES = 100
_MOST_AUDITED = 200
# So many reports in a row are told one by one; more are told as one, and can be unfolded.
_RUN = 4

# Sort → what a person calls it. Each event template belongs to one.
SORTS = {
    "content": _("Content"),
    "scores": _("Scores"),
    "reports": _("Reports"),
    "work": _("Queues and claims"),
    "answers": _("Answers"),
    "decisions": _("Decisions"),
    "enforcement": _("Enforcement"),
    "notes": _("Notes and opinions"),
    "audit": _("Audit"),
}
_SORT_OF = {
    "submitted": "content",
    "version": "content",
    "erased": "content",
    "scored": "scores",
    "report": "reports",
    "reports": "reports",
    "more_reports": "reports",
    "job": "work",
    "held": "work",
    "claim": "work",
    "operation": "work",
    "cluster": "work",
    "decided": "answers",
    "decision": "decisions",
    "gold": "decisions",
    "enforcement": "enforcement",
    "note": "notes",
    "consultation": "notes",
    "audit": "audit",
}


class Event(NamedTuple):
    """`kind` names the template that tells it: reviews/timeline/_<kind>.html."""

    at: datetime
    kind: str
    thing: Any

    @property
    def template(self) -> str:
        return f"reviews/timeline/_{self.kind}.html"

    @property
    def sort(self) -> str:
        return _SORT_OF[self.kind]

    @property
    def anchor(self) -> str:
        """What a link to this event ends with: the same tomorrow."""
        return f"{self.kind}-{self.thing.pk}"


class Run(NamedTuple):
    """Reports that came one after another with nothing in between. Oldest first."""

    reports: list[Report]

    @property
    def pk(self) -> int:
        return self.reports[0].pk

    @property
    def last_at(self) -> datetime:
        return self.reports[-1].created_at

    @property
    def reasons(self) -> list[tuple[str, int]]:
        return Counter(one.reason for one in self.reports).most_common(3)


class Earlier(NamedTuple):
    """Reports that are too many to be read here."""

    pk: int  # of the oldest one that is read
    count: int


class Scored(NamedTuple):
    pk: int
    source: str
    risks: list[tuple[str, float]]


class Choice(NamedTuple):
    """A sort as a chip that is switched on or off by a link."""

    label: str
    count: int
    is_on: bool
    query: str


class Timeline(NamedTuple):
    events: list[Event]
    choices: list[Choice]
    is_newest_first: bool
    other_order: str  # the query that turns it round
    is_chosen: bool


class Told(NamedTuple):
    """What the page has read already and may tell this person."""

    item: Item
    versions: Sequence[ItemVersion]
    jobs: Sequence[Job]
    decisions: Sequence[Decision]
    reviews: Sequence[Review]
    risks: Sequence[tuple[str, float]]
    may_see_work: bool
    hidden: frozenset[str]


def read(request: HttpRequest, told: Told) -> Timeline:
    """?show=decisions&show=reports keeps to those sorts, ?order=newest turns it round."""
    events = sorted(_events(request, told), key=lambda event: event.at)
    counts = Counter(event.sort for event in events)
    shown = [sort for sort in request.GET.getlist("show") if sort in counts]
    if shown:
        events = [event for event in events if event.sort in shown]
    events = list(_in_runs(events))
    is_newest_first = request.GET.get("order") == "newest"
    if is_newest_first:
        events.reverse()
    return Timeline(
        events,
        [
            Choice(str(label), counts[sort], sort in shown, _query(request, shown, sort))
            for sort, label in SORTS.items()
            if counts[sort]
        ],
        is_newest_first,
        _query(request, shown, None),
        bool(shown),
    )


def _query(request: HttpRequest, shown: Sequence[str], turned: str | None) -> str:
    query = request.GET.copy()
    if turned is None:
        query.pop("order", None)
        if request.GET.get("order") != "newest":
            query["order"] = "newest"
    else:
        query.setlist("show", [*(one for one in shown if one != turned)])
        if turned not in shown:
            query.appendlist("show", turned)
    return query.urlencode()


def _events(request: HttpRequest, told: Told) -> Iterator[Event]:
    item, jobs, decisions = told.item, told.jobs, told.decisions
    yield Event(item.submitted_at, "submitted", item)
    yield from (Event(one.created_at, "version", one) for one in told.versions[1:])
    if item.erased_at:
        yield Event(item.erased_at, "erased", item)
    if item.scored_at:  # emptied where it is hidden
        risks = list(told.risks) if told.may_see_work else []
        yield Event(item.scored_at, "scored", Scored(item.pk, item.risk_source, risks))
    if blind.REPORTS not in told.hidden:
        yield from _reports(item)
    yield from (Event(one.created_at, "decided", one) for one in told.reviews)
    yield from (Event(one.decided_at, "decision", one) for one in decisions)
    if told.may_see_work:
        yield from _work(request, item, jobs)
    carried = list(
        Enforcement.objects.filter(decision__in=decisions).select_related(
            "action", "requested_by", "approved_by", "strike"
        )
    )
    yield from (Event(one.changed_at, "enforcement", one) for one in carried)
    open_jobs = [job for job in jobs if job.state in (Job.State.READY, Job.State.CLAIMED)]
    noted = notes.notes_on(item, by=request.user, open_jobs=open_jobs)
    yield from (Event(one.created_at, "note", one) for one in noted.exclude(text="")[:_MOST_NOTES])
    asked = consultations.on_item(item, by=request.user)
    yield from (Event(one.asked_at, "consultation", one) for one in asked[:_MOST_NOTES])
    gold = getattr(item, "gold", None) if access.may(request.user, "draw.create") else None
    if gold is not None and blind.HISTORY not in told.hidden:
        yield Event(gold.created_at, "gold", gold)
    if access.may(request.user, "audit.view"):
        entries = _audit_entries(request, told, carried)
        yield from (Event(one.at, "audit", one) for one in entries)


def _reports(item: Item) -> Iterator[Event]:
    reports = list(item.reports.order_by("-id")[:MOST_REPORTS])
    for one in reports:
        yield Event(one.created_at, "report", one)
    if len(reports) == MOST_REPORTS and item.report_count > MOST_REPORTS:
        first = reports[-1]
        count = item.report_count - MOST_REPORTS
        yield Event(first.created_at, "more_reports", Earlier(first.pk, count))


def _work(request: HttpRequest, item: Item, jobs: Sequence[Job]) -> Iterator[Event]:
    for job in jobs:
        yield Event(job.created_at, "job", job)
        if job.state == Job.State.CLAIMED and job.claimed_at is not None:
            yield Event(job.claimed_at, "held", job)
    for operation in _operations(jobs):
        yield Event(operation.at, "operation", operation)
    # A finished claim is told by its answer.
    claims = Claim.objects.filter(job__in=jobs).exclude(end=Claim.End.FINISHED)
    for claim in claims.select_related("reviewer").order_by("-id")[:_MOST_CLAIMS]:
        yield Event(claim.ended_at, "claim", claim)
    if access.may(request.user, "cluster.view"):
        for member in ClusterMember.objects.filter(item=item, cluster__size__gt=1):
            yield Event(member.joined_at, "cluster", member)


def _operations(jobs: Sequence[Job]) -> list[BulkOperation]:
    """What was done to these jobs together with others."""
    rows = BulkOperation.objects.filter(changes__job__in=jobs).distinct()
    operations = list(rows.select_related("by", "undone_by").order_by("-id")[:50])
    for operation in operations:
        operation.words = words(operation)
    return operations


def _audit_entries(
    request: HttpRequest, told: Told, carried: Iterable[Enforcement]
) -> QuerySet[AuditEntry]:
    targets = Q(target_type="item", target_id=str(told.item.pk))
    for name, rows in (
        ("job", told.jobs),
        ("decision", told.decisions),
        ("enforcement", carried),
        ("review", told.reviews),
    ):
        targets |= Q(target_type=name, target_id__in=[str(row.pk) for row in rows])
    rows = access.audit_entries(request.user).filter(targets).select_related("actor")
    return rows.order_by("-id")[:_MOST_AUDITED]


def _in_runs(events: Iterable[Event]) -> Iterator[Event]:
    """Reports in a row as one event; the same where they are few."""
    run: list[Event] = []
    for event in events:
        if event.kind == "report":
            run.append(event)
            continue
        yield from _told_run(run)
        run = []
        yield event
    yield from _told_run(run)


def _told_run(run: list[Event]) -> Iterable[Event]:
    if len(run) <= _RUN:
        return run
    return [Event(run[0].at, "reports", Run([event.thing for event in run]))]
