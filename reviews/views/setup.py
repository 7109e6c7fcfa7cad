"""The door to what a lead or policy owner configures; each part is a tab with a page of its own."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from reviews import access


@require_GET
def setup(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "setup.view")
    return render(request, "reviews/setup.html")
