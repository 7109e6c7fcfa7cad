"""In which language and time zone a page is written: what the person chose, else what her browser
asks for. She is read by every request anyway, so this costs no query."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from reviews import reading


class ReadingMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith("/api/"):
            # Programs match messages: those of the API stay as documented.
            with translation.override("en"), timezone.override(None):
                return self.get_response(request)
        person = request.user
        chosen = person.language if person.is_authenticated else ""
        language = chosen or translation.get_language_from_request(request)
        zone = reading.zone_of(person) if person.is_authenticated else None
        with translation.override(language), timezone.override(zone):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        if not chosen:
            patch_vary_headers(response, ("Accept-Language",))
        return response
