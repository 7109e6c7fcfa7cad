"""PURE. How common something is in a stream, from rows drawn with known chances and a model's word.

The model saw everything, reviewers a sample: what it says of all is set right by what they found
where both looked. A bad model makes the estimate no better, and not wrong.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import rates

LEAST = 10  # of either label: with fewer, no line can be drawn through them


class Prevalence(NamedTuple):
    """`value` of the stream violates, 95 % sure between `low` and `high`. `effective`: so many rows
    drawn evenly would tell as much. `is_assisted`: the model's word was used."""

    value: float
    low: float
    high: float
    n: int
    hits: int
    effective: float
    is_assisted: bool


def estimate(
    hits: ArrayLike, probabilities: ArrayLike, scores: ArrayLike, *, mean_score: float
) -> Prevalence | None:
    """Of n rows drawn each on its own: whether it violates, its inclusion probability, the score a
    model had given it; and the mean score of the whole stream. None without rows.

    The regression estimator under Poisson sampling (Särndal, Swensson, Wretman 1992, ch. 6): the
    share among the rows weighted back (Hájek), moved along the weighted line of hits on scores from
    the rows' mean score to the stream's. Its variance is that of the residuals; the interval is
    Wilson's at the number of rows that would have it.
    """
    y, score = (np.asarray(one, dtype=np.float64) for one in (hits, scores))
    chance = np.asarray(probabilities, dtype=np.float64)
    plain = rates.rate(y, weights=1 / chance)
    if plain is None:
        return None
    share = 1 / chance / (1 / chance).sum()
    middle = float(share @ score)
    spread = float(share @ (score - middle) ** 2)
    if min(plain.hits, plain.n - plain.hits) < LEAST or spread == 0:
        return Prevalence(*plain, is_assisted=False)
    slope = float(share @ ((score - middle) * (y - plain.value))) / spread
    value = plain.value + slope * (mean_score - middle)
    residual = y - plain.value - slope * (score - middle)
    variance = float((1 - chance) @ (share * residual) ** 2) * plain.n / (plain.n - 2)
    if not 0 < value < 1 or variance == 0:
        return Prevalence(*plain, is_assisted=False)
    effective = value * (1 - value) / variance
    low, high = rates.wilson(value, effective)
    return Prevalence(value, low, high, plain.n, plain.hits, effective, is_assisted=True)
