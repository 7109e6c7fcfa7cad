"""Where a day starts: the queues she works, and what she decided last."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from reviews import access, claims, metrics

from .items import put_lines


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    person = request.user
    works = access.may(person, "job.claim")
    decided = list(metrics.my_decisions(person)[:10]) if works else []
    put_lines(decision.item for decision in decided)
    figures = metrics.queue_figures(access.queues_to_work(person))
    return render(
        request,
        "reviews/home.html",
        {
            "works": works,
            "has_role": bool(person.roles),
            "figures": figures,
            # Where to start: the first queue, in their own order, that has something waiting.
            "start": next((row.queue for row in figures if row.ready), None),
            "held": claims.live_claims(person) if works else [],
            "decisions": decided,
            "now": timezone.now(),
        },
    )
