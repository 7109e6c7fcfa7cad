"""The deferred part of the evidence: a fragment for the desk, else a page of its own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from reviews import access, blind, evidence
from reviews.errors import ClaimLost
from reviews.models import Item, Job, Person

from .items import put_lines


@require_GET
@never_cache
def job_evidence(request: HttpRequest, pk: int) -> HttpResponse:
    """Of a job she holds, prefetched or on her desk."""
    job = access.get_held_job(request.user, pk)
    if job.claimed_by_id != request.user.pk:
        if request.htmx:
            return HttpResponse(status=204)  # answered meanwhile: her desk shows the next job
        raise ClaimLost("You do not hold this job any more. Go back to your queue for the next.")
    hidden = blind.of_item(request.user, [job])
    context = {"job": job, "item": job.item, **_sections(request.user, job, hidden)}
    template = "reviews/_deeper.html" if request.htmx else "reviews/job_evidence.html"
    return render(request, template, context)


def _sections(person: Person, job: Job, hidden: frozenset[str]) -> dict:
    """What is hidden is not read at all."""
    found: dict = {"hidden": hidden}
    item = job.item
    if item.account_id is not None and blind.AUTHOR not in hidden:
        past = evidence.past_of(item, by=person)
        items = Item.objects.select_related("kind").in_bulk([one.item_id for one in past.items])
        put_lines(items.values())
        found["past"] = past
        found["past_lines"] = [(one, items[one.item_id].line) for one in past.items]
    return found
