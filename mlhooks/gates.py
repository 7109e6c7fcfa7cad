"""PURE. What evidence has to show before a model may be promoted: bounds in, pass or fail out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PASS, FAIL, TOO_FEW = "pass", "fail", "too few"


class Gate(NamedTuple):
    """`bound` is the usual one; `least` and `most` limit what a person may set."""

    says: str  # English; pages translate it
    bound: float
    least: float
    most: float
    is_least: bool  # the figure has to be at least the bound, else at most


class Outcome(NamedTuple):
    policy: str
    gate: str
    verdict: str
    figure: float | None
    bound: float
    n: int
    positives: int
    interval: list[float] | None = None
    about: str = ""  # the part, where a gate looks at the worst of several


GATES: dict[str, Gate] = {
    "frozen": Gate("AUPRC against the champion, test rows", -0.01, -0.5, 0.5, True),
    "stream": Gate("AUPRC against the champion, random lane", -0.02, -0.5, 0.5, True),
    "calibration": Gate("Calibration error (ECE)", 0.1, 0.0, 1.0, False),
    "slices": Gate("Worst part against the champion, AUPRC", -0.1, -1.0, 0.5, True),
    "functional": Gate("Functional cases passed, less the champion's", -0.1, -1.0, 1.0, True),
    "load": Gate("Items above the threshold, × the usual", 2.0, 0.1, 100.0, False),
}
# With fewer violations than this a figure is noise, and the gate says so instead of passing.
LEAST_POSITIVES = 10
LEAST_OF_STREAM = 5
LEAST_ROWS = 50  # for calibration and load
LEAST_CASES = 5


def bounds_of(own: Mapping[str, float] | None) -> dict[str, float]:
    return {name: (own or {}).get(name, gate.bound) for name, gate in GATES.items()}


def judge(policy: str, figures: Mapping[str, Any], bounds: Mapping[str, float]) -> list[Outcome]:
    """One outcome a gate for a policy's figures (evidence.py gathers them); without a champion only
    what needs none."""
    found = []
    for name, gate in GATES.items():
        figure, n, positives, interval, about, is_enough = _read(name, figures)
        if figure is None or not is_enough:
            verdict = TOO_FEW
        else:
            is_met = figure >= bounds[name] if gate.is_least else figure <= bounds[name]
            verdict = PASS if is_met else FAIL
            if name == "slices" and not is_met and not is_loss(interval):
                verdict = TOO_FEW
        found.append(
            Outcome(policy, name, verdict, figure, bounds[name], n, positives, interval, about)
        )
    return found


def is_loss(interval: Sequence[float] | None) -> bool:
    """A difference that is surely below 0. The worst of many small parts is far below by chance: of
    two equally good models with fifteen parts of five to ten violations, one seems to lose a tenth
    of AUPRC somewhere nine times in ten."""
    return interval is not None and interval[1] < 0


def _read(
    name: str, figures: Mapping[str, Any]
) -> tuple[float | None, int, int, list[float] | None, str, bool]:
    """(figure, n, positives, interval, about, whether that is enough to judge by)."""
    one = figures.get(name) or {}
    n, positives = one.get("n", 0), one.get("positives", 0)
    figure, interval = one.get("value"), one.get("interval")
    about = one.get("part", "")
    enough = {
        "frozen": positives >= LEAST_POSITIVES,
        "stream": positives >= LEAST_OF_STREAM,
        "calibration": n >= LEAST_ROWS,
        "slices": True,
        "functional": n >= LEAST_CASES,
        "load": n >= LEAST_ROWS,
    }[name]
    return figure, n, positives, interval, about, enough
