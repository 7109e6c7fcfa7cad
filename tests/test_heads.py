"""Heads: what they answer, and that files bring back the very same head."""

import json

import numpy as np
import pytest

from mlhooks import heads
from mlhooks.calibration import Platt
from mlhooks.heads import PolicyText

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


def few_shot():
    directions = RNG.normal(size=(2, D)).astype(np.float32)
    return heads.FewShot(zero_shot(), directions, [0.5, 0.1], [Platt(2, -1), Platt(1, 0)])


def trained():
    from mlhooks import lexical

    return heads.TrainedHead(
        zero_shot(),
        centre=RNG.normal(size=D).astype(np.float32),
        idf=RNG.uniform(1, 3, lexical.BUCKETS).astype(np.float32),
        dense=RNG.normal(size=(2, D + 2)).astype(np.float32),
        lexical=RNG.normal(size=(2, lexical.BUCKETS)).astype(np.float32),
        platts=[Platt(1, 0), Platt(0.5, -1)],
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
