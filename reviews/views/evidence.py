"""The deferred part of the evidence: a fragment for the desk, else a page of its own."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from reviews import access, blind, conversations, evidence, wellness
from reviews.errors import ClaimLost, NotFound
from reviews.models import Decision, Job, Person, Review, Verdict

from .items import changes, lines_of, told_talk

REPORTS_STEP = 50
MOST_EARLIER = 10
# What the nearest items were decided as is the model's view and an earlier answer at once.
_TELLS_VERDICTS = frozenset({blind.SCORE, blind.HISTORY})


@require_GET
@never_cache
def job_evidence(request: HttpRequest, pk: int) -> HttpResponse:
    """Of a job she holds, prefetched or on her desk."""
    job = access.get_held_job(request.user, pk)
    if job.claimed_by_id != request.user.pk:
        if request.htmx:
            return HttpResponse(status=204)  # answered meanwhile: her desk shows the next job
        raise ClaimLost(_("You do not hold this job any more. Go back to your queue for the next."))
    hidden = blind.of_item(request.user, [job])
    context = {"job": job, "item": job.item, **_sections(request.user, job, hidden)}
    template = "reviews/_deeper.html" if request.htmx else "reviews/job_evidence.html"
    return render(request, template, context)


def _sections(person: Person, job: Job, hidden: frozenset[str]) -> dict:
    """What is hidden is not read at all."""
    item = job.item
    found: dict = {"hidden": hidden, "may_see_similar": hidden.isdisjoint(_TELLS_VERDICTS)}
    versions = list(item.versions.filter(number__gte=item.version_number - 1).order_by("number"))
    for version in versions:
        version.item = item
    newest = versions[-1]
    past = None
    if item.account_id is not None and blind.AUTHOR not in hidden:
        past = evidence.past_of(item, by=person)
    talk = conversations.around(item, newest.content)
    others = [one.item_id for one in past.items] if past else []
    lines = lines_of([*talk.item_ids, *others])
    found |= told_talk(talk, newest, lines)
    if past:
        found["past"] = past
        found["past_lines"] = [(one, lines[one.item_id].line) for one in past.items]
    # Where its text arrives covered, it is not quoted beside the cover.
    tells = blind.SCORE not in hidden and job.lane not in blind.SCORELESS_LANES
    found["veil"] = wellness.covered_by(job.queue, item.risks, tells_risk=tells)
    if len(versions) > 1:
        found["versions"] = versions
        found["runs"] = changes(*versions)
    found["answers"], found["decisions"] = _earlier(person, job, hidden)
    return found


def _earlier(
    person: Person, job: Job, hidden: frozenset[str]
) -> tuple[list[Review], list[Decision]]:
    """Answers and decisions before hers. Who reviews is told of others' answers only what was
    handed on with them (an escalation and why); of decisions, all; of a check, what is her own."""
    reviews = job.item.reviews.select_related("reviewer", "item_version")
    decisions = job.item.decisions.select_related("decided_by", "queue", "superseded_by")
    if blind.HISTORY in hidden:
        reviews = reviews.filter(reviewer=person)
        decisions = decisions.filter(decided_by=person)
    elif not access.may(person, "job.view"):
        reviews = reviews.filter(Q(reviewer=person) | Q(verdict=Verdict.ESCALATE))
    # An answer that settled it is told by its decision.
    reviews = reviews.filter(decision=None).order_by("-id")[:MOST_EARLIER]
    decisions = decisions.prefetch_related("policy_versions__policy").order_by("-id")
    return list(reviews), list(decisions[:MOST_EARLIER])


@require_GET
@never_cache
def item_reports(request: HttpRequest, pk: int) -> HttpResponse:
    """Every report about an item, in steps: ?before=<id> goes on where the last step ended."""
    item = access.get_item(request.user, pk)
    hidden = blind.of_item(request.user, item.jobs.open().select_related("queue"))
    if blind.REPORTS in hidden:
        raise NotFound(_("While this item waits for a blind review, its reports are not shown."))
    before = request.GET.get("before", "")
    found = evidence.reports_of(
        item,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
        limit=REPORTS_STEP + 1,
    )
    context = {
        "item": item,
        "reports": found[:REPORTS_STEP],
        "next": found[REPORTS_STEP - 1].pk if len(found) > REPORTS_STEP else None,
        "is_first": not before,
    }
    template = "reviews/_reports.html" if request.htmx else "reviews/item_reports.html"
    return render(request, template, context)
