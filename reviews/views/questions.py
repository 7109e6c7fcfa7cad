"""Questions about policies: asked from the desk or a policy's page, answered by who owns them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, notes, questions
from reviews.errors import Invalid
from reviews.models import Item, Policy, Question

PAGE = 50


@require_GET
def question_list(request: HttpRequest) -> HttpResponse:
    """Open ones first to see; ?state= shows others, by key."""
    rows = questions.visible(request.user)
    state = request.GET.get("state", Question.State.OPEN)
    if state in Question.State.values:
        rows = rows.filter(state=state)
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 18:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    return render(
        request,
        "reviews/question_list.html",
        {
            "questions": found[:PAGE],
            "next": found[PAGE - 1].pk if len(found) > PAGE else None,
            "state": state,
            "states": [*Question.State.choices, ("all", _("All"))],
            "answers": access.may(request.user, "question.answer"),
            "may_ask": access.may(request.user, "question.ask"),
        },
    )


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """?policy= and ?item= say what it is about; for htmx the form alone, beside the item."""
    access.check(request.user, "question.ask")
    sent = request.GET if request.method == "GET" else request.POST
    item = _item(request, sent)
    if request.method == "GET":
        return _form(request, sent, item)
    try:
        policy = _policy(request, sent, item)
        question = questions.ask_question(
            policy, by=request.user, text=sent.get("text", ""), item=item
        )
    except Invalid as refusal:
        return _form(request, sent, item, refusal)
    if request.htmx:
        return render(request, "reviews/_question_asked.html", {"question": question})
    messages.success(request, _("Asked. You are told when it is answered."))
    return redirect("reviews:question", pk=question.pk)


@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, questions.get_question(request.user, pk))


@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    question = questions.get_question(request.user, pk)
    is_published = request.POST.get("is_published") == "1"
    try:
        questions.answer_question(
            question, by=request.user, text=request.POST.get("text", ""), is_published=is_published
        )
    except Invalid as refusal:
        return _page(request, question, refusal)
    messages.success(request, _("Answered. Whoever asked is told."))
    return redirect("reviews:question", pk=pk)


@require_POST
def publish(request: HttpRequest, pk: int) -> HttpResponse:
    question = questions.get_question(request.user, pk)
    is_published = request.POST.get("is_published") == "1"
    questions.publish_answer(question, by=request.user, is_published=is_published)
    messages.success(
        request,
        _("Shown to all reviewers.") if is_published else _("Shown to whoever asked only."),
    )
    return redirect("reviews:question", pk=pk)


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    question = questions.get_question(request.user, pk)
    questions.withdraw_question(question, by=request.user)
    messages.success(request, _("Withdrawn."))
    return redirect("reviews:question", pk=pk)


def beside_policy(request: HttpRequest, policy: Policy) -> dict[str, object]:
    """What the policy's own page shows: its newest questions and answers, as far as she may."""
    rows = questions.visible(request.user).filter(policy=policy)
    return {
        "questions": list(rows.exclude(state=Question.State.WITHDRAWN)[:PAGE]),
        "may_ask": access.may(request.user, "question.ask"),
    }


def _item(request: HttpRequest, sent: QueryDict) -> Item | None:
    pk = sent.get("item", "")
    return access.get_item(request.user, int(pk)) if pk.isdecimal() and len(pk) < 18 else None


def _choice(request: HttpRequest, item: Item | None) -> list[Policy]:
    rows = access.visible(request.user, "policy.view", Policy.objects.all(), "platform")
    rows = rows.filter(platform=item.platform_id) if item else rows
    return list(rows.order_by("position", "pk"))


def _policy(request: HttpRequest, sent: QueryDict, item: Item | None) -> Policy:
    slug = sent.get("policy", "")
    found = next((one for one in _choice(request, item) if one.slug == slug), None)
    if found is None:
        message = _("Say which policy it is about.")
        raise Invalid(message, details={"policy": [message]})
    return found


def _form(
    request: HttpRequest, sent: QueryDict, item: Item | None, refusal: Invalid | None = None
) -> HttpResponse:
    context = {
        "item": item,
        "policies": _choice(request, item),
        "policy": sent.get("policy", ""),
        "text": sent.get("text", ""),
        "errors": refusal.details if refusal else {},
        "most": notes.MOST,
    }
    template = "reviews/_question_form.html" if request.htmx else "reviews/question_new.html"
    return render(request, template, context, status=422 if refusal else 200)


def _page(request: HttpRequest, question: Question, refusal: Invalid | None = None) -> HttpResponse:
    person = request.user
    is_open, is_hers = question.state == Question.State.OPEN, question.asked_by_id == person.pk
    answers = access.may(person, "question.answer")
    context = {
        "question": question,
        # Others read the answer, not what it was asked about: they may have to judge that.
        "shows_item": is_hers or answers,
        "may_answer": answers and is_open,
        "may_publish": answers and question.state == Question.State.ANSWERED,
        "may_withdraw": is_hers and is_open,
        "may_write": access.may(person, "policy.edit"),
        "text": request.POST.get("text", "") if refusal else "",
        "errors": refusal.details if refusal else {},
        "most": notes.MOST,
    }
    return render(request, "reviews/question.html", context, status=422 if refusal else 200)
