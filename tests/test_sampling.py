"""Inclusion probabilities: worked by hand, and what must hold for any pool."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import sampling

STRATEGIES = ["poisson", "poisson_sqrt", "poisson_band"]
pools = st.lists(st.floats(0, 1), min_size=1, max_size=200)


def probabilities(strategy, risks, expected, **kw):
    plan = sampling.plan(strategy, risks, expected=expected, **kw)
    return [plan.probability(risk) for risk in risks]


def test_one_probability_for_all_is_the_share_that_is_wanted():
    assert probabilities("poisson", [0.1, 0.9, 0.5, 0.2], 1) == pytest.approx([0.25] * 4)


def test_by_the_root_of_the_risk():
    # Roots 0.1, 0.2, 0.3, 0.4: together 1, and one is wanted.
    found = probabilities("poisson_sqrt", [0.01, 0.04, 0.09, 0.16], 1, floor_share=0)
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_the_floor_lifts_who_would_hardly_be_drawn_and_the_others_make_room():
    # Floor 0.5 × 1 ÷ 4 = 0.125 for the first; the rest share 0.875 as 2 : 3 : 4.
    found = probabilities("poisson_sqrt", [0.01, 0.04, 0.09, 0.16], 1, floor_share=0.5)
    assert found == pytest.approx([0.125, 0.875 * 2 / 9, 0.875 * 3 / 9, 0.875 * 4 / 9])


def test_nobody_is_more_than_certain_and_what_she_leaves_goes_to_the_others():
    # Roots 0.9, 0.1, 0.1 for 1.8: the first would have 1.47; capped, the others get 0.4 each.
    found = probabilities("poisson_sqrt", [0.81, 0.01, 0.01], 1.8, floor_share=0)
    assert found == pytest.approx([1, 0.4, 0.4])


def test_the_band_prefers_what_is_near_the_threshold():
    near, sure, safe = probabilities("poisson_band", [0.5, 0.99, 0.01], 1)
    assert near > sure > safe > 0
    # Nearness 1, 1/99, 1/99 (e to the minus log-odds), its mean 101/297; mean risk 0.5.
    weights = [0.6 * n * 297 / 101 + 0.3 * r / 0.5 + 0.1 for n, r in ((1, 0.5), (1 / 99, 0.99))]
    assert near / sure == pytest.approx(weights[0] / weights[1], rel=1e-6)


def test_nearness_falls_by_e_with_each_step_of_the_log_odds():
    odds = math.e  # one step above even
    assert sampling.nearness(odds / (1 + odds), 0.5) == pytest.approx(1 / math.e)
    assert sampling.nearness(0.3, 0.3) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_wants_them_all_gets_them_all(strategy):
    plan = sampling.plan(strategy, [0.1, 0.9], expected=2)
    assert plan.strategy == "certainty"
    assert [plan.probability(risk) for risk in (0.1, 0.9)] == [1, 1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_empty_pool_and_nothing_wanted_draw_nothing(strategy):
    assert sampling.plan(strategy, [], expected=3).probability(0.5) == 0
    assert sampling.plan(strategy, [0.5], expected=0).probability(0.5) == 0


@given(pools, st.sampled_from(STRATEGIES), st.floats(0.001, 1))
def test_each_can_be_drawn_and_together_they_are_as_many_as_expected(risks, strategy, share):
    expected = share * len(risks)
    found = probabilities(strategy, risks, expected)
    assert all(0 < one <= 1 for one in found)
    assert min(found) >= 0.1 * share * (1 - 1e-9)
    assert math.fsum(found) == pytest.approx(expected, rel=1e-6)


@given(pools, st.floats(0.001, 1))
def test_more_risk_is_never_less_likely_to_be_drawn_by_its_root(risks, share):
    found = probabilities("poisson_sqrt", risks, share * len(risks))
    in_order = [p for _, p in sorted(zip(risks, found, strict=True))]
    assert in_order == sorted(in_order)


@given(pools, st.sampled_from(STRATEGIES), st.integers(0, 2**32))
def test_a_draw_is_the_same_again_by_its_seed(risks, strategy, seed):
    found = probabilities(strategy, risks, 0.3 * len(risks))
    values = [[random.Random(f"{seed} {n}").random() for n in range(len(risks))] for _ in "12"]
    once, again = (sampling.draw(found, numbers.__getitem__) for numbers in values)
    assert once == again


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plan_comes_back_from_what_the_draw_keeps(strategy):
    risks = [random.Random(n).random() for n in range(50)]
    plan = sampling.plan(strategy, risks, expected=5)
    assert sampling.from_parameters(plan.strategy, plan.as_parameters()) == plan


def test_weighting_back_is_right_on_average():
    """Σ y/π over 4,000 draws of a pool of 200, against Σ y: each π a hair off would show."""
    rng = random.Random(3)
    risks = [rng.betavariate(0.5, 3) for _ in range(200)]
    values = [float(rng.random() < risk) for risk in risks]
    truth = sum(values)
    for strategy in STRATEGIES:
        found = probabilities(strategy, risks, 40)
        sums = []
        for _ in range(4_000):
            drawn = sampling.draw(found, lambda n: rng.random())
            sums.append(sum(values[n] / found[n] for n in drawn))
        mean = sum(sums) / len(sums)
        variance = sum(y * y * (1 - p) / p for y, p in zip(values, found, strict=True))
        assert abs(mean - truth) < 4.5 * math.sqrt(variance / len(sums))


def test_a_histogram_counts_each_once():
    assert sampling.histogram([]) == []
    assert sampling.histogram([0.1] * 7) == [(0.1, 0.1, 7)]
    rows = sampling.histogram([0.001, 0.01, 0.1, 1.0], bins=3)
    assert [count for _, _, count in rows] == [1, 1, 2]
    assert (rows[0][0], rows[-1][1]) == (0.001, 1.0)
