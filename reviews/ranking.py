"""How urgent a job is, as a number to sort by and as words to read. Plain values in and out.

harm = severity weight × P(violation) × views per hour ÷ handling minutes: what a minute of review
prevents for each hour it comes earlier. rank trades it against waiting: H hours of waiting weigh as
much as one doubling of harm. The key never changes while a job waits, so an index can serve it.
docs/ranking.md has the whole of it with sums.
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from .wording import figure, midsentence, ngettext, noop
from .wording import gettext as _

# What an item nobody has scored yet counts as, for each policy.
PRIOR = 0.1
# Added to the rank of a job that is due before long; above any difference harm and age can make.
SOON_LIFT = 5e5
# The same for a job past its due time; as much above one that is due before long.
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
_MINUTE = timedelta(minutes=1)
_BELOW_ONE = math.nextafter(1, 0)
_LEVELS = ((0.95, noop("Critical")), (0.6, noop("High")), (0.25, noop("Medium")))

# How often a report of a source is right before anything is known of its reporter. What users'
# reports are worth differs from platform to platform: base_rate() works it out.
SOURCE_TRUST = {
    "law_enforcement": 0.9,
    "hash": 0.9,
    "trusted_flagger": 0.8,
    "classifier": 0.5,
    "rule": 0.4,
}
# Users' reports on a platform that has decided none yet, and how many items that is worth.
USER_TRUST = 0.3
_BASE_STRENGTH = 20.0
# So many items' worth of prior goes into a reporter's own record.
RECORD_STRENGTH = 8.0
# No more voices than these are heard together: with a crowd, the sixth tells nothing new.
MOST_VOICES = 5
# Who gives no name may be one person many times: a source's nameless reports count as so many.
MOST_NAMELESS = 2
RELIABLE = 0.7
_FEW_SETTLED = 5  # below it a record says nothing in words


class Lift(NamedTuple):
    """Where a due time stands, and when it has to be looked at again (None: never)."""

    is_soon: bool
    is_overdue: bool
    lift_at: datetime | None

    @property
    def hours(self) -> float:
        """What it adds to the rank."""
        if self.is_overdue:
            return OVERDUE_LIFT
        return SOON_LIFT if self.is_soon else 0.0


class Part(NamedTuple):
    """One policy's share in a harm."""

    policy: str
    weight: float
    probability: float
    with_reports: float

    @property
    def product(self) -> float:
        return self.weight * self.with_reports


class Account(NamedTuple):
    """A rank taken apart, in the order in which it is put together."""

    parts: list[Part]  # the one that counts in front
    views_per_hour: float
    handling_minutes: float
    harm: float
    doubling_hours: float
    from_harm: float  # log2(harm) × H
    waiting: float  # −hours from the epoch to the submission
    lift: float
    rank: float


def trust(upheld: int, settled: int, *, prior: float, strength: float = RECORD_STRENGTH) -> float:
    """The chance that a reporter's next report is right: the mean of a Beta posterior.

    Few reports leave it near `prior`, many carry it to her own share (shrinkage: Efron and Morris,
    "Data analysis using Stein's estimator", JASA 1975). Never 0 or 1 while the prior is neither.
    """
    return (upheld + prior * strength) / (settled + strength)


def base_rate(upheld: int, settled: int) -> float:
    """The share of users' reports that a platform upholds: where unknown reporters begin."""
    return trust(upheld, settled, prior=USER_TRUST, strength=_BASE_STRENGTH)


def interval(upheld: float, settled: int, *, z: float = 1.96) -> tuple[float, float]:
    """95 % for the share behind `upheld` of `settled` (Wilson, JASA 1927)."""
    if not settled:
        return 0.0, 1.0
    share, slack = upheld / settled, z * z / settled
    middle = (share + slack / 2) / (1 + slack)
    half = z * math.sqrt((share * (1 - share) + slack / 4) / settled) / (1 + slack)
    return max(0.0, middle - half), min(1.0, middle + half)


def report_trust(trusts: Iterable[float]) -> float:
    """The chance that one at least of the most trusted reporters is right: 1 − Π (1 − t)."""
    return 1 - math.prod(1 - one for one in heapq.nlargest(MOST_VOICES, trusts))


def with_reports(probability: float, report_trust: float, *, weight: float) -> float:
    """P(violation) once the reports have been heard: 1 − (1 − P)(1 − report trust)^weight.

    A noisy-or (Pearl, Probabilistic Reasoning in Intelligent Systems, 1988): the model and the
    reporters are ways of finding out that do not know of each other. Never below P, and 1 only if
    P is; weight 0 leaves P as it is.
    """
    raised = 1 - (1 - probability) * math.pow(1 - report_trust, weight)
    return max(probability, min(raised, _BELOW_ONE))


def raised(
    probabilities: Iterable[float], *, report_trust: float, report_weight: float
) -> list[float]:
    """The probabilities of an item's policies with its reports.

    A report tells that something is wrong, not which rule is broken: the likeliest policy is
    raised, and the others keep their proportion to it.
    """
    floored = [max(one, _LEAST_PROBABILITY) for one in probabilities]
    top = max(floored, default=1.0)
    factor = with_reports(top, report_trust, weight=report_weight) / top
    return [one * factor for one in floored]


def harm(
    weights_and_probabilities: Iterable[tuple[float, float]],
    *,
    views_per_hour: float,
    handling_minutes: float,
    report_trust: float = 0.0,
    report_weight: float = 0.0,
) -> float:
    """The largest over the policies. Never zero: nothing is ranked out of sight."""
    pairs = list(weights_and_probabilities)
    if report_trust and report_weight:
        chances = raised(
            (probability for _, probability in pairs),
            report_trust=report_trust,
            report_weight=report_weight,
        )
    else:  # most items are not reported, and items come by the thousand
        chances = [max(probability, _LEAST_PROBABILITY) for _, probability in pairs]
    worst = max(
        (weight * chance for (weight, _), chance in zip(pairs, chances, strict=True)),
        default=_LEAST_PROBABILITY,
    )
    return worst * max(views_per_hour, _LEAST_VIEWS) / handling_minutes


def rank(
    harm: float,
    *,
    submitted_at: datetime,
    doubling_hours: float,
    is_overdue: bool = False,
    is_soon: bool = False,
) -> float:
    """The sort key, served highest first, in hours."""
    lift = Lift(is_soon, is_overdue, None).hours
    return math.log2(harm) * doubling_hours - (submitted_at - _EPOCH) / _HOUR + lift


def account(
    policies: Iterable[tuple[str, float, float]],
    *,
    views_per_hour: float,
    handling_minutes: float,
    report_trust: float,
    report_weight: float,
    submitted_at: datetime,
    doubling_hours: float,
    lift: float,
) -> Account:
    """The sum behind a rank, for whoever asks why: (policy, weight, probability) of each policy."""
    rows = list(policies)
    chances = raised(
        (probability for _, _, probability in rows),
        report_trust=report_trust,
        report_weight=report_weight,
    )
    parts = [
        Part(name, weight, probability, chance)
        for (name, weight, probability), chance in zip(rows, chances, strict=True)
    ]
    parts.sort(key=lambda part: -part.product)
    found = harm(
        [(weight, probability) for _, weight, probability in rows],
        views_per_hour=views_per_hour,
        handling_minutes=handling_minutes,
        report_trust=report_trust,
        report_weight=report_weight,
    )
    return Account(
        parts,
        max(views_per_hour, _LEAST_VIEWS),
        handling_minutes,
        found,
        doubling_hours,
        math.log2(found) * doubling_hours,
        -((submitted_at - _EPOCH) / _HOUR),
        lift,
        rank(found, submitted_at=submitted_at, doubling_hours=doubling_hours) + lift,
    )


def due_at(
    opened_at: datetime,
    *,
    sla_minutes: float,
    first_reports: Mapping[str, datetime],
    sla_by_source: Mapping[str, float],
) -> datetime:
    """The earliest of what the queue promises for the job and for each source that reported it."""
    return min(
        [opened_at + sla_minutes * _MINUTE, *_promises(first_reports, sla_by_source)],
    )


def pulled_forward(
    due_at: datetime,
    *,
    first_reports: Mapping[str, datetime],
    sla_by_source: Mapping[str, float],
) -> datetime:
    """A later report of a source with a promise of its own makes a job due earlier, never later."""
    return min([due_at, *_promises(first_reports, sla_by_source)])


def _promises(
    first_reports: Mapping[str, datetime], sla_by_source: Mapping[str, float]
) -> list[datetime]:
    return [
        at + sla_by_source[source] * _MINUTE
        for source, at in first_reports.items()
        if source in sla_by_source
    ]


def lift(due_at: datetime, *, now: datetime, soon_minutes: float) -> Lift:
    """Is it overdue, or due within `soon_minutes`? 0: no lift before it is overdue."""
    if due_at <= now:
        return Lift(False, True, None)
    soon_at = due_at - soon_minutes * _MINUTE
    if soon_minutes and soon_at <= now:
        return Lift(True, False, due_at)
    return Lift(False, False, soon_at)


def risk_level(probability: float) -> str:
    """The word shown to reviewers instead of a number; translated where it is shown."""
    for least, word in _LEVELS:
        if probability >= least:
            return word
    return noop("Low")


def reasons(
    *,
    risk: float | None,
    policy: str,
    report_count: int,
    views_per_hour: float,
    minutes_left: float,
    lane: str = "risk",
    numbers: bool = False,
    tells_risk: bool = True,
    reporter_trust: float = 0.0,
    views_so_far: int | None = None,
) -> str:
    """Why this job now, in one line: "High: likely harassment (0.92), 4 reports, due in 20 min".

    `policy` names the policy of the highest risk, `reporter_trust` is of its most trusted reporter;
    the numbers themselves are for leads (`numbers`). A job that was drawn to measure or to learn
    does not tell its risk: it is judged blind. With `tells_risk` off, nothing is said that the
    model thinks, nor that it thinks anything.
    """
    opening = _opening(risk, policy, lane, numbers, tells_risk)
    parts = [opening] if opening else []
    if report_count:
        parts.append(_reports(report_count, reporter_trust, numbers))
    if views_per_hour >= 1:
        parts.append(_("%(number)s views/h") % {"number": _short(views_per_hour)})
    if views_so_far:
        words = ngettext("%(number)s view so far", "%(number)s views so far", views_so_far)
        parts.append(words % {"number": _short(views_so_far)})
    parts.append(_due(minutes_left))
    return ", ".join(parts)


def record(upheld: int, settled: int) -> str:
    """A reporter's record in words: "usually right (18 of 21)"."""
    if not settled:
        return _("no report settled yet")
    share = upheld / settled
    if settled < _FEW_SETTLED:
        word = _("right so far") if upheld == settled else _("new")
    elif share >= RELIABLE:
        word = _("usually right")
    elif share <= 1 - RELIABLE:
        word = _("seldom right")
    else:
        word = _("right at times")
    return _("%(word)s (%(upheld)s of %(settled)s)") % {
        "word": word,
        "upheld": upheld,
        "settled": settled,
    }


def _reports(count: int, reporter_trust: float, numbers: bool) -> str:
    if numbers and reporter_trust:
        words = ngettext(
            "%(count)s report (trust %(trust)s)", "%(count)s reports (trust %(trust)s)", count
        )
        return words % {"count": count, "trust": figure(reporter_trust, 2)}
    if numbers or reporter_trust < RELIABLE:
        return ngettext("%(count)s report", "%(count)s reports", count) % {"count": count}
    words = ngettext(
        "%(count)s report by a reliable reporter",
        "%(count)s reports, one by a reliable reporter",
        count,
    )
    return words % {"count": count}


# Drawn: judged without the model's view. Gold looks like any check of quality.
_DRAWN = {
    "random": noop("Drawn at random"),
    "learning": noop("Drawn to learn from"),
    "gold": noop("Drawn to check quality"),
    "qa": noop("Drawn to check quality"),
}

_PASSED_ON = {"second": noop("Second opinion"), "adjudication": noop("Escalated")}


def _opening(risk: float | None, policy: str, lane: str, numbers: bool, tells_risk: bool) -> str:
    if lane in _DRAWN:
        return _(_DRAWN[lane])
    why = _(_PASSED_ON[lane]) if lane in _PASSED_ON else ""
    if not tells_risk:
        return why
    prefix = f"{why}. " if why else ""
    if risk is None:
        return prefix + _("Not scored yet")
    if risk >= 0.5:
        words = _("%(level)s: likely %(policy)s")
    elif risk >= 0.1:
        words = _("%(level)s: possible %(policy)s")
    else:
        words = _("%(level)s: unlikely %(policy)s")
    number = f" ({figure(risk, 2)})" if numbers else ""
    told = {"level": _(risk_level(risk)), "policy": midsentence(policy)}
    return prefix + words % told + number


def _short(number: float) -> str:
    """1234 → 1.2k, as people write it."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return figure(float(f"{number / size:.1f}")) + letter
    return figure(number, 0)


def _due(minutes_left: float) -> str:
    minutes, is_late = abs(minutes_left), minutes_left <= 0
    if minutes >= 48 * 60:
        words = _("overdue by %(count)s days") if is_late else _("due in %(count)s days")
        return words % {"count": f"{minutes / 1440:.0f}"}
    if minutes < 90:
        span = _("%(count)s min") % {"count": f"{minutes:.0f}"}
    else:
        span = _("%(count)s h") % {"count": f"{minutes / 60:.0f}"}
    return (_("overdue by %(length)s") if is_late else _("due in %(length)s")) % {"length": span}
