"""Learning rounds and what the learning lane has taught."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import curves, rounds
from mlhooks.models import LearningRound, RoundSettings
from mlhooks.models.rounds import HOURS, MOST_ITEMS
from reviews import access
from reviews.api.bodies import platform_of
from reviews.api.schemas import Refusal
from reviews.errors import NotFound

from .snapshots import REFUSALS, checked


class RoundIn(serializers.Serializer):
    size = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_ITEMS,
        help_text="Items expected; as the settings say when left out.",
    )
    strategy = serializers.CharField(
        required=False, max_length=20, help_text="See docs/learning.md; else as the settings say."
    )
    seed = serializers.IntegerField(
        required=False, min_value=0, max_value=2**53 - 1, help_text="Else one is drawn."
    )


class RoundSettingsIn(serializers.Serializer):
    """What is not given stays."""

    is_on = serializers.BooleanField(required=False, help_text="Draw rounds on a schedule.")
    every_hours = serializers.IntegerField(
        required=False, min_value=HOURS[0], max_value=HOURS[1], help_text="Between two rounds."
    )
    size = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_ITEMS, help_text="Items expected in a round."
    )
    strategy = serializers.ChoiceField(
        required=False, choices=rounds.STRATEGIES, help_text="See docs/learning.md."
    )
    per_account = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=rounds.MOST_CAP,
        help_text="Expected at most of one account; null: no cap.",
    )
    per_cluster = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=rounds.MOST_CAP,
        help_text="Expected at most of one near-duplicate group; null: no cap.",
    )


class RoundSettingsOut(RoundSettingsIn):
    next_at = serializers.DateTimeField(
        allow_null=True, help_text="When the next round is due, where rounds are on."
    )
    changed_by = serializers.CharField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True)


class RoundDraw(serializers.Serializer):
    id = serializers.IntegerField()
    queue = serializers.CharField(help_text="Slug.")
    pool = serializers.IntegerField()
    drawn = serializers.IntegerField()


class RoundOut(serializers.Serializer):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=LearningRound.State.choices)
    error = serializers.CharField()
    strategy = serializers.CharField()
    size = serializers.IntegerField(help_text="Items wanted.")
    seed = serializers.IntegerField()
    is_scheduled = serializers.BooleanField()
    model = serializers.IntegerField(allow_null=True, help_text="Whose scores it went by.")
    pool = serializers.IntegerField(allow_null=True)
    left_out = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Waiting items in no pool, by reason: split, vector, score.",
    )
    known = serializers.IntegerField(allow_null=True, help_text="Labelled items looked at.")
    expected = serializers.FloatField(allow_null=True, help_text="Sum of the probabilities.")
    drawn = serializers.IntegerField(allow_null=True)
    draws = RoundDraw(many=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RoundList(serializers.Serializer):
    results = RoundOut(many=True)


class CurveOut(serializers.Serializer):
    snapshot = serializers.IntegerField()
    finished_at = serializers.DateTimeField()
    figures = serializers.DictField(help_text="All that was worked out; see docs/learning.md.")


class LearningRoundsView(APIView):
    verb = {"GET": "model.view", "POST": "round.draw"}

    @extend_schema(
        operation_id="list_learning_rounds",
        summary="Learning rounds, newest first",
        responses={200: RoundList, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = access.visible(request.user, "model.view", LearningRound.objects.all(), "platform")
        rows = _whole(rows).order_by("-id")[:200]
        return Response({"results": [_as_json(one) for one in rows]})

    @extend_schema(
        operation_id="draw_learning_round",
        summary="Draw a learning round",
        description="Answers at once; a worker draws. Ask for the round until its `state` is "
        "`done` or `failed`.",
        request=RoundIn,
        responses={202: RoundOut, 400: Refusal, 409: Refusal, 422: Refusal, **REFUSALS},
    )
    def post(self, request: Request) -> Response:
        body = checked(RoundIn, request)
        row = rounds.start_round(platform_of(request), by=request.user, **body)
        return Response(_as_json(row), status=202)


class LearningRoundView(APIView):
    verb = "model.view"

    @extend_schema(
        operation_id="get_learning_round",
        summary="One learning round: how far it is and what it drew",
        responses={200: RoundOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, pk: int) -> Response:
        rows = _whole(LearningRound.objects.all())
        row = access.get(request.user, "model.view", rows, "platform", pk=pk)
        return Response(_as_json(row))


class RoundSettingsView(APIView):
    verb = {"GET": "model.view", "PATCH": "round.edit"}

    @extend_schema(
        operation_id="get_round_settings",
        summary="How learning rounds are drawn",
        responses={200: RoundSettingsOut, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        return Response(_settings_as_json(rounds.settings_of(platform_of(request))))

    @extend_schema(
        operation_id="change_round_settings",
        summary="Change how learning rounds are drawn",
        description="What is not given stays. The first round of a schedule that is turned on is "
        "due at once.",
        request=RoundSettingsIn,
        responses={200: RoundSettingsOut, 400: Refusal, 422: Refusal, **REFUSALS},
    )
    def patch(self, request: Request) -> Response:
        body = checked(RoundSettingsIn, request)
        found = rounds.save_settings(platform_of(request), by=request.user, **body)
        return Response(_settings_as_json(found))


class LearningCurveView(APIView):
    verb = "model.view"

    @extend_schema(
        operation_id="get_learning_curve",
        summary="What labels of the learning lane taught, beside as many random ones",
        responses={200: CurveOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        found = curves.newest_ready(platform_of(request))
        if found is None:
            raise NotFound("No learning curve has been worked out yet.")
        return Response(
            {
                "snapshot": found.snapshot.number,
                "finished_at": found.finished_at,
                "figures": found.figures,
            }
        )


def _settings_as_json(found: RoundSettings) -> dict:
    return {
        **{name: getattr(found, name) for name in RoundSettingsIn().fields},
        "next_at": found.next_at if found.is_on else None,
        "changed_by": found.changed_by.username if found.changed_by else None,
        "changed_at": found.changed_at,
    }


def _whole(rows):
    return rows.select_related("model_version").prefetch_related("draws__queue")


def _as_json(row: LearningRound) -> dict:
    return {
        "id": row.pk,
        "state": row.state,
        "error": row.error,
        "strategy": row.strategy,
        "size": row.size,
        "seed": row.seed,
        "is_scheduled": row.is_scheduled,
        "model": row.model_version.number if row.model_version else None,
        "pool": row.pool_size,
        "left_out": row.left_out,
        "known": row.known,
        "expected": row.expected,
        "drawn": row.drawn,
        "draws": [
            {
                "id": draw.pk,
                "queue": draw.queue.slug,
                "pool": draw.pool_size,
                "drawn": draw.drawn,
            }
            for draw in row.draws.all()
        ],
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }
