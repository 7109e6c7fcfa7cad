"""Snapshots looked at closely: what changed between two, and why a row is there."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import differences, origins
from mlhooks.patience import within
from reviews import access
from reviews.api.bodies import platform_of
from reviews.api.schemas import Refusal

from . import schemas
from .snapshots import ANSWER_SECONDS, REFUSALS, get_snapshot


class DifferenceView(APIView):
    verb = "snapshot.view"

    @extend_schema(
        operation_id="compare_snapshots",
        summary="What changed between two snapshots",
        description="From the one with the earlier cutoff to the other, whichever way they are "
        "named: rows added, labels flipped, rows gone, by policy, reason and who decided. `flips` "
        "lists the newest 100. 409 while either is not built; 503 where comparing takes longer "
        "than 20 seconds: their files hold what is to be compared.",
        responses={200: schemas.Difference, 404: Refusal, 409: Refusal, 503: Refusal, **REFUSALS},
    )
    def get(self, request: Request, number: int, other: int) -> Response:
        one, another = (
            get_snapshot(request, each, verb="snapshot.view") for each in (number, other)
        )
        found = within(ANSWER_SECONDS, differences.between, one, another)
        return Response(differences.as_json(found))


class RowView(APIView):
    verb = "snapshot.view"

    @extend_schema(
        operation_id="explain_snapshot_row",
        summary="Why a row is in the snapshots",
        description="By `decision_id` of the files: its decision and answers (raters by "
        "pseudonym), its lane, draw and chance, its split and how that follows, and which "
        "snapshots hold it.",
        responses={200: schemas.Origin, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request, decision_id: int) -> Response:
        decision = access.get(
            request.user,
            "snapshot.view",
            origins.decisions(),
            "item__platform",
            pk=decision_id,
            item__platform=platform_of(request),
        )
        return Response(origins.as_json(origins.explain(decision)))
