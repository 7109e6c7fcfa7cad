"""Deny by default: a view says which verb of access.py it is, or nobody may call it."""

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from reviews import access
from reviews.errors import Forbidden

if TYPE_CHECKING:  # rest_framework.views imports this module
    from rest_framework.views import APIView


class DenyUnlessGranted(BasePermission):
    """Reads `view.verb`: a verb, or {method: verb}. What is not named is refused."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        verb = getattr(view, "verb", None)
        if isinstance(verb, dict):
            verb = verb.get("GET" if request.method == "HEAD" else request.method)
        if verb is None or not request.user.is_authenticated:
            return False
        if request.auth is not None and not access.may(request.user, verb):
            scope = access.GRANTS[verb].scope
            needed = f"It needs the scope {scope}." if scope else "No token may do this."
            raise Forbidden(f"This token does not allow it ({verb}). {needed}")
        access.check(request.user, verb)
        return True
