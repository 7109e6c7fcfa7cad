"""Snapshots by number: make, look, download in parts."""

from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import files, snapshots, tallies, withdrawals
from mlhooks.models import Snapshot
from mlhooks.patience import within
from reviews import access
from reviews.api.bodies import platform_of
from reviews.api.schemas import Refusal
from reviews.errors import Invalid

from . import schemas

State = Snapshot.State
ANSWER_SECONDS = 20  # of the database, for one statement
REFUSALS = {401: Refusal, 403: Refusal}


class SnapshotsView(APIView):
    verb = {"GET": "snapshot.view", "POST": "snapshot.create"}

    @extend_schema(
        operation_id="list_snapshots",
        summary="Snapshots, newest first",
        responses={200: schemas.SnapshotList, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = access.visible(request.user, "snapshot.view", Snapshot.objects.all(), "platform")
        newest = rows.select_related("platform", "replaces").order_by("-id")[:1000]
        return Response({"results": [as_json(one) for one in newest]})

    @extend_schema(
        operation_id="create_snapshot",
        summary="Freeze what is decided now",
        description="Answers at once; a worker writes the files. Ask for the snapshot until its "
        "`state` is `ready` or `failed`.",
        request=schemas.SnapshotIn,
        responses={202: schemas.SnapshotOut, 400: Refusal, 422: Refusal, **REFUSALS},
    )
    def post(self, request: Request) -> Response:
        body = checked(schemas.SnapshotIn, request)
        snapshot = snapshots.create_snapshot(
            platform_of(request), by=request.user, note=body["note"]
        )
        return Response(as_json(snapshot), status=202)


class DryRunView(APIView):
    verb = "snapshot.view"

    @extend_schema(
        operation_id="dry_run_snapshot",
        summary="What a snapshot taken now would hold",
        description="Rows by split, lane, language and label, what the random lane's rows are "
        "worth when weighted, what stands in two splits, and labels too rare to say much. "
        "Nothing is made. 503: counting takes longer than 20 seconds; make the snapshot, a worker "
        "counts as it builds.",
        responses={200: schemas.DryRun, 503: Refusal, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        platform = platform_of(request)
        access.check(request.user, "snapshot.view", platform)
        leaks = within(ANSWER_SECONDS, snapshots.preview_leakage, platform)
        tally = within(ANSWER_SECONDS, snapshots.preview, platform)
        return Response(tallies.as_json(tally, leaks))


class SnapshotView(APIView):
    verb = "snapshot.view"

    @extend_schema(
        operation_id="get_snapshot",
        summary="One snapshot: how far it is, what it holds, its files",
        responses={200: schemas.SnapshotDetail, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, number: int) -> Response:
        snapshot = get_snapshot(request, number, verb="snapshot.view")
        entries = [
            {**entry, "url": request.build_absolute_uri(_file_url(snapshot, entry["name"]))}
            for entry in (snapshots.list_files(snapshot) if snapshot.state == State.READY else [])
        ]
        return Response(
            {
                **as_json(snapshot),
                "counts": snapshot.manifest.get("counts", {}),
                "files": entries,
                "models": [
                    {"number": one.number, "label": one.label, "state": one.state}
                    for one in withdrawals.models_of(snapshot)
                ],
            }
        )


class SnapshotFileView(APIView):
    verb = "snapshot.download"

    @extend_schema(
        operation_id="download_snapshot_file",
        summary="A file of a snapshot",
        description="Give `Range: bytes=…` to fetch a part, with `If-Range` set to the ETag (the "
        "file's SHA-256) to be sure it is still the same file. Each download is audited. 410: it "
        "held an item that was erased; `details.replaced_by` is the snapshot without it.",
        parameters=[
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range."),
            OpenApiParameter("If-Range", str, OpenApiParameter.HEADER),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None,
            404: Refusal,
            409: Refusal,
            410: schemas.Withdrawn,
            416: None,
            **REFUSALS,
        },
    )
    def get(self, request: Request, number: int, name: str) -> HttpResponseBase:
        snapshot = get_snapshot(request, number, verb="snapshot.download")
        # Django's request: the file's answer knows nothing of the API's.
        request._request.user = request.user
        return files.send_file(request._request, snapshot, name)

    @extend_schema(exclude=True)
    def head(self, request: Request, number: int, name: str) -> HttpResponseBase:
        return self.get(request, number, name)


def get_snapshot(request: Request, number: int, *, verb: str) -> Snapshot:
    rows = Snapshot.objects.select_related("platform", "replaces")
    platform = platform_of(request)
    return access.get(request.user, verb, rows, "platform", number=number, platform=platform)


def as_json(snapshot: Snapshot) -> dict:
    return {
        "number": snapshot.number,
        "platform": snapshot.platform.slug,
        "state": snapshot.state,
        "note": snapshot.note,
        "rows_done": snapshot.rows_done,
        "rows_expected": snapshot.rows_expected,
        "cutoff_id": snapshot.cutoff_id,
        "cutoff_at": snapshot.cutoff_at,
        "error": snapshot.error,
        "replaces": snapshot.replaces.number if snapshot.replaces else None,
        "replaced_by": (
            snapshots.standing(snapshot).number if snapshot.state == State.WITHDRAWN else None
        ),
        "withdrawn_at": snapshot.withdrawn_at,
        "withdrawn_because": snapshot.withdrawn_because,
        "created_at": snapshot.created_at,
        "finished_at": snapshot.finished_at,
    }


def checked(serializer_class: type, request: Request) -> dict:
    """The body as its schema wants it, or Invalid with what is wrong by field."""
    serializer = serializer_class(data=request.data)
    if not serializer.is_valid():
        raise Invalid("Some of this does not make sense.", details=serializer.errors)
    return serializer.validated_data


def _file_url(snapshot: Snapshot, name: str) -> str:
    return reverse("mlhooks_api:snapshot-file", args=[snapshot.number, name])
