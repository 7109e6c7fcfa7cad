"""What a person sets for herself: how she reads here, the rest by pages of their own; password and
second factor by allauth."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from reviews import reading
from reviews.errors import Invalid
from reviews.models import Person, Role


@require_GET
def profile(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
def set_reading(request: HttpRequest) -> HttpResponse:
    """Applies at once: the page comes back in the new language, theme or zone."""
    try:
        reading.set_reading(request.user, request.POST.dict())
    except Invalid as refusal:
        return _page(request, errors=refusal.details, status=422)
    if request.htmx:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    return redirect("reviews:profile")


def _page(request: HttpRequest, *, errors: dict | None = None, status: int = 200) -> HttpResponse:
    return render(
        request,
        "reviews/profile.html",
        {
            "themes": Person.Theme.choices,
            "densities": Person.Density.choices,
            "languages": settings.LANGUAGES,
            "time_zones": reading.time_zones(),
            "usual_zone": settings.TIME_ZONE,
            "now": timezone.now(),
            "errors": errors or {},
            "roles": [Role(name).label for name in sorted(request.user.roles) if name in Role],
            "platforms": request.user.platforms.order_by("name"),
        },
        status=status,
    )
