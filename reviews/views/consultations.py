"""Asking a colleague from the desk, and the page where she says what she thinks."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, answers, blind, comfort, consultations, desk, media, notes, wellness
from reviews.errors import Invalid
from reviews.layouts import Layout
from reviews.models import Consultation, Job, Lane

from .review import desk_response, language_name


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """The form, and what it sends. For htmx beside the item, and on to the next job."""
    job = access.get_held_job(request.user, pk)
    access.check(request.user, "consultation.ask")
    if request.method == "GET":
        return _ask_page(request, job, {"token": request.GET.get("token", "")})
    sent = request.POST
    try:
        wanted = consultations.Ask(
            _colleague(request, job), sent.get("text", ""), _leaning(request)
        )
        consultations.ask_colleague(pk, sent.get("token", ""), wanted, by=request.user)
    except Invalid as refusal:
        return _ask_page(request, job, sent, refusal)
    message = _("Asked. This item is set aside and comes back to you with the answer.")
    messages.success(request, message)
    if request.htmx:
        return desk_response(request, job.queue)
    return redirect("reviews:review", slug=job.queue.slug)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, consultations.get_consultation(request.user, pk))


@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    consultation = consultations.get_consultation(request.user, pk)
    try:
        consultations.give_opinion(
            consultation,
            by=request.user,
            opinion=request.POST.get("opinion", ""),
            policy_slugs=request.POST.getlist("policy"),
            text=request.POST.get("text", ""),
            revealed_seconds=_seconds(request),
        )
    except Invalid as refusal:
        return _page(request, consultation, refusal)
    messages.success(request, _("Thank you. Your colleague reads it beside the item."))
    return redirect("reviews:home")


@require_POST
def looked(request: HttpRequest, pk: int) -> HttpResponse:
    """From her page, as she leaves it without an answer."""
    consultation = consultations.get_consultation(request.user, pk)
    consultations.note_looked(consultation, by=request.user, seconds=_seconds(request))
    return HttpResponse(status=204)


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    consultation = consultations.get_consultation(request.user, pk)
    consultations.withdraw_consultation(consultation, by=request.user)
    messages.success(request, _("Withdrawn. The item is the next you are served in its queue."))
    return redirect("reviews:review", slug=consultation.queue.slug)


def _ask_page(request: HttpRequest, job: Job, sent, refusal: Invalid | None = None) -> HttpResponse:
    context = {
        "job": job,
        "item": job.item,
        "token": sent.get("token", ""),
        "colleagues": consultations.colleagues(job, by=request.user)[:200],
        "of": sent.get("of", ""),
        "text": sent.get("text", ""),
        "leaning": sent.get("leaning", ""),
        "opinions": Consultation.Opinion.choices if settings.CONSULTATION_SHOWS_LEANING else [],
        "hours": settings.CONSULTATION_HOURS,
        "most": notes.MOST,
        "errors": refusal.details if refusal else {},
    }
    status = 422 if refusal else 200
    if not request.htmx:
        return render(request, "reviews/consultation_ask.html", context, status=status)
    response = render(request, "reviews/_consultation_form.html", context, status=status)
    if refusal:
        response["HX-Retarget"], response["HX-Reswap"] = "#_aside", "innerHTML"
    return response


def _colleague(request: HttpRequest, job: Job):
    """Whom she named; None for anybody. Not among those she was offered: refused beside it."""
    name = request.POST.get("of", "")
    if not name:
        return None
    found = consultations.colleagues(job, by=request.user).filter(username=name).first()
    if found is None:
        message = _("She cannot be asked about this item. Choose somebody else.")
        raise Invalid(message, details={"of": [message]})
    return found


def _seconds(request: HttpRequest) -> float:
    try:
        return answers.as_seconds(float(request.POST.get("revealed_seconds", "")))
    except ValueError:
        return 0.0


def _leaning(request: HttpRequest) -> str:
    return request.POST.get("leaning", "") if settings.CONSULTATION_SHOWS_LEANING else ""


def _page(
    request: HttpRequest, consultation: Consultation, refusal: Invalid | None = None
) -> HttpResponse:
    """The item as it stood when she was asked, told as a second opinion is: without what others
    thought of it."""
    person, item, queue = request.user, consultation.item, consultation.queue
    is_open = consultation.state == Consultation.State.ASKED
    may_answer = is_open and consultations.may_answer(consultation, person)
    hidden = blind.of_job(Lane.SECOND, queue) | {blind.HISTORY}
    layout = Layout(item.kind.fields, item.kind.layout)
    version = consultation.item_version
    version.item = item
    risks = item.risks
    is_spared = is_open and consultations.is_spared(consultation, person)
    blind.hide(item, hidden)
    filters = comfort.arrives(person, queue.filters)
    pictures = media.shown_in([version.pk]).get(version.pk, {})
    context = {
        "consultation": consultation,
        "item": item,
        "version": version,
        "is_spared": is_spared,
        "blocks": layout.show(version.content, without=blind.hidden_roles(hidden), media=pictures),
        "veil": wellness.covered_by(queue, risks, tells_risk=blind.SCORE not in hidden),
        "filters": " ".join(filters),
        "filter_words": comfort.words(filters),
        "language": language_name(item.language),
        "may_answer": may_answer,
        "may_withdraw": is_open and consultation.asked_by_id == person.pk,
        "shows_leaning": not may_answer or settings.CONSULTATION_SHOWS_LEANING,
        "policies": desk.rules(queue.pk).policies if may_answer else [],
        "found": consultation.policy_versions.select_related("policy"),
        "opinions": Consultation.Opinion.choices,
        "sent": request.POST if refusal else {},
        "chosen": request.POST.getlist("policy") if refusal else [],
        "errors": refusal.details if refusal else {},
        "most": notes.MOST,
    }
    return render(request, "reviews/consultation.html", context, status=422 if refusal else 200)
