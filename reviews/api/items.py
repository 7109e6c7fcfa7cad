"""Items and reports: in, and how they stand."""

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, blind, intake
from reviews.errors import Invalid
from reviews.models import Decision, Item, ItemVersion, Job

from . import schemas
from .bodies import BoundedJSONParser, answer_once, platform_of, rows_of
from .decisions import as_json as decision_as_json
from .decisions import with_all

PLATFORM = OpenApiParameter("platform", str, description="For people on several platforms.")
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Sent again with the same key within a day, the call is answered as before and "
    "not done again; another call with the key is refused (409).",
)
REFUSALS = dict.fromkeys((400, 401, 403, 413), schemas.Refusal)


OUTCOMES = {
    200: schemas.Outcomes,
    207: schemas.Outcomes,
    422: PolymorphicProxySerializer(
        component_name="OutcomesOrRefusal",
        serializers=[schemas.Outcomes, schemas.Refusal],
        resource_type_field_name=None,
    ),
    409: schemas.Refusal,
    **REFUSALS,
}


def one_or_many(name: str, serializer: type) -> PolymorphicProxySerializer:
    return PolymorphicProxySerializer(
        component_name=name,
        serializers=[serializer(), serializer(many=True)],
        resource_type_field_name=None,
        many=False,
    )


class ItemsView(APIView):
    verb = {"POST": "item.submit", "GET": "item.view"}
    parser_classes = [BoundedJSONParser]

    @extend_schema(
        operation_id="submit_items",
        summary="Submit items for review",
        description="One item, or an array of up to 1,000. An item is known by its kind and "
        "external id: the same row again changes nothing, other content is a new version and is "
        "scored and reviewed again. Each row stands alone: 200 when all are stored, 207 when "
        "some are, 422 when none is; nothing of a rejected row is stored.",
        parameters=[PLATFORM, KEY],
        request=one_or_many("ItemOrItems", schemas.ItemIn),
        responses=OUTCOMES,
    )
    def post(self, request: Request) -> HttpResponse:
        rows, platform = rows_of(request), platform_of(request)
        return answer_once(request, lambda: intake.submit_items(platform, rows, by=request.user))

    @extend_schema(
        operation_id="find_items",
        summary="Find items by your own id",
        parameters=[
            OpenApiParameter("external_id", str, required=True),
            OpenApiParameter("kind", str, description="Its kind's slug; all kinds if left out."),
        ],
        responses={200: schemas.ItemList, 422: schemas.Refusal, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        external_id = request.query_params.get("external_id", "")
        if not external_id or "\x00" in external_id:
            raise Invalid("Say which item.", details={"external_id": ["Required."]})
        items = items_for(request).filter(external_id=external_id)
        if kind := request.query_params.get("kind"):
            items = items.filter(kind__slug=kind.replace("\x00", ""))
        return Response({"results": [as_json(item, request) for item in items[:100]]})


class ItemView(APIView):
    verb = "item.view"

    @extend_schema(
        operation_id="read_item",
        summary="How an item stands",
        responses={200: schemas.ItemOut, 404: schemas.Refusal, **REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        item = access.get(request.user, "item.view", items_for(request), "platform", pk=pk)
        return Response(as_json(item, request))


class ReportsView(APIView):
    verb = "report.file"
    parser_classes = [BoundedJSONParser]

    @extend_schema(
        operation_id="file_reports",
        summary="File reports about items",
        description="One report, or an array of up to 1,000. Filing one again changes nothing. "
        "The answer is as for items; status is created, unchanged or rejected.",
        parameters=[PLATFORM, KEY],
        request=one_or_many("ReportOrReports", schemas.ReportIn),
        responses=OUTCOMES,
    )
    def post(self, request: Request) -> HttpResponse:
        rows, platform = rows_of(request), platform_of(request)
        return answer_once(request, lambda: intake.file_reports(platform, rows, by=request.user))


def items_for(request: Request) -> QuerySet[Item]:
    items = access.visible(request.user, "item.view", Item.objects.all(), "platform")
    return items.select_related("kind").prefetch_related(
        Prefetch("versions", ItemVersion.objects.order_by("-number"), to_attr="newest_first"),
        Prefetch("jobs", Job.objects.select_related("queue").order_by("id"), to_attr="all_jobs"),
        Prefetch("decisions", with_all(Decision.objects.current()), to_attr="standing"),
    )


def as_json(item: Item, request: Request) -> dict:
    hidden = blind.NOTHING
    if request.auth is None:
        hidden = blind.of_item(request.user, item.all_jobs)
    body = {
        "id": item.pk,
        "kind": item.kind.slug,
        "external_id": item.external_id,
        "version": item.version_number,
        "content": blind.content_of(item.kind, item.newest_first[0].content, hidden),
        "language": item.language,
        "posted_at": item.posted_at,
        "submitted_at": item.submitted_at,
        "views_per_hour": item.views_per_hour,
        "views_so_far": item.views_so_far,
    }
    if blind.REPORTS not in hidden:
        body["report_count"] = item.report_count
    # Whoever reviews is not told what the model or an earlier reviewer thought of it.
    if request.auth is None and not access.may(request.user, "job.view"):
        return body
    if blind.SCORE not in hidden:
        body["risks"] = item.risks
        body["risk_source"] = item.risk_source
        body["scored_at"] = item.scored_at
    if blind.HISTORY in hidden:
        return body
    body["jobs"] = [
        {
            "id": job.pk,
            "queue": job.queue.slug,
            "lane": job.lane,
            "state": job.state,
            "created_at": job.created_at,
            "due_at": job.due_at,
        }
        for job in item.all_jobs
    ]
    standing = [decision for decision in item.standing if decision.verdict is not None]
    body["decision"] = decision_as_json(standing[-1]) if standing else None
    return body
