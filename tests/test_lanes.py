"""Shares of a queue's claims: any 200 in a row keep them within two points."""

import itertools
import random

import pytest

from reviews import lanes
from reviews.errors import Invalid
from reviews.models import Lane

WINDOW = 200
POINTS = 4  # ±2 points of 200 claims

SHARES = [
    {},
    {"random": 0.1},
    {"random": 0.1, "learning": 0.05, "gold": 0.05},
    {"random": 0.8},
    {"second": 0.3, "adjudication": 0.3, "appeal": 0.3},
    {"qa": 0.0, "gold": 0.015, "learning": 0.92},
    dict.fromkeys([lane for lane in lanes.LANES if lane != "risk"], 0.125),
    dict.fromkeys([lane for lane in lanes.LANES if lane != "risk"], 0.01),
]


def random_shares(rng):
    named = rng.sample([lane for lane in lanes.LANES if lane != "risk"], rng.randint(1, 7))
    parts = [rng.random() ** 2 for _ in named]
    scale = rng.random() * 0.92 / sum(parts)
    return {lane: part * scale for lane, part in zip(named, parts, strict=True)}


def turns(shares, count, *, start=1):
    """The lane of each turn, as the claim's statement picks it."""
    begins = lanes.starts(shares)
    for turn in range(start, start + count):
        fraction = turn * lanes.STEP % 1
        yield max(lane for begin, lane in zip(begins, range(8), strict=True) if begin <= fraction)


def test_the_lanes_are_those_of_the_model():
    assert sorted(lanes.LANES) == sorted(lanes.FALLBACK) == sorted(Lane.values)


@pytest.mark.parametrize("shares", [*SHARES, *(random_shares(random.Random(n)) for n in range(40))])
def test_of_any_200_claims_every_lane_gets_its_share_within_two_points(shares):
    wanted = list(lanes.effective_shares(shares).values())
    served = list(turns(shares, 5000))
    for index, share in enumerate(wanted):
        sums = [0, *itertools.accumulate(lane == index for lane in served)]
        got = [sums[at + WINDOW] - sums[at] for at in range(len(served) - WINDOW + 1)]
        assert max(got) - WINDOW * share <= POINTS
        assert WINDOW * share - min(got) <= POINTS


def test_no_shares_at_all_could_miss_by_more():
    """The turns of a window are those of any other, turned round the circle: so one window shows
    the worst interval that there can be, for all shares and windows."""
    points = sorted(turn * lanes.STEP % 1 for turn in range(WINDOW))
    over = max(n + 1 - WINDOW * point for n, point in enumerate(points))
    under = min(n - WINDOW * point for n, point in enumerate(points))
    assert over - under < 2.72 < POINTS


@pytest.mark.parametrize("shares", SHARES)
def test_no_lane_waits_longer_than_its_floor_allows(shares):
    served = list(turns(shares, 5000))
    for lane in range(8):
        at = [place for place, one in enumerate(served) if one == lane]
        assert max(later - sooner for sooner, later in itertools.pairwise(at)) <= 250


@pytest.mark.parametrize("shares", SHARES)
def test_effective_shares_come_to_one_and_none_is_below_the_floor(shares):
    effective = lanes.effective_shares(shares)
    assert list(effective) == list(lanes.LANES)
    assert sum(effective.values()) == pytest.approx(1)
    assert min(effective.values()) >= lanes.FLOOR - 1e-12
    for lane, share in shares.items():
        assert effective[lane] == pytest.approx(max(share, lanes.FLOOR))


def test_with_nothing_named_risk_gets_most_and_people_who_wait_come_before_the_floor():
    # 1 - (0.1 second + 0.1 adjudication + 0.05 appeal + 4 × 0.01) = 0.71
    effective = lanes.effective_shares({})
    assert effective["risk"] == pytest.approx(0.71)
    assert (effective["second"], effective["gold"]) == (pytest.approx(0.1), lanes.FLOOR)


def test_lanes_that_are_not_named_leave_risk_three_quarters_of_the_rest():
    # Left beside 0.8 and seven floors, with risk's own: 1 - 0.8 - 7 × 0.01 = 0.13.
    effective = lanes.effective_shares({"random": 0.8})
    assert effective["risk"] == pytest.approx(0.01 + 0.13 * 0.75)


@pytest.mark.parametrize(
    "shares",
    [{"random": 3}, {"gold": -1}, {"qa": "much"}, {"qa": None}, {"ramdom": 0.2}, {"risk": 0.1}]
    + [{"random": float("nan")}, {"random": 0.9, "gold": 0.9}],
)
def test_bad_shares_are_refused_but_stop_no_claim(shares):
    with pytest.raises(Invalid) as refusal:
        lanes.check_shares(shares)
    assert set(refusal.value.details) <= {*shares, "risk"}
    effective = lanes.effective_shares(shares)
    assert sum(effective.values()) == pytest.approx(1)
    assert min(effective.values()) >= lanes.FLOOR - 1e-12


def test_each_bad_lane_has_its_own_message():
    with pytest.raises(Invalid) as refusal:
        lanes.check_shares({"random": 2, "gold": "x", "second": 0.1})
    assert set(refusal.value.details) == {"random", "gold"}


@pytest.mark.parametrize("shares", SHARES)
def test_good_shares_pass(shares):
    lanes.check_shares(shares)
