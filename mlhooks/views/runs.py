"""Training runs: start one, watch it, stop it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from mlhooks import charts, learning
from mlhooks.models import TrainingRun
from reviews import access
from reviews.errors import Invalid

from .snapshots import get_snapshot

OVER = (TrainingRun.State.DONE, TrainingRun.State.FAILED, TrainingRun.State.CANCELLED)


@require_POST
def create(request: HttpRequest, pk: int) -> HttpResponse:
    snapshot = get_snapshot(request.user, pk)
    seed = request.POST.get("seed", "0").strip() or "0"
    if not (seed.isascii() and seed.isdigit() and len(seed) <= 10):
        raise Invalid(
            _("The seed is a whole number."), details={"seed": _("a whole number from 0")}
        )
    run = learning.start_training(
        snapshot, by=request.user, kind=request.POST.get("kind", "trained"), seed=int(seed)
    )
    return redirect("mlhooks:training-detail", run.pk)


@require_GET
def training_detail(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "mlhooks/training_detail.html", _context(request, pk))


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: step, bar and curve; it asks for itself until the run is over."""
    return render(request, "mlhooks/_training_progress.html", _context(request, pk))


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    run = learning.cancel_training(_get(request, pk, verb="model.train"), by=request.user)
    messages.success(request, _("The training was stopped. Nothing was registered."))
    return redirect("mlhooks:training-detail", run.pk)


def _get(request: HttpRequest, pk: int, *, verb: str) -> TrainingRun:
    rows = TrainingRun.objects.select_related("platform", "snapshot", "created_by", "model_version")
    return access.get(request.user, verb, rows, "platform", pk=pk)


def _context(request: HttpRequest, pk: int) -> dict:
    run = _get(request, pk, verb="model.view")
    return {
        "run": run,
        "is_over": run.state in OVER,
        "percent": round(100 * run.fraction),
        "plot": charts.history_plot(run.history),
        "may_train": access.may(request.user, "model.train"),
    }
