from hypothesis import given
from hypothesis import strategies as st

from reviews.agreement import Answer, consensus

CLEAN = Answer("clean")
SPAM = Answer("violating", frozenset({"spam"}))
SCAM = Answer("violating", frozenset({"scam"}))
BOTH = Answer("violating", frozenset({"spam", "scam"}))
UNNAMED = Answer("violating")


def test_two_who_say_the_same_agree():
    assert consensus([SPAM, SPAM]) == SPAM
    assert consensus([CLEAN, CLEAN]) == CLEAN


def test_two_verdicts_of_two_people_are_a_disagreement():
    assert consensus([SPAM, CLEAN]) is None


def test_two_of_three_decide():
    assert consensus([SPAM, CLEAN, SPAM]) == SPAM
    assert consensus([CLEAN, SPAM, CLEAN]) == CLEAN


def test_a_policy_needs_more_than_half_of_those_who_found_a_violation():
    # spam: 3 of 3; scam: 1 of 3
    assert consensus([SPAM, BOTH, SPAM]) == SPAM
    # spam: 2 of 2 who found something; the clean one has no say in it
    assert consensus([SPAM, SPAM, CLEAN]) == SPAM


def test_a_violation_on_whose_policy_nobody_agrees_is_a_disagreement():
    assert consensus([SPAM, SCAM]) is None


def test_a_violation_that_nobody_names_is_still_one():
    assert consensus([UNNAMED, UNNAMED]) == UNNAMED


def test_nobody_agrees_about_nothing():
    assert consensus([]) is None


answers = st.lists(st.sampled_from([CLEAN, SPAM, SCAM, BOTH, UNNAMED]), min_size=1, max_size=7)


@given(answers)
def test_the_order_of_answers_does_not_matter(given_answers):
    assert consensus(given_answers) == consensus(given_answers[::-1])


@given(answers)
def test_what_all_say_is_what_comes_of_it(given_answers):
    first = given_answers[0]
    assert consensus([first] * len(given_answers)) == first


@given(answers)
def test_a_consensus_has_more_than_half_behind_its_verdict(given_answers):
    settled = consensus(given_answers)
    if settled is not None:
        n = sum(answer.verdict == settled.verdict for answer in given_answers)
        assert n > len(given_answers) / 2
