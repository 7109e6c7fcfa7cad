"""PURE. How far two models say the same of the same items: in order, and at their thresholds."""

from bisect import bisect_right, insort
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rates import Rate, Z, rate

LEAST = 10  # with fewer items, a correlation says nothing


class Correlation(NamedTuple):
    value: float
    low: float
    high: float
    n: int


class Flips(NamedTuple):
    """Of n items, on how many the second changes sides: from below to above, and from above to
    below; and how many each puts above."""

    to_above: Rate
    to_below: Rate
    first_above: int
    second_above: int
    n: int


def spearman(first: ArrayLike, second: ArrayLike) -> Correlation | None:
    """Rank correlation, ties sharing their mean rank. None for too few items, or where one model
    says the same of all. The interval: Fisher's z with the variance of Bonett & Wright (2000)."""
    a, b = _mean_ranks(first), _mean_ranks(second)
    if a.size < LEAST or a.min() == a.max() or b.min() == b.max():
        return None
    value = float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
    return _with_interval(value, a.size, (1 + value**2 / 2) / (a.size - 3))


def kendall(first: ArrayLike, second: ArrayLike) -> Correlation | None:
    """tau-b, by Knight's way (JASA 1966): n log n comparisons. The interval: Fisher's z with the
    variance of Fieller, Hartley & Pearson (1957), good for |tau| below .8."""
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    if a.size < LEAST:
        return None
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    pairs = a.size * (a.size - 1) / 2
    both = np.stack([a, b], axis=1)
    tied_a, tied_b = _tied_pairs(a), _tied_pairs(b)
    if pairs in (tied_a, tied_b):
        return None
    tied_both = _tied_pairs(np.unique(both, axis=0, return_inverse=True)[1].reshape(-1))
    seen: list[float] = []
    discordant = 0
    for value in b.tolist():
        discordant += len(seen) - bisect_right(seen, value)
        insort(seen, value)
    surplus = pairs - tied_a - tied_b + tied_both - 2 * discordant
    tau = float(np.clip(surplus / np.sqrt((pairs - tied_a) * (pairs - tied_b)), -1, 1))
    return _with_interval(tau, a.size, 0.437 / (a.size - 4))


def flips(
    first: ArrayLike, second: ArrayLike, *, first_threshold: float, second_threshold: float
) -> Flips | None:
    """Each model at its own threshold. None without items."""
    a = np.asarray(first, dtype=np.float64) >= first_threshold
    b = np.asarray(second, dtype=np.float64) >= second_threshold
    to_above, to_below = rate(~a & b), rate(a & ~b)
    if to_above is None or to_below is None:
        return None
    return Flips(to_above, to_below, int(a.sum()), int(b.sum()), int(a.size))


def _mean_ranks(values: ArrayLike) -> NDArray[np.float64]:
    _, place, count = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    last = np.cumsum(count)
    ranks: NDArray[np.float64] = ((last - count + 1 + last) / 2)[place]
    return ranks


def _tied_pairs(values: ArrayLike) -> float:
    count = np.unique(np.asarray(values), return_counts=True)[1].astype(np.float64)
    return float((count * (count - 1) / 2).sum())


def _with_interval(value: float, n: int, variance: float) -> Correlation:
    if abs(value) == 1:
        return Correlation(value, value, value, n)
    middle, half = np.arctanh(value), Z * np.sqrt(variance)
    return Correlation(value, float(np.tanh(middle - half)), float(np.tanh(middle + half)), n)
