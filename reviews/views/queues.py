"""Queues, and what waits in one in the order it will be served."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from reviews import access, desk, handovers, metrics
from reviews.models import Item, Job, Lane, Queue

from .items import put_lines
from .review import SEVERITY_OF_LEVEL, why_now
from .tables import csv_response

PAGE = 50


@require_GET
def queue_list(request: HttpRequest) -> HttpResponse:
    live = Queue.objects.filter(is_archived=False)
    queues = access.visible(request.user, "queue.view", live, "platform")
    figures = metrics.queue_figures(queues.select_related("platform"))
    mine = set(access.queues_to_work(request.user).values_list("pk", flat=True))
    may_plan = access.may(request.user, "replay.view")
    context = {
        "figures": figures,
        "mine": mine,
        "may_plan": may_plan,
        "may_edit": access.may(request.user, "queue.edit"),
    }
    return render(request, "reviews/queue_list.html", context)


@require_GET
def queue_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Numbers and single jobs are for those who answer for the queue; its rules are for all."""
    queue = access.get_queue(request.user, slug)
    rules = desk.read_rules(queue.pk)
    context = {
        "queue": queue,
        "figures": metrics.queue_figures([queue])[0],
        "policies": rules.versions,
        "actions": [option.action for option in rules.actions],
        "may_edit": access.may(request.user, "queue.edit"),
        "is_mine": access.queues_to_work(request.user).filter(pk=queue.pk).exists(),
        "may_plan": access.may(request.user, "replay.view"),
    }
    if access.may(request.user, "job.view"):
        lane = request.GET.get("lane", "")
        jobs = _waiting(queue, lane)
        rows = _rows(jobs, context["policies"])
        if request.GET.get("format") == "csv":
            return _csv(queue, rows)
        may_draw = access.may(request.user, "draw.create")
        newest = max((item.scored_at for item in _items(jobs) if item.scored_at), default=None)
        context |= {
            "rows": rows,
            "stranded": _stranded(queue),
            "is_unstaffed": not queue.members.exists(),
            "may_manage": access.may(request.user, "job.manage"),
            "lanes": [
                (value, Lane(value).label, count)
                for value, count in metrics.queue_lanes(queue).items()
            ],
            "lane": lane,
            # Work of one lane only: where there is some, and she may.
            "may_focus": context["is_mine"] and rows and access.may(request.user, "job.manage"),
            "lane_label": Lane(lane).label if lane in Lane.values else "",
            "may_draw": may_draw,
            "scored_at": newest,
            "sources": sorted({item.risk_source for item in _items(jobs) if item.risk_source}),
        }
    return render(request, "reviews/queue_detail.html", context)


def _stranded(queue: Queue) -> list[handovers.Stranded]:
    found = handovers.for_nobody(queue)
    put_lines(one.job.item for one in found)
    return found


def _waiting(queue: Queue, lane: str) -> list[Job]:
    rows = queue.jobs.ready().select_related("item__kind", "item__account")
    if lane in Lane.values:
        rows = rows.filter(lane=lane)
    jobs = list(rows.in_serving_order()[:PAGE])
    put_lines(_items(jobs))
    return jobs


def _items(jobs: list[Job]) -> list[Item]:
    return [job.item for job in jobs]


def _rows(jobs: list[Job], versions: list) -> list[dict]:
    rows = []
    for place, job in enumerate(jobs, start=1):
        level, reason = why_now(job.item, job, versions, numbers=True)
        rows.append(
            {
                "place": place,
                "job": job,
                "item": job.item,
                "level": level and gettext(level),
                "severity": SEVERITY_OF_LEVEL.get(level, 1),
                "reason": reason,
            }
        )
    return rows


def _csv(queue: Queue, rows: list[dict]) -> HttpResponse:
    head = [
        "place",
        "job",
        "item",
        "lane",
        "risk",
        "reason",
        "rank",
        "due_at",
        "submitted_at",
        "risk_source",
        "scored_at",
    ]
    return csv_response(
        f"{queue.slug}.csv",
        head,
        (
            (
                row["place"],
                row["job"].pk,
                row["item"].external_id,
                row["job"].lane,
                row["item"].risk,
                row["reason"],
                row["job"].rank,
                row["job"].due_at,
                row["item"].submitted_at,
                row["item"].risk_source,
                row["item"].scored_at,
            )
            for row in rows
        ),
    )
