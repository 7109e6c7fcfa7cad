"""The trail, to read: who did what to what, when. Filters live in the URL, paging is by key."""

import json
from datetime import date, datetime, time

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET

from reviews import access, audit
from reviews.models import AuditEntry, Person

from .tables import csv_response

PAGE = 100
# Where the target of an entry can be looked at.
_PAGES = {
    "item": "reviews:item-detail",
    "draw": "reviews:draw-detail",
    "snapshot": "mlhooks:snapshot-detail",
    "modelversion": "mlhooks:model-detail",
    "trainingrun": "mlhooks:training-detail",
}


@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    rows = _filtered(request, access.audit_entries(request.user).select_related("actor"))
    found = list(rows.order_by("-id")[: PAGE + 1])
    entries = found[:PAGE]
    for entry in entries:
        entry.url = _url(entry)
        entry.words = json.dumps(entry.data, ensure_ascii=False) if entry.data else ""
    if request.GET.get("format") == "csv":
        return _csv(entries)
    mine = access.platform_ids(request.user)
    return render(
        request,
        "reviews/audit_list.html",
        {
            "entries": entries,
            "filters": {name: request.GET.get(name, "") for name in _FILTERS},
            "people": Person.objects.filter(platforms__in=mine, tokens=None)
            .distinct()
            .order_by("username")
            .values_list("username", flat=True),
            "verbs": sorted({*access.GRANTS, *_OTHER_VERBS}),
            "older_url": _older(request, entries[-1]) if len(found) > PAGE else "",
            "misfits": _misfits(entries),
            "sealed": sum(entry.position is not None for entry in entries),
            "verification": audit.verify() if request.GET.get("verify") == "all" else None,
        },
    )


_FILTERS = ("who", "verb", "type", "target", "since", "until")
# Verbs of the system itself and of pages: written to the trail, asked of nobody.
_OTHER_VERBS = (
    "alert.close",
    "alert.open",
    "enforcement.due",
    "enforcement.hold",
    "enforcement.refuse",
    "enforcement.reverse",
    "cluster.merge",
    "cluster.undo",
    "gold.mark",
    "gold.unmark",
    "itemkind.restore",
    "itemkind.save",
    "job.assign",
    "job.cancel",
    "job.hand_on",
    "model.unshadow",
    "monitoring.fail",
    "job.move",
    "job.raise",
    "job.release",
    "job.skip",
    "job.take_back",
    "job.unassign",
    "operation.undo",
    "policy.ask_again",
    "policy.restore",
    "policy.save",
    "policyversion.create",
    "policyversion.save",
    "policyversion.withdraw",
)


def _filtered(request: HttpRequest, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    asked = request.GET
    if asked.get("who") == "system":
        rows = rows.filter(actor=None)
    elif asked.get("who"):
        rows = rows.filter(actor__username=asked["who"])
    if asked.get("verb"):
        rows = rows.filter(verb=asked["verb"])
    if asked.get("type"):
        rows = rows.filter(target_type=asked["type"].lower())
    if asked.get("target"):
        rows = rows.filter(target_id=asked["target"])
    if since := _day(asked.get("since")):
        rows = rows.filter(at__gte=datetime.combine(since, time.min, _zone()))
    if until := _day(asked.get("until")):
        rows = rows.filter(at__lte=datetime.combine(until, time.max, _zone()))
    if asked.get("before", "").isdigit():
        rows = rows.filter(pk__lt=int(asked["before"]))
    return rows


def _day(text: str | None) -> date | None:
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def _zone():
    return timezone.get_current_timezone()


def _misfits(entries: list[AuditEntry]) -> list[int]:
    """Positions among those shown whose hash does not follow from the entry before."""
    sealed = [entry for entry in entries if entry.position is not None]
    before = dict(
        AuditEntry.objects.filter(
            position__in=[entry.position - 1 for entry in sealed]
        ).values_list("position", "hash")
    )
    before[0] = audit.GENESIS
    return [
        entry.position
        for entry in sealed
        if entry.hash != audit.entry_hash(entry, before.get(entry.position - 1, ""))
    ]


def _url(entry: AuditEntry) -> str:
    name = _PAGES.get(entry.target_type)
    if name is None:
        return ""
    try:
        return reverse(name, args=[entry.target_id])
    except NoReverseMatch:
        return ""


def _older(request: HttpRequest, last: AuditEntry) -> str:
    query = request.GET.copy()
    query["before"] = last.pk
    return f"?{query.urlencode()}"


def _csv(entries: list[AuditEntry]) -> HttpResponse:
    head = ["position", "at", "who", "verb", "target_type", "target_id", "data", "hash"]
    return csv_response(
        "audit.csv",
        head,
        (
            (
                entry.position,
                entry.at,
                entry.actor.username if entry.actor else "system",
                entry.verb,
                entry.target_type,
                entry.target_id,
                entry.words,
                entry.hash,
            )
            for entry in entries
        ),
    )
