"""The set-up of a platform's limits for the sake of its people."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, limits, revisions
from reviews.errors import Conflict, Invalid
from reviews.models import Limits, Platform, Strength

from . import configuring


@require_GET
def wellness(request: HttpRequest) -> HttpResponse:
    """The door: her platform's page, the first by name where she has several."""
    access.check(request.user, "setup.view")
    platform = configuring.platform_of(request.user, request.GET.get("platform", ""))
    return redirect("reviews:setup-limits", platform=platform.slug)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, platform: str) -> HttpResponse:
    place = access.get_platform(request.user, "setup.view", platform)
    if request.method == "GET":
        return _page(request, place, limits.read(place))
    access.check(request.user, "wellness.edit", place)
    data = _typed(request, place)
    note = request.POST.get("note", "")[:300]
    try:
        limits.save_limits(place, data, by=request.user, seen=configuring.seen(request), note=note)
    except Invalid as error:
        return _page(request, place, data, status=422, errors=error.details)
    except Conflict as conflict:
        if not configuring.is_stale(conflict):
            raise
        found = configuring.meanwhile(
            Limits(platform=place),
            configuring.seen(request) or 0,
            data,
            limits.read(place),
            platform=place,
        )
        return _page(request, place, found.data, status=409, meanwhile=found)
    messages.success(request, _("Saved. Desks follow within seconds."))
    return redirect("reviews:setup-limits", platform=place.slug)


@require_POST
def restore(request: HttpRequest, platform: str, number: int) -> HttpResponse:
    place = access.get_platform(request.user, "setup.view", platform)
    limits.put_back(place, number, by=request.user, seen=configuring.seen(request))
    messages.success(request, _("Revision %(number)d is put back.") % {"number": number})
    return redirect("reviews:setup-limits", platform=place.slug)


def _typed(request: HttpRequest, platform: Platform) -> dict:
    """As read() has it where it can be; what is no number stays as typed, to be refused."""
    post = request.POST
    return {
        **{name: _number(post.get(name, "")) for name in (*limits.NUMBERS, "strength")},
        "budgets": {
            name.removeprefix("budget:"): _number(value)
            for name, value in post.items()
            if name.startswith("budget:") and value.strip()
        },
        "harms": {
            name.removeprefix("harm:"): value
            for name, value in post.items()
            if name.startswith("harm:") and value.strip()
        },
        "covers_text": post.getlist("covers_text"),
    }


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 6 else text


def _page(
    request: HttpRequest,
    platform: Platform,
    data: dict,
    *,
    status: int = 200,
    errors: dict | None = None,
    **more: object,
) -> HttpResponse:
    errors = errors or {}
    may_edit = access.may(request.user, "wellness.edit")
    steps = revisions.steps(Limits(platform=platform), platform=platform)
    numbers = {
        name: {
            "name": name,
            "label": bound.label,
            "value": data[name],
            "least": bound.least,
            "most": bound.most,
            "errors": errors.get(name),
        }
        for name, bound in limits.NUMBERS.items()
    }
    rows = [
        {
            "policy": row.policy,
            "severity": row.severity,
            "word": data["harms"].get(row.policy.slug, ""),
            "usual": row.policy.name if row.key == row.policy.slug else "",
            "covers_text": row.policy.slug in data["covers_text"],
            "errors": errors.get(f"harm:{row.policy.slug}"),
        }
        for row in limits.policies_of(platform)
    ]
    harms = [
        {
            "key": key,
            "label": label,
            "value": data["budgets"].get(key, ""),
            "errors": errors.get(f"budget:{key}"),
        }
        for key, label in limits.harms_of(platform).items()
    ]
    context = {
        "platform": platform,
        "platforms": configuring.platforms_of(request.user),
        "numbers": numbers,
        "rows": rows,
        "harms": harms,
        "words": sorted({row["word"] for row in rows if row["word"]}),
        "strengths": [(str(value), label) for value, label in Strength.choices],
        "strength": str(data["strength"]),
        "may_edit": may_edit,
        "may_see_sums": access.may(request.user, "wellness.view"),
        "errors": errors,
        "steps": steps,
        "newest": steps[0].revision.number if steps else 0,
        "labels": limits.LABELS,
        "restore_name": "reviews:setup-limits-restore",
        "restore_key": platform.slug,
        "may_restore": may_edit,
        "note": request.POST.get("note", ""),
        **more,
    }
    return render(request, "reviews/setup_limits.html", context, status=status)
