"""Item kinds, to be read: what a platform's program has to send."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access
from reviews.models import ItemKind

from . import schemas


class KindsView(APIView):
    verb = "kind.view"

    @extend_schema(
        operation_id="list_kinds",
        summary="Kinds of item and their fields",
        description="What `content` of an item may hold, by kind. `image` and `video` are "
        "addresses as text; a `key-value` field is a flat object of texts, numbers, booleans and "
        "nulls, of at most 100 names.",
        responses={200: schemas.KindList, 401: schemas.Refusal, 403: schemas.Refusal},
    )
    def get(self, request: Request) -> Response:
        kinds = access.visible(request.user, "kind.view", ItemKind.objects.all(), "platform")
        return Response(
            {
                "results": [
                    {
                        "slug": kind.slug,
                        "name": kind.name,
                        "fields": [
                            {
                                "name": field["name"],
                                "label": field.get("label") or field["name"],
                                "type": field["type"],
                                "role": field.get("role", ""),
                                "required": bool(field.get("required")),
                            }
                            for field in kind.fields
                        ],
                        "is_archived": kind.is_archived,
                    }
                    for kind in kinds.order_by("slug", "pk")
                ]
            }
        )
