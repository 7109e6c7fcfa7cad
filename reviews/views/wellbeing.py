"""What a person sets and sees for her own sake; nobody else has a way to these pages of hers."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reviews import comfort
from reviews.errors import Invalid
from reviews.models import Queue, Wellbeing


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
        "strengths": [("", _("As the platform says")), *Wellbeing.Strength.choices],
        "reveal": values["reveal"],
        "strength": values["strength"],
        "errors": errors,
    }
    return render(request, "reviews/own_filters.html", context, status=422 if errors else 200)
