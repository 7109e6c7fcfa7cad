"""The live learning curve: what labels of the learning lane taught, beside as many random ones.

Heads are trained anew on growing parts of each lane's labels, in the order in which they came, and
measured on rows that no part holds. It is worked out once a snapshot, after a training on it, and
kept; pages only read it. The row is the work, its task a nudge, and a sweep begins what is due.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import attempts
from reviews.errors import Conflict, Invalid
from reviews.models import Platform
from reviews.ranking import interval

from . import registry, vectors
from .models import LearningCurve, ModelVersion, Snapshot, TrainingRun

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .encoder import Encoder
    from .heads import PolicyText
    from .training import Examples

State = LearningCurve.State
ARMS = ("learning", "random")
LEAST_LABELS = 32  # of each lane on the training side, for a curve to be worked out
LEAST_POSITIVES = 10  # among the rows it is measured on
LEAST_ROWS = 50  # of the random lane, to measure on these alone
MOST_LABELS = 2_000
MOST_MEASURED = 5_000
POINTS = 7
_COLUMNS = (
    *("decision_id", "item_version_id", "text", "split", "split_group"),
    *("lane", "weight", "inclusion_probability", "verdict"),
)


# Rows that are the work


def newest(platform: Platform) -> LearningCurve | None:
    """The newest, ready or not."""
    rows = LearningCurve.objects.select_related("snapshot").filter(platform=platform)
    return rows.order_by("-snapshot__number").first()


def newest_ready(platform: Platform) -> LearningCurve | None:
    rows = LearningCurve.objects.select_related("snapshot").filter(platform=platform)
    return rows.filter(state=State.READY).order_by("-snapshot__number").first()


def of_snapshot(snapshot: Snapshot | None) -> LearningCurve | None:
    """A snapshot's, once it is ready."""
    rows = LearningCurve.objects.select_related("snapshot")
    return rows.filter(snapshot=snapshot, state=State.READY).first() if snapshot else None


def start(snapshot: Snapshot) -> LearningCurve:
    """The snapshot's curve, for a worker to work out; the same at every call."""
    row, is_new = LearningCurve.objects.get_or_create(
        snapshot=snapshot, defaults={"platform_id": snapshot.platform_id}
    )
    if is_new:
        nudge(row.pk)
    return row


def nudge(curve_id: int) -> None:
    current_app.send_task("mlhooks.tasks.measure_learning", args=[curve_id])


def sweep() -> int:
    """Begin the newest trained snapshot's of every platform, and what waits or fell silent."""
    trained = TrainingRun.objects.filter(snapshot=OuterRef("pk"), state=TrainingRun.State.DONE)
    due = (
        Snapshot.objects.filter(Exists(trained), state=Snapshot.State.READY)
        .order_by("platform_id", "-number")
        .distinct("platform_id")
        .select_related("learning_curve")
    )
    for snapshot in due:
        if not hasattr(snapshot, "learning_curve"):
            start(snapshot)
    pks = attempts.resume(LearningCurve.objects.all(), running=State.RUNNING, verb="curve.fail")
    for pk in pks:
        nudge(pk)
    return len(pks)


def run(curve_id: int) -> None:
    """Work it out, unless that is done or another process is at it."""
    rows = LearningCurve.objects.select_related("platform", "snapshot__platform")
    attempt = attempts.begin(rows, curve_id, running=State.RUNNING, step="Reading the snapshot")
    if attempt is None:
        return
    with attempt.failing_as("curve.fail"), attempt.pulse():
        figures = _figures(attempt)
        attempt.write(state=State.READY, figures=figures, step="", finished_at=Now())


# How it is worked out


@dataclass(frozen=True)
class _Labels:
    """Rows of a snapshot; `labels` (n, policies), NaN for not judged."""

    table: "pa.Table"
    labels: "np.ndarray"
    embeddings: "np.ndarray"

    @property
    def texts(self) -> list[str]:
        found: list[str] = self.table["text"].to_pylist()
        return found

    def take(self, rows: "np.ndarray") -> "_Labels":
        return _Labels(self.table.take(rows), self.labels[rows], self.embeddings[rows])

    def examples(self) -> "Examples":
        import numpy as np

        from .training import Examples

        chances = self.table["inclusion_probability"].to_numpy()
        return Examples(
            self.embeddings,
            self.texts,
            self.labels,
            np.ones(len(self.labels)),
            stream=1 / np.nan_to_num(chances, nan=1.0),
        )


def _figures(attempt: attempts.Attempt[LearningCurve]) -> dict[str, Any]:
    import numpy as np

    from . import snapshot_files

    snapshot = attempt.row.snapshot
    policies = _policies(snapshot)
    slugs = [policy.slug for policy in policies]
    table = snapshot_files.read_labels(snapshot, policy_slugs=slugs, columns=_COLUMNS)
    table = table.sort_by("decision_id")
    lane, split = (np.array(table[name].to_pylist(), dtype=object) for name in ("lane", "split"))
    mine = {arm: np.flatnonzero((lane == arm) & (split == "train")) for arm in ARMS}
    common = min(MOST_LABELS, *(len(rows) for rows in mine.values()))
    figures: dict[str, Any] = {
        "lanes": _yields(table, slugs),
        "labels": {arm: len(rows) for arm, rows in mine.items()},
        "common": common,
        "least": LEAST_LABELS,
        "is_tuned": _is_tuned(registry.champion(snapshot.platform)),
        "policies": {},
    }
    if common < LEAST_LABELS:
        return figures
    rng = np.random.default_rng(snapshot.number)
    test = np.flatnonzero(split == "test")
    if len(test) > MOST_MEASURED:
        test = np.sort(rng.choice(test, MOST_MEASURED, replace=False))
    figures["policies"] = _curves(
        attempt, policies, table, {arm: rows[:common] for arm, rows in mine.items()}, test
    )
    return figures


def _curves(
    attempt: attempts.Attempt[LearningCurve],
    policies: "Sequence[PolicyText]",
    table: "pa.Table",
    rows: "dict[str, np.ndarray]",
    test: "np.ndarray",
) -> dict[str, Any]:
    """By policy: points of both arms, and how they differ where both have all their labels."""
    from . import training
    from .heads import ZeroShot

    slugs = [policy.slug for policy in policies]
    attempt.write(step="Reading embeddings")
    text_encoder = _encoder(attempt.row.platform)
    measured = _labels(table, test, slugs, text_encoder)
    arms = {arm: _labels(table, own, slugs, text_encoder) for arm, own in rows.items()}
    none = _labels(table, test[:0], slugs, text_encoder)
    scales = {slug: _scale(measured, number) for number, slug in enumerate(slugs)}
    config = training.TrainingConfig(policies=policies, encode=text_encoder.encode)
    zero_shot = ZeroShot.from_policies(policies, text_encoder.encode)
    first = zero_shot.predict(measured.embeddings, measured.texts)
    counts = _counts(len(rows["random"]))
    said: dict[str, list[np.ndarray]] = {arm: [first] for arm in ARMS}
    for place, count in enumerate(counts):
        for arm in ARMS:
            attempt.write(step=f"{arm}, {count} labels ({place + 1} of {len(counts)})")
            part = arms[arm].take(_first(count))
            fitted = training.fit(config, part.examples(), none.examples(), seed=0)
            columns = [fitted.head.policies.index(slug) for slug in slugs]
            said[arm].append(fitted.head.predict(measured.embeddings, measured.texts)[:, columns])
    attempt.write(step="Measuring")
    return {
        slug: _policy(number, scales[slug], [0, *counts], said, arms)
        for number, slug in enumerate(slugs)
    }


@dataclass(frozen=True)
class _Scale:
    """What one policy is measured on: rows of the test split, and what each stands for."""

    rows: "np.ndarray"
    labels: "np.ndarray"
    weights: "np.ndarray"
    groups: "np.ndarray"
    of: str

    @property
    def positives(self) -> int:
        return int(self.labels.sum())


def _scale(measured: _Labels, number: int) -> _Scale:
    """The random lane's rows, weighted back to the stream, where there are enough of them; else
    all test rows as they are, most of which risk picked."""
    import numpy as np

    labels = measured.labels[:, number]
    lane = np.array(measured.table["lane"].to_pylist(), dtype=object)
    groups = np.array(measured.table["split_group"].to_pylist(), dtype=object)
    judged = ~np.isnan(labels)
    random = np.flatnonzero(judged & (lane == "random"))
    if len(random) >= LEAST_ROWS and labels[random].sum() >= LEAST_POSITIVES:
        weights = np.nan_to_num(measured.table["weight"].to_numpy(), nan=1.0)[random]
        return _Scale(random, labels[random], weights, groups[random], "random lane")
    rows = np.flatnonzero(judged)
    return _Scale(rows, labels[rows], np.ones(len(rows)), groups[rows], "test rows")


def _policy(
    number: int,
    scale: _Scale,
    counts: Sequence[int],
    said: "dict[str, list[np.ndarray]]",
    arms: dict[str, _Labels],
) -> dict[str, Any]:
    import numpy as np

    from . import evaluation

    found: dict[str, Any] = {
        "n": len(scale.rows),
        "positives": scale.positives,
        "of": scale.of,
        "labels": list(counts),
    }
    if not LEAST_POSITIVES <= scale.positives < len(scale.rows):
        return found | {"arms": {}, "least_positives": LEAST_POSITIVES}
    found["arms"] = {
        arm: [
            {
                "auprc": evaluation.average_precision(
                    scale.labels, given[scale.rows, number], weights=scale.weights
                ),
                "interval": _interval(scale, given[scale.rows, number]),
                "violations": int(np.nansum(arms[arm].labels[:count, number])),
            }
            for count, given in zip(counts, said[arm], strict=True)
        ]
        for arm in ARMS
    }
    found["difference"] = evaluation.difference(
        scale.labels,
        said["learning"][-1][scale.rows, number],
        said["random"][-1][scale.rows, number],
        groups=scale.groups,
        weights=scale.weights,
        rng=np.random.default_rng(0),
    )
    areas = {
        arm: float(np.trapezoid([one["auprc"] for one in points], counts))
        for arm, points in found["arms"].items()
    }
    found["area_ratio"] = areas["learning"] / areas["random"] if areas["random"] else None
    return found


def _interval(scale: _Scale, given: "np.ndarray") -> list[float] | None:
    """95 % of the AUPRC, groups of the measured rows drawn with replacement: how much these rows
    can tell, not what other labels of the same lane would have taught."""
    import numpy as np

    from . import evaluation

    draws = []
    for times in evaluation.resampled(scale.groups, np.random.default_rng(0)):
        kept = times > 0
        if 0 < scale.labels[kept].sum() < kept.sum():
            weights = (scale.weights * times)[kept]
            draws.append(
                evaluation.average_precision(scale.labels[kept], given[kept], weights=weights)
            )
    return [float(one) for one in np.quantile(draws, [0.025, 0.975])] if draws else None


def _yields(table: "pa.Table", slugs: Sequence[str]) -> dict[str, Any]:
    """By lane, of all splits: labels, violations of anything and of each policy, and the share of
    violations with its 95 % interval (Wilson)."""
    import numpy as np

    lane = np.array(table["lane"].to_pylist(), dtype=object)
    violates = np.array(table["verdict"].to_pylist(), dtype=object) == "violating"
    found = {}
    for name in (*ARMS, "risk"):
        here = lane == name
        by_policy = {}
        for slug in slugs:
            labels = table[f"label_{slug}"].cast("float64").to_numpy()[here]
            by_policy[slug] = _share(int(np.nansum(labels)), int((~np.isnan(labels)).sum()))
        found[name] = {**_share(int(violates[here].sum()), int(here.sum())), "policies": by_policy}
    return found


def _share(violating: int, n: int) -> dict[str, Any]:
    low, high = interval(violating, n)
    return {"n": n, "violating": violating, "interval": [low, high]}


def _policies(snapshot: Snapshot) -> "list[PolicyText]":
    known = {policy["slug"] for policy in snapshot.manifest["policies"]}
    versions = registry.in_force(snapshot.platform)
    found = [version for version in versions if version.policy.slug in known]
    if not found:
        raise Invalid(_("None of the snapshot's policies is in force any more."))
    return registry.policy_texts(found)


def _encoder(platform: Platform) -> "Encoder":
    """The champion's: what a label teaches, it teaches a head on that. The usual one before there
    is a champion, and where his runs here no more."""
    champion = registry.champion(platform)
    if champion is not None:
        with contextlib.suppress(Conflict):
            return registry.encoder_of(champion)
    return registry.usual_encoder()


def _is_tuned(champion: ModelVersion | None) -> bool:
    """Then its encoder has learnt from labels already, maybe from these."""
    return champion is not None and champion.kind == ModelVersion.Kind.TUNED


def _labels(
    table: "pa.Table", rows: "np.ndarray", slugs: Sequence[str], encoder: "Encoder"
) -> _Labels:
    import numpy as np

    own = table.take(rows)
    texts = own["text"].to_pylist()
    embeddings = vectors.of_versions(own["item_version_id"].to_pylist(), texts, encoder)
    columns = [own[f"label_{slug}"].cast("float64").to_numpy() for slug in slugs]
    return _Labels(own, np.stack(columns, axis=1), embeddings)


def _counts(most: int) -> list[int]:
    """So many labels at each point: the same factor from one to the next, nested."""
    import numpy as np

    found = np.geomspace(LEAST_LABELS / 2, most, POINTS).round().astype(int)
    return [int(count) for count in np.unique(found)]


def _first(count: int) -> "np.ndarray":
    import numpy as np

    return np.arange(count)
