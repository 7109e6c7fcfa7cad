"""Score → probability, with an error: temperature, Platt or isotonic, whichever predicts unseen
rows best. Numbers in, numbers out; randomness is passed in.

Which rows a map is fitted on matters more than its shape. Rows of the random lane, weighted by
their inverse inclusion probabilities, are the stream that probabilities are to be true of; what
risk picked is not.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import calibration
from .calibration import Platt, effective, logit, sigmoid

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TEMPERATURE, PLATT, ISOTONIC = "temperature", "platt", "isotonic"
FOLDS = 5
CONTESTED_FROM = 30  # effective rows of each class: below, Platt it is, its targets smoothed
STREAM_ROWS, STREAM_CLASS = 200, 20  # random-lane rows, and of each class, that carry a whole map
LEVEL_ROWS = 30  # … that can say how high it stands
LEVEL_SD = 1.5  # log-odds by which the level of other rows is expected to be off
MOST_BLOCKS = 20
ROWS_A_BLOCK = 15  # effective rows of the rarer class

# Where a map was fitted.
ALL_KNOWN, RANDOM, LEVELLED, PICKED = "all rows", "random lane", "level", "picked rows"


@dataclass(frozen=True)
class ProbabilityMap:
    """log-odds(x): a line, or for isotonic straight pieces between knots, the line's slope outside.

    `covariance` is (var slope, cov, var offset) of the line. `knots` are (x, log-odds, standard
    error). `level` is added to the log-odds, itself known up to `level_error`.
    """

    method: str
    line: Platt
    covariance: tuple[float, float, float] | None = None  # None: of a head that never told
    knots: tuple[tuple[float, float, float], ...] = ()
    level: float = 0.0
    level_error: float = 0.0
    about: dict[str, Any] = field(default_factory=dict)  # rows, n, positives, losses: for people

    def log_odds(self, x: ArrayLike) -> Floats:
        x = np.asarray(x, dtype=np.float64)
        if not self.knots:
            found: Floats = self.line.slope * x + self.line.offset + self.level
            return found
        at, values, _ = np.array(self.knots).T
        inside = np.interp(x, at, values)
        outside = np.minimum(x - at[0], 0) + np.maximum(x - at[-1], 0)
        found = inside + self.line.slope * outside + self.level
        return found

    def probability(self, x: ArrayLike) -> Floats:
        return sigmoid(self.log_odds(x))

    def steepness(self, x: ArrayLike) -> Floats:
        """Log-odds a unit of x: what an error of the score is worth in the answer."""
        x = np.asarray(x, dtype=np.float64)
        if len(self.knots) < 2:
            return np.full(x.shape, self.line.slope)
        at, values, _ = np.array(self.knots).T
        pieces = np.concatenate(
            [[self.line.slope], np.diff(values) / np.diff(at), [self.line.slope]]
        )
        found: Floats = pieces[np.searchsorted(at, x)]
        return found

    def error(self, x: ArrayLike) -> Floats:
        """Standard error of the log-odds for want of labels to fit the map on; NaN: not known."""
        x = np.asarray(x, dtype=np.float64)
        if self.covariance is None:
            return np.full(x.shape, np.nan)
        slope, both, offset = self.covariance
        variance = slope * x**2 + 2 * both * x + offset
        if self.knots:
            at, _, errors = np.array(self.knots).T
            # Beyond the last knots nothing but the line is known.
            inside = (x >= at[0]) & (x <= at[-1])
            variance = np.where(inside, np.interp(x, at, errors) ** 2, variance)
        found: Floats = np.sqrt(np.maximum(variance, 0) + self.level_error**2)
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "line": list(self.line),
            "covariance": None if self.covariance is None else list(self.covariance),
            "knots": [list(knot) for knot in self.knots],
            "level": [self.level, self.level_error],
            "about": self.about,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        covariance = found["covariance"]
        return cls(
            method=found["method"],
            line=Platt(*found["line"]),
            covariance=None if covariance is None else tuple(covariance),
            knots=tuple(tuple(knot) for knot in found["knots"]),
            level=found["level"][0],
            level_error=found["level"][1],
            about=found["about"],
        )


class Fitted(NamedTuple):
    map: ProbabilityMap
    weights: Floats  # of the rows as they were weighed for it; 0: left out


def interval(log_odds: ArrayLike, error: ArrayLike) -> tuple[Floats, Floats]:
    """95 %: (low, high) as probabilities, NaN where the error is."""
    z = np.asarray(log_odds, dtype=np.float64)
    wide = 1.96 * np.asarray(error, dtype=np.float64)
    return sigmoid(z - wide), sigmoid(z + wide)


def fit(x: ArrayLike, labels: ArrayLike, *, stream: ArrayLike, rng: np.random.Generator) -> Fitted:
    """A map true of the stream. `stream` holds inverse inclusion probabilities, NaN where nobody
    knows with which chance a row was picked.

    1. All known, or enough of them: the map is fitted on those.
    2. Some known: its shape comes from all rows, its level from the known ones (a known prior
       instead of the sample's), drawn towards no change by LEVEL_SD.
    3. None: all rows as they are, and `about` says so.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    w = np.asarray(stream, dtype=np.float64)
    known = ~np.isnan(w)
    if known.all():
        return Fitted(choose(x, y, weights=w, rows=ALL_KNOWN, rng=rng), w)
    rarer = min(int((y[known] > 0.5).sum()), int((y[known] <= 0.5).sum()))
    if known.sum() >= STREAM_ROWS and rarer >= STREAM_CLASS:
        found = choose(x[known], y[known], weights=w[known], rows=RANDOM, rng=rng)
        return Fitted(found, np.where(known, w, 0.0))
    even = np.ones_like(x)
    found = choose(x, y, weights=even, rows=PICKED, rng=rng)
    if known.sum() < LEVEL_ROWS:
        return Fitted(found, even)
    level, error = _level(found.log_odds(x[known]), y[known], w[known])
    about = found.about | {"rows": LEVELLED, "level_rows": int(known.sum())}
    # Each class weighs what the level says of it, so that a threshold is chosen for the stream.
    p = float(np.average(sigmoid(found.log_odds(x[known]) + level), weights=w[known]))
    share = float(np.clip(y.mean(), 1e-6, 1 - 1e-6))
    weights = np.where(y > 0.5, p / share, (1 - p) / (1 - share))
    return Fitted(replace(found, level=level, level_error=error, about=about), weights)


def choose(
    x: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    rows: str = ALL_KNOWN,
    rng: np.random.Generator,
) -> ProbabilityMap:
    """The method with the least log loss on folds it has not seen, weighted.

    Platt stays unless another beats it by more than the standard error of the difference, and with
    few labels is not contested at all.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    about: dict[str, Any] = {"rows": rows, "n": int(x.size), "positives": int((y > 0.5).sum())}
    rarer = min(effective(w[y > 0.5]), effective(w[y <= 0.5]))
    if rarer < CONTESTED_FROM:
        return replace(of_platt(x, y, w), about=about | {"losses": {}})
    folds = _folds(y, rng)
    losses = {name: np.zeros_like(x) for name in _METHODS}
    for fold in range(FOLDS):
        away = folds == fold
        for name, method in _METHODS.items():
            z = method(x[~away], y[~away], w[~away]).log_odds(x[away])
            losses[name][away] = np.logaddexp(0, z) - y[away] * z
    best = PLATT
    for name in (TEMPERATURE, ISOTONIC):
        gain = losses[best] - losses[name]
        mean = float(np.average(gain, weights=w))
        error = float(np.sqrt(np.square(w * (gain - mean)).sum()) / w.sum())
        if mean > error:
            best = name
    means = {name: float(np.average(one, weights=w)) for name, one in losses.items()}
    return replace(_METHODS[best](x, y, w), about=about | {"losses": means})


def of_platt(x: Floats, y: Floats, w: Floats) -> ProbabilityMap:
    """Platt's line, and how sure its two parameters are (model-based, weights as drawn)."""
    line = calibration.platt(x, y, weights=w)
    return ProbabilityMap(PLATT, line, _covariance(line, x, w, with_offset=True))


def of_temperature(x: Floats, y: Floats, w: Floats) -> ProbabilityMap:
    """x / T, for scores that are log-odds already (Guo et al. 2017). Newton on 1 / T."""
    slope = 1.0
    for _ in range(100):
        p = sigmoid(slope * x)
        step = (w * (p - y) * x).sum() / max((w * p * (1 - p) * x * x).sum(), 1e-12)
        new = min(max(slope - step, slope / 4), slope * 4)
        if abs(new - slope) < 1e-10:
            break
        slope = new
    line = Platt(float(slope), 0.0)
    return ProbabilityMap(TEMPERATURE, line, _covariance(line, x, w, with_offset=False))


def of_isotonic(x: Floats, y: Floats, w: Floats) -> ProbabilityMap:
    """Rising steps (pool adjacent violators) over blocks of equal information, joined by straight
    lines in log-odds, so that no two scores become one and what ranks higher still does.

    Blocks of equal Σ w·p(1−p) under Platt's line: of equal mass, all but one would hold no
    violation where these are rare. Each block is drawn towards the line by two rows.
    """
    base = of_platt(x, y, w)
    order = np.argsort(x, kind="stable")
    x, y, w = x[order], y[order], w[order] / w.mean()
    p = base.probability(x)
    information = np.maximum(w * p * (1 - p), 1e-12)
    rarer = min(effective(w[y > 0.5]), effective(w[y <= 0.5]))
    count = int(min(MOST_BLOCKS, rarer // ROWS_A_BLOCK))
    if count < 2 or x[0] == x[-1]:
        return base
    share = np.cumsum(information) / information.sum()
    block_of = np.minimum((share * count).astype(int), count - 1)
    blocks = []
    for block in range(count):
        here = block_of == block
        if not here.any():
            continue
        rows = effective(w[here])
        mean = (
            rows * np.average(y[here], weights=w[here]) + 2 * np.average(p[here], weights=w[here])
        ) / (rows + 2)
        centre = float(np.average(x[here], weights=information[here]))
        blocks.append((centre, float(mean), rows + 2))
    knots = tuple(
        (centre, float(logit(mean)), float(1 / np.sqrt(max(rows * mean * (1 - mean), 1e-9))))
        for centre, mean, rows in _pooled(blocks)
    )
    return replace(base, method=ISOTONIC, knots=knots) if len(knots) > 1 else base


_METHODS = {PLATT: of_platt, TEMPERATURE: of_temperature, ISOTONIC: of_isotonic}


def _pooled(blocks: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Pool adjacent violators (Ayer et al. 1955); equal neighbours become one knot too."""
    found: list[tuple[float, float, float]] = []
    for block in blocks:
        found.append(block)
        while len(found) > 1 and (found[-2][1] >= found[-1][1] or found[-2][0] >= found[-1][0]):
            (x1, p1, n1), (x2, p2, n2) = found.pop(-2), found.pop()
            n = n1 + n2
            found.append(((x1 * n1 + x2 * n2) / n, (p1 * n1 + p2 * n2) / n, n))
    return found


def _level(log_odds: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """The shift that makes the mean answer the observed share, drawn towards 0; and its error."""
    w = w / w.mean() * (effective(w) / w.size)  # as many rows as they are worth
    shift = 0.0
    for _ in range(50):
        p = sigmoid(log_odds + shift)
        curvature = (w * p * (1 - p)).sum() + 1 / LEVEL_SD**2
        step = ((w * (p - y)).sum() + shift / LEVEL_SD**2) / curvature
        shift -= float(np.clip(step, -1, 1))
        if abs(step) < 1e-9:
            break
    return shift, float(1 / np.sqrt(curvature))


def _covariance(
    line: Platt, x: Floats, w: Floats, *, with_offset: bool
) -> tuple[float, float, float]:
    """H⁻¹ J H⁻¹ of the weighted likelihood at the fit, J by the model's own variance."""
    w = w / w.mean()
    p = sigmoid(line.slope * x + line.offset)
    d = np.maximum(p * (1 - p), 1e-12)
    if not with_offset:
        variance = (w**2 * d * x * x).sum() / max((w * d * x * x).sum(), 1e-12) ** 2
        return float(variance), 0.0, 0.0
    scale, centre = float(x.std()) or 1.0, float(x.mean())
    z = np.stack([(x - centre) / scale, np.ones_like(x)], axis=1)
    bread = np.linalg.inv((z.T * (w * d)) @ z + 1e-9 * np.eye(2))
    found = bread @ ((z.T * (w**2 * d)) @ z) @ bread
    turn = np.array([[1 / scale, 0.0], [-centre / scale, 1.0]])
    found = turn @ found @ turn.T
    return float(found[0, 0]), float(found[0, 1]), float(found[1, 1])


def _folds(y: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold a row, the classes spread evenly."""
    folds = np.zeros(y.size, dtype=np.int64)
    for rows in (np.flatnonzero(y > 0.5), np.flatnonzero(y <= 0.5)):
        folds[rng.permutation(rows)] = np.arange(rows.size) % FOLDS
    return folds
