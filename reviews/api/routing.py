"""The routing rules in force, to be read."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reviews import access, conditions
from reviews.errors import Invalid
from reviews.facts import read_catalogue
from reviews.models import Queue, RoutingVersion

from . import schemas


class RoutingView(APIView):
    verb = "setup.view"

    @extend_schema(
        operation_id="read_routing",
        summary="The routing rules in force",
        description="One entry a platform whose rules were ever published. `rules` is what "
        "`manage.py dry_run_routing --file` takes. The first active rule that holds decides; what "
        "none takes goes to `default_queue`.",
        responses={200: schemas.RoutingList, 401: schemas.Refusal, 403: schemas.Refusal},
    )
    def get(self, request: Request) -> Response:
        versions = access.visible(
            request.user,
            "setup.view",
            RoutingVersion.objects.filter(state=RoutingVersion.State.PUBLISHED),
            "platform",
        ).select_related("platform")
        defaults = dict(
            Queue.objects.filter(
                is_default=True, platform__in=[version.platform_id for version in versions]
            ).values_list("platform_id", "slug")
        )
        return Response(
            {
                "results": [
                    {
                        "platform": version.platform.slug,
                        "version": version.number,
                        "published_at": version.published_at,
                        "note": version.note,
                        "default_queue": defaults.get(version.platform_id),
                        "rules": _rules(version),
                    }
                    for version in versions.order_by("platform__slug")
                ]
            }
        )


def _rules(version: RoutingVersion) -> list[dict]:
    catalogue = read_catalogue(version.platform_id)
    return [
        {
            **rule,
            "expression": _text(rule["condition"]),
            "words": conditions.in_words(rule["condition"], catalogue),
        }
        for rule in version.rules
    ]


def _text(tree: conditions.Tree) -> str | None:
    """None where the rule cannot run, and is skipped."""
    try:
        return conditions.to_text(tree)
    except Invalid:
        return None
