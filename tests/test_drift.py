"""Drift, bands and hysteresis: sums by hand, and how often chance alone would raise an alarm."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mlhooks import drift, rates


def test_psi_of_two_bins_by_hand():
    # 300 of 400 against 200 of 400, half a row added to each bin: p = 300.5/401, 100.5/401.
    found = drift.psi_of_categories(["en"] * 300 + ["de"] * 100, ["en"] * 200 + ["de"] * 200)
    p, q = np.array([100.5, 300.5]) / 401, np.array([200.5, 200.5]) / 401
    assert found.value == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert found.parts == [("de", 0.25, 0.5), ("en", 0.75, 0.5)]
    assert (found.reference, found.current) == (400, 400)
    assert found.noise == pytest.approx(1 * (1 / 400 + 1 / 400))


def test_without_drift_psi_is_what_chance_gives():
    rng = np.random.default_rng(3)
    found = [drift.psi_of_values(rng.beta(1, 9, 500), rng.beta(1, 9, 800)) for _ in range(300)]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(found[0].noise, rel=0.15)
    assert (values < drift.BOUNDS["score"].opens).all()


def test_a_stream_that_has_changed_is_beyond_the_usual_bound():
    rng = np.random.default_rng(4)
    then = rng.beta(1, 9, 1000)
    assert drift.psi_of_values(then, rng.beta(2, 9, 1000)).value > 0.25
    assert drift.psi_of_values(then, then).value == 0


def test_many_ties_make_fewer_bins_and_a_constant_one():
    found = drift.psi_of_values([0.0] * 900 + [1.0] * 100, [0.0] * 500 + [1.0] * 500)
    assert len(found.parts) <= 4 and found.value > 0.25
    assert drift.psi_of_values([1.0] * 300, [1.0] * 300).value == 0
    # A value that never came before still counts.
    assert drift.psi_of_values([1.0] * 300, [2.0] * 300).value > 0.25


def test_rare_languages_count_as_one():
    then = ["en"] * 398 + ["cy", "gd"]
    found = drift.psi_of_categories(then, then)
    assert [name for name, *_ in found.parts] == ["en", drift.OTHER]
    assert found.value == 0


def test_too_few_items_are_too_few_to_say():
    assert drift.psi_of_values([0.1] * 199, [0.1] * 5000) is None
    assert drift.psi_of_categories(["en"] * 5000, ["en"] * 199) is None


def test_a_score_falls_into_the_band_that_begins_with_it():
    assert drift.band_of([0.0, 0.049, 0.05, 0.2, 0.5, 0.79, 0.8, 1.0]).tolist() == [
        0, 0, 1, 2, 3, 3, 4, 4,
    ]  # fmt: skip


def test_parts_of_a_band_add_up_to_the_band():
    rng = np.random.default_rng(5)
    hits, weights = rng.random(60) < 0.3, rng.uniform(1, 20, 60)
    scores = rng.uniform(0.2, 0.5, 60)
    parts = [
        (2, rates.sums(hits[part], weights=weights[part]), float((weights * scores)[part].sum()))
        for part in (slice(0, 25), slice(25, 60))
    ]
    (found,) = drift.bands(parts)
    whole = rates.rate(hits, weights=weights)
    assert found.confirmed == pytest.approx(whole)
    assert found.promised == pytest.approx(np.average(scores, weights=weights))
    assert (found.low, found.high) == (0.2, 0.5)


def test_a_promise_is_kept_where_it_lies_in_the_interval():
    def band(promised):
        return drift.Band(0.2, 0.5, promised, rates.rate([1] * 30 + [0] * 70))

    assert band(0.3).is_kept and band(0.22).is_kept
    assert not band(0.45).is_kept
    # |0.4 − 0.3| · 100/150 + |0.3 − 0.3| · 50/150
    assert drift.calibration_error([band(0.4), band(0.3)], [100, 50]) == pytest.approx(0.1 * 2 / 3)


def test_kappa_is_that_of_the_reference():
    rng = np.random.default_rng(6)
    a, b = rng.random(200) < 0.4, rng.random(200) < 0.4
    b[:90] = a[:90]
    weights = rng.uniform(1, 5, 200)
    assert drift.kappa(a, b, weights=weights) == pytest.approx(
        cohen_kappa_score(a, b, sample_weight=weights)
    )
    assert drift.kappa([1, 1], [1, 1], weights=[1, 1]) is None


@pytest.mark.parametrize(
    ("figure", "values", "out"),
    [
        # Opens above .25, and is over below .1 only.
        ("score", [0.2, 0.26, 0.2, 0.11, 0.1, 0.2], [False, True, True, True, False, False]),
        # Opens below .8, and is over from .83 on.
        ("agreement", [0.8, 0.79, 0.81, 0.83, 0.81], [False, True, True, False, False]),
    ],
)
def test_what_is_out_comes_back_at_the_closer_bound(figure, values, out):
    was_out, found = False, []
    for value in values:
        was_out = drift.is_out(value, drift.BOUNDS[figure], was_out=was_out)
        found.append(was_out)
    assert found == out
