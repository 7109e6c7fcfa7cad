"""PURE. How sure several people's answers to one question make us.

Dawid and Skene's model (Applied Statistics 1979): each rater finds a violation with a sensitivity
of her own and passes a clean item with a specificity of her own; both are learnt from the items
that several people answered, without anyone saying who was right. Few answers of hers say little,
so her figures are shrunk to those of all raters, and theirs to a fixed guess (MAP by EM).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STRENGTH = 10.0  # answers that a rater's shrinkage to all the others is worth
# Before any answer: (right, wrong) of violating and of clean items.
GUESS = ((8.0, 2.0), (19.0, 1.0))
MOST_STEPS = 200
_ENOUGH = 1e-9


class Answers(NamedTuple):
    """n answers: of which item, by which rater (both from 0), and whether it says "violates"."""

    item: Ints
    rater: Ints
    yes: Bools


class Raters(NamedTuple):
    """What was learnt of m raters; who answered nothing has the figures of all."""

    compared: int  # items
    prevalence: float  # among them
    usual: tuple[float, float]  # sensitivity and specificity of all
    sensitivity: Floats  # (m,)
    specificity: Floats  # (m,)
    answers: Ints  # (m,)


def learn(answers: Answers, *, items: int, raters: int) -> Raters:
    """Every item has at least one answer, and to teach anything at least two."""
    truth = _shares(answers, items)
    for _ in range(MOST_STEPS):
        found = _figures(answers, truth, raters)
        newer = posterior(found, answers, items=items)
        moved = float(np.abs(newer - truth).max(initial=0))
        truth = newer
        if moved < _ENOUGH:
            break
    return _figures(answers, truth, raters)


def posterior(raters: Raters, answers: Answers, *, items: int) -> Floats:
    """(items,): the chance that each violates, given its answers, which are taken to be given
    independently of each other."""
    sensitivity = raters.sensitivity[answers.rater]
    specificity = raters.specificity[answers.rater]
    says = np.where(
        answers.yes,
        np.log(sensitivity) - np.log1p(-specificity),
        np.log1p(-sensitivity) - np.log(specificity),
    )
    odds = np.log(raters.prevalence) - np.log1p(-raters.prevalence)
    odds = odds + np.bincount(answers.item, weights=says, minlength=items)
    found: Floats = 1 / (1 + np.exp(-odds))
    return found


def _shares(answers: Answers, items: int) -> Floats:
    """Where it begins: the share that says "violates"."""
    given = np.bincount(answers.item, minlength=items)
    yes = np.bincount(answers.item, weights=answers.yes, minlength=items)
    shares: Floats = yes / np.maximum(given, 1)
    return shares


def _figures(answers: Answers, truth: Floats, raters: int) -> Raters:
    of_item = truth[answers.item]
    right = []
    for is_violation, guess in zip((True, False), GUESS, strict=True):
        weight = of_item if is_violation else 1 - of_item
        agreed = weight * (answers.yes == is_violation)
        usual = (guess[0] + agreed.sum()) / (sum(guess) + weight.sum())
        own = np.bincount(answers.rater, weights=agreed, minlength=raters)
        out_of = np.bincount(answers.rater, weights=weight, minlength=raters)
        right.append((float(usual), (STRENGTH * usual + own) / (STRENGTH + out_of)))
    (sensitivity, sensitivities), (specificity, specificities) = right
    return Raters(
        compared=len(truth),
        prevalence=float((truth.sum() + 1) / (len(truth) + 2)),
        usual=(sensitivity, specificity),
        sensitivity=sensitivities,
        specificity=specificities,
        answers=np.bincount(answers.rater, minlength=raters),
    )
