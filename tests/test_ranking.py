from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import ranking

MORNING = datetime(2026, 11, 23, 8, tzinfo=UTC)
probabilities = st.floats(0, 1)
harms = st.floats(1e-6, 1e9)


def test_harm_is_weight_times_probability_times_views_per_minute_of_work():
    # 8 × 0.5 × 300 views/h ÷ 2 min = 600
    assert ranking.harm([(8, 0.5)], views_per_hour=300, handling_minutes=2) == 600


def test_the_worst_policy_counts_not_the_sum():
    # max(1 × 0.9, 10 × 0.2) = 2
    assert ranking.harm([(1, 0.9), (10, 0.2)], views_per_hour=1, handling_minutes=1) == 2


def test_no_views_and_no_probability_still_rank_somewhere():
    # floors: 2 × 0.001 × 1 view/h ÷ 1 min
    assert ranking.harm([(2, 0.0)], views_per_hour=0, handling_minutes=1) == pytest.approx(0.002)
    assert ranking.harm([], views_per_hour=0, handling_minutes=1) > 0


def test_one_doubling_of_harm_weighs_as_much_as_the_hours_the_queue_says():
    early = ranking.rank(8, submitted_at=MORNING, doubling_hours=3)
    late = ranking.rank(16, submitted_at=MORNING + timedelta(hours=3), doubling_hours=3)
    assert early == pytest.approx(late)


def test_an_overdue_job_goes_before_any_other():
    mild_but_late = ranking.rank(0.001, submitted_at=MORNING, doubling_hours=24, is_overdue=True)
    worst = ranking.rank(
        1e12, submitted_at=MORNING - timedelta(days=365), doubling_hours=24, is_overdue=False
    )
    assert mild_but_late > worst


@given(harms, harms, st.floats(0.1, 100))
def test_more_harm_never_ranks_lower(one, other, hours):
    low, high = sorted([one, other])
    rank = {h: ranking.rank(h, submitted_at=MORNING, doubling_hours=hours) for h in (low, high)}
    assert rank[low] <= rank[high]


@given(harms, st.integers(0, 10_000), st.floats(0.1, 100))
def test_of_equal_harm_the_older_goes_first(harm, minutes, hours):
    older = ranking.rank(harm, submitted_at=MORNING, doubling_hours=hours)
    newer = ranking.rank(
        harm, submitted_at=MORNING + timedelta(minutes=minutes), doubling_hours=hours
    )
    assert older >= newer


@given(st.lists(st.tuples(st.floats(0.01, 100), probabilities)), st.floats(0, 1e7))
def test_harm_is_always_a_positive_number(pairs, views):
    harm = ranking.harm(pairs, views_per_hour=views, handling_minutes=1)
    assert 0 < harm < float("inf")


@pytest.mark.parametrize(
    ("probability", "word"),
    [(0, "Low"), (0.24, "Low"), (0.25, "Medium"), (0.6, "High"), (0.92, "High"), (1, "Critical")],
)
def test_risk_has_a_word(probability, word):
    assert ranking.risk_level(probability) == word


def say(**kw):
    return ranking.reasons(
        **{
            "risk": 0.92,
            "policy": "Harassment",
            "report_count": 4,
            "views_per_hour": 1234,
            "minutes_left": 20,
            **kw,
        }
    )


def test_the_reasons_are_one_readable_line():
    assert say(numbers=True) == (
        "High: likely harassment (0.92), 4 reports, 1.2k views/h, due in 20 min"
    )


def test_reviewers_get_words_not_numbers():
    assert "0.92" not in say()


def test_what_there_is_none_of_is_not_said():
    assert say(report_count=0, views_per_hour=0) == "High: likely harassment, due in 20 min"
    assert "1 report," in say(report_count=1)


def test_an_unscored_item_says_so():
    assert say(risk=None).startswith("Not scored yet, 4 reports")


def test_a_late_job_says_how_late():
    assert say(minutes_left=-180).endswith("overdue by 3 h")
    assert say(minutes_left=-3 * 1440).endswith("overdue by 3 days")


def test_a_random_job_does_not_tell_its_risk():
    assert say(lane="random", numbers=True).startswith("Drawn at random, 4 reports")


def test_an_escalated_job_says_where_it_comes_from():
    assert say(lane="adjudication").startswith("Escalated. High: likely harassment")
    assert say(lane="second").startswith("Second opinion. High")
