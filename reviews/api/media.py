"""Media: uploaded, and how far they are."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, media
from reviews.errors import Invalid
from reviews.models import Medium

from . import schemas
from .bodies import platform_of
from .errors import TooLarge
from .items import PLATFORM, REFUSALS

# Around the file: boundaries and part headers.
_ENVELOPE_BYTES = 64 * 1024


class MediaView(APIView):
    verb = {"POST": "medium.upload"}
    parser_classes = [MultiPartParser]

    @extend_schema(
        operation_id="upload_medium",
        summary="Upload a picture, film or sound",
        description="One file, as `file` of a multipart form. The answer's `reference` is the "
        "value for an image, video or audio field of an item. A worker makes it anew within "
        "limits; what you send is never served. The same bytes again are the same medium (200). "
        "A medium that no item shows within a week is given up.",
        parameters=[PLATFORM],
        request={"multipart/form-data": schemas.MediumIn},
        responses={
            200: schemas.MediumOut,
            201: schemas.MediumOut,
            422: schemas.Refusal,
            **REFUSALS,
        },
    )
    def post(self, request: Request) -> Response:
        most = settings.MEDIA_MAX_BYTES
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and int(length) > most + _ENVELOPE_BYTES:
            raise TooLarge(f"At most {most // 1_000_000} MB.")
        platform = platform_of(request)
        file = request.FILES.get("file")
        if file is None:
            raise Invalid("Send one file, as `file`.", details={"file": ["Required."]})
        medium, is_new = media.upload_medium(platform, file, by=request.user)
        return Response(_as_json(medium), status=201 if is_new else 200)


class MediumView(APIView):
    verb = "medium.upload"

    @extend_schema(
        operation_id="read_medium",
        summary="How far a medium is",
        responses={200: schemas.MediumOut, 404: schemas.Refusal, **REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(_as_json(access.get_medium_to_send(request.user, pk)))


def _as_json(medium: Medium) -> dict:
    return {
        "id": medium.pk,
        "reference": medium.reference,
        "state": medium.state,
        "form": medium.form,
        "width": medium.width,
        "height": medium.height,
        "seconds": medium.seconds,
        "error": medium.error,
    }
