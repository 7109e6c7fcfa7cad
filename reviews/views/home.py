"""Where a day starts: what waits for her, her queues, what she decided last, by what she is."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from reviews import access, claims, feedback, metrics, needs
from reviews.models import Job, Lane, Person, Queue

from .items import put_lines


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    person = request.user
    works = access.may(person, "job.claim")
    context = {"works": works, "has_role": bool(person.roles), "now": timezone.now()}
    if works:
        context |= _work(person)
    if access.may(person, "question.answer"):
        context |= _policies(person)
    if access.may(person, "decision.override"):
        context["late"] = needs.late_queues(person)[: needs.SHOWN]
    context |= _oversight(person)
    return render(request, "reviews/home.html", context)


def _work(person: Person) -> dict[str, object]:
    """Of who reviews: reviewers and leads."""
    queues = access.queues_to_work(person)
    figures = metrics.queue_figures(queues)
    decided = list(metrics.my_decisions(person)[:10])
    put_lines(decision.item for decision in decided)
    adjudicates = access.may(person, "job.adjudicate")
    return {
        "figures": figures,
        "may_staff": access.may(person, "queue.staff"),
        # Where to start: the first queue, in their own order, that has something waiting.
        "start": next((row.queue for row in figures if row.ready), None),
        "held": _one_a_queue(claims.live_claims(person)),
        "assigned": needs.assigned(person),
        "asked_of": needs.asked_of(person),
        "asked_by": needs.asked_by(person),
        "own_questions": needs.own_questions(person),
        "holds": needs.holds(person),
        "to_settle": needs.by_lane(queues, [Lane.ADJUDICATION]) if adjudicates else [],
        "most": needs.MOST,
        "decisions": decided,
        "may_override": access.may(person, "decision.override"),
        "feedback": feedback.of_person(person),
        "feedback_days": feedback.DAYS,
        "feedback_least": feedback.LEAST,
    }


def _policies(person: Person) -> dict[str, object]:
    """Of who owns the policies."""
    return {
        "owns_policies": True,
        "open_questions": needs.open_questions(person),
        "to_come": needs.versions_to_come(person),
    }


def _oversight(person: Person) -> dict[str, object]:
    """Of who trains models, audits, or runs the place."""
    context: dict[str, object] = {"most": needs.MOST}
    if access.may(person, "draw.create") and not access.may(person, "job.claim"):
        queues = access.visible(person, "queue.view", Queue.objects.all(), "platform")
        lanes = [Lane.RANDOM, Lane.LEARNING, Lane.GOLD]
        context |= {
            "trains": True,
            "to_learn": needs.by_lane(queues.filter(is_archived=False), lanes),
            "draws": needs.newest_draws(person),
        }
    if access.may(person, "audit.view"):
        context["trail"] = needs.trail(person)
    if access.may(person, "person.edit"):
        context["without_role"] = needs.without_role(person)
    return context


def _one_a_queue(held: list[Job]) -> list[Job]:
    """A page of items is many claims, and one thing to go on with."""
    return list({job.queue_id: job for job in reversed(held)}.values())
