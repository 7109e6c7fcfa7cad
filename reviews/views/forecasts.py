"""The week to come: when which queue breaks its promise, what would help, and who is on duty."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_GET, require_http_methods

from reviews import (
    access,
    charts,
    claims,
    forecast,
    history,
    planning,
    presence,
    revisions,
    week_charts,
)
from reviews.errors import Invalid, NotFound
from reviews.models import Platform, Queue, Roster

from .tables import csv_response

SHORT_HOURS = 14 * 24  # below it the page says how little it stands on
SPARE_ROWS = 6
DAYS = [("all", lazy("Every day")), ("week", lazy("Weekdays")), *WEEKDAYS.items()]


@require_GET
def forecast_list(request: HttpRequest) -> HttpResponse:
    """All queues of a platform, hour by hour."""
    platforms = list(
        access.visible(request.user, "replay.view", Platform.objects.order_by("name"), "pk")
    )
    chosen = request.GET.get("platform", "")
    platform = next((one for one in platforms if one.slug == chosen), None)
    platform = platform or (platforms[0] if platforms else None)
    now = claims.clock()
    context = {"platforms": platforms, "platform": platform}
    if platform is not None:
        queues = list(platform.queues.filter(is_archived=False))
        what_if, context["wrong"] = _what_if(request, queues)
        outlooks = planning.look_ahead(platform, now=now, what_if=what_if)
        if request.GET.get("format") == "csv":
            return _csv(platform, outlooks, now)
        context |= _list_context(request, outlooks, what_if, now) | {"queues": queues}
    return render(
        request, "reviews/forecast.html", context, status=422 if context.get("wrong") else 200
    )


@require_GET
def forecast_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One queue: what waits, what comes, who is on duty and who would be needed."""
    rows = Queue.objects.select_related("platform")
    queue = access.get(request.user, "replay.view", rows, "platform", slug=slug)
    now = claims.clock()
    queues = list(queue.platform.queues.filter(is_archived=False))
    what_if, wrong = _what_if(request, queues)
    outlooks = planning.look_ahead(
        queue.platform, now=now, what_if=what_if, with_needed=[queue.slug]
    )
    outlook = next((one for one in outlooks if one.queue.pk == queue.pk), None)
    context = {"queue": queue, "queues": queues, "wrong": wrong, "what_if": what_if}
    if outlook is not None:
        context |= _shared(request, outlook.load.hours_seen) | {
            "row": _row(outlook, now),
            "plots": _plots(outlook, now),
            "outlook": outlook,
        }
    return render(request, "reviews/forecast_detail.html", context, status=422 if wrong else 200)


@require_http_methods(["GET", "POST"])
def roster(request: HttpRequest, slug: str) -> HttpResponse:
    """A queue's week of shifts; POST saves the whole, or puts an old one back."""
    verb = "roster.edit" if request.method == "POST" else "replay.view"
    rows = Queue.objects.select_related("platform", "roster").prefetch_related("roster__shifts")
    queue = access.get(request.user, verb, rows, "platform", slug=slug)
    shifts = [one._asdict() for one in planning.times_of(queue)]
    wrong: dict[str, str] = {}
    if request.method == "POST":
        shifts = _posted(request)
        try:
            if "restore" in request.POST:
                _restore(request, queue)
            else:
                planning.save_roster(
                    queue,
                    planning.read_times(shifts),
                    by=request.user,
                    note=request.POST.get("note", "").strip()[:300],
                )
                messages.success(
                    request, _("The roster is saved. The forecast uses it from now on.")
                )
            return redirect("reviews:roster", queue.slug)
        except Invalid as error:
            wrong = error.details
    elif "suggest" in request.GET:
        shifts = [one._asdict() for one in _suggestion(queue)]
        if not shifts:
            messages.info(
                request, _("Nobody worked this queue lately, so there is nothing to take.")
            )
    for number, shift in enumerate(shifts):
        shift["wrong"] = wrong.get(str(number))
    saved = getattr(queue, "roster", None)
    context = {
        "queue": queue,
        "shifts": shifts + [{}] * SPARE_ROWS,
        "weekdays": list(WEEKDAYS.items()),
        "grid": _grid(presence.roster_hours(queue) or {}),
        "wrong": wrong,
        "is_suggestion": "suggest" in request.GET,
        "steps": revisions.steps(saved, most=10) if saved else [],
        "may_edit": access.may(request.user, "roster.edit"),
    }
    return render(request, "reviews/roster.html", context, status=422 if wrong else 200)


def _posted(request: HttpRequest) -> list[dict]:
    """Rows that say anything beyond their weekday."""
    names = planning.Times._fields
    columns = zip(*(request.POST.getlist(name) for name in names), strict=False)
    rows = [dict(zip(names, cells, strict=True)) for cells in columns]
    return [row for row in rows if row["starts"] or row["ends"] or row["headcount"]]


def _restore(request: HttpRequest, queue: Queue) -> None:
    saved = Roster.objects.filter(queue=queue).first()
    number = request.POST["restore"]
    old = None
    if saved is not None and number.isascii() and number.isdigit():
        old = revisions.history(saved).filter(number=int(number[:9])).first()
    if old is None:
        raise NotFound(_("There is no such revision of this roster."))
    planning.save_roster(queue, planning.restore_times(old), by=request.user, restores=old)
    messages.success(request, _("Revision %(number)s is back.") % {"number": old.number})


def _suggestion(queue: Queue) -> list[planning.Times]:
    now = claims.clock()
    for load in history.read_load(queue.platform, now=now, is_past=True):
        if load.queue.pk == queue.pk:
            return planning.suggest_times(load.situation.people.tolist())
    return []


def _grid(people: dict[int, float]) -> list[dict]:
    return [
        {
            "name": name,
            "hours": [round(people.get(day * 24 + hour, 0)) for hour in range(24)],
            "total": round(sum(people.get(day * 24 + hour, 0) for hour in range(24))),
        }
        for day, name in WEEKDAYS.items()
    ]


def _what_if(
    request: HttpRequest, queues: Sequence[Queue]
) -> tuple[planning.WhatIf | None, dict[str, str]]:
    try:
        return planning.read_what_if(request.GET.dict(), queues) or None, {}
    except Invalid as error:
        return None, error.details


def _shared(request: HttpRequest, hours_seen: int) -> dict:
    return {
        "days": [(str(value), label) for value, label in DAYS],
        "values": request.GET.dict(),
        "query": request.GET.urlencode(),
        "history_days": round(hours_seen / 24),
        "is_short": hours_seen < SHORT_HOURS,
    }


def _list_context(
    request: HttpRequest,
    outlooks: Sequence[planning.Outlook],
    what_if: planning.WhatIf | None,
    now: datetime,
) -> dict:
    labels, days = _labels(now)
    strips = [
        week_charts.Strip(one.queue.name, (one.changed or one.forecast).late_share.tolist())
        for one in outlooks
    ]
    return _shared(request, max((one.load.hours_seen for one in outlooks), default=0)) | {
        "rows": [_row(one, now) for one in outlooks],
        "plot": week_charts.heat_plot(strips, labels, days) if outlooks else None,
        "what_if": what_if,
        "changes": [
            f"{one.queue.name} {_change_words(one.change)}" for one in outlooks if one.change
        ],
    }


def _row(outlook: planning.Outlook, now: datetime) -> dict:
    """One queue's figures, as they stand and under the what-if."""
    found, situation = outlook.forecast, outlook.load.situation
    return {
        "queue": outlook.queue,
        "words": planning.in_words(outlook, now),
        "changed_words": planning.in_words(outlook, now, changed=True) if outlook.changed else "",
        "is_bad": found.is_broken or found.break_chance >= 0.5,
        "waiting": situation.backlog,
        "late": _quantiles(found.late_jobs),
        "jobs": _quantiles(found.jobs - situation.backlog),
        "change": outlook.change,
        "change_words": _change_words(outlook.change) if outlook.change else "",
        "person_hours": round(float(found.people.sum())),
        "handling_seconds": round(situation.handling.mean),
        "has_roster": outlook.load.has_roster,
    }


def _change_words(change: forecast.Change) -> str:
    low, high = charts.signed(change.low), charts.signed(change.high)
    words = _("%(count)s late items (%(low)s to %(high)s)")
    return words % {"count": charts.signed(change.late_jobs), "low": low, "high": high}


def _quantiles(values) -> dict[str, float]:
    ordered = sorted(values.tolist())
    return {
        name: ordered[min(int(share * len(ordered)), len(ordered) - 1)]
        for name, share in (("low", 0.1), ("value", 0.5), ("high", 0.9))
    }


def _plots(outlook: planning.Outlook, now: datetime) -> list[charts.Plot]:
    labels, days = _labels(now)
    found, changed = outlook.forecast, outlook.changed
    waiting = [week_charts.Series(_("waiting"), "candidate", *_band(found.waiting))]
    overdue = [week_charts.Series(_("overdue"), "series-2", *_band(found.overdue))]
    if changed is not None:
        waiting.append(
            week_charts.Series(_("under the what-if"), "champion", changed.waiting[1].tolist())
        )
        overdue.append(
            week_charts.Series(_("under the what-if"), "champion", changed.overdue[1].tolist())
        )
    first = outlook.load.situation.first_hour
    needed = outlook.needed or [0.0] * forecast.HOURS
    return [
        week_charts.week_plot(
            waiting,
            labels,
            days,
            id="waiting",
            title=_("What waits"),
            description=_("Items at the end of each hour; the band holds 80 % of the paths."),
            y_label=_("Items"),
        ),
        week_charts.week_plot(
            overdue,
            labels,
            days,
            id="overdue",
            title=_("What is overdue"),
            description=_("Items past their time at the end of each hour, with their 80 % band."),
            y_label=_("Items"),
        ),
        week_charts.week_plot(
            [week_charts.Series(_("comes in"), "series-3", *_band(found.arrivals))],
            labels,
            days,
            id="arrivals",
            title=_("What comes in"),
            description=_("Items an hour, with their 80 % band."),
            y_label=_("Items an hour"),
        ),
        week_charts.week_plot(
            [
                week_charts.Series(_("on duty"), "candidate", found.people.tolist()),
                week_charts.Series(_("needed"), "series-2", needed[first:] + needed[:first]),
            ],
            labels,
            days,
            id="people",
            title=_("On duty, and needed"),
            description=_(
                "People by hour. Needed: so that each hour’s items are answered in time with "
                "95 % chance, once what waits now is done."
            ),
            y_label=_("People"),
            is_step=True,
        ),
    ]


def _band(band) -> tuple[list[float], list[float], list[float]]:
    """Middle, low, high, as a Series takes them."""
    return band[1].tolist(), band[0].tolist(), band[2].tolist()


def _labels(now: datetime) -> tuple[list[str], list[charts.Tick]]:
    """A name for every hour, and where local days begin."""
    labels, days = [], []
    for hour in range(forecast.HOURS):
        moment = timezone.localtime(planning.moment_of(now, hour))
        labels.append(f"{date_format(moment, 'D H')}:00")
        if moment.hour == 0:
            days.append(charts.Tick(hour, date_format(moment, "l")))
    return labels, days


def _csv(platform: Platform, outlooks: Sequence[planning.Outlook], now: datetime) -> HttpResponse:
    head = ["queue", "from", "late_chance", "waiting", "waiting_low", "waiting_high", "people"]
    lines = []
    for outlook in outlooks:
        found = outlook.changed or outlook.forecast
        for hour in range(forecast.HOURS):
            low, middle, high = found.waiting[:, hour].round(1).tolist()
            lines.append(
                (
                    outlook.queue.slug,
                    planning.moment_of(now, 0) + timedelta(hours=hour),
                    round(float(found.late_share[hour]), 4),
                    middle,
                    low,
                    high,
                    float(found.people[hour]),
                )
            )
    return csv_response(f"forecast-{platform.slug}.csv", head, lines)
