"""Heads: what they answer, and that files bring back the very same head."""

import json

import numpy as np
import pytest

from mlhooks import calibration, heads
from mlhooks.calibration import Platt
from mlhooks.heads import PolicyText
from mlhooks.probability_maps import ProbabilityMap

D = 16
RNG = np.random.default_rng(0)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def encode(texts):
    """A stand-in space: texts that share a first word share a direction."""
    found = [np.random.default_rng(sum(map(ord, text.split()[0]))).normal(size=D) for text in texts]
    return unit(np.array(found))


SPAM = PolicyText("spam", "spam is bad", ("spam one", "spam two", "spam three"), ("ham",))
HATE = PolicyText("hate", "hate is bad", (), ())


def zero_shot():
    return heads.ZeroShot.from_policies([SPAM, HATE], encode)


def maps():
    knots = ((-1.0, -3.0, 0.4), (0.0, -1.0, 0.3), (1.0, 2.0, 0.5))
    return [
        ProbabilityMap("platt", Platt(2, -1), (0.2, 0.0, 0.1), level=-0.5, level_error=0.2),
        ProbabilityMap("isotonic", Platt(1, 0), (0.2, 0.0, 0.1), knots),
    ]


def few_shot():
    directions = RNG.normal(size=(2, D)).astype(np.float32)
    doubts = RNG.normal(0, 0.1, size=(2, 4, D)).astype(np.float32)
    return heads.FewShot(zero_shot(), directions, [0.5, 0.1], maps(), doubts)


def trained():
    from mlhooks import lexical

    return heads.TrainedHead(
        zero_shot(),
        centre=RNG.normal(size=D).astype(np.float32),
        idf=RNG.uniform(1, 3, lexical.BUCKETS).astype(np.float32),
        dense=RNG.normal(size=(2, D + 2)).astype(np.float32),
        lexical=RNG.normal(size=(2, lexical.BUCKETS)).astype(np.float32),
        maps=maps(),
        doubts=heads.Doubts(
            dense=RNG.normal(0, 0.1, size=(2, 5, D + 2)).astype(np.float32),
            words=RNG.normal(0, 0.1, size=(2, 5, 1000)).astype(np.float16),
            buckets=np.sort(RNG.choice(lexical.BUCKETS, 1000, replace=False)).astype(np.int32),
        ),
    )


def composite():
    other = heads.ZeroShot.from_policies([PolicyText("third", "third thing")], encode)
    return heads.Composite([few_shot(), other])


ALL = pytest.mark.parametrize("make", [zero_shot, few_shot, trained, composite])
TEXTS = ["spam spam spam", "hate you", "", "something else entirely", "\ud800"]


def rows():
    return unit(np.random.default_rng(9).normal(size=(len(TEXTS), D)))


@ALL
def test_one_probability_a_policy_and_row(make):
    head = make()
    p = head.predict(rows(), TEXTS)
    assert p.shape == (len(TEXTS), len(head.policies))
    assert ((p >= 0) & (p <= 1)).all()


@ALL
def test_no_rows_are_no_answers(make):
    head = make()
    assert head.predict(np.zeros((0, D), np.float32), []).shape == (0, len(head.policies))


@ALL
def test_saved_and_loaded_it_says_the_same_to_the_last_bit(make, tmp_path):
    head = make()
    sha256 = heads.to_files(head, tmp_path)
    again = heads.from_files(tmp_path, sha256=sha256)
    assert again.policies == head.policies
    assert np.array_equal(again.predict(rows(), TEXTS), head.predict(rows(), TEXTS))
    assert np.array_equal(again.errors(rows(), TEXTS), head.errors(rows(), TEXTS))


@ALL
def test_an_answer_lies_inside_its_own_interval(make):
    p, low, high = heads.answer(make(), rows(), TEXTS)
    assert ((low > 0) & (low < p) & (p < high) & (high < 1)).all()


def test_a_head_of_before_answers_as_it_did_and_says_it_cannot_tell_how_surely(tmp_path):
    """Format 1: Platt's two numbers a policy, and nothing about their errors."""
    head = few_shot()
    config = {"format": 1, "kind": "few-shot", **head.config()}
    del config["maps"]
    config["platts"] = [[2.0, -1.0], [1.0, 0.0]]
    tensors = {name: one for name, one in head.tensors().items() if name != "doubts"}
    written = json.dumps(config, sort_keys=True)
    (tmp_path / heads.WEIGHTS).write_bytes(heads.write_tensors(tensors, metadata={"head": written}))
    (tmp_path / heads.CARD).write_text(written)
    old = heads.from_files(tmp_path)
    expected = [calibration.apply(Platt(2, -1), head.scores(rows())[:, 0])]
    expected += [calibration.apply(Platt(1, 0), head.scores(rows())[:, 1])]
    assert np.array_equal(old.predict(rows(), TEXTS), np.stack(expected, axis=1))
    _, low, high = heads.answer(old, rows(), TEXTS)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_a_policy_with_one_sentence_to_go_by_is_less_sure_than_one_with_many():
    many = PolicyText("spam", "", tuple(f"spam {n}" for n in range(12)))
    one = PolicyText("spam", "spam is bad")
    texts = ["spam offer", "ham offer"]
    errors = [
        heads.ZeroShot.from_policies([policy], encode).errors(encode(texts), texts)
        for policy in (many, one)
    ]
    assert (errors[0] < errors[1]).all()
    assert (errors[0] > 0.5).all()  # no label has confirmed it


def test_leaving_out_an_anchor_is_the_pool_of_the_others():
    cosines = RNG.uniform(-1, 1, size=(3, 4)).astype(np.float32)
    found = heads._pool_without(cosines, 5.0)
    for n in range(4):
        others = np.delete(cosines, n, axis=1)
        assert found[:, n] == pytest.approx(heads._pool(others, 5.0), abs=1e-6)


@ALL
def test_the_same_head_gives_the_same_bytes(make, tmp_path):
    head = make()
    assert heads.to_files(head, tmp_path / "a") == heads.to_files(head, tmp_path / "b")


def test_one_changed_bit_is_refused(tmp_path):
    sha256 = heads.to_files(zero_shot(), tmp_path)
    path = tmp_path / heads.WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(heads.HeadRefused, match="changed"):
        heads.from_files(tmp_path, sha256=sha256)


def test_a_card_that_says_something_else_is_refused(tmp_path):
    sha256 = heads.to_files(zero_shot(), tmp_path)
    path = tmp_path / heads.CARD
    path.write_text(path.read_text().replace("spam", "ham"))
    with pytest.raises(heads.HeadRefused, match="changed"):
        heads.from_files(tmp_path, sha256=sha256)


@pytest.mark.parametrize("data", [b"", b"\x08", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_broken_file_is_refused(tmp_path, data):
    heads.to_files(zero_shot(), tmp_path)
    (tmp_path / heads.WEIGHTS).write_bytes(data)
    with pytest.raises(heads.HeadRefused):
        heads.from_files(tmp_path)


def test_a_head_of_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "FORMAT", 99)
    heads.to_files(zero_shot(), tmp_path)
    monkeypatch.undo()
    with pytest.raises(heads.HeadRefused, match="format 99"):
        heads.from_files(tmp_path)


def test_files_hold_data_only(tmp_path):
    heads.to_files(composite(), tmp_path)
    data = (tmp_path / heads.WEIGHTS).read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert json.loads(data[8 : 8 + size])["__metadata__"]["head"]
    json.loads((tmp_path / heads.CARD).read_text())


def test_zero_shot_puts_the_like_above_the_unlike():
    p = zero_shot().predict(encode(["spam offer", "ham offer"]), ["", ""])
    assert p[0, 0] > 0.5 > 0.1 > p[1, 0]


def test_a_definition_counts_while_there_are_few_examples():
    p = zero_shot().predict(encode(["hate speech"]), [""])
    assert p[0, 1] > 0.5


def test_pooling_lies_between_mean_and_maximum():
    cosines = np.array([[0.1, 0.5, 0.9]], dtype=np.float32)
    assert 0.5 < heads._pool(cosines, 5.0)[0] < 0.9
    assert heads._pool(np.full((1, 3), 0.3, np.float32), 5.0)[0] == pytest.approx(0.3)


def test_each_block_of_words_has_length_one():
    from mlhooks import lexical

    counts = lexical.count(["some words here", "others there"])
    values = heads.tf_idf(counts, np.ones(lexical.BUCKETS, np.float32))
    for row in (0, 1):
        here = slice(counts.start[row], counts.start[row + 1])
        is_word = counts.buckets[here] < 1 << lexical.BITS
        for block in (is_word, ~is_word):
            assert (values[here][block] ** 2).sum() == pytest.approx(1, abs=1e-5)


def test_two_heads_may_not_answer_for_one_policy():
    with pytest.raises(ValueError, match="Two heads"):
        heads.Composite([zero_shot(), zero_shot()])
