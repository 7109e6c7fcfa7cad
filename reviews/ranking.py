"""How urgent a job is, as a number to sort by and as words to read. Plain values in and out.

harm = severity weight × P(violation) × views per hour ÷ handling minutes: what a minute of review
prevents for each hour it comes earlier. rank trades it against waiting: H hours of waiting weigh as
much as one doubling of harm. The key never changes while a job waits, so an index can serve it.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

# What an item nobody has scored yet counts as, for each policy.
PRIOR = 0.1
# Added to the rank of a job past its due time; above any difference that harm and age can make.
OVERDUE_LIFT = 1e6
# Added when a lead raises a job to the top: above what is overdue too. Raises add up to so much
# only, or a job would pass for one that was taken back.
RAISED_LIFT = 2e6
MOST_RAISED = 3e6
# Added when a decision is taken back: before everything else, overdue or not.
UNDONE_LIFT = 1e7

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_LEAST_VIEWS = 1.0
_LEAST_PROBABILITY = 0.001
_HOUR = timedelta(hours=1)
_LEVELS = ((0.95, "Critical"), (0.6, "High"), (0.25, "Medium"))


def harm(
    weights_and_probabilities: Iterable[tuple[float, float]],
    *,
    views_per_hour: float,
    handling_minutes: float,
) -> float:
    """The largest over the policies. Never zero: nothing is ranked out of sight."""
    worst = max(
        (
            weight * max(probability, _LEAST_PROBABILITY)
            for weight, probability in weights_and_probabilities
        ),
        default=_LEAST_PROBABILITY,
    )
    return worst * max(views_per_hour, _LEAST_VIEWS) / handling_minutes


def rank(
    harm: float, *, submitted_at: datetime, doubling_hours: float, is_overdue: bool = False
) -> float:
    """The sort key, served highest first, in hours."""
    lift = OVERDUE_LIFT if is_overdue else 0.0
    return math.log2(harm) * doubling_hours - (submitted_at - _EPOCH) / _HOUR + lift


def risk_level(probability: float) -> str:
    """The word shown to reviewers instead of a number."""
    for least, word in _LEVELS:
        if probability >= least:
            return word
    return "Low"


def reasons(
    *,
    risk: float | None,
    policy: str,
    report_count: int,
    views_per_hour: float,
    minutes_left: float,
    lane: str = "risk",
    numbers: bool = False,
) -> str:
    """Why this job now, in one line: "High: likely harassment (0.92), 4 reports, due in 20 min".

    `policy` names the policy of the highest risk; the number itself is for leads (`numbers`).
    A job of the random lane does not tell its risk: it is there to measure, so it is judged blind.
    """
    parts = [_opening(risk, policy, lane, numbers)]
    if report_count:
        parts.append(f"{report_count} report{'' if report_count == 1 else 's'}")
    if views_per_hour >= 1:
        parts.append(f"{_short(views_per_hour)} views/h")
    parts.append(_due(minutes_left))
    return ", ".join(parts)


def _opening(risk: float | None, policy: str, lane: str, numbers: bool) -> str:
    if lane == "random":
        return "Drawn at random"
    prefix = {
        "second": "Second opinion. ",
        "adjudication": "Escalated. ",
    }.get(lane, "")
    if risk is None:
        return f"{prefix}Not scored yet"
    likely = "likely" if risk >= 0.5 else "possible" if risk >= 0.1 else "unlikely"
    figure = f" ({risk:.2f})" if numbers else ""
    return f"{prefix}{risk_level(risk)}: {likely} {policy.lower()}{figure}"


def _short(number: float) -> str:
    """1234 → 1.2k, as people write it."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + letter
    return f"{number:.0f}"


def _due(minutes_left: float) -> str:
    span = _span(abs(minutes_left))
    return f"due in {span}" if minutes_left > 0 else f"overdue by {span}"


def _span(minutes: float) -> str:
    if minutes < 90:
        return f"{minutes:.0f} min"
    if minutes < 48 * 60:
        return f"{minutes / 60:.0f} h"
    return f"{minutes / 1440:.0f} days"
