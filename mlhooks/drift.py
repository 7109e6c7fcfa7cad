"""PURE. Has what comes in changed, and does the model still keep its promises? Numbers in, numbers
out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rates import Rate, Sums

# Edges of the score bands: finer below, where most of a stream lies.
BANDS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)
BINS = 10
LEAST_ITEMS = 200  # on either side: below, PSI is noise
LEAST_LABELS = 50
RARE = 0.01  # of both samples: such categories count as one
OTHER = "…"


class Bound(NamedTuple):
    """An alert opens beyond `opens` and closes within `closes`: a figure that hovers about one
    bound does not open and close every day. `is_least`: the figure has to stay above."""

    opens: float
    closes: float
    is_least: bool = False


BOUNDS: Mapping[str, Bound] = {
    "calibration": Bound(0.1, 0.08),
    "agreement": Bound(0.8, 0.83, is_least=True),
    # The usual reading of PSI: below .1 nothing has moved, above .25 much has (Siddiqi 2006).
    "score": Bound(0.25, 0.1),
    "length": Bound(0.25, 0.1),
    "language": Bound(0.25, 0.1),
}
PER_POLICY = ("calibration", "agreement", "score")
PER_PLATFORM = ("length", "language")


class Psi(NamedTuple):
    """`noise`: what two samples of this size from one stream show on average."""

    value: float
    noise: float
    reference: int
    current: int
    parts: list[tuple[str, float, float]]  # (bin, share then, share now)


def psi_of_values(reference: ArrayLike, current: ArrayLike) -> Psi | None:
    """Population stability index over tenths of the reference. None for fewer than LEAST_ITEMS."""
    then = np.asarray(reference, dtype=np.float64)
    now = np.asarray(current, dtype=np.float64)
    if min(then.size, now.size) < LEAST_ITEMS:
        return None
    low, high = float(then.min()), float(then.max())
    tenths = np.quantile(then, np.linspace(0, 1, BINS + 1)[1:-1])
    # What lies below or above all that ever came has a bin of its own.
    edges = np.unique([low, *tenths, np.nextafter(high, np.inf)])
    counts = [
        np.bincount(np.searchsorted(edges, part, side="right"), minlength=edges.size + 1)
        for part in (then, now)
    ]
    ends = [*edges[:-1], high]
    names = [f"{a:.3g}–{b:.3g}" for a, b in zip(ends, ends[1:], strict=False)]
    return _psi([f"< {low:.3g}", *names, f"> {high:.3g}"], *counts)


def psi_of_categories(reference: Sequence[str], current: Sequence[str]) -> Psi | None:
    """The same over categories; those rare on both sides count as one."""
    if min(len(reference), len(current)) < LEAST_ITEMS:
        return None
    names = sorted({*reference, *current})
    shares = {
        name: (reference.count(name) / len(reference), current.count(name) / len(current))
        for name in names
    }
    kept = [name for name in names if max(shares[name]) >= RARE]
    place = {name: n for n, name in enumerate(kept)}
    size = len(kept) + (len(kept) < len(names))
    counts = [
        np.bincount([place.get(one, len(kept)) for one in part], minlength=size)
        for part in (reference, current)
    ]
    return _psi([*kept, OTHER][:size], *counts)


def _psi(names: Sequence[str], then: NDArray[np.int64], now: NDArray[np.int64]) -> Psi:
    """Σ (now − then) · ln(now / then). Half a row is added to each bin, or an empty one would be
    infinitely far. Two samples of one stream: χ² with bins − 1 degrees, times (1/n + 1/m)
    (Yurdakul & Naranjo 2020)."""
    p = (then + 0.5) / (then.sum() + 0.5 * then.size)
    q = (now + 0.5) / (now.sum() + 0.5 * now.size)
    value = float(((q - p) * np.log(q / p)).sum())
    noise = (np.count_nonzero(then) - 1) * (1 / float(then.sum()) + 1 / float(now.sum()))
    parts = [
        (name, float(a), float(b))
        for name, a, b in zip(names, then / then.sum(), now / now.sum(), strict=True)
    ]
    return Psi(value, noise, int(then.sum()), int(now.sum()), parts)


def band_of(probabilities: ArrayLike) -> NDArray[np.int64]:
    """The band's number; its lower edge belongs to it."""
    found: NDArray[np.int64] = np.searchsorted(
        BANDS[1:-1], np.asarray(probabilities, dtype=np.float64), side="right"
    ).astype(np.int64)
    return found


class Band(NamedTuple):
    low: float
    high: float
    promised: float  # mean probability of its items
    confirmed: Rate  # how many of them reviewers found violating

    @property
    def is_kept(self) -> bool:
        """The promise lies in the interval of what was found."""
        return self.confirmed.low <= self.promised <= self.confirmed.high


def bands(rows: Iterable[tuple[int, Sums, float]]) -> list[Band]:
    """(number, sums of the labels, Σ weight · probability) of parts of a band, added up."""
    total: dict[int, tuple[Sums, float]] = {}
    for number, sums, promised in rows:
        before, so_far = total.get(number, (Sums(), 0.0))
        total[number] = before.plus(sums), so_far + promised
    found = []
    for number, (sums, promised) in sorted(total.items()):
        confirmed = sums.rate()
        if confirmed is not None:
            found.append(Band(BANDS[number], BANDS[number + 1], promised / sums.weight, confirmed))
    return found


def calibration_error(found: Sequence[Band], weights: Sequence[float]) -> float | None:
    """Mean distance between what bands promise and what reviewers confirm, by weight."""
    total = sum(weights)
    if not total:
        return None
    return (
        sum(
            weight * abs(one.promised - one.confirmed.value)
            for one, weight in zip(found, weights, strict=True)
        )
        / total
    )


def kappa(flags: ArrayLike, labels: ArrayLike, *, weights: ArrayLike) -> float | None:
    """Cohen's, weighted: agreement beyond what two that know nothing of each other would reach."""
    a, b = np.asarray(flags, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    if not w.size:
        return None
    w = w / w.sum()
    agreed = float((w * (a == b)).sum())
    p, q = float((w * a).sum()), float((w * b).sum())
    by_chance = p * q + (1 - p) * (1 - q)
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def is_out(value: float, bound: Bound, *, was_out: bool) -> bool:
    """With hysteresis: what was out comes back at `closes` only."""
    limit = bound.closes if was_out else bound.opens
    return value < limit if bound.is_least else value > limit
