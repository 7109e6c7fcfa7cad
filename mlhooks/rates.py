"""PURE. A share of a stream, from rows drawn with known chances."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Z = 1.959963984540054  # 95 %


class Rate(NamedTuple):
    """`value` estimates the stream's share; `effective` says how many equally weighted rows these
    are worth (Kish 1965)."""

    value: float
    low: float
    high: float
    n: int
    hits: int
    effective: float


class Sums(NamedTuple):
    """All that a rate needs to know of its rows; sums of parts add up to those of the whole."""

    n: int = 0
    hits: int = 0
    weight: float = 0.0  # Σ w
    square: float = 0.0  # Σ w²
    hit_weight: float = 0.0  # Σ w·hit

    def plus(self, other: "Sums") -> "Sums":
        return Sums(
            self.n + other.n,
            self.hits + other.hits,
            self.weight + other.weight,
            self.square + other.square,
            self.hit_weight + other.hit_weight,
        )

    def rate(self) -> Rate | None:
        """Σ w·hit / Σ w (Hájek), with a Wilson interval at the effective number of rows. None
        where there are no rows.

        Wilson's holds where few rows or none are hits, which a sandwich variance does not.
        """
        if not self.n:
            return None
        value = min(1.0, self.hit_weight / self.weight)
        effective = self.weight**2 / self.square
        low, high = wilson(value, effective)
        return Rate(value, low, high, self.n, self.hits, effective)


def sums(hits: ArrayLike, *, weights: ArrayLike | None = None) -> Sums:
    """`weights` are 1 / inclusion probability."""
    y = np.asarray(hits, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    return Sums(
        int(y.size), int(y.sum()), float(w.sum()), float(np.square(w).sum()), float((w * y).sum())
    )


def rate(hits: ArrayLike, *, weights: ArrayLike | None = None) -> Rate | None:
    return sums(hits, weights=weights).rate()


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of n rows (Wilson, JASA 1927)."""
    if n <= 0:
        return 0.0, 1.0
    slack = Z * Z / n
    middle = (share + slack / 2) / (1 + slack)
    half = Z * float(np.sqrt((share * (1 - share) + slack / 4) / n)) / (1 + slack)
    return max(0.0, middle - half), min(1.0, middle + half)
