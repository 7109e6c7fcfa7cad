from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F

from reviews import claims, decisions, enforcement
from reviews.errors import Conflict, Forbidden, NotFound
from reviews.models import AuditEntry, Enforcement, ItemVersion, Strike

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db
State = Enforcement.State


@pytest.fixture
def queue():
    platform = make_platform()
    spam = make_policy(platform=platform, slug="spam")
    actions = [
        make_action(platform=platform, slug="remove"),
        make_action(platform=platform, slug="warn", is_strike=True, strike_days=30, position=1),
        make_action(
            platform=platform,
            slug="suspend",
            target="account",
            needs_approval=True,
            is_strike=True,
            position=2,
        ),
    ]
    return make_queue(platform=platform, policies=[spam], actions=actions)


def member(name, queue):
    person = make_person(name, platform=queue.platform)
    queue.members.add(person)
    return person


@pytest.fixture
def rosa(queue):
    return member("rosa", queue)


@pytest.fixture
def lena(queue):
    return member("lena", queue)


def decide(queue, by, *actions, item=None):
    account = make_account(platform=queue.platform)
    item = item or make_item(platform=queue.platform, account=account)
    job = claimed_job(by, queue=queue, item=item)
    return decisions.record_review(
        job.pk,
        job.claim_token,
        by=by,
        verdict="violating",
        policy_slugs=["spam"],
        action_slugs=actions,
    )


def close_undo_windows():
    Enforcement.objects.update(due_at=F("due_at") - timedelta(hours=1))


def held(queue, rosa):
    decision = decide(queue, rosa, "suspend")
    close_undo_windows()
    enforcement.release_planned()
    return decision.enforcements.select_related("action", "decision__item").get()


def test_nothing_is_due_while_the_undo_window_is_open(queue, rosa):
    decision = decide(queue, rosa, "remove")
    assert enforcement.release_planned() == 0
    assert decision.enforcements.get().state == State.PLANNED


def test_a_planned_action_is_due_when_the_window_closes(queue, rosa):
    decision = decide(queue, rosa, "remove")
    close_undo_windows()
    assert enforcement.release_planned() == 1
    assert enforcement.release_planned() == 0
    assert decision.enforcements.get().state == State.DUE
    assert AuditEntry.objects.filter(verb="enforcement.due").count() == 1


def test_an_action_that_needs_approval_is_held_instead(queue, rosa):
    waiting = held(queue, rosa)
    assert waiting.state == State.HELD
    assert not Strike.objects.exists()
    assert AuditEntry.objects.filter(verb="enforcement.hold").count() == 1


def test_a_strike_counts_from_when_the_action_is_due(queue, rosa):
    decision = decide(queue, rosa, "warn")
    assert not Strike.objects.exists()
    close_undo_windows()
    enforcement.release_planned()
    strike = Strike.objects.get()
    assert strike.account == decision.item.account
    assert strike.expires_at - strike.created_at == timedelta(days=30)
    assert strike.counts(claims.clock())


def test_an_item_without_author_gives_nobody_a_strike(queue, rosa):
    decide(queue, rosa, "warn", item=make_item(platform=queue.platform))
    close_undo_windows()
    assert enforcement.release_planned() == 1
    assert not Strike.objects.exists()


def test_a_second_person_approves(queue, rosa, lena):
    waiting = held(queue, rosa)
    enforcement.approve(waiting, by=lena)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.approved_by) == (State.DUE, lena)
    assert Strike.objects.count() == 1
    entry = AuditEntry.objects.get(verb="enforcement.approve")
    assert (entry.actor, entry.target_id) == (lena, str(waiting.pk))


def test_a_second_person_refuses(queue, rosa, lena):
    waiting = held(queue, rosa)
    enforcement.refuse(waiting, by=lena, note="too much")
    waiting.refresh_from_db()
    assert waiting.state == State.REVERSED
    assert AuditEntry.objects.get(verb="enforcement.refuse").data["note"] == "too much"
    assert not Strike.objects.exists()


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_nobody_answers_for_her_own_action(queue, lena, verb):
    waiting = held(queue, lena)
    with pytest.raises(Forbidden, match="somebody else"):
        getattr(enforcement, verb)(waiting, by=lena)


def test_the_database_too_refuses_her_own_approval(queue, lena):
    waiting = held(queue, lena)
    with pytest.raises(IntegrityError), transaction.atomic():
        Enforcement.objects.filter(pk=waiting.pk).update(approved_by=lena)


@pytest.mark.parametrize("verb", ["approve", "refuse"])
@pytest.mark.parametrize("name", ["rosa", "remy", "paul", "mila", "abel", "ada", "otto"])
def test_only_a_lead_approves(queue, lena, verb, name):
    waiting = held(queue, lena)
    with pytest.raises(Forbidden):
        getattr(enforcement, verb)(waiting, by=member(name, queue))


def test_a_lead_of_another_platform_finds_nothing(queue, rosa):
    with pytest.raises(NotFound):
        enforcement.approve(held(queue, rosa), by=make_person("lena"))


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_answering_twice_is_refused(queue, rosa, lena, verb):
    waiting = held(queue, rosa)
    enforcement.approve(waiting, by=lena)
    with pytest.raises(Conflict, match="no longer waits"):
        getattr(enforcement, verb)(waiting, by=lena)
    assert Strike.objects.count() == 1


def test_undo_in_time_means_it_never_happens(queue, rosa):
    decision = decide(queue, rosa, "remove", "warn")
    decisions.undo(decision, by=rosa)
    close_undo_windows()
    assert enforcement.release_planned() == 0
    assert {one.state for one in decision.enforcements.all()} == {State.REVERSED}


def test_an_override_takes_the_strike_back(queue, rosa, lena):
    decision = decide(queue, rosa, "warn")
    close_undo_windows()
    enforcement.release_planned()
    decisions.override(decision, by=lena, verdict="clean", note="a joke between friends")
    assert decision.enforcements.get().state == State.REVERSED
    assert not Strike.objects.get().counts(claims.clock())
    assert AuditEntry.objects.filter(verb="enforcement.reverse").count() == 1


def test_an_override_that_keeps_the_action_keeps_its_one_strike(queue, rosa, lena):
    decision = decide(queue, rosa, "warn")
    close_undo_windows()
    enforcement.release_planned()
    decisions.override(
        decision,
        by=lena,
        verdict="violating",
        policy_slugs=["spam"],
        action_slugs=["warn", "remove"],
        note="and remove it",
    )
    close_undo_windows()
    enforcement.release_planned()
    assert Strike.objects.get().counts(claims.clock())
    assert Enforcement.objects.filter(state=State.DUE).count() == 2


def test_a_new_version_that_violates_again_is_acted_on_again(queue, rosa):
    first = decide(queue, rosa, "remove")
    item = first.item
    item.version_number = 2
    item.save()
    second = ItemVersion.objects.create(
        item=item, number=2, content={"body": "again"}, content_hash="2"
    )
    remy = member("remy", queue)
    job = claimed_job(remy, queue=queue, item=item)
    again = decisions.record_review(
        job.pk,
        job.claim_token,
        by=remy,
        verdict="violating",
        policy_slugs=["spam"],
        item_version_id=second.pk,
    )
    assert again.enforcements.get().state == State.PLANNED
    assert first.enforcements.get().state == State.PLANNED
    decisions.undo(again, by=remy)
    assert not Enforcement.objects.live().exists()


def test_an_undo_reverses_each_action_once(queue, rosa):
    decision = decide(queue, rosa, "remove", "warn")
    decisions.undo(decision, by=rosa)
    with pytest.raises(Conflict):
        decisions.undo(decision, by=rosa)
    assert AuditEntry.objects.filter(verb="enforcement.reverse").count() == 2


def test_more_planned_actions_than_one_batch_are_all_released(queue, rosa, monkeypatch):
    monkeypatch.setattr(enforcement, "_BATCH", 2)
    for _ in range(5):
        decide(queue, rosa, "remove")
    close_undo_windows()
    assert enforcement.release_planned() == 5


def test_the_machine_knows_every_state_and_what_is_reversed_stays_so():
    assert set(Enforcement.NEXT) == set(State)
    assert Enforcement.NEXT[State.REVERSED] == set()
    assert all(
        State.REVERSED in after for state, after in Enforcement.NEXT.items() if state != "reversed"
    )
