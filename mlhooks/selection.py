"""PURE. Which of a pool should be reviewed next: strategies, and the chance each item gets.

A strategy only says how much each item is wanted. `inclusion` turns that into probabilities of
Poisson sampling that are known exactly and never 0, so whatever is drawn can be weighted back
(Horvitz and Thompson, JASA 1952). Picks that look at the pool's texts, but at no label of the pool,
change the probabilities and not their truth: given the pool and the seed they are fixed numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FLOOR_SHARE = 0.1  # of the expected number, drawn evenly over the pool
SHARPNESS = 2.0  # β of soft ranks: 0 is random, ∞ takes the best and nothing else
COLD = 1.0  # β while there is only a policy's bare words to rank by: see docs/learning.md
BLEND = (0.3, 0.6)  # of `default`: near the threshold, top risk; the floor is the rest
TWO = 2  # of each answer, from which a head learns from labels at all (few-shot)
EXAMPLES = 3  # of a policy, from which heads.ZeroShot compares by them and not by its words
FEW = 16  # violations, up to which neighbours of the known ones are better guesses
ANCHORS = 10  # labelled positives a policy that draw a neighbourhood
NEIGHBOURS = 50  # of each anchor
TYPICAL_OF = 20  # nearest neighbours that say how typical a text is (Hacohen et al. 2022)
MOST_CLUSTERS = 500
_LEAST = 1e-6
_STEPS = 2200  # halvings at most: a double has no more


class Known(NamedTuple):
    """What is labelled already: (l, d) unit vectors, (l, p) labels, NaN for not judged."""

    vectors: Vectors
    labels: Floats

    @property
    def violations(self) -> Vectors:
        found: Vectors = self.vectors[(self.labels == 1).any(axis=1)]
        return found

    @property
    def fewest(self) -> Ints:
        """(p,): violations of each policy, or clean items where those are fewer."""
        counts = [(self.labels == label).sum(axis=0) for label in (0, 1)]
        fewer: Ints = np.minimum(*counts)
        return fewer


@dataclass(frozen=True)
class Pool:
    """n items that could be drawn, p policies. What is not known is None.

    embeddings (n, d), rows of length 1; probabilities (n, p), calibrated; thresholds (p,), where
    each policy begins to act; costs (p,) or (n, p), what a missed violation costs (severity; 0
    where an item's queue does not judge that policy); ensembles (m, n, p), the same from m heads;
    accounts, clusters (n,), −1 for none; examples (p,), how many violations each policy's text
    shows.
    """

    embeddings: Vectors
    probabilities: Floats
    thresholds: Floats
    costs: Floats
    ensembles: Floats | None = None
    accounts: Ints | None = None
    clusters: Ints | None = None
    known: Known | None = None
    examples: Ints | None = None

    def __post_init__(self) -> None:
        n, p = self.probabilities.shape
        is_costed = self.costs.shape in ((p,), (n, p))
        if len(self.embeddings) != n or len(self.thresholds) != p or not is_costed:
            raise ValueError("Embeddings, probabilities, thresholds and costs do not fit together.")

    def __len__(self) -> int:
        return len(self.embeddings)


class Caps(NamedTuple):
    """How many of one account or one cluster may be expected in a draw; None for no limit."""

    account: float | None = None
    cluster: float | None = None


class Inclusion(NamedTuple):
    probabilities: Floats  # (n,), each in (0, 1]
    parameters: dict[str, Any]  # what to write beside the draw


class Strategy(NamedTuple):
    weigh: Callable[[Pool, int, np.random.Generator], Floats]
    says: str  # one line for people
    needs: str = ""  # "labels", "ensembles", or nothing


def inclusion(
    strategy: str,
    pool: Pool,
    *,
    expected: float,
    floor_share: float = FLOOR_SHARE,
    caps: Caps | None = None,
    rng: np.random.Generator,
) -> Inclusion:
    """The chance of each item, Σ = `expected` (all of a smaller pool; less where caps forbid it).

    ValueError for an unknown strategy, or one that needs what the pool does not have.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"There is no strategy {strategy!r}. There are {', '.join(STRATEGIES)}.")
    if not 0 < floor_share <= 1:
        raise ValueError(
            "The floor's share is above 0, at most 1: every item has to have a chance."
        )
    chosen, caps = STRATEGIES[strategy], caps or Caps()
    if chosen.needs == "ensembles" and pool.ensembles is None:
        raise ValueError(f"{strategy} compares several heads, and the pool has one.")
    n = len(pool)
    about: dict[str, Any] = {"strategy": strategy, "pool": n, "expected": float(expected)}
    if not n or expected <= 0:
        return Inclusion(np.zeros(n), about | {"scale": 0.0, "floor": 0.0})
    expected = min(expected, n)
    weights = chosen.weigh(pool, int(np.ceil(expected)), rng)
    floor = floor_share * expected / n
    groups = [
        (members, cap)
        for members, cap in ((pool.accounts, caps.account), (pool.clusters, caps.cluster))
        if members is not None and cap is not None
    ]
    scale = _scale(weights, floor, groups, expected)
    found = _probabilities(scale, weights, floor, groups)
    about |= {"scale": scale, "floor": floor, "sharpness": SHARPNESS, "caps": caps._asdict()}
    return Inclusion(found, about | {"reached": float(found.sum())})


def draw(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """The rows that are drawn, each on its own (Poisson sampling)."""
    return np.flatnonzero(rng.random(len(probabilities)) < probabilities)


def draw_exactly(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """The rows of a draw of fixed size, by the same probabilities: systematic sampling in random
    order (Madow 1949). Σ has to be whole, else the size is one of its two neighbours. For
    simulations, where every arm has to have as many labels as the others."""
    order = rng.permutation(len(probabilities))
    ends = np.cumsum(probabilities[order])
    marks = rng.random() + np.arange(int(np.ceil(ends[-1])) + 1)
    places = np.searchsorted(ends, marks[marks < ends[-1]], side="right")
    return np.sort(order[places])


def soft_rank(utilities: Floats, sharpness: float = SHARPNESS) -> Floats:
    """Weights 1 / rank^β, best first; ties share the mean of their weights.

    "Softrank" of Kirsch et al., Stochastic Batch Acquisition (TMLR 2023): it asks of a utility only
    its order, so no scale has to be tuned, and a batch does not pile up on one spot.
    """
    order = np.argsort(-utilities, kind="stable")
    weights = np.arange(1, len(utilities) + 1, dtype=np.float64) ** -sharpness
    starts = np.flatnonzero(np.append(True, np.diff(utilities[order]) != 0))
    sizes = np.diff(np.append(starts, len(utilities)))
    shared = np.add.reduceat(weights, starts) / sizes if len(utilities) else weights
    found = np.empty(len(utilities))
    found[order] = np.repeat(shared, sizes)
    return _normalised(found)


# Strategies: pool, how many are wanted, randomness → weights (n,), Σ = 1


def _random(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    return np.full(len(pool), 1 / len(pool))


def _least_confidence(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    p = pool.probabilities
    return soft_rank(_dearest(1 - np.maximum(p, 1 - p), pool))


def _margin(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    return soft_rank(_dearest(1 - np.abs(2 * pool.probabilities - 1), pool))


def _entropy(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    return soft_rank(_dearest(entropy(pool.probabilities), pool))


def _band(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    return soft_rank(_dearest(_nearness(pool), pool))


def _risk(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    return soft_rank(_dearest(pool.probabilities, pool))


def _bald(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """What the heads disagree about, in nats (Houlsby et al. 2011)."""
    heads = pool.probabilities[None] if pool.ensembles is None else pool.ensembles
    gain = entropy(heads.mean(axis=0)) - entropy(heads).mean(axis=0)
    return soft_rank(_dearest(np.maximum(gain, 0), pool))


def _k_center(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """Farthest first from all that is labelled or picked (Sener and Savarese 2018)."""
    x = pool.embeddings.astype(np.float64)
    if pool.known is not None and len(pool.known.vectors):
        nearest = np.full(len(x), np.inf)
        for start in range(0, len(pool.known.vectors), 512):
            cosines = x @ pool.known.vectors[start : start + 512].astype(np.float64).T
            nearest = np.minimum(nearest, 2 - 2 * cosines.max(axis=1))
        picks = [int(nearest.argmax())]
    else:
        picks = [int(rng.integers(len(x)))]
        nearest = np.full(len(x), np.inf)
    while len(picks) < min(wanted, len(x)):
        nearest = np.minimum(nearest, 2 - 2 * (x @ x[picks[-1]]))
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return _picked(picks, len(x))


def _badge(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """k-means++ over the gradients of the last layer, were the model's own guess the label
    (Ash et al. 2020). A gradient is (p − guess) ⊗ x: distances need the factors alone."""
    x = pool.embeddings.astype(np.float64)
    slopes = (pool.probabilities - (pool.probabilities >= 0.5)) * pool.costs
    lengths = (slopes**2).sum(axis=1) * (x**2).sum(axis=1)
    picks = [int(lengths.argmax())]
    nearest = np.full(len(x), np.inf)
    while len(picks) < min(wanted, len(x)):
        last = picks[-1]
        inner = (slopes @ slopes[last]) * (x @ x[last])
        nearest = np.minimum(nearest, np.maximum(lengths + lengths[last] - 2 * inner, 0))
        nearest[picks] = 0
        total = nearest.sum()
        if total <= 0:
            break
        picks.append(int(rng.choice(len(x), p=nearest / total)))
    return _picked(picks, len(x))


def _typiclust(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """The most typical text of each of the largest clusters nobody has labelled in
    (Hacohen et al. 2022): what to look at before there is a model."""
    from sklearn.cluster import MiniBatchKMeans

    labelled = pool.embeddings[:0] if pool.known is None else pool.known.vectors
    n = len(pool)
    count = min(len(labelled) + wanted, MOST_CLUSTERS, n)
    means = MiniBatchKMeans(count, random_state=int(rng.integers(2**31)), n_init=1, batch_size=4096)
    of = means.fit_predict(pool.embeddings)
    sizes = np.bincount(of, minlength=count).astype(np.float64)
    covered = np.zeros(count)
    if len(labelled):
        np.add.at(covered, means.predict(labelled.astype(pool.embeddings.dtype)), 1)
    order = sorted(range(count), key=lambda one: (covered[one], -sizes[one]))
    picks: list[int] = []
    taken = np.zeros(n, dtype=bool)
    while len(picks) < min(wanted, n):
        for cluster in order:
            members = np.flatnonzero((of == cluster) & ~taken)
            if not len(members):
                continue
            pick = int(members[_typicality(pool.embeddings[members]).argmax()])
            taken[pick] = True
            picks.append(pick)
            if len(picks) >= min(wanted, n):
                break
    return _picked(picks, n)


def _anchor(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """Uncertainty inside the neighbourhoods of known violations (after AnchorAL, Lesci and Vlachos
    2024): where a class is rare, most of a pool is far from it whatever the model thinks."""
    if pool.known is None or not len(pool.known.violations):
        return _risk(pool, wanted, rng)
    near = neighbourhood(pool.embeddings, pool.known, rng)
    utilities = _dearest(_nearness(pool), pool)
    weights = np.zeros(len(pool))
    weights[near] = soft_rank(utilities[near])
    return weights


def _default(pool: Pool, wanted: int, rng: np.random.Generator) -> Floats:
    """Most of the highest risk, some near the threshold; the floor, which is even, is the rest.

    While a policy has few labels there is no threshold to speak of: then the neighbours of its
    known violations, and before there are any, what its own text ranks first. Without examples that
    is drawn widely: what a bare name is nearest to talks about the policy and seldom breaks it.
    Policies that have come so far and others share by what they cost.
    """
    has_learnt = pool.known is not None and (pool.known.fewest >= TWO).any()
    has_examples = pool.examples is not None and (pool.examples >= EXAMPLES).all()
    sharpness = SHARPNESS if has_learnt or has_examples else COLD
    risk = soft_rank(_dearest(pool.probabilities, pool), sharpness)
    if pool.known is None or not len(pool.known.violations):
        return risk
    near, top = BLEND
    costs = np.broadcast_to(pool.costs, pool.probabilities.shape)
    is_known = pool.known.fewest >= FEW
    share = _normalised(costs.mean(axis=0))[is_known].sum()
    asked = np.zeros(len(pool))
    if share > 0:
        asked += share * soft_rank((_nearness(pool) * costs)[:, is_known].max(axis=1))
    if share < 1:
        labels = pool.known.labels[:, ~is_known]
        violations = pool.known.vectors[(labels == 1).any(axis=1)]
        likeness = (pool.probabilities * costs)[:, ~is_known].max(axis=1)
        if len(violations):
            likeness = _kinship(pool.embeddings, violations)
        asked += (1 - share) * soft_rank(likeness)
    return _normalised(near * asked + top * risk)


def _kinship(embeddings: Vectors, violations: Vectors) -> Floats:
    """Cosine to the likest of the known violations."""
    best = np.full(len(embeddings), -np.inf)
    for start in range(0, len(violations), 512):
        cosines = embeddings @ violations[start : start + 512].T
        best = np.maximum(best, cosines.max(axis=1))
    return best


STRATEGIES: dict[str, Strategy] = {
    "default": Strategy(_default, "60 % near the threshold, 30 % top risk, 10 % evenly"),
    "random": Strategy(_random, "Evenly"),
    "risk": Strategy(_risk, "The highest probabilities"),
    "band": Strategy(_band, "Nearest to the policy's threshold"),
    "least_confidence": Strategy(_least_confidence, "The least sure answers"),
    "margin": Strategy(_margin, "The smallest lead of one answer over the other"),
    "entropy": Strategy(_entropy, "The most open answers"),
    "anchor": Strategy(_anchor, "Near the threshold, among neighbours of known violations"),
    "typiclust": Strategy(_typiclust, "Typical texts of groups nobody has looked at"),
    "k_center": Strategy(_k_center, "Farthest from all that is labelled"),
    "badge": Strategy(_badge, "Unsure and unlike each other"),
    "bald": Strategy(_bald, "What several heads disagree about", needs="ensembles"),
}


def neighbourhood(embeddings: Vectors, known: Known, rng: np.random.Generator) -> Ints:
    """Rows among the NEIGHBOURS nearest of up to ANCHORS violations a policy, spread over the class
    by k-means++."""
    found: set[int] = set()
    count = min(NEIGHBOURS, len(embeddings))
    for policy in range(known.labels.shape[1]):
        positives = known.vectors[known.labels[:, policy] == 1].astype(np.float64)
        for anchor in _spread(positives, ANCHORS, rng):
            cosines = embeddings @ anchor.astype(embeddings.dtype)
            found.update(np.argpartition(-cosines, count - 1)[:count].tolist())
    return np.array(sorted(found), dtype=np.int64)


def entropy(p: Floats) -> Floats:
    """Of a yes-or-no answer, in nats."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    result: Floats = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    return result


def _dearest(utilities: Floats, pool: Pool) -> Floats:
    """(n, p) → (n,): an item is wanted as much as the policy that wants it most."""
    result: Floats = (utilities * pool.costs).max(axis=1)
    return result


def _nearness(pool: Pool) -> Floats:
    """1 at the threshold, falling by e with every step of 1 in the log-odds."""
    gap = _log_odds(pool.probabilities) - _log_odds(pool.thresholds)
    result: Floats = np.exp(-np.abs(gap))
    return result


def _log_odds(p: Floats) -> Floats:
    p = np.clip(p, _LEAST, 1 - _LEAST)
    result: Floats = np.log(p) - np.log1p(-p)
    return result


def _typicality(x: Vectors) -> Floats:
    """1 / mean distance to the nearest TYPICAL_OF others of the same cluster."""
    x = x[:2000]
    squares = np.maximum(2 - 2 * (x @ x.T).astype(np.float64), 0)
    count = min(TYPICAL_OF, len(x) - 1)
    if count < 1:
        return np.ones(len(x))
    nearest = np.sort(np.sqrt(squares), axis=1)[:, 1 : count + 1]
    result: Floats = 1 / (nearest.mean(axis=1) + 1e-5)
    return result


def _spread(x: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Up to `count` rows, far from each other (k-means++ seeding)."""
    if len(x) <= count:
        return x
    picks = [int(rng.integers(len(x)))]
    nearest = np.full(len(x), np.inf)
    while len(picks) < count:
        nearest = np.minimum(nearest, ((x - x[picks[-1]]) ** 2).sum(axis=1))
        total = nearest.sum()
        if total <= 0:
            break
        picks.append(int(rng.choice(len(x), p=nearest / total)))
    return x[picks]


def _picked(picks: list[int], n: int) -> Floats:
    """The picks alike, the rest left to the floor."""
    weights = np.zeros(n)
    weights[picks] = 1.0
    return _normalised(weights)


def _normalised(weights: Floats) -> Floats:
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(weights), 1 / max(len(weights), 1))


# From weights to probabilities


def _probabilities(
    scale: float, weights: Floats, floor: float, groups: list[tuple[Ints, float]]
) -> Floats:
    """min(1, max(floor, scale · weight)); where a group would expect more than its cap, all of it
    is scaled down alike, its floor too. Each chance stays above 0; no draw is thrown away."""
    found = np.minimum(1.0, np.maximum(floor, scale * weights))
    for members, cap in groups:
        inside = members >= 0
        of = np.unique(members[inside], return_inverse=True)[1]
        sums = np.bincount(of, weights=found[inside])
        found[inside] *= np.minimum(1.0, cap / sums)[of]
    return found


def _scale(
    weights: Floats, floor: float, groups: list[tuple[Ints, float]], expected: float
) -> float:
    """The scale at which the sum is `expected`, by halving: the sum grows with it. Where caps (or
    weights of 0) keep it below, the scale at which everything that is wanted is certain."""
    some = weights[weights > 0]
    low, high = 0.0, float(min(1 / some.min(), 1e300)) if some.size else 1.0
    if _probabilities(high, weights, floor, groups).sum() <= expected:
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _probabilities(middle, weights, floor, groups).sum() < expected:
            low = middle
        else:
            high = middle
    return high
