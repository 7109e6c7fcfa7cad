"""Figures of queues and people: right, and no dearer for all that was done before."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from reviews import metrics
from reviews.models import Job

from .factories import claimed_job, make_item, make_job, make_platform, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa():
    return make_person("rosa", platform=make_platform())


@pytest.fixture
def queue(rosa):
    return make_queue(platform=rosa.platforms.get(), members=[rosa])


def test_a_queue_counts_what_waits_what_is_late_and_what_is_held(queue, rosa):
    late = timezone.now() - timedelta(minutes=5)
    make_job(queue=queue, due_at=late)
    make_job(queue=queue, due_at=late, assigned_to=rosa)
    make_job(queue=queue)
    make_job(queue=queue, state=Job.State.DONE)
    make_job(queue=make_queue(platform=queue.platform))
    claimed_job(make_person("remy", platform=queue.platform), queue=queue, rank=9)
    (figures,) = metrics.queue_figures([queue])
    assert (figures.ready, figures.overdue, figures.claimed) == (3, 2, 1)


def test_what_is_kept_for_one_person_does_not_wait_for_whoever_comes(queue, rosa):
    make_job(queue=queue)
    make_job(queue=queue, assigned_to=rosa)
    assert metrics.waiting(queue) == 1


def test_waiting_is_counted_so_far_and_no_further(queue):
    for _ in range(4):
        make_job(queue=queue)
    assert metrics.waiting(queue, most=3) == 3


@pytest.mark.parametrize(
    "sql", [metrics._QUEUES, metrics._WAITING.sql], ids=["queue_figures", "waiting"]
)
def test_counting_what_waits_reads_no_job_that_is_done(queue, sql):
    item = make_item(platform=queue.platform)
    due = timezone.now()
    Job.objects.bulk_create(
        Job(queue=queue, item=item, state=Job.State.DONE, due_at=due) for _ in range(5000)
    )
    make_job(queue=queue)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_job")
        values = {"queues": [queue.pk], "queue": queue.pk, "most": 1000}
        cursor.execute(f"EXPLAIN {sql}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on reviews_job" not in plan, plan
