"""/metrics: gauges as Prometheus reads them, for whoever brings METRICS_TOKEN, and for people who
may see models: those of their platforms."""

import hmac

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from mlhooks import monitoring
from reviews import access
from reviews.models import Platform

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    platforms = Platform.objects.all()
    if not _brings_the_token(request):
        if not access.may(request.user, "model.view"):
            return HttpResponse("Bring METRICS_TOKEN as a bearer token.\n", status=403)
        platforms = platforms.filter(pk__in=access.platform_ids(request.user))
    lines = []
    for name, says, samples in monitoring.gauges(platforms):
        lines += [f"# HELP {name} {says}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{_labels(labels)}}} {value:g}" for labels, value in samples]
    return HttpResponse("\n".join(lines) + "\n", content_type=CONTENT_TYPE)


def _brings_the_token(request: HttpRequest) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    if not wanted or kind.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), wanted.encode())


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
