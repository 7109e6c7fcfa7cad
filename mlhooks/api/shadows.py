"""Shadows: into it, out of it, and what it said."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import shadows
from reviews import access
from reviews.api.schemas import Refusal

from . import schemas
from .models import get_model_version
from .snapshots import REFUSALS, checked


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
        description="It scores what the champion scores from the next batch on: on the same "
        "vectors, or (`cost`) on those of its own encoder. No rank follows it.",
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


class DisagreementsView(APIView):
    verb = "draw.create"

    @extend_schema(
        operation_id="draw_disagreements",
        summary="Have reviewers say who is right where a shadow and the champion disagree",
        description="A sample of a queue's waiting jobs on which the two stand on different sides "
        "goes to the learning lane, each with the same known chance. Whoever answers sees no "
        "score. 409 where the model is not in the shadow, or nothing that waits is disputed.",
        request=schemas.DisagreementsIn,
        responses={
            201: schemas.DisagreementsDrawn,
            400: Refusal,
            404: Refusal,
            409: Refusal,
            422: Refusal,
            **REFUSALS,
        },
    )
    def post(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="draw.create")
        body = checked(schemas.DisagreementsIn, request)
        queue = access.get_queue_to_draw_from(request.user, body["queue"])
        draw = shadows.draw_disagreements(
            model_version, queue, expected=body["expected"], by=request.user
        )
        return Response(
            {
                "draw": draw.pk,
                "queue": queue.slug,
                "pool": draw.pool_size,
                "probability": draw.probability,
                "drawn": draw.drawn,
                "seed": draw.seed,
            },
            status=201,
        )
