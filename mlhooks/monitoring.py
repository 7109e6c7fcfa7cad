"""How the champion does on live items: what reviewers confirm of each score band, whether it agrees
with decisions, and whether what comes in has changed. Worked out once a day, and on demand.

Labels are the random lane's, weighted by 1 / inclusion probability: what risk put in front of
reviewers stands for nothing but itself.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Min, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from reviews import access, attempts, audit
from reviews.errors import Conflict
from reviews.models import Decision, ItemVersion, Person, Platform
from reviews.wording import kept

from . import alerts, drift, labels, rates, registry, shares, vectors, withdrawals
from .models import ModelVersion, Monitoring

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

State = Monitoring.State
EVERY = timedelta(hours=23)  # a sweep that comes an hour late does not make it two days
CURRENT = timedelta(days=7)
REFERENCE = timedelta(days=28)
MOST_SAMPLED = 2_000  # items on either side of a drift
_PAGE = 5_000  # decisions read at once
MOST_DECISIONS = 200_000  # newest, looked through for random-lane rows

# Whose order is as good as random, and the same every time.
_SAMPLE = """
SELECT version.id, item.language, item.split_group
FROM reviews_item AS item
JOIN reviews_itemversion AS version
  ON version.item_id = item.id AND version.number = item.version_number
WHERE item.platform_id = %(platform)s AND item.erased_at IS NULL
  AND item.submitted_at > %(since)s AND item.submitted_at <= %(until)s
ORDER BY md5(item.id::text) LIMIT %(most)s
"""


class Cell(NamedTuple):
    """Labels of one band, model, language and policy, added up: any of these can be summed over."""

    policy: str  # slug
    model: str  # label of the model whose score was the risk at the decision
    language: str
    band: int
    sums: rates.Sums
    promised: float  # Σ weight · probability


# Rows that are the work


def start_monitoring(platform: Platform, *, by: Person | None) -> Monitoring:
    """Look now. Conflict while a look is under way."""
    access.check(by, "monitoring.run", platform)
    try:
        with transaction.atomic():
            found = Monitoring.objects.create(platform=platform, created_by=by)
    except IntegrityError as error:
        raise Conflict(
            _("%(platform)s is being looked at already.") % {"platform": platform}
        ) from error
    if by is not None:
        audit.record("monitoring.run", found, by=by, platform=platform)
    transaction.on_commit(lambda: nudge(found.pk), robust=True)
    return found


def nudge(monitoring_id: int) -> None:
    current_app.send_task("mlhooks.tasks.watch_models", args=[monitoring_id])


def work_out(monitoring_id: int) -> None:
    """Unless that is done or another process is at it. Alerts open and close with the figures, in
    one transaction."""
    rows = Monitoring.objects.select_related("platform")
    attempt = attempts.begin(rows, monitoring_id, running=State.RUNNING, step="")
    if attempt is None:
        return
    with attempt.failing_as("monitoring.fail"), attempt.pulse():
        champion = registry.champion(attempt.row.platform)
        figures = _figures(attempt.row.platform, champion, attempt)
        with transaction.atomic():
            attempt.write(
                state=State.READY, figures=figures, champion=champion, finished_at=Now(), step=""
            )
            alerts.judge(attempt.row, values_of(figures))


def start_due() -> int:
    """Sweep: a look a day at each platform that has a champion."""
    count = 0
    champions = ModelVersion.objects.filter(state=ModelVersion.State.CHAMPION)
    for champion in champions.select_related("platform"):
        last = champion.platform.monitorings.order_by("-id").first()
        if last is not None and last.created_at > timezone.now() - EVERY:
            continue
        with contextlib.suppress(Conflict):  # one that has waited for a day holds up no other
            start_monitoring(champion.platform, by=None)
            count += 1
    return count


def resume_stuck() -> int:
    """Sweep: begin again what waits or fell silent; give up after three attempts."""
    pks = attempts.resume(Monitoring.objects.all(), running=State.RUNNING, verb="monitoring.fail")
    for pk in pks:
        nudge(pk)
    return len(pks)


# What it says


def newest(platform: Platform) -> Monitoring | None:
    """The newest whole look."""
    rows = platform.monitorings.filter(state=State.READY).select_related("champion")
    return rows.order_by("-id").first()


def under_way(platform: Platform) -> Monitoring | None:
    return platform.monitorings.filter(state__in=[State.WAITING, State.RUNNING]).first()


def past(platform: Platform, *, most: int = 30) -> list[Monitoring]:
    """Whole looks, oldest first."""
    rows = platform.monitorings.filter(state=State.READY).order_by("-id")[:most]
    return list(reversed(rows))


def cells_of(monitoring: Monitoring) -> list[Cell]:
    return [
        Cell(policy, model, language, band, rates.Sums(*sums), promised)
        for policy, model, language, band, sums, promised in monitoring.figures.get("cells", [])
    ]


def bands_of(
    cells: Sequence[Cell], policy: str, *, model: str = "", language: str | None = None
) -> list[drift.Band]:
    """Summed over models where none is named, and over languages."""
    return drift.bands(
        (one.band, one.sums, one.promised)
        for one in cells
        if one.policy == policy
        and (not model or one.model == model)
        and (language is None or one.language == language)
    )


def values_of(figures: dict[str, Any]) -> dict[tuple[str, str], float]:
    """(policy slug or "", figure) → value, where there is enough to say it."""
    found = {
        (slug, name): one[name]["value"]
        for slug, one in figures.get("policies", {}).items()
        for name in drift.PER_POLICY
        if one.get(name) and one[name].get("value") is not None
    }
    for name in drift.PER_PLATFORM:
        if figures.get(name):
            found["", name] = figures[name]["value"]
    return found


def gauges(
    platforms: QuerySet[Platform],
) -> list[tuple[str, str, list[tuple[dict[str, str], float]]]]:
    """(name, what it says, [(labels, value)]) for whatever scrapes."""
    opened: list[tuple[dict[str, str], float]] = []
    figures: list[tuple[dict[str, str], float]] = []
    ages: list[tuple[dict[str, str], float]] = []
    missing: list[tuple[dict[str, str], float]] = []
    for platform in platforms.order_by("slug"):
        standing = alerts.open_alerts([platform.pk])
        for is_seen in ("no", "yes"):
            rows = standing.filter(acknowledged_at__isnull=is_seen == "no")
            labels_ = {"platform": platform.slug, "acknowledged": is_seen}
            opened.append((labels_, float(rows.count())))
        unbuilt = withdrawals.missing([platform.pk]).count()
        missing.append(({"platform": platform.slug}, float(unbuilt)))
        found = newest(platform)
        if found is None or found.finished_at is None:
            continue
        age = (timezone.now() - found.finished_at).total_seconds()
        ages.append(({"platform": platform.slug}, age))
        for (slug, name), value in values_of(found.figures).items():
            figures.append(({"platform": platform.slug, "policy": slug, "figure": name}, value))
    return [
        ("trustconsole_model_alerts_open", "Figures of models out of their bounds.", opened),
        ("trustconsole_model_figure", "Figures of the champion at the last look.", figures),
        ("trustconsole_model_look_age_seconds", "Since the last look.", ages),
        (
            "trustconsole_snapshots_missing",
            "Withdrawn snapshots whose replacement could not be built; it is tried again.",
            missing,
        ),
    ]


# How it is worked out


def _figures(
    platform: Platform, champion: ModelVersion | None, attempt: "attempts.Attempt[Monitoring]"
) -> dict[str, Any]:
    now = timezone.now()
    attempt.write(step=kept("Reading the random lane"))
    since = now - timedelta(days=settings.MONITOR_DAYS)
    table = _random_lane(platform, since)
    slugs = list(platform.policies.order_by("position", "pk").values_list("slug", flat=True))
    cells = [cell for slug in slugs for cell in _cells(table, slug)]
    figures: dict[str, Any] = {
        "days": settings.MONITOR_DAYS,
        "labels": table.num_rows if table is not None else 0,
        "cells": [
            [one.policy, one.model, one.language, one.band, list(one.sums), one.promised]
            for one in cells
        ],
        "policies": {},
    }
    for slug in slugs:
        found = shares.share(table, slug, champion, since=since)
        figures["policies"][slug] = {"share": found._asdict() if found else None}
    if champion is None:
        return figures
    for slug in slugs:
        figures["policies"][slug] |= {
            "calibration": _calibration(cells, slug, champion),
            "agreement": _agreement(table, slug, champion),
        }
    attempt.write(step=kept("Comparing this week with the reference"))
    figures |= _drifts(platform, champion, now, figures["policies"])
    return figures


def _random_lane(platform: Platform, since: datetime) -> "pa.Table | None":
    """Standing decisions of the random lane with their scores, labels and weights; no texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from . import label_pages

    decisions = Decision.objects.filter(item__platform=platform)
    upto = decisions.aggregate(Max("id"))["id__max"] or 0
    first = decisions.filter(decided_at__gte=since).aggregate(Min("id"))["id__min"]
    if first is None:
        return None
    frozen = labels.freeze(platform)
    pages = label_pages.Pages(platform.pk, upto, frozen)
    names = ["item_id", "queue", "lane", "language", "weight", "risk_source"]
    for policy in frozen.policies:
        names += [f"label_{policy['slug']}", f"score_{policy['slug']}"]
    found = []
    start = max(first - 1, upto - MOST_DECISIONS)
    for after in range(start, upto, _PAGE):
        page = pages.parse(pages.read(after, min(after + _PAGE, upto)))
        found.append(page.filter(pc.equal(page["lane"], "random")).select(names))
    return pa.concat_tables(found) if found else None


class _Judged(NamedTuple):
    labels: "np.ndarray"
    scores: "np.ndarray"
    weights: "np.ndarray"
    models: "np.ndarray"
    languages: "np.ndarray"


def _judged(table: "pa.Table | None", slug: str) -> "_Judged | None":
    """Rows a reviewer judged by this policy and a model had scored."""
    import numpy as np

    if table is None:
        return None
    y = table[f"label_{slug}"].cast("float64").to_numpy()
    p = table[f"score_{slug}"].to_numpy()
    w = table["weight"].to_numpy()
    rows = ~np.isnan(y) & ~np.isnan(p) & ~np.isnan(w)
    if not rows.any():
        return None
    models, languages = (
        np.array([one or "" for one in table[name].to_pylist()], dtype=object)
        for name in ("risk_source", "language")
    )
    return _Judged(y[rows], p[rows], w[rows], models[rows], languages[rows])


def _cells(table: "pa.Table | None", slug: str) -> Iterator[Cell]:
    rows = _judged(table, slug)
    if rows is None:
        return
    band = drift.band_of(rows.scores)
    keys = list(zip(rows.models, rows.languages, band.tolist(), strict=True))
    for model, language, number in sorted(set(keys)):
        is_mine = [key == (model, language, number) for key in keys]
        weights = rows.weights[is_mine]
        yield Cell(
            slug,
            model,
            language,
            number,
            rates.sums(rows.labels[is_mine], weights=weights),
            float((weights * rows.scores[is_mine]).sum()),
        )


def _calibration(cells: Sequence[Cell], slug: str, champion: ModelVersion) -> dict[str, Any] | None:
    """The champion's alone: another model's promises are not his to keep."""
    own = [one for one in cells if one.policy == slug and one.model == champion.label]
    found = bands_of(own, slug)
    n = sum(one.confirmed.n for one in found)
    if n < drift.LEAST_LABELS:
        return {"value": None, "n": n}
    weight_of = dict.fromkeys(range(len(drift.BANDS) - 1), 0.0)
    for one in own:
        weight_of[one.band] += one.sums.weight
    weights = [weight for _number, weight in sorted(weight_of.items()) if weight]
    return {"value": drift.calibration_error(found, weights), "n": n}


def _agreement(
    table: "pa.Table | None", slug: str, champion: ModelVersion
) -> dict[str, Any] | None:
    """How often the champion, at its threshold, says what the decision says."""
    rows = _judged(table, slug)
    if rows is None:
        return {"value": None, "n": 0}
    mine = rows.models == champion.label
    n = int(mine.sum())
    if n < drift.LEAST_LABELS:
        return {"value": None, "n": n}
    threshold = registry.thresholds(champion).get(slug, 0.5)
    flags, truth = rows.scores[mine] >= threshold, rows.labels[mine] > 0.5
    weights = rows.weights[mine]
    found = rates.rate(flags == truth, weights=weights)
    return {
        **(found._asdict() if found else {}),
        "kappa": drift.kappa(flags, truth, weights=weights),
        "threshold": threshold,
    }


def _drifts(
    platform: Platform, champion: ModelVersion, now: datetime, policies: dict[str, dict]
) -> dict[str, Any]:
    """Text length and language of the platform, and the champion's scores by policy: this week
    against the weeks it was made from."""
    since, until = _reference_weeks(champion, now)
    then = _sample(platform, since, until)
    current = _sample(platform, now - CURRENT, now)
    found: dict[str, Any] = {
        "reference": [since.isoformat(), until.isoformat()],
        "items": [len(then.texts), len(current.texts)],
        "length": _as_dict(drift.psi_of_values(*map(_lengths, (then, current)))),
        "language": _as_dict(drift.psi_of_categories(then.languages, current.languages)),
    }
    if champion.snapshot is not None:
        then, current = then.unseen(), current.unseen()
    found["scored"] = [len(then.texts), len(current.texts)]
    if min(found["scored"]) < drift.LEAST_ITEMS:
        return found
    try:
        said = [_said(champion, part) for part in (then, current)]
    except Conflict as error:  # its files, or its encoder, are not here
        found["not_scored"] = str(error)
        return found
    for slug in set(said[0]) & set(policies):
        policies[slug]["score"] = _as_dict(drift.psi_of_values(said[0][slug], said[1][slug]))
    return found


def _reference_weeks(champion: ModelVersion, now: datetime) -> tuple[datetime, datetime]:
    """Up to the cutoff of the champion's snapshot; of a model without one, before this week."""
    snapshot = champion.snapshot
    until = snapshot.cutoff_at if snapshot is not None else now - CURRENT
    return until - REFERENCE, until


class _Sample(NamedTuple):
    version_ids: list[int]
    texts: list[str]
    languages: list[str]
    groups: list[str]  # of the split

    def unseen(self) -> "_Sample":
        """Those on a side of the split that no training sees. Of what it was taught a model is
        surer than of anything later: held against that, every stream would seem to have moved."""
        rows = [n for n, group in enumerate(self.groups) if labels.split_of(group) != "train"]
        return _Sample(
            [self.version_ids[n] for n in rows],
            [self.texts[n] for n in rows],
            [self.languages[n] for n in rows],
            [self.groups[n] for n in rows],
        )


def _sample(platform: Platform, since: datetime, until: datetime) -> _Sample:
    with connection.cursor() as cursor:
        cursor.execute(
            _SAMPLE,
            {
                "platform": platform.pk,
                "since": since,
                "until": until,
                "most": MOST_SAMPLED,
            },
        )
        rows = cursor.fetchall()
    ids, languages, groups = ([row[n] for row in rows] for n in range(3))
    versions = ItemVersion.objects.select_related("item__kind").in_bulk(ids)
    return _Sample(ids, [versions[pk].text() for pk in ids], languages, groups)


def _lengths(sample: _Sample) -> list[int]:
    return [len(text) for text in sample.texts]


def _said(champion: ModelVersion, sample: _Sample) -> "dict[str, np.ndarray]":
    """One model on both samples, by its own encoder, whatever scored them when they came."""
    head, encoder = registry.load(champion), registry.encoder_of(champion)
    embeddings = vectors.of_versions(sample.version_ids, sample.texts, encoder)
    found = head.predict(embeddings, sample.texts)
    return {slug: found[:, n] for n, slug in enumerate(head.policies)}


def _as_dict(found: drift.Psi | None) -> dict[str, Any] | None:
    return None if found is None else found._asdict()
