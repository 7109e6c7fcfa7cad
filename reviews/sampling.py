"""PURE. Inclusion probabilities of a pool, and the draw by them.

Poisson sampling: each of the pool is drawn on its own, with its own known probability, so that
1 / probability weights it back (Horvitz and Thompson, JASA 1952; Hájek 1964 for Poisson sampling).
The uniform number of each is passed in: routing.draw_value() gives the same one for ever.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

# Of an expected size, so much goes evenly over the pool: whatever the model thinks of an item, it
# can be drawn, and no weight 1 / probability is beyond all measure.
FLOOR_SHARE = 0.1
# poisson_band: nearest to the threshold, top risk, and evenly (docs/ranking.md).
BAND_SHARES = (0.6, 0.3, 0.1)
THRESHOLD = 0.5
_LEAST_RISK = 1e-6
_STEPS = 200


class Plan(NamedTuple):
    """How a weight becomes a probability: min(1, max(floor, scale × weight)).

    With the weights it is all it takes to work the probabilities out again; `as_parameters` goes
    into the Draw.
    """

    strategy: str
    scale: float
    floor: float
    threshold: float
    means: tuple[float, float]  # of nearness and risk over the pool it was made for

    def probability(self, risk: float) -> float:
        return _capped(self.scale * weight(risk, self), self.floor)

    def as_parameters(self) -> dict[str, object]:
        return {
            "scale": self.scale,
            "floor": self.floor,
            "threshold": self.threshold,
            "means": list(self.means),
        }


def from_parameters(strategy: str, parameters: Mapping[str, Any]) -> Plan:
    return Plan(
        strategy,
        parameters["scale"],
        parameters["floor"],
        parameters["threshold"],
        tuple(parameters["means"]),
    )


def plan(
    strategy: str,
    risks: Sequence[float],
    *,
    expected: float,
    floor_share: float = FLOOR_SHARE,
    threshold: float = THRESHOLD,
) -> Plan:
    """The plan under which `expected` of a pool with these risks are drawn on average.

    Σ probability = min(expected, size of the pool), and each is above 0 if `expected` is.
    """
    size = len(risks)
    if not size or expected <= 0:
        return Plan(strategy, 0.0, 0.0, threshold, (1.0, 1.0))
    if expected >= size:
        return Plan("certainty", 1.0, 1.0, threshold, (1.0, 1.0))
    means = (
        math.fsum(nearness(risk, threshold) for risk in risks) / size,
        math.fsum(_clipped(risk) for risk in risks) / size,
    )
    shape = Plan(strategy, 1.0, floor_share * expected / size, threshold, means)
    weights = [weight(risk, shape) for risk in risks]
    return shape._replace(scale=_scale(weights, expected=expected, floor=shape.floor))


def weight(risk: float, plan: Plan) -> float:
    """How much an item of this risk is wanted, before scaling."""
    if plan.strategy == "poisson_sqrt":
        return math.sqrt(_clipped(risk))
    if plan.strategy == "poisson_band":
        near, top, even = BAND_SHARES
        return (
            near * nearness(risk, plan.threshold) / plan.means[0]
            + top * _clipped(risk) / plan.means[1]
            + even
        )
    return 1.0


def nearness(risk: float, threshold: float) -> float:
    """1 at the threshold, falling by e with every step of 1 in the log-odds."""
    return math.exp(-abs(_log_odds(risk) - _log_odds(threshold)))


def draw(probabilities: Sequence[float], value: Callable[[int], float]) -> list[int]:
    """The places that are drawn; `value(place)` is that one's uniform number in [0, 1)."""
    return [n for n, probability in enumerate(probabilities) if value(n) < probability]


def histogram(probabilities: Sequence[float], *, bins: int = 10) -> list[tuple[float, float, int]]:
    """(from, to, how many), from the least probability to the largest, on a log scale."""
    if not probabilities:
        return []
    least, most = min(probabilities), max(probabilities)
    if most / least < 1 + 1e-9:
        return [(least, most, len(probabilities))]
    step = math.log(most / least) / bins
    edges = [least * math.exp(step * n) for n in range(bins)] + [most]
    counts = [0] * bins
    for probability in probabilities:
        counts[min(int(math.log(probability / least) / step), bins - 1)] += 1
    return [(edges[n], edges[n + 1], counts[n]) for n in range(bins)]


def _scale(weights: Sequence[float], *, expected: float, floor: float) -> float:
    """Σ min(1, max(floor, scale × weight)) = expected, by halving: the sum grows with the scale."""
    low, high = 0.0, 1 / min(weights)  # at the upper end each is certain
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if math.fsum(_capped(middle * one, floor) for one in weights) < expected:
            low = middle
        else:
            high = middle
    return high


def _capped(probability: float, floor: float) -> float:
    return min(1.0, max(floor, probability))


def _clipped(risk: float) -> float:
    return min(max(risk, _LEAST_RISK), 1 - _LEAST_RISK)


def _log_odds(probability: float) -> float:
    clipped = _clipped(probability)
    return math.log(clipped / (1 - clipped))
