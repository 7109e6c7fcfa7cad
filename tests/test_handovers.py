"""A job that nobody in its queue can take any more goes to a lead."""

import pytest
from django.test import Client
from django.urls import reverse

from reviews import assignments, claims, decisions, handovers
from reviews.models import AuditEntry, Job, StrandedJob

from .factories import claimed_job, make_item, make_job, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa():
    return make_person("rosa")


@pytest.fixture
def remy():
    return make_person("remy")


@pytest.fixture
def queue(rosa, remy):
    return make_queue(members=[rosa, remy])


def skip(job, person):
    held = claims.claim_next(job.queue, by=person)
    assert held == job
    claims.skip(held.pk, held.claim_token, by=person)
    job.refresh_from_db()


def test_a_job_that_every_member_has_skipped_goes_to_a_lead(queue, rosa, remy):
    lena = make_person("lena", platform=queue.platform)
    job = make_job(queue=queue, lane="random", inclusion_probability=0.1)
    skip(job, rosa)
    assert job.lane == "random"
    skip(job, remy)
    assert (job.state, job.lane, job.inclusion_probability) == ("ready", "adjudication", 0.1)
    queue.members.add(lena)
    assert claims.claim_next(queue, by=lena) == job
    entry = AuditEntry.objects.get(verb="job.hand_on")
    assert (entry.actor, entry.target_id) == (None, str(job.pk))


@pytest.mark.parametrize("how", ["leaves", "inactive", "other role", "other platform"])
def test_who_cannot_take_it_does_not_count(queue, rosa, remy, how):
    job = make_job(queue=queue)
    skip(job, rosa)
    if how == "leaves":
        queue.members.remove(remy)
    elif how == "inactive":
        remy.is_active = False
        remy.save()
    elif how == "other role":
        remy.groups.clear()
    else:
        queue.platform.members.remove(remy)
    assert handovers.sweep() == 1
    job.refresh_from_db()
    assert job.lane == "adjudication"
    assert handovers.sweep() == 0


def test_a_job_nobody_has_seen_stays_though_nobody_works_the_queue(queue):
    make_job(queue=queue)
    queue.members.clear()
    assert handovers.sweep() == 0


def test_somebody_who_can_take_it_keeps_it_where_it_is(queue, rosa):
    job = make_job(queue=queue)
    skip(job, rosa)
    assert handovers.sweep() == 0


@pytest.mark.parametrize("lane", ["gold", "appeal", "qa"])
def test_what_is_no_question_for_adjudication_stays_in_its_lane(queue, rosa, remy, lane):
    job = make_job(queue=queue, lane=lane)
    skip(job, rosa)
    skip(job, remy)
    assert job.lane == lane


def test_of_two_stranded_jobs_of_one_item_one_lead_is_asked(queue, rosa, remy):
    item = make_item(platform=queue.platform)
    first, second = (make_job(queue=queue, item=item, lane="second") for _ in range(2))
    decisions.record_review(*_held(queue, rosa), by=rosa, verdict="unsure")
    queue.members.remove(remy)
    handovers.sweep()
    first.refresh_from_db()
    second.refresh_from_db()
    states = sorted(Job.objects.filter(item=item).values_list("lane", "state"))
    assert states.count(("adjudication", "ready")) == 1
    assert not [state for lane, state in states if lane == "second" and state == "ready"]


def test_the_sweep_looks_at_the_heads_of_every_queue(queue, rosa, remy, monkeypatch):
    monkeypatch.setattr(handovers, "_HEAD", 2)
    jobs = [make_job(queue=queue, rank=rank) for rank in (5, 4, 3)]
    for job in jobs:
        skip(job, rosa)
    queue.members.remove(remy)
    assert handovers.sweep() == 2
    assert handovers.sweep() == 1
    assert Job.objects.filter(lane="adjudication").count() == 3


def test_what_is_kept_for_somebody_who_left_is_freed(queue, rosa, remy):
    lena = make_person("lena", platform=queue.platform)
    job = make_job(queue=queue)
    assignments.assign([job.pk], to=remy, by=lena)
    assert handovers.sweep() == 0
    queue.members.remove(remy)
    assert handovers.sweep() == 1
    assert claims.claim_next(queue, by=rosa) == job
    assert AuditEntry.objects.filter(verb="job.unassign", actor=None).count() == 1


def test_what_is_kept_for_somebody_who_has_answered_it_meanwhile_is_freed(queue, rosa, remy):
    item = make_item(platform=queue.platform)
    kept = make_job(queue=queue, item=item, lane="second")
    Job.objects.filter(pk=kept.pk).update(assigned_to=rosa)
    answered = claimed_job(remy, queue=queue)
    Job.objects.filter(pk=answered.pk).update(item=item)
    decisions.record_review(answered.pk, answered.claim_token, by=remy, verdict="clean")
    Job.objects.filter(pk=kept.pk).update(assigned_to=remy)
    assert handovers.sweep() == 1
    assert claims.claim_next(queue, by=rosa) == kept


def _held(queue, person):
    job = claims.claim_next(queue, by=person)
    return job.pk, job.claim_token


def told_of_stranded(person):
    return [
        (one.queue.slug, one.data["count"], one.data["is_handed_on"])
        for one in person.notifications.filter(sort="stranded").order_by("pk")
    ]


def test_the_leads_of_a_queue_are_told_of_what_is_handed_on(queue, rosa, remy):
    lena = make_person("lena", platform=queue.platform)
    queue.members.set([lena])
    job = make_job(queue=queue)
    held = claims.claim_job(job, by=lena)
    claims.skip(held.pk, held.claim_token, by=lena)
    assert told_of_stranded(lena) == [(queue.slug, 1, True)]
    assert told_of_stranded(rosa) == []


def test_every_lead_is_told_once_of_what_is_for_nobody(queue, rosa, remy):
    lena = make_person("lena", platform=queue.platform)
    queue.members.set([rosa])
    job = make_job(queue=queue)
    held = claims.claim_job(job, by=rosa)
    claims.skip(held.pk, held.claim_token, by=rosa)
    job.refresh_from_db()
    assert job.lane == "adjudication"
    handovers.sweep()  # no lead works the queue, so it is for nobody
    assert told_of_stranded(lena) == [(queue.slug, 1, False)]
    handovers.sweep()
    assert told_of_stranded(lena) == [(queue.slug, 1, False)]
    assert told_of_stranded(rosa) == []

    queue.members.add(lena)
    handovers.sweep()
    assert not StrandedJob.objects.exists()
    assert claims.claim_next(queue, by=lena) == job


def test_the_queue_page_says_what_waits_for_nobody_and_what_to_do(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    queue.members.set([rosa])
    job = make_job(queue=queue, item=make_item(platform=queue.platform, title="Is it satire?"))
    held = claims.claim_job(job, by=rosa)
    claims.skip(held.pk, held.claim_token, by=rosa)
    handovers.sweep()
    url = reverse("reviews:queue-detail", args=[queue.slug])
    client = Client()
    client.force_login(lena)
    page = client.get(url).content.decode()
    assert "Is it satire?" in page and "skipped by 1 person" in page
    assert f"?verb=move&amp;job={job.pk}" in page and f"?verb=cancel&amp;job={job.pk}" in page
    client.force_login(rosa)
    assert "skipped by" not in client.get(url).content.decode()


def test_a_queue_without_people_says_so_and_its_jobs_are_not_for_nobody(queue):
    lena = make_person("lena", platform=queue.platform)
    queue.members.clear()
    make_job(queue=queue)
    handovers.sweep()
    assert told_of_stranded(lena) == []
    client = Client()
    client.force_login(lena)
    page = client.get(reverse("reviews:queue-detail", args=[queue.slug])).content.decode()
    assert "Nobody works this queue." in page


def test_what_is_set_aside_is_not_for_nobody(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    queue.members.set([rosa])
    job = make_job(queue=queue, lane="adjudication", inclusion_probability=1.0)
    Job.objects.filter(pk=job.pk).update(run_after="2100-01-01T00:00Z")
    handovers.sweep()
    Job.objects.filter(pk=job.pk).update(run_after=None)
    handovers.sweep()
    assert told_of_stranded(lena) == [(queue.slug, 1, False)]
