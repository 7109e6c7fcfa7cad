"""The answers behind a page of labels, put together by policy: how many, and how sure they make us.

aggregation.py has the model; here are the pages' arrays, and what is left out of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from . import aggregation

Ints = NDArray[np.int64]

# How a label came about. Who settles by her word (a lead, on appeal or by an override) settles it:
# the answers before hers are kept as ratings and no longer weighed.
SINGLE, SEVERAL, ADJUDICATED, APPEAL, OVERRIDE = range(5)
AGGREGATORS = ("single", "dawid-skene", "adjudicated", "appeal", "override")
DIGITS = 6  # of a posterior: what two machines may round differently is behind them


class Cells(NamedTuple):
    """Answers of a page to "does it violate this policy, by the text the label was judged by",
    given independently, the newest of each rater."""

    row: Ints
    policy: Ints
    rater: Ints
    yes: NDArray[np.bool_]


def cells(
    row: Ints,
    policy: Ints,
    number: NDArray[np.integer],
    rater: Ints,
    yes: NDArray[np.bool_],
    *,
    version: NDArray[np.integer],
    raters: int,
) -> Cells:
    """`row`, `policy`, `number`, `rater`, `yes`: the answers, oldest first within a row, policy −1
    where one judged none. `version` (policies, rows): by which each label was judged."""
    kept = policy >= 0
    kept[kept] = number[kept] == version[policy[kept], row[kept]]
    row, policy, rater, yes = row[kept], policy[kept], rater[kept], yes[kept]
    if not len(row):
        return Cells(row, policy, rater, yes)
    key = (row * len(version) + policy) * max(raters, 1) + rater
    _, last = np.unique(key[::-1], return_index=True)  # of each rater the newest
    last = len(key) - 1 - last
    return Cells(row[last], policy[last], rater[last], yes[last])


def learn(found: Cells, *, policies: int, raters: int) -> list[aggregation.Raters]:
    """For each policy what is known of its raters, from the rows that several of them answered."""
    learnt = []
    for policy in range(policies):
        here = found.policy == policy
        _, item, given = np.unique(found.row[here], return_inverse=True, return_counts=True)
        several = given[item] > 1
        rows, item = np.unique(item[several], return_inverse=True)
        answers = aggregation.Answers(item, found.rater[here][several], found.yes[here][several])
        learnt.append(aggregation.learn(answers, items=len(rows), raters=raters))
    return learnt


def columns(
    found: Cells,
    label: NDArray[np.int8],
    settled_by: NDArray[np.int8],
    learnt: Sequence[aggregation.Raters],
    slugs: Sequence[str],
) -> dict[str, pa.Array]:
    """`posterior_`, `aggregator_`, `answers_` and `yes_` of each policy.

    `label` (policies, rows): 1, 0, −1 for not judged; `settled_by` (rows,): one of the codes above.
    """
    count = label.shape[1]
    names = pa.array(AGGREGATORS, pa.string())
    columns: dict[str, pa.Array] = {}
    for n, slug in enumerate(slugs):
        here = found.policy == n
        rows, yes = found.row[here], found.yes[here]
        given = np.bincount(rows, minlength=count).astype(np.int16)
        is_judged = label[n] >= 0
        code = np.where((settled_by == SINGLE) & (given > 1), SEVERAL, settled_by)
        is_sure = is_judged & (code > SEVERAL)
        chance = np.where(is_sure, label[n], 0).astype(np.float64)
        weighed = is_judged & (code == SEVERAL)
        if learnt and weighed.any():
            answers = aggregation.Answers(rows, found.rater[here], yes)
            chance[weighed] = aggregation.posterior(learnt[n], answers, items=count)[weighed]
            is_sure |= weighed
        columns[f"posterior_{slug}"] = pa.array(np.round(chance, DIGITS), mask=~is_sure)
        columns[f"aggregator_{slug}"] = names.take(pa.array(code, mask=~is_judged))
        columns[f"answers_{slug}"] = pa.array(given, mask=~is_judged)
        columns[f"yes_{slug}"] = pa.array(
            np.bincount(rows[yes], minlength=count).astype(np.int16), mask=~is_judged
        )
    return columns


def as_json(learnt: Sequence[aggregation.Raters], slugs: Sequence[str], names: pa.Array) -> dict:
    """What was learnt of the raters, by policy and pseudonym."""
    return {
        slug: {
            **summary(raters),
            "raters": {
                names[place].as_py(): {
                    "answers": int(raters.answers[place]),
                    "sensitivity": round(float(raters.sensitivity[place]), DIGITS),
                    "specificity": round(float(raters.specificity[place]), DIGITS),
                }
                for place in np.flatnonzero(raters.answers)
            },
        }
        for slug, raters in zip(slugs, learnt, strict=True)
    }


def summary(raters: aggregation.Raters) -> dict:
    sensitivity, specificity = raters.usual
    return {
        "items": raters.compared,
        "prevalence": round(raters.prevalence, DIGITS),
        "sensitivity": round(sensitivity, DIGITS),
        "specificity": round(specificity, DIGITS),
    }
