"""Shadows: into it, out of it, and what it said."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import shadows
from reviews.api.schemas import Refusal

from . import schemas
from .models import get_model_version
from .snapshots import REFUSALS


class ShadowView(APIView):
    verb = {"GET": "model.view", "POST": "model.shadow", "DELETE": "model.shadow"}

    @extend_schema(
        operation_id="get_shadow",
        summary="What a model version said of live items beside the champion",
        responses={200: schemas.ShadowOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, number: int) -> Response:
        return Response(shadows.as_json(get_model_version(request, number, verb="model.view")))

    @extend_schema(
        operation_id="start_shadow",
        summary="Put a candidate into the champion's shadow",
        description="It scores what the champion scores, on the same vectors, from the next batch "
        "on. No rank follows it.",
        request=None,
        responses={201: schemas.ShadowOut, 404: Refusal, 409: Refusal, **REFUSALS},
    )
    def post(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="model.shadow")
        shadows.start(model_version, by=request.user)
        return Response(shadows.as_json(model_version), status=201)

    @extend_schema(
        operation_id="stop_shadow",
        summary="Take it out of the shadow: a candidate again",
        responses={200: schemas.ShadowOut, 404: Refusal, 409: Refusal, **REFUSALS},
    )
    def delete(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="model.shadow")
        shadows.stop(model_version, by=request.user)
        return Response(shadows.as_json(model_version))
