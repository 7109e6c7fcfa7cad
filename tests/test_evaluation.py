"""Every figure against scikit-learn, and a few by hand."""

import json

import numpy as np
import pytest
from sklearn import metrics

from mlhooks import evaluation


@pytest.fixture
def stream():
    rng = np.random.default_rng(3)
    y = (rng.random(3000) < 0.1).astype(float)
    p = np.round(np.clip(rng.normal(0.2 + 0.3 * y, 0.15), 0, 1), 2)  # rounded: many ties
    return y, p, rng.uniform(0.5, 3.0, 3000)


def test_average_precision_and_auroc_are_scikit_learns(stream):
    y, p, w = stream
    for weights in (None, w):
        expected = metrics.average_precision_score(y, p, sample_weight=weights)
        assert evaluation.average_precision(y, p, weights=weights) == pytest.approx(expected)
        expected = metrics.roc_auc_score(y, p, sample_weight=weights)
        assert evaluation.auroc(y, p, weights=weights) == pytest.approx(expected)


def test_the_report_agrees_with_scikit_learn(stream):
    y, p, w = stream
    found = evaluation.report(y, p, threshold=0.4, weights=w)
    said = p >= 0.4
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(y, p, sample_weight=w))
    assert found["precision"] == pytest.approx(metrics.precision_score(y, said, sample_weight=w))
    assert found["recall"] == pytest.approx(metrics.recall_score(y, said, sample_weight=w))
    expected = metrics.f1_score(y, said, average="macro", sample_weight=w)
    assert found["macro_f1"] == pytest.approx(expected)
    precision, recall, _ = metrics.precision_recall_curve(y, p, sample_weight=w)
    for level in (0.5, 0.8):
        expected = recall[precision >= level].max()
        assert found["recall_at_precision"][str(level)] == pytest.approx(expected)


def test_the_best_threshold_is_the_best_of_all(stream):
    y, p, _ = stream
    best = evaluation.macro_f1(y, p, evaluation.best_threshold(y, p))
    every = [evaluation.macro_f1(y, p, cut) for cut in np.unique(p)]
    assert best == pytest.approx(max(every))


def test_the_curve_has_at_most_101_points_and_keeps_its_ends(stream):
    y, p, _ = stream
    p = p + np.random.default_rng(0).normal(0, 1e-3, len(p))
    curve = evaluation.report(y, p)["pr_curve"]
    assert len(curve) <= 101
    assert curve[-1]["recall"] == pytest.approx(1.0)
    assert [point["recall"] for point in curve] == sorted(point["recall"] for point in curve)


def test_the_interval_holds_the_figure_and_follows_from_the_seed(stream):
    y, p, _ = stream
    first = evaluation.report(y, p, rng=np.random.default_rng(1))
    again = evaluation.report(y, p, rng=np.random.default_rng(1))
    low, high = first["auprc_interval"]
    assert low < first["auprc"] < high
    assert first == again


def test_a_perfect_order_by_hand():
    found = evaluation.report([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert (found["auprc"], found["auroc"], found["macro_f1"]) == (1.0, 1.0, 1.0)
    assert found["recall_at_precision"]["0.95"] == 1.0


def test_average_precision_by_hand():
    # Order: hit, miss, hit → 1·½ + ⅔·½ = .8333
    assert evaluation.average_precision([1, 0, 1], [0.9, 0.8, 0.7]) == pytest.approx(5 / 6)


def test_a_constant_score_is_worth_the_base_rate():
    found = evaluation.report([1, 0, 0, 0], [0.3] * 4)
    assert found["auprc"] == pytest.approx(0.25)
    assert found["auroc"] == pytest.approx(0.5)


def test_rows_that_nobody_judged_are_left_out():
    found = evaluation.report([1, np.nan, 0], [0.9, 0.1, 0.2])
    assert (found["n"], found["positives"]) == (2, 1)


@pytest.mark.parametrize("labels", [[], [0.0, 0.0], [1.0, 1.0], [np.nan]])
def test_what_cannot_be_known_is_none_and_never_an_error(labels):
    found = evaluation.report(labels, [0.5] * len(labels), rng=np.random.default_rng(0))
    assert found["auprc"] is None
    assert found["auroc"] is None
    assert found["pr_curve"] == []


def test_the_report_is_json(stream):
    y, p, w = stream
    json.dumps(evaluation.report(y, p, weights=w, rng=np.random.default_rng(0)), allow_nan=False)
