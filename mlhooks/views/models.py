"""Model versions: what each is worth, which one is the champion, and the two people it takes."""

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from mlhooks import charts, curves, promotions, registry
from mlhooks.models import DueScore, ModelVersion, Promotion, TrainingRun
from reviews import access
from reviews.errors import Conflict
from reviews.models import Job, Platform, Queue

from .evidence import gates_context
from .learning import curve_context
from .shadows import shadow_context
from .snapshots import platforms_of

OPEN = Q(approved_at=None, withdrawn_at=None)
LEVELS = ("0.5", "0.8", "0.9", "0.95")


@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    rows = access.visible(request.user, "model.view", ModelVersion.objects.all(), "platform")
    rows = rows.select_related("platform", "snapshot", "created_by").order_by("-id")
    runs = access.visible(request.user, "model.view", TrainingRun.objects.all(), "platform")
    promotions = Promotion.objects.filter(
        model_version__platform__in=access.platform_ids(request.user)
    ).select_related("model_version", "previous", "proposed_by", "approved_by")
    return render(
        request,
        "mlhooks/model_list.html",
        {
            "groups": _groups(list(rows[:200])),
            "outdated": _outdated(platforms_of(request.user)),
            "runs": runs.select_related("snapshot", "model_version", "created_by").order_by("-id")[
                :10
            ],
            "waiting": promotions.filter(OPEN).order_by("-id"),
            "past": promotions.exclude(OPEN).order_by("-id")[:20],
            "rescorings": _rescorings(platforms_of(request.user)),
        },
    )


@require_GET
def model_detail(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _get(request, pk, verb="model.view")
    platform = model_version.platform
    promotion = model_version.promotions.filter(OPEN).select_related("proposed_by").first()
    champion = registry.champion(platform)
    return render(
        request,
        "mlhooks/model_detail.html",
        {
            "model": model_version,
            "platform": platform,
            "built_on": registry.built_on(model_version),
            "run": TrainingRun.objects.filter(model_version=model_version).first(),
            "card": registry.model_card(model_version),
            "promotion": promotion,
            "history": model_version.promotions.exclude(OPEN)
            .select_related("proposed_by", "approved_by", "previous")
            .order_by("-id"),
            "champion": champion,
            "is_champion": champion is not None and champion.pk == model_version.pk,
            "previous": _previous(model_version),
            "open_items": _open_items(platform),
            "may_propose": access.may(request.user, "model.propose"),
            "may_approve": access.may(request.user, "model.approve"),
            "may_roll_back": access.may(request.user, "model.roll_back"),
            "may_try": access.may(request.user, "model.predict"),
            "levels": LEVELS,
            **_evaluation(model_version),
            **gates_context(request, model_version),
            **shadow_context(request, model_version),
            **rescoring_context(platform),
            **curve_context(curves.of_snapshot(model_version.snapshot)),
        },
    )


@require_POST
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = _get(request, pk, verb="model.propose")
    promotions.propose(model_version, by=request.user, reason=request.POST.get("reason", ""))
    messages.success(
        request,
        _(
            "%(label)s is proposed. Another person has to approve it: an ML engineer or a "
            "policy owner."
        )
        % {"label": model_version.label},
    )
    return redirect("mlhooks:model-detail", pk)


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    model_version = promotions.approve(
        _promotion(request, pk, verb="model.approve"), by=request.user
    )
    messages.success(
        request,
        _(
            "%(label)s is the champion. What waits for a reviewer is scored again now, and "
            "ranks follow."
        )
        % {"label": model_version.label},
    )
    return redirect("mlhooks:model-detail", model_version.pk)


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    promotion = promotions.withdraw(_promotion(request, pk, verb="model.propose"), by=request.user)
    messages.success(request, _("The proposal is withdrawn."))
    return redirect("mlhooks:model-detail", promotion.model_version_id)


@require_POST
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """From the champion's page; a page opened before somebody else's change does nothing."""
    current = _get(request, pk, verb="model.roll_back")
    if current.state != ModelVersion.State.CHAMPION:
        raise Conflict(
            _("%(label)s is not the champion any more. Look at the models again.")
            % {"label": current.label}
        )
    back = promotions.roll_back(current.platform, by=request.user)
    messages.success(
        request,
        _("Rolled back: %(label)s is the champion again, and ranks follow.")
        % {"label": back.label},
    )
    return redirect("mlhooks:model-detail", back.pk)


@require_GET
def rescoring(request: HttpRequest, platform_pk: int) -> HttpResponse:
    """Fragment: how many items still wait for the champion's score; it stops at none."""
    platform = access.get(request.user, "model.view", Platform.objects.all(), "pk", pk=platform_pk)
    context = {**rescoring_context(platform), "was_running": True}
    return render(request, "mlhooks/_rescoring.html", context)


def rescoring_context(platform: Platform) -> dict:
    due = DueScore.objects.filter(item_version__item__platform=platform)
    return {
        "platform": platform,
        "due_scores": due.filter(parked_at=None).count(),
        "parked_scores": due.filter(parked_at__isnull=False).count(),
        "queues": Queue.objects.filter(platform=platform),
    }


def _rescorings(platforms: list[Platform]) -> list[dict]:
    found = [rescoring_context(platform) for platform in platforms]
    return [one for one in found if one["due_scores"] or one["parked_scores"]]


def _outdated(platforms: list[Platform]) -> list[tuple[ModelVersion, list]]:
    """Champions with the policies whose text has changed since they were built."""
    found = []
    for platform in platforms:
        champion = registry.champion(platform)
        if champion is not None:
            pairs = [(own, newer) for own, newer in registry.built_on(champion) if newer]
            found += [(champion, pairs)] if pairs else []
    return found


def _groups(models: list[ModelVersion]) -> list[tuple[str, list[ModelVersion]]]:
    state = ModelVersion.State
    return [
        ("Champion", [one for one in models if one.state == state.CHAMPION]),
        ("Candidates", [one for one in models if one.state in (state.CANDIDATE, state.SHADOW)]),
        ("Retired", [one for one in models if one.state == state.RETIRED]),
    ]


def _evaluation(model_version: ModelVersion) -> dict:
    """The candidate's figures and the champion's of that day, on the same rows, by policy."""
    found = model_version.evaluation
    candidate, champion = found.get("candidate") or {}, found.get("champion") or {}
    label, champion_label = model_version.label, found.get("champion_label") or ""
    names = {
        version.policy.slug: version.policy.name
        for version in model_version.policy_versions.select_related("policy").order_by(
            "policy__position", "policy_id"
        )
    }
    policies = []
    for number, (slug, name) in enumerate(names.items()):
        report = candidate.get(slug)
        if not report:
            continue
        beside = champion.get(slug)
        policies.append(
            {
                "slug": slug,
                "name": name,
                "candidate": report,
                "champion": beside,
                "calibrated": _calibrated(report.get("calibration")),
                "recalls": [
                    (
                        level,
                        report["recall_at_precision"].get(level),
                        (beside or {}).get("recall_at_precision", {}).get(level),
                    )
                    for level in LEVELS
                ],
                "pr": charts.pr_plot(
                    name,
                    report,
                    beside,
                    label=label,
                    champion_label=champion_label,
                    prefix=f"p{number}",
                ),
                "reliability": charts.reliability_plot(
                    name, report, label=label, prefix=f"p{number}"
                ),
            }
        )
    return {
        "policies": policies,
        "test_rows": found.get("test_rows", 0),
        "champion_label": champion_label,
        "auprc": charts.interval_plot(policies, label=label, champion_label=champion_label),
    }


def _calibrated(found: dict | None) -> str:
    """In words: by what, on which rows. Empty for models that did not keep it."""
    if not found:
        return ""
    if not found["rows"]:
        return _("Its probabilities were set by hand: nothing has confirmed them.")
    methods = {
        "temperature": _("a temperature"),
        "platt": _("Platt’s line"),
        "isotonic": _("isotonic steps"),
    }
    rows = {
        "all rows": _("all rows, each with its known chance"),
        "random lane": _("the random lane, weighted back to the stream"),
        "level": _("all rows; their level by %(n)s of the random lane")
        % {"n": found.get("level_rows", 0)},
        "picked rows": _("rows that mostly risk picked, so high for the stream"),
    }
    return _("Calibrated by %(method)s on %(rows)s: %(n)s rows, %(positives)s violating.") % {
        "method": methods[found["method"]],
        "rows": rows[found["rows"]],
        "n": found["n"],
        "positives": found["positives"],
    }


def _previous(model_version: ModelVersion) -> ModelVersion | None:
    promotion = promotions.last_promotion(model_version)
    return promotion.previous if promotion is not None else None


def _open_items(platform: Platform) -> int:
    return Job.objects.open().filter(item__platform=platform).values("item").distinct().count()


def _get(request: HttpRequest, pk: int, *, verb: str) -> ModelVersion:
    rows = ModelVersion.objects.select_related("platform", "snapshot", "created_by")
    return access.get(request.user, verb, rows, "platform", pk=pk)


def _promotion(request: HttpRequest, pk: int, *, verb: str) -> Promotion:
    rows = Promotion.objects.select_related("model_version__platform", "proposed_by")
    return access.get(request.user, verb, rows, "model_version__platform", pk=pk)
