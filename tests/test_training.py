"""Training: learns, repeats itself bit for bit, and knows when it has too little to learn from."""

from dataclasses import replace

import numpy as np
import pytest

from mlhooks import calibration, evaluation, heads, training
from mlhooks.heads import PolicyText
from tests.test_heads import D, encode, unit

WORDS = ("red", "green", "cold", "warm", "fast", "slow", "north", "south", "tall", "early", "late")


def config(*slugs, **kw):
    policies = [PolicyText(slug, f"{slug} is bad", (f"{slug} a", f"{slug} b")) for slug in slugs]
    return training.TrainingConfig(policies=policies, encode=encode, **kw)


def examples(n, *, seed=0, rates=(0.3,), missing=0.0):
    """Texts whose labels show in one word and one direction, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.stack([(rng.random(n) < rate).astype(float) for rate in rates], axis=1)
    vectors = rng.normal(size=(n, D))
    texts = []
    for row in range(n):
        words = list(rng.choice(WORDS, 8))
        for policy in range(len(rates)):
            vectors[row, policy] += 2 * labels[row, policy]
            if labels[row, policy] and rng.random() < 0.7:
                words.append(f"mark{policy}")
        texts.append(" ".join(words))
    labels[rng.random(labels.shape) < missing] = np.nan
    return training.Examples(unit(vectors), texts, labels, np.ones(n))


def auprc(fitted, rows, column=0):
    p = fitted.head.predict(rows.embeddings, rows.texts)
    slug = list(fitted.answered_by)[column]
    return evaluation.average_precision(
        rows.labels[:, column], p[:, fitted.head.policies.index(slug)]
    )


def test_it_overfits_sixteen_rows():
    rng = np.random.default_rng(0)
    rows = training.Examples(
        unit(rng.normal(size=(16, D))),
        [f"text number{n} word{n}" for n in range(16)],
        np.array([[n % 2] for n in range(16)], dtype=float),
        np.ones(16),
    )
    fitted = training.fit(config("spam", strengths=(1e4,)), rows, rows, seed=0)
    p = fitted.head.part_of("spam").logits(rows.embeddings, rows.texts)[:, 0]
    assert ((p > 0) == (rows.labels[:, 0] == 1)).all()
    assert fitted.history[-1]["train_loss"] < 0.05


def test_it_learns_what_there_is_to_learn():
    fitted = training.fit(config("spam"), examples(600), examples(100, seed=1), seed=0)
    assert fitted.answered_by == {"spam": "trained"}
    assert auprc(fitted, examples(500, seed=2)) > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_may_not():
    train, valid = examples(200), examples(50, seed=1)
    one, two, other = (
        training.fit(config("spam"), train, valid, seed=seed).head for seed in (3, 3, 4)
    )
    for name, tensor in one.tensors().items():
        assert np.array_equal(tensor.numpy(), two.tensors()[name].numpy()), name
    assert one.config() == two.config()
    assert one.config() != other.config()  # other folds, another calibration


def test_saved_and_loaded_it_scores_the_same(tmp_path):
    fitted = training.fit(config("spam"), examples(200), examples(50, seed=1), seed=0)
    rows = examples(50, seed=2)
    heads.to_files(fitted.head, tmp_path)
    again = heads.from_files(tmp_path)
    assert np.array_equal(
        again.predict(rows.embeddings, rows.texts),
        fitted.head.predict(rows.embeddings, rows.texts),
    )


def test_its_probabilities_are_calibrated():
    fitted = training.fit(config("spam"), examples(1500), examples(100, seed=1), seed=0)
    rows = examples(3000, seed=2)
    found = evaluation.report(
        rows.labels[:, 0], fitted.head.predict(rows.embeddings, rows.texts)[:, 0]
    )
    assert found["ece"] < 0.03


def test_each_policy_gets_what_its_labels_allow():
    train = examples(300, rates=(0.3, 0.3, 0.3))
    train.labels[:, 1] = 0
    train.labels[:4, 1] = 1
    train.labels[:, 2] = np.nan
    fitted = training.fit(config("spam", "hate", "fraud"), train, train, seed=0)
    assert fitted.answered_by == {"spam": "trained", "hate": "few-shot", "fraud": "zero-shot"}
    assert set(fitted.head.policies) == {"spam", "hate", "fraud"}
    assert fitted.head.predict(train.embeddings, train.texts).shape == (300, 3)


def test_rows_that_nobody_judged_for_a_policy_do_not_teach_it():
    full = examples(400, rates=(0.3, 0.3))
    half = examples(400, rates=(0.3, 0.3), missing=0.4)
    fitted = training.fit(config("spam", "hate"), half, full, seed=0)
    rows = examples(400, seed=2, rates=(0.3, 0.3))
    assert auprc(fitted, rows, 0) > 0.85
    assert auprc(fitted, rows, 1) > 0.85


def test_few_shot_learns_from_a_handful_and_leans_on_the_policy_the_more_the_fewer():
    small, large = examples(12, seed=5), examples(400, seed=5)
    heads_ = [
        training.fit(config("spam", kind="few-shot"), rows, rows, seed=0).head
        for rows in (small, large)
    ]
    weights = [head.part_of("spam").config()["prior_weights"][0] for head in heads_]
    assert weights[0] > 10 * weights[1]
    rows = examples(500, seed=2)
    p = heads_[1].predict(rows.embeddings, rows.texts)[:, 0]
    assert evaluation.auroc(rows.labels[:, 0], p) > 0.85


def test_few_shot_leaves_a_label_out_of_its_own_mean():
    # Pure noise: seen in its own mean, a label would look easy and the slope would be steep.
    rng = np.random.default_rng(0)
    rows = training.Examples(
        unit(rng.normal(size=(40, D))),
        [""] * 40,
        np.array([[n % 2] for n in range(40)]) * 1.0,
        np.ones(40),
    )
    head = training.fit(config("spam", kind="few-shot"), rows, rows, seed=0).head
    p = head.predict(rows.embeddings, rows.texts)
    assert p.std() < 0.2


def test_weights_set_the_base_rate():
    rows = examples(800, rates=(0.5,))
    fair = np.where(
        rows.labels[:, 0] == 1, 0.1, 1.9
    )  # positives were drawn nineteen times as often
    weighted = training.Examples(rows.embeddings, rows.texts, rows.labels, fair)
    p = training.fit(config("spam"), weighted, rows, seed=0).head.predict(
        rows.embeddings, rows.texts
    )
    assert np.average(p[:, 0], weights=fair) == pytest.approx(0.05, abs=0.02)


def test_progress_rises_to_one_and_says_what_is_done():
    said = []
    fitted = training.fit(
        config("spam", "hate"),
        examples(200, rates=(0.3, 0.3)),
        examples(50, seed=1, rates=(0.3, 0.3)),
        seed=0,
        progress=lambda fraction, step, entry: said.append((fraction, step, entry)),
    )
    fractions = [fraction for fraction, _, _ in said]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("regularisation for spam" in step for _, step, _ in said)
    assert [entry for _, _, entry in said if entry] == fitted.history


def test_an_empty_validation_split_is_no_obstacle():
    none = training.Examples(np.zeros((0, D), np.float32), [], np.zeros((0, 1)), np.zeros(0))
    fitted = training.fit(config("spam"), examples(200), none, seed=0)
    assert fitted.history[0]["valid_loss"] is None


def test_cross_validation_on_a_sample_is_nearly_as_good():
    train, valid, rows = examples(900), examples(50, seed=1), examples(500, seed=2)
    whole = training.fit(config("spam"), train, valid, seed=0)
    sample = training.fit(config("spam", cross_validated_rows=300), train, valid, seed=0)
    assert auprc(sample, rows) > auprc(whole, rows) - 0.03


def errors_of(fitted, rows):
    return fitted.head.errors(rows.embeddings, rows.texts)[:, 0]


# A penalty holds a trained head back while labels are few: it moves less than it knows little.
@pytest.mark.parametrize(("kind", "share"), [("few-shot", 0.6), ("trained", 0.9)])
def test_more_labels_make_it_surer(kind, share):
    rows = examples(300, seed=2)
    found = [
        errors_of(training.fit(config("spam", kind=kind), examples(n), rows, seed=0), rows)
        for n in (60, 800)
    ]
    assert np.isfinite(found).all()
    assert np.median(found[1]) < share * np.median(found[0])


@pytest.mark.parametrize("kind", ["few-shot", "trained"])
def test_its_errors_are_about_as_large_as_its_answers_differ(kind):
    """Six heads, each of its own labels: how far their log-odds lie apart is what each claims."""
    rows = examples(200, seed=99)
    fitted = [
        training.fit(config("spam", kind=kind), examples(150, seed=seed), rows, seed=seed)
        for seed in range(6)
    ]
    said = [
        calibration.logit(one.head.predict(rows.embeddings, rows.texts)[:, 0]) for one in fitted
    ]
    actual = np.sqrt(np.var(said, axis=0, ddof=1).mean())
    claimed = np.sqrt(np.mean([errors_of(one, rows) ** 2 for one in fitted]))
    assert 0.6 < claimed / actual < 1.7


def picked_by_label(rows, *, known, seed=0):
    """Half of the violations and a tenth of the rest, besides `known` rows drawn evenly; only
    those have a known chance."""
    rng = np.random.default_rng(100 + seed)
    n = len(rows.texts)
    drawn = rng.random(n) < known / n
    chance = np.where(rows.labels[:, 0] == 1, 0.5, 0.1)
    kept = np.flatnonzero(drawn | (rng.random(n) < chance))
    stream = np.where(drawn, n / known, np.nan)[kept]
    return training.Examples(
        rows.embeddings[kept],
        [rows.texts[row] for row in kept],
        rows.labels[kept],
        np.ones(len(kept)),
        stream,
    )


@pytest.mark.parametrize(
    ("known", "rows"), [(800, "random lane"), (60, "level"), (0, "picked rows")]
)
def test_what_is_known_of_the_stream_sets_the_level(known, rows):
    fitted = training.fit(
        config("spam"),
        picked_by_label(examples(4000, rates=(0.1,)), known=max(known, 1)),
        examples(50, seed=1),
        seed=0,
    )
    stream = examples(3000, seed=7, rates=(0.1,))
    p = fitted.head.predict(stream.embeddings, stream.texts)[:, 0]
    about = fitted.head.part_of("spam").maps[0].about
    assert about["rows"] == rows
    if known:
        assert p.mean() == pytest.approx(0.1, abs=0.02 if known == 800 else 0.05)
    else:
        assert p.mean() > 0.14  # nothing of the stream was known: it answers for its labels


def test_the_loss_leans_towards_the_stream_where_chances_are_known():
    rows = examples(3)
    drawn = replace(rows, weights=np.array([1.0, 1, 2]), stream=np.array([1.0, 16, np.nan]))
    assert drawn.counts.tolist() == [1, 2, 2]  # 16 ^ ¼ = 2; an unknown chance counts as it is
    assert (rows.counts == rows.weights).all()


def test_equal_chances_teach_what_none_would():
    rows, valid = examples(200), examples(40, seed=1)
    plain = training.fit(config("spam"), rows, valid, seed=0)
    even = training.fit(config("spam"), replace(rows, stream=np.full(200, 10.0)), valid, seed=0)
    ends = [fitted.head.part_of("spam") for fitted in (plain, even)]
    logits = [head.logits(valid.embeddings, valid.texts) for head in ends]
    assert logits[0] == pytest.approx(logits[1], abs=1e-5)
