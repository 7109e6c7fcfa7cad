"""What a person sets for herself: the theme here, password and second factor by allauth."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from reviews.errors import Invalid
from reviews.models import Person, Role


@require_GET
def profile(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        "reviews/profile.html",
        {
            "themes": Person.Theme.choices,
            "roles": [Role(name).label for name in sorted(request.user.roles) if name in Role],
            "platforms": request.user.platforms.order_by("name"),
        },
    )


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    theme = request.POST.get("theme", "")
    if theme not in Person.Theme.values:
        raise Invalid(
            "Choose one of the themes.", details={"theme": ", ".join(Person.Theme.values)}
        )
    Person.objects.filter(pk=request.user.pk).update(theme=theme)
    return redirect("reviews:profile")
