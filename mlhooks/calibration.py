"""Logits → probabilities that mean what they say. Numbers in, numbers out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Platt(NamedTuple):
    """P = 1 / (1 + exp(−(slope · x + offset)))."""

    slope: float
    offset: float


class Bin(NamedTuple):
    """One bar of a reliability diagram."""

    predicted: float  # mean probability
    observed: float  # share of positives
    size: int  # rows in it


def sigmoid(x: ArrayLike) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(x, dtype=np.float64), -500, 500)))
    return result


def logit(p: ArrayLike) -> Floats:
    p = np.clip(np.asarray(p, dtype=np.float64), 1e-12, 1 - 1e-12)
    result: Floats = np.log(p) - np.log1p(-p)
    return result


def apply(platt: Platt, x: ArrayLike) -> Floats:
    return sigmoid(platt.slope * np.asarray(x, dtype=np.float64) + platt.offset)


def platt(x: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None) -> Platt:
    """Fit slope and offset by Newton's method (Platt 1999; Lin, Lin & Weng 2007).

    The targets are smoothed, so that a few separable labels do not make certainties: two made-up
    rows are added to each class, at the base rate. With balanced classes these are Platt's own
    (P+1)/(P+2) and 1/(N+2); on a stream with two positives in a hundred, his would say of eight
    clean rows that one in ten is not. `weights` are inverse inclusion probabilities; each class
    counts as many rows as its weights are worth (Kish). The slope is kept positive: a calibration
    never turns a ranking round.
    """
    x = np.asarray(x, dtype=np.float64)
    y = np.asarray(labels, dtype=np.float64) > 0.5
    if x.size == 0:
        raise ValueError("There is nothing to calibrate on.")
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    w = w / w.mean()
    base = float((w[y].sum() + 0.5) / (w.sum() + 1))
    positives, negatives = effective(w[y]), effective(w[~y])
    target = np.where(y, (positives + 2 * base) / (positives + 2), 2 * base / (negatives + 2))
    scale = float(x.std()) or 1.0
    centre = float(x.mean())
    z = (x - centre) / scale  # one step size for any range of logits

    flat = float(logit((w * target).mean()))
    a, b = 0.0, flat
    loss = _loss(z, target, w, a, b)
    for _ in range(100):
        p = sigmoid(a * z + b)
        gradient = np.array([(w * (p - target) * z).sum(), (w * (p - target)).sum()])
        if np.abs(gradient).max() < 1e-9 * w.sum():
            break
        d = w * p * (1 - p)
        hessian = np.array([[(d * z * z).sum(), (d * z).sum()], [(d * z).sum(), d.sum()]])
        hessian += 1e-12 * w.sum() * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-10:
            trial = _loss(z, target, w, a - size * step[0], b - size * step[1])
            if trial <= loss:
                break
            size /= 2
        else:
            break
        a, b, loss = a - size * step[0], b - size * step[1], trial
    if a <= 0:  # the score says nothing, or lies: keep the order, answer the base rate
        a, b = 1e-6, flat
    return Platt(slope=float(a / scale), offset=float(b - a * centre / scale))


def reliability(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = 10,
    weights: ArrayLike | None = None,
) -> list[Bin]:
    """Bins of equal mass (not equal width: at low prevalence those are nearly all empty)."""
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(labels, dtype=np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return [
        Bin(
            predicted=float(np.average(p[part], weights=w[part])),
            observed=float(np.average(y[part], weights=w[part])),
            size=int(part.size),
        )
        for part in parts
    ]


def ece(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = 10,
    weights: ArrayLike | None = None,
) -> float:
    """Expected calibration error: mean |predicted − observed| over equal-mass bins."""
    found = reliability(probabilities, labels, bins=bins, weights=weights)
    total = sum(one.size for one in found)
    return sum(one.size * abs(one.predicted - one.observed) for one in found) / max(total, 1)


def effective(weights: Floats) -> float:
    """How many equally weighted rows these are worth (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum()) if weights.size else 0.0


def _loss(z: Floats, target: Floats, w: Floats, a: float, b: float) -> float:
    margin = a * z + b
    return float((w * (np.logaddexp(0, margin) - target * margin)).sum())
