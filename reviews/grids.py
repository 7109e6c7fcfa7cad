"""A page of jobs side by side, for queues whose items are judged at a glance. Each is a claim of
its own with an answer of its own; what nobody answered is never decided by the others."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db.models import F

from . import access, batches, claims, decisions, wellness
from .errors import DomainError
from .models import Decision, ItemVersion, Job, Person, Queue, Verdict

# Answers that name no policy.
SKIP = "skip"
OTHERS = (str(Verdict.CLEAN), str(Verdict.UNSURE), str(Verdict.ESCALATE), SKIP)
_POLICY = "policy:"


class Mark(NamedTuple):
    """What a reviewer says of one job on the page, and what she saw when she said it."""

    job_id: int
    token: str
    answer: str  # "policy:<slug>", with a level "policy:<slug>:<level>", or one of OTHERS
    item_version_id: int | None = None
    score_shown: bool = False
    revealed_seconds: float | None = None  # how long it stood open to her; None: nobody counted


class Outcome(NamedTuple):
    """What became of one mark: `error` in her words, or nothing wrong."""

    job_id: int
    answer: str
    error: str = ""


def open_page(queue: Queue, *, by: Person) -> list[Job]:
    """What she holds of this queue, filled up to its page size."""
    return batches.claim_batch(queue, by=by, size=queue.page_size)


def held(queue: Queue, *, by: Person) -> list[Job]:
    """What she holds of it now, in the order of the page; nothing new."""
    access.check_belongs(by, queue)
    here = [job for job in claims.live_claims(by) if job.queue_id == queue.pk]
    return sorted(here, key=lambda job: job.claim_slot)


def answer_page(
    marks: Sequence[Mark], *, by: Person, note: str = "", active_seconds: float = 0.0
) -> list[Outcome]:
    """Record each mark on its own: one that is refused stops none of the others.

    The time she was at work is shared out evenly: nobody can say which item took how much of it.
    """
    share = active_seconds / len(marks) if marks else 0.0
    outcomes = []
    for mark in marks:
        try:
            _record(mark, by=by, note=note, active_seconds=share)
        except DomainError as error:
            outcomes.append(Outcome(mark.job_id, mark.answer, str(error)))
        else:
            outcomes.append(Outcome(mark.job_id, mark.answer))
    return outcomes


def put_back(queue: Queue, *, by: Person, revealed: Mapping[int, float]) -> int:
    """Everything she still holds of this queue goes back unanswered. Returns how many.

    `revealed`: for how many seconds each stood open to her; what is put back was looked at too.
    """
    jobs = held(queue, by=by)
    for job in jobs:
        if seconds := revealed.get(job.pk):
            wellness.report_held(job.pk, job.claim_token, by=by, seconds=seconds)
        claims.release(job.pk, job.claim_token, by=by)
    return len(jobs)


def just_decided(queue: Queue, *, by: Person) -> list[Decision]:
    """Her decisions in this queue that stand and can still be undone, newest first."""
    newest = by.decisions.current().filter(queue=queue, undo_until__gt=claims.clock())
    found = newest.exclude(kind=Decision.Kind.UNDO)
    return list(found.prefetch_related("policy_versions__policy").order_by("-pk")[:48])


def current_versions(item_ids: Iterable[int]) -> dict[int, ItemVersion]:
    """What these items say now, with the item, its kind and its account: {item: version}."""
    versions = ItemVersion.objects.filter(
        item__in=item_ids, number=F("item__version_number")
    ).select_related("item__kind", "item__account")
    return {version.item_id: version for version in versions}


def _record(mark: Mark, *, by: Person, note: str, active_seconds: float) -> None:
    if mark.answer == SKIP:
        if mark.revealed_seconds:
            wellness.report_held(mark.job_id, mark.token, by=by, seconds=mark.revealed_seconds)
        claims.skip(mark.job_id, mark.token, by=by)
        return
    is_policy = mark.answer.startswith(_POLICY)
    slug, _colon, level = mark.answer.removeprefix(_POLICY).partition(":")
    decisions.record_review(
        mark.job_id,
        mark.token,
        by=by,
        verdict=Verdict.VIOLATING if is_policy else mark.answer,
        policy_slugs=[slug] if is_policy else (),
        severities={slug: int(level) if level.isdecimal() else None} if is_policy else None,
        note=note,
        active_seconds=active_seconds,
        revealed_seconds=mark.revealed_seconds,
        item_version_id=mark.item_version_id,
        score_shown=mark.score_shown,
    )
