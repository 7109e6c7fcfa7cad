"""One answer for chosen members: each its own claim, review and decision, or left with a reason."""

import threading
import uuid

import pytest
from django.db import connection

from reviews import claims, cluster_reach, cluster_work, clusters, decisions
from reviews.cluster_reach import Answer, Seen
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Claim,
    Cluster,
    ClusterAnswer,
    ClusterMember,
    ClusterOperation,
    Decision,
    Enforcement,
    Item,
    Job,
    Lane,
    Person,
    Queue,
    Review,
)

from .factories import (
    make_account,
    make_action,
    make_draw,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person
from .test_shingles import OFFER

pytestmark = pytest.mark.django_db


class Wave:
    """Copies of one offer by several accounts, waiting in one queue that lena works."""

    def __init__(self, count=5):
        self.platform = make_platform()
        self.rosa, self.lena = (
            make_person(name, platform=self.platform) for name in ("rosa", "lena")
        )
        self.queue = make_queue(
            platform=self.platform,
            is_default=True,
            policies=[make_policy(platform=self.platform, slug="spam")],
            actions=[
                make_action(platform=self.platform, slug="remove"),
                make_action(
                    platform=self.platform, slug="strike", target="account", is_strike=True
                ),
                make_action(
                    platform=self.platform, slug="suspend", target="account", needs_approval=True
                ),
            ],
            members=[self.rosa, self.lena],
        )
        accounts = [make_account(platform=self.platform) for _ in range(2)]
        self.items = [
            make_item(
                platform=self.platform,
                account=accounts[number % 2],
                text=OFFER.format(n=number),
                views_per_hour=10,
            )
            for number in range(count)
        ]
        self.jobs = [make_job(queue=self.queue, item=item) for item in self.items]
        clusters.mark_versions([item.current_version.pk for item in self.items])
        clusters.hash_due()
        self.cluster = Cluster.objects.get(platform=self.platform)

    def seen(self, *places):
        chosen = [self.items[place] for place in places] if places else self.items
        return [Seen(item.pk, Item.objects.get(pk=item.pk).current_version.pk) for item in chosen]

    def decide(self, *places, answer=None, **kw):
        return cluster_work.decide_members(
            self.cluster,
            self.seen(*places),
            answer or Answer("violating", ["spam"], ["remove"], "one wave"),
            **{"by": self.lena, "token": uuid.uuid4(), **kw},
        )


@pytest.fixture
def wave():
    return Wave()


def reasons(operation):
    rows = operation.answers.filter(state="skipped")
    return dict(rows.values_list("item_id", "reason"))


def test_each_chosen_member_gets_its_own_decision_review_and_audit_entry(wave):
    operation = wave.decide(0, 1, 2, 3)
    assert Decision.objects.count() == Review.objects.count() == 4
    assert Claim.objects.filter(end="finished").count() == 4
    assert set(Decision.objects.values_list("decided_by", "verdict", "note")) == {
        (wave.lena.pk, "violating", "one wave")
    }
    assert Enforcement.objects.filter(action__slug="remove").count() == 4
    assert AuditEntry.objects.filter(verb="review.record").count() == 4
    entry = AuditEntry.objects.get(verb="cluster.decide")
    assert (entry.target_id, entry.data["count"]) == (str(operation.pk), 4)
    assert operation.finished_at is not None
    assert set(operation.answers.values_list("state", flat=True)) == {"decided"}
    wave.jobs[4].refresh_from_db()
    assert wave.jobs[4].state == Job.State.READY  # the one that was not chosen
    assert claims.live_claims(wave.lena) == []
    assert not Review.objects.filter(score_shown=True).exists()


def test_a_form_sent_twice_decides_once(wave):
    token = uuid.uuid4()
    first = wave.decide(0, 1, token=token)
    assert wave.decide(0, 1, token=token) == first
    assert Decision.objects.count() == 2
    with pytest.raises(Invalid):
        wave.decide(0, 1, token=token, by=make_person_like(wave.lena))


def make_person_like(person):
    other = Person.objects.create(username=f"like-{person}")
    other.groups.set(person.groups.all())
    other.platforms.set(person.platforms.all())
    return other


def test_one_of_them_is_undone_alone_and_the_rest_together(wave):
    operation = wave.decide(0, 1, 2)
    decisions.undo(operation.answers.order_by("pk")[0].decision, by=wave.lena)
    assert Decision.objects.current().settled().count() == 2
    counts = cluster_work.undo_operation(operation, by=wave.lena)
    assert counts == {"undone": 2, "left": 1}
    assert not Decision.objects.settled().exists()
    assert Job.objects.ready().count() + len(claims.live_claims(wave.lena)) == 5
    assert len(claims.live_claims(wave.lena)) == 1  # only what she undid at her desk
    assert AuditEntry.objects.get(verb="cluster.undo").data == {"count": 2, "left": 1}
    with pytest.raises(Conflict):
        cluster_work.undo_operation(operation, by=wave.lena)


def test_after_the_window_it_is_a_matter_of_overrides(wave):
    Queue.objects.update(undo_seconds=0)
    operation = wave.decide(0, 1)
    with pytest.raises(Conflict, match="time to undo is over"):
        cluster_work.undo_operation(operation, by=wave.lena)
    decision = operation.answers.first().decision
    decisions.override(decision, by=wave.lena, verdict="clean", note="A parody.")
    assert Decision.objects.settled().filter(verdict="violating").count() == 1


def put_into(job, lane):
    draw = make_draw(queue=job.queue, lane=lane, probability=1)
    Job.objects.filter(pk=job.pk).update(lane=lane, draw=draw, inclusion_probability=1)


def test_what_cannot_be_decided_together_is_left_and_says_why(wave):
    held = claims.claim_next(wave.queue, by=wave.rosa)
    place = {job.pk: place for place, job in enumerate(wave.jobs)}[held.pk]
    rest = [one for one in range(5) if one != place]
    put_into(wave.jobs[rest[0]], Lane.RANDOM)
    Job.objects.filter(pk=wave.jobs[rest[1]].pk).update(assigned_to=wave.rosa)
    put_into(wave.jobs[rest[2]], Lane.SECOND)
    operation = wave.decide()
    assert reasons(operation) == {
        held.item_id: "rosa is working on it",
        wave.items[rest[0]].pk: "drawn at random, to measure: judged on its own",
        wave.items[rest[1]].pk: "kept for rosa",
        wave.items[rest[2]].pk: "somebody wants a second opinion on it",
    }
    assert Decision.objects.get().item == wave.items[rest[3]]
    held.refresh_from_db()
    assert held.claimed_by == wave.rosa


@pytest.mark.parametrize(
    ("lane", "reason"),
    [
        (Lane.GOLD, "a test of reviewers"),
        (Lane.QA, "a quality check"),
        (Lane.ADJUDICATION, "escalated"),
        (Lane.APPEAL, "under appeal"),
    ],
)
def test_lanes_that_ask_for_an_answer_of_their_own_are_left(wave, lane, reason):
    put_into(wave.jobs[0], lane)
    assert reasons(wave.decide(0, 1))[wave.items[0].pk].startswith(reason)


def test_a_queue_that_wants_several_reviews_is_not_decided_by_one(wave):
    Queue.objects.update(reviews_wanted=2)
    with pytest.raises(Conflict, match="None of these"):
        wave.decide()
    assert not ClusterOperation.objects.exists()


def test_she_decides_only_where_she_works_and_only_what_the_queue_judges(wave):
    other = make_queue(platform=wave.platform, members=[wave.rosa])
    Job.objects.filter(pk=wave.jobs[0].pk).update(queue=other)
    judge = make_queue(platform=wave.platform, members=[wave.lena])
    Job.objects.filter(pk=wave.jobs[1].pk).update(queue=judge)
    found = reasons(wave.decide(0, 1, 2))
    assert found[wave.items[0].pk] == f"you do not work in {other}"
    assert found[wave.items[1].pk] == f"{judge} does not judge spam"


def test_a_message_that_changed_since_she_saw_it_is_not_decided(wave):
    seen = wave.seen(0, 1)
    edit(wave.items[0])
    operation = cluster_work.decide_members(
        wave.cluster, seen, Answer("clean"), by=wave.lena, token=uuid.uuid4()
    )
    assert list(Decision.objects.values_list("item", flat=True)) == [wave.items[1].pk]
    assert "edited" in reasons(operation)[wave.items[0].pk]
    wave.jobs[0].refresh_from_db()
    assert wave.jobs[0].state == Job.State.READY and wave.jobs[0].claim_token is None


def edit(item):
    from reviews import intake

    row = {
        "kind": item.kind.slug,
        "external_id": item.external_id,
        "content": {"body": OFFER + " And more."},
    }
    intake.submit_items(item.platform, [row], by=None)


def test_what_was_decided_before_is_told_in_the_radius(wave):
    job = claims.claim_next(wave.queue, by=wave.rosa)
    decisions.record_review(job.pk, job.claim_token, by=wave.rosa, verdict="clean")
    radius = cluster_reach.measure_radius(
        wave.cluster,
        wave.seen(),
        Answer("violating", ["spam"], ["strike", "suspend"]),
        by=wave.lena,
    )
    assert [(item.pk, reason) for item, reason in radius.skipped] == [
        (job.item_id, "already decided: clean")
    ]
    # 4 messages of 2 accounts at 10 views an hour: a strike each.
    assert (len(radius.decided), radius.accounts, radius.views_per_hour) == (4, 2, 40)
    assert (radius.strikes, radius.struck) == (4, 2)
    assert radius.held == [("Remove", 4)]


def test_a_message_of_nobody_gets_no_action_against_its_account(wave):
    Item.objects.filter(pk=wave.items[0].pk).update(account=None)
    wave.decide(0, answer=Answer("violating", ["spam"], ["remove", "strike"]))
    assert list(Enforcement.objects.values_list("action__slug", flat=True)) == ["remove"]


def test_both_places_taken_is_said_before_anything_is_written(wave):
    for job in wave.jobs[:2]:
        claims.claim_job(job, by=wave.lena)
    free = [n for n, job in enumerate(wave.jobs) if Job.objects.get(pk=job.pk).state == "ready"]
    with pytest.raises(Conflict, match="already hold two jobs"):
        wave.decide(*free)
    assert not ClusterOperation.objects.exists()


def test_one_place_taken_leaves_one_to_decide_with(wave):
    held = claims.claim_next(wave.queue, by=wave.lena)
    operation = wave.decide()
    assert operation.answers.filter(state="decided").count() == 4
    assert reasons(operation) == {held.item_id: "you hold it: answer it at your desk"}
    assert [job.pk for job in claims.live_claims(wave.lena)] == [held.pk]


def test_an_answer_that_makes_no_sense_writes_nothing(wave):
    for answer, field in (
        (Answer("unsure"), "verdict"),
        (Answer(""), "verdict"),
        (Answer("violating"), "policies"),
        (Answer("clean", note="x" * 10_001), "note"),
    ):
        with pytest.raises(Invalid) as refusal:
            wave.decide(answer=answer)
        assert field in refusal.value.details
    assert not ClusterOperation.objects.exists()
    with pytest.raises(Invalid, match="at least one member"):
        cluster_work.decide_members(
            wave.cluster, [], Answer("clean"), by=wave.lena, token=uuid.uuid4()
        )


def test_more_members_than_an_operation_holds_are_refused(wave, monkeypatch):
    monkeypatch.setattr(cluster_reach, "MOST_MEMBERS", 4)
    with pytest.raises(Invalid, match="At most 4"):
        wave.decide()


def test_only_a_lead_of_the_platform_decides_so(wave):
    with pytest.raises(Forbidden):
        wave.decide(by=wave.rosa)
    stranger = make_person_like(wave.lena)
    stranger.platforms.clear()
    with pytest.raises(NotFound):
        wave.decide(by=Person.objects.get(pk=stranger.pk))


def test_what_a_crash_left_is_gone_on_with(wave, monkeypatch):
    monkeypatch.setattr(cluster_work, "AT_ONCE", 0)  # as for more than a hundred
    operation = wave.decide()
    assert Decision.objects.count() == 0 and operation.finished_at is None
    assert cluster_work.unfinished() == [operation.pk]
    assert cluster_work.answer_operation(operation.pk) == 5
    assert cluster_work.answer_operation(operation.pk) == 0
    assert Decision.objects.count() == 5 and cluster_work.unfinished() == []


def test_an_operation_waits_while_she_has_no_place_and_not_for_ever(wave, monkeypatch):
    monkeypatch.setattr(cluster_work, "AT_ONCE", 0)
    held = [claims.claim_next(wave.queue, by=wave.lena)]
    operation = wave.decide()
    waiting = Job.objects.ready().filter(queue=wave.queue).select_related("queue").first()
    held.append(claims.claim_job(waiting, by=wave.lena))
    cluster_work.answer_operation(operation.pk)
    assert operation.answers.filter(state="waiting").count() == 3
    monkeypatch.setattr(cluster_work, "PLACE_WAIT", -cluster_work.PLACE_WAIT)
    cluster_work.answer_operation(operation.pk)
    assert operation.answers.filter(reason__startswith="both your places").count() == 3
    assert cluster_work.unfinished() == []


def test_what_still_waits_is_not_answered_after_she_took_it_back(wave, monkeypatch):
    operation = wave.decide(0, 1)
    row = operation.answers.first()
    waiting = ClusterAnswer.objects.create(
        operation=operation, item=wave.items[4], item_version=wave.items[4].current_version
    )
    cluster_work.undo_operation(operation, by=wave.lena)
    waiting.refresh_from_db()
    row.refresh_from_db()
    assert (row.state, waiting.state) == ("undone", "skipped")


def test_her_rights_are_asked_again_when_a_worker_answers(wave, monkeypatch):
    monkeypatch.setattr(cluster_work, "AT_ONCE", 0)
    operation = wave.decide(0)
    wave.lena.groups.clear()
    cluster_work.answer_operation(operation.pk)
    assert operation.answers.get().state == "skipped"
    assert not Decision.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_one_operation_decide_each_member_once():
    wave = Wave(count=12)
    operation = ClusterOperation.objects.create(
        cluster=wave.cluster,
        platform=wave.platform,
        verdict="clean",
        token=uuid.uuid4(),
        by=wave.lena,
    )
    ClusterAnswer.objects.bulk_create(
        ClusterAnswer(operation=operation, item=item, item_version=item.current_version)
        for item in wave.items
    )

    def work():
        try:
            for _ in range(5):
                cluster_work.answer_operation(operation.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster_work.answer_operation(operation.pk)
    assert Decision.objects.count() == Review.objects.count() == 12
    assert set(operation.answers.values_list("state", flat=True)) == {"decided"}
    assert ClusterMember.objects.count() == 12
