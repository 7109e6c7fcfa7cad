"""How common something is: sums by hand, the truth by simulation, no harm by a bad model."""

import numpy as np
import pytest

from mlhooks import prevalence
from reviews import sampling


def world(seed=0, size=20_000, middle=-2.4, spread=1.8):
    """Scores that are right on average, and who violates."""
    rng = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-rng.normal(middle, spread, size)))
    return scores, (rng.random(size) < scores).astype(float)


def draw_often(hits, scores, strategy, *, times=300, expected=1000):
    plan = sampling.plan(strategy, scores.tolist(), expected=expected)
    chances = np.array([plan.probability(score) for score in scores])
    rng = np.random.default_rng(1)
    for _ in range(times):
        drawn = rng.random(len(hits)) < chances
        yield prevalence.estimate(
            hits[drawn], chances[drawn], scores[drawn], mean_score=float(scores.mean())
        )


def test_the_line_is_drawn_and_moved_along_by_hand():
    # Ten rows of score .8, all violating, and ten of .2, none: the line has a slope of 1 / .6.
    # The rows' mean score is .5, the stream's .35: .5 − .15 / .6 = .25.
    hits, scores = [1] * 10 + [0] * 10, [0.8] * 10 + [0.2] * 10
    hits[0], hits[10] = 0, 1  # one off on either side: slope .8 / .6, and .5 − .15 · .8 / .6 = .3
    hits += hits
    found = prevalence.estimate(hits, [0.5] * 40, scores + scores, mean_score=0.35)
    assert found.is_assisted
    assert found.value == pytest.approx(0.3)
    # Residuals: .1 (36 rows: ± .1) and .9 (4 rows). Σ (1 − .5) · (e / 40)² · 40 / 38
    variance = 0.5 * (36 * 0.1**2 + 4 * 0.9**2) / 40**2 * 40 / 38
    assert found.effective == pytest.approx(0.3 * 0.7 / variance)


def test_few_violations_are_weighted_back_and_no_more():
    found = prevalence.estimate([1] * 9 + [0] * 91, [0.1] * 100, [0.5] * 100, mean_score=0.2)
    assert (found.value, found.is_assisted) == (pytest.approx(0.09), False)
    none = prevalence.estimate([0] * 50, [0.1] * 50, [0.01] * 50, mean_score=0.01)
    assert (none.low, none.high) == pytest.approx((0, 3.841459 / 53.841459))  # z² / (n + z²)
    assert prevalence.estimate([], [], [], mean_score=0.1) is None


@pytest.mark.parametrize("strategy", ["poisson", "poisson_sqrt"])
def test_the_truth_is_found_and_held_by_the_interval(strategy):
    scores, hits = world()
    truth = hits.mean()
    found = list(draw_often(hits, scores, strategy))
    values = np.array([one.value for one in found])
    assert abs(values.mean() - truth) < 4 * values.std() / len(values) ** 0.5 + 0.0005
    held = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.91 <= held <= 0.985  # 95 %, give or take three times what 300 draws vary by


def test_drawing_by_the_score_and_using_it_tells_more_than_drawing_evenly():
    scores, hits = world()
    blind = np.std(
        [one.value for one in draw_often(hits, np.full(len(hits), 0.1), "poisson", times=300)]
    )
    ours = np.std([one.value for one in draw_often(hits, scores, "poisson_sqrt")])
    assert ours < 0.8 * blind


def test_a_model_that_is_wrong_by_far_does_not_bend_the_estimate():
    scores, hits = world()
    upside_down = 1 - scores
    found = list(draw_often(hits, upside_down, "poisson"))
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(hits.mean(), abs=0.002)
    held = np.mean([one.low <= hits.mean() <= one.high for one in found])
    assert 0.91 <= held <= 0.985
