"""How alike two texts are by their words: hand-made pairs, and what MinHash promises."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import shingles

OFFER = (
    "Dear customer, your account {n} has been limited because we noticed unusual activity. "
    "To restore it confirm your password within 24 hours, otherwise all your boards are deleted. "
    "Confirm now at our page and do not answer this message. Thank you for keeping everyone safe."
)


def word(number):
    """A word of its own for each number; digits would be folded."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:05d}")


def sketch(text):
    return shingles.signature(text)


def test_texts_that_differ_in_numbers_and_case_are_the_same():
    one, other = OFFER.format(n=17), OFFER.format(n=99_812).upper()
    assert shingles.shingles(one) == shingles.shingles(other)
    assert shingles.similarity(sketch(one), sketch(other)) == 1.0


def test_a_changed_word_takes_its_three_shingles_away():
    words = [word(number) for number in range(36)]
    changed = [*words[:17], "other", *words[18:]]
    # 36 words: 34 runs, 3 of which hold word 18: 31 in common of 37 in all.
    assert shingles.overlap(" ".join(words), " ".join(changed)) == pytest.approx(31 / 37)


def test_too_little_to_compare_has_no_signature():
    for text in ("", "thanks", "see you there", "…"):
        assert shingles.signature(text) == b""
        assert shingles.band_keys(1, b"") == []
    assert shingles.similarity(b"", sketch(OFFER)) == 0.0
    assert shingles.overlap("thanks", "thanks") == 0.0


def test_short_texts_are_compared_by_letters():
    one, other = "cheap pills no prescription needed", "cheap pills, no prescription needed!!"
    assert shingles.overlap(one, other) == 1.0
    assert shingles.overlap(one, "minutes of the meeting on tuesday") < 0.1


def test_a_short_and_a_long_text_are_cut_the_same_way():
    words = [word(number) for number in range(40)]
    one, other = " ".join(words[:29]), " ".join(words[:31])
    assert shingles.similarity(sketch(one), sketch(other)) < 0.5  # by letters, by words
    assert shingles.overlap(one, other) > 0.9


def test_near_texts_share_a_slice_and_others_seldom_do():
    rng = random.Random(7)
    words = [word(number) for number in range(4000)]
    found = {True: 0, False: 0}
    for _ in range(60):
        text = rng.sample(words, 300)
        near = list(text)
        for at in rng.sample(range(300), 8):  # Jaccard about 0.85
            near[at] = "changed"
        keys = set(shingles.band_keys(1, sketch(" ".join(text))))
        found[True] += bool(keys & set(shingles.band_keys(1, sketch(" ".join(near)))))
        stranger = " ".join(rng.sample(words, 300))
        found[False] += bool(keys & set(shingles.band_keys(1, sketch(stranger))))
    assert found[True] >= 58 and found[False] == 0


def test_two_platforms_have_no_key_in_common():
    one, other = (set(shingles.band_keys(pk, sketch(OFFER))) for pk in (1, 2))
    assert len(one) == shingles.BANDS and not one & other
    assert all(-(2**63) <= key < 2**63 for key in one)


def test_the_estimate_is_near_the_truth():
    words = [word(number) for number in range(500)]
    one, other = " ".join(words[:400]), " ".join(words[50:450])
    truth = shingles.overlap(one, other)
    assert shingles.similarity(sketch(one), sketch(other)) == pytest.approx(truth, abs=0.13)


@given(st.text(max_size=300), st.text(max_size=300))
def test_likeness_is_symmetric_and_a_fraction(one, other):
    assert 0.0 <= shingles.overlap(one, other) <= 1.0
    assert shingles.overlap(one, other) == shingles.overlap(other, one)
    sketches = sketch(one), sketch(other)
    assert shingles.similarity(*sketches) == shingles.similarity(*reversed(sketches))
    assert shingles.signature(one) == sketches[0]


def test_the_best_candidate_is_the_nearest_then_the_oldest():
    text = sketch(OFFER)
    other = sketch("Something else altogether about gardens and the weather in the north of town")
    assert shingles.best(text, [(3, other), (9, text), (7, text)]) == (7, 1.0)
    assert shingles.best(text, [(3, other)]) is None
