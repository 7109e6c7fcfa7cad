"""My decisions, undo, and a lead's override."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, decisions, desk, metrics
from reviews.errors import Conflict, NotFound
from reviews.models import Decision, Job, Verdict

from .items import put_lines
from .review import desk_response

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
    decision = access.get_decision(request.user, pk)
    access.check_override(request.user, decision)
    if request.method == "POST":
        verdict = request.POST.get("verdict", "")
        is_violating = verdict == Verdict.VIOLATING
        decisions.override(
            decision,
            by=request.user,
            verdict=verdict,
            policy_slugs=request.POST.getlist("policy") if is_violating else (),
            action_slugs=request.POST.getlist("action") if is_violating else None,
            note=request.POST.get("note", ""),
        )
        messages.success(request, _("Overridden. The earlier actions are taken back where needed."))
        return redirect("reviews:item-detail", pk=decision.item_id)
    if hasattr(decision, "superseded_by"):
        raise Conflict(_("This decision was already superseded. Look at the one that stands now."))
    if decision.kind == Decision.Kind.UNDO:
        raise NotFound(_("This decision was taken back; there is nothing to override."))
    rules = desk.read_rules(decision.queue_id)
    return render(
        request,
        "reviews/decision_override.html",
        {
            "decision": decision,
            "item": decision.item,
            "version": decision.item_version,
            "policies": rules.policies,
            "violated": {version.policy_id for version in decision.policy_versions.all()},
            "actions": rules.actions_for(has_author=decision.item.account_id is not None),
            "open_job": Job.objects.open().filter(item=decision.item_id).first(),
        },
    )
