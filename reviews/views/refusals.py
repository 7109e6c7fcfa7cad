"""Refusals become pages and fragments, here only: DomainErrors, lost sessions, stale forms.

Whatever was typed goes back to the person who typed it. The API has its own handler.
"""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from reviews.errors import ClaimLost, DomainError

TITLES = {
    401: lazy("You were signed out"),
    403: lazy("You may not do that"),
    404: lazy("Not here"),
    405: lazy("That page only takes forms"),
    409: lazy("Things have moved on"),
    410: lazy("It was taken back"),
    422: lazy("That does not work yet"),
    503: lazy("It takes too long"),
}
PLAIN_WORDS = {
    403: lazy("Your role does not allow this."),
    404: lazy("There is no such page, or it is not for you."),
}


class RefusalMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api/"):
            return response
        if _leads_to_sign_in(request, response) and (request.htmx or request.method == "POST"):
            return _signed_out(request)
        if response.status_code == 405 and not response.content:
            return refuse(request, 405, _("Go back and use the buttons there."))
        if request.htmx and response.status_code in (403, 404) and "HX-Retarget" not in response:
            return refuse(request, response.status_code, PLAIN_WORDS[response.status_code])
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError) or request.path.startswith("/api/"):
            return None
        return refuse(
            request,
            exception.status,
            str(exception),
            details=exception.details,
            is_claim_lost=isinstance(exception, ClaimLost),
        )


def refuse(
    request: HttpRequest,
    status: int,
    message: str,
    *,
    details: dict | None = None,
    is_claim_lost: bool = False,
    sign_in_url: str = "",
) -> HttpResponse:
    """The refusal in words: in the notice bar for htmx, on a page of its own otherwise."""
    # Which revision a page was made from is for forms and programs.
    told = {name: what for name, what in (details or {}).items() if name != "seen"}
    context = {
        "status": status,
        "refusal_title": TITLES.get(status, _("That did not work")),
        "refusal": message,
        "details": {name: _in_words(what) for name, what in told.items()},
        "kept_note": request.POST.get("note", "") if request.method == "POST" else "",
        "back_url": _page_before(request),
        "is_claim_lost": is_claim_lost,
        "sign_in_url": sign_in_url,
    }
    if request.htmx:
        response = render(request, "reviews/_notice.html", context, status=status)
        response["HX-Retarget"] = "#_notice"
        response["HX-Reswap"] = "outerHTML"
        return response
    template = f"{status}.html" if status in (403, 404, 409) else "refusal.html"
    return render(request, template, context, status=status)


def _in_words(what: object) -> str:
    """What is wrong with one field: a message, or several (Django's forms give lists)."""
    return " ".join(map(str, what)) if isinstance(what, (list, tuple)) else str(what)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Somebody signed in again in another window, or cookies are off."""
    return refuse(
        request,
        403,
        _(
            "This page is out of date: you signed in again since it was opened, or your browser "
            "sent no cookie. Nothing was recorded. Reload the page and try again."
        ),
    )


def _leads_to_sign_in(request: HttpRequest, response: HttpResponse) -> bool:
    if response.status_code != 302 or request.user.is_authenticated:
        return False
    sign_in = resolve_url(settings.LOGIN_URL)
    return urlsplit(response["Location"]).path == sign_in and request.path != sign_in


def _signed_out(request: HttpRequest) -> HttpResponse:
    """A form cannot be sent again after sign-in, so say so instead of losing it on the way."""
    sign_in = resolve_url(settings.LOGIN_URL)
    query = urlencode({"next": _page_before(request)})
    return refuse(
        request,
        401,
        _("You were signed out, so nothing was recorded. Sign in to go on."),
        sign_in_url=f"{sign_in}?{query}",
    )


def _page_before(request: HttpRequest) -> str:
    """Where she came from, if that is a page of ours."""
    here = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    parts = urlsplit(here)
    if parts.netloc and parts.netloc != request.get_host():
        return "/"
    try:
        resolve(parts.path or "/")
    except Resolver404:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "") if parts.path else "/"
