"""What a failed request answers: 503 while the database or Redis is away, else 500."""

import sys
from collections.abc import Iterator

import redis.exceptions
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error
from kombu.exceptions import OperationalError as BrokerError

OUTAGES = (
    OperationalError,
    InterfaceError,
    BrokerError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)
RETRY_SECONDS = 5


@requires_csrf_token
def failed(request: HttpRequest) -> HttpResponse:
    """handler500: Django calls it while the exception is being handled."""
    is_outage = any(isinstance(error, OUTAGES) for error in _chain(sys.exc_info()[1]))
    if request.path.startswith("/api/"):
        return _for_programs(is_outage)
    if not is_outage:
        return server_error(request)
    response = HttpResponse(render_to_string("503.html"), status=503)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _for_programs(is_outage: bool) -> JsonResponse:
    if not is_outage:
        return JsonResponse({"error": "This failed on our side.", "details": {}}, status=500)
    return JsonResponse(
        {"error": f"Out of service for a moment. Try again in {RETRY_SECONDS} s.", "details": {}},
        status=503,
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
