from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation
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


# Reports


def test_a_new_reporter_stands_where_the_prior_is_and_moves_to_her_own_share():
    assert ranking.trust(0, 0, prior=0.3) == pytest.approx(0.3)
    # (18 + 0.4 × 8) ÷ (21 + 8) = 21.2 ÷ 29
    assert ranking.trust(18, 21, prior=0.4) == pytest.approx(21.2 / 29)
    assert ranking.trust(9_000, 10_000, prior=0.1) == pytest.approx(0.9, abs=0.001)


def test_trust_is_the_mean_of_the_posterior_that_scipy_knows():
    from scipy import stats

    prior, strength = 0.35, ranking.RECORD_STRENGTH
    posterior = stats.beta(prior * strength + 7, (1 - prior) * strength + 4)
    assert ranking.trust(7, 11, prior=prior) == pytest.approx(posterior.mean())


def test_the_interval_is_wilsons():
    from scipy import stats

    exact = stats.binomtest(18, 21).proportion_ci(method="wilson")
    assert ranking.interval(18, 21) == pytest.approx((exact.low, exact.high), abs=1e-4)
    assert ranking.interval(0, 0) == (0, 1)


def test_a_young_platform_takes_its_users_for_what_users_usually_are():
    assert ranking.base_rate(0, 0) == pytest.approx(ranking.USER_TRUST)
    # (60 + 0.3 × 20) ÷ (100 + 20) = 66 ÷ 120
    assert ranking.base_rate(60, 100) == pytest.approx(0.55)


def test_reports_are_worth_the_chance_that_one_of_them_is_right():
    # 1 − 0.5 × 0.8 = 0.6
    assert ranking.report_trust([0.5, 0.2]) == pytest.approx(0.6)
    assert ranking.report_trust([]) == 0


def test_a_crowd_is_heard_by_its_five_most_trusted():
    # 1 − 0.7⁵ = 0.83193
    assert ranking.report_trust([0.3] * 5) == pytest.approx(0.83193)
    assert ranking.report_trust([0.3] * 5000) == pytest.approx(0.83193)
    assert ranking.report_trust([0.1] * 99 + [0.9]) == pytest.approx(1 - 0.1 * 0.9**4)


def test_reports_raise_the_probability_by_noisy_or():
    # 1 − (1 − 0.2)(1 − 0.5)^1 = 0.6; with half the weight 1 − 0.8 × 0.7071 = 0.4343
    assert ranking.with_reports(0.2, 0.5, weight=1) == pytest.approx(0.6)
    assert ranking.with_reports(0.2, 0.5, weight=0.5) == pytest.approx(1 - 0.8 * 0.5**0.5)


@given(probabilities, probabilities, st.floats(0, 1))
def test_reports_never_lower_a_probability_nor_make_it_certain(p, trust, weight):
    raised = ranking.with_reports(p, trust, weight=weight)
    assert p <= raised
    assert raised < 1 or p == 1


@given(probabilities, st.floats(0, 1))
def test_a_queue_that_gives_reports_no_weight_ranks_by_the_model(p, trust):
    assert ranking.with_reports(p, trust, weight=0) == pytest.approx(p)


@given(probabilities, probabilities, probabilities, st.floats(0, 1), st.floats(0, 1))
def test_more_trust_weight_or_risk_never_ranks_lower(p, one, other, weight, more_weight):
    low, high = sorted([one, other])
    light, heavy = sorted([weight, more_weight])
    base = ranking.with_reports(p, low, weight=light)
    slack = 1e-12
    assert base <= ranking.with_reports(p, high, weight=light) + slack
    assert base <= ranking.with_reports(p, low, weight=heavy) + slack
    assert base <= ranking.with_reports(max(p, one), low, weight=light) + slack


def test_reports_tell_that_a_rule_is_broken_not_which():
    # The likeliest, 0.2, becomes 0.6: three times as likely. So does the other: 0.05 → 0.15.
    assert ranking.raised([0.2, 0.05], report_trust=0.5, report_weight=1) == pytest.approx(
        [0.6, 0.15]
    )
    harm = ranking.harm(
        [(1, 0.2), (20, 0.05)],
        views_per_hour=1,
        handling_minutes=1,
        report_trust=0.5,
        report_weight=1,
    )
    assert harm == pytest.approx(3)


@given(
    st.lists(st.tuples(st.floats(0.01, 100), probabilities), min_size=1),
    st.floats(0, 0.999),
    st.floats(0, 1),
)
def test_reports_never_lower_a_harm(pairs, trust, weight):
    alone = ranking.harm(pairs, views_per_hour=9, handling_minutes=2)
    reported = ranking.harm(
        pairs, views_per_hour=9, handling_minutes=2, report_trust=trust, report_weight=weight
    )
    assert alone <= reported * (1 + 1e-9)


def test_a_rank_can_be_taken_apart():
    account = ranking.account(
        [("spam", 4.0, 0.2), ("phishing", 20.0, 0.05)],
        views_per_hour=32,
        handling_minutes=0.5,
        report_trust=0.5,
        report_weight=1,
        submitted_at=MORNING,
        doubling_hours=2,
        lift=ranking.SOON_LIFT,
    )
    first, second = account.parts
    assert (first.policy, first.product) == ("phishing", pytest.approx(3))  # 20 × 0.15
    assert (second.policy, second.product) == ("spam", pytest.approx(2.4))  # 4 × 0.6
    assert account.harm == pytest.approx(192)  # 3 × 32 ÷ 0.5
    assert account.from_harm == pytest.approx(15.17, abs=0.01)  # log2(192) × 2
    assert account.rank == pytest.approx(account.from_harm + account.waiting + account.lift)
    assert account.rank == ranking.rank(
        account.harm, submitted_at=MORNING, doubling_hours=2, is_soon=True
    )


# Due times


def test_a_job_is_due_at_the_earliest_promise():
    promised = {"law_enforcement": 60, "trusted_flagger": 120}
    reports = {
        "law_enforcement": MORNING + timedelta(minutes=90),  # 9:30 + 1 h = 10:30
        "trusted_flagger": MORNING + timedelta(minutes=20),  # 8:20 + 2 h = 10:20
        "user": MORNING,
    }
    due_at = ranking.due_at(MORNING, sla_minutes=240, first_reports=reports, sla_by_source=promised)
    assert due_at == MORNING + timedelta(minutes=140)


@given(st.integers(0, 600), st.integers(1, 600))
def test_a_later_report_makes_a_job_due_earlier_never_later(minutes, promised):
    due_at = MORNING + timedelta(hours=4)
    at = {"law_enforcement": MORNING + timedelta(minutes=minutes)}
    after = ranking.pulled_forward(
        due_at, first_reports=at, sla_by_source={"law_enforcement": promised}
    )
    assert after == min(due_at, MORNING + timedelta(minutes=minutes + promised))
    assert ranking.pulled_forward(due_at, first_reports=at, sla_by_source={"user": 1}) == due_at


def test_a_job_is_lifted_when_it_is_due_soon_and_again_when_it_is_late():
    due_at = MORNING + timedelta(minutes=60)

    def lift(minutes):
        return ranking.lift(due_at, now=MORNING + timedelta(minutes=minutes), soon_minutes=20)

    assert lift(39) == ranking.Lift(False, False, MORNING + timedelta(minutes=40))
    assert lift(40) == ranking.Lift(True, False, due_at)
    assert lift(60) == ranking.Lift(False, True, None)


def test_a_queue_without_a_soon_time_lifts_what_is_late_only():
    due_at = MORNING + timedelta(minutes=60)
    assert ranking.lift(due_at, now=MORNING, soon_minutes=0) == ranking.Lift(False, False, due_at)


@given(harms, harms, st.floats(0.1, 48), st.floats(0.1, 48))
def test_late_goes_before_soon_and_soon_before_all_else(one, other, hours, other_hours):
    def rank(harm, hours, days_old, **lifts):
        at = MORNING - timedelta(days=days_old)
        return ranking.rank(harm, submitted_at=at, doubling_hours=hours, **lifts)

    late = rank(one, hours, 0, is_overdue=True)
    soon = rank(other, other_hours, 365, is_soon=True)
    assert late > soon
    assert rank(one, hours, 0, is_soon=True) > rank(other, other_hours, 365)


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


def test_the_reasons_tell_how_often_it_was_seen_where_the_platform_says_it():
    assert say(views_so_far=30_400) == (
        "High: likely harassment, 4 reports, 1.2k views/h, 30.4k views so far, due in 20 min"
    )
    assert "1 view so far" in say(views_so_far=1)
    assert "so far" not in say(views_so_far=0)


def test_the_reasons_are_in_the_readers_language():
    with translation.override("de"):
        assert say(policy="Belästigung", reporter_trust=0.9, minutes_left=-3 * 1440) == (
            "Hoch: wahrscheinlich Belästigung, 4 Meldungen, eine aus verlässlicher Quelle, "
            "1,2k Aufrufe/h, überfällig seit 3 Tagen"
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


@pytest.mark.parametrize(
    ("upheld", "settled", "words"),
    [
        (0, 0, "no report settled yet"),
        (2, 2, "right so far (2 of 2)"),
        (1, 3, "new (1 of 3)"),
        (18, 21, "usually right (18 of 21)"),
        (2, 14, "seldom right (2 of 14)"),
        (5, 9, "right at times (5 of 9)"),
    ],
)
def test_a_record_has_words(upheld, settled, words):
    assert ranking.record(upheld, settled) == words


def test_a_reliable_reporter_is_told_in_words_and_her_number_to_leads():
    assert "4 reports, one by a reliable reporter, " in say(reporter_trust=0.8)
    assert "1 report by a reliable reporter, " in say(report_count=1, reporter_trust=0.8)
    assert "reliable" not in say(reporter_trust=0.5)
    assert "4 reports (trust 0.80), " in say(reporter_trust=0.8, numbers=True)


@pytest.mark.parametrize("lane", ["random", "learning", "gold", "qa"])
def test_what_is_judged_blind_does_not_tell_its_risk(lane):
    said = say(lane=lane, numbers=True)
    assert said.startswith("Drawn") and "0.92" not in said and "likely" not in said


def test_gold_looks_like_any_other_check():
    assert say(lane="gold") == say(lane="qa")
