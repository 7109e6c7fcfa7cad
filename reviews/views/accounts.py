"""One account: its record, and its items as a list that can be searched."""

from datetime import datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from reviews import access, accounts, history_charts
from reviews.charts import Plot
from reviews.models import Account, Decision, Item, Report, Verdict

from .items import put_lines
from .review import language_name
from .tables import csv_response

PAGE = 50
_MOST_ROWS_DRAWN = 5

STANDS = {
    "violating": gettext_lazy("Violating"),
    "clean": gettext_lazy("Clean"),
    "undecided": gettext_lazy("Not decided"),
    "waiting": gettext_lazy("Waiting in a queue"),
}


class Line(NamedTuple):
    """A row of the list."""

    item: Item
    decision: Decision | None
    is_waiting: bool


class Search(NamedTuple):
    """What the URL asks for, in types; `errors` by field."""

    values: dict
    errors: dict[str, str]


@require_GET
def account_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Filters in the URL: ?q= ?stands= ?policy= ?kind= ?reported= ?since= ?until=; ?before=<id>
    goes on where the page before ended."""
    account = access.get_account(request.user, pk)
    hidden = accounts.hidden_items(request.user, account)
    search = _search(request)
    before = request.GET.get("before", "")
    found = accounts.find_items(
        account,
        hidden=hidden,
        limit=PAGE + 1,
        before=int(before) if before.isdecimal() and len(before) < 19 else None,
        **search.values,
    )
    lines = _lines(found[:PAGE])
    if request.GET.get("format") == "csv":
        return _csv(account, lines)
    summary = accounts.summary(account, hidden=hidden)
    strikes = accounts.strikes(account, hidden=hidden)
    now = timezone.now()
    query = request.GET.copy()
    for gone in ("before", "format"):
        query.pop(gone, None)
    may_see_cluster = access.may(request.user, "cluster.view")
    return render(
        request,
        "reviews/account_detail.html",
        {
            "account": account,
            "summary": summary,
            "languages": [(language_name(code), n) for code, n in summary.languages],
            "reasons": [
                (Report.Source(source).label, reason, n) for source, reason, n in summary.reasons
            ],
            "strikes": strikes,
            "counting": sum(strike.counts(now) for strike in strikes),
            "now": now,
            "plot": _plot(summary),
            "same": accounts.senders_of_the_same(account, hidden=hidden) if may_see_cluster else [],
            "lines": lines,
            "next": found[PAGE - 1].item_id if len(found) > PAGE else None,
            "is_first": not before,
            "query": query.urlencode(),
            "filters": request.GET.dict(),
            "is_filtered": any(search.values.values()) or bool(search.errors),
            "errors": search.errors,
            "stands": STANDS.items(),
            "policies": summary.policies,
            "kinds": account.platform.kinds.order_by("name"),
            "api_url": _api_url(account),
            "looks_on": access.may(request.user, "job.view"),
        },
    )


def _api_url(account: Account) -> str:
    # Not reversed with the id itself: it may hold what no path matches.
    return reverse("reviews_api:account", args=["-"])[:-1] + quote(account.external_id, safe="")


def _search(request: HttpRequest) -> Search:
    asked = request.GET
    errors = {}
    days: dict[str, datetime | None] = {"since": None, "until": None}
    for name, extra in (("since", 0), ("until", 1)):
        if not (text := asked.get(name, "").strip()):
            continue
        try:
            day = parse_date(text)
        except ValueError:
            day = None
        if day is None:
            errors[name] = _("Give a day as year-month-day, such as 2026-11-24.")
            continue
        midnight = datetime.combine(day, time.min, timezone.get_current_timezone())
        days[name] = midnight + timedelta(days=extra)
    stands = asked.get("stands", "")
    values = {
        "text": asked.get("q", "").replace("\x00", "").strip(),
        "stands": stands if stands in STANDS else "",
        "policy": asked.get("policy", "").replace("\x00", ""),
        "kind": asked.get("kind", "").replace("\x00", ""),
        "reported": bool(asked.get("reported")),
        **days,
    }
    return Search(values, errors)


def _lines(rows: list[accounts.Row]) -> list[Line]:
    items = Item.objects.select_related("kind").in_bulk([row.item_id for row in rows])
    put_lines(items.values())
    decisions = Decision.objects.prefetch_related("policy_versions__policy").in_bulk(
        [row.decision_id for row in rows if row.verdict]
    )
    return [
        Line(items[row.item_id], decisions.get(row.decision_id), row.job_state is not None)
        for row in rows
    ]


def _plot(summary: accounts.Summary) -> Plot | None:
    """Violating decisions by policy, the most broken ones first, and clean ones below them."""
    drawn = [(one.slug, one.name) for one in summary.policies[:_MOST_ROWS_DRAWN]]
    if any(key == Verdict.VIOLATING for _week, key, _n in summary.weeks):
        drawn.append((Verdict.VIOLATING.value, _("Violating, no policy")))
    rows = [
        history_charts.Row(
            name, "bar-violating", {week: n for week, key, n in summary.weeks if key == slug}
        )
        for slug, name in drawn
    ]
    clean = {week: n for week, key, n in summary.weeks if key == Verdict.CLEAN}
    if clean:
        rows.append(history_charts.Row(str(Verdict.CLEAN.label), "bar-clean", clean))
    words = history_charts.Words(
        _("Decisions that stand, over time"),
        _("A row for each policy, all to one scale; the figure beside a name is their number."),
        _("From"),
    )
    return history_charts.rows_plot(rows, words, until=timezone.localdate(), id="decisions")


def _csv(account: Account, lines: list[Line]) -> HttpResponse:
    return csv_response(
        f"account-{account.pk}.csv",
        [
            *("item", "kind", "external_id", "submitted_at", "language", "reports"),
            *("verdict", "policies", "decided_at", "is_waiting", "text"),
        ],
        (
            (
                line.item.pk,
                line.item.kind.slug,
                line.item.external_id,
                line.item.submitted_at,
                line.item.language,
                line.item.report_count,
                line.decision.verdict if line.decision else None,
                " ".join(one.policy.slug for one in line.decision.policy_versions.all())
                if line.decision
                else None,
                line.decision.decided_at if line.decision else None,
                line.is_waiting,
                line.item.line,
            )
            for line in lines
        ),
    )
