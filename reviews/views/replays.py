"""Replays of a queue's past: ask for one, watch it, read what it found."""

from datetime import timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from reviews import access, charts, claims, history, presence, replay, replays
from reviews.errors import Invalid
from reviews.models import Queue, ReplayRun, Report
from reviews.wording import figure

from .tables import csv_response

DAYS = 28
LISTED = 30


@require_http_methods(["GET", "POST"])
def replay_list(request: HttpRequest, slug: str) -> HttpResponse:
    """A queue's replays, and the form for the next; POST asks for one."""
    verb = "replay.run" if request.method == "POST" else "replay.view"
    rows = Queue.objects.select_related("platform", "roster")
    queue = access.get(request.user, verb, rows, "platform", slug=slug)
    wrong: dict[str, str] = {}
    if request.method == "POST":
        try:
            run = _start(request, queue)
        except Invalid as error:
            wrong = error.details
        else:
            return redirect("reviews:replay-detail", run.pk)
    roster = presence.roster_hours(queue)
    values = request.POST or request.GET
    context = {
        "queue": queue,
        "fields": _fields(queue, values, wrong),
        "days": values.get("days", DAYS),
        "seed": values.get("seed", "0"),
        "staff": values.get("staff") or ("roster" if _prefers_roster(queue, roster) else "worked"),
        "has_roster": roster is not None,
        "wrong": wrong,
        "runs": queue.replay_runs.select_related("created_by").order_by("-pk")[:LISTED],
        "may_run": access.may(request.user, "replay.run"),
    }
    return render(request, "reviews/replay_list.html", context, status=422 if wrong else 200)


@require_GET
def replay_detail(request: HttpRequest, pk: int) -> HttpResponse:
    run = _get(request, pk)
    kind = request.GET.get("format")
    if kind == "json":
        return JsonResponse(_plain(run), json_dumps_params={"indent": 1})
    if kind == "csv" and run.result:
        return _csv(run)
    return render(request, "reviews/replay_detail.html", _context(request, run))


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: bar while it runs, figures when done; it asks for itself until then."""
    return render(request, "reviews/_replay_progress.html", _context(request, _get(request, pk)))


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    run = replays.cancel_replay(_get(request, pk, verb="replay.run"), by=request.user)
    messages.success(request, _("The replay was stopped."))
    return redirect("reviews:replay-detail", run.pk)


def _get(request: HttpRequest, pk: int, *, verb: str = "replay.view") -> ReplayRun:
    rows = ReplayRun.objects.select_related("platform", "queue", "created_by")
    return access.get(request.user, verb, rows, "platform", pk=pk)


def _start(request: HttpRequest, queue: Queue) -> ReplayRun:
    wrong: dict[str, str] = {}
    numbers = {}
    for name, least, most in (("days", 1, replays.MOST_DAYS), ("seed", 0, 2**31 - 1)):
        text = request.POST.get(name, "").strip()
        if text.isascii() and text.isdigit() and least <= int(text[:12]) <= most:
            numbers[name] = int(text)
        else:
            words = _("A whole number from %(least)s to %(most)s.")
            wrong[name] = words % {"least": least, "most": figure(most)}
    try:
        candidate = replays.read_candidate(queue, request.POST)
    except Invalid as error:
        wrong |= error.details
    if wrong:
        raise Invalid(_("Some of the numbers do not work; see beside them."), details=wrong)
    now = claims.clock()
    return replays.start_replay(
        queue,
        by=request.user,
        candidate=candidate,
        since=now - timedelta(days=numbers["days"]),
        until=now,
        staff=request.POST.get("staff", ""),
        seed=numbers["seed"],
    )


def _prefers_roster(queue: Queue, roster: dict | None) -> bool:
    """Where the last replay showed that the claims cannot have been real work."""
    last = queue.replay_runs.filter(state="done").order_by("-pk").first()
    return roster is not None and (last is None or not last.result["is_plausible"])


def _fields(queue: Queue, values, wrong: dict[str, str]) -> list[dict]:
    """The candidate's fields in groups, filled with what was typed or with today's."""
    today = history.read_parameters(queue)
    names = dict(queue.policies.values_list("slug", "name"))
    groups = [
        (
            _("Formula"),
            [
                (name, _(label), f"{getattr(today, name):g}")
                for name, (label, *_rest) in replays.FIELDS.items()
            ],
        ),
        (
            _("Severity weights"),
            [
                (f"weight_{slug}", names.get(slug, slug), f"{weight:g}")
                for slug, weight in today.severity_weights.items()
            ],
        ),
        (
            _("Answer within, by source of report (minutes, empty for none)"),
            [
                (f"sla_{source}", label, f"{today.sla_by_source[source]:g}")
                if source in today.sla_by_source
                else (f"sla_{source}", label, "")
                for source, label in Report.Source.choices
            ],
        ),
    ]
    return [
        {
            "title": title,
            "fields": [
                {
                    "name": name,
                    "label": label,
                    "today": now or _("none"),
                    "value": values.get(name, now),
                    "wrong": wrong.get(name),
                }
                for name, label, now in fields
            ],
        }
        for title, fields in groups
    ]


def _context(request: HttpRequest, run: ReplayRun) -> dict:
    context = {
        "run": run,
        "queue": run.queue,
        "percent": round(100 * run.fraction),
        "differences": replays.differences(run),
        "may_run": access.may(request.user, "replay.run"),
    }
    if run.result:
        changed = {one.name: one.candidate.replace("–", "") for one in context["differences"]}
        context |= {
            "sentences": replays.in_words(run),
            "caveats": replays.caveats(run),
            "plots": [
                plot
                for plot in (
                    charts.views_plot(run.result),
                    charts.curve_plot(run.result),
                    charts.promise_plot(run.result),
                )
                if plot is not None
            ],
            "rows": _rows(run),
            "use_url": f"/setup/queues/{run.queue.slug}/?{urlencode(changed)}" if changed else "",
            "may_edit": access.may(request.user, "queue.edit"),
            "stretch": {1.0: _("an hour"), 6.0: _("six hours"), 24.0: _("a day")}[
                run.result["block_hours"]
            ],
        }
    return context


def _rows(run: ReplayRun) -> list[dict]:
    """One order a row, its figures with intervals in words."""
    found = []
    for name in replay.ORDERS:  # jsonb keeps no order of its own
        figures = run.result["orders"][name]
        against = run.result["against"]["fifo"].get(name)
        found.append(
            {
                "name": capfirst(_(replay.WORDS[name])),
                "is_candidate": name == "candidate",
                "views": figure(figures["views"]["value"], 0),
                "against": _span(against["views"], charts.percent) if against else None,
                "p50": _span(figures["wait_p50"], charts.hours),
                "p90": _span(figures["wait_p90"], charts.hours),
                "in_time": _span(figures["in_time"], charts.percent),
                "clean": _span(figures["clean_wait"], charts.hours),
            }
        )
    return found


def _span(interval: dict, words) -> dict[str, str]:
    return {name: words(interval[name]) for name in ("value", "low", "high")}


def _csv(run: ReplayRun) -> HttpResponse:
    head = ["order", "metric", "value", "low", "high"]
    lines = []
    for name in replay.ORDERS:
        figures = run.result["orders"][name]
        for metric in replay.METRICS:
            one = figures[metric]
            lines.append((name, metric, one["value"], one["low"], one["high"]))
    for base, others in run.result["against"].items():
        for name, figures in others.items():
            for metric, one in figures.items():
                words = f"{metric} against {base}"
                lines.append((name, words, one["value"], one["low"], one["high"]))
    return csv_response(f"replay-{run.pk}.csv", head, lines)


def _plain(run: ReplayRun) -> dict:
    return {
        "id": run.pk,
        "queue": run.queue.slug,
        "since": run.since.isoformat(),
        "until": run.until.isoformat(),
        "staff": run.staff,
        "state": run.state,
        "today": run.today,
        "candidate": run.candidate,
        "seed": run.seed,
        "result": run.result,
    }
