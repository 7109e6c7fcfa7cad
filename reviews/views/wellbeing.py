"""What a person sets and sees for her own sake; nobody else has a way to these pages of hers."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, comfort, exposures
from reviews import wellness as care
from reviews.errors import Invalid
from reviews.models import Queue, Strength, Wellbeing


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
