"""Training runs and model versions."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import evidence, learning, predictions, registry
from mlhooks.models import Evidence, ModelVersion, Prediction, TrainingRun
from reviews import access
from reviews.api.bodies import platform_of
from reviews.api.schemas import Refusal
from reviews.errors import NotFound

from . import schemas
from .snapshots import REFUSALS, checked, get_snapshot


class TrainingRunsView(APIView):
    verb = {"GET": "model.view", "POST": "model.train"}

    @extend_schema(
        operation_id="list_training_runs",
        summary="Training runs, newest first",
        responses={200: schemas.TrainingList, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = access.visible(request.user, "model.view", TrainingRun.objects.all(), "platform")
        rows = rows.select_related("snapshot", "model_version").order_by("-id")[:1000]
        return Response({"results": [run_as_json(one) for one in rows]})

    @extend_schema(
        operation_id="start_training",
        summary="Train a model on a snapshot",
        description="Answers at once; a worker trains. Ask for the run until its `state` is "
        "`done`, `failed` or `cancelled`.",
        request=schemas.TrainingIn,
        responses={
            202: schemas.TrainingOut,
            400: Refusal,
            404: Refusal,
            409: Refusal,
            410: schemas.Withdrawn,
            422: Refusal,
            **REFUSALS,
        },
    )
    def post(self, request: Request) -> Response:
        body = checked(schemas.TrainingIn, request)
        # Who may train may name a snapshot; reading its files is another matter.
        snapshot = get_snapshot(request, body["snapshot"], verb="model.train")
        run = learning.start_training(
            snapshot, by=request.user, kind=body["kind"], seed=body["seed"]
        )
        return Response(run_as_json(run), status=202)


class TrainingRunView(APIView):
    verb = "model.view"

    @extend_schema(
        operation_id="get_training_run",
        summary="One training run: how far it is and what came of it",
        responses={200: schemas.TrainingOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = TrainingRun.objects.select_related("snapshot", "model_version")
        return Response(
            run_as_json(access.get(request.user, "model.view", rows, "platform", pk=pk))
        )


class ModelsView(APIView):
    verb = "model.view"

    @extend_schema(
        operation_id="list_models",
        summary="Model versions, newest first",
        responses={200: schemas.ModelList, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = access.visible(request.user, "model.view", ModelVersion.objects.all(), "platform")
        rows = rows.select_related("snapshot").order_by("-id")[:1000]
        return Response({"results": [model_as_json(one) for one in rows]})


class CardRenderer(BaseRenderer):
    media_type = "text/markdown"
    format = "markdown"
    charset = "utf-8"

    def render(self, data: dict, accepted_media_type=None, renderer_context=None) -> str:
        return data.get("card") or str(data.get("error", ""))


class JSONUnlessMarkdownIsAsked(BaseContentNegotiation):
    def select_parser(self, request: Request, parsers: list):
        return parsers[0]

    def select_renderer(self, request: Request, renderers: list, format_suffix=None):
        wants_card = "text/markdown" in request.headers.get("Accept", "")
        renderer = renderers[1] if wants_card else renderers[0]
        return renderer, renderer.media_type


class ModelView(APIView):
    verb = "model.view"
    renderer_classes = [JSONRenderer, CardRenderer]
    content_negotiation_class = JSONUnlessMarkdownIsAsked

    @extend_schema(
        operation_id="get_model",
        summary="One model version: its card, its figures, the champion's beside them",
        description="With `Accept: text/markdown` the model card alone.",
        parameters=[
            OpenApiParameter("Accept", str, OpenApiParameter.HEADER, description="JSON unless set.")
        ],
        responses={
            (200, "application/json"): schemas.ModelDetail,
            (200, "text/markdown"): str,
            (404, "application/json"): Refusal,
            (401, "application/json"): Refusal,
            (403, "application/json"): Refusal,
        },
    )
    def get(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="model.view")
        versions = model_version.policy_versions.select_related("policy")
        return Response(
            {
                **model_as_json(model_version),
                "policies": {version.policy.slug: version.number for version in versions},
                "evaluation": model_version.evaluation,
                "card": registry.model_card(model_version),
            }
        )


class EvidenceView(APIView):
    verb = {"GET": "model.view", "POST": "evidence.gather"}

    @extend_schema(
        operation_id="get_evidence",
        summary="What speaks for a model version: its newest evidence, and every gate",
        responses={200: schemas.EvidenceOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="model.view")
        found = evidence.newest(model_version)
        if found is None:
            raise NotFound("No evidence has been gathered about this model version.")
        return Response(_evidence_as_json(found))

    @extend_schema(
        operation_id="gather_evidence",
        summary="Gather evidence about a model version anew",
        description="Answers at once; a worker gathers. Ask until its `state` is `ready` or "
        "`failed`.",
        request=None,
        responses={202: schemas.EvidenceOut, 404: Refusal, 409: Refusal, **REFUSALS},
    )
    def post(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="evidence.gather")
        found = evidence.start_gathering(model_version, by=request.user)
        found.refresh_from_db()
        return Response(_evidence_as_json(found), status=202)


class PredictView(APIView):
    verb = "model.predict"

    @extend_schema(
        operation_id="predict",
        summary="Ask a model version about texts",
        description="Answers at once; a worker predicts. Ask for the prediction until its `state` "
        "is `ready` or `failed`, usually a second. Policies that came after the model are answered "
        "from their own words. `spans` says what in the texts moved the scores. Texts and answers "
        "are kept for a day.",
        request=schemas.PredictionIn,
        responses={
            202: schemas.PredictionOut,
            400: Refusal,
            404: Refusal,
            409: Refusal,
            422: Refusal,
            **REFUSALS,
        },
    )
    def post(self, request: Request, number: int) -> Response:
        model_version = get_model_version(request, number, verb="model.predict")
        body = checked(schemas.PredictionIn, request)
        found = predictions.ask(
            model_version, body["texts"], by=request.user, with_spans=body["spans"]
        )
        return Response(_prediction_as_json(found), status=202)


class PredictionView(APIView):
    verb = "model.predict"

    @extend_schema(
        operation_id="get_prediction",
        summary="What a model version says of texts",
        responses={200: schemas.PredictionOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = Prediction.objects.select_related("model_version").filter(is_brief=False)
        found = access.get(request.user, "model.predict", rows, "platform", pk=pk)
        return Response(_prediction_as_json(found))


def get_model_version(request: Request, number: int, *, verb: str) -> ModelVersion:
    rows = ModelVersion.objects.select_related("platform", "snapshot")
    return access.get(
        request.user, verb, rows, "platform", number=number, platform=platform_of(request)
    )


def _evidence_as_json(found: Evidence) -> dict:
    is_ready = found.state == Evidence.State.READY
    return {
        "model": found.model_version.number,
        "state": found.state,
        "champion": found.champion.number if found.champion else None,
        "error": found.error,
        "created_at": found.created_at,
        "finished_at": found.finished_at,
        "gates": [one._asdict() for one in evidence.outcomes(found)] if is_ready else [],
        "figures": found.figures,
    }


def _prediction_as_json(found: Prediction) -> dict:
    return {
        "id": found.pk,
        "model": found.model_version.number,
        "state": found.state,
        "error": found.error,
        "answers": found.answers,
        "spans": [
            [dict(zip(("policy", "start", "end", "effect"), one, strict=True)) for one in text]
            for text in found.spans
        ],
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }


def run_as_json(run: TrainingRun) -> dict:
    return {
        "id": run.pk,
        "snapshot": run.snapshot.number,
        "kind": run.kind,
        "seed": run.seed,
        "state": run.state,
        "step": run.step,
        "fraction": run.fraction,
        "error": run.error,
        "model": run.model_version.number if run.model_version else None,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
    }


def model_as_json(model_version: ModelVersion) -> dict:
    return {
        "number": model_version.number,
        "label": model_version.label,
        "kind": model_version.kind,
        "state": model_version.state,
        "encoder": model_version.encoder,
        "snapshot": model_version.snapshot.number if model_version.snapshot else None,
        "sha256": model_version.sha256,
        "created_at": model_version.created_at,
    }
