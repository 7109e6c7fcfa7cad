"""How the champion does on live items."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlhooks import alerts, monitoring
from mlhooks.models import Monitoring
from reviews.api.bodies import platform_of
from reviews.api.schemas import Refusal
from reviews.errors import NotFound
from reviews.models import Platform

from . import schemas
from .snapshots import REFUSALS


class MonitoringView(APIView):
    verb = {"GET": "model.view", "POST": "monitoring.run"}

    @extend_schema(
        operation_id="get_monitoring",
        summary="The newest look at the champion on live items, and what is out of its bounds",
        responses={200: schemas.MonitoringOut, 404: Refusal, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        platform = platform_of(request)
        found = monitoring.newest(platform)
        if found is None:
            raise NotFound("Nobody has looked yet; a worker does once a day.")
        return Response(_as_json(found, platform))

    @extend_schema(
        operation_id="run_monitoring",
        summary="Look now",
        description="Answers at once; a worker looks. Ask until a newer `finished_at` comes.",
        request=None,
        responses={202: schemas.MonitoringStarted, 409: Refusal, **REFUSALS},
    )
    def post(self, request: Request) -> Response:
        found = monitoring.start_monitoring(platform_of(request), by=request.user)
        found.refresh_from_db()
        return Response({"state": found.state, "created_at": found.created_at}, status=202)


def _as_json(found: Monitoring, platform: Platform) -> dict:
    rows = alerts.open_alerts([platform.pk]).select_related("policy", "acknowledged_by")
    return {
        "champion": found.champion.number if found.champion else None,
        "finished_at": found.finished_at,
        "figures": {**found.figures, "cells": [_cell(one) for one in monitoring.cells_of(found)]},
        "alerts": [
            {
                "id": one.pk,
                "policy": one.policy.slug if one.policy else None,
                "figure": one.figure,
                "value": one.value,
                "bound": one.bound,
                "opened_at": one.opened_at,
                "acknowledged_by": one.acknowledged_by.username if one.acknowledged_by else None,
                "note": one.note,
            }
            for one in rows.order_by("-id")
        ],
    }


def _cell(one: monitoring.Cell) -> dict:
    rate = one.sums.rate()
    return {
        **one._asdict(),
        "sums": one.sums._asdict(),
        "confirmed": rate._asdict() if rate else None,
    }
