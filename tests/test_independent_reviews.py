"""Queues that want several independent answers before an item is settled."""

import pytest

from reviews import claims, decisions
from reviews.errors import Invalid
from reviews.models import Decision, Job, Lane, Review

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    platform = make_platform()
    return make_queue(
        platform=platform,
        policies=[make_policy(platform=platform, slug=slug) for slug in ("spam", "scam")],
        actions=[make_action(platform=platform, slug="remove")],
        members=[make_person(name, platform=platform) for name in ("rosa", "remy", "lena")],
        reviews_wanted=2,
    )


@pytest.fixture
def rosa(queue):
    return make_person("rosa")


@pytest.fixture
def remy(queue):
    return make_person("remy")


@pytest.fixture
def lena(queue):
    return make_person("lena")


@pytest.fixture
def job(queue, rosa):
    item = make_item(platform=queue.platform, account=make_account(platform=queue.platform))
    return claimed_job(rosa, queue=queue, item=item)


def answer(job, by, *policies, **kw):
    verdict = kw.pop("verdict", "violating" if policies else "clean")
    return decisions.record_review(
        job.pk, job.claim_token, by=by, verdict=verdict, policy_slugs=policies, **kw
    )


def next_job(queue, by):
    return claims.claim_next(queue, by=by)


def test_the_first_of_two_answers_settles_nothing_and_asks_for_the_second(queue, job, rosa):
    assert answer(job, rosa, "spam") is None
    assert not Decision.objects.exists()
    second = Job.objects.ready().get()
    assert (second.lane, second.item) == (Lane.SECOND, job.item)


def test_the_same_person_is_not_asked_twice(queue, job, rosa):
    answer(job, rosa, "spam")
    assert next_job(queue, rosa) is None


def test_two_equal_answers_settle_the_item(queue, job, rosa, remy):
    answer(job, rosa, "spam")
    decision = answer(next_job(queue, remy), remy, "spam", action_slugs=["remove"])
    assert (decision.verdict, decision.decided_by) == ("violating", remy)
    assert [one.policy.slug for one in decision.policy_versions.all()] == ["spam"]
    assert [one.action.slug for one in decision.enforcements.all()] == ["remove"]
    assert not Job.objects.open().exists()


def test_two_different_answers_ask_a_lead(queue, job, rosa, remy, lena):
    answer(job, rosa, "spam")
    assert answer(next_job(queue, remy), remy) is None
    assert Job.objects.ready().get().lane == Lane.ADJUDICATION
    decision = answer(next_job(queue, lena), lena, "spam")
    assert (decision.verdict, decision.decided_by) == ("violating", lena)


def test_two_of_three_settle_in_the_name_of_one_who_said_so(queue, job, rosa, remy, lena):
    queue.reviews_wanted = 3
    queue.save()
    answer(job, rosa, "spam")
    assert Job.objects.ready().count() == 2
    answer(next_job(queue, remy), remy, "spam")
    decision = answer(next_job(queue, lena), lena)
    assert (decision.verdict, decision.decided_by) == ("violating", remy)
    assert decision.review.reviewer == remy
    assert [one.action.slug for one in decision.enforcements.all()] == ["remove"]
    assert Review.objects.count() == 3


def test_two_who_cannot_tell_ask_a_lead(queue, job, rosa, remy):
    answer(job, rosa, verdict="unsure")
    assert Job.objects.ready().get().lane == Lane.SECOND
    answer(next_job(queue, remy), remy, verdict="unsure")
    assert Job.objects.ready().get().lane == Lane.ADJUDICATION


def test_an_answer_that_is_taken_back_leaves_the_others_standing(queue, job, rosa, remy):
    answer(job, rosa, "spam")
    decision = answer(next_job(queue, remy), remy, "spam")
    again = decisions.undo(decision, by=remy)
    assert again.claimed_by == remy
    again.refresh_from_db()
    decision = answer(again, remy, "spam")
    assert decision.verdict == "violating"
    assert not Job.objects.open().exists()


def test_a_new_version_of_the_item_starts_the_count_anew(queue, job, rosa, remy):
    answer(job, rosa, "spam")
    second = next_job(queue, remy)
    item = job.item
    version = item.versions.create(number=2, content={"body": "edited"}, content_hash="2")
    item.version_number = 2
    item.save()
    assert answer(second, remy, "spam", item_version_id=version.pk) is None
    assert not Decision.objects.exists()


def test_an_override_calls_off_those_who_were_asked(queue, job, rosa, remy, lena):
    queue.reviews_wanted = 1
    queue.save()
    decision = answer(job, rosa, "spam")
    asked = make_job(queue=queue, item=job.item, lane=Lane.SECOND)
    decisions.override(decision, by=lena, verdict="clean", note="A newsletter.")
    asked.refresh_from_db()
    assert asked.state == "cancelled"


def test_an_answer_that_comes_after_the_item_is_settled_changes_nothing(
    queue, job, rosa, remy, lena
):
    queue.reviews_wanted = 3
    queue.save()
    answer(job, rosa, "spam")
    late = next_job(queue, remy)
    answer(next_job(queue, lena), lena, "spam")
    asked = make_job(queue=queue, item=job.item, lane=Lane.ADJUDICATION)
    standing = answer(claims.claim_job(asked, by=lena), lena)
    assert answer(late, remy, "spam") is None
    assert Decision.objects.current().get() == standing
    assert not Job.objects.ready().exists()


def test_a_violation_need_not_name_its_policy_where_the_queue_says_so(queue, job, rosa):
    queue.reviews_wanted = 1
    queue.save()
    with pytest.raises(Invalid):
        answer(job, rosa, verdict="violating")
    queue.policy_required = False
    queue.save()
    decision = answer(job, rosa, verdict="violating")
    assert decision.verdict == "violating"
    assert not decision.review.findings.exists()
