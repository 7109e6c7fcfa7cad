"""Refusals become JSON here, and only here: {"error": a sentence, "details": {field: [why]}}."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail
from rest_framework.response import Response
from rest_framework.views import exception_handler

from reviews.errors import DomainError


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "This is too much for one call."
    default_code = "too_large"


def refuse(exc: Exception, context: dict) -> Response | None:
    """DRF's exception handler; None lets the exception through as a server error."""
    if isinstance(exc, DomainError):
        return Response({"error": str(exc), "details": exc.details}, status=exc.status)
    if isinstance(exc, Http404):
        return Response({"error": "There is no such thing here.", "details": {}}, status=404)
    if isinstance(exc, PermissionDenied):
        return Response({"error": "You may not do that.", "details": {}}, status=403)
    response = exception_handler(exc, context)
    if response is None:
        return None
    detail = getattr(exc, "detail", "")
    if isinstance(detail, ErrorDetail | str):
        response.data = {"error": str(detail), "details": {}}
    else:
        response.data = {"error": "Some of this does not make sense.", "details": detail}
    return response
