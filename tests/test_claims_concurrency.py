"""Many reviewers on real connections: nobody gets the same job, and nothing happens twice."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from reviews import assignments, claims, decisions, enforcement, erasure, lanes, shortages
from reviews.errors import ClaimLost, Conflict
from reviews.models import Claim, Decision, Enforcement, Job, Person, Review, Strike

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("slow_claims_keep_starts"),
]


def at_once(*calls) -> list:
    """Each call in its own thread and connection, started together. Results or exceptions."""
    results: list = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(index, call):
        try:
            barrier.wait(timeout=30)
            results[index] = call()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results


def make_crowd(queue, count):
    reviewer_group = make_person("rosa").groups.get()
    crowd = [Person.objects.create(username=f"reviewer-{n}") for n in range(count)]
    for person in crowd:
        person.groups.add(reviewer_group)
        queue.members.add(person)
        queue.platform.members.add(person)
    return crowd


@pytest.fixture
def queue():
    platform = make_platform()
    remove = make_action(platform=platform, slug="remove", is_strike=True)
    spam = make_policy(platform=platform, slug="spam")
    return make_queue(
        platform=platform, policies=[spam], actions=[remove], lane_shares={"random": 0.2}
    )


@pytest.fixture
def rosa(queue):
    person = make_person("rosa", platform=queue.platform)
    queue.members.add(person)
    return person


def test_sixteen_reviewers_empty_a_queue_and_nobody_gets_the_same_job(queue):
    kind = make_kind(platform=queue.platform)
    for n in range(200):
        make_job(queue=queue, item=make_item(kind=kind), lane="random" if n % 5 == 0 else "risk")
    crowd = make_crowd(queue, 16)

    def work(person):
        done = []
        while job := claims.claim_next(queue, by=person):
            decisions.record_review(job.pk, job.claim_token, by=person, verdict="clean")
            done.append(job.pk)
        return done

    results = at_once(*[lambda p=person: work(p) for person in crowd])
    errors = [result for result in results if isinstance(result, Exception)]
    assert errors == []
    assert max(Counter(pk for done in results for pk in done).values()) == 1
    assert Job.objects.filter(state="done").count() == 200
    assert Review.objects.count() == Decision.objects.count() == Claim.objects.count() == 200


def test_of_sixteen_reviewers_and_five_jobs_five_get_one_and_the_rest_are_told(queue):
    crowd = make_crowd(queue, 16)
    for _ in range(5):
        make_job(queue=queue, item=make_item(platform=queue.platform))
    results = at_once(*[lambda p=p: claims.claim_next(queue, by=p) for p in crowd])
    assert Counter(type(result).__name__ for result in results) == {"Job": 5, "NoneType": 11}
    assert len({job.pk for job in results if job}) == 5
    without = next(person for person, job in zip(crowd, results, strict=True) if job is None)
    assert shortages.why_nothing(queue, by=without) == shortages.Shortage(held=5)


def test_a_crowd_in_two_queues_keeps_the_shares_of_each(queue):
    other = make_queue(platform=queue.platform, lane_shares={"gold": 0.3, "learning": 0.1})
    queues = (queue, other)
    kind = make_kind(platform=queue.platform)
    for one in queues:
        for lane, share in lanes.effective_shares(one.lane_shares).items():
            # Adjudication is not for reviewers: those turns go to risk.
            for _ in range(round(200 * share) + (40 if lane == "risk" else 6)):
                make_job(queue=one, item=make_item(kind=kind), lane=lane)
    crowd = make_crowd(queue, 8)
    other.members.set(crowd)
    served = {queue: Counter(), other: Counter()}

    def work(person):
        for turn in range(50):
            one = queues[turn % 2]
            job = claims.claim_next(one, by=person)
            decisions.record_review(job.pk, job.claim_token, by=person, verdict="clean")
            served[one][job.lane] += 1

    results = at_once(*[lambda p=person: work(p) for person in crowd])
    assert results == [None] * 8
    for one in queues:
        shares = lanes.effective_shares(one.lane_shares)
        shares["risk"] += shares.pop("adjudication")
        assert served[one].total() == 200
        for lane, share in shares.items():
            assert abs(served[one][lane] - 200 * share) <= 4, lane


def test_a_job_assigned_while_a_crowd_claims_is_with_her_or_was_taken_before(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    crowd = make_crowd(queue, 6)
    kind = make_kind(platform=queue.platform)
    for _ in range(8):
        jobs = [make_job(queue=queue, item=make_item(kind=kind)) for _ in range(6)]
        ids = [job.pk for job in jobs]
        at_once(
            *[lambda p=p: claims.claim_next(queue, by=p) for p in crowd],
            lambda ids=ids: assignments.assign(ids, to=rosa, by=lena),
        )
        assert not Job.objects.filter(assigned_to=rosa, state="claimed").exists()
        Job.objects.filter(state="ready", assigned_to=None, pk__in=ids).update(state="cancelled")
        Job.objects.filter(state="ready").update(state="cancelled")
        for job in Job.objects.filter(state="claimed"):
            decisions.record_review(job.pk, job.claim_token, by=job.claimed_by, verdict="clean")


def test_a_prefetched_job_shown_as_it_runs_out_is_hers_or_gone(queue, rosa):
    for _ in range(15):
        make_job(queue=queue, item=make_item(platform=queue.platform))
        ahead = claims.claim_next(queue, by=rosa, prefetch=True)
        ends = timedelta(milliseconds=2)
        Job.objects.filter(pk=ahead.pk).update(expires_at=Now() + ends)
        shown, _ = at_once(
            lambda: claims.claim_next(queue, by=rosa),
            claims.expire_claims,
        )
        if isinstance(shown, Conflict):  # hers as she asked, and not when she was told
            shown = claims.claim_next(queue, by=rosa)
        elif shown is None:  # the sweep had it in its hand at that moment
            assert not shortages.why_nothing(queue, by=rosa).is_empty
            shown = claims.claim_next(queue, by=rosa)
        current = Job.objects.get(pk=shown.pk)
        assert (current.claim_token, current.is_prefetched) == (shown.claim_token, False)
        assert Job.objects.held_by(rosa).count() == 1
        decisions.record_review(shown.pk, shown.claim_token, by=rosa, verdict="clean")


def test_erasing_against_an_answer_has_one_winner(queue, rosa):
    for _ in range(10):
        job = claimed_job(rosa, queue=queue, item=make_item(platform=queue.platform))
        answer, erased = at_once(
            lambda job=job: decisions.record_review(
                job.pk, job.claim_token, by=rosa, verdict="clean"
            ),
            lambda job=job: erasure.erase_item(job.item, by=None, reason="asked"),
        )
        assert not isinstance(erased, Exception)
        job.refresh_from_db()
        ended = job.claims.get().end
        if isinstance(answer, Decision):
            assert (job.state, ended) == ("done", "finished")
        else:
            assert isinstance(answer, ClaimLost)
            assert (job.state, ended, job.reviews.count()) == ("cancelled", "cancelled", 0)


def test_two_windows_of_one_reviewer_show_one_job(queue, rosa):
    for _ in range(4):
        make_job(queue=queue)
    results = at_once(*[lambda: claims.claim_next(queue, by=rosa)] * 4)
    assert all(isinstance(job, Job) for job in results)
    assert Job.objects.held_by(rosa).count() <= Job.MAX_CLAIMS


def test_prefetches_at_once_take_one_job(queue, rosa):
    for _ in range(6):
        make_job(queue=queue)
    results = at_once(*[lambda: claims.claim_next(queue, by=rosa, prefetch=True)] * 6)
    jobs = [result for result in results if isinstance(result, Job)]
    assert len({job.pk for job in jobs}) == 1
    assert all(isinstance(result, Job | Conflict) for result in results)
    assert Job.objects.held_by(rosa).get().is_prefetched


def test_one_token_answered_twice_at_once_counts_once(queue, rosa):
    job = claimed_job(rosa, queue=queue)
    answer = lambda: decisions.record_review(  # noqa: E731
        job.pk, job.claim_token, by=rosa, verdict="violating", policy_slugs=["spam"]
    )
    results = at_once(*[answer] * 4)
    assert sum(isinstance(result, Decision) for result in results) == 1
    assert sum(isinstance(result, ClaimLost) for result in results) == 3
    assert Review.objects.count() == Decision.objects.count() == 1


def test_expiry_against_decision_has_one_winner(queue, rosa):
    for round_number in range(20):
        job = claimed_job(rosa, queue=queue, item=make_item(platform=queue.platform))
        ends = timedelta(milliseconds=round_number % 4)
        Job.objects.filter(pk=job.pk).update(expires_at=F("claimed_at") + ends)
        answer, swept = at_once(
            lambda job=job: decisions.record_review(
                job.pk, job.claim_token, by=rosa, verdict="clean"
            ),
            claims.expire_claims,
        )
        claims.expire_claims()
        job.refresh_from_db()
        end = job.claims.get().end
        if isinstance(answer, Decision):
            assert (job.state, end, job.reviews.count()) == ("done", "finished", 1)
        else:
            assert isinstance(answer, ClaimLost)
            assert (job.state, end, job.reviews.count()) == ("ready", "expired", 0)
            Job.objects.filter(pk=job.pk).update(state="cancelled")


def test_two_sweeps_at_once_free_each_claim_once(queue):
    for person in make_crowd(queue, 12):
        claimed_job(person, queue=queue, item=make_item(platform=queue.platform))
    # All at once: a claim frees those that have run out.
    Job.objects.filter(queue=queue).update(expires_at=F("claimed_at"))
    assert sum(at_once(claims.expire_claims, claims.expire_claims)) == 12
    assert Claim.objects.filter(end="expired").count() == 12


def test_two_overrides_at_once_leave_one_standing(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    job = claimed_job(rosa, queue=queue)
    decision = decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    override = lambda: decisions.override(  # noqa: E731
        decision, by=lena, verdict="violating", policy_slugs=["spam"], note="look closer"
    )
    results = at_once(override, override)
    assert sum(isinstance(result, Decision) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert Decision.objects.current().filter(item=job.item).count() == 1


def test_an_undo_against_an_override_leaves_one_standing(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    job = claimed_job(rosa, queue=queue)
    decision = decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    results = at_once(
        lambda: decisions.undo(decision, by=rosa),
        lambda: decisions.override(
            decision, by=lena, verdict="violating", policy_slugs=["spam"], note="look closer"
        ),
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert Decision.objects.current().filter(item=job.item).count() == 1


def test_two_sweeps_at_once_release_each_enforcement_once(queue, rosa):
    kind = make_kind(platform=queue.platform)
    queue.undo_seconds = 0
    queue.save()
    for _ in range(10):
        item = make_item(kind=kind, account=make_account(platform=queue.platform))
        job = claimed_job(rosa, queue=queue, item=item)
        decisions.record_review(
            job.pk, job.claim_token, by=rosa, verdict="violating", policy_slugs=["spam"]
        )
    released = at_once(enforcement.release_planned, enforcement.release_planned)
    assert sum(released) == 10
    assert Enforcement.objects.filter(state="due").count() == Strike.objects.count() == 10
