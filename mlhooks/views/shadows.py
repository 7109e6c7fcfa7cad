"""A model in the champion's shadow: into it and out, what it says beside him, who was right."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from mlhooks import charts, registry, shadows
from mlhooks.models import ModelVersion
from mlhooks.patience import unless_slow
from reviews import access
from reviews.errors import Conflict, Invalid
from reviews.models import Queue

USUAL_DRAW = "50"
COUNT_SECONDS = 2  # a queue


@require_GET
def shadow_detail(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, _model(request, pk, verb="model.view"))


@require_POST
def start(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _model(request, pk, verb="model.shadow")
    shadows.start(model_version, by=request.user)
    messages.success(
        request,
        _(
            "%(label)s is in the shadow: from the next batch on it scores what the champion "
            "scores. No rank follows it."
        )
        % {"label": model_version.label},
    )
    return redirect("mlhooks:model-detail", pk)


@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _model(request, pk, verb="model.shadow")
    shadows.stop(model_version, by=request.user)
    messages.success(request, _("%(label)s is a candidate again.") % {"label": model_version.label})
    return redirect("mlhooks:model-detail", pk)


@require_POST
def draw(request: HttpRequest, pk: int) -> HttpResponse:
    """A blind sample of the disagreements that wait in one queue."""
    model_version = _model(request, pk, verb="model.view")
    queue = access.get_queue_to_draw_from(request.user, request.POST.get("queue", ""))
    given = request.POST.get("expected", "").strip()
    try:
        expected = float(given.replace(",", "."))
    except ValueError:
        expected = 0.0
    try:
        made = shadows.draw_disagreements(model_version, queue, expected=expected, by=request.user)
    except (Conflict, Invalid) as error:
        return _page(
            request,
            model_version,
            refused=(queue.slug, given, str(error)),
            status=error.status,
        )
    messages.success(
        request,
        _("Drawn: %(drawn)s of %(pool)s. They wait in the learning lane, without any score shown.")
        % {"drawn": made.drawn, "pool": made.pool_size},
    )
    return redirect("mlhooks:shadow-detail", pk)


def shadow_context(request: HttpRequest, model_version: ModelVersion) -> dict:
    """For _shadow.html: the state, and the figures where there are any."""
    period = shadows.newest(model_version)
    champion = registry.champion(model_version.platform_id)
    return {
        "shadow": period,
        "is_shadow": model_version.state == ModelVersion.State.SHADOW,
        "shadow_champion": champion,
        "shadow_cost": shadows.cost(model_version, champion),
        "comparisons": shadows.compare(model_version, champion) if period else [],
        "right": shadows.who_was_right(model_version) if period else [],
        "may_shadow": access.may(request.user, "model.shadow"),
    }


def _page(
    request: HttpRequest,
    model_version: ModelVersion,
    *,
    refused: tuple[str, str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = shadow_context(request, model_version)
    champion = context["shadow_champion"]
    policies = []
    for number, one in enumerate(context["comparisons"]):
        days = shadows.load_by_day(model_version, champion, one.policy)
        plot = charts.load_plot(
            one.policy.name,
            days,
            label=model_version.label,
            champion_label=champion.label,
            prefix=f"s{number}",
        )
        policies.append((one, plot))
    may_draw = access.may(request.user, "draw.create") and context["is_shadow"]
    return render(
        request,
        "mlhooks/shadow.html",
        {
            **context,
            "model": model_version,
            "policies": policies,
            "pools": _pools(model_version) if may_draw else [],
            "may_draw": may_draw,
            "refused": refused,
            "usual": USUAL_DRAW,
        },
        status=status,
    )


def _pools(model_version: ModelVersion) -> list[tuple[Queue, int | None]]:
    """Queues with something to draw from, and how much; None where counting takes too long."""
    queues = Queue.objects.filter(platform=model_version.platform_id, is_archived=False)
    counted = [
        (one, unless_slow(COUNT_SECONDS, shadows.waiting_disagreements, model_version, one))
        for one in queues
    ]
    return [(queue, n) for queue, n in counted if n != 0]


def _model(request: HttpRequest, pk: int, *, verb: str) -> ModelVersion:
    rows = ModelVersion.objects.select_related("platform", "snapshot", "created_by")
    return access.get(request.user, verb, rows, "platform", pk=pk)
