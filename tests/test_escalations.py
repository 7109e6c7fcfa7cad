"""Escalating with a reason to a chosen queue, and skipping with one."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from reviews import claims, decisions, placement
from reviews.errors import Invalid, NotFound
from reviews.models import AuditEntry, Claim, Job, Queue, Review
from reviews.routing import Router
from tests.factories import claimed_job, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


class World:
    def __init__(self):
        self.platform = make_platform()
        spam = make_policy(platform=self.platform, slug="spam")
        self.queue = make_queue(platform=self.platform, slug="floor", policies=[spam])
        self.legal = make_queue(
            platform=self.platform, slug="legal", policies=[spam], takes_escalations=True
        )
        self.rosa, self.lena = (
            make_person(name, platform=self.platform) for name in ("rosa", "lena")
        )
        self.queue.members.add(self.rosa, self.lena)
        self.legal.members.add(self.lena)
        self.job = claimed_job(self.rosa, queue=self.queue, lane="random")

    def escalate(self, **kw):
        kw = {"note": "Names a court case.", **kw}
        return decisions.record_review(
            self.job.pk, self.job.claim_token, by=self.rosa, verdict="escalate", **kw
        )


@pytest.fixture
def world():
    return World()


def test_an_escalation_goes_to_the_leads_of_the_chosen_queue(world):
    assert world.escalate(escalate_to="legal") is None
    assert claims.claim_next(world.queue, by=world.lena) is None
    job = claims.claim_next(world.legal, by=world.lena)
    assert (job.lane, job.item_id) == ("adjudication", world.job.item_id)
    assert job.draw.follows_id == world.job.draw_id
    assert job.draw.queue_id == world.legal.pk
    entry = AuditEntry.objects.get(verb="review.record")
    assert entry.data["escalated_to"] == "legal"
    decision = decisions.record_review(job.pk, job.claim_token, by=world.lena, verdict="clean")
    assert decision.queue == world.legal


def test_who_has_to_settle_it_is_not_offered_to_pass_it_on(world):
    world.escalate()
    lena = Client()
    lena.force_login(world.lena)
    settling = lena.get(reverse("reviews:review", args=["floor"])).content.decode()
    assert 'data-key="p"' in settling
    assert 'data-key="a"' not in settling and 'data-key="e"' not in settling


def test_an_escalated_job_has_the_rank_and_the_time_of_its_new_queue_at_once(world):
    Queue.objects.filter(pk=world.legal.pk).update(
        sla_minutes=30, soon_minutes=60, doubling_hours=6.0
    )
    Job.objects.filter(pk=world.job.pk).update(raised=3.0)
    world.escalate(escalate_to="legal")
    asked = Job.objects.get(queue=world.legal)
    assert abs(asked.due_at - asked.created_at - timedelta(minutes=30)) < timedelta(seconds=1)
    assert asked.is_soon and asked.lift_at == asked.due_at
    fresh = (asked.rank, asked.harm, asked.due_at)
    with transaction.atomic():
        placement.rerank_jobs([asked.item_id], router=Router(world.platform))
    asked.refresh_from_db()
    assert (asked.rank, asked.harm, asked.due_at) == fresh


def test_without_a_choice_the_leads_of_the_same_queue_are_asked(world):
    world.escalate()
    assert claims.claim_next(world.queue, by=world.lena).lane == "adjudication"
    assert "escalated_to" not in AuditEntry.objects.get(verb="review.record").data


def test_an_escalation_says_why(world):
    with pytest.raises(Invalid, match="Say why") as refused:
        world.escalate(note="  ")
    assert "note" in refused.value.details
    assert not Review.objects.exists()
    assert Job.objects.get(pk=world.job.pk).state == "claimed"


@pytest.mark.parametrize("change", [{"takes_escalations": False}, {"is_archived": True}])
def test_only_queues_that_take_escalations_can_be_chosen(world, change):
    for name, value in change.items():
        setattr(world.legal, name, value)
    world.legal.save()
    with pytest.raises(NotFound):
        world.escalate(escalate_to="legal")
    assert not Review.objects.exists()


def test_a_queue_of_another_platform_does_not_exist_for_her(world):
    make_queue(platform=make_platform(), slug="theirs", takes_escalations=True)
    with pytest.raises(NotFound):
        world.escalate(escalate_to="theirs")


def test_a_skip_keeps_its_reason_with_the_claim(world):
    claims.skip(world.job.pk, world.job.claim_token, by=world.rosa, reason="I know the author")
    claim = Claim.objects.get()
    assert (claim.end, claim.reason) == ("skipped", "I know the author")
