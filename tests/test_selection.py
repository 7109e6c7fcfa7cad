"""Which items next: every strategy's promises, and sums worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlhooks import selection
from mlhooks.heads import ZeroShot
from mlhooks.selection import Caps, Known, Pool, draw, draw_exactly, inclusion, soft_rank


def make_pool(n=60, policies=1, seed=0, **more) -> Pool:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    given_by_model = rng.random((n, policies))
    return Pool(vectors, given_by_model, np.full(policies, 0.5), np.ones(policies), **more)


def known(n=40, policies=1, seed=1) -> Known:
    pool = make_pool(n, policies, seed)
    labels = (np.arange(n)[:, None] % 2).repeat(policies, axis=1).astype(float)
    return Known(pool.embeddings, labels)


def of_probabilities(*values: float, costs=(1.0,)) -> Pool:
    p = np.array(values, dtype=float).reshape(len(values), -1)
    vectors = np.eye(len(p), dtype=np.float32)
    return Pool(vectors, p, np.full(p.shape[1], 0.5), np.array(costs))


def best(strategy: str, pool: Pool) -> int:
    found = inclusion(strategy, pool, expected=1, rng=np.random.default_rng(0))
    return int(found.probabilities.argmax())


@pytest.mark.parametrize("strategy", selection.STRATEGIES)
@pytest.mark.parametrize("warm", [False, True])
def test_every_strategy_keeps_its_promises(strategy, warm):
    pool = make_pool(
        ensembles=np.random.default_rng(3).random((4, 60, 1)), known=known() if warm else None
    )
    one = inclusion(strategy, pool, expected=12, rng=np.random.default_rng(7))
    again = inclusion(strategy, pool, expected=12, rng=np.random.default_rng(7))

    assert one.probabilities.sum() == pytest.approx(12)
    assert (one.probabilities >= 0.1 * 12 / 60 - 1e-12).all()  # the floor
    assert (one.probabilities <= 1).all()
    assert (one.probabilities == again.probabilities).all()


@pytest.mark.parametrize("strategy", ["risk", "band", "least_confidence", "margin", "entropy"])
def test_the_order_of_rows_does_not_matter_to_a_score(strategy):
    pool, turned = make_pool(), np.random.default_rng(1).permutation(60)
    other = Pool(pool.embeddings[turned], pool.probabilities[turned], pool.thresholds, pool.costs)

    mine = inclusion(strategy, pool, expected=9, rng=np.random.default_rng(0)).probabilities
    theirs = inclusion(strategy, other, expected=9, rng=np.random.default_rng(0)).probabilities

    assert theirs == pytest.approx(mine[turned])


def test_soft_ranks_by_hand():
    # Ranks 1, 2, 4 and (tied) 2.5, 2.5 would be 1, then two share: (1/4 + 1/9) / 2 = 13/72, 1/16.
    weights = soft_rank(np.array([0.9, 0.5, 0.5, 0.1]), sharpness=2.0)
    whole = 1 + 1 / 4 + 1 / 9 + 1 / 16
    assert weights == pytest.approx(np.array([1, 13 / 72, 13 / 72, 1 / 16]) / whole)


def test_probabilities_by_hand():
    # Two wanted of four, floor 0.1 · 2 / 4 = 0.05. Weights 4 : 2 : 1 : 0 → scale s with
    # min(1, 4s) + min(1, 2s) + s + 0.05 = 2 → the first is certain: 3 s = 0.95, s = 0.31667.
    weights = np.array([4.0, 2.0, 1.0, 0.0])
    scale = selection._scale(weights, 0.05, [], 2.0)
    found = selection._probabilities(scale, weights, 0.05, [])
    assert found == pytest.approx([1, 0.633333, 0.316667, 0.05], abs=1e-5)


def test_each_score_wants_what_it_says():
    pool = of_probabilities(0.02, 0.45, 0.99)
    assert best("risk", pool) == 2
    assert best("least_confidence", pool) == best("margin", pool) == best("entropy", pool) == 1
    band = Pool(pool.embeddings, pool.probabilities, np.array([0.05]), pool.costs)
    assert best("band", band) == 0


def test_a_severe_policy_is_worth_more_than_a_likelier_mild_one():
    pool = of_probabilities([0.9, 0.0], [0.0, 0.5], costs=(1.0, 4.0))
    assert best("risk", pool) == 1


def test_bald_wants_what_the_heads_disagree_about():
    # Both items have mean 0.5; on the first each head says 0.5, on the second one says 0, one 1.
    heads = np.array([[[0.5], [0.0]], [[0.5], [1.0]]])
    pool = Pool(
        np.eye(2, dtype=np.float32), heads.mean(axis=0), np.ones(1) / 2, np.ones(1), ensembles=heads
    )
    assert best("bald", pool) == 1
    with pytest.raises(ValueError, match="several heads"):
        inclusion("bald", of_probabilities(0.5), expected=1, rng=np.random.default_rng(0))


def test_uncertainty_is_what_scikit_activeml_calls_so():
    from skactiveml.pool import uncertainty_scores

    pool = make_pool()
    both = np.column_stack([1 - pool.probabilities, pool.probabilities])
    rng = np.random.default_rng(0)
    for ours, theirs in (
        ("least_confidence", "least_confident"),
        ("margin", "margin_sampling"),
        ("entropy", "entropy"),
    ):
        found = inclusion(ours, pool, expected=6, rng=rng).probabilities
        weights = soft_rank(uncertainty_scores(both, method=theirs))
        scale = selection._scale(weights, 0.1 * 6 / 60, [], 6)
        assert found == pytest.approx(
            selection._probabilities(scale, weights, 0.1 * 6 / 60, []), rel=1e-6
        )


def test_k_center_takes_the_one_farthest_from_what_is_labelled():
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    pool = Pool(
        vectors,
        np.full((3, 1), 0.5),
        np.ones(1) / 2,
        np.ones(1),
        known=Known(vectors[:1], np.zeros((1, 1))),
    )
    assert best("k_center", pool) == 2


def test_badge_takes_unsure_items_that_are_unlike_each_other():
    # Two unsure twins and one unsure stranger: of two picks one is the stranger.
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    pool = Pool(vectors, np.array([[0.5], [0.5], [0.49], [1.0]]), np.ones(1) / 2, np.ones(1))
    found = inclusion("badge", pool, expected=2, rng=np.random.default_rng(0)).probabilities
    assert sorted(np.argsort(-found)[:2].tolist()) in ([0, 2], [1, 2])


def test_typiclust_begins_in_the_largest_group_nobody_has_looked_at():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.eye(3, 8), [30, 20, 5], axis=0) + 0.01 * rng.normal(size=(55, 8))
    vectors = (groups / np.linalg.norm(groups, axis=1, keepdims=True)).astype(np.float32)
    seen = Known(vectors[:2], np.zeros((2, 1)))
    pool = Pool(vectors[2:], np.full((53, 1), 0.5), np.ones(1) / 2, np.ones(1), known=seen)
    assert 28 <= best("typiclust", pool) < 48


def test_anchors_keep_the_draw_near_known_violations():
    pool = make_pool(400, known=Known(make_pool(400).embeddings[:1], np.ones((1, 1))))
    found = inclusion("anchor", pool, expected=20, rng=np.random.default_rng(0)).probabilities
    floor = 0.1 * 20 / 400
    assert (found > floor * 1.0001).sum() <= selection.NEIGHBOURS
    assert found[0] > floor and (found >= floor * 0.9999).all()


@pytest.mark.parametrize("labels", [[], [0.0, 0.0], [1.0, 0.0]])
def test_while_only_a_policys_words_rank_the_default_draws_by_them_widely(labels):
    others = make_pool(len(labels), seed=1).embeddings
    seen = Known(others, np.array(labels)[:, None]) if labels else None
    pool = make_pool(known=seen)
    rng = np.random.default_rng(0)
    found = inclusion("default", pool, expected=6, rng=rng).probabilities
    sharp = inclusion("risk", pool, expected=6, rng=rng).probabilities
    by_risk = np.argsort(-pool.probabilities[:, 0])
    assert found[by_risk[:3]].mean() > 2 * found[by_risk[30:]].mean()
    assert found[by_risk[:6]].sum() < sharp[by_risk[:6]].sum()
    assert found[by_risk[10:40]].sum() > sharp[by_risk[10:40]].sum()


def test_a_policy_that_shows_examples_is_drawn_by_sharply_at_once():
    def chances(examples):
        pool = make_pool(examples=np.array(examples))
        return inclusion("default", pool, expected=6, rng=np.random.default_rng(0)).probabilities

    risk = inclusion("risk", make_pool(), expected=6, rng=np.random.default_rng(0)).probabilities
    assert chances([3]) == pytest.approx(risk)
    assert chances([2]) == pytest.approx(chances([0]))
    assert np.sort(chances([2]))[-6:].sum() < np.sort(risk)[-6:].sum()
    assert selection.EXAMPLES == ZeroShot.ENOUGH


def test_a_cap_holds_in_expectation_and_leaves_everybody_a_chance():
    accounts = np.array([7] * 30 + [-1] * 30)
    p = np.r_[np.full(30, 0.9), np.full(30, 0.1)][:, None]
    pool = Pool(make_pool().embeddings, p, np.ones(1) / 2, np.ones(1), accounts=accounts)
    found = inclusion(
        "risk", pool, expected=12, caps=Caps(account=3), rng=np.random.default_rng(0)
    ).probabilities
    assert found[:30].sum() == pytest.approx(3)
    assert found.sum() == pytest.approx(12)
    assert (found > 0).all()


def test_where_caps_forbid_the_whole_the_draw_is_smaller_and_says_so():
    pool = make_pool(clusters=np.zeros(60, dtype=np.int64))
    found = inclusion(
        "random", pool, expected=12, caps=Caps(cluster=2), rng=np.random.default_rng(0)
    )
    assert found.parameters["reached"] == pytest.approx(2)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.just(0.0) | st.floats(1e-12, 1e6), min_size=1, max_size=40),
    share=st.floats(0.01, 1),
    wanted=st.floats(0.1, 1),
)
def test_the_sum_is_what_was_expected_whatever_the_weights(weights, share, wanted):
    w = np.array(weights)
    expected = wanted * len(w)
    floor = share * expected / len(w)
    found = selection._probabilities(selection._scale(w, floor, [], expected), w, floor, [])
    reachable = np.where(w > 0, 1.0, floor).sum()
    assert found.sum() == pytest.approx(min(expected, max(reachable, floor * len(w))), rel=1e-6)
    assert (found >= floor * (1 - 1e-9)).all() and (found <= 1).all()


def test_draws_happen_as_often_as_their_probabilities_say():
    probabilities = inclusion(
        "default", make_pool(20, known=known()), expected=5, rng=np.random.default_rng(0)
    ).probabilities
    rng = np.random.default_rng(1)
    for drawing in (draw, draw_exactly):
        counts = np.zeros(20)
        for _ in range(4000):
            counts[drawing(probabilities, rng)] += 1
        spread = np.sqrt(probabilities * (1 - probabilities) / 4000) + 1e-9
        assert (np.abs(counts / 4000 - probabilities) < 4.5 * spread).all()


def test_an_exact_draw_has_the_size_that_was_asked_for():
    probabilities = inclusion(
        "risk", make_pool(), expected=9, rng=np.random.default_rng(0)
    ).probabilities
    rng = np.random.default_rng(0)
    assert {len(draw_exactly(probabilities, rng)) for _ in range(50)} == {9}


def test_what_makes_no_sense_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no strategy 'luck'"):
        inclusion("luck", make_pool(), expected=1, rng=rng)
    with pytest.raises(ValueError, match="above 0"):
        inclusion("risk", make_pool(), expected=1, floor_share=0, rng=rng)
    with pytest.raises(ValueError, match="do not fit"):
        Pool(np.eye(2, dtype=np.float32), np.ones((3, 1)), np.ones(1), np.ones(1))
    assert inclusion("risk", make_pool(0), expected=5, rng=rng).probabilities.size == 0


def test_a_policy_with_few_labels_does_not_hold_the_others_back():
    """One policy has its threshold, the other only two violations: each has its share."""
    n = 40
    vectors = np.eye(n, dtype=np.float32)
    p = np.full((n, 2), 0.01)
    p[3, 0] = 0.5  # at the threshold of the policy that is known
    labels = np.full((40, 2), np.nan)
    labels[:38, 0] = np.arange(38) % 2
    labels[38:, 1] = 1
    seen = np.zeros((40, n), dtype=np.float32)
    seen[:, 0] = 1
    seen[38:] = vectors[7]  # the likest to a violation of the other
    pool = Pool(vectors, p, np.full(2, 0.5), np.ones(2), known=Known(seen, labels))
    assert pool.known.fewest.tolist() == [19, 0]
    found = inclusion("default", pool, expected=2, rng=np.random.default_rng(0)).probabilities
    assert set(np.argsort(-found)[:2]) == {3, 7}


def test_a_cost_an_item_and_policy_says_what_a_queue_judges():
    p = np.array([[0.9, 0.1], [0.8, 0.1], [0.1, 0.95]])
    costs = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    pool = Pool(np.eye(3, dtype=np.float32), p, np.full(2, 0.5), costs)
    assert best("risk", pool) == 0
    with pytest.raises(ValueError, match="do not fit together"):
        Pool(np.eye(3, dtype=np.float32), p, np.full(2, 0.5), np.ones((2, 2)))
