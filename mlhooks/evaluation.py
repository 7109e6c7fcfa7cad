"""What a model is worth on labelled rows. Numbers in, JSON out; randomness is passed in."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import calibration

Floats = NDArray[np.float64]

PRECISIONS = (0.5, 0.8, 0.9, 0.95)
CURVE_POINTS = 101
DRAWS = 200  # bootstrap


def report(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    threshold: float = 0.5,
    weights: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Everything the model page shows about one policy. Rows with a NaN label are left out.

    `weights` are inverse inclusion probabilities. Figures that need both classes are None when
    one is missing. `auprc_interval` (95 %, bootstrap over rows) is there when `rng` is.
    """
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    judged = ~np.isnan(y)
    y, p, w = y[judged], p[judged], w[judged]
    positives = int(y.sum())
    found: dict[str, Any] = {
        "n": int(y.size),
        "positives": positives,
        "base_rate": float(np.average(y, weights=w)) if y.size else None,
        "threshold": float(threshold),
        "auprc": None,
        "auprc_interval": None,
        "auroc": None,
        "brier": None,
        "ece": None,
        "macro_f1": None,
        "precision": None,
        "recall": None,
        "recall_at_precision": {str(level): None for level in PRECISIONS},
        "pr_curve": [],
        "reliability": [],
    }
    if not y.size:
        return found
    found["brier"] = float(np.average((p - y) ** 2, weights=w))
    found["ece"] = calibration.ece(p, y, weights=w)
    found["reliability"] = [one._asdict() for one in calibration.reliability(p, y, weights=w)]
    precision, recall = precision_recall_at(y, p, threshold, weights=w)
    found["precision"], found["recall"] = precision, recall
    if positives == 0 or positives == y.size:
        return found
    curve_precision, curve_recall, cuts = precision_recall(y, p, weights=w)
    found["auprc"] = average_precision(y, p, weights=w)
    found["auroc"] = auroc(y, p, weights=w)
    found["macro_f1"] = macro_f1(y, p, threshold, weights=w)
    found["recall_at_precision"] = {
        str(level): float(curve_recall[curve_precision >= level].max(initial=0.0))
        for level in PRECISIONS
    }
    found["pr_curve"] = _thinned(curve_precision, curve_recall, cuts)
    if rng is not None:
        found["auprc_interval"] = bootstrap_interval(y, p, weights=w, rng=rng)
    return found


def precision_recall(
    labels: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """(precision, recall, threshold) at every distinct probability, from the highest down."""
    y, p, w = _arrays(labels, probabilities, weights)
    order = np.argsort(-p, kind="stable")
    y, p, w = y[order], p[order], w[order]
    last = np.append(np.flatnonzero(np.diff(p)), p.size - 1)  # the end of each run of ties
    hits = np.cumsum(w * y)[last]
    shown = np.cumsum(w)[last]
    return hits / shown, hits / (w * y).sum(), p[last]


def average_precision(
    labels: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> float:
    """Area under precision–recall, as the sum over steps (no interpolation)."""
    precision, recall, _ = precision_recall(labels, probabilities, weights=weights)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def auroc(
    labels: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> float:
    """Chance that a positive outranks a negative; a tie counts half."""
    y, p, w = _arrays(labels, probabilities, weights)
    order = np.argsort(-p, kind="stable")
    y, p, w = y[order], p[order], w[order]
    last = np.append(np.flatnonzero(np.diff(p)), p.size - 1)
    hits = np.append(0.0, np.cumsum(w * y)[last])
    misses = np.append(0.0, np.cumsum(w * (1 - y))[last])
    return float(np.trapezoid(hits, misses) / (hits[-1] * misses[-1]))


def precision_recall_at(
    labels: ArrayLike,
    probabilities: ArrayLike,
    threshold: float,
    *,
    weights: ArrayLike | None = None,
) -> tuple[float | None, float | None]:
    y, p, w = _arrays(labels, probabilities, weights)
    shown = p >= threshold
    hits = float((w * y)[shown].sum())
    flagged, positive = float(w[shown].sum()), float((w * y).sum())
    return (hits / flagged if flagged else None), (hits / positive if positive else None)


def macro_f1(
    labels: ArrayLike,
    probabilities: ArrayLike,
    threshold: float,
    *,
    weights: ArrayLike | None = None,
) -> float:
    """Mean F1 of the two classes."""
    y, p, w = _arrays(labels, probabilities, weights)
    shown = (p >= threshold).astype(np.float64)
    scores = []
    for truth, said in ((y, shown), (1 - y, 1 - shown)):
        total = float((w * truth).sum() + (w * said).sum())
        scores.append(2 * float((w * truth * said).sum()) / total if total else 0.0)
    return float(np.mean(scores))


def best_threshold(
    labels: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> float:
    """The threshold with the best macro-F1. Choose it on training rows, never on test rows."""
    y, p, w = _arrays(labels, probabilities, weights)
    order = np.argsort(-p, kind="stable")
    y, p, w = y[order], p[order], w[order]
    last = np.append(np.flatnonzero(np.diff(p)), p.size - 1)
    hits, shown = np.cumsum(w * y)[last], np.cumsum(w)[last]
    positive, total = (w * y).sum(), w.sum()
    f1 = 2 * hits / (positive + shown)
    true_negative = (total - shown) - (positive - hits)
    below = (total - positive) + (total - shown)
    f1_negative = np.divide(2 * true_negative, below, out=np.zeros_like(below), where=below > 0)
    best = int(np.argmax(f1 + f1_negative))
    if best + 1 == last.size:
        return float(p[last[best]])
    # Between two scores, so that a rounding in the last place changes nothing.
    return float((p[last[best]] + p[last[best + 1]]) / 2)


def bootstrap_interval(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> list[float]:
    """95 % percentile interval of average precision, rows drawn with replacement."""
    y, p, w = _arrays(labels, probabilities, weights)
    draws = []
    for _ in range(DRAWS):
        rows = rng.integers(0, y.size, y.size)
        if 0 < y[rows].sum() < y.size:
            draws.append(average_precision(y[rows], p[rows], weights=w[rows]))
    if not draws:
        return []
    return [float(value) for value in np.quantile(draws, [0.025, 0.975])]


def difference(
    labels: ArrayLike,
    mine: ArrayLike,
    theirs: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> dict[str, Any]:
    """AUPRC of `mine` less that of `theirs` on the same rows, with a 95 % interval.

    Paired bootstrap over groups (authors): the rows of one author say the same thing several times,
    and a bootstrap over rows would believe each of them. None where a class is missing.
    """
    y, a, w = _arrays(labels, mine, weights)
    b, of = np.asarray(theirs, dtype=np.float64), np.asarray(groups)
    judged = ~np.isnan(y)
    y, a, b, w, of = y[judged], a[judged], b[judged], w[judged], of[judged]
    found: dict[str, Any] = {"n": int(y.size), "positives": int(y.sum())}
    if not 0 < y.sum() < y.size:
        return found | {"value": None, "interval": None}
    draws = []
    for count in resampled(of, rng):
        kept = count > 0
        if 0 < y[kept].sum() < kept.sum():
            weight = (w * count)[kept]
            draws.append(
                average_precision(y[kept], a[kept], weights=weight)
                - average_precision(y[kept], b[kept], weights=weight)
            )
    value = average_precision(y, a, weights=w) - average_precision(y, b, weights=w)
    return found | {"value": value, "interval": _interval(draws)}


def resampled(groups: ArrayLike, rng: np.random.Generator) -> list[Floats]:
    """DRAWS times, how often each row came when its groups were drawn with replacement."""
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(of.max()) + 1 if of.size else 0
    return [
        rng.multinomial(count, np.full(count, 1 / count))[of].astype(np.float64)
        for _ in range(DRAWS if count else 0)
    ]


def ece_interval(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> list[float] | None:
    """95 % interval of the calibration error, groups drawn with replacement. It lies high: the
    error of a sample is larger than the error of the stream it is from."""
    y, p, w = _arrays(labels, probabilities, weights)
    draws = []
    for count in resampled(groups, rng):
        kept = count > 0
        draws.append(calibration.ece(p[kept], y[kept], weights=(w * count)[kept]))
    return _interval(draws)


def recall_at_capacity(
    labels: ArrayLike,
    probabilities: ArrayLike,
    share: float,
    *,
    weights: ArrayLike | None = None,
) -> float | None:
    """The violations among the `share` of rows that are given most: what reviewers would see who
    have time for so many."""
    y, p, w = _arrays(labels, probabilities, weights)
    positive = float((w * y).sum())
    if not positive:
        return None
    order = np.argsort(-p, kind="stable")
    seen = np.cumsum(w[order]) <= share * w.sum() + 1e-12
    return float((w * y)[order][seen].sum()) / positive


def subgroup_aucs(
    labels: ArrayLike, probabilities: ArrayLike, inside: NDArray[np.bool_]
) -> dict[str, float | None]:
    """How a subgroup fares (Borkan et al. 2019), each an AUROC.

    subgroup: inside it alone. bpsn: its clean rows against violations elsewhere; low means the
    group's clean texts are taken for violations. bnsp: its violations against clean rows elsewhere;
    low means the group's violations are missed.
    """
    y, p, _ = _arrays(labels, probabilities, None)
    positive = y > 0.5
    rows = {
        "subgroup": inside,
        "bpsn": (inside & ~positive) | (~inside & positive),
        "bnsp": (inside & positive) | (~inside & ~positive),
    }
    return {
        name: auroc(y[chosen], p[chosen]) if 0 < y[chosen].sum() < chosen.sum() else None
        for name, chosen in rows.items()
    }


def _interval(draws: list[float]) -> list[float] | None:
    if not draws:
        return None
    return [float(value) for value in np.quantile(draws, [0.025, 0.975])]


def _arrays(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    return y, p, w


def _thinned(precision: Floats, recall: Floats, cuts: Floats) -> list[dict[str, float]]:
    """At most CURVE_POINTS points, evenly over recall, ends kept."""
    rows = np.arange(recall.size)
    if recall.size > CURVE_POINTS:
        wanted = np.linspace(recall[0], recall[-1], CURVE_POINTS)
        rows = np.unique(np.searchsorted(recall, wanted).clip(0, recall.size - 1))
    return [
        {
            "recall": float(recall[row]),
            "precision": float(precision[row]),
            "threshold": float(cuts[row]),
        }
        for row in rows
    ]
