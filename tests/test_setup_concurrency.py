"""Two people set up the same thing at the same moment, on real connections; and a real worker."""

from datetime import timedelta

import pytest
from django.utils import timezone

from reviews import people, queues, revisions
from reviews.errors import Conflict, DomainError
from reviews.models import Job, Person, Queue

from .conftest import wait_until
from .factories import make_item, make_job, make_platform, make_policy, make_queue, make_rules
from .people import make_person
from .test_claims_concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def platform():
    return make_platform()


def test_of_two_saves_at_once_from_the_same_revision_one_is_told_of_the_other(platform):
    lena, ada = (make_person(name, platform=platform) for name in ("lena", "ada"))
    queue = make_queue(platform=platform)
    queues.save_queue(queue, {**queues.read(queue), "name": "Start"}, by=None)

    def save(person, name):
        data = {**queues.read(queue), "name": name}
        return lambda: queues.save_queue(queue, data, by=person, seen=2)

    results = at_once(save(lena, "Hers"), save(ada, "Mine"))
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "Queue"]
    numbers = [row.number for row in revisions.history(queue)]
    assert numbers == [3, 2, 1]
    assert Queue.objects.get(pk=queue.pk).name == revisions.history(queue).first().data["name"]


def test_there_is_one_default_whoever_sets_it_at_once(platform):
    make_queue(platform=platform, is_default=True)
    others = [make_queue(platform=platform) for _ in range(4)]

    def make_default(queue):
        data = {**queues.read(queue), "is_default": True}
        return lambda: queues.save_queue(queue, data, by=None)

    results = at_once(*(make_default(queue) for queue in others))
    assert all(isinstance(one, Queue) for one in results), results
    assert platform.queues.filter(is_default=True).count() == 1


def test_two_admins_who_take_each_others_role_at_once_leave_one(platform):
    ada = make_person("ada", platform=platform)
    otto = make_person("otto", platform=platform)
    otto.groups.set(ada.groups.all())

    def demote(person, by):
        return lambda: people.save_person(
            Person.objects.get(pk=person.pk),
            platform,
            {"roles": []},
            by=Person.objects.get(pk=by.pk),
        )

    results = at_once(demote(ada, otto), demote(otto, ada))
    assert [isinstance(one, DomainError) for one in results].count(True) == 1, results
    assert platform.members.filter(groups__name="admin").count() == 1


def test_a_queue_is_archived_or_made_the_default_not_both(platform):
    make_queue(platform=platform, is_default=True)
    queue = make_queue(platform=platform)
    data = {**queues.read(queue), "is_default": True}
    results = at_once(
        lambda: queues.archive_queue(queue, by=None),
        lambda: queues.save_queue(queue, data, by=None),
    )
    assert [isinstance(one, Conflict) for one in results].count(True) == 1, results
    assert platform.queues.filter(is_default=True, is_archived=False).count() == 1


def test_a_worker_ranks_waiting_jobs_again_within_seconds(platform, worker):
    policy = make_policy(platform=platform, slug="spam")
    queue = make_queue(platform=platform, policies=[policy], is_default=True)
    archived = make_queue(platform=platform, policies=[policy])
    make_rules(platform, {"condition": "views_per_hour >= 0", "queue": queue.slug})
    now = timezone.now()
    old, viral = (
        make_item(
            platform=platform,
            submitted_at=now - timedelta(hours=hours),
            views_per_hour=views,
            risks={"spam": 0.5},
        )
        for hours, views in ((20, 1), (0, 1000))
    )
    for item in (old, viral):
        make_job(queue=archived, item=item, due_at=now + timedelta(days=1))
    queues.archive_queue(archived, by=None)
    wait_until(lambda: queue.jobs.count() == 2, message="jobs stay in an archived queue")

    def first():
        return Job.objects.in_serving_order().first().item_id

    # Ten doublings of views: worth 20 h of waiting at 2 h a doubling, and hardly one at 0.1 h.
    queues.save_queue(queue, {**queues.read(queue), "doubling_hours": 0.1}, by=None)
    wait_until(lambda: first() == old.pk, message="not ranked again")
    queues.save_queue(queue, {**queues.read(queue), "doubling_hours": 10}, by=None)
    wait_until(lambda: first() == viral.pk, message="not ranked again")
