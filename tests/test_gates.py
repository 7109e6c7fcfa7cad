"""Bounds in, pass or fail out; parts of the rows; what subgroups get. Sums by hand."""

import numpy as np
import pytest

from mlhooks import evaluation, gates, slices


def outcome(gate: str, **figure):
    found = gates.judge("spam", {gate: figure}, gates.bounds_of(None))
    return next(one for one in found if one.gate == gate)


def test_a_figure_is_held_against_its_bound_from_the_right_side():
    assert outcome("frozen", value=-0.005, n=500, positives=50).verdict == gates.PASS
    assert outcome("frozen", value=-0.02, n=500, positives=50).verdict == gates.FAIL
    assert outcome("calibration", value=0.09, n=500, positives=50).verdict == gates.PASS
    assert outcome("calibration", value=0.11, n=500, positives=50).verdict == gates.FAIL
    assert outcome("load", value=2.1, n=500, positives=50).verdict == gates.FAIL


def test_too_few_rows_say_nothing_for_or_against():
    assert outcome("frozen", value=-0.5, n=500, positives=9).verdict == gates.TOO_FEW
    assert outcome("stream", value=None, n=0, positives=0).verdict == gates.TOO_FEW
    assert outcome("functional", value=-1.0, n=4, positives=2).verdict == gates.TOO_FEW
    assert {one.verdict for one in gates.judge("spam", {}, gates.bounds_of(None))} == {
        gates.TOO_FEW
    }


def test_a_part_that_seems_to_lose_by_chance_holds_nobody_up():
    unsure = outcome("slices", value=-0.2, interval=[-0.5, 0.1], n=30, positives=5)
    assert unsure.verdict == gates.TOO_FEW
    sure = outcome("slices", value=-0.2, interval=[-0.3, -0.1], n=900, positives=90)
    assert sure.verdict == gates.FAIL
    assert outcome("slices", value=-0.05, interval=[-0.2, 0.1], n=90).verdict == gates.PASS
    lines = [
        {"part": "small", "difference": -0.4, "interval": [-0.8, 0.1]},
        {"part": "large", "difference": -0.2, "interval": [-0.3, -0.1]},
        {"part": "fine", "difference": 0.1, "interval": [0.0, 0.2]},
    ]
    assert slices.worst(lines)["part"] == "large"
    assert slices.worst([lines[0], lines[2]])["part"] == "small"


def test_own_bounds_stand_for_the_usual_ones():
    bounds = gates.bounds_of({"load": 1.1})
    found = gates.judge("spam", {"load": {"value": 1.5, "n": 500}}, bounds)
    assert next(one for one in found if one.gate == "load").verdict == gates.FAIL


def test_a_difference_on_the_same_rows_has_an_interval_over_authors():
    # The champion ranks the two violations last, the candidate first: 1 − (1/3 + 2/4) / 2 = 0.583…
    labels = [1, 1, 0, 0]
    found = evaluation.difference(
        labels,
        [0.9, 0.8, 0.2, 0.1],
        [0.1, 0.2, 0.8, 0.9],
        groups=["a", "b", "c", "d"],
        rng=np.random.default_rng(0),
    )
    assert found["value"] == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)
    low, high = found["interval"]
    assert 0 < low <= found["value"] <= high <= 1
    assert (found["n"], found["positives"]) == (4, 2)


def test_rows_of_one_author_come_and_go_together():
    counts = evaluation.resampled(["a", "a", "b"], np.random.default_rng(0))
    assert all(count[0] == count[1] for count in counts)
    assert {tuple(count) for count in counts} == {(2, 2, 0), (1, 1, 1), (0, 0, 2)}


def test_a_difference_needs_both_kinds():
    found = evaluation.difference(
        [1, 1], [0.5, 0.6], [0.5, 0.6], groups=[0, 1], rng=np.random.default_rng(0)
    )
    assert found["value"] is found["interval"] is None


def test_what_reviewers_find_who_have_time_for_half():
    # Half of four rows: the two that are given most hold one of two violations.
    assert evaluation.recall_at_capacity([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], 0.5) == 0.5
    assert evaluation.recall_at_capacity([0, 0], [0.5, 0.4], 0.5) is None


def test_subgroups_by_hand():
    # Inside: a violation given .6, a clean one given .7. Outside: .8 violates, .1 is clean.
    labels = [1, 0, 1, 0]
    given = [0.6, 0.7, 0.8, 0.1]
    inside = np.array([True, True, False, False])
    found = evaluation.subgroup_aucs(labels, given, inside)
    assert found["subgroup"] == 0  # .7 above .6
    assert found["bpsn"] == 1  # .7 below .8
    assert found["bnsp"] == 1  # .6 above .1


def test_parts_with_few_rows_are_left_out_and_few_violations_get_no_figure():
    labels = np.r_[np.ones(6), np.zeros(34), np.ones(2), np.zeros(28), np.zeros(5)]
    parts = slices.of_values(["en"] * 40 + ["de"] * 30 + ["fr"] * 5)
    given = np.linspace(1, 0, 75)
    lines = slices.report(
        parts, labels, given, given[::-1], groups=np.arange(75), rng=np.random.default_rng(0)
    )
    by_part = {line["part"]: line for line in lines}
    assert set(by_part) == {"de", "en"}
    assert by_part["en"]["auprc"] == 1 and by_part["en"]["difference"] > 0.5
    assert by_part["de"]["auprc"] is None
    assert slices.worst(lines)["part"] == "en"
    assert slices.worst([]) is None


def test_texts_are_divided_by_length_and_by_whom_they_name():
    texts = ["short", "x" * 100, "All women here", "Die Frauen dort", "a womanly thing"]
    lengths = slices.of_lengths(texts)
    assert lengths["up to 80 characters"].tolist() == [True, False, True, True, True]
    assert lengths["81 to 400"].tolist() == [False, True, False, False, False]
    assert slices.of_identities(texts)["women"].tolist() == [False, False, True, True, False]
    assert slices.of_ages([1, 30, None])["under a week"].tolist() == [True, False, False]
