"""What several answers come to: sums by hand, known raters found again, little made of little."""

import numpy as np
import pytest

from mlhooks import aggregation, posteriors
from mlhooks.aggregation import Answers, Raters


def answers(*given) -> Answers:
    item, rater, yes = zip(*given, strict=True)
    return Answers(np.array(item), np.array(rater), np.array(yes, bool))


def known(prevalence, *figures) -> Raters:
    sensitivity, specificity = (np.array(one, float) for one in zip(*figures, strict=True))
    return Raters(0, prevalence, (0.8, 0.95), sensitivity, specificity, np.zeros(len(figures)))


def test_a_posterior_by_hand():
    raters = known(0.1, (0.8, 0.9), (0.5, 0.8))
    # Item 0: both yes.  0.1 · 0.8 · 0.5 = 0.04 against 0.9 · 0.1 · 0.2 = 0.018
    # Item 1: yes, no.   0.1 · 0.8 · 0.5 = 0.04 against 0.9 · 0.1 · 0.8 = 0.072
    found = aggregation.posterior(
        raters, answers((0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0)), items=2
    )
    assert found == pytest.approx([0.04 / 0.058, 0.04 / 0.112])


def test_raters_are_found_again_from_answers_alone():
    rng = np.random.default_rng(1)
    truth = rng.random(4000) < 0.3
    sensitivity, specificity = np.array([0.95, 0.7, 0.85]), np.array([0.98, 0.9, 0.95])
    item, rater = np.repeat(np.arange(4000), 3), np.tile(np.arange(3), 4000)
    chance = np.where(truth[item], sensitivity[rater], 1 - specificity[rater])
    given = Answers(item, rater, rng.random(12_000) < chance)

    found = aggregation.learn(given, items=4000, raters=3)

    assert found.sensitivity == pytest.approx(sensitivity, abs=0.03)
    assert found.specificity == pytest.approx(specificity, abs=0.02)
    assert found.prevalence == pytest.approx(0.3, abs=0.02)
    sure = aggregation.posterior(found, given, items=4000)
    majority = np.bincount(item, weights=given.yes) >= 2
    assert ((sure > 0.5) == truth).mean() >= (majority == truth).mean()


def test_who_answered_little_has_nearly_the_figures_of_all():
    given = answers(*[(n, 0, n % 2) for n in range(40)], *[(n, 1, n % 2) for n in range(39)])
    given = answers(
        *zip(given.item, given.rater, given.yes, strict=True), (39, 2, 0)
    )  # against a yes of the first
    found = aggregation.learn(given, items=40, raters=4)
    assert found.sensitivity[3] == found.usual[0]
    assert abs(found.sensitivity[2] - found.usual[0]) < 0.1 < found.sensitivity[0] - 0.5
    assert list(found.answers) == [40, 39, 1, 0]


def test_without_answers_there_is_the_guess():
    none = Answers(np.array([], int), np.array([], int), np.array([], bool))
    found = aggregation.learn(none, items=0, raters=2)
    assert found.usual == (0.8, 0.95)
    assert found.compared == 0


def test_of_each_rater_the_newest_answer_by_the_labels_own_text_counts():
    found = posteriors.cells(
        np.array([0, 0, 0, 0]),
        np.array([0, 0, 0, -1]),
        np.array([2, 2, 1, 0], np.int16),
        np.array([5, 5, 6, 7]),
        np.array([True, False, True, False]),
        version=np.array([[2]], np.int16),
        raters=8,
    )
    assert (list(found.rater), list(found.yes)) == ([5], [False])
