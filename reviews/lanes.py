"""PURE. How a queue's claims are shared among its lanes.

A queue's n-th claim looks first into the lane in whose part of [0, 1) the fraction of n × golden
ratio falls. These fractions are spread so evenly that of any 200 claims in a row, each interval
of length s gets 200 × s ± 2.72 (tests/test_lanes.py computes it), wherever the interval lies: a
share holds within ±2 points, whatever the shares are, without counting what was served.
"""

import math
from collections.abc import Mapping

from .errors import Invalid
from .wording import gettext as _

# The golden ratio's fraction, to sixteen places: what each turn adds.
STEP = 0.6180339887498949
# Adjudication stands beside risk: for those who may not adjudicate, the two parts are one, and one
# interval keeps its share better than two.
LANES = ("adjudication", "risk", "random", "learning", "gold", "second", "appeal", "qa")
# No lane gets less: a job of a lane with work waits for about 100 claims of its queue at most.
FLOOR = 0.01
# What a lane gets that is not named: where somebody waits for the answer, more than the floor. An
# empty lane's part goes to the others, so this costs nothing where there is no such work.
USUAL = {"second": 0.1, "adjudication": 0.1, "appeal": 0.05}
# Lanes that are not named never take more than this part of what is left.
_MOST = 0.25
# Where a claim looks when the lane of its turn has nothing for her: the most harm first, then where
# somebody waits for the answer, then what is there to measure and to teach.
FALLBACK = ("risk", "adjudication", "appeal", "second", "random", "qa", "learning", "gold")


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise Invalid, one message a lane in `details`, unless `shares` can be kept.

    {lane: share of claims, 0 to 1}. "risk" is not among them: it gets what the others leave.
    """
    wrong: dict[str, str] = {}
    for lane, share in shares.items():
        if lane == "risk":
            wrong[lane] = _("Risk gets what the other lanes leave; leave this empty.")
        elif lane not in LANES:
            wrong[lane] = _("There is no lane %(lane)s. There is: %(lanes)s.") % {
                "lane": lane,
                "lanes": ", ".join(LANES),
            }
        elif not _is_number(share):
            wrong[lane] = _("This is not a number. Write a share between 0 and 100 %.")
        elif not 0 <= share <= 1:
            wrong[lane] = _("A share lies between 0 and 100 %.")
    if not wrong:
        taken = sum(max(share, FLOOR) for share in shares.values())
        most = 1 - FLOOR * (len(LANES) - len(shares))
        if taken > most + 1e-9:
            wrong["risk"] = _(
                "These shares come to %(taken)s %%. Leave room for the other lanes: at "
                "most %(most)s %% together."
            ) % {"taken": f"{taken * 100:g}", "most": f"{most * 100:g}"}
    if wrong:
        raise Invalid(_("The lane shares do not fit."), details=wrong)


def effective_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """What each lane gets while all of them have work: every lane, at least FLOOR, 1 in all.

    Takes whatever is stored, since a claim must not fail for it: what check_shares would refuse
    counts as the floor, or is cut to fit.
    """
    named = {
        lane: max(float(share), FLOOR) if _is_number(share) else FLOOR
        for lane, share in shares.items()
        if lane in LANES and lane != "risk"
    }
    above = {lane: min(share, 1.0) - FLOOR for lane, share in named.items()}
    room = 1 - FLOOR * len(LANES)
    above = _fit(above, room)
    room -= sum(above.values())
    unnamed = {lane: share - FLOOR for lane, share in USUAL.items() if lane not in named}
    above |= _fit(unnamed, room * _MOST)
    effective = {lane: FLOOR + above.get(lane, 0.0) for lane in LANES if lane != "risk"}
    effective["risk"] = 1 - sum(effective.values())
    return {lane: effective[lane] for lane in LANES}


def starts(shares: Mapping[str, float]) -> list[float]:
    """Where each lane's part of [0, 1) begins, in the order of LANES."""
    begins, begin = [], 0.0
    for share in effective_shares(shares).values():
        begins.append(begin)
        begin += share
    return begins


def _fit(wishes: dict[str, float], room: float) -> dict[str, float]:
    """All wishes cut by the same factor, where they come to more than there is."""
    wished = sum(wishes.values())
    if wished <= room:
        return wishes
    return {lane: wish * room / wished for lane, wish in wishes.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
