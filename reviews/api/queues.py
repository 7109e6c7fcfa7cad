"""Queues and policies, to be read."""

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, metrics
from reviews.models import PolicyVersion, Queue, QueueAction

from . import schemas

_REFUSALS = {401: schemas.Refusal, 403: schemas.Refusal}


class QueuesView(APIView):
    verb = "queue.view"

    @extend_schema(
        operation_id="list_queues",
        summary="Queues and how full they are",
        responses={200: schemas.QueueList, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        live = Queue.objects.filter(is_archived=False)
        queues = access.visible(request.user, "queue.view", live, "platform")
        offers = QueueAction.objects.filter(action__is_archived=False).select_related("action")
        in_order = offers.order_by("position", "action__position", "action_id")
        figures = metrics.queue_figures(
            queues.prefetch_related("policies", Prefetch("offers", in_order))
        )
        return Response(
            {
                "results": [
                    {
                        "slug": figure.queue.slug,
                        "name": figure.queue.name,
                        "is_default": figure.queue.is_default,
                        "policies": [policy.slug for policy in figure.queue.policies.all()],
                        "actions": [offer.action.slug for offer in figure.queue.offers.all()],
                        "sla_minutes": figure.queue.sla_minutes,
                        "reviews_wanted": figure.queue.reviews_wanted,
                        "ready": figure.ready,
                        "claimed": figure.claimed,
                        "overdue": figure.overdue,
                        "oldest_at": figure.oldest_at,
                    }
                    for figure in figures
                ]
            }
        )


class PoliciesView(APIView):
    verb = "policy.view"

    @extend_schema(
        operation_id="list_policies",
        summary="Policies as they are in force",
        responses={200: schemas.PolicyList, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        rows = access.visible(
            request.user, "policy.view", PolicyVersion.objects.all(), "policy__platform"
        )
        of_policy: dict[int, list[PolicyVersion]] = {}
        for version in rows.with_state().select_related("policy").order_by("-number"):
            of_policy.setdefault(version.policy_id, []).append(version)
        in_force = [one for all_ in of_policy.values() for one in all_ if one.state == "in_force"]
        ordered = sorted(in_force, key=lambda version: (version.policy.position, version.policy_id))
        return Response(
            {
                "results": [
                    {
                        "slug": version.policy.slug,
                        "name": version.policy.name,
                        "version": version.number,
                        "summary": version.summary,
                        "definition": version.definition,
                        "examples": version.examples,
                        "counter_examples": version.counter_examples,
                        "severity": version.severity,
                        "severity_weight": version.severity_weight,
                        "severity_levels": version.severity_levels,
                        "effective_at": version.effective_at,
                        "versions": [
                            {
                                "version": one.number,
                                "summary": one.summary,
                                "effective_at": one.effective_at,
                                "state": one.state,
                            }
                            for one in of_policy[version.policy_id]
                        ],
                    }
                    for version in ordered
                ]
            }
        )
