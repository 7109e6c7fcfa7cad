"""What decisions asked for and how far it got; held ones wait here for a second person."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from reviews import access, enforcement
from reviews.models import Enforcement

from .items import put_lines
from .tables import csv_response

PAGE = 50


@require_GET
def enforcement_list(request: HttpRequest) -> HttpResponse:
    """Held ones first to see; ?state= shows others, ?state=all all; by key with ?before=."""
    rows = access.visible(
        request.user, "enforcement.view", Enforcement.objects.all(), "action__platform"
    )
    state = request.GET.get("state", Enforcement.State.HELD)
    if state in Enforcement.State.values:
        rows = rows.filter(state=state)
    before = request.GET.get("before", "")
    if before.isdigit():
        rows = rows.filter(pk__lt=int(before))
    found = list(
        rows.select_related(
            "action",
            "requested_by",
            "approved_by",
            "decision__item__kind",
            "decision__item__account",
        )
        .prefetch_related("decision__policy_versions__policy")
        .order_by("-id")[: PAGE + 1]
    )
    page = found[:PAGE]
    put_lines(one.decision.item for one in page)
    if request.GET.get("format") == "csv":
        return _csv(page)
    return render(
        request,
        "reviews/enforcement_list.html",
        {
            "enforcements": page,
            "state": state,
            "states": [*Enforcement.State.choices, ("all", _("All"))],
            "may_approve": access.may(request.user, "enforcement.approve"),
            "next": page[-1].pk if len(found) > PAGE else None,
        },
    )


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    held = access.get_enforcement(request.user, pk)
    enforcement.approve(held, by=request.user)
    messages.success(request, _("Approved: %(name)s is due now.") % {"name": held.action.name})
    return redirect("reviews:enforcement-list")


@require_POST
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    held = access.get_enforcement(request.user, pk)
    enforcement.refuse(held, by=request.user, note=request.POST.get("note", "").strip()[:200])
    messages.success(
        request,
        _("Refused: %(name)s is not carried out. The decision itself stands.")
        % {"name": held.action.name},
    )
    return redirect("reviews:enforcement-list")


def _csv(page: list[Enforcement]) -> HttpResponse:
    head = [
        "id",
        "action",
        "state",
        "item",
        "decision",
        "asked_by",
        "approved_by",
        "due_at",
        "changed_at",
    ]
    return csv_response(
        "enforcements.csv",
        head,
        (
            (
                one.pk,
                one.action.slug,
                one.state,
                one.decision.item.external_id,
                one.decision_id,
                one.requested_by.username,
                one.approved_by.username if one.approved_by else "",
                one.due_at,
                one.changed_at,
            )
            for one in page
        ),
    )
