"""Many claims at once: the same rules as one, each a claim of its own."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from reviews import batches, claims, decisions
from reviews.errors import Forbidden, NotFound
from reviews.models import Claim, Job
from tests.factories import make_item, make_job, make_platform, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    return make_platform()


@pytest.fixture
def rosa(platform):
    return make_person("rosa", platform=platform)


@pytest.fixture
def queue(platform, rosa):
    remy = make_person("remy", platform=platform)
    return make_queue(platform=platform, members=[rosa, remy], page_size=24)


def fill(queue, count, **kw):
    return [make_job(queue=queue, rank=count - n, **kw) for n in range(count)]


def test_a_page_is_the_best_jobs_in_serving_order_each_with_a_token_of_its_own(queue, rosa):
    made = fill(queue, 30)
    page = batches.claim_batch(queue, by=rosa, size=24)
    assert [job.pk for job in page] == [job.pk for job in made[:24]]
    assert len({job.claim_token for job in page}) == 24
    assert [job.claim_slot for job in page] == list(Job.GRID_SLOTS)
    assert queue.jobs.ready().count() == 6


def test_a_page_is_filled_up_and_what_she_holds_keeps_its_place(queue, rosa):
    fill(queue, 6)
    page = batches.claim_batch(queue, by=rosa, size=4)
    claims.release(page[1].pk, page[1].claim_token, by=rosa)
    again = batches.claim_batch(queue, by=rosa, size=4)
    assert [job.pk for job in again if job.pk in {page[0].pk, page[2].pk, page[3].pk}] == [
        page[0].pk,
        page[2].pk,
        page[3].pk,
    ]
    assert again[1].pk == page[1].pk, "the best one there is, which anyone may have again"
    assert [job.claim_token for job in again if job.pk == page[0].pk] == [page[0].claim_token]


def test_a_page_takes_none_of_the_two_places_for_single_jobs(queue, rosa, platform):
    fill(queue, 5)
    batches.claim_batch(queue, by=rosa, size=4)
    other = make_queue(platform=platform, members=[rosa])
    single = make_job(queue=other)
    assert claims.claim_next(other, by=rosa).pk == single.pk


def test_she_is_never_given_what_she_answered_skipped_or_holds_elsewhere(queue, rosa, platform):
    answered, skipped, fresh = fill(queue, 3)
    job = claims.claim_next(queue, by=rosa)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    again = make_job(queue=queue, item=answered.item, lane="qa", rank=9)
    job = claims.claim_next(queue, by=rosa)
    assert job.pk == skipped.pk
    claims.skip(job.pk, job.claim_token, by=rosa)
    other = make_queue(platform=platform, members=[rosa])
    elsewhere = make_job(queue=other, item=make_item(platform=platform))
    held = claims.claim_next(other, by=rosa)
    same = make_job(queue=queue, item=elsewhere.item, lane="second", rank=8)
    page = batches.claim_batch(queue, by=rosa, size=24)
    assert held.pk == elsewhere.pk
    assert [job.pk for job in page] == [fresh.pk]
    assert {again.pk, same.pk}.isdisjoint(job.pk for job in page)


def test_two_jobs_on_one_item_never_stand_on_one_page(queue, rosa):
    [first] = fill(queue, 1)
    make_job(queue=queue, item=first.item, lane="second")
    page = batches.claim_batch(queue, by=rosa, size=24)
    assert len(page) == 1


def test_what_a_lead_keeps_for_her_comes_first_and_what_is_kept_for_others_never(queue, rosa):
    fill(queue, 3)
    mine = make_job(queue=queue, rank=-5, assigned_to=rosa)
    theirs = make_job(queue=queue, rank=99, assigned_to=make_person("remy"))
    page = batches.claim_batch(queue, by=rosa, size=3)
    assert page[0].pk == mine.pk
    assert theirs.pk not in {job.pk for job in page}


def test_each_lane_gets_its_turns_and_the_rest_comes_from_where_there_is_work(queue, rosa):
    queue.lane_shares = {"random": 0.5}
    queue.save()
    fill(queue, 40)
    fill(queue, 40, lane="random")
    lanes = [job.lane for job in batches.claim_batch(queue, by=rosa, size=24)]
    assert 8 <= lanes.count("random") <= 16, lanes
    assert len(lanes) == 24
    Job.objects.filter(state="ready", lane="random").delete()
    claims.take_back(rosa, by=None, platform_id=queue.platform_id, queues=None, reason="test")
    Job.objects.filter(lane="random").update(run_after=timezone.now() + timedelta(hours=1))
    page = batches.claim_batch(queue, by=rosa, size=24)
    assert [job.lane for job in page] == ["risk"] * 24


def test_adjudication_is_for_leads_on_a_page_too(queue, rosa):
    fill(queue, 3, lane="adjudication")
    assert batches.claim_batch(queue, by=rosa, size=24) == []
    lena = make_person("lena", platform=queue.platform)
    queue.members.add(lena)
    assert len(batches.claim_batch(queue, by=lena, size=24)) == 3


def test_an_empty_queue_gives_an_empty_page_and_strangers_are_refused(queue, rosa):
    assert batches.claim_batch(queue, by=rosa, size=24) == []
    with pytest.raises(Forbidden):
        batches.claim_batch(queue, by=make_person("abel", platform=queue.platform), size=24)
    fill(queue, 1)
    queue.members.remove(rosa)
    with pytest.raises(NotFound):
        batches.claim_batch(queue, by=rosa, size=24)


def test_one_heartbeat_renews_a_page_and_names_what_is_lost(queue, rosa):
    fill(queue, 3)
    page = batches.claim_batch(queue, by=rosa, size=3)
    Job.objects.filter(pk=page[2].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    tokens = {job.pk: str(job.claim_token) for job in page}
    ends = batches.renew_batch({**tokens, 0: "not a token"}, by=rosa)
    assert set(ends) == {page[0].pk, page[1].pk}
    assert ends[page[0].pk] > page[0].expires_at
    assert batches.renew_batch(tokens, by=make_person("remy")) == {}


def test_a_page_left_alone_runs_out_and_goes_back_job_by_job(queue, rosa):
    fill(queue, 5)
    batches.claim_batch(queue, by=rosa, size=5)
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert claims.expire_claims() == 5
    assert Claim.objects.filter(end="expired").count() == 5
    assert queue.jobs.ready().count() == 5


def test_a_place_beyond_the_page_is_refused_by_the_table_itself(queue, rosa):
    fill(queue, 1)
    [job] = batches.claim_batch(queue, by=rosa, size=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(claim_slot=27)


@pytest.mark.django_db(transaction=True)
def test_pages_claimed_at_once_share_no_job():
    platform = make_platform()
    people = [make_person(name, platform=platform) for name in ("rosa", "remy", "lena")]
    queue = make_queue(platform=platform, members=people, page_size=24)
    fill(queue, 60)
    taken, errors = [], []

    def work(person):
        try:
            for _ in range(2):
                taken.append((person.pk, batches.claim_batch(queue, by=person, size=24)))
        except Exception as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in people for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    holders = {}
    for person, page in taken:
        for job in page:
            holders.setdefault(job.pk, set()).add(person)
    assert all(len(who) == 1 for who in holders.values())
    assert queue.jobs.filter(state="claimed").count() == 60
    assert max(queue.jobs.filter(claimed_by=one).count() for one in people) <= 24
