"""Jobs kept for one person: hers first, nobody else's, and only what she can take."""

import pytest

from reviews import assignments, claims, decisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Job

from .factories import claimed_job, make_item, make_job, make_queue
from .people import make_person
from .test_claims import run_out

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa():
    return make_person("rosa")


@pytest.fixture
def remy():
    return make_person("remy")


@pytest.fixture
def queue(rosa, remy):
    return make_queue(members=[rosa, remy], name="Scams")


@pytest.fixture
def lena(queue):
    return make_person("lena", platform=queue.platform)


def assign(*jobs, to, by):
    return assignments.assign([job.pk for job in jobs], to=to, by=by)


def test_an_assigned_job_is_hers_first_and_nobody_elses(queue, rosa, remy, lena):
    other = make_job(queue=queue, rank=100)
    job = make_job(queue=queue, rank=1)
    assert assign(job, to=rosa, by=lena) == 1
    assert claims.claim_next(queue, by=remy) == other
    assert claims.claim_next(queue, by=remy, prefetch=True) is None
    assert claims.claim_next(queue, by=rosa) == job


def test_her_assigned_jobs_come_in_their_order(queue, rosa, lena):
    later, sooner = make_job(queue=queue, rank=1), make_job(queue=queue, rank=2)
    assign(later, sooner, to=rosa, by=lena)
    assert claims.claim_next(queue, by=rosa) == sooner


def test_an_assigned_job_waits_in_its_own_queue_only(queue, rosa, lena):
    other = make_queue(platform=queue.platform, members=[rosa])
    assign(make_job(queue=queue), to=rosa, by=lena)
    assert claims.claim_next(other, by=rosa) is None


@pytest.mark.parametrize("ending", ["release", "expire"])
def test_given_back_or_run_out_it_is_still_hers(queue, rosa, remy, lena, ending):
    assign(make_job(queue=queue), to=rosa, by=lena)
    job = claims.claim_next(queue, by=rosa)
    if ending == "release":
        claims.release(job.pk, job.claim_token, by=rosa)
    else:
        run_out(job)
        claims.expire_claims()
    assert claims.claim_next(queue, by=remy) is None
    assert claims.claim_next(queue, by=rosa) == job


def test_skipped_it_is_everybodys_again_but_hers(queue, rosa, remy, lena):
    assign(make_job(queue=queue), to=rosa, by=lena)
    job = claims.claim_next(queue, by=rosa)
    claims.skip(job.pk, job.claim_token, by=rosa)
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=remy) == job


def test_freed_it_is_everybodys(queue, rosa, remy, lena):
    job = make_job(queue=queue)
    assign(job, to=rosa, by=lena)
    assert assign(job, to=None, by=lena) == 1
    assert claims.claim_next(queue, by=remy) == job


def test_an_assignment_is_one_audit_entry_with_its_count(queue, rosa, lena):
    jobs = [make_job(queue=queue) for _ in range(3)]
    assign(*jobs, to=rosa, by=lena)
    entry = AuditEntry.objects.get(verb="job.assign")
    assert (entry.actor, entry.platform_id) == (lena, queue.platform_id)
    assert entry.data == {
        "count": 3,
        "jobs": sorted(job.pk for job in jobs),
        "refused": 0,
        "to": "rosa",
    }


def test_assigning_again_changes_and_writes_nothing(queue, rosa, lena):
    job = make_job(queue=queue)
    assign(job, to=rosa, by=lena)
    assert assign(job, to=rosa, by=lena) == 0
    assert AuditEntry.objects.filter(verb="job.assign").count() == 1


def test_a_job_that_is_held_is_passed_over(queue, rosa, remy, lena):
    held = claimed_job(remy, queue=queue)
    waiting = make_job(queue=queue)
    assert assign(held, waiting, to=rosa, by=lena) == 1
    assert Job.objects.get(pk=held.pk).assigned_to is None


def test_jobs_that_wait_no_more_cannot_be_assigned(queue, rosa, remy, lena):
    with pytest.raises(Conflict, match="waits any more"):
        assign(claimed_job(remy, queue=queue), to=rosa, by=lena)


def test_who_does_not_work_the_queue_is_named(queue, lena):
    with pytest.raises(Invalid, match="lena does not work Scams") as refusal:
        assign(make_job(queue=queue), to=lena, by=lena)
    assert "to" in refusal.value.details
    assert not Job.objects.exclude(assigned_to=None).exists()


def never_hers(queue, rosa, lena):
    """Jobs of the queue that rosa cannot take, by why."""
    queue.members.add(lena)
    answered = claimed_job(rosa, queue=queue)
    decisions.record_review(answered.pk, answered.claim_token, by=rosa, verdict="unsure")
    skipped = claimed_job(rosa, queue=queue, rank=10)
    claims.skip(skipped.pk, skipped.claim_token, by=rosa)
    return {
        answered.item.jobs.get(state="ready").pk: "answered by her before",
        skipped.pk: "skipped by her before",
        make_job(queue=queue, lane="adjudication").pk: "for a lead to settle",
    }


def test_what_she_cannot_take_is_left_with_its_reason(queue, rosa, lena):
    reasons = never_hers(queue, rosa, lena)
    good = make_job(queue=queue)
    chosen = [good.pk, *reasons]
    assert assignments.unassignable(chosen, to=rosa, by=lena) == reasons
    assert assignments.assign(chosen, to=rosa, by=lena) == 1
    assert list(Job.objects.filter(assigned_to=rosa)) == [good]
    assert AuditEntry.objects.get(verb="job.assign").data["refused"] == 3


def test_where_she_can_take_none_nothing_is_assigned(queue, rosa, lena):
    reasons = never_hers(queue, rosa, lena)
    with pytest.raises(Invalid, match="rosa can take none of these: answered"):
        assignments.assign(list(reasons), to=rosa, by=lena)


@pytest.mark.parametrize("name", ["rosa", "paul", "abel", "ada"])
def test_only_a_lead_assigns(queue, rosa, name):
    job = make_job(queue=queue)
    with pytest.raises(Forbidden):
        assign(job, to=rosa, by=make_person(name, platform=queue.platform))


def test_jobs_of_another_platform_do_not_exist(queue, rosa, lena):
    elsewhere = make_queue(members=[rosa])
    with pytest.raises(NotFound):
        assign(make_job(queue=elsewhere), to=rosa, by=lena)
    lena.platforms.add(elsewhere.platform)
    lena = type(lena).objects.get(pk=lena.pk)
    with pytest.raises(Invalid, match="one platform at a time"):
        assign(make_job(queue=elsewhere), make_job(queue=queue), to=rosa, by=lena)


def test_what_is_kept_for_somebody_else_is_not_given_back_by_an_undo(queue, rosa, remy, lena):
    job = claimed_job(rosa, queue=queue)
    decision = decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    waiting = make_job(queue=queue, item=make_item(platform=queue.platform))
    Job.objects.filter(pk=waiting.pk).update(item=job.item, assigned_to=remy)
    back = decisions.undo(decision, by=rosa)
    assert (back, back.state) == (waiting, "ready")
