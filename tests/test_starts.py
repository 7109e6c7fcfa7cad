"""Claims that start further down: quick again, and nothing better is missed."""

import json
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reviews import assignments, claims, decisions, intake, starts
from reviews.models import Job, LaneArrival, LaneStart

from .factories import make_draw, make_item, make_job, make_kind, make_queue
from .people import make_person
from .test_claims_concurrency import at_once, make_crowd

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rosa():
    return make_person("rosa")


@pytest.fixture
def queue(rosa):
    return make_queue(members=[rosa], is_default=True)


@pytest.fixture
def always(monkeypatch):
    """Every claim counts as slow."""
    monkeypatch.setattr(starts, "SLOW", -1.0)


def fill(queue, count, *, lane="risk", top=0):
    """So many waiting jobs, the best of them at rank `top`."""
    kind = queue.platform.kinds.first() or make_kind(platform=queue.platform)
    items = [make_item(kind=kind) for _ in range(count)]
    draw = {} if lane == "risk" else {"draw": make_draw(queue=queue, lane=lane, probability=0.1)}
    if draw:
        draw["inclusion_probability"] = 0.1
    due_at = timezone.now() + timedelta(1)
    Job.objects.bulk_create(
        Job(queue=queue, item=item, lane=lane, rank=top - n, due_at=due_at, lift_at=due_at, **draw)
        for n, item in enumerate(items)
    )


def skip_all(queue, person, count):
    """A while ago: the notes of it are old."""
    for _ in range(count):
        job = claims.claim_next(queue, by=person)
        claims.skip(job.pk, job.claim_token, by=person)
    LaneStart.objects.all().delete()
    LaneArrival.objects.all().delete()


def work(queue, person):
    job = claims.claim_next(queue, by=person)
    decisions.record_review(job.pk, job.claim_token, by=person, verdict="clean")
    return job


def trust(lane="risk"):
    """As if she had kept her start for longer than the two seconds it takes to be trusted."""
    LaneStart.objects.filter(lane=lane).update(
        since=F("since") - timedelta(seconds=3), at=F("at") - timedelta(seconds=1)
    )


def walked(queue, person):
    """How many waiting jobs a claim of hers would look at and pass over."""
    with transaction.atomic():
        with CaptureQueriesContext(connection) as captured:
            claims.claim_next(queue, by=person)
        (claim,) = [q["sql"] for q in captured if q["sql"].startswith("EXECUTE claim_next")]
        transaction.set_rollback(True)
    with transaction.atomic(), connection.cursor() as cursor:
        # Planned anew, and by the index, whatever is known of a table just filled.
        cursor.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        for way in ("seqscan", "bitmapscan", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claim.replace('%', '%%')}")
        plan = cursor.fetchone()[0]
        transaction.set_rollback(True)
    nodes = [(json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]]
    passed = 0
    for node in nodes:
        nodes += node.get("Plans", [])
        if node.get("Index Name") == "job_in_serving_order":
            passed += node["Actual Loops"] * node.get("Rows Removed by Filter", 0)
    return passed


def test_while_claims_are_quick_nobody_keeps_a_start(queue, rosa, monkeypatch):
    monkeypatch.setattr(starts, "SLOW", 60.0)
    fill(queue, 5)
    for _ in range(5):
        work(queue, rosa)
    assert claims.claim_next(queue, by=rosa) is None
    assert not LaneStart.objects.exists()
    assert not LaneArrival.objects.exists()


def test_a_start_is_not_trusted_before_two_seconds(queue, rosa, always):
    fill(queue, 3)
    work(queue, rosa)
    assert LaneStart.objects.get(lane="risk").rank == float("inf")
    trust()
    assert work(queue, rosa).rank == LaneStart.objects.get(lane="risk").rank == -1


def test_what_she_has_seen_at_the_head_is_walked_once_not_every_time(queue, rosa, always):
    remy = make_person("remy", platform=queue.platform)
    queue.members.add(remy)
    fill(queue, 60)
    skip_all(queue, rosa, 40)
    assert walked(queue, rosa) >= 40
    work(queue, rosa)
    trust()
    work(queue, rosa)
    assert walked(queue, rosa) <= 1
    # Nobody else is kept from them.
    assert claims.claim_next(queue, by=remy).rank == 0


def test_a_lane_with_nothing_for_her_is_not_walked_each_time_it_has_its_turn(queue, rosa, always):
    remy = make_person("remy", platform=queue.platform)
    queue.members.add(remy)
    queue.lane_shares = {"second": 0.9}
    queue.save()
    fill(queue, 30, lane="second")
    skip_all(queue, rosa, 30)
    fill(queue, 20)
    for _ in range(3):
        work(queue, rosa)
    trust("second")
    while LaneStart.objects.get(lane="second").rank == float("inf"):
        LaneStart.objects.update(at=F("at") - timedelta(seconds=1))
        work(queue, rosa)
    assert LaneStart.objects.get(lane="second").rank == float("-inf")
    assert walked(queue, rosa) <= 1


# Whatever makes a job ready moves her start back


@pytest.fixture
def deep(queue, rosa, always):
    """Her start lies at rank -3, and is trusted."""
    fill(queue, 20)
    for _ in range(3):
        work(queue, rosa)
    trust()
    assert work(queue, rosa).rank == -3
    assert LaneStart.objects.get(lane="risk").rank == -3
    # As if long ago, so that nothing is found by the two seconds' grace.
    LaneStart.objects.update(at=F("at") - timedelta(seconds=5), until=F("until") + timedelta(1))
    return queue


def test_a_start_holds_until_something_moves_it(deep, rosa):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE reviews_job DISABLE TRIGGER jobs_arrive")
        make_job(queue=deep, rank=9)
        cursor.execute("ALTER TABLE reviews_job ENABLE TRIGGER jobs_arrive")
    assert claims.claim_next(deep, by=rosa).rank == -4


def test_a_new_job_is_found(deep, rosa):
    better = make_job(queue=deep, rank=9)
    assert claims.claim_next(deep, by=rosa) == better


def test_an_item_that_comes_in_is_found(deep, rosa):
    Job.objects.update(rank=F("rank") - 10**6)
    LaneArrival.objects.all().delete()
    kind = deep.platform.kinds.first()
    row = {"kind": kind.slug, "external_id": "new", "content": {"body": "new"}}
    (outcome,) = intake.submit_items(deep.platform, [row], by=None)
    assert claims.claim_next(deep, by=rosa).item_id == outcome.item_id


def test_a_job_that_is_ranked_again_is_found(deep, rosa):
    last = Job.objects.ready().order_by("rank").first()
    intake.set_risks({last.item_id: {deep.policies.get().slug: 1.0}}, source="v1")
    last.refresh_from_db()
    LaneStart.objects.update(rank=last.rank - 1)
    assert claims.claim_next(deep, by=rosa) == last


def test_a_job_that_is_lifted_is_found(deep, rosa):
    last = Job.objects.ready().order_by("rank").first()
    Job.objects.filter(pk=last.pk).update(due_at=timezone.now(), lift_at=timezone.now())
    LaneArrival.objects.all().delete()
    claims.lift_overdue()
    assert claims.claim_next(deep, by=rosa) == last


@pytest.mark.parametrize("how", ["release", "skip", "expire", "unassign"])
def test_a_job_that_comes_back_is_found(deep, rosa, how):
    remy, lena = (make_person(name, platform=deep.platform) for name in ("remy", "lena"))
    deep.members.add(remy)
    job = make_job(queue=deep, rank=9, assigned_to=remy)
    if how == "unassign":
        assignments.assign([job.pk], to=None, by=lena)
    else:
        job = claims.claim_next(deep, by=remy)
        Job.objects.filter(pk=job.pk).update(assigned_to=None)
        assert claims.claim_next(deep, by=rosa, prefetch=True).rank == -4
        LaneStart.objects.update(at=F("at") - timedelta(seconds=5))
    if how == "expire":
        Job.objects.filter(pk=job.pk).update(expires_at=F("claimed_at"))
        claims.expire_claims()
    elif how in ("release", "skip"):
        getattr(claims, how)(job.pk, job.claim_token, by=remy)
    held = [one.pk for one in Job.objects.held_by(rosa)]
    Job.objects.filter(pk__in=held).update(
        state="cancelled",
        claim_token=None,
        claimed_by=None,
        claim_slot=None,
        expires_at=None,
        is_prefetched=False,
    )
    assert claims.claim_next(deep, by=rosa) == job


def test_a_job_that_is_copied_by_an_undo_is_found(deep, rosa):
    decision = rosa.decisions.order_by("id").first()
    back = decisions.undo(decision, by=rosa)
    claims.release(back.pk, back.claim_token, by=rosa)
    assert LaneArrival.objects.filter(rank__gte=back.rank).exists()


def test_many_jobs_ranked_again_at_once_leave_few_notes(deep):
    Job.objects.ready().update(rank=F("rank") + 50)
    assert 1 <= LaneArrival.objects.count() <= 16


def test_what_no_note_told_is_found_when_she_looks_from_the_top_again(deep, rosa):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE reviews_job DISABLE TRIGGER jobs_arrive")
        missed = make_job(queue=deep, rank=9)
        cursor.execute("ALTER TABLE reviews_job ENABLE TRIGGER jobs_arrive")
    LaneStart.objects.update(until=timezone.now())
    assert claims.claim_next(deep, by=rosa) == missed


def test_old_starts_and_notes_are_swept(deep, rosa):
    make_job(queue=deep, rank=9)
    starts.forget()
    assert LaneStart.objects.exists()
    assert LaneArrival.objects.exists()
    LaneStart.objects.update(at=F("at") - timedelta(minutes=2))
    LaneArrival.objects.update(at=F("at") - timedelta(minutes=2))
    starts.forget()
    assert not LaneStart.objects.exists()
    assert not LaneArrival.objects.exists()


# In a crowd


def test_no_claim_leaves_more_than_sixteen_better_jobs_behind(queue, rosa, always):
    """Eight work, two bring better and worse jobs in all the while, every claim keeps a start."""
    fill(queue, 300)
    crowd = make_crowd(queue, 8)
    kind = queue.platform.kinds.first()
    ends = time.monotonic() + 8
    left_behind = []

    def work_on(person):
        done = 0
        while time.monotonic() < ends:
            job = claims.claim_next(queue, by=person)
            if job is None:
                continue
            better = Job.objects.ready().filter(queue=queue, lane="risk", rank__gt=job.rank)
            left_behind.append(better.count())
            decisions.record_review(job.pk, job.claim_token, by=person, verdict="clean")
            done += 1
        return done

    def bring(seed):
        number = 0
        while time.monotonic() < ends:
            number += 1
            rank = (number * 37 + seed) % 400 - 300
            make_job(queue=queue, item=make_item(kind=kind), rank=rank)
        return number

    results = at_once(*[lambda p=p: work_on(p) for p in crowd], lambda: bring(1), lambda: bring(7))
    assert not [result for result in results if isinstance(result, Exception)], results
    assert LaneStart.objects.filter(rank__lt=float("inf")).count() >= 4
    assert max(left_behind) <= 16
    assert len(left_behind) > 50
