"""What a person sets and sees for her own sake; nobody else has a way to these pages of hers."""

import math

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, claims, comfort, exposures
from reviews import wellness as care
from reviews.errors import Invalid
from reviews.models import Queue, Strength, Wellbeing

from . import configuring


@require_GET
@never_cache
def wellness(request: HttpRequest) -> HttpResponse:
    """Her budget, what she looked at, what she does not take; and what is kept of it."""
    person = request.user
    refused = set(comfort.own(person).opt_outs)
    days = exposures.own_days(person, by=person, zone=timezone.get_current_timezone_name())
    return render(
        request,
        "reviews/own_wellness.html",
        {
            "shift": exposures.own_shift(person, by=person),
            "days": days,
            "most": max((day.minutes for day in days), default=0.0),
            "harms": [
                {"key": harm, "label": label, "is_refused": harm in refused}
                for harm, label in comfort.harms_to_choose(person)
            ],
            "keeps": sorted({care.limits_of(pk).keep_days for pk in access.platform_ids(person)}),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
def pause(request: HttpRequest) -> HttpResponse:
    """Her break: begun here or from the desk, with a clock that runs down."""
    person = request.user
    if request.method == "POST":
        comfort.start_break(person, by=person, minutes=request.POST.get("minutes", ""))
        return redirect(f"{reverse('reviews:own-break')}?{urlencode({'next': _back(request)})}")
    until = comfort.own(person).break_until
    left = math.ceil((until - timezone.now()).total_seconds()) if until is not None else 0
    context = {
        "seconds_left": max(left, 0),
        "held": claims.live_claims(person) if access.may(person, "job.claim") else [],
        "lengths": (5, 10, 15, 30),
        "back": _back(request),
    }
    return render(request, "reviews/own_break.html", context)


@require_POST
def end_pause(request: HttpRequest) -> HttpResponse:
    comfort.end_break(request.user, by=request.user)
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    """Where she came from, if that is a page of ours."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    return asked if is_ours and asked.startswith("/") else reverse("reviews:home")


@require_GET
def aggregates(request: HttpRequest) -> HttpResponse:
    """For leads: sums of many, by harm and whole week, and never anybody's own."""
    place = configuring.platform_of(request.user, request.GET.get("platform", ""))
    weeks = exposures.weeks(place, by=request.user)
    context = {
        "platform": place,
        "platforms": configuring.platforms_of(request.user),
        "weeks": weeks,
        "least": exposures.LEAST_PEOPLE,
    }
    return render(request, "reviews/wellness.html", context)


@require_POST
def opt_outs(request: HttpRequest) -> HttpResponse:
    comfort.save_opt_outs(request.user, by=request.user, harms=request.POST.getlist("opt_outs"))
    messages.success(request, _("Saved. Nobody is told."))
    return redirect("reviews:own-wellness")


@require_http_methods(["GET", "POST"])
@never_cache
def filters(request: HttpRequest) -> HttpResponse:
    own = comfort.own(request.user)
    values = {
        "filters": dict(own.filters),
        "reveal": own.reveal,
        "strength": str(own.strength or ""),
    }
    errors: dict = {}
    if request.method == "POST":
        values = {
            "filters": {name: request.POST.get(f"filter_{name}", "") for name in comfort.FILTERS},
            "reveal": request.POST.get("reveal", ""),
            "strength": request.POST.get("strength", ""),
        }
        try:
            comfort.save_filters(request.user, by=request.user, **values)
        except Invalid as error:
            errors = error.details
        else:
            messages.success(request, _("Saved. Your next item arrives like this."))
            return redirect("reviews:own-filters")
    context = {
        "lines": [
            {
                "name": name,
                "label": label,
                "value": values["filters"].get(name, ""),
                "errors": errors.get(f"filter_{name}"),
            }
            for name, label in Queue.Filter.choices
        ],
        "choices": (
            ("", _("As the queue says")),
            ("on", _("Always")),
            ("off", _("Never")),
        ),
        "reveals": Wellbeing.Reveal.choices,
        "strengths": [("", _("As the platform says")), *Strength.choices],
        "reveal": values["reveal"],
        "strength": values["strength"],
        "errors": errors,
    }
    return render(request, "reviews/own_filters.html", context, status=422 if errors else 200)
