"""Limits for the sake of who looks: budgets, opt-outs, rotation, as the dispatcher keeps them."""

import random
import threading
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviews import batches, claims, comfort, decisions, shortages, wellness
from reviews.errors import ClaimLost, Conflict
from reviews.models import (
    AuditEntry,
    Exposure,
    Job,
    Limits,
    Person,
    Review,
    Severity,
    Wellbeing,
)

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


class Place:
    """A platform with a severe policy of a harm and a mild one of none, and queues over them."""

    def __init__(self, **limits):
        self.platform = make_platform()
        self.gore = make_policy(platform=self.platform, slug="gore", name="Gore", harm="Violence")
        self.gore.versions.update(severity=Severity.HIGH)
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam")
        self.rosa = make_person("rosa", platform=self.platform)
        kw = {"platform": self.platform, "members": [self.rosa]}
        self.severe = make_queue(policies=[self.gore], **kw)
        self.mixed = make_queue(policies=[self.gore, self.spam], **kw)
        if limits:
            Limits.objects.create(platform=self.platform, **limits)
        wellness.forget()

    def job(self, queue=None, *, gore=None, spam=None, **kw):
        risks = {"gore": gore, "spam": spam}
        item = make_item(
            platform=self.platform, risks={name: risk for name, risk in risks.items() if risk}
        )
        return make_job(queue=queue or self.mixed, item=item, **kw)

    def claim(self, queue=None, **kw):
        return claims.claim_next(queue or self.mixed, by=self.her(), **kw)

    def her(self):
        """As the next request finds her."""
        return Person.objects.get(pk=self.rosa.pk)

    def answer(self, job, *, seconds, verdict="clean", **kw):
        _held_for(job, 3600)
        return decisions.record_review(
            job.pk,
            job.claim_token,
            by=self.her(),
            verdict=verdict,
            revealed_seconds=seconds,
            item_version_id=job.item.current_version.pk,
            **kw,
        )

    def opt_out(self, *harms):
        person = self.her()
        comfort.save_opt_outs(person, by=person, harms=harms)


def _held_for(job, seconds):
    """She has held it so long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE reviews_job SET claimed_at = clock_timestamp() - make_interval(secs => %s) "
            "WHERE id = %s",
            [seconds, job.pk],
        )


def open_again():
    """A shift goes by."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE reviews_exposure SET at = at - interval '11 hours'")


# What is counted


def test_what_stood_open_is_counted_by_harm_and_severity():
    place = Place()
    place.job(gore=0.9)
    place.answer(place.claim(), seconds=12)
    row = Exposure.objects.get()
    assert (row.person, row.queue, row.harm) == (place.rosa, place.mixed, "violence")
    assert (row.seconds, row.weight) == (12, 1.0)


def test_a_critical_policy_counts_twice_and_a_mild_one_without_a_harm_not_at_all():
    place = Place()
    place.gore.versions.update(severity=Severity.CRITICAL)
    place.job(gore=0.9, spam=0.9)
    place.answer(place.claim(), seconds=5)
    assert list(Exposure.objects.values_list("harm", "weight")) == [("violence", 2.0)]


def test_a_severe_policy_without_a_word_counts_under_its_own_name():
    place = Place()
    place.gore.harm = ""
    place.gore.save()
    wellness.forget()
    place.job(gore=0.9)
    place.answer(place.claim(), seconds=5)
    assert Exposure.objects.get().harm == "gore"


def test_what_she_found_counts_even_where_no_score_said_so():
    place = Place()
    place.job(gore=0.01)
    place.answer(place.claim(), seconds=5, verdict="violating", policy_slugs=["gore"])
    assert Exposure.objects.get().harm == "violence"


def test_what_is_unlikely_and_clean_counts_nothing():
    place = Place()
    place.job(gore=0.1)
    place.answer(place.claim(), seconds=50)
    assert not Exposure.objects.exists()


def test_what_nobody_scored_counts_only_where_every_policy_does_harm():
    place = Place()
    for queue in (place.mixed, place.severe):
        place.job(queue)
        place.answer(place.claim(queue), seconds=5)
    assert list(Exposure.objects.values_list("queue", flat=True)) == [place.severe.pk]


def test_nobody_looked_longer_than_she_held_it():
    place = Place()
    place.job(gore=0.9)
    job = place.claim()
    _held_for(job, 30)
    decisions.record_review(
        job.pk,
        job.claim_token,
        by=place.her(),
        verdict="clean",
        revealed_seconds=9000,
        item_version_id=job.item.current_version.pk,
    )
    assert 30 <= Exposure.objects.get().seconds < 40


@pytest.mark.parametrize("told", [-5, float("nan"), float("-inf"), 0])
def test_nonsense_from_the_page_counts_nothing(told):
    place = Place()
    place.job(gore=0.9)
    place.answer(place.claim(), seconds=told)
    assert not Exposure.objects.exists()


def test_without_the_script_her_active_time_counts():
    place = Place()
    place.job(gore=0.9)
    job = place.claim()
    _held_for(job, 60)
    decisions.record_review(
        job.pk,
        job.claim_token,
        by=place.her(),
        verdict="clean",
        active_seconds=20,
        item_version_id=job.item.current_version.pk,
    )
    assert Exposure.objects.get().seconds == 20


def test_heartbeats_and_the_answer_count_one_look_once():
    place = Place()
    place.job(gore=0.9)
    job = place.claim()
    _held_for(job, 600)
    for seconds in (10, 25, 25, 5):
        wellness.report_held(job.pk, job.claim_token, by=place.her(), seconds=seconds)
    assert Exposure.objects.get().seconds == 25
    place.answer(job, seconds=40)
    assert Exposure.objects.get().seconds == 40


def test_a_stranger_or_a_wrong_token_reports_nothing():
    place = Place()
    place.job(gore=0.9)
    job = place.claim()
    _held_for(job, 600)
    wellness.report_held(job.pk, job.claim_token, by=make_person("remy"), seconds=9)
    wellness.report_held(job.pk, uuid.uuid4(), by=place.her(), seconds=9)
    wellness.report_held(job.pk, "no token", by=place.her(), seconds=9)
    assert not Exposure.objects.exists()


def test_the_desk_reports_with_a_heartbeat_a_skip_and_an_answer():
    place = Place()
    client = Client()
    client.force_login(place.rosa)
    for name, form in (
        ("reviews:job-renew", {}),
        ("reviews:job-skip", {}),
        ("reviews:job-release", {}),
        ("reviews:job-decide", {"clean": "1"}),
    ):
        made = place.job(gore=0.9)
        job = place.claim()
        _held_for(job, 60)
        token = str(job.claim_token)
        form |= {"token": token, "item_version": job.item.current_version.pk}
        client.post(reverse(name, args=[job.pk]), {"revealed_seconds": "7.5", **form})
        assert Exposure.objects.get(token=token).seconds == 7.5, name
        Job.objects.filter(pk=made.pk).update(
            state="cancelled", claim_token=None, claimed_by=None, claim_slot=None, expires_at=None
        )


# Budgets


def test_a_spent_budget_closes_a_queue_of_that_harm_and_says_when_it_opens():
    place = Place(budgets={"violence": 1})
    for _ in range(2):
        place.job(place.severe)
    place.answer(place.claim(place.severe), seconds=60)
    assert place.claim(place.severe) is None
    guard = wellness.guard(place.her(), place.severe)
    assert (guard.is_open, guard.why) == (False, "budget")
    assert 9.9 < (guard.opens_at - claims.clock()).total_seconds() / 3600 <= 10
    assert shortages.why_nothing(place.severe, by=place.her()).is_withheld
    open_again()
    assert place.claim(place.severe) is not None


def test_elsewhere_only_what_carries_the_harm_is_kept_from_her():
    place = Place(budgets={"violence": 1})
    severe = place.job(gore=0.9, rank=9)
    mild = place.job(spam=0.9, gore=0.1, rank=1)
    unscored = place.job(rank=0)
    place.job(place.severe)
    place.answer(place.claim(place.severe), seconds=61)
    for expected in (mild, unscored):
        job = place.claim()
        assert job.pk == expected.pk
        place.answer(job, seconds=9)
    assert place.claim() is None
    assert severe.pk in Job.objects.ready().values_list("pk", flat=True)


def test_a_budget_of_one_harm_leaves_another_alone():
    place = Place(budgets={"something-else": 1})
    for _ in range(2):
        place.job(place.severe)
    place.answer(place.claim(place.severe), seconds=600)
    assert place.claim(place.severe) is not None


def test_what_she_holds_is_hers_to_finish():
    place = Place(budgets={"violence": 1})
    place.job(place.severe)
    job = place.claim(place.severe)
    _held_for(job, 600)
    wellness.report_held(job.pk, job.claim_token, by=place.her(), seconds=500)
    assert place.claim(place.severe).pk == job.pk
    place.answer(job, seconds=500)
    assert Review.objects.count() == 1


def test_a_job_prefetched_before_the_budget_was_spent_is_not_shown():
    place = Place(budgets={"violence": 1})
    place.job(gore=0.9, rank=5)
    place.job(gore=0.9, rank=4)
    mild = place.job(spam=0.9, gore=0.1, rank=1)
    first = place.claim()
    ahead = place.claim(prefetch=True)
    assert ahead.is_prefetched and ahead.pk != mild.pk
    place.answer(first, seconds=70)
    assert place.claim().pk == mild.pk
    assert Job.objects.get(pk=ahead.pk).state == "ready"


def test_what_is_on_her_screen_may_use_up_the_rest_so_no_more_of_it_is_fetched_ahead():
    place = Place(budgets={"violence": 3})
    for rank in (9, 8, 7):
        place.job(gore=0.9, rank=rank)
    mild = place.job(spam=0.9, gore=0.1, rank=1)
    place.answer(place.claim(), seconds=70)
    shown = place.claim()
    assert shown.rank == 8
    assert place.claim(prefetch=True).pk == mild.pk
    place.answer(shown, seconds=5)
    assert place.claim().pk == mild.pk


def test_beside_what_she_holds_in_another_window_the_rest_of_a_budget_is_not_spent_again():
    place = Place(budgets={"violence": 3})
    for queue in (place.severe, place.mixed):
        place.job(queue, gore=0.9, rank=8)
    mild = place.job(spam=0.9, gore=0.1, rank=1)
    place.answer(place.claim(place.mixed), seconds=70)
    place.job(gore=0.9, rank=9)
    first = place.claim(place.severe)
    assert place.claim().pk == mild.pk
    assert shortages.why_nothing(place.severe, by=place.her()).is_withheld
    place.answer(first, seconds=5)
    claims.release(mild.pk, str(Job.objects.get(pk=mild.pk).claim_token), by=place.her())
    assert place.claim().rank == 9


def test_a_page_of_many_takes_none_of_what_only_one_of_them_could_still_use_up():
    place = Place(budgets={"violence": 3})
    place.mixed.page_size = 9
    place.mixed.save()
    for _number in range(4):
        place.job(gore=0.9)
    mild = place.job(spam=0.9, gore=0.1)
    other = place.job(place.severe, gore=0.9)
    place.answer(place.claim(place.severe), seconds=70)
    assert other.pk and [
        job.pk for job in batches.claim_batch(place.mixed, by=place.her(), size=9)
    ] == [mild.pk]


@pytest.mark.django_db(transaction=True)
def test_two_windows_at_once_get_one_item_of_what_is_nearly_spent():
    place = Place(budgets={"violence": 3})
    second = make_queue(platform=place.platform, policies=[place.gore], members=[place.rosa])
    place.job(place.severe, gore=0.9)
    place.answer(place.claim(place.severe), seconds=70)
    for queue in (place.severe, second):
        place.job(queue, gore=0.9)
    got, start = [], threading.Barrier(2)

    def window(queue):
        try:
            start.wait()
            got.append(claims.claim_next(queue, by=place.her()))
        finally:
            connection.close()

    windows = [threading.Thread(target=window, args=[one]) for one in (place.severe, second)]
    for one in windows:
        one.start()
    for one in windows:
        one.join()
    assert sorted(job is None for job in got) == [False, True]


def test_a_dash_says_that_a_severe_policy_does_no_harm_to_count():
    place = Place(budgets={"gore": 1}, rotation=1)
    place.gore.harm = "-"
    place.gore.save()
    wellness.forget()
    place.job(place.severe)
    place.answer(place.claim(place.severe), seconds=300)
    assert not Exposure.objects.exists()
    assert wellness.care_of(place.severe).severe == []


def test_for_whom_nothing_is_limited_asking_costs_no_query(django_assert_num_queries):
    place = Place()
    her = place.her()
    wellness.guard(her, place.mixed)
    with django_assert_num_queries(0):
        assert wellness.guard(her, place.mixed) == wellness.Guard(True)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.sampled_from([0.9, 0.02]), st.integers(0, 70)), min_size=1, max_size=12),
    st.integers(1, 3),
)
def test_she_never_sees_more_than_the_budget_and_one_job(looks, minutes):
    place = Place(budgets={"violence": minutes})
    for gore, _ in looks:
        place.job(gore=gore, spam=0.5, rank=random.Random(1).random())
    seen = longest = 0.0
    for _, seconds in looks:
        job = place.claim()
        if job is None:
            break
        carries = job.item.risks["gore"] > 0.5
        assert not carries or seen < 60 * minutes
        place.answer(job, seconds=seconds)
        if carries:
            seen += seconds
            longest = max(longest, seconds)
    assert seen <= 60 * minutes + longest


# Opt-outs


def test_what_she_opted_out_of_never_comes_whatever_the_way():
    place = Place()
    place.opt_out("violence")
    severe = place.job(gore=0.9, rank=9)
    kept = place.job(gore=0.9, rank=8, assigned_to=place.rosa)
    for prefetch in (False, True):
        assert place.claim(prefetch=prefetch) is None
    for job in (severe, kept):
        assert claims.claim_job(job, by=place.her()) is None
    assert place.claim(place.severe) is None
    mild = place.job(spam=0.9)
    assert place.claim().pk == mild.pk


def test_an_opt_out_asks_no_reason_and_leaves_nothing_to_read():
    place = Place()
    place.opt_out("violence")
    assert AuditEntry.objects.get(verb="wellbeing.save").data == {}
    assert place.job(gore=0.9) and place.claim() is None
    place.opt_out()
    assert place.claim() is not None


def test_an_unknown_harm_is_refused():
    from reviews.errors import Invalid

    place = Place()
    with pytest.raises(Invalid):
        place.opt_out("thunder")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=15))
def test_no_order_of_jobs_brings_her_what_she_opted_out_of(jobs):
    place = Place()
    place.opt_out("violence")
    for number, (gore, is_kept) in enumerate(jobs):
        place.job(gore=gore, rank=number, assigned_to=place.rosa if is_kept else None)
    served = []
    while job := place.claim():
        served.append(job.item.risks.get("gore", 0.0))
        place.answer(job, seconds=1)
    assert sorted(served) == sorted(gore for gore, _ in jobs if gore < wellness.LIKELY)


# Rotation


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.booleans(), min_size=1, max_size=16), st.integers(1, 3), st.booleans())
def test_no_more_severe_jobs_in_a_row_than_the_rotation_while_a_calm_one_waits(
    severe, most, prefetches
):
    place = Place(rotation=most)
    for number, is_severe in enumerate(severe):
        place.job(gore=0.9 if is_severe else 0.02, spam=0.9, rank=number)
    run = 0
    while job := place.claim():
        calm_waits = any(
            one.item.risks["gore"] < 0.5 for one in Job.objects.ready().select_related("item")
        )
        is_severe = job.item.risks["gore"] > 0.5
        run = run + 1 if is_severe else 0
        assert run <= most or not calm_waits
        if prefetches:
            place.claim(prefetch=True)
        place.answer(job, seconds=1)
    assert Review.objects.filter(job__queue=place.mixed).count() == len(severe)


def test_a_calm_job_breaks_the_run_and_asking_again_counts_nothing_twice():
    place = Place(rotation=2)
    for rank in (9, 8):
        place.job(gore=0.9, rank=rank)
    place.job(gore=0.02, spam=0.9, rank=1)
    job = place.claim()
    assert place.claim().pk == job.pk
    assert Wellbeing.objects.get().severe_run == 1
    place.answer(job, seconds=1)
    place.answer(place.claim(), seconds=1)
    assert place.claim().rank == 1
    assert Wellbeing.objects.get().severe_run == 0


# The serving order, and many at once


def test_the_claim_walks_the_same_index_whether_limited_or_not():
    place = Place()
    for rank in range(300):
        place.job(gore=0.9 if rank % 2 else 0.02, spam=0.5, rank=rank)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_job, reviews_item")
        for shunned in ("{}", "{gore}"):
            cursor.execute(
                "EXPLAIN SELECT ready.id FROM reviews_job AS ready "
                "WHERE ready.queue_id = %(queue)s AND ready.lane = 'risk' "
                "AND ready.state = 'ready' AND ready.assigned_to_id IS NULL "
                + wellness.CARRIES
                + " ORDER BY ready.rank DESC, ready.id LIMIT 1 FOR UPDATE SKIP LOCKED",
                {"queue": place.mixed.pk, "shunned": shunned, "unscored": False},
            )
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index Scan using job_in_serving_order" in plan and "Sort" not in plan, plan


@pytest.mark.django_db(transaction=True)
def test_in_two_windows_at_once_nothing_comes_that_she_opted_out_of():
    place = Place()
    place.opt_out("violence")
    for number in range(20):
        place.job(gore=0.9 if number % 2 else 0.02, spam=0.9, rank=number)
    served, errors = [], []

    def window():
        try:
            for _ in range(6):
                try:
                    job = place.claim()
                    if job is None:
                        return
                    served.append(job.item.risks["gore"])
                    claims.skip(job.pk, job.claim_token, by=place.her())
                except (ClaimLost, Conflict):
                    continue
        except Exception as error:  # told below
            errors.append(error)
        finally:
            connection.close()

    windows = [threading.Thread(target=window) for _ in range(3)]
    for one in windows:
        one.start()
    for one in windows:
        one.join()
    assert not errors
    assert served and max(served) < wellness.LIKELY
