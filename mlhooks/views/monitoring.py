"""How the champions do on live items, and what is out of its bounds."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mlhooks import alerts, drift, monitor_charts
from mlhooks import monitoring as watching
from mlhooks.models import Alert, AlertBounds, Monitoring
from reviews import access
from reviews.errors import Invalid
from reviews.models import Platform, Policy

from .snapshots import platforms_of

MOST_CLOSED = 10
FIGURES = dict(Alert.Figure.choices)
READINGS = {
    "steady": (gettext_lazy("Steady"), "ok"),
    "moved": (gettext_lazy("Has moved"), "warn"),
    "drifted": (gettext_lazy("Has drifted"), "bad"),
}


@require_GET
def monitoring(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_POST
def run(request: HttpRequest, platform_pk: int) -> HttpResponse:
    platform = _platform(request, platform_pk, verb="monitoring.run")
    watching.start_monitoring(platform, by=request.user)
    return redirect(_url(platform))


@require_GET
def progress(request: HttpRequest, platform_pk: int) -> HttpResponse:
    """Fragment: how far the look is; when it is done, the page is asked for anew."""
    platform = _platform(request, platform_pk, verb="model.view")
    under_way = watching.under_way(platform)
    response = render(
        request, "mlhooks/_monitoring.html", {"platform": platform, "under_way": under_way}
    )
    if under_way is None:
        response["HX-Refresh"] = "true"
    return response


@require_GET
def open_alerts(request: HttpRequest) -> HttpResponse:
    """Fragment for Home: alerts nobody has acknowledged yet come first."""
    access.check(request.user, "model.view")
    found = alerts.open_alerts(sorted(access.platform_ids(request.user)))
    rows = found.select_related("platform", "policy", "acknowledged_by")
    return render(
        request,
        "mlhooks/_open_alerts.html",
        {"alerts": rows.order_by("-acknowledged_at", "-id")[:10]},
    )


@require_POST
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Alert.objects.select_related("platform", "policy")
    alert = access.get(request.user, "alert.acknowledge", rows, "platform", pk=pk)
    note = request.POST.get("note", "")
    try:
        alerts.acknowledge(alert, by=request.user, note=note)
    except Invalid as error:
        refused = (alert.pk, note, str(error))
        return _page(request, platform=alert.platform, refused=refused, status=error.status)
    messages.success(request, _("Acknowledged. It closes when the figure is back."))
    return redirect(_url(alert.platform))


@require_http_methods(["GET", "POST"])
def bounds(request: HttpRequest, platform_pk: int) -> HttpResponse:
    """What opens and closes an alert; each policy's figures and the platform's own are a form."""
    verb = "alert.edit" if request.method == "POST" else "model.view"
    platform = _platform(request, platform_pk, verb=verb)
    wrong: tuple[str, dict, dict] | None = None
    status = 200
    if request.method == "POST":
        slug = request.POST.get("policy", "")
        policy = None
        if slug:
            rows = Policy.objects.filter(platform=platform)
            policy = access.get(request.user, "alert.edit", rows, "platform", slug=slug)
        try:
            alerts.set_bounds(platform, policy, _typed(request, policy), by=request.user)
        except Invalid as error:
            wrong, status = (slug, request.POST.dict(), error.details or {}), error.status
        else:
            messages.success(request, _("Saved. They hold from the next look on."))
            return redirect("mlhooks:alert-bounds", platform.pk)
    return render(
        request,
        "mlhooks/alert_bounds.html",
        {
            "platform": platform,
            "forms": [
                _form(platform, policy, wrong)
                for policy in [None, *platform.policies.order_by("position", "pk")]
            ],
            "may_edit": access.may(request.user, "alert.edit"),
        },
        status=status,
    )


def _page(
    request: HttpRequest,
    *,
    platform: Platform | None = None,
    refused: tuple[int, str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    access.check(request.user, "model.view")
    platforms = platforms_of(request.user)
    wanted = request.GET.get("platform", "")
    platform = platform or next((one for one in platforms if one.slug == wanted), None)
    platform = platform or (platforms[0] if platforms else None)
    context = {"platforms": platforms, "platform": platform, "refused": refused}
    if platform is not None:
        context |= _context(request, platform)
    return render(request, "mlhooks/monitoring.html", context, status=status)


def _context(request: HttpRequest, platform: Platform) -> dict:
    found = watching.newest(platform)
    last = platform.monitorings.order_by("-id").first()
    rows = Alert.objects.filter(platform=platform).select_related("policy", "acknowledged_by")
    context = {
        "found": found,
        "under_way": watching.under_way(platform),
        "failed": last if last is not None and last.state == Monitoring.State.FAILED else None,
        "open_alerts": rows.filter(closed_at=None).order_by("-id"),
        "closed_alerts": rows.exclude(closed_at=None).order_by("-closed_at")[:MOST_CLOSED],
        "may_run": access.may(request.user, "monitoring.run"),
        "may_acknowledge": access.may(request.user, "alert.acknowledge"),
    }
    return context | (_figures(request, platform, found) if found else {})


def _figures(request: HttpRequest, platform: Platform, found: Monitoring) -> dict:
    cells = watching.cells_of(found)
    models = sorted({one.model for one in cells if one.model})
    languages = sorted({one.language for one in cells})
    champion = found.champion.label if found.champion else ""
    model = request.GET.get("model", champion if champion in models else "")
    model = model if model in models else ""
    language = request.GET.get("language", "*")
    language = language if language in languages else "*"
    past = watching.past(platform)
    policies = []
    for number, policy in enumerate(platform.policies.order_by("position", "pk")):
        figures = found.figures.get("policies", {}).get(policy.slug, {})
        bands = watching.bands_of(
            cells, policy.slug, model=model, language=None if language == "*" else language
        )
        bound = alerts.bounds_of(platform, policy)
        policies.append(
            {
                "policy": policy,
                "bands": bands,
                "labels": sum(one.confirmed.n for one in bands),
                "plot": monitor_charts.band_plot(policy.name, bands, prefix=f"b{number}"),
                "trends": _trends(past, policy.slug, policy.name, bound, f"t{number}"),
                "share": figures.get("share"),
                "calibration": figures.get("calibration") or {},
                "agreement": figures.get("agreement") or {},
                "score": _read(figures.get("score"), bound["score"]),
                "bound": bound,
            }
        )
    own = alerts.bounds_of(platform, None)
    return {
        "policies": policies,
        "platform_figures": [
            (FIGURES[name], _read(found.figures.get(name), own[name]))
            for name in drift.PER_PLATFORM
        ],
        "platform_trends": _trends(past, "", platform.name, own, "p"),
        "items": found.figures.get("items", [0, 0]),
        "scored": found.figures.get("scored") or found.figures.get("items", [0, 0]),
        "not_scored": found.figures.get("not_scored", ""),
        "reference": found.figures.get("reference"),
        "models": models,
        "languages": languages,
        "model": model,
        "language": language,
        "least_items": drift.LEAST_ITEMS,
        "least_labels": drift.LEAST_LABELS,
    }


def _trends(past: list[Monitoring], slug: str, name: str, bound: dict, prefix: str) -> list:
    """One small chart a figure that was worked out at least twice."""
    plots = []
    for figure in drift.PER_POLICY if slug else drift.PER_PLATFORM:
        points = [
            (one.finished_at, values[slug, figure])
            for one in past
            if (slug, figure) in (values := watching.values_of(one.figures))
        ]
        plot = monitor_charts.trend_plot(
            f"{name}: {FIGURES[figure]}", points, bound[figure], prefix=f"{prefix}-{figure}"
        )
        plots += [plot] if plot else []
    return plots


def _read(psi: dict | None, bound: drift.Bound) -> dict | None:
    """A PSI with its reading: steady below the bound where alerts close, drifted above the one
    where they open."""
    if not psi:
        return None
    reading = "steady" if psi["value"] <= bound.closes else "moved"
    reading = "drifted" if psi["value"] > bound.opens else reading
    words, tag = READINGS[reading]
    return {**psi, "words": words, "tag": tag}


def _form(platform: Platform, policy: Policy | None, wrong: tuple | None) -> dict:
    slug = policy.slug if policy else ""
    is_wrong = wrong is not None and wrong[0] == slug
    now = alerts.bounds_of(platform, policy)
    return {
        "slug": slug,
        "name": policy.name if policy else _("What comes in, all policies"),
        "changed": AlertBounds.objects.select_related("changed_by")
        .filter(platform=platform, policy=policy)
        .first(),
        "fields": [
            {
                "name": name,
                "words": FIGURES[name],
                "is_least": drift.BOUNDS[name].is_least,
                "opens": wrong[1].get(f"{name}-opens", "") if is_wrong else f"{now[name].opens:g}",
                "closes": wrong[1].get(f"{name}-closes", "")
                if is_wrong
                else f"{now[name].closes:g}",
                "usual": drift.BOUNDS[name],
                "error": wrong[2].get(name, "") if is_wrong else "",
            }
            for name in (drift.PER_POLICY if policy else drift.PER_PLATFORM)
        ],
    }


def _typed(request: HttpRequest, policy: Policy | None) -> dict[str, tuple[float, float]]:
    found, wrong = {}, {}
    for name in drift.PER_POLICY if policy else drift.PER_PLATFORM:
        given = [request.POST.get(f"{name}-{end}", "") for end in ("opens", "closes")]
        try:
            opens, closes = (float(one.strip().replace(",", ".")) for one in given)
        except ValueError:
            wrong[name] = _("Give two numbers.")
            continue
        found[name] = (opens, closes)
    if wrong:
        raise Invalid(_("Some bounds make no sense."), details=wrong)
    return found


def _url(platform: Platform) -> str:
    return f"{reverse('mlhooks:monitoring')}?platform={platform.slug}"


def _platform(request: HttpRequest, pk: int, *, verb: str) -> Platform:
    return access.get(request.user, verb, Platform.objects.all(), "pk", pk=pk)
