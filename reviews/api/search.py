"""Search, for programs: the same question and the same answer as on the page."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import search

from . import schemas
from .bodies import whole_number
from .items import REFUSALS, as_json, items_for


class ItemSearchView(APIView):
    verb = "item.view"

    @extend_schema(
        operation_id="search_items",
        summary="Search items",
        description='`q` takes words, "words in a row", `scam*`, `-word` and `field:value` with '
        f"the fields {', '.join(search.FIELDS)}. The newest first; call again with `after` set to "
        "the last answer's `next_after` for older ones, until it is empty. What came in within "
        "the last seconds is not found yet.",
        parameters=[
            OpenApiParameter("q", str, description="Up to 500 characters."),
            *(
                OpenApiParameter(name, str, description=f"As `{name}:` in q.")
                for name in search.BESIDE
            ),
            OpenApiParameter("after", str),
            OpenApiParameter("limit", int, description="1 to 100; 25 if left out."),
        ],
        responses={200: schemas.ItemsFound, 422: schemas.Refusal, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        limit = whole_number(request, "limit", default=search.PAGE, least=1, most=100)
        filters = {name: request.query_params.get(name, "") for name in search.BESIDE}
        question = search.understand(request.query_params.get("q", ""), filters, by=request.user)
        after = request.query_params.get("after", "")
        page = search.find(question, by=request.user, after=after, limit=limit)
        items = items_for(request).in_bulk([hit.item.pk for hit in page.hits])
        return Response(
            {
                "results": [
                    {
                        **as_json(items[hit.item.pk], request),
                        "snippet": [{"text": part.text, "hit": part.is_hit} for part in hit.parts],
                    }
                    for hit in page.hits
                ],
                "next_after": page.next_key,
            }
        )
