"""The lease lifecycle, one reviewer at a time; test_claims_concurrency.py has the crowds."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews import claims, decisions, ranking
from reviews.errors import ClaimLost, Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Claim, Job, Person

from .factories import claimed_job, make_item, make_job, make_platform, make_queue
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


def run_out(job: Job) -> None:
    """Let the lease of `job` end a minute ago, as the database sees it."""
    Job.objects.filter(pk=job.pk).update(
        claimed_at=F("claimed_at") - timedelta(hours=1),
        expires_at=timezone.now() - timedelta(minutes=1),
    )


def test_the_highest_rank_is_served_first(queue, rosa):
    make_job(queue=queue, rank=1)
    urgent = make_job(queue=queue, rank=5)
    assert claims.claim_next(queue, by=rosa) == urgent


def test_of_equal_rank_the_older_job_is_served_first(queue, rosa):
    first = make_job(queue=queue, rank=1)
    make_job(queue=queue, rank=1)
    assert claims.claim_next(queue, by=rosa) == first


def test_a_claim_is_a_lease_with_token_and_end(queue, rosa):
    make_job(queue=queue)
    job = claims.claim_next(queue, by=rosa)
    job.refresh_from_db()
    assert (job.state, job.claimed_by, job.attempts) == ("claimed", rosa, 1)
    assert job.expires_at - job.claimed_at == timedelta(seconds=queue.lease_seconds)
    assert job.is_held_with(job.claim_token, timezone.now())


def test_an_empty_queue_gives_nothing(queue, rosa):
    assert claims.claim_next(queue, by=rosa) is None


def test_a_job_of_another_queue_is_not_served(queue, rosa):
    make_job(queue=make_queue(platform=queue.platform))
    assert claims.claim_next(queue, by=rosa) is None


def test_asking_again_returns_the_job_she_holds(queue, rosa):
    make_job(queue=queue)
    make_job(queue=queue)
    first = claims.claim_next(queue, by=rosa)
    assert claims.claim_next(queue, by=rosa) == first


def test_prefetch_takes_a_second_job(queue, rosa):
    for _ in range(3):
        make_job(queue=queue)
    first = claims.claim_next(queue, by=rosa)
    second = claims.claim_next(queue, by=rosa, prefetch=True)
    assert first != second
    assert claims.live_claims(rosa) == [first, second]


def test_a_third_job_is_refused(queue, rosa):
    for _ in range(3):
        make_job(queue=queue)
    claims.claim_next(queue, by=rosa)
    claims.claim_next(queue, by=rosa, prefetch=True)
    with pytest.raises(Conflict, match="already hold two jobs"):
        claims.claim_next(queue, by=rosa, prefetch=True)


def test_two_jobs_held_elsewhere_are_named_in_the_refusal(queue, rosa):
    other = make_queue(platform=queue.platform, members=[rosa], name="Scams")
    for _ in range(2):
        make_job(queue=other)
    make_job(queue=queue)
    claims.claim_next(other, by=rosa)
    claims.claim_next(other, by=rosa, prefetch=True)
    with pytest.raises(Conflict, match="Scams"):
        claims.claim_next(queue, by=rosa)


def test_a_second_reviewer_cannot_take_a_claimed_job(queue, rosa, remy):
    make_job(queue=queue)
    claims.claim_next(queue, by=rosa)
    assert claims.claim_next(queue, by=remy) is None


def test_a_job_waits_for_its_time(queue, rosa):
    make_job(queue=queue, run_after=timezone.now() + timedelta(hours=1))
    assert claims.claim_next(queue, by=rosa) is None


def test_who_has_reviewed_an_item_is_not_given_it_again(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    make_job(queue=queue, item=job.item)
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=remy) is not None


def test_a_skipped_job_goes_to_somebody_else(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    claims.skip(job.pk, job.claim_token, by=rosa, reason="I know the author")
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=remy) == job
    assert job.claims.get().reason == "I know the author"


def test_a_released_job_is_ready_for_anyone(queue, rosa):
    job = claimed_job(rosa, queue=queue)
    claims.release(job.pk, job.claim_token, by=rosa)
    again = claims.claim_next(queue, by=rosa)
    assert again == job
    assert again.claim_token != job.claim_token


@pytest.mark.parametrize("verb", ["release", "skip"])
def test_giving_back_writes_one_audit_entry(queue, rosa, verb):
    job = claimed_job(rosa, queue=queue)
    getattr(claims, verb)(job.pk, job.claim_token, by=rosa)
    entry = AuditEntry.objects.get(target_type="job", target_id=str(job.pk))
    assert (entry.verb, entry.actor) == (f"job.{verb}", rosa)


@pytest.mark.parametrize("verb", ["release", "skip"])
def test_giving_back_twice_is_refused(queue, rosa, verb):
    job = claimed_job(rosa, queue=queue)
    getattr(claims, verb)(job.pk, job.claim_token, by=rosa)
    with pytest.raises(ClaimLost, match=f"You {verb}p?e?d this job at"):
        getattr(claims, verb)(job.pk, job.claim_token, by=rosa)
    assert job.claims.count() == 1


def test_a_heartbeat_renews_the_lease(queue, rosa):
    job = claimed_job(rosa, queue=queue)
    assert claims.renew(job.pk, job.claim_token, by=rosa) > job.expires_at


@pytest.mark.parametrize("verb", ["renew", "release", "skip"])
def test_a_claim_that_ran_out_is_lost_even_before_the_sweep(queue, rosa, verb):
    job = claimed_job(rosa, queue=queue)
    run_out(job)
    with pytest.raises(ClaimLost, match=r"Your claim ran out at \d\d:\d\d"):
        getattr(claims, verb)(job.pk, job.claim_token, by=rosa)
    assert not Claim.objects.exists()


def test_an_expired_claim_is_swept_back_and_remembered(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    run_out(job)
    assert claims.expire_claims() == 1
    assert claims.expire_claims() == 0
    assert job.claims.get().end == "expired"
    assert claims.claim_next(queue, by=remy) == job
    with pytest.raises(ClaimLost, match="ran out"):
        claims.renew(job.pk, job.claim_token, by=rosa)


def test_an_empty_queue_looks_for_claims_that_ran_out(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    run_out(job)
    assert claims.claim_next(queue, by=remy) == job


def test_a_live_claim_is_not_swept(queue, rosa):
    claimed_job(rosa, queue=queue)
    assert claims.expire_claims() == 0


def test_more_expired_claims_than_one_batch_are_all_swept(queue, rosa, monkeypatch):
    monkeypatch.setattr(claims, "_BATCH", 1)
    for name in ("rosa", "remy", "lena"):
        run_out(claimed_job(make_person(name), queue=make_queue(platform=queue.platform)))
    assert claims.expire_claims() == 3


def test_her_own_expired_claims_do_not_block_her(queue, rosa):
    for _ in range(3):
        make_job(queue=queue)
    for prefetch in (False, True):
        run_out(claims.claim_next(queue, by=rosa, prefetch=prefetch))
    assert claims.live_claims(rosa) == []
    assert claims.claim_next(queue, by=rosa) is not None


def test_a_job_given_back_many_times_is_never_lost(queue, rosa):
    job = make_job(queue=queue)
    for _ in range(10):
        held = claims.claim_next(queue, by=rosa)
        run_out(held)
        claims.expire_claims()
    job.refresh_from_db()
    assert (job.state, job.attempts, job.claims.count()) == ("ready", 10, 10)
    assert claims.claim_next(queue, by=rosa) == job


def test_another_persons_token_is_worth_nothing(queue, rosa, remy):
    job = claimed_job(rosa, queue=queue)
    with pytest.raises(ClaimLost, match="do not hold"):
        claims.release(job.pk, job.claim_token, by=remy)
    with pytest.raises(ClaimLost, match="do not hold"):
        claims.renew(job.pk, uuid.uuid4(), by=rosa)


def test_a_token_that_is_none_is_refused(queue, rosa):
    job = claimed_job(rosa, queue=queue)
    with pytest.raises(Invalid):
        claims.renew(job.pk, "0 OR 1=1", by=rosa)


def test_who_does_not_work_the_queue_gets_nothing(queue):
    lena = make_person("lena", platform=queue.platform)
    make_job(queue=queue)
    with pytest.raises(NotFound):
        claims.claim_next(queue, by=lena)


def test_who_is_not_on_the_platform_gets_nothing(queue):
    outsider = make_person("remy")
    queue.platform.members.remove(outsider)
    with pytest.raises(NotFound):
        claims.claim_next(queue, by=outsider)


@pytest.mark.parametrize("name", ["paul", "mila", "abel", "ada", "otto"])
def test_who_does_not_review_claims_nothing(queue, name):
    person = make_person(name, platform=queue.platform)
    queue.members.add(person)
    with pytest.raises(Forbidden):
        claims.claim_next(queue, by=person)


def test_only_a_lead_is_given_escalated_jobs_and_first_of_all(queue, rosa):
    lena = make_person("lena", platform=queue.platform)
    queue.members.add(lena)
    make_job(queue=queue, rank=100)
    escalated = make_job(queue=queue, lane="adjudication", rank=1)
    assert claims.claim_next(queue, by=lena) == escalated
    assert claims.claim_next(queue, by=rosa).lane == "risk"
    assert claims.claim_next(queue, by=rosa, prefetch=True) is None


@pytest.mark.parametrize("lane", ["random", "second", "learning", "gold", "appeal", "qa"])
def test_no_lane_starves_when_it_is_all_there_is(queue, rosa, lane):
    job = make_job(queue=queue, lane=lane)
    assert claims.claim_next(queue, by=rosa) == job


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_random_lane_gets_its_share_of_any_fifty_claims(queue, rosa, share):
    queue.lane_shares = {"random": share}
    queue.save()
    kind = make_item(platform=queue.platform).kind
    for lane in ["random"] * 45 + ["risk"] * 55:
        make_job(queue=queue, item=make_item(kind=kind), lane=lane)
    lanes = []
    for _ in range(50):
        job = claims.claim_next(queue, by=rosa)
        lanes.append(job.lane)
        Job.objects.filter(pk=job.pk).update(
            state="cancelled", claim_token=None, claimed_by=None, claim_slot=None, expires_at=None
        )
    assert lanes.count("random") == pytest.approx(50 * share, abs=2)


def test_second_opinions_are_not_starved_by_a_busy_queue(queue, rosa):
    for _ in range(30):
        make_job(queue=queue)
    asked = make_job(queue=queue, lane="second", rank=-1000)
    for _ in range(30):
        job = claims.claim_next(queue, by=rosa)
        if job == asked:
            return
        claims.skip(job.pk, job.claim_token, by=rosa)
    raise AssertionError("never served")


def test_a_job_past_its_due_time_is_lifted_above_the_rest(queue, rosa):
    make_job(queue=queue, rank=500)
    late = make_job(queue=queue, rank=-50_000, due_at=timezone.now() - timedelta(minutes=1))
    assert claims.lift_overdue() == 1
    assert claims.lift_overdue() == 0
    late.refresh_from_db()
    assert late.rank == -50_000 + ranking.OVERDUE_LIFT
    assert claims.claim_next(queue, by=rosa) == late


def test_a_claim_costs_the_same_few_statements_however_many_wait(queue, rosa):
    counts = []
    for size in (2, 20):
        for _ in range(size):
            make_job(queue=queue)
        with CaptureQueriesContext(connection) as captured:
            job = claims.claim_next(queue, by=Person.objects.get(username="rosa"))
        counts.append(len(captured))
        claims.release(job.pk, job.claim_token, by=rosa)
    assert counts[0] == counts[1] <= 8


def test_a_claim_reads_the_serving_index(queue, rosa):
    """The plan, not the clock: an index that serves the order, and no sort over the queue."""
    for _ in range(50):
        make_job(queue=queue, item=make_item(platform=queue.platform))
    with CaptureQueriesContext(connection) as captured:
        claims.claim_next(queue, by=rosa)
    (claim,) = [query["sql"] for query in captured if "claim_next" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_job")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {claim.replace('%', '%%')}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "job_in_serving_order" in plan
    assert "Sort" not in plan


def test_the_platform_of_the_claimed_job_is_the_queues(queue, rosa):
    other = make_platform()
    make_job(queue=queue)
    job = claims.claim_next(queue, by=rosa)
    assert job.queue.platform_id == queue.platform_id != other.pk
