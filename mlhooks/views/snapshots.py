"""Snapshots: what is frozen, how far a build is, its files to download."""

from collections.abc import Iterator
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from mlhooks import files, snapshots, tallies, withdrawals
from mlhooks.dataset_card import SPLITS
from mlhooks.models import ModelVersion, Snapshot, TrainingRun
from mlhooks.patience import unless_slow
from reviews import access
from reviews.models import Person, Platform
from reviews.views.tables import csv_response

PREVIEW_SECONDS = 5
_OVER = (Snapshot.State.READY, Snapshot.State.FAILED, Snapshot.State.WITHDRAWN)


@require_GET
def snapshot_list(request: HttpRequest) -> HttpResponse:
    rows = access.visible(request.user, "snapshot.view", Snapshot.objects.all(), "platform")
    found = list(rows.select_related("platform", "created_by").order_by("-id")[:200])
    if request.GET.get("format") == "csv":
        return _csv(found)
    return render(
        request,
        "mlhooks/snapshot_list.html",
        {
            "snapshots": found,
            "platforms": platforms_of(request.user),
            "missing": withdrawals.missing(access.platform_ids(request.user)),
            "may_create": access.may(request.user, "snapshot.create"),
        },
    )


@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """Fragment: what a snapshot taken now would hold. Asked for after the page has come."""
    access.check(request.user, "snapshot.create")
    platforms = []
    for platform in platforms_of(request.user):
        platforms.append({"platform": platform, **_dry_run(platform)})
    return render(request, "mlhooks/_snapshot_preview.html", {"previews": platforms})


@require_POST
def create(request: HttpRequest) -> HttpResponse:
    platform = access.get(
        request.user,
        "snapshot.create",
        Platform.objects.all(),
        "pk",
        slug=request.POST.get("platform", ""),
    )
    snapshot = snapshots.create_snapshot(
        platform, by=request.user, note=request.POST.get("note", "")
    )
    return redirect("mlhooks:snapshot-detail", snapshot.pk)


@require_GET
def snapshot_detail(request: HttpRequest, pk: int) -> HttpResponse:
    snapshot = get_snapshot(request.user, pk)
    context = _progress_context(request, snapshot)
    if snapshot.state == Snapshot.State.READY:
        context |= _ready_context(request, snapshot)
    if snapshot.state == Snapshot.State.WITHDRAWN:
        context["instead"] = snapshots.standing(snapshot)
    if access.may(request.user, "model.view"):
        context["trained_on_it"] = withdrawals.models_of(snapshot)
    return render(request, "mlhooks/snapshot_detail.html", context)


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Fragment: how far the build is. When it is over, the whole page is to be loaded again."""
    snapshot = get_snapshot(request.user, pk)
    response = render(
        request, "mlhooks/_snapshot_progress.html", _progress_context(request, snapshot)
    )
    if snapshot.state in _OVER:
        response["HX-Refresh"] = "true"
    return response


@require_http_methods(["GET", "HEAD"])
def download(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    snapshot = access.get(
        request.user,
        "snapshot.download",
        Snapshot.objects.select_related("platform"),
        "platform",
        pk=pk,
    )
    return files.send_file(request, snapshot, name)


def get_snapshot(person: Person, pk: int) -> Snapshot:
    rows = Snapshot.objects.select_related("platform", "created_by", "replaces")
    return access.get(person, "snapshot.view", rows, "platform", pk=pk)


def platforms_of(person: Person) -> list[Platform]:
    return list(Platform.objects.filter(pk__in=access.platform_ids(person)).order_by("name"))


def _progress_context(request: HttpRequest, snapshot: Snapshot) -> dict:
    return {
        "snapshot": snapshot,
        "is_over": snapshot.state in _OVER,
        "may_create": access.may(request.user, "snapshot.create"),
    }


def _ready_context(request: HttpRequest, snapshot: Snapshot) -> dict:
    manifest = snapshot.manifest
    url = reverse("mlhooks_api:snapshot-file", args=[snapshot.number, "data-train.parquet"])
    return {
        "manifest": manifest,
        "splits": SPLITS,
        "split_rows": [(split, manifest["counts"]["split"][split]) for split in SPLITS],
        "label_rows": _label_rows(manifest),
        "lanes": sorted(manifest["counts"]["lane"].items()),
        "files": snapshots.list_files(snapshot),
        "may_download": access.may(request.user, "snapshot.download"),
        "may_train": access.may(request.user, "model.train"),
        "kinds": [
            (kind.value, kind.label)
            for kind in (ModelVersion.Kind.TRAINED, ModelVersion.Kind.FEW_SHOT)
        ],
        "runs": _runs(request.user, snapshot),
        "example_slug": manifest["policies"][0]["slug"] if manifest["policies"] else "…",
        "api_url": request.build_absolute_uri(url),
        "api_root": request.build_absolute_uri("/api/v1"),
    }


def _columns() -> Iterator[tuple[str, str, str]]:
    """Split, word and what the two are called where a row stands alone."""
    words = (("violating", _("violating")), ("clean", _("clean")))
    return ((split, word, f"{split}: {said}") for split in SPLITS for word, said in words)


def _label_rows(manifest: dict) -> list[dict]:
    return [
        {
            "policy": policy,
            "cells": [
                (label, manifest["counts"]["labels"][policy["slug"]][split][word])
                for split, word, label in _columns()
            ],
        }
        for policy in manifest["policies"]
    ]


def _runs(person: Person, snapshot: Snapshot) -> list[TrainingRun]:
    if not access.may(person, "model.view"):
        return []
    rows = snapshot.training_runs.select_related("model_version", "created_by")
    return list(rows.order_by("-id")[:20])


def _dry_run(platform: Platform) -> dict:
    """Without a tally, or without what leaks, where counting would take too long to wait for."""
    tally = unless_slow(PREVIEW_SECONDS, snapshots.preview, platform)
    if tally is None or not tally.rows:
        return {"tally": tally}
    names = dict(platform.policies.values_list("slug", "name"))
    return {
        "tally": tally,
        "rows": _tally_rows(names, tally),
        "parts": [
            (_("Lane"), sorted(tally.by_lane.items())),
            (_("Language"), sorted(tally.languages.items())),
        ],
        "drawn": tally.drawn["all"],
        "leakage": unless_slow(PREVIEW_SECONDS, snapshots.preview_leakage, platform),
        "rare": [
            (names.get(slug, slug), list(ones))
            for slug, ones in groupby(tally.rare, lambda one: one.policy)
        ],
    }


def _tally_rows(names: dict[str, str], tally: tallies.Tally) -> list[dict]:
    return [
        {
            "name": names.get(slug, slug),
            "cells": [
                (label, by_split.get(split, {}).get(word, 0)) for split, word, label in _columns()
            ],
        }
        for slug, by_split in tally.labels.items()
    ]


def _csv(rows: list[Snapshot]) -> HttpResponse:
    head = ["number", "platform", "state", "rows", "note", "cutoff_id", "created_by", "created_at"]
    return csv_response(
        "snapshots.csv",
        head,
        (
            (
                one.number,
                one.platform.slug,
                one.state,
                one.rows_done,
                one.note,
                one.cutoff_id,
                one.created_by.username if one.created_by else "",
                one.created_at,
            )
            for one in rows
        ),
    )
