"""Dry runs of routing rules, as their pages show them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from reviews import access, dry_run, routing_versions
from reviews.errors import Conflict
from reviews.models import DryRun, Item, RoutingVersion

from .items import put_lines


@require_POST
def start_dry_run(request: HttpRequest, platform: str) -> HttpResponse:
    found = access.get_platform(request.user, "routing.edit", platform)
    standing = routing_versions.find_draft(found)
    if standing is None:
        raise Conflict(_("There is no draft to try. Change a rule first."))
    days = request.POST.get("days", "")
    run = dry_run.start_dry_run(
        standing, days=int(days) if days.isdecimal() else 0, by=request.user
    )
    return redirect("reviews:setup-routing-dry-run", platform, run.pk)


@require_GET
def dry_run_detail(request: HttpRequest, platform: str, pk: int) -> HttpResponse:
    """What it found; as a fragment, how far it is."""
    rows = DryRun.objects.select_related("version__platform", "published", "created_by")
    run = access.get(
        request.user,
        "setup.view",
        rows.filter(version__platform__slug=platform),
        "version__platform",
        pk=pk,
    )
    context = {
        "platform": run.version.platform,
        "run": _dressed(run),
        "may_edit": access.may(request.user, "routing.edit"),
    }
    template = "reviews/_dry_run.html" if request.htmx else "reviews/dry_run.html"
    return render(request, template, context)


def newest_run(version: RoutingVersion | None) -> DryRun | None:
    """Of the rules as they stand; one of an earlier edition says nothing about these."""
    if version is None:
        return None
    rows = version.dry_runs.select_related("version__platform", "published", "created_by")
    run = rows.filter(edition=version.edition).first()
    return _dressed(run) if run else None


def _dressed(run: DryRun) -> DryRun:
    """With what the page shows: a table of queues, rules with their bars, items to look at."""
    run.is_over = run.state in DryRun.OVER
    if run.result is None:
        return run
    result = run.result
    names = dict(result["queues"])
    counts = {(one, other): count for one, other, count in result["flows"]}
    run.queues = [
        {
            "name": name,
            "before": sum(counts.get((slug, other), 0) for other in names),
            "after": sum(counts.get((other, slug), 0) for other in names),
            "cells": [
                {"count": counts.get((slug, other), 0), "is_same": slug == other} for other in names
            ],
        }
        for slug, name in result["queues"]
    ]
    for queue in run.queues:
        queue["change"] = queue["after"] - queue["before"]
        queue["loss"] = -queue["change"]
    run.taken = result["items"] - result["default"][1]
    run.one_in = 1 / result["rate"] if result["rate"] else 1
    earlier = {rule["name"]: rule["fires"] for rule in result["published_rules"]}
    run.rules_found = [
        {
            **rule,
            "queue_name": names.get(rule["queue"], rule["queue"]),
            "before": earlier.get(rule["name"]),
            "is_shadowed": bool(rule["is_active"] and rule["holds"] and not rule["fires"]),
            "is_idle": bool(rule["is_active"] and not rule["holds"]),
        }
        for rule in result["rules"]
    ]
    items = Item.objects.filter(
        pk__in=[one["item"] for one in result["examples"]],
        platform_id=run.version.platform_id,
    ).select_related("kind")
    by_id = {item.pk: item for item in items}
    put_lines(by_id.values())
    run.examples = [
        {
            **one,
            "item": by_id[one["item"]],
            "from_name": names.get(one["from"], one["from"]),
            "to_name": names.get(one["to"], one["to"]),
        }
        for one in result["examples"]
        if one["item"] in by_id
    ]
    return run
