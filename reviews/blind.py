"""What somebody is not told while she judges: left out by the views, in page and API alike.

A queue says it (Queue.blind), and so does a lane whose answers measure something. It binds whoever
may get the job, and a lead too while she holds it. Who only looks on sees everything.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as lazy

from . import access, layouts
from .models import Item, ItemKind, Job, Lane, Person, Queue

SCORE, REPORTS, AUTHOR, HISTORY = (
    Queue.Blind.SCORE,
    Queue.Blind.REPORTS,
    Queue.Blind.AUTHOR,
    Queue.Blind.HISTORY,
)
NOTHING: frozenset[str] = frozenset()
SCORELESS_LANES = frozenset(Lane.blind())
# Somebody else answered before; whoever answers now is not to be led by it.
FRESH_LANES = frozenset({Lane.SECOND, *Lane.checking()})

# Fields that say who the author is.
AUTHOR_ROLES = ("author", "handle", "avatar")

_WORDS = {
    SCORE: lazy("risk and reasons"),
    REPORTS: lazy("reports"),
    AUTHOR: lazy("the author"),
    HISTORY: lazy("earlier decisions and answers"),
}


def of_job(lane: str, queue: Queue) -> frozenset[str]:
    """What the desk keeps from whoever holds this job."""
    hidden = frozenset(queue.blind) if queue.blind else NOTHING
    return hidden | {SCORE} if lane in SCORELESS_LANES else hidden


def of_item(person: Person, jobs: Iterable[Job]) -> frozenset[str]:
    """What the item's page and the API keep from this person while `jobs` (with their queues) are
    open: a reviewer may get each of them, a lead may hold one."""
    looks_on = access.may(person, "job.view")
    hidden = NOTHING
    for job in jobs:
        if job.state not in (Job.State.READY, Job.State.CLAIMED):
            continue
        if looks_on and job.claimed_by_id != person.pk:
            continue
        hidden |= of_job(job.lane, job.queue)
        if job.lane in FRESH_LANES:
            hidden |= {HISTORY}
    return hidden


def telling_jobs(person: Person, jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Those of `jobs` whose items a list of one author's work would give away to this person: who
    wrote them, who reported them, or what was decided before. The rule of of_item, as a query."""
    jobs = jobs.open()
    if access.may(person, "job.view"):
        jobs = jobs.filter(claimed_by=person)
    told = Q(queue__blind__overlap=[AUTHOR, REPORTS, HISTORY])
    return jobs.filter(told | Q(lane__in=FRESH_LANES))


def hide(item: Item, hidden: frozenset[str]) -> None:
    """Empty what is hidden on this instance, so that no template can show it. Never save it."""
    if SCORE in hidden:
        item.risks, item.risk, item.risk_source, item.scored_at = {}, None, "", None
    if REPORTS in hidden:
        item.report_count = 0
        item.reporter_trust = 0.0
    if AUTHOR in hidden:
        item.account = None


def hidden_roles(hidden: frozenset[str]) -> tuple[str, ...]:
    """Roles of fields that are hidden with it."""
    return AUTHOR_ROLES if AUTHOR in hidden else ()


def content_of(kind: ItemKind, content: Mapping[str, Any], hidden: frozenset[str]) -> dict:
    """The content without hidden fields, nor those the kind does not know (any more): they may
    have named the author."""
    if AUTHOR not in hidden:
        return dict(content)
    known = {
        field["name"]: field.get("type", "")
        for field in kind.fields
        if field.get("role") not in AUTHOR_ROLES
    }
    return {
        name: layouts.nameless(known[name], value)
        for name, value in content.items()
        if name in known
    }


def words(hidden: Sequence[str]) -> str:
    """ "risk and reasons, the author": what a queue's `blind` hides, as people say it."""
    return ", ".join(str(text) for key, text in _WORDS.items() if key in hidden)


def keeps_notes(job: Job, hidden: frozenset[str]) -> bool:
    """Are others' notes on the item kept from whoever holds this job? Somebody who has read it
    wrote them, so they would bend what a measuring lane measures, and lead a second opinion."""
    return HISTORY in hidden or job.lane in FRESH_LANES or job.lane in SCORELESS_LANES


def from_notes(person: Person, jobs: Iterable[Job]) -> bool:
    """Are others' notes on an item kept from her, while `jobs` (with their queues) are open? As
    in of_item."""
    looks_on = access.may(person, "job.view")
    return any(
        keeps_notes(job, of_job(job.lane, job.queue))
        for job in jobs
        if job.state in (Job.State.READY, Job.State.CLAIMED)
        and not (looks_on and job.claimed_by_id != person.pk)
    )
