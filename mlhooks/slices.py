"""PURE. Where a model is good and where it is not: the same figures for parts of the rows."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reviews.wording import noop

from . import evaluation, gates

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

LEAST_ROWS = 20  # of a part; what is smaller says nothing and is left out
LEAST_POSITIVES = 5
LENGTHS = (
    (80, noop("up to 80 characters")),
    (400, noop("81 to 400")),
    (2000, noop("401 to 2,000")),
)
LONGEST = noop("over 2,000")
# What identity_terms.json names; pages translate it.
IDENTITIES = (
    noop("women"),
    noop("men"),
    noop("LGBTQ people"),
    noop("Muslims"),
    noop("Jews"),
    noop("Christians"),
    noop("Black people"),
    noop("white people"),
    noop("Asian people"),
    noop("immigrants"),
    noop("disabled people"),
    noop("older people"),
)
TERMS = Path(__file__).with_name("identity_terms.json")


def of_values(values: Sequence[str | None]) -> dict[str, Mask]:
    """A part for each value; empty and None are no value."""
    found = np.array(["" if one is None else one for one in values], dtype=object)
    return {str(name): found == name for name in sorted(set(found) - {""})}


def of_lengths(texts: Sequence[str]) -> dict[str, Mask]:
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    parts, above = {}, -1
    for upto, name in LENGTHS:
        parts[name] = (lengths > above) & (lengths <= upto)
        above = upto
    return parts | {LONGEST: lengths > above}


def of_ages(days: Sequence[float | None]) -> dict[str, Mask]:
    """How old an account was when it posted; unknown ages are in no part."""
    age = np.array([np.nan if one is None else one for one in days], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return {
            noop("under a week"): age < 7,
            noop("a week to a year"): (age >= 7) & (age < 365),
            noop("over a year"): age >= 365,
        }


def of_identities(texts: Sequence[str]) -> dict[str, Mask]:
    """Texts that name a group of people (identity_terms.json, English and German)."""
    return {
        group: np.array([bool(pattern.search(text)) for text in texts], dtype=np.bool_)
        for group, pattern in _patterns().items()
    }


def report(
    parts: Mapping[str, Mask],
    labels: Floats,
    probabilities: Floats,
    beside: Floats | None,
    *,
    groups: NDArray[Any],
    rng: np.random.Generator,
    with_subgroups: bool = False,
) -> list[dict[str, Any]]:
    """A line a part with enough rows: n, positives, base rate, AUPRC and AUROC with the champion's
    and the difference, with its interval. `with_subgroups`: the three AUCs of Borkan et al. too."""
    lines = []
    for name, inside in parts.items():
        rows = inside & ~np.isnan(labels)
        y, p = labels[rows], probabilities[rows]
        if y.size < LEAST_ROWS:
            continue
        line: dict[str, Any] = {
            "part": name,
            "n": int(y.size),
            "positives": int(y.sum()),
            "base_rate": float(y.mean()),
            "auprc": None,
            "auroc": None,
            "champion_auprc": None,
            "difference": None,
            "interval": None,
        }
        if min(y.sum(), (1 - y).sum()) >= LEAST_POSITIVES:
            line["auprc"] = evaluation.average_precision(y, p)
            line["auroc"] = evaluation.auroc(y, p)
            if beside is not None:
                line["champion_auprc"] = evaluation.average_precision(y, beside[rows])
                found = evaluation.difference(y, p, beside[rows], groups=groups[rows], rng=rng)
                line |= {"difference": found["value"], "interval": found["interval"]}
        if with_subgroups:
            judged = ~np.isnan(labels)
            line |= evaluation.subgroup_aucs(labels[judged], probabilities[judged], inside[judged])
        lines.append(line)
    return lines


def worst(lines: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The line that lost most against the champion; those that surely lost before those that may
    seem to by chance."""
    compared = [line for line in lines if line["difference"] is not None]
    return min(
        compared,
        key=lambda line: (not gates.is_loss(line["interval"]), line["difference"]),
        default=None,
    )


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    terms: dict[str, list[str]] = json.loads(TERMS.read_text(encoding="utf-8"))
    return {
        group: re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
        for group, words in terms.items()
    }
