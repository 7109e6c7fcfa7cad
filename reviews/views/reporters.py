"""Who reports, and how often she was right: records for those who answer for the queues."""

from django.core.paginator import Paginator
from django.db.models import F, FloatField, QuerySet
from django.db.models.functions import Cast, NullIf
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as lazy
from django.views.decorators.http import require_GET

from reviews import access, ranking
from reviews.models import Platform, Report, Reporter

from .tables import csv_response

PAGE = 50
SORTS = {
    "name": ("external_id",),
    "filed": ("-filed",),
    "settled": ("-settled",),
    "share": ("-share", "-settled"),
    "trust": ("-trust",),
    "last": ("-last_filed_at",),
}
_FILTERS = ("q", "source", "least")


@require_GET
def reporter_list(request: HttpRequest) -> HttpResponse:
    """Sorted by ?sort= (a minus turns it round), filtered by ?q=, ?source= and ?least=."""
    rows = access.visible(request.user, "setup.view", Reporter.objects.all(), "platform")
    sort = request.GET.get("sort", "filed")
    if sort.removeprefix("-") not in SORTS:
        sort = "filed"
    rows = _ordered(_filtered(request, rows), sort)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    for reporter in page.object_list:
        reporter.low, reporter.high = ranking.interval(reporter.upheld, reporter.settled)
        reporter.words = ranking.record(reporter.upheld, reporter.settled)
    if request.GET.get("format") == "csv":
        return _csv(page.object_list)
    platforms = Platform.objects.filter(pk__in=access.platform_ids(request.user))
    return render(
        request,
        "reviews/reporter_list.html",
        {
            "page": page,
            "heads": [_head(request, sort, *head) for head in _HEADS],
            "filters": {name: request.GET.get(name, "") for name in _FILTERS},
            "sources": Report.Source.choices,
            "bases": [
                (one.name, ranking.base_rate(one.reports_upheld, one.reports_settled), one)
                for one in platforms.order_by("name")
            ],
            "query": _query(request),
        },
    )


_HEADS = (
    ("name", lazy("Reporter"), False),
    ("", lazy("Source"), False),
    ("filed", lazy("Filed"), True),
    ("settled", lazy("Settled"), True),
    ("share", lazy("Upheld"), True),
    ("trust", lazy("Trust"), True),
    ("last", lazy("Last report"), True),
)


def _head(request: HttpRequest, sort: str, name: str, label: str, is_figure: bool) -> dict:
    """A column's head: a link that sorts by it, or turns the order round."""
    is_sorted = bool(name) and sort.removeprefix("-") == name
    is_reversed = sort.startswith("-")
    order = "other" if not is_sorted else "ascending" if _ascends(sort) else "descending"
    query = request.GET.copy()
    for gone in ("page", "format"):
        query.pop(gone, None)
    query["sort"] = f"-{name}" if is_sorted and not is_reversed else name
    url = f"?{query.urlencode()}" if name else ""
    return {"label": label, "url": url, "is_figure": is_figure, "order": order}


def _ascends(sort: str) -> bool:
    is_down = SORTS[sort.removeprefix("-")][0].startswith("-")
    return is_down == sort.startswith("-")


def _filtered(request: HttpRequest, rows: QuerySet[Reporter]) -> QuerySet[Reporter]:
    asked = request.GET
    if asked.get("q"):
        rows = rows.filter(external_id__icontains=asked["q"].replace("\x00", ""))
    if asked.get("source") in Report.Source.values:
        rows = rows.filter(source=asked["source"])
    if asked.get("least", "").isdecimal():
        rows = rows.filter(settled__gte=min(int(asked["least"]), 10**6))
    return rows


def _ordered(rows: QuerySet[Reporter], sort: str) -> QuerySet[Reporter]:
    share = Cast("upheld", FloatField()) / NullIf(Cast("settled", FloatField()), 0.0)
    order = []
    for name in SORTS[sort.removeprefix("-")]:
        is_down = name.startswith("-") != sort.startswith("-")
        column = F(name.removeprefix("-"))
        order.append(column.desc(nulls_last=True) if is_down else column.asc(nulls_last=True))
    return rows.annotate(share=share).order_by(*order, "pk")


def _query(request: HttpRequest) -> str:
    query = request.GET.copy()
    for gone in ("page", "format"):
        query.pop(gone, None)
    return query.urlencode()


def _csv(reporters: list[Reporter]) -> HttpResponse:
    head = ["reporter", "source", "filed", "settled", "upheld", "share", "low", "high", "trust"]
    return csv_response(
        "reporters.csv",
        [*head, "last_filed_at", "counted_at"],
        (
            (
                one.external_id,
                one.source,
                one.filed,
                one.settled,
                one.upheld,
                one.share,
                one.low,
                one.high,
                one.trust,
                one.last_filed_at,
                one.refreshed_at,
            )
            for one in reporters
        ),
    )
