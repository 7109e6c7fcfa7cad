"""My decisions, undo, and a lead's override."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, comfort, decisions, desk, media, metrics, wellness
from reviews.errors import Conflict, Invalid, NotFound
from reviews.layouts import Layout
from reviews.models import Decision, Enforcement, Person, Policy, Verdict

from .answer_form import given_parameters, severities_of
from .items import put_lines
from .review import desk_response, to_page

PAGE = 50


@require_GET
def decision_list(request: HttpRequest) -> HttpResponse:
    """Hers; by key: ?before=<id> goes on where the page before ended."""
    access.check(request.user, "review.record")
    rows = metrics.my_decisions(request.user)
    before = request.GET.get("before", "")
    if before.isdigit():
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: PAGE + 1])
    put_lines(decision.item for decision in found)
    return render(
        request,
        "reviews/decision_list.html",
        {
            "decisions": found[:PAGE],
            "next": found[PAGE - 1].pk if len(found) > PAGE else None,
            "is_first": not before,
            "now": timezone.now(),
        },
    )


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Back to the desk, on the item just taken back."""
    decision = access.get_decision(request.user, pk)
    job = decisions.undo(decision, by=request.user)
    if job.claimed_by_id == request.user.pk:
        messages.success(request, _("Taken back. Nothing was carried out; decide again."))
    elif job.lane == "adjudication":
        messages.success(request, _("Taken back. A lead has been asked about it meanwhile."))
    else:
        messages.success(request, _("Taken back. It waits at the top of the queue."))
    if request.htmx and request.POST.get("desk") == job.queue.slug:
        return desk_response(request, job.queue)
    return redirect("reviews:review", slug=job.queue.slug)


@require_http_methods(["GET", "POST"])
def override(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; what it would change (a POST with `preview`); and the override itself."""
    decision = access.get_decision(request.user, pk)
    access.check_override(request.user, decision)
    if request.method == "POST":
        answer = _overriding(request)
        if "preview" in request.POST:
            context = {"decision": decision, **_foreseen(request.user, decision, answer)}
            return render(request, "reviews/_override_changes.html", context)
        decisions.override(decision, by=request.user, note=request.POST.get("note", ""), **answer)
        messages.success(request, _("Overridden. The earlier actions are taken back where needed."))
        return to_page(request, reverse("reviews:item-detail", args=[decision.item_id]))
    if hasattr(decision, "superseded_by"):
        raise Conflict(_("This decision was already superseded. Look at the one that stands now."))
    if decision.kind == Decision.Kind.UNDO:
        raise NotFound(_("This decision was taken back; there is nothing to override."))
    rules = desk.read_rules(decision.queue_id)
    live = Enforcement.objects.live().filter(decision__item=decision.item_id)
    return render(
        request,
        "reviews/decision_override.html",
        {
            "decision": decision,
            "item": decision.item,
            "version": decision.item_version,
            **_shown(request.user, decision),
            "policies": rules.policies,
            "violated": {version.policy_id for version in decision.policy_versions.all()},
            "actions": rules.actions_for(has_author=decision.item.account_id is not None),
            "live": live.select_related("action").order_by("pk"),
            "asked_for": set(live.values_list("action_id", flat=True)),
            "is_hers": decision.decided_by_id == request.user.pk,
            **_foreseen(request.user, decision, _proposed(decision, live)),
        },
    )


def _proposed(decision: Decision, live: Iterable[Enforcement]) -> dict:
    """The answer the form begins with: the other verdict, everything else as it stands."""
    if decision.verdict == Verdict.VIOLATING:
        return {"verdict": str(Verdict.CLEAN)}
    return {
        "verdict": str(Verdict.VIOLATING),
        "policy_slugs": (),
        "action_slugs": [one.action.slug for one in live],
    }


def _overriding(request: HttpRequest) -> dict:
    """Every box as it stands: none ticked means none wanted."""
    post = request.POST
    verdict = post.get("verdict", "")
    if verdict != Verdict.VIOLATING:
        return {"verdict": verdict}
    policies, actions = post.getlist("policy"), post.getlist("action")
    return {
        "verdict": verdict,
        "policy_slugs": policies,
        "action_slugs": actions,
        "severities": severities_of(request, policies),
        "parameters": given_parameters(request, actions),
    }


def _shown(person: Person, decision: Decision) -> dict:
    """The item as it was decided, its media and text covered as they arrive for her."""
    item, version = decision.item, decision.item_version
    filters = comfort.arrives(person, decision.queue.filters)
    pictures = media.shown_in([version.pk]).get(version.pk, {})
    return {
        "blocks": Layout(item.kind.fields, item.kind.layout).show(version.content, media=pictures),
        "veil": wellness.covered([item]).get(item.pk, []),
        "filters": " ".join(filters),
        "filter_words": comfort.words(filters),
    }


def _foreseen(person: Person, decision: Decision, answer: dict) -> dict:
    """For _override_changes.html: what this answer would change, or what it still lacks."""
    try:
        foreseen = decisions.foresee_override(decision, by=person, **answer)
    except Invalid as lacks:
        return {"lacks": str(lacks)}
    before = {version.policy.slug for version in decision.policy_versions.all()}
    names = dict(Policy.objects.filter(queues=decision.queue_id).values_list("slug", "name"))
    return {
        "verdict": Verdict(foreseen.verdict).label,
        "verdict_changes": foreseen.verdict != decision.verdict,
        "added": [names.get(slug, slug) for slug in foreseen.policies if slug not in before],
        "dropped": [names.get(slug, slug) for slug in before - set(foreseen.policies)],
        "regraded": foreseen.severities and foreseen.severities != decision.severities,
        "consequences": foreseen.consequences,
    }
