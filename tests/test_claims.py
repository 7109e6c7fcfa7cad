"""The lease lifecycle, one reviewer at a time; test_claims_concurrency.py has the crowds."""

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews import claims, decisions, lanes, leases, ranking, wellness
from reviews.errors import ClaimLost, Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Claim, Job, Person, Queue

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


@pytest.fixture
def lena(queue):
    """A lead who works the queue too."""
    person = make_person("lena", platform=queue.platform)
    queue.members.add(person)
    return person


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


def test_two_jobs_held_elsewhere_are_named_in_the_refusal(queue, rosa):
    for name in ("Scams", "Spam"):
        other = make_queue(platform=queue.platform, members=[rosa], name=name)
        make_job(queue=other)
        claims.claim_next(other, by=rosa)
    make_job(queue=queue)
    with pytest.raises(Conflict, match=r"already hold two jobs \(Scams and Spam\)"):
        claims.claim_next(queue, by=rosa)


# One more in advance


@pytest.fixture
def first(queue, rosa):
    """She has one job on screen, and more wait."""
    for _ in range(3):
        make_job(queue=queue)
    return claims.claim_next(queue, by=rosa)


def ahead_of(queue, person):
    job = claims.claim_next(queue, by=person, prefetch=True)
    assert job.is_prefetched
    return job


def test_prefetch_takes_a_second_job_on_a_short_lease(queue, rosa, first):
    second = ahead_of(queue, rosa)
    assert first != second
    assert (second.expires_at - second.claimed_at).seconds == claims.PREFETCH_SECONDS
    assert Job.objects.held_by(rosa).count() == 2


def test_a_prefetched_job_is_not_on_her_desk_yet(queue, rosa, first):
    ahead_of(queue, rosa)
    assert claims.live_claims(rosa) == [first]
    assert claims.claim_next(queue, by=rosa) == first


def test_asking_in_advance_twice_takes_one_job(queue, rosa, first):
    assert ahead_of(queue, rosa) == ahead_of(queue, rosa)


def test_when_the_first_is_answered_the_prefetched_one_is_shown_with_a_lease_of_its_own(
    queue, rosa, first
):
    ahead = ahead_of(queue, rosa)
    claims.release(first.pk, first.claim_token, by=rosa)
    shown = claims.claim_next(queue, by=rosa)
    assert (shown, shown.claim_token, shown.attempts) == (ahead, ahead.claim_token, 1)
    assert not shown.is_prefetched
    assert shown.expires_at - shown.claimed_at == timedelta(seconds=queue.lease_seconds)
    assert claims.live_claims(rosa) == [shown]


def test_a_heartbeat_shows_that_a_prefetched_job_is_on_screen(queue, rosa, first):
    ahead = ahead_of(queue, rosa)
    expires_at = claims.renew(ahead.pk, ahead.claim_token, by=rosa)
    ahead.refresh_from_db()
    assert not ahead.is_prefetched
    assert expires_at - ahead.claimed_at == timedelta(seconds=queue.lease_seconds)


def test_a_prefetched_job_that_nobody_looked_at_goes_back_by_itself(queue, rosa, remy, first):
    ahead = ahead_of(queue, rosa)
    run_out(ahead)
    claims.expire_claims()
    ahead.refresh_from_db()
    assert (ahead.state, ahead.is_prefetched) == ("ready", False)
    assert claims.live_claims(rosa) == [first]


def test_asking_again_keeps_the_prefetched_job_a_little_longer(queue, rosa, first):
    before = ahead_of(queue, rosa)
    again = ahead_of(queue, rosa)
    assert (again, again.claim_token) == (before, before.claim_token)
    assert again.expires_at > before.expires_at


def test_a_prefetched_job_is_let_go_without_a_trace_of_a_look(queue, rosa, remy, first):
    ahead = ahead_of(queue, rosa)
    assert not claims.let_go(first.pk, first.claim_token, by=rosa)
    assert claims.let_go(ahead.pk, ahead.claim_token, by=rosa)
    assert not claims.let_go(ahead.pk, ahead.claim_token, by=rosa)
    assert claims.live_claims(rosa) == [first]
    assert claims.claim_next(queue, by=remy) == ahead


def test_what_she_was_shown_is_not_let_go(queue, rosa, first):
    ahead = ahead_of(queue, rosa)
    claims.renew(ahead.pk, ahead.claim_token, by=rosa)
    assert not claims.let_go(ahead.pk, ahead.claim_token, by=rosa)
    assert Job.objects.held_by(rosa).count() == 2


def test_a_prefetched_job_makes_room_for_another_queue(queue, rosa, first):
    ahead = ahead_of(queue, rosa)
    other = make_queue(platform=queue.platform, members=[rosa])
    wanted = make_job(queue=other)
    assert claims.claim_next(other, by=rosa) == wanted
    ahead.refresh_from_db()
    assert ahead.state == "ready"
    assert ahead.claims.get().end == "released"


def test_of_two_queues_one_job_is_prefetched(queue, rosa, first):
    ahead = ahead_of(queue, rosa)
    other = make_queue(platform=queue.platform, members=[rosa])
    make_job(queue=other)
    assert ahead_of(other, rosa).queue == other
    ahead.refresh_from_db()
    assert ahead.state == "ready"


def test_two_jobs_on_screen_leave_no_place_to_prefetch(queue, rosa, first):
    other = make_queue(platform=queue.platform, members=[rosa])
    make_job(queue=other)
    claims.claim_next(other, by=rosa)
    with pytest.raises(Conflict, match="already hold two jobs"):
        claims.claim_next(queue, by=rosa, prefetch=True)


def test_an_item_with_two_jobs_is_not_given_to_her_twice_at_once(queue, rosa, remy):
    item = make_item(platform=queue.platform)
    for _ in range(2):
        make_job(queue=queue, item=item, lane="second")
    assert claims.claim_next(queue, by=rosa) is not None
    assert claims.claim_next(queue, by=rosa, prefetch=True) is None
    assert claims.claim_next(queue, by=remy) is not None


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
    monkeypatch.setattr(leases, "_BATCH", 1)
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


def test_who_does_not_work_the_queue_gets_nothing(queue, lena):
    queue.members.remove(lena)
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


# Who is not given what


def test_only_a_lead_is_given_escalated_jobs(queue, rosa, lena):
    escalated = make_job(queue=queue, lane="adjudication", rank=100)
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=lena) == escalated


def test_whose_turn_falls_on_adjudication_and_may_not_works_the_risk_lane(queue, rosa):
    queue.lane_shares = {"adjudication": 0.9}
    queue.save()
    make_job(queue=queue, lane="adjudication")
    jobs = [make_job(queue=queue) for _ in range(5)]
    assert [take(queue, rosa).pk for _ in range(5)] == [job.pk for job in jobs]


@pytest.mark.parametrize("lane", ["appeal", "qa"])
def test_nobody_looks_again_at_her_own_decision(queue, rosa, remy, lena, lane):
    job = claimed_job(rosa, queue=queue)
    decision = decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    spam = queue.policies.get().slug
    decisions.override(decision, by=lena, verdict="violating", policy_slugs=[spam], note="No.")
    again = make_job(queue=queue, item=job.item, lane=lane)
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=lena) is None
    assert claims.claim_next(queue, by=remy) == again


def test_an_archived_queue_serves_nothing_though_what_she_holds_is_hers_to_finish(queue, rosa):
    make_job(queue=queue)
    held = claimed_job(rosa, queue=queue)
    queue.is_archived = True
    queue.save()
    assert claims.claim_next(queue, by=rosa) == held
    claims.release(held.pk, held.claim_token, by=rosa)
    with pytest.raises(NotFound, match="archived"):
        claims.claim_next(queue, by=rosa)
    # Another process may know the queue as it was a moment ago.
    assert claims.claim_next(Queue(pk=queue.pk, platform=queue.platform), by=rosa) is None


def test_who_has_had_enough_for_now_is_given_nothing_more(queue, rosa, monkeypatch):
    make_job(queue=queue)
    held = claimed_job(rosa, queue=queue)
    monkeypatch.setattr(wellness, "guard", lambda person, queue, **kw: wellness.Guard(False))
    assert claims.claim_next(queue, by=rosa) == held
    assert claims.claim_next(queue, by=rosa, prefetch=True) is None


# Lanes


def take(queue, person, **options):
    """Claim one and take it out of the queue."""
    job = claims.claim_next(queue, by=person, **options)
    Job.objects.filter(pk=job.pk).update(
        state="cancelled", claim_token=None, claimed_by=None, claim_slot=None, expires_at=None
    )
    return job


def fill(queue, lane, count):
    kind = queue.platform.kinds.first() or make_item(platform=queue.platform).kind
    for _ in range(count):
        make_job(queue=queue, item=make_item(kind=kind), lane=lane)


def test_two_queues_claimed_in_turns_each_keep_their_shares(queue, rosa, lena):
    """200 claims of each, every lane with work: ±2 points, whatever the other queue does."""
    other = make_queue(platform=queue.platform, members=[rosa, lena])
    queue.lane_shares = {"random": 0.2, "second": 0.15, "adjudication": 0.1, "qa": 0.05}
    other.lane_shares = {"random": 0.5, "gold": 0.1, "learning": 0.1}
    for one in (queue, other):
        one.save()
        for lane, share in lanes.effective_shares(one.lane_shares).items():
            fill(one, lane, round(200 * share) + 6)
    served = {queue: Counter(), other: Counter()}
    for turn in range(400):
        one = (queue, other)[turn % 2]
        served[one][take(one, lena).lane] += 1
    for one, counted in served.items():
        for lane, share in lanes.effective_shares(one.lane_shares).items():
            assert abs(counted[lane] - 200 * share) <= 4, (one, lane)


def test_a_new_queue_has_a_turn_of_its_own_and_takes_it_along(queue):
    def turns():
        with connection.cursor() as cursor:
            cursor.execute("SELECT sequencename FROM pg_sequences")
            return {name for (name,) in cursor.fetchall()}

    name = f"reviews_queue_turn_{queue.pk}"
    assert name in turns()
    queue.policies.clear()
    queue.delete()
    assert name not in turns()


def test_where_her_lane_is_empty_the_most_harm_comes_first(queue, lena):
    for lane in reversed(lanes.FALLBACK):
        make_job(queue=queue, lane=lane)
    queue.lane_shares = {"second": 0.9}
    queue.save()
    served = [take(queue, lena).lane for _ in lanes.FALLBACK]
    assert [lane for lane in served if lane in ("risk", "appeal", "random", "gold")] == [
        "risk",
        "appeal",
        "random",
        "gold",
    ]


def test_a_lead_may_work_one_lane_only(queue, lena):
    make_job(queue=queue, rank=100)
    escalated = [make_job(queue=queue, lane="adjudication", rank=rank) for rank in (3, 2)]
    assert take(queue, lena, lane="adjudication") == escalated[0]
    assert take(queue, lena, lane="adjudication") == escalated[1]
    assert claims.claim_next(queue, by=lena, lane="adjudication") is None


def test_a_lane_worked_by_itself_takes_no_turn_from_the_others(queue, lena):
    queue.lane_shares = {"random": 0.5}
    queue.save()
    for lane in ("risk", "random", "second"):
        fill(queue, lane, 40)
    served = []
    for _ in range(30):
        take(queue, lena, lane="second")
        served.append(take(queue, lena).lane)
    assert served.count("random") == pytest.approx(15, abs=2)


def test_what_she_holds_is_answered_before_a_lane_is_chosen(queue, lena):
    held = claimed_job(lena, queue=queue)
    make_job(queue=queue, lane="adjudication")
    assert claims.claim_next(queue, by=lena, lane="adjudication") == held


def test_a_prefetched_job_of_another_lane_goes_back_when_she_chooses_one(queue, lena):
    make_job(queue=queue)
    ahead = ahead_of(queue, lena)
    escalated = make_job(queue=queue, lane="adjudication")
    assert claims.claim_next(queue, by=lena, lane="adjudication") == escalated
    ahead.refresh_from_db()
    assert ahead.state == "ready"


def test_a_reviewer_does_not_choose_her_lane(queue, rosa):
    with pytest.raises(Forbidden):
        claims.claim_next(queue, by=rosa, lane="risk")


def test_a_lane_that_is_none_does_not_exist(queue, lena):
    with pytest.raises(NotFound):
        claims.claim_next(queue, by=lena, lane="harm")


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
    served = [take(queue, rosa).lane for _ in range(50)]
    assert served.count("random") == pytest.approx(50 * share, abs=2)


def test_second_opinions_are_not_starved_by_a_busy_queue(queue, rosa):
    for _ in range(30):
        make_job(queue=queue)
    asked = make_job(queue=queue, lane="second", rank=-1000)
    assert asked in [take(queue, rosa) for _ in range(30)]


def test_a_job_past_its_due_time_is_lifted_above_the_rest(queue, rosa):
    make_job(queue=queue, rank=500)
    late = make_job(queue=queue, rank=-50_000, due_at=timezone.now() - timedelta(minutes=1))
    assert claims.lift_overdue() == 1
    assert claims.lift_overdue() == 0
    late.refresh_from_db()
    assert late.rank == -50_000 + ranking.OVERDUE_LIFT
    assert claims.claim_next(queue, by=rosa) == late


def test_a_claim_costs_the_same_few_statements_however_many_wait(queue, rosa):
    wellness.care_of(queue)  # kept for seconds
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
    (claim,) = [query["sql"] for query in captured if query["sql"].startswith("EXECUTE claim_next")]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE reviews_job")
        cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {claim.replace('%', '%%')}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "job_in_serving_order" in plan
    assert "Sort" not in plan


def test_the_platform_of_the_claimed_job_is_the_queues(queue, rosa):
    other = make_platform()
    make_job(queue=queue)
    job = claims.claim_next(queue, by=rosa)
    assert job.queue.platform_id == queue.platform_id != other.pk
