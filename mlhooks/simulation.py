"""Learning curves by replay: which strategy gets how far with how many labels, on a labelled file.

Everything is the product's own: encoder, heads, calibration, selection. Knows no rows and no
Django. What an arm has not drawn yet it never sees a label of; the test rows are nobody's pool.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import calibration, evaluation, lexical, selection, training
from .heads import Encode, Head, PolicyText, ZeroShot

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FULL = 0.95  # of the AUPRC with all labels: what `labels_to_95` counts up to
HEADS = 5  # of the ensemble that BALD compares

# Called with (fraction done, what is being done).
Progress = Callable[[float, str], None]


class NotPossible(Exception):
    """What is asked for cannot be simulated on these rows; says why."""


@dataclass(frozen=True)
class Rows:
    """n labelled texts; `labels` 1 or 0; `split` train, valid or test."""

    texts: Sequence[str]
    labels: Floats
    split: NDArray[np.str_]
    left_out: int = 0  # rows of the file without a text

    def of(self, split: str) -> Ints:
        return np.flatnonzero(self.split == split)


class Plan(NamedTuple):
    """What to simulate: labels are counted, not rounds."""

    strategies: Sequence[str]
    seeds: int = 5
    budget: int = 1000
    batch: int = 50
    initial: int = 50


def simulate(
    rows: Rows,
    vectors: NDArray[np.float32],
    plan: Plan,
    *,
    policy: PolicyText,
    encode: Encode,
    say: Progress = lambda fraction, step: None,
) -> dict[str, Any]:
    """Every arm with every seed. Returns what learning.json holds; see docs/learning.md.

    `vectors` (n, d) are the encoder's, of all rows. NotPossible if the budget is not there.
    """
    check(rows, plan)
    world = _World(rows, vectors, policy, encode)
    strategies = list(dict.fromkeys(["random", *plan.strategies]))
    runs = len(strategies) * plan.seeds
    say(0.0, "All labels at once")
    full = world.measure(world.fit(rows.of("train"), seed=0).head)
    arms: dict[str, dict[str, Any]] = {}
    for number, strategy in enumerate(strategies):
        points = []
        for seed in range(plan.seeds):
            start = (1 + number * plan.seeds + seed) / (runs + 1)

            def step(done: float, at: float = start, arm: str = strategy, by: int = seed) -> None:
                say(at + done / (runs + 1), f"{arm}, seed {by}")

            points.append(_run(world, strategy, plan, seed=seed, say=step))
        arms[strategy] = _arm(points, full["auprc"])
    for arm in arms.values():
        chance = arms["random"]["aulc"]
        arm["aulc_vs_random"] = arm["aulc"] / chance if chance else None
    return {"full_data": full, "arms": arms}


class _Point(NamedTuple):
    labels: int
    auprc: float
    ece: float
    positives: int


class _World:
    """The rows with their vectors, and what is done to them in every arm."""

    def __init__(
        self, rows: Rows, vectors: NDArray[np.float32], policy: PolicyText, encode: Encode
    ) -> None:
        self.rows, self.vectors, self.policy, self.encode = rows, vectors, policy, encode
        self.texts = lexical.Counted(rows.texts)
        self.test = rows.of("test")
        self.config = training.TrainingConfig([policy], encode)

    def fit(self, drawn: Ints, *, seed: int, chances: Floats | None = None) -> training.Fitted:
        return training.fit(
            self.config,
            self._examples(drawn, chances),
            self._examples(self.rows.of("valid"), None),
            seed=seed,
        )

    def predict(self, head: Head, rows: Ints) -> Floats:
        found: Floats = head.predict(self.vectors[rows], self.texts.take(rows))
        return found

    def measure(self, head: Head) -> dict[str, float | None]:
        truth, given = self.rows.labels[self.test], self.predict(head, self.test)[:, 0]
        return {
            "auprc": evaluation.average_precision(truth, given),
            "auroc": evaluation.auroc(truth, given),
            "f1": evaluation.macro_f1(truth, given, 0.5),
            "ece": calibration.ece(given, truth),
        }

    def known(self, drawn: Ints) -> selection.Known | None:
        if not len(drawn):
            return None
        return selection.Known(self.vectors[drawn], self.rows.labels[drawn][:, None])

    def _examples(self, rows: Ints, chances: Floats | None) -> training.Examples:
        return training.Examples(
            self.vectors[rows],
            self.texts.take(rows),
            self.rows.labels[rows][:, None],
            np.ones(len(rows)),
            None if chances is None else 1 / chances,
        )


def _run(
    world: _World, strategy: str, plan: Plan, *, seed: int, say: Callable[[float], None]
) -> list[_Point]:
    """One arm with one seed: draw, label, learn, measure, until the budget is spent.

    Probabilities are calibrated for the stream: each label counts 1 / its chance of having come by
    now, as if every round so far had given it the chance of its own (exact for the even floor, and
    for what was certain; between them close enough).
    """
    rng = np.random.default_rng([seed, *strategy.encode()])
    train = world.rows.of("train")
    drawn, chances = np.zeros(0, dtype=np.int64), np.zeros(0)
    head: Head = ZeroShot.from_policies([world.policy], world.encode)
    threshold = 0.5
    points: list[_Point] = []
    rounds = 0
    while len(drawn) < plan.budget:
        size = min(plan.batch if len(drawn) else plan.initial, plan.budget - len(drawn))
        left = np.setdiff1d(train, drawn, assume_unique=True)
        pool = selection.Pool(
            world.vectors[left],
            world.predict(head, left),
            np.array([threshold]),
            np.ones(1),
            ensembles=_ensemble(world, drawn, left, seed) if strategy == "bald" else None,
            known=world.known(drawn),
        )
        found = selection.inclusion(strategy, pool, expected=size, rng=rng)
        new = selection.draw_exactly(found.probabilities, rng)
        drawn, chances = np.append(drawn, left[new]), np.append(chances, found.probabilities[new])
        rounds += 1
        fitted = world.fit(drawn, seed=seed, chances=1 - (1 - chances) ** rounds)
        head, threshold = fitted.head, fitted.thresholds.get(world.policy.slug, 0.5)
        figures = world.measure(head)
        points.append(
            _Point(
                len(drawn),
                float(figures["auprc"] or 0),
                float(figures["ece"] or 0),
                int(world.rows.labels[drawn].sum()),
            )
        )
        say(len(drawn) / plan.budget)
    return points


def _ensemble(world: _World, drawn: Ints, left: Ints, seed: int) -> Floats:
    """HEADS heads, each from a bootstrap of what is labelled; (m, n, 1)."""
    if not len(drawn):
        head = ZeroShot.from_policies([world.policy], world.encode)
        return np.stack([world.predict(head, left)] * HEADS)
    rng = np.random.default_rng([seed, len(drawn)])
    heads = [
        world.fit(drawn[rng.integers(0, len(drawn), len(drawn))], seed=number).head
        for number in range(HEADS)
    ]
    return np.stack([world.predict(head, left) for head in heads])


def _arm(runs: list[list[_Point]], full: float | None) -> dict[str, Any]:
    """The seeds of one arm side by side. Every run has its points at the same numbers of labels."""
    auprc = np.array([[point.auprc for point in run] for run in runs])
    labels = [point.labels for point in runs[0]]
    return {
        "labels": labels,
        "auprc_mean": auprc.mean(axis=0).tolist(),
        "auprc_by_seed": auprc.tolist(),
        "ece_mean": np.mean([[point.ece for point in run] for run in runs], axis=0).tolist(),
        "positives": np.mean([[point.positives for point in run] for run in runs], axis=0).tolist(),
        "aulc": float(np.mean([_area(labels, run) for run in auprc])),
        "labels_to_95": _labels_to(labels, auprc, FULL * full) if full else None,
    }


def _area(labels: list[int], auprc: Floats) -> float:
    """Mean height of the curve over its labels (trapezoids)."""
    if len(labels) == 1:
        return float(auprc[0])
    return float(np.trapezoid(auprc, labels) / (labels[-1] - labels[0]))


def _labels_to(labels: list[int], auprc: Floats, bar: float) -> float | None:
    """Median over seeds of the labels at which a curve first reaches it; None if half do not."""
    first = [labels[int(np.argmax(run >= bar))] if (run >= bar).any() else np.inf for run in auprc]
    found = float(np.median(first))
    return found if np.isfinite(found) else None


def check(rows: Rows, plan: Plan) -> None:
    for name in plan.strategies:
        if name not in selection.STRATEGIES:
            raise NotPossible(
                f"There is no strategy {name!r}. There are {', '.join(selection.STRATEGIES)}."
            )
    if min(plan.seeds, plan.batch, plan.initial, plan.budget) < 1:
        raise NotPossible("Seeds, budget, batch and initial are all 1 or more.")
    if plan.initial > plan.budget:
        raise NotPossible(f"The first {plan.initial} labels are over the budget of {plan.budget}.")
    there = len(rows.of("train"))
    if plan.budget > there:
        raise NotPossible(
            f"The budget is {plan.budget} labels, the train rows are {there}. Ask for fewer."
        )
