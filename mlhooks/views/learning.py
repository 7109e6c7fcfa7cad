"""Learning: the rounds that fill the lane, their settings, and what the lane has been worth."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from mlhooks import curve_charts, curves, rounds
from mlhooks.models import LearningCurve, LearningRound, RoundPool
from reviews import access
from reviews.errors import Invalid
from reviews.models import Person, Platform, Policy

from .snapshots import platforms_of

SHOWN = 20
STRATEGY_WORDS = {
    "default": gettext_lazy("The product's blend: top risk, near the threshold, and evenly"),
    "random": gettext_lazy("Evenly"),
    "risk": gettext_lazy("The highest probabilities"),
    "band": gettext_lazy("Nearest to the policy's threshold"),
    "least_confidence": gettext_lazy("The least sure answers"),
    "margin": gettext_lazy("The smallest lead of one answer over the other"),
    "entropy": gettext_lazy("The most open answers"),
    "anchor": gettext_lazy("Near the threshold, among neighbours of known violations"),
    "typiclust": gettext_lazy("Typical texts of groups nobody has looked at"),
    "k_center": gettext_lazy("Farthest from all that is labelled"),
    "badge": gettext_lazy("Unsure and unlike each other"),
}
LEFT_OUT_WORDS = {
    "split": gettext_lazy("stand on the validation or test side, which no training sees"),
    "vector": gettext_lazy("have no stored vector of the champion's encoder yet"),
    "score": gettext_lazy("have not been scored by the champion yet"),
}
FIELDS = {
    "every_hours": (
        gettext_lazy("Hours between rounds"),
        gettext_lazy("A worker draws the next one when they are over."),
    ),
    "size": (
        gettext_lazy("Items a round"),
        gettext_lazy("On average: each is drawn on its own, so it may be a few more or less."),
    ),
    "per_account": (
        gettext_lazy("Of one account, at most"),
        gettext_lazy("On average; empty for no limit."),
    ),
    "per_cluster": (
        gettext_lazy("Of one near-duplicate group, at most"),
        gettext_lazy("On average; empty for no limit."),
    ),
}


@require_GET
def learning(request: HttpRequest) -> HttpResponse:
    access.check(request.user, "model.view")
    return _page(request, _chosen(request))


@require_GET
def round_list(request: HttpRequest, platform_pk: int) -> HttpResponse:
    """Fragment: the newest rounds; it asks for itself while one is being drawn."""
    platform = _platform(request, platform_pk, verb="model.view")
    return render(request, "mlhooks/_rounds.html", rounds_context(request.user, platform))


@require_GET
def round_detail(request: HttpRequest, pk: int) -> HttpResponse:
    row = _round(request.user, pk)
    return render(
        request,
        "mlhooks/round_detail.html",
        {
            "round": row,
            "is_open": row.state in (LearningRound.State.WAITING, LearningRound.State.RUNNING),
            "strategy_words": STRATEGY_WORDS.get(row.strategy, row.strategy),
            "left_out": _left_out(row),
            "draws": row.draws.select_related("queue").order_by("pk"),
            "has_pool": RoundPool.objects.filter(pk=row.pk).exists(),
            "code": _code(row),
        },
    )


@require_GET
def round_pool(request: HttpRequest, pk: int) -> HttpResponse:
    row = _round(request.user, pk)
    pool = access.get(
        request.user, "model.view", RoundPool.objects.all(), "learning_round__platform", pk=row.pk
    )
    response = HttpResponse(bytes(pool.table), content_type="application/vnd.apache.parquet")
    response["Content-Disposition"] = f'attachment; filename="round-{row.pk}-pool.parquet"'
    return response


@require_POST
def round_draw(request: HttpRequest, platform_pk: int) -> HttpResponse:
    platform = _platform(request, platform_pk, verb="round.draw")
    rounds.start_round(platform, by=request.user)
    messages.success(request, _("A worker draws the round now."))
    return redirect(_url(platform))


@require_POST
def round_settings(request: HttpRequest, platform_pk: int) -> HttpResponse:
    platform = _platform(request, platform_pk, verb="round.edit")
    try:
        rounds.save_settings(platform, by=request.user, **_read(request))
    except Invalid as error:
        return _page(request, platform, errors=error.details, status=422)
    messages.success(request, _("Saved: how rounds are drawn."))
    return redirect(_url(platform))


def curve_context(curve: LearningCurve | None) -> dict:
    """A ready curve as it is drawn; nothing without one."""
    if curve is None:
        return {}
    policies = Policy.objects.filter(platform=curve.platform_id).order_by("position", "pk")
    names = dict(policies.values_list("slug", "name"))
    figures, lanes = curve.figures, curve.figures["lanes"]
    return {
        "curve": curve,
        "figures": figures,
        "curve_policies": [
            {
                "name": name,
                "plot": curve_charts.curve_plot(name, one, prefix=f"l{number}"),
                **one,
            }
            for number, (slug, name) in enumerate(names.items())
            if (one := figures["policies"].get(slug))
        ],
        "yield": curve_charts.yield_plot(lanes),
        "yields": [
            (name, curve_charts.yield_cells(lanes, slug))
            for slug, name in names.items()
            if slug in lanes["learning"]["policies"]
        ],
    }


def rounds_context(person: Person, platform: Platform) -> dict:
    rows = LearningRound.objects.filter(platform=platform)
    rows = rows.select_related("model_version", "created_by").order_by("-id")
    newest = list(rows[:SHOWN])
    return {
        "platform": platform,
        "rounds": newest,
        "is_drawing": any(
            one.state in (LearningRound.State.WAITING, LearningRound.State.RUNNING)
            for one in newest
        ),
        "may_draw": access.may(person, "round.draw"),
    }


def _page(
    request: HttpRequest,
    platform: Platform | None,
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict = {"platforms": platforms_of(request.user), "platform": platform}
    if platform is not None:
        own = rounds.settings_of(platform)
        context |= {
            **rounds_context(request.user, platform),
            **curve_context(curves.newest_ready(platform)),
            "newest_curve": curves.newest(platform),
            "settings": own,
            "may_edit": access.may(request.user, "round.edit"),
            "is_on": request.POST.get("is_on") == "on" if errors else own.is_on,
            "strategies": [(name, STRATEGY_WORDS[name]) for name in rounds.STRATEGIES],
            "strategy": request.POST.get("strategy", own.strategy) if errors else own.strategy,
            "strategy_words": STRATEGY_WORDS.get(own.strategy, own.strategy),
            "is_wrong": bool(errors),
            "strategy_error": (errors or {}).get("strategy", ""),
            "fields": [
                {
                    "name": name,
                    "label": label,
                    "hint": hint,
                    "value": request.POST.get(name, "") if errors else _shown(getattr(own, name)),
                    "error": (errors or {}).get(name, ""),
                }
                for name, (label, hint) in FIELDS.items()
            ],
        }
    return render(request, "mlhooks/learning.html", context, status=status)


def _chosen(request: HttpRequest) -> Platform | None:
    """The one that ?platform= names, else her first; None where she has none."""
    platforms = platforms_of(request.user)
    slug = request.GET.get("platform", "")
    if slug:
        return access.get_platform(request.user, "model.view", slug)
    return platforms[0] if platforms else None


def _read(request: HttpRequest) -> dict:
    """What was typed; a field that is no number stays what it is, for the service to refuse."""
    found: dict = {
        "is_on": request.POST.get("is_on") == "on",
        "strategy": request.POST.get("strategy", ""),
    }
    for name in FIELDS:
        text = request.POST.get(name, "").strip()
        is_number = text.isascii() and text.isdecimal() and len(text) < 9
        found[name] = int(text) if is_number else text or None
    return found


def _left_out(row: LearningRound) -> list[tuple[int, str]]:
    return [
        (count, LEFT_OUT_WORDS[reason])
        for reason, count in row.left_out.items()
        if count and reason in LEFT_OUT_WORDS
    ]


def _code(row: LearningRound) -> str:
    """Python that draws it again from its pool."""
    return "\n".join(
        [
            "import pyarrow.parquet as pq",
            "from reviews.models import Draw",
            "from reviews.routing import draw_value",
            "",
            f'pool = pq.read_table("round-{row.pk}-pool.parquet").to_pylist()',
            f"for draw in Draw.objects.filter(learning_rounds={row.pk}):",
            '    stream = draw.parameters["stream"]',
            "    print(draw.queue.slug, [",
            '        one["item_id"] for one in pool if one["queue_id"] == draw.queue_id',
            '        and draw_value(draw.seed, one["item_id"], stream=stream) < one["probability"]',
            "    ])",
        ]
    )


def _shown(value: int | None) -> str:
    return "" if value is None else str(value)


def _url(platform: Platform) -> str:
    return f"{reverse('mlhooks:learning')}?platform={platform.slug}"


def _platform(request: HttpRequest, pk: int, *, verb: str) -> Platform:
    return access.get(request.user, verb, Platform.objects.all(), "pk", pk=pk)


def _round(person: Person, pk: int) -> LearningRound:
    rows = LearningRound.objects.select_related("platform", "model_version", "created_by")
    return access.get(person, "model.view", rows, "platform", pk=pk)
