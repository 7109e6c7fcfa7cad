"""Hashed counts: what is a group, what is folded away, and that rows never mix."""

import numpy as np

from mlhooks import lexical


def entries(counts, row):
    here = slice(counts.start[row], counts.start[row + 1])
    return dict(zip(counts.buckets[here].tolist(), counts.values[here].tolist(), strict=True))


def test_words_pairs_and_letter_groups_are_counted():
    counts = lexical.count(["to be"])
    words = sum(bucket < 1 << lexical.BITS for bucket in counts.buckets.tolist())
    # Words "to", "be", the pair; letters " to", "to ", " to ", " be", "be ", " be ".
    assert (words, len(counts.buckets)) == (3, 9)


def test_a_text_gives_the_same_alone_and_in_company():
    texts = ["first text", "", "second, longer text", "x", "first text"]
    together = lexical.count(texts)
    for row, text in enumerate(texts):
        assert entries(together, row) == entries(lexical.count([text]), 0)


def test_chunks_do_not_change_the_result(monkeypatch):
    texts = [f"number {n} of many texts" for n in range(50)]
    whole = lexical.count(texts)
    monkeypatch.setattr(lexical, "_CHUNK", 100)
    parts = lexical.count(texts)
    assert np.array_equal(whole.buckets, parts.buckets)
    assert np.array_equal(whole.start, parts.start)


def test_case_white_space_and_width_are_folded():
    plain, odd = lexical.count(["free money"]), lexical.count(["  FREE\t\n ｍｏｎｅｙ "])
    assert np.array_equal(plain.buckets, odd.buckets)


def test_repetition_counts_by_its_logarithm():
    counts = lexical.count(["no no no no"])
    assert np.isclose(max(counts.values), 1 + np.log(4))


def test_odd_texts_never_raise():
    counts = lexical.count(["", "\x00", "\ud800 lone", "😀" * 100_000, "a" * 1_000_000, " \u202e"])
    assert len(counts) == 6


def test_no_texts_are_no_rows():
    assert len(lexical.count([])) == 0


def test_buckets_are_the_same_on_every_machine():
    counts = lexical.count(["abc"])
    # Fixed by hand once: stored weights depend on it.
    assert counts.buckets.tolist() == [196097, 280123, 330896, 369269, 439850, 440962, 462282]


def test_counted_texts_are_counted_once_and_taken_by_row():
    texts = ["buy now", "see you at lunch", "", "buy now, buy cheap"]
    some = lexical.Counted(texts).take(np.array([3, 0, 2]))

    again = lexical.count([texts[3], texts[0], texts[2]])

    assert list(some) == [texts[3], texts[0], texts[2]]
    assert lexical.count(some) is some.counts
    for mine, theirs in zip(vars(some.counts).values(), vars(again).values(), strict=True):
        assert mine.tolist() == theirs.tolist()
    assert list(some[1:]) == [texts[0], texts[2]]
