"""Draws: which jobs were drawn, from how many, with which chance; and drawing a sample by hand."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from reviews import access, draw_pools, draws, sampling
from reviews.errors import Conflict, Invalid
from reviews.models import Draw, Job, Lane, Queue

from .items import put_lines
from .tables import csv_response

PAGE = 50
_SHOWN = 100  # jobs of a draw on its page; its CSV has them all
_FILTERS = ("queue", "lane", "strategy", "by")


@require_GET
def draw_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by key with ?before=; those that drew nobody only with ?empty=1."""
    rows = access.visible(request.user, "job.view", Draw.objects.all(), "queue__platform")
    asked = request.GET
    if not asked.get("empty"):
        rows = rows.exclude(drawn=0)
    if asked.get("queue"):
        rows = rows.filter(queue__slug=asked["queue"])
    if asked.get("lane") in Lane.values:
        rows = rows.filter(lane=asked["lane"])
    if asked.get("strategy") in Draw.Strategy.values:
        rows = rows.filter(strategy=asked["strategy"])
    if asked.get("by") == "hand":
        rows = rows.exclude(created_by=None)
    if asked.get("before", "").isdecimal():
        rows = rows.filter(pk__lt=min(int(asked["before"]), 2**62))
    found = list(rows.select_related("queue", "created_by").order_by("-pk")[: PAGE + 1])
    if asked.get("format") == "csv":
        return _list_csv(found[:PAGE])
    queues = access.visible(request.user, "queue.view", Queue.objects.all(), "platform")
    query = asked.copy()
    query.pop("before", None)
    return render(
        request,
        "reviews/draw_list.html",
        {
            "draws": found[:PAGE],
            "queues": queues.order_by("name"),
            "lanes": [pair for pair in Lane.choices if pair[0] != Lane.RISK],
            "strategies": Draw.Strategy.choices,
            "filters": {name: asked.get(name, "") for name in (*_FILTERS, "empty")},
            "query": query.urlencode(),
            "next": found[PAGE - 1].pk if len(found) > PAGE else None,
        },
    )


@require_GET
def draw_detail(request: HttpRequest, pk: int) -> HttpResponse:
    draw = access.get_draw(request.user, pk)
    jobs = draw.jobs.select_related("item__kind").order_by("-inclusion_probability", "pk")
    if request.GET.get("format") == "csv":
        return _jobs_csv(draw, jobs)
    # An item whose decision was taken back has a job more, by the same draw.
    probabilities = list(dict(jobs.values_list("item", "inclusion_probability")).values())
    bins = sampling.histogram(probabilities)
    most = max((count for _rest, _rest, count in bins), default=1)
    shown = list(jobs[:_SHOWN])
    put_lines(job.item for job in shown)
    for job in shown:
        job.weight = 1 / job.inclusion_probability
    return render(
        request,
        "reviews/draw_detail.html",
        {
            "draw": draw,
            "jobs": shown,
            "held": len(probabilities),
            "bins": [(low, high, count, count / most) for low, high, count in bins],
            "expected": _expected(draw),
            "code": _code(draw),
            "parameters": [
                (name, _short(value)) for name, value in sorted(draw.parameters.items())
            ],
            "round_id": draw.parameters.get("round"),
            "may_see_models": access.may(request.user, "model.view"),
            "is_sampled": draw.strategy.startswith("poisson"),
        },
    )


@require_http_methods(["GET", "POST"])
def draw_create(request: HttpRequest, slug: str) -> HttpResponse:
    queue = access.get_queue_to_draw_from(request.user, slug)
    errors: dict[str, str] = {}
    status = 200
    if request.method == "POST":
        try:
            draw = draws.draw_jobs(queue, by=request.user, **_typed(request))
        except Invalid as invalid:
            errors, status = invalid.details, invalid.status
        except Conflict as conflict:
            errors, status = {"lane": str(conflict)}, conflict.status
        else:
            messages.success(
                request,
                _("Drawn: %(drawn)s of %(pool_size)s. They wait in their lane now.")
                % {"drawn": draw.drawn, "pool_size": draw.pool_size},
            )
            return redirect("reviews:draw-detail", pk=draw.pk)
    return render(
        request, "reviews/draw_form.html", form_context(request, queue, errors), status=status
    )


def form_context(
    request: HttpRequest, queue: Queue, errors: dict[str, str] | None = None
) -> dict[str, object]:
    """What the form shows, as typed before; pools as they are now."""
    sizes = draw_pools.sizes(queue)
    return {
        "queue": queue,
        "lanes": [(lane, Lane(lane).label, sizes[lane]) for lane in draws.MANUAL_LANES],
        "strategies": [(one, one.label) for one in draws.STRATEGIES],
        "most_in_pool": draw_pools.MOST_IN_POOL,
        "values": {
            "lane": request.POST.get("lane", Lane.LEARNING),
            "strategy": request.POST.get("strategy", Draw.Strategy.POISSON_BAND),
            "expected": request.POST.get("expected", "50"),
            "seed": request.POST.get("seed", ""),
        },
        "errors": errors or {},
    }


def _typed(request: HttpRequest) -> dict:
    post = request.POST
    seed = post.get("seed", "").strip()
    try:
        expected = float(post.get("expected", ""))
    except ValueError:
        expected = 0.0
    return {
        "lane": post.get("lane", ""),
        "strategy": post.get("strategy", ""),
        "expected": expected,
        "seed": None if not seed else int(seed) if seed.isdecimal() and len(seed) < 20 else -1,
    }


def _expected(draw: Draw) -> float | None:
    """How many were to be expected, where that is kept."""
    if draw.probability is not None and draw.pool_size is not None:
        return draw.probability * draw.pool_size
    return draw.parameters.get("expected")


def _code(draw: Draw) -> str:
    """Python that draws it again."""
    stream = draw.parameters.get("stream", "")
    values = f"{draw.seed}, item_id" + (f', stream="{stream}"' if stream else "")
    lines = ["from reviews.routing import draw_value", ""]
    if draw.strategy == Draw.Strategy.ROUND:
        lines += [
            f"# probability: that of the item in the pool of round {draw.parameters['round']}",
            f"is_drawn = draw_value({values}) < probability",
        ]
    elif "scale" in draw.parameters:
        lines[:1] = [
            "from reviews.models import Draw",
            "from reviews.routing import draw_value",
            "from reviews.sampling import from_parameters",
        ]
        lines += [
            f"draw = Draw.objects.get(pk={draw.pk})",
            "plan = from_parameters(draw.strategy, draw.parameters)",
        ]
        if draw.parameters.get("thresholds"):
            lines[2] = "from reviews.sampling import from_parameters, relative"
            lines += [
                'thresholds = draw.parameters["thresholds"]',
                "risk = max(relative(p, thresholds.get(slug, 0.5)) for slug, p in risks.items())",
            ]
        else:
            lines.append("# risk: the highest of the queue's policies")
        lines += [
            f"is_drawn = draw_value({values}) < plan.probability(risk)",
        ]
    else:
        chance = "job.inclusion_probability" if draw.probability is None else repr(draw.probability)
        lines.append(f"is_drawn = draw_value({values}) < {chance}")
    return "\n".join(lines)


def _short(value: object) -> str:
    """To read; whoever draws again takes the row's own."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_short(one) for one in value)
    return str(value)


def _jobs_csv(draw: Draw, jobs: Iterable[Job]) -> HttpResponse:
    head = ["job", "item", "external_id", "kind", "lane", "state", "inclusion_probability"]
    return csv_response(
        f"draw-{draw.pk}.csv",
        head,
        (
            (
                job.pk,
                job.item_id,
                job.item.external_id,
                job.item.kind.slug,
                job.lane,
                job.state,
                job.inclusion_probability,
            )
            for job in jobs
        ),
    )


def _list_csv(rows: Iterable[Draw]) -> HttpResponse:
    head = ["draw", "at", "queue", "lane", "strategy", "probability", "seed", "pool", "drawn"]
    return csv_response(
        "draws.csv",
        [*head, "model_version", "by"],
        (
            (
                one.pk,
                one.created_at,
                one.queue.slug,
                one.lane,
                one.strategy,
                one.probability,
                one.seed,
                one.pool_size,
                one.drawn,
                one.model_version,
                one.created_by.username if one.created_by else "system",
            )
            for one in rows
        ),
    )
