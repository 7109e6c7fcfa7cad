"""Assign, move, cancel, raise many jobs at once: one operation, audited, once, and taken back."""

import threading
import uuid
from collections.abc import Callable

import pytest
from django.db import connection

from reviews import bulk_work, claims, decisions, erasure, intake, ranking
from reviews.bulk_work import Selection
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.jobs import Filter, newest_id
from reviews.models import AuditEntry, BulkOperation, Job, Lane, Person, Queue

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


class Floor:
    """A platform with two queues, lena who runs them and rosa who works in the first."""

    def __init__(self) -> None:
        self.platform = make_platform()
        self.rosa, self.remy, self.lena = (
            make_person(name, platform=self.platform) for name in ("rosa", "remy", "lena")
        )
        policy = make_policy(platform=self.platform, slug="spam")
        common = {"platform": self.platform, "policies": [policy]}
        self.queue = make_queue(
            **common, slug="mail", is_default=True, members=[self.rosa, self.remy, self.lena]
        )
        self.fraud = make_queue(**common, slug="fraud", members=[self.lena], sla_minutes=30)

    def jobs(self, count: int = 3, **kw: object) -> list[Job]:
        items = [make_item(platform=self.platform) for _ in range(count)]
        return [
            make_job(queue=self.queue, item=item, rank=number, **kw)
            for number, item in enumerate(items)
        ]

    def do(self, verb: str, chosen: list[Job], **kw: object) -> BulkOperation:
        service: Callable[..., BulkOperation] = getattr(bulk_work, f"{verb}_jobs")
        selection = Selection([job.pk for job in chosen])
        return service(self.queue, selection, **{"by": self.lena, "token": uuid.uuid4(), **kw})


@pytest.fixture
def floor() -> Floor:
    return Floor()


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


VERBS = {
    "assign": lambda floor: {"to": floor.rosa},
    "move": lambda floor: {"to": floor.fraud},
    "cancel": lambda floor: {"note": "a wave of tests"},
    "raise": lambda floor: {"doublings": 3},
}


@pytest.mark.parametrize("verb", VERBS)
def test_each_operation_is_one_row_and_one_audit_entry(floor, verb):
    chosen = floor.jobs(3)
    operation = floor.do(verb, chosen, **VERBS[verb](floor))
    assert (operation.count, operation.changes.count(), operation.skipped) == (3, 3, {})
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.target_id) == (
        f"job.{verb}",
        floor.lena,
        str(operation.pk),
    )
    assert (entry.data["count"], entry.data["operation"]) == (3, operation.pk)


@pytest.mark.parametrize("verb", VERBS)
def test_undo_puts_back_exactly_what_was(floor, verb):
    chosen = floor.jobs(3)
    if verb in ("move", "cancel"):
        # What the rules would give them now: undo ranks again, and nothing changes.
        intake.set_risks({job.item_id: {"spam": 0.4} for job in chosen}, source="v1")
    before = list(Job.objects.order_by("pk").values())
    operation = floor.do(verb, chosen, **VERBS[verb](floor))
    assert list(Job.objects.order_by("pk").values()) != before
    bulk_work.undo_operation(operation, by=floor.lena)
    assert list(Job.objects.order_by("pk").values()) == before
    operation.refresh_from_db()
    assert (operation.undone_by, operation.undone_count) == (floor.lena, 3)
    assert AuditEntry.objects.filter(verb="operation.undo").get().data["count"] == 3
    with pytest.raises(Conflict, match="already undone"):
        bulk_work.undo_operation(operation, by=floor.lena)


@pytest.mark.parametrize("verb", VERBS)
def test_a_form_sent_twice_is_done_once(floor, verb):
    chosen, token = floor.jobs(2), uuid.uuid4()
    first = floor.do(verb, chosen, token=token, **VERBS[verb](floor))
    after = list(Job.objects.order_by("pk").values())
    assert floor.do(verb, chosen, token=token, **VERBS[verb](floor)) == first
    assert list(Job.objects.order_by("pk").values()) == after
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("verb", VERBS)
def test_jobs_that_are_worked_on_are_left_alone_and_counted(floor, verb):
    chosen = floor.jobs(3)
    held = claims.claim_next(floor.queue, by=floor.remy)
    operation = floor.do(verb, chosen, **VERBS[verb](floor))
    assert operation.count == 2
    assert operation.skipped == {"being worked on right now": 1}
    assert fresh(held).claim_token == held.claim_token


@pytest.mark.parametrize("verb", VERBS)
def test_undo_leaves_what_somebody_touched_since(floor, verb):
    chosen = floor.jobs(3)
    operation = floor.do(verb, chosen, **VERBS[verb](floor))
    Job.objects.filter(pk=chosen[0].pk).update(state=Job.State.DONE)
    bulk_work.undo_operation(operation, by=floor.lena)
    operation.refresh_from_db()
    assert operation.undone_count == 2
    assert fresh(chosen[0]).state == Job.State.DONE


@pytest.mark.parametrize("verb", VERBS)
def test_only_who_runs_the_queue_may(floor, verb):
    chosen = floor.jobs(1)
    with pytest.raises(Forbidden):
        floor.do(verb, chosen, by=floor.rosa, **VERBS[verb](floor))
    elsewhere = Person.objects.create(username="elsewhere")
    elsewhere.groups.set(floor.lena.groups.all())
    with pytest.raises(NotFound):
        floor.do(verb, chosen, by=elsewhere, **VERBS[verb](floor))
    operation = floor.do(verb, chosen, **VERBS[verb](floor))
    with pytest.raises(Forbidden):
        bulk_work.undo_operation(operation, by=floor.rosa)


def test_jobs_of_another_queue_are_not_touched(floor):
    stray = make_job(queue=floor.fraud)
    [job] = floor.jobs(1)
    operation = floor.do("cancel", [job, stray], note="tests")
    assert operation.skipped == {"in another queue by now": 1}
    assert fresh(stray).state == Job.State.READY


def test_nothing_to_do_is_said_and_leaves_no_operation(floor):
    [job] = floor.jobs(1)
    claims.claim_next(floor.queue, by=floor.remy)
    with pytest.raises(Conflict, match="1 being worked on right now"):
        floor.do("cancel", [job], note="tests")
    assert not BulkOperation.objects.exists()
    with pytest.raises(Invalid, match="at least one"):
        floor.do("cancel", [], note="tests")


# Assign


def test_a_job_is_kept_for_a_member_and_freed_again(floor):
    [job] = floor.jobs(1)
    floor.do("assign", [job], to=floor.rosa)
    assert fresh(job).assigned_to == floor.rosa
    assert claims.claim_next(floor.queue, by=floor.remy) is None
    floor.do("assign", [job], to=None)
    assert claims.claim_next(floor.queue, by=floor.remy) == job


def test_a_stranger_to_the_queue_is_assigned_nothing(floor):
    paul = make_person("paul", platform=floor.platform)
    floor.queue.members.remove(floor.remy)
    for person in (paul, floor.remy):
        with pytest.raises(Invalid) as refusal:
            floor.do("assign", floor.jobs(1), to=person)
        assert "to" in refusal.value.details


def test_what_she_answered_or_skipped_is_not_given_to_her(floor):
    answered, skipped, other = floor.jobs(3)
    for job in (other, skipped, answered):
        Job.objects.filter(pk=job.pk).update(rank=job.pk)
    job = claims.claim_next(floor.queue, by=floor.rosa)
    decisions.record_review(job.pk, job.claim_token, by=floor.rosa, verdict="unsure")
    second = Job.objects.get(item=job.item, lane=Lane.SECOND)
    job = claims.claim_next(floor.queue, by=floor.rosa)
    claims.skip(job.pk, job.claim_token, by=floor.rosa)
    rest = [one for one in (answered, skipped, other) if fresh(one).state == Job.State.READY]
    operation = floor.do("assign", [second, *rest], to=floor.rosa)
    assert operation.skipped == {
        "answered by her before": 1,
        "skipped by her before": 1,
    }
    assert operation.count == 1


def test_an_escalated_job_is_given_to_a_lead_only(floor):
    [job] = floor.jobs(1, lane=Lane.ADJUDICATION)
    with pytest.raises(Conflict, match="for a lead to settle"):
        floor.do("assign", [job], to=floor.rosa)
    assert floor.do("assign", [job], to=floor.lena).count == 1


# Move


def test_a_moved_job_gets_the_other_queue_s_rank_and_due_time_and_stays(floor):
    [job] = floor.jobs(1, assigned_to=floor.rosa)
    floor.do("move", [job], to=floor.fraud)
    moved = fresh(job)
    assert moved.queue == floor.fraud and moved.is_pinned
    assert (moved.due_at - moved.created_at).total_seconds() == 30 * 60
    assert moved.assigned_to is None  # rosa does not work there
    intake.set_risks({job.item_id: {"spam": 0.9}}, source="v1")
    again = fresh(job)
    assert again.queue == floor.fraud  # the rules would have sent it back
    assert again.rank > moved.rank


def test_a_moved_job_is_drawn_by_the_other_queue_s_rate(floor):
    Queue.objects.filter(pk=floor.fraud.pk).update(random_rate=1)
    jobs = floor.jobs(2)
    floor.do("move", jobs, to=floor.fraud)
    assert {fresh(job).lane for job in jobs} == {Lane.RANDOM}
    assert {fresh(job).inclusion_probability for job in jobs} == {1}
    assert {fresh(job).draw.queue for job in jobs} == {floor.fraud}


def test_a_second_opinion_stays_one_and_a_drawn_job_stays_where_it_was_drawn(floor):
    [second] = floor.jobs(1, lane=Lane.SECOND)
    [gold] = floor.jobs(1, lane=Lane.GOLD)
    operation = floor.do("move", [second, gold], to=floor.fraud)
    assert operation.skipped == {"drawn for this queue": 1}
    assert (fresh(second).queue, fresh(second).lane) == (floor.fraud, Lane.SECOND)
    assert fresh(gold).queue == floor.queue


def test_jobs_move_only_to_a_living_queue_of_the_platform(floor):
    chosen = floor.jobs(1)
    archived = make_queue(platform=floor.platform, is_archived=True)
    for queue in (make_queue(), archived, floor.queue):
        with pytest.raises(Invalid) as refusal:
            floor.do("move", chosen, to=queue)
        assert "to" in refusal.value.details


# Cancel


def test_a_cancelled_job_leaves_its_item_and_needs_a_reason(floor):
    [job] = floor.jobs(1)
    with pytest.raises(Invalid) as refusal:
        floor.do("cancel", [job], note="  ")
    assert "note" in refusal.value.details
    floor.do("cancel", [job], note="test posts")
    assert fresh(job).state == Job.State.CANCELLED
    assert claims.claim_next(floor.queue, by=floor.rosa) is None


def test_a_cancelled_job_of_an_item_erased_since_is_not_opened_again(floor):
    gone, stays = floor.jobs(2)
    operation = floor.do("cancel", [gone, stays], note="a test run")
    erasure.erase_item(gone.item, by=None, reason="asked")

    undone = bulk_work.undo_operation(operation, by=floor.lena)

    assert undone.undone_count == 1
    assert (fresh(gone).state, fresh(stays).state) == ("cancelled", "ready")


def test_a_cancelled_job_is_not_opened_beside_a_newer_one(floor):
    kept, renewed = floor.jobs(2)
    operation = floor.do("cancel", [kept, renewed], note="test posts")
    intake.open_jobs([renewed.item])
    bulk_work.undo_operation(operation, by=floor.lena)
    operation.refresh_from_db()
    assert operation.undone_count == 1
    assert fresh(kept).state == Job.State.READY
    assert fresh(renewed).state == Job.State.CANCELLED


# Raise


def test_a_raise_is_worth_its_doublings_and_outlives_a_new_score(floor):
    [job] = floor.jobs(1)
    intake.set_risks({job.item_id: {"spam": 0.4}}, source="v1")
    before = fresh(job).rank
    floor.do("raise", [job], doublings=3)
    assert fresh(job).rank == pytest.approx(before + 3 * floor.queue.doubling_hours)
    intake.set_risks({job.item_id: {"spam": 0.8}}, source="v2")  # one doubling more
    assert fresh(job).rank == pytest.approx(before + 4 * floor.queue.doubling_hours)


def test_to_the_top_goes_before_what_is_overdue_and_not_before_what_was_taken_back(floor):
    late, undone, job = floor.jobs(3)
    Job.objects.filter(pk=late.pk).update(rank=ranking.OVERDUE_LIFT, is_overdue=True)
    Job.objects.filter(pk=undone.pk).update(rank=ranking.UNDONE_LIFT)
    operation = floor.do("raise", [job, undone])
    assert operation.skipped == {"taken back by the reviewer and on top already": 1}
    assert list(Job.objects.in_serving_order()) == [undone, job, late]
    with pytest.raises(Conflict, match="raised as far as it goes"):
        floor.do("raise", [job])


def test_raises_never_pass_for_a_decision_taken_back(floor):
    [job] = floor.jobs(1, is_overdue=True)
    Job.objects.update(rank=ranking.OVERDUE_LIFT)
    Queue.objects.filter(pk=floor.queue.pk).update(doubling_hours=1e6)
    floor.queue.refresh_from_db()
    floor.do("raise", [job], doublings=20)
    assert fresh(job).rank < ranking.UNDONE_LIFT / 2


@pytest.mark.parametrize("doublings", [0, 21, -1])
def test_a_raise_of_nothing_or_of_too_much_is_refused(floor, doublings):
    with pytest.raises(Invalid) as refusal:
        floor.do("raise", floor.jobs(1), doublings=doublings)
    assert "doublings" in refusal.value.details


# By filter


def test_all_that_fit_and_were_there_when_she_looked(floor):
    for language in ("en", "de", "en"):
        item = make_item(platform=floor.platform, language=language)
        make_job(queue=floor.queue, item=item)
    selection = Selection(filter=Filter(language="en"), newest_id=newest_id())
    make_job(queue=floor.queue, item=make_item(platform=floor.platform, language="en"))
    operation = bulk_work.cancel_jobs(
        floor.queue, selection, by=floor.lena, token=uuid.uuid4(), note="tests"
    )
    assert operation.count == 2
    assert operation.filter == {"language": "en"}
    assert Job.objects.ready().count() == 2


def test_more_than_an_operation_holds_is_refused_with_the_way_out(floor, monkeypatch):
    monkeypatch.setattr(bulk_work, "MOST_JOBS", 2)
    floor.jobs(3)
    with pytest.raises(Invalid, match="Narrow the filter"):
        bulk_work.cancel_jobs(
            floor.queue,
            Selection(filter=Filter(), newest_id=newest_id()),
            by=floor.lena,
            token=uuid.uuid4(),
            note="tests",
        )


def test_batches_make_one_operation(floor, monkeypatch):
    monkeypatch.setattr(bulk_work, "_BATCH", 2)
    operation = floor.do("move", floor.jobs(5), to=floor.fraud)
    assert (operation.count, operation.changes.count()) == (5, 5)
    bulk_work.undo_operation(operation, by=floor.lena)
    assert set(Job.objects.values_list("queue__slug", flat=True)) == {"mail"}


@pytest.mark.django_db(transaction=True)
def test_claims_beside_an_operation_never_lose_a_job_or_hold_a_cancelled_one():
    floor = Floor()
    chosen = floor.jobs(40)
    taken: list[int] = []

    def work(person: Person) -> None:
        try:
            while job := claims.claim_next(floor.queue, by=person):
                taken.append(job.pk)
                decisions.record_review(job.pk, job.claim_token, by=person, verdict="clean")
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=[one]) for one in (floor.rosa, floor.remy)]
    for worker in workers:
        worker.start()
    try:
        operation = floor.do("cancel", chosen, note="tests")
        cancelled = operation.count
    except Conflict:
        cancelled = 0
    for worker in workers:
        worker.join()
    assert len(taken) == len(set(taken)) == 40 - cancelled
    assert Job.objects.filter(state=Job.State.CANCELLED).count() == cancelled
    assert Job.objects.filter(state=Job.State.DONE).count() == len(taken)


@pytest.mark.django_db(transaction=True)
def test_the_same_form_twice_at_once_is_done_once():
    floor = Floor()
    chosen, token = floor.jobs(5), uuid.uuid4()
    done: list[int] = []

    def send() -> None:
        try:
            done.append(floor.do("raise", chosen, token=token, doublings=1).pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4 and len(set(done)) == 1
    assert set(Job.objects.values_list("raised", flat=True)) == {floor.queue.doubling_hours}
