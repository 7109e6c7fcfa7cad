"""Decisions, to be pulled page by page."""

from datetime import timedelta

from django.db.models import Prefetch, QuerySet
from django.db.models.functions import Now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access
from reviews.models import Decision, Enforcement, PolicyVersion

from . import schemas
from .bodies import whole_number

# Ids are given out before they commit: a page read at once could pass over one that comes late,
# and the next page starts after it. No decision's transaction lasts this long.
SETTLING = timedelta(seconds=2)


class DecisionsView(APIView):
    verb = "decision.view"

    @extend_schema(
        operation_id="list_decisions",
        summary="Pull decisions",
        description="Oldest first, in pages by id: call again with `after` set to the last "
        "answer's `next_after`. Nothing is ever left out or told twice; a decision appears two "
        "seconds after it is made. One that supersedes another follows it as a decision of its "
        "own.",
        parameters=[
            OpenApiParameter("after", int, description="Ids above this one. From 0."),
            OpenApiParameter("limit", int, description="1 to 1,000; 100 if left out."),
        ],
        responses={
            200: schemas.DecisionPage,
            401: schemas.Refusal,
            403: schemas.Refusal,
            422: schemas.Refusal,
        },
    )
    def get(self, request: Request) -> Response:
        after = whole_number(request, "after", default=0, least=0, most=2**53)
        limit = whole_number(request, "limit", default=100, least=1, most=1000)
        decisions = access.visible(
            request.user, "decision.view", Decision.objects.all(), "item__platform"
        )
        if request.auth is None and not access.may(request.user, "job.view"):
            # A reviewer's own answers are hers; her colleagues' would colour her next ones.
            decisions = decisions.filter(decided_by=request.user)
        settled = decisions.filter(pk__gt=after, decided_at__lt=Now() - SETTLING)
        page = list(with_all(settled.order_by("pk"))[: limit + 1])
        shown = page[:limit]
        return Response(
            {
                "results": [as_json(decision) for decision in shown],
                "next_after": shown[-1].pk if shown else after,
                "has_more": len(page) > limit,
            }
        )


def with_all(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """Decisions with what as_json shows of them, in a fixed number of queries."""
    return decisions.select_related(
        "item__kind", "item_version", "queue", "superseded_by", "review"
    ).prefetch_related(
        Prefetch("policy_versions", PolicyVersion.objects.select_related("policy").order_by("pk")),
        Prefetch("enforcements", Enforcement.objects.select_related("action").order_by("pk")),
    )


def as_json(decision: Decision) -> dict:
    later = getattr(decision, "superseded_by", None)
    return {
        "id": decision.pk,
        "kind": decision.kind,
        "item": {
            "id": decision.item_id,
            "kind": decision.item.kind.slug,
            "external_id": decision.item.external_id,
            "version": decision.item_version.number,
        },
        "queue": decision.queue.slug,
        "verdict": decision.verdict,
        "policies": [
            {
                "slug": version.policy.slug,
                "version": version.number,
                "severity": decision.severities.get(version.policy.slug),
            }
            for version in decision.policy_versions.all()
        ],
        "actions": [
            {
                "slug": enforcement.action.slug,
                "state": enforcement.state,
                "parameters": enforcement.parameters,
            }
            for enforcement in decision.enforcements.all()
        ],
        "spans": decision.review.spans if decision.review is not None else [],
        "decided_at": decision.decided_at,
        "supersedes": decision.supersedes_id,
        "superseded_by": later.pk if later else None,
    }
