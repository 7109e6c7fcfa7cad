from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from reviews import claims, decisions
from reviews.errors import ClaimLost, Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Decision,
    Enforcement,
    ItemVersion,
    Job,
    Person,
    PolicyVersion,
    Review,
)
from reviews.signals import decision_recorded

from .factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue():
    platform = make_platform()
    spam = make_policy(platform=platform, slug="spam")
    scam = make_policy(platform=platform, slug="scam")
    remove = make_action(platform=platform, slug="remove")
    suspend = make_action(platform=platform, slug="suspend", target="account", position=1)
    return make_queue(platform=platform, policies=[spam, scam], actions=[remove, suspend])


def member(name, queue):
    person = make_person(name, platform=queue.platform)
    queue.members.add(person)
    return person


@pytest.fixture
def rosa(queue):
    return member("rosa", queue)


@pytest.fixture
def remy(queue):
    return member("remy", queue)


@pytest.fixture
def lena(queue):
    return member("lena", queue)


@pytest.fixture
def job(queue, rosa):
    item = make_item(
        platform=queue.platform,
        account=make_account(platform=queue.platform),
        risks={"spam": 0.8},
        risk=0.8,
        risk_source="v1 zero-shot",
    )
    return claimed_job(rosa, queue=queue, item=item)


def violating(job, by, **kw):
    kw = {"verdict": "violating", "policy_slugs": ["spam"], **kw}
    return decisions.record_review(job.pk, job.claim_token, by=by, **kw)


def clean(job, by, **kw):
    return decisions.record_review(job.pk, job.claim_token, by=by, verdict="clean", **kw)


def escalate(job, by, *, note="part of a wave", **kw):
    return decisions.record_review(
        job.pk, job.claim_token, by=by, verdict="escalate", note=note, **kw
    )


def edit(item):
    """A second version, as intake would write it."""
    first = item.versions.get(number=1)
    item.version_number = 2
    item.save()
    return ItemVersion.objects.create(
        item=item, number=2, content={**first.content, "body": "edited"}, content_hash="2"
    )


def test_a_violating_review_settles_the_item(job, rosa):
    decision = violating(job, rosa, note=" obvious ", active_seconds=12.5)
    review = Review.objects.get()
    assert (review.verdict, review.note, review.active_seconds) == ("violating", "obvious", 12.5)
    assert decision.review == review
    assert (decision.kind, decision.verdict, decision.decided_by) == ("settled", "violating", rosa)
    assert [version.policy.slug for version in decision.policy_versions.all()] == ["spam"]
    job.refresh_from_db()
    assert (job.state, job.claims.get().end) == ("done", "finished")


def test_a_decision_keeps_what_the_model_said_at_that_moment(job, rosa):
    decision = violating(job, rosa)
    job.item.risks = {"spam": 0.1}
    job.item.save()
    decision.refresh_from_db()
    assert (decision.risks, decision.risk_source) == ({"spam": 0.8}, "v1 zero-shot")


def test_every_policy_of_the_queue_gets_a_finding(job, rosa):
    violating(job, rosa)
    findings = {
        f.policy_version.policy.slug: f.violates for f in Review.objects.get().findings.all()
    }
    assert findings == {"spam": True, "scam": False}


def test_findings_point_at_the_policy_version_in_force(queue, job, rosa):
    spam = queue.policies.get(slug="spam")
    old = spam.versions.get()
    now = claims.clock()
    for number, starts in ((2, now - timedelta(hours=1)), (3, now + timedelta(days=1))):
        PolicyVersion.objects.create(
            policy=spam, number=number, summary="s", definition="d", effective_at=starts
        )
    decision = violating(job, rosa)
    assert old not in decision.policy_versions.all()
    assert decision.policy_versions.get().number == 2


def test_a_clean_review_settles_the_item_without_actions(job, rosa):
    decision = clean(job, rosa)
    assert decision.verdict == "clean"
    assert not decision.policy_versions.exists()
    assert not decision.enforcements.exists()


def test_a_violation_gets_the_queues_first_action_unless_told(job, rosa):
    planned = violating(job, rosa).enforcements.get()
    assert (planned.action.slug, planned.state) == ("remove", "planned")
    assert planned.due_at == planned.decision.undo_until


def test_actions_can_be_chosen_or_none(queue, rosa):
    item = make_item(platform=queue.platform, account=make_account(platform=queue.platform))
    both = violating(claimed_job(rosa, queue=queue, item=item), rosa, action_slugs=["suspend"])
    assert [e.action.slug for e in both.enforcements.all()] == ["suspend"]
    nothing = violating(claimed_job(rosa, queue=queue), rosa, action_slugs=[])
    assert not nothing.enforcements.exists()


def test_one_answer_writes_one_audit_entry(job, rosa):
    decision = violating(job, rosa)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.platform) == ("review.record", rosa, job.queue.platform)
    assert entry.data["decision"] == decision.pk
    assert entry.data["policies"] == ["spam"]


def test_a_decision_is_announced_inside_the_transaction(job, rosa):
    heard = []

    def listen(sender, decision, **kwargs):
        heard.append((decision.pk, connection.in_atomic_block))

    decision_recorded.connect(listen)
    try:
        decision = violating(job, rosa)
    finally:
        decision_recorded.disconnect(listen)
    assert heard == [(decision.pk, True)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"verdict": "spam"}, "verdict"),
        ({"verdict": "violating"}, "policies"),
        ({"verdict": "clean", "policy_slugs": ["spam"]}, "policies"),
        ({"verdict": "unsure", "policy_slugs": ["spam"]}, "policies"),
        ({"verdict": "violating", "policy_slugs": ["nudity"]}, "policies"),
        ({"verdict": "clean", "action_slugs": ["remove"]}, "actions"),
        ({"verdict": "violating", "policy_slugs": ["spam"], "action_slugs": ["nuke"]}, "actions"),
        ({"verdict": "clean", "note": "x" * 10_001}, "note"),
    ],
)
def test_an_answer_that_makes_no_sense_leaves_the_claim_alone(job, rosa, wrong, field):
    with pytest.raises(Invalid) as refusal:
        decisions.record_review(job.pk, job.claim_token, by=rosa, **wrong)
    assert field in refusal.value.details
    assert not Review.objects.exists()
    assert claims.live_claims(rosa) == [job]


def test_an_account_cannot_be_acted_on_where_there_is_none(queue, rosa):
    job = claimed_job(rosa, queue=queue)
    with pytest.raises(Invalid, match="suspend"):
        violating(job, rosa, action_slugs=["suspend"])


def test_a_queue_may_require_a_note(queue, job, rosa):
    queue.note_required = True
    queue.save()
    with pytest.raises(Invalid, match="note"):
        clean(job, rosa, note="  ")
    assert clean(job, rosa, note="fine: a receipt").note == "fine: a receipt"


def test_a_nul_in_a_note_is_shown_not_swallowed(job, rosa):
    assert clean(job, rosa, note="a\x00b").note == "a\ufffdb"


def test_a_browsers_nonsense_seconds_do_no_harm(queue, rosa):
    for seconds in (float("nan"), -5, float("inf")):
        item = make_item(platform=queue.platform)
        clean(claimed_job(rosa, queue=queue, item=item), rosa, active_seconds=seconds)
    assert sorted(Review.objects.values_list("active_seconds", flat=True)) == [0, 0, 86_400]


def test_answering_twice_is_refused(job, rosa):
    clean(job, rosa)
    with pytest.raises(ClaimLost, match="already answered"):
        clean(job, rosa)
    assert Review.objects.count() == 1


def test_a_late_answer_leaves_no_trace(job, rosa):
    Job.objects.filter(pk=job.pk).update(expires_at=F("claimed_at"))
    with pytest.raises(ClaimLost, match=r"Your claim ran out at \d\d:\d\d"):
        violating(job, rosa)
    assert not Review.objects.exists()
    assert not Decision.objects.exists()
    assert not AuditEntry.objects.exists()


def test_another_reviewer_cannot_answer_a_claim(job, remy):
    with pytest.raises(ClaimLost):
        clean(job, remy)


@pytest.mark.parametrize("name", ["paul", "mila", "abel", "ada", "otto"])
def test_who_does_not_review_records_nothing(queue, job, name):
    with pytest.raises(Forbidden):
        clean(job, member(name, queue))


def test_a_stranger_to_the_queue_is_told_nothing(job):
    stranger = make_person("remy")
    with pytest.raises(NotFound):
        clean(job, stranger)


def test_an_edit_while_she_reads_is_shown_before_it_is_decided(job, rosa):
    second = edit(job.item)
    with pytest.raises(Conflict, match="edited while you were reading") as refusal:
        clean(job, rosa)
    assert refusal.value.details == {"item_version": second.pk}
    assert claims.live_claims(rosa) == [job]
    decision = clean(job, rosa, item_version_id=second.pk)
    assert decision.item_version == second


def test_the_version_she_read_must_be_the_one_that_stands(job, rosa):
    first = job.item.versions.get()
    edit(job.item)
    with pytest.raises(Conflict):
        clean(job, rosa, item_version_id=first.pk)


def test_unsure_asks_somebody_else(queue, job, rosa, remy):
    assert decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure") is None
    second = Job.objects.get(item=job.item, state="ready")
    assert second.lane == "second"
    assert claims.claim_next(queue, by=rosa) is None
    assert claims.claim_next(queue, by=remy) == second


def test_a_second_opinion_settles_it(queue, job, rosa, remy):
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure")
    decision = clean(claims.claim_next(queue, by=remy), remy)
    assert decision.verdict == "clean"


def test_two_doubts_go_to_a_lead(queue, job, rosa, remy, lena):
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure")
    second = claims.claim_next(queue, by=remy)
    decisions.record_review(second.pk, second.claim_token, by=remy, verdict="unsure")
    assert claims.claim_next(queue, by=lena).lane == "adjudication"


def test_an_escalated_item_goes_to_a_lead_who_has_to_settle_it(queue, job, rosa, remy, lena):
    assert escalate(job, rosa) is None
    assert claims.claim_next(queue, by=remy) is None
    theirs = claims.claim_next(queue, by=lena)
    for verdict in ("unsure", "escalate"):
        with pytest.raises(Invalid, match="has to settle"):
            decisions.record_review(
                theirs.pk, theirs.claim_token, by=lena, verdict=verdict, note="who knows"
            )
    assert violating(theirs, lena).verdict == "violating"


def test_a_drawn_job_stays_drawn_when_others_are_asked(queue, rosa):
    job = claimed_job(rosa, queue=queue, lane="random", inclusion_probability=0.25)
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure")
    assert Job.objects.get(state="ready").inclusion_probability == 0.25


def test_a_new_decision_supersedes_the_one_on_the_old_version(queue, job, rosa, remy):
    first = violating(job, rosa)
    second = edit(job.item)
    again = claimed_job(remy, queue=queue, item=job.item)
    decision = clean(again, remy, item_version_id=second.pk)
    assert decision.supersedes == first
    assert list(Decision.objects.current().filter(item=job.item)) == [decision]
    assert first.enforcements.get().state == "reversed"


def test_an_answer_costs_few_statements(job, queue):
    rosa = Person.objects.get(username="rosa")
    with CaptureQueriesContext(connection) as captured:
        violating(job, rosa)
    planned_once = [query for query in captured if query["sql"].startswith("PREPARE")]
    # Her roles and platforms; savepoint and its release, how things stand, what the queue does, and
    # all that is written.
    assert len(captured) - len(planned_once) <= 7


# Undo


def test_undo_takes_the_decision_back_and_returns_the_item(job, rosa):
    decision = violating(job, rosa)
    back = decisions.undo(decision, by=rosa)
    assert (back.item, back.claimed_by, back.state) == (job.item, rosa, "claimed")
    withdrawn = Decision.objects.current().get(item=job.item)
    assert (withdrawn.kind, withdrawn.verdict, withdrawn.supersedes) == ("undo", None, decision)
    assert decision.enforcements.get().state == "reversed"
    assert not Decision.objects.settled().exists()


def test_what_she_took_back_is_shown_before_what_she_has_open(queue, job, rosa):
    decision = violating(job, rosa)
    make_job(queue=queue)
    claims.claim_next(queue, by=rosa)
    back = decisions.undo(decision, by=rosa)
    assert claims.claim_next(queue, by=rosa) == back


def test_an_item_taken_back_can_be_decided_again(job, rosa):
    back = decisions.undo(violating(job, rosa), by=rosa)
    second = clean(back, rosa)
    assert Decision.objects.current().get(item=job.item) == second
    assert second.supersedes.kind == "undo"


def test_undo_without_a_free_place_puts_the_item_on_top(queue, job, rosa, remy):
    decision = violating(job, rosa)
    for busy in (queue, make_queue(platform=queue.platform, members=[rosa])):
        make_job(queue=busy, rank=100, is_overdue=True)
        claims.claim_next(busy, by=rosa)
    back = decisions.undo(decision, by=rosa)
    assert (back.state, back.claimed_by) == ("ready", None)
    make_job(queue=queue, rank=100)
    assert claims.claim_next(queue, by=remy) == back


def test_undo_takes_the_place_of_a_job_she_has_not_looked_at(queue, job, rosa):
    decision = violating(job, rosa)
    for prefetch in (False, True):
        make_job(queue=queue)
        ahead = claims.claim_next(queue, by=rosa, prefetch=prefetch)
    back = decisions.undo(decision, by=rosa)
    ahead.refresh_from_db()
    assert (back.claimed_by, ahead.state) == (rosa, "ready")


def test_a_doubt_goes_to_a_lead_at_once_where_nobody_else_could_answer(queue, job, rosa):
    queue.members.set([rosa])
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="unsure")
    assert Job.objects.get(item=job.item, state="ready").lane == "adjudication"


def test_undo_writes_audit_entries_for_it_and_for_each_action(job, rosa):
    decision = violating(job, rosa)
    decisions.undo(decision, by=rosa)
    verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["review.record", "enforcement.reverse", "decision.undo"]


def test_undo_twice_is_refused(job, rosa):
    decision = violating(job, rosa)
    decisions.undo(decision, by=rosa)
    with pytest.raises(Conflict, match="already superseded"):
        decisions.undo(decision, by=rosa)


def test_an_undo_cannot_be_undone(job, rosa):
    decisions.undo(violating(job, rosa), by=rosa)
    with pytest.raises(Conflict, match="undo already"):
        decisions.undo(Decision.objects.get(kind="undo"), by=rosa)


def test_undo_after_the_window_is_refused(queue, job, rosa):
    queue.undo_seconds = 0
    queue.save()
    decision = violating(job, rosa)
    with pytest.raises(Conflict, match="time to undo is over"):
        decisions.undo(decision, by=rosa)


def test_only_she_can_undo_her_decision(job, rosa, remy, lena):
    decision = violating(job, rosa)
    for other in (remy, lena):
        with pytest.raises(Forbidden, match="your own"):
            decisions.undo(decision, by=other)


def test_undo_of_an_edited_item_takes_the_job_that_is_open(queue, job, rosa):
    decision = violating(job, rosa)
    edit(job.item)
    waiting = make_job(queue=queue, item=job.item)
    assert decisions.undo(decision, by=rosa) == waiting
    assert Job.objects.open().filter(item=job.item).count() == 1


# Override


def test_a_lead_overrides(job, rosa, lena):
    decision = violating(job, rosa)
    new = decisions.override(decision, by=lena, verdict="clean", note="satire")
    assert (new.kind, new.verdict, new.supersedes, new.note) == (
        "override",
        "clean",
        decision,
        "satire",
    )
    assert decision.enforcements.get().state == "reversed"
    assert Decision.objects.current().get(item=job.item) == new


def test_an_override_plans_its_own_actions(job, rosa, lena):
    decision = clean(job, rosa)
    new = decisions.override(
        decision, by=lena, verdict="violating", policy_slugs=["scam"], note="fake shop"
    )
    assert new.enforcements.get().action.slug == "remove"
    assert new.policy_versions.get().policy.slug == "scam"


def test_an_action_both_ask_for_is_not_reversed_in_between(job, rosa, lena):
    decision = violating(job, rosa)
    removal = decision.enforcements.get()
    new = decisions.override(
        decision,
        by=lena,
        verdict="violating",
        policy_slugs=["scam"],
        action_slugs=["remove", "suspend"],
        note="a scam rather",
    )
    removal.refresh_from_db()
    assert (removal.state, removal.decision) == ("planned", new)
    assert Enforcement.objects.live().count() == 2


def test_an_override_needs_a_note(job, rosa, lena):
    decision = violating(job, rosa)
    with pytest.raises(Invalid) as refusal:
        decisions.override(decision, by=lena, verdict="clean", note=" ")
    assert "note" in refusal.value.details


@pytest.mark.parametrize("verdict", ["unsure", "escalate", ""])
def test_an_override_settles(job, rosa, lena, verdict):
    with pytest.raises(Invalid):
        decisions.override(violating(job, rosa), by=lena, verdict=verdict, note="n")


def test_only_the_standing_decision_can_be_overridden(job, rosa, lena):
    decision = violating(job, rosa)
    decisions.override(decision, by=lena, verdict="clean", note="satire")
    with pytest.raises(Conflict, match="already superseded"):
        decisions.override(decision, by=lena, verdict="clean", note="satire")


def test_a_decision_taken_back_cannot_be_overridden(job, rosa, lena):
    decisions.undo(violating(job, rosa), by=rosa)
    with pytest.raises(Conflict, match="taken back"):
        decisions.override(
            Decision.objects.get(kind="undo"), by=lena, verdict="clean", note="satire"
        )


def test_a_lead_can_undo_her_own_override(job, rosa, lena):
    new = decisions.override(violating(job, rosa), by=lena, verdict="clean", note="satire")
    back = decisions.undo(new, by=lena)
    assert back.item == job.item
    assert not Decision.objects.settled().exists()


@pytest.mark.parametrize("name", ["remy", "paul", "mila", "abel", "ada", "otto"])
def test_who_is_not_a_lead_overrides_nothing(queue, job, rosa, name):
    decision = violating(job, rosa)
    with pytest.raises(Forbidden):
        decisions.override(decision, by=member(name, queue), verdict="clean", note="n")


def test_a_lead_of_another_platform_finds_no_decision(job, rosa):
    decision = violating(job, rosa)
    with pytest.raises(NotFound):
        decisions.override(decision, by=make_person("lena"), verdict="clean", note="n")


def test_the_database_too_lets_one_decision_stand_an_item(job, rosa):
    """A second one that supersedes nothing, however it came to be written."""
    decision = clean(job, rosa)
    decision.pk = decision.review = None
    with pytest.raises(IntegrityError, match="one_first_decision"), transaction.atomic():
        decision.save(force_insert=True)
