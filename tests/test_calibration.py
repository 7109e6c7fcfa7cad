"""Platt, reliability and ECE against hand-worked sums and scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlhooks import calibration
from mlhooks.calibration import Platt

RNG = np.random.default_rng(7)


def a_stream(n=4000, slope=2.0, offset=-3.0):
    x = RNG.normal(0, 2, n)
    return x, (RNG.random(n) < calibration.sigmoid(slope * x + offset)).astype(float)


def test_platt_finds_the_slope_and_offset_that_made_the_labels():
    x, y = a_stream()
    found = calibration.platt(x, y)
    assert found.slope == pytest.approx(2.0, abs=0.2)
    assert found.offset == pytest.approx(-3.0, abs=0.3)


def test_platt_agrees_with_an_unpenalised_logistic_regression():
    x, y = a_stream()
    peer = LogisticRegression(C=1e9, tol=1e-10).fit(x[:, None], y)
    found = calibration.platt(x, y)
    # Platt's smoothed targets move it by about 1 / n.
    assert found.slope == pytest.approx(float(peer.coef_[0, 0]), rel=0.01)
    assert found.offset == pytest.approx(float(peer.intercept_[0]), rel=0.01)


def test_platt_is_the_same_for_shifted_and_stretched_scores():
    x, y = a_stream()
    plain = calibration.apply(calibration.platt(x, y), x)
    moved = 1000 * x + 5e6
    assert calibration.apply(calibration.platt(moved, y), moved) == pytest.approx(plain, abs=1e-6)


def test_weights_count_like_repeated_rows():
    x, y = a_stream(n=4000)
    twice = y == 1
    weighted = calibration.platt(x, y, weights=np.where(twice, 3.0, 1.0))
    repeated = calibration.platt(
        np.concatenate([x, x[twice], x[twice]]), np.concatenate([y, y[twice], y[twice]])
    )
    assert weighted.slope == pytest.approx(repeated.slope, rel=0.02)
    assert weighted.offset == pytest.approx(repeated.offset, rel=0.05)


def test_separable_labels_do_not_make_certainties():
    found = calibration.platt([-1.0, -1.0, -1.0, 1.0, 1.0], [0, 0, 0, 1, 1])
    # Base rate (2+½)/(5+1) = .4167; targets 2·.4167/(3+2) = .1667 and (2+.8333)/(2+2) = .7083.
    assert calibration.apply(found, [-1.0, 1.0]) == pytest.approx([0.1667, 0.7083], abs=1e-4)


def test_balanced_classes_get_platts_own_targets():
    found = calibration.platt([-1.0, -1.0, 1.0, 1.0], [0, 0, 1, 1])
    # 1/(2+2) and (2+1)/(2+2)
    assert calibration.apply(found, [-1.0, 1.0]) == pytest.approx([0.25, 0.75], abs=1e-6)


def test_a_few_labels_of_each_class_keep_the_streams_base_rate():
    x = np.concatenate([RNG.normal(1, 1, 8), RNG.normal(-1, 1, 8)])
    weights = np.concatenate([np.full(8, 1.0), np.full(8, 49.0)])  # 2 % positive
    found = calibration.apply(calibration.platt(x, [1] * 8 + [0] * 8, weights=weights), x)
    assert np.average(found, weights=weights) == pytest.approx(0.02, abs=0.02)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_gives_its_smoothed_rate(label):
    found = calibration.platt([0.3, 0.1, 0.2], [label] * 3)
    expected = 0.95 if label else 0.05  # base ½/4 = .125 → 2·.125/(3+2), and its mirror
    assert calibration.apply(found, [0.2]) == pytest.approx([expected], abs=0.01)


def test_a_score_that_lies_is_answered_with_the_base_rate_and_keeps_its_order():
    x, y = a_stream()
    found = calibration.platt(-x, y)
    assert found.slope > 0
    p = calibration.apply(found, -x)
    assert p.mean() == pytest.approx(y.mean(), abs=0.01)
    assert p.std() < 1e-3


def test_reliability_bins_hold_equal_masses():
    bins = calibration.reliability([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], bins=2)
    assert [one.size for one in bins] == [2, 2]
    assert [one.predicted for one in bins] == pytest.approx([0.15, 0.35])
    assert [one.observed for one in bins] == [0.5, 0.5]


def test_ece_is_the_mean_gap():
    # Bins (.15 → .5) and (.35 → .5): (2·.35 + 2·.15) / 4 = .25
    assert calibration.ece([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], bins=2) == pytest.approx(0.25)


def test_ece_of_a_calibrated_stream_is_small():
    x, y = a_stream(n=20_000)
    assert calibration.ece(calibration.apply(Platt(2.0, -3.0), x), y) < 0.01


def test_sigmoid_and_logit_undo_each_other_and_never_overflow():
    x = np.array([-800.0, -5.0, 0.0, 5.0, 800.0])
    assert np.all(np.isfinite(calibration.sigmoid(x)))
    assert calibration.logit(calibration.sigmoid(x[1:4])) == pytest.approx(x[1:4])


def test_nothing_cannot_be_calibrated_on():
    with pytest.raises(ValueError, match="nothing"):
        calibration.platt([], [])
