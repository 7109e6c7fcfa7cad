"""Reviewers who die at work, on real connections: the small version of bench/crash.py."""

import multiprocessing
import time

import pytest
from django.db import connections

from bench.reviewing import chaos
from reviews import tasks
from reviews.models import Decision, Job, Person, Review

from .factories import make_action, make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("slow_claims_keep_starts"),
]
JOBS = 300


@pytest.fixture
def queue():
    platform = make_platform()
    queue = make_queue(
        platform=platform,
        policies=[make_policy(platform=platform, slug="spam")],
        actions=[make_action(platform=platform, slug="remove")],
        lease_seconds=1,
    )
    for number in range(JOBS):
        make_job(queue=queue, item=make_item(platform=platform, external_id=f"item-{number}"))
    return queue


@pytest.fixture
def crowd(queue):
    group = make_person("rosa").groups.get()
    crowd = Person.objects.bulk_create(Person(username=f"reviewer-{n}") for n in range(200))
    for relation in (group.user_set, queue.members, queue.platform.members):
        relation.add(*crowd)
    return [person.username for person in crowd]


@pytest.fixture
def sweeper():
    """What beat and a worker do each second."""
    connections.close_all()
    process = multiprocessing.get_context("fork").Process(target=sweep)
    process.start()
    yield
    process.kill()
    process.join(30)


def sweep():
    while True:
        tasks.expire_claims()
        time.sleep(0.5)


def test_reviewers_killed_and_stopped_at_work_lose_nothing_and_decide_nothing_twice(
    queue, crowd, sweeper, tmp_path
):
    plan = chaos.Plan(processes=6, kills=6, stops=3, lease=1, most_seconds=120)
    outcome = chaos.run(queue.slug, crowd, plan, tmp_path)

    assert outcome[:6] == (0, 0, 0, 0, 0, 0), outcome
    assert outcome.kills > 3 and outcome.stops > 1
    assert Job.objects.filter(state=Job.State.DONE).count() == JOBS
    assert Decision.objects.count() == Review.objects.count() == JOBS
    # Somebody died with a job in her hands, and another one finished it.
    assert outcome.rescues
