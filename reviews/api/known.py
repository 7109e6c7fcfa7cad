"""Lists of known items: what there is, and more hashes for one."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import known
from reviews.errors import Invalid

from . import schemas
from .items import REFUSALS


class KnownListsView(APIView):
    verb = "known.view"

    @extend_schema(
        operation_id="list_known_lists",
        summary="Lists of known items",
        responses={200: schemas.KnownLists, 401: schemas.Refusal, 403: schemas.Refusal},
    )
    def get(self, request: Request) -> Response:
        rows = known.lists_to_see(request.user).order_by("platform", "name")
        return Response(
            {
                "results": [
                    {
                        "id": one.pk,
                        "name": one.name,
                        "policy": one.policy.slug,
                        "distance": one.distance,
                        "is_archived": one.is_archived,
                    }
                    for one in rows
                ]
            }
        )


class KnownHashesView(APIView):
    verb = "known.edit"

    @extend_schema(
        operation_id="add_known_hashes",
        summary="Add hashes to a list of known items",
        description="All or none; those that are there already are no error. What waits for a "
        "reviewer is held against them at once.",
        request=schemas.KnownHashesIn,
        responses={
            200: schemas.KnownHashesOut,
            404: schemas.Refusal,
            409: schemas.Refusal,
            422: schemas.Refusal,
            **REFUSALS,
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        known_list = known.get_list(request.user, pk, verb="known.edit")
        body = schemas.KnownHashesIn(data=request.data)
        if not body.is_valid():
            raise Invalid("Some of this does not make sense.", details=body.errors)
        given = [
            known.Given(one["hash"], one["type"], one["note"])
            for one in body.validated_data["hashes"]
        ]
        return Response({"added": known.add_hashes(known_list, given, by=request.user)})
