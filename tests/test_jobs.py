"""Finding jobs of a queue by filters: what fits, in order, page by page, in bounded time."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from reviews import claims, jobs
from reviews.jobs import Filter
from reviews.models import Cluster, ClusterMember, Job, Lane

from .factories import make_account, make_item, make_job, make_kind, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    return make_queue(members=[make_person("rosa"), make_person("lena")])


def add(queue, *, rank=0.0, lane=Lane.RISK, job=None, **item):
    return make_job(
        queue=queue,
        lane=lane,
        rank=rank,
        item=make_item(platform=queue.platform, **item),
        **(job or {}),
    )


def found(queue, limit=50, **wanted):
    return jobs.find(queue, Filter(**wanted), limit=limit).job_ids


def test_jobs_come_in_serving_order_whatever_their_lane(queue):
    low, high, middle = (
        add(queue, rank=1),
        add(queue, rank=9, lane=Lane.SECOND),
        add(queue, rank=5, job={"assigned_to": make_person("rosa")}),
    )
    assert found(queue) == [high.pk, middle.pk, low.pk]


def test_pages_follow_each_other_without_gap_or_repeat(queue):
    for number in range(23):
        add(queue, rank=number // 3)  # ties are told apart by id
    for order in ("rank", "age"):
        wanted, pages, after = Filter(order=order), [], None
        while True:
            page = jobs.find(queue, wanted, limit=5, after=after)
            pages += page.job_ids
            after = page.next
            if after is None:
                break
        assert pages == found(queue, order=order)
        assert len(set(pages)) == 23


def test_the_longest_waiting_comes_first_by_age(queue):
    now = timezone.now()
    old = add(queue, rank=1, job={"created_at": now - timedelta(hours=5)})
    new = add(queue, rank=9)
    assert found(queue, order="age") == [old.pk, new.pk]
    for order in ("rank", "age"):
        assert found(queue, order=order, waiting_minutes=60) == [old.pk]


def test_a_score_band_is_of_one_policy_or_of_the_highest(queue):
    one = add(queue, risks={"spam": 0.7, "hate": 0.2}, risk=0.7)
    other = add(queue, risks={"spam": 0.1}, risk=0.1)
    unscored = add(queue)
    assert found(queue, policy="spam", least=0.5, most=0.8) == [one.pk]
    assert found(queue, policy="hate") == [one.pk]
    assert found(queue, most=0.5) == [other.pk]
    assert set(found(queue)) == {one.pk, other.pk, unscored.pk}


def test_each_filter_finds_its_own(queue):
    now = timezone.now()
    account = make_account(platform=queue.platform)
    rosa = make_person("rosa")
    portuguese = add(queue, language="pt-BR")
    kind = make_kind(platform=queue.platform)
    of_kind = add(queue, kind=kind)
    by_author = add(queue, account=account)
    late = add(queue, job={"due_at": now - timedelta(minutes=1)})
    kept = add(queue, job={"assigned_to": rosa})
    second = add(queue, lane=Lane.SECOND)
    early = add(queue, submitted_at=now - timedelta(days=3))
    assert found(queue, language="pt") == [portuguese.pk]
    assert found(queue, language="PT-br") == [portuguese.pk]
    assert found(queue, kind=kind.pk) == [of_kind.pk]
    assert found(queue, account=account.pk) == [by_author.pk]
    assert found(queue, overdue=True) == [late.pk]
    assert found(queue, state="assigned") == [kept.pk]
    assert found(queue, state="assigned", assigned_to=rosa.pk) == [kept.pk]
    assert found(queue, state="assigned", assigned_to=make_person("lena").pk) == []
    assert kept.pk not in found(queue, state="free")
    assert found(queue, lane="second") == [second.pk]
    assert found(queue, until=now - timedelta(days=2)) == [early.pk]
    assert early.pk not in found(queue, since=now - timedelta(days=2))


def test_a_cluster_s_jobs_are_found(queue, make_anchor):
    one, other = add(queue), add(queue)
    cluster = Cluster.objects.create(platform=queue.platform, anchor=make_anchor(one.item))
    version = one.item.current_version
    ClusterMember.objects.create(
        cluster=cluster, item=one.item, item_version=version, how="exact", similarity=1
    )
    assert found(queue, cluster=cluster.pk) == [one.pk]
    assert other.pk not in found(queue, cluster=cluster.pk)


def test_what_is_claimed_is_a_state_of_its_own(queue):
    add(queue)
    job = claims.claim_next(queue, by=make_person("rosa"))
    assert found(queue) == []
    assert found(queue, state="claimed") == [job.pk]


def test_nothing_of_another_queue_or_of_the_past_is_found(queue):
    add(make_queue(platform=queue.platform))
    add(queue, job={"state": Job.State.CANCELLED})
    assert found(queue) == []


def test_a_search_stops_where_it_has_looked_at_enough_and_can_go_on(queue):
    for number in range(400):
        add(queue, rank=-number)
    last = add(queue, rank=-1000, language="fi")
    page = jobs.find(queue, Filter(language="fi"), limit=10, most_looked_at=250)
    assert page.job_ids == [] and page.is_cut
    rest = jobs.find(queue, Filter(language="fi"), limit=10, after=page.next)
    assert rest.job_ids == [last.pk] and rest.next is None


def test_a_count_says_where_it_stops(queue):
    for _ in range(5):
        add(queue)
    assert jobs.count(queue, Filter(), most=10) == (5, False)
    assert jobs.count(queue, Filter(), most=3) == (3, True)


def test_jobs_that_came_after_she_looked_are_left_out(queue):
    first = add(queue)
    newest = jobs.newest_id()
    add(queue)
    for order in ("rank", "age"):
        page = jobs.find(queue, Filter(order=order), limit=9, newest_id=newest)
        assert page.job_ids == [first.pk]


def test_no_page_sorts_the_queue():
    """Each walk goes by its index, so that a million jobs cost as much as fifty."""
    queue = make_queue()
    for number in range(100):
        add(queue, rank=-number)
    with connection.cursor() as cursor:
        # Of a table that was found empty the planner has no idea which index is the better one.
        cursor.execute("ANALYZE reviews_job")
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        for order, index in (("rank", "job_in_serving_order"), ("age", "job_by_age")):
            sql, values = jobs._statement(queue, Filter(order=order), None)
            cursor.execute(f"EXPLAIN {sql}", {**values, "piece": 250, "limit": 51})
            plan = "\n".join(row for (row,) in cursor.fetchall())
            assert index in plan, plan
