"""Why she gets nothing: what is with others, or not for her, never looks like an empty queue."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import claims, decisions, shortages, wellness
from reviews.models import Job
from reviews.shortages import Shortage

from .factories import claimed_job, make_item, make_job, make_queue, move_to_lane
from .people import make_person
from .test_pages_all import World
from .test_review_page import decide

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


def why(queue, person, **kw):
    assert claims.claim_next(queue, by=person, **kw) is None
    return shortages.why_nothing(queue, by=person, **kw)


def test_an_empty_queue_is_empty(queue, rosa):
    make_job(queue=make_queue(platform=queue.platform))
    assert why(queue, rosa) == Shortage()
    assert why(queue, rosa).is_empty


def test_jobs_that_others_hold_are_not_an_empty_queue(queue, rosa, remy):
    claimed_job(remy, queue=queue)
    assert why(queue, rosa) == Shortage(held=1)
    assert not why(queue, rosa).is_empty


def test_what_she_answered_or_skipped_before_is_said(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure")
    skipped = claimed_job(rosa, queue=queue)
    claims.skip(skipped.pk, skipped.claim_token, by=rosa)
    assert why(queue, rosa) == Shortage(seen=2)


def test_a_decision_of_her_own_is_said(queue, remy):
    lena = make_person("lena", platform=queue.platform)
    queue.members.add(lena)
    job = claimed_job(remy, queue=queue)
    decision = decisions.record_review(job.pk, job.claim_token, by=remy, verdict="clean")
    spam = queue.policies.get().slug
    decisions.override(decision, by=lena, verdict="violating", policy_slugs=[spam], note="No.")
    make_job(queue=queue, item=job.item, lane="appeal")
    assert why(queue, lena) == Shortage(seen=1)


def test_what_is_kept_for_others_waits_for_a_lead_or_for_its_time_is_said(queue, rosa, remy):
    make_job(queue=queue, assigned_to=remy)
    for _ in range(2):
        make_job(queue=queue, lane="adjudication")
    make_job(queue=queue, run_after=timezone.now() + timedelta(hours=1))
    assert why(queue, rosa) == Shortage(assigned=1, for_lead=2, later=1)


def test_what_came_in_since_she_asked_is_said(queue, rosa):
    make_job(queue=queue)
    assert shortages.why_nothing(queue, by=rosa) == Shortage(fresh=1)


def test_a_queue_archived_a_moment_ago_says_so(queue, rosa):
    """As the desk still knows it."""
    type(queue).objects.filter(pk=queue.pk).update(is_archived=True)
    assert why(queue, rosa) == Shortage(is_archived=True)


def test_enough_for_now_says_so(queue, rosa, monkeypatch):
    monkeypatch.setattr(wellness, "guard", lambda person, queue, **kw: wellness.Guard(False))
    assert why(queue, rosa).is_withheld


def test_of_one_lane_only_that_lane_is_told(queue):
    lena = make_person("lena", platform=queue.platform)
    queue.members.add(lena)
    make_job(queue=queue)
    assert why(queue, lena, lane="adjudication") == Shortage()


def test_however_much_waits_so_much_is_looked_at_and_in_one_statement(queue, rosa, remy):
    kind = make_item(platform=queue.platform).kind
    items = [make_item(kind=kind) for _ in range(shortages.MOST + 5)]
    Job.objects.bulk_create(
        Job(queue=queue, item=item, lane="risk", due_at=timezone.now()) for item in items
    )
    move_to_lane("adjudication")
    rosa.roles  # noqa: B018
    with CaptureQueriesContext(connection) as captured:
        found = shortages.why_nothing(queue, by=rosa)
    assert found == Shortage(for_lead=shortages.MOST)
    assert len([query for query in captured if "EXECUTE shortage" in query["sql"]]) == 1


# On the desk


def make_world(jobs):
    """With so many jobs, and none drawn to learn from."""
    world = World(jobs=jobs)
    Job.objects.filter(pk=world.drawn.pk).update(state="cancelled")
    return world


def desk_text(world, name, query=""):
    url = reverse("reviews:review", args=[world.queue.slug])
    return world.client(name).get(url + query).content.decode()


def test_the_desk_says_that_others_are_at_it():
    world = make_world(1)
    claims.claim_next(world.queue, by=world.people["remy"])
    text = desk_text(world, "rosa")
    assert "Nothing for you in" in text
    assert "<b>1</b> is with somebody else right now" in text
    assert f"Nothing waits in {world.queue.name}" not in text


def test_the_desk_of_an_empty_queue_says_that_nothing_waits():
    world = make_world(0)
    assert "Nothing waits in" in desk_text(world, "rosa")


def test_the_desk_of_an_archived_queue_does_not_ask_her_to_look_again():
    world = make_world(1)
    world.queue.is_archived = True
    world.queue.save()
    text = desk_text(world, "rosa")
    assert "is archived" in text
    assert "Look again" not in text


def test_who_holds_a_job_of_an_archived_queue_finds_it_on_her_desk():
    world = make_world(1)
    held = claims.claim_next(world.queue, by=world.people["rosa"])
    world.queue.is_archived = True
    world.queue.save()
    url = reverse("reviews:review", args=[world.queue.slug])
    assert world.client("rosa").get(url).context["job"] == held


def test_a_lead_stays_in_the_lane_she_chose_until_it_is_empty():
    world = make_world(2)
    client = world.client("lena")
    item = world.queue.jobs.ready().first().item
    Job.objects.filter(item=item).update(state="cancelled")
    escalated = make_job(queue=world.queue, item=item, lane="adjudication")
    page = client.get(
        reverse("reviews:queue-detail", args=[world.queue.slug]), {"lane": "adjudication"}
    )
    url = reverse("reviews:review", args=[world.queue.slug]) + "?lane=adjudication"
    assert url in page.content.decode()
    page = client.get(url)
    assert page.context["job"] == escalated
    assert 'name="lane" value="adjudication"' in page.content.decode()
    answer = decide(client, page, clean="1")
    assert answer["Location"] == url
    text = client.get(url).content.decode()
    assert f"Nothing waits in {world.queue.name}: adjudication" in text
    assert "Work all lanes" in text


def test_a_reviewer_is_offered_no_lane_and_cannot_choose_one():
    world = make_world(1)
    client = world.client("rosa")
    url = reverse("reviews:review", args=[world.queue.slug])
    assert client.get(url, {"lane": "risk"}).status_code == 403
    assert client.get(url, {"lane": "nonsense"}).status_code == 403


def test_with_both_places_taken_the_page_leads_to_what_she_holds(queue, rosa, client):
    third = make_queue(platform=queue.platform, members=[rosa])
    other = make_queue(platform=queue.platform, members=[rosa])
    held = [claimed_job(rosa, queue=one) for one in (queue, other)]
    make_job(queue=third)
    client.force_login(rosa)
    page = client.get(reverse("reviews:review", args=[third.slug]))
    text = page.content.decode()
    assert page.status_code == 409
    for job in held:
        assert reverse("reviews:review", args=[job.queue.slug]) in text
        assert reverse("reviews:job-release", args=[job.pk]) in text
