"""Queues as configured things: checked as a whole, kept as revisions, put back, archived."""

from datetime import timedelta

import pytest

from reviews import access, claims, desk, intake, placement, queues, reranking, revisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import (
    AuditEntry,
    Claim,
    Item,
    Job,
    Lane,
    Queue,
    QueueRanking,
    Report,
    Revision,
)
from reviews.routing import Router

from .factories import (
    claimed_job,
    make_action,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from .people import make_person

pytestmark = pytest.mark.django_db


class World:
    def __init__(self):
        self.platform = make_platform()
        for name in ("rosa", "remy", "lena", "paul", "ada"):
            setattr(self, name, make_person(name, platform=self.platform))
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam", key="1")
        self.remove = make_action(platform=self.platform, slug="remove", name="Remove", key="r")
        self.limit = make_action(platform=self.platform, slug="limit", name="Limit", key="l")
        self.default = make_queue(
            platform=self.platform, slug="all", name="All", policies=[self.spam], is_default=True
        )

    def data(self, **kw):
        return {
            **queues.NEW,
            "name": "Scams",
            "policies": ["spam"],
            "actions": ["remove", "limit"],
            "members": ["remy", "rosa"],
            "random_percent": 0,
            **kw,
        }

    def make(self, slug="scams", **kw):
        return queues.create_queue(self.platform, slug, self.data(**kw), by=self.lena)


@pytest.fixture
def world():
    return World()


def refusals(world, queue=None, **kw):
    with pytest.raises(Invalid) as refused:
        if queue is None:
            world.make(**kw)
        else:
            queues.save_queue(queue, {**queues.read(queue), **kw}, by=world.lena)
    return refused.value.details


def test_what_is_saved_is_read_back_the_same(world):
    make_kind(platform=world.platform, slug="mail")
    data = world.data(
        kinds=["mail"],
        action_keys={"limit": "x"},
        hidden_actions=["remove"],
        lane_shares={"random": 12.5, "gold": 5},
        sla_by_source={"user": 60, "law_enforcement": 15},
        blind=["score"],
        filters=["blur"],
        lease_minutes=0.5,
        reviews_wanted=2,
        random_percent=7,
        description="What people report.",
    )
    queue = queues.create_queue(world.platform, "scams", data, by=world.lena)
    assert queues.read(Queue.objects.get(pk=queue.pk)) == data
    assert Revision.objects.get(target_type="queue").data == data
    queue.refresh_from_db()
    assert (queue.lease_seconds, queue.random_rate, queue.lane_shares["random"]) == (
        30,
        0.07,
        0.125,
    )


def test_a_save_writes_one_revision_and_one_audit_entry_with_the_fields_that_changed(world):
    queue = world.make()
    queues.save_queue(
        queue,
        {**queues.read(queue), "sla_minutes": 60, "name": "Scam"},
        by=world.lena,
        note="Complaints",
    )
    [newest, _] = revisions.history(queue)
    assert (newest.number, newest.by, newest.note) == (2, world.lena, "Complaints")
    entry = AuditEntry.objects.filter(verb="queue.save").latest("pk")
    assert entry.actor == world.lena
    assert sorted(entry.data["changed"]) == ["name", "sla_minutes"]


def test_saving_what_stands_already_keeps_nothing(world):
    queue = world.make()
    queues.save_queue(queue, queues.read(queue), by=world.lena)
    assert revisions.history(queue).count() == 1
    assert AuditEntry.objects.filter(verb="queue.save").count() == 1


def test_how_a_queue_was_before_its_first_save_is_kept_too(world):
    before = queues.read(world.default)
    queues.save_queue(world.default, {**before, "name": "Rest"}, by=world.lena)
    [second, first] = revisions.history(world.default)
    assert (first.data, first.by) == (before, None)
    queues.put_back(world.default, 1, by=world.lena)
    assert queues.read(Queue.objects.get(pk=world.default.pk)) == before


def test_an_old_state_is_put_back_as_a_new_revision(world):
    queue = world.make()
    before = queues.read(queue)
    queues.save_queue(queue, {**before, "name": "Other", "actions": ["limit"]}, by=world.lena)
    queues.put_back(queue, 1, by=world.paul, seen=2)
    newest = revisions.history(queue).first()
    assert (newest.number, newest.restores.number, newest.by) == (3, 1, world.paul)
    assert queues.read(Queue.objects.get(pk=queue.pk)) == before
    assert AuditEntry.objects.filter(verb="queue.restore").get().data["restores"] == 1


def test_a_state_that_names_what_is_gone_is_not_put_back_and_says_what(world):
    queue = world.make()
    queues.save_queue(queue, {**queues.read(queue), "actions": ["limit"]}, by=world.lena)
    world.remove.is_archived = True
    world.remove.save()
    world.remy.is_active = False
    world.remy.save()
    world.default.members.clear()
    before = queues.read(queue)
    with pytest.raises(Invalid, match="Remove is archived.*remy cannot work here"):
        queues.put_back(queue, 1, by=world.lena)
    assert queues.read(Queue.objects.get(pk=queue.pk)) == before


def test_which_queue_is_the_default_is_not_taken_from_the_past(world):
    queue = world.make()
    queues.save_queue(queue, {**queues.read(queue), "is_default": True}, by=world.lena)
    queues.put_back(queue, 1, by=world.lena)
    queue.refresh_from_db()
    assert queue.is_default


def test_a_form_opened_before_somebody_elses_save_saves_nothing(world):
    queue = world.make()
    queues.save_queue(queue, {**queues.read(queue), "name": "Hers"}, by=world.paul, seen=1)
    with pytest.raises(Conflict, match="changed by paul"):
        queues.save_queue(queue, {**queues.read(queue), "name": "Mine"}, by=world.lena, seen=1)
    queue.refresh_from_db()
    assert queue.name == "Hers"


@pytest.mark.parametrize(
    ("field", "value", "where", "words"),
    [
        ("name", " ", "name", "1 to 80"),
        ("name", "ALL", "name", "Another queue"),
        ("policies", [], "policies", "at least one"),
        ("policies", ["gone"], "policies", "no policy gone"),
        ("kinds", ["gone"], "kinds", "no item kind gone"),
        ("members", ["paul"], "members", "paul cannot work here"),
        ("members", ["nobody"], "members", "nobody cannot"),
        ("reviews_wanted", 3, "reviews_wanted", "at least 3 people"),
        ("lease_minutes", 0.4, "lease_minutes", "0.5 to 240"),
        ("undo_seconds", -1, "undo_seconds", "0 to 3,600"),
        ("sla_minutes", 0, "sla_minutes", "1 to 43,200"),
        ("soon_minutes", 240, "soon_minutes", "shortest time to answer"),
        ("doubling_hours", 0, "doubling_hours", "0.1 to 168"),
        ("handling_minutes", 1000, "handling_minutes", "0.05 to 240"),
        ("random_percent", 101, "random_percent", "0 to 100"),
        ("sla_by_source", {"user": 0}, "sla_by_source.user", "1 to 43,200"),
        ("sla_by_source", {"oracle": 9}, "sla_by_source", "no source oracle"),
        ("lane_shares", {"gold": -1}, "lane_shares.gold", "0 and 100"),
        ("lane_shares", {"gold": 60, "qa": 41}, "lane_shares", "101 %"),
        ("lane_shares", {"risk": 5}, "lane_shares", "Risk gets"),
        ("blind", ["all"], "blind", "no all"),
        ("filters", ["loud"], "filters", "no loud"),
        ("action_keys", {"remove": "-"}, "action_keys.remove", "one letter"),
        ("action_keys", {"gone": "g"}, "actions", "not offered"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(
    world, field, value, where, words
):
    before = Queue.objects.count()
    details = refusals(world, **{field: value})
    assert words in " ".join(details[where]), details
    assert set(details) == {where}
    assert Queue.objects.count() == before


def test_everything_wrong_is_said_at_once(world):
    details = refusals(world, name="", lease_minutes=0, policies=[])
    assert set(details) == {"name", "lease_minutes", "policies"}


@pytest.mark.parametrize(
    ("keys", "where", "words"),
    [
        ({"limit": "r"}, "limit", "R is the key of Remove"),
        ({"limit": "1"}, "limit", "1 is the key of the policy Spam"),
        ({"limit": "0"}, "limit", "the desk itself"),
        ({"remove": "S"}, "remove", "the desk itself"),
    ],
)
def test_a_key_has_one_meaning_in_a_queue(world, keys, where, words):
    details = refusals(world, action_keys=keys)
    assert words in details[f"action_keys.{where}"][0]


def test_a_hidden_action_takes_no_key(world):
    queue = world.make(action_keys={"limit": "r"}, hidden_actions=["limit"])
    assert [option.key for option in desk.read_rules(queue.pk).actions] == ["r"]


def test_the_desk_shows_actions_in_the_queues_order_with_its_keys(world):
    queue = world.make(actions=["limit", "remove"], action_keys={"limit": "x"})
    options = desk.read_rules(queue.pk).actions
    assert [(one.key, one.action.slug) for one in options] == [("x", "limit"), ("r", "remove")]


def test_names_of_another_platform_do_not_exist(world):
    elsewhere = make_platform()
    make_policy(platform=elsewhere, slug="theirs")
    make_action(platform=elsewhere, slug="theirs")
    make_person("otto", platform=elsewhere)
    details = refusals(world, policies=["theirs"], actions=["theirs"], members=["otto"])
    assert set(details) == {"policies", "actions", "members"}


def test_a_policy_owner_sets_up_a_queue_but_does_not_staff_it(world):
    queue = world.make()
    data = queues.read(queue)
    queues.save_queue(queue, {**data, "sla_minutes": 30}, by=world.paul)
    with pytest.raises(Forbidden, match="queue.staff"):
        queues.save_queue(queue, {**data, "members": ["rosa"]}, by=world.paul)
    with pytest.raises(Forbidden):
        queues.save_queue(queue, data, by=world.rosa)


def test_setting_the_default_moves_the_flag_and_both_keep_a_revision(world):
    queue = world.make()
    queues.save_queue(queue, {**queues.read(queue), "is_default": True}, by=world.lena)
    world.default.refresh_from_db()
    queue.refresh_from_db()
    assert (world.default.is_default, queue.is_default) == (False, True)
    assert revisions.history(world.default).first().data["is_default"] is False
    assert "Make another" in refusals(world, queue, is_default=False)["is_default"][0]


def test_the_first_queue_of_a_platform_is_its_default(world):
    platform = make_platform()
    make_policy(platform=platform, slug="spam")
    queue = queues.create_queue(platform, "first", {"name": "First", "policies": ["spam"]}, by=None)
    assert queue.is_default


@pytest.mark.parametrize("slug", ["", "a", "Ab", "new", "all", "-a", "a b", "x" * 41])
def test_an_address_is_short_plain_and_free(world, slug):
    assert set(refusals(world, slug=slug)) == {"slug"}


def test_who_is_taken_out_gives_back_what_she_holds_and_what_was_kept_for_her(world):
    queue = world.make()
    job = claimed_job(world.remy, queue=queue)
    kept = make_job(queue=queue, assigned_to=world.remy)
    elsewhere = claimed_job(world.remy, queue=world.default)
    queues.save_queue(queue, {**queues.read(queue), "members": ["rosa"]}, by=world.lena)
    for row in (job, kept):
        row.refresh_from_db()
        assert (row.state, row.claimed_by, row.assigned_to) == ("ready", None, None)
    elsewhere.refresh_from_db()
    assert elsewhere.claimed_by == world.remy
    assert Claim.objects.get(job=job).end == Claim.End.RELEASED
    assert AuditEntry.objects.get(verb="job.take_back").data["claims"] == 1
    assert claims.claim_next(queue, by=world.rosa) is not None


# Ranking again


def rule(name, condition, queue):
    return {"name": name, "condition": condition, "queue": queue.slug}


def rank_of(job):
    return Job.objects.values_list("rank", flat=True).get(pk=job.pk)


def test_a_change_of_ranking_ranks_what_waits_again(world):
    queue = world.make()
    make_rules(world.platform, rule("All", "views_per_hour >= 0", queue))
    item = make_item(platform=world.platform, risks={"spam": 0.9}, views_per_hour=100)
    make_job(queue=queue, item=item)
    reranking.rerank_queues()
    [job] = intake.open_jobs([item])
    queues.save_queue(queue, {**queues.read(queue), "name": "Same rank"}, by=world.lena)
    assert reranking.rerank_queues() == 0
    queues.save_queue(queue, {**queues.read(queue), "doubling_hours": 4}, by=world.lena)
    assert reranking.rerank_queues() == 1
    place = Router(world.platform).place(
        item.pk,
        Queue.objects.get(pk=queue.pk),
        risks=item.risks,
        views_per_hour=100,
        submitted_at=Item.objects.get(pk=item.pk).submitted_at,
        opened_at=job.created_at,
    )
    assert rank_of(job) == pytest.approx(place.rank)
    assert QueueRanking.objects.get(queue=queue).after_id is None


def test_ranking_again_twice_changes_nothing(world):
    queue = world.default
    job = make_job(queue=queue)
    queues.save_queue(queue, {**queues.read(queue), "sla_minutes": 30}, by=world.lena)
    assert reranking.rerank_queues() == 1
    before = Job.objects.values().get(pk=job.pk)
    assert reranking.rerank_queues() == 0
    QueueRanking.objects.filter(queue=queue).update(settings={})
    assert reranking.rerank_queues() == 1
    assert Job.objects.values().get(pk=job.pk) == before


def test_a_shorter_time_to_answer_holds_for_what_waits_and_a_longer_one_too(world):
    queue = world.default
    job = make_job(queue=queue)
    created = Job.objects.get(pk=job.pk).created_at - timedelta(hours=2)
    Job.objects.filter(pk=job.pk).update(created_at=created)
    for sla, is_overdue in ((60, True), (600, False)):
        queues.save_queue(queue, {**queues.read(queue), "sla_minutes": sla}, by=world.lena)
        reranking.rerank_queues()
        job.refresh_from_db()
        assert (job.due_at, job.is_overdue) == (created + timedelta(minutes=sla), is_overdue)
        assert (job.rank > 500_000) is is_overdue


def test_a_report_makes_a_job_due_by_the_time_for_its_source(world):
    queue = world.default
    job = make_job(queue=queue)
    report = Report.objects.create(
        item=job.item, external_id="r", source="law_enforcement", reason="Order"
    )
    report.refresh_from_db()
    change = {"sla_by_source": {"law_enforcement": 15, "user": 5}}
    queues.save_queue(queue, {**queues.read(queue), **change}, by=world.lena)
    reranking.rerank_queues()
    job.refresh_from_db()
    assert job.due_at == report.created_at + timedelta(minutes=15)


def test_a_sweep_that_was_killed_is_taken_up_again(world, monkeypatch):
    queue = world.default
    job = make_job(queue=queue)
    queues.save_queue(queue, {**queues.read(queue), "sla_minutes": 30}, by=world.lena)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(placement, "rerank_jobs", killed)
        reranking.rerank_queues()
    before = job.due_at
    assert reranking.rerank_queues() == 1
    job.refresh_from_db()
    assert job.due_at < before


def test_a_due_time_set_for_another_reason_survives_a_change_that_only_ranks(world):
    queue = world.default
    job = make_job(queue=queue)
    Job.objects.filter(pk=job.pk).update(due_at=job.created_at + timedelta(minutes=7))
    queues.save_queue(queue, {**queues.read(queue), "doubling_hours": 4}, by=world.lena)
    assert reranking.rerank_queues() == 1
    job.refresh_from_db()
    assert job.due_at == job.created_at + timedelta(minutes=7)


def test_one_bad_job_keeps_its_rank_and_the_rest_are_ranked(world, monkeypatch):
    queue = world.default
    bad, good = make_job(queue=queue), make_job(queue=queue)
    Item.objects.filter(pk=bad.item_id).update(risks=["no", "mapping"])
    queues.save_queue(queue, {**queues.read(queue), "sla_minutes": 30}, by=world.lena)
    assert reranking.rerank_queues() == 2
    assert (rank_of(bad), rank_of(good) != 0) == (0, True)


def test_one_bad_job_does_not_stop_what_is_ranked_by_other_settings(world):
    queue = world.default
    bad, good = make_job(queue=queue), make_job(queue=queue)
    reranking.rerank_queues()
    Item.objects.filter(pk=bad.item_id).update(risks=["no", "mapping"])
    queues.save_queue(queue, {**queues.read(queue), "handling_minutes": 3}, by=world.lena)
    assert reranking.rerank_queues() == 2
    assert (rank_of(bad), rank_of(good) != 0) == (0, True)
    assert reranking.rerank_queues() == 0


# Archiving


def test_an_archived_queue_takes_nothing_is_not_worked_and_its_jobs_move_on(world):
    queue = world.make()
    make_job(queue=queue, assigned_to=world.rosa)
    second = make_job(queue=queue, lane=Lane.SECOND)
    queues.archive_queue(queue, by=world.lena)
    assert reranking.rerank_queues() == 2
    assert {job.queue_id for job in Job.objects.all()} == {world.default.pk}
    second.refresh_from_db()
    assert second.lane == Lane.SECOND
    assert not Job.objects.exclude(assigned_to=None).exists()
    queue.refresh_from_db()
    with pytest.raises(NotFound, match="archived"):
        claims.claim_next(queue, by=world.rosa)
    assert queue not in access.queues_to_work(world.rosa)
    make_rules(world.platform, rule("All", "views_per_hour >= 0", queue))
    [job] = intake.open_jobs([make_item(platform=world.platform)])
    assert job.queue == world.default


def test_what_comes_back_to_an_archived_queue_moves_on_too(world):
    queue = world.make()
    job = claimed_job(world.rosa, queue=queue)
    queues.archive_queue(queue, by=world.lena)
    reranking.rerank_queues()
    claims.release(job.pk, job.claim_token, by=world.rosa)
    assert reranking.rerank_queues() == 1
    job.refresh_from_db()
    assert job.queue == world.default


def test_the_default_queue_and_one_that_a_rule_names_are_not_archived(world):
    with pytest.raises(Conflict, match="default"):
        queues.archive_queue(world.default, by=world.lena)
    queue = world.make()
    make_rules(world.platform, rule("Likely scams", "risk.spam > 0.5", queue))
    with pytest.raises(Conflict, match="Likely scams"):
        queues.archive_queue(queue, by=world.lena)


def test_an_archived_queue_comes_back_as_it_was_and_is_edited_only_then(world):
    queue = world.make()
    before = queues.read(queue)
    queues.archive_queue(queue, by=world.lena)
    queues.archive_queue(queue, by=world.lena)
    with pytest.raises(Conflict, match="archived"):
        queues.save_queue(queue, before, by=world.lena)
    queues.unarchive_queue(queue, by=world.lena)
    assert queues.read(Queue.objects.get(pk=queue.pk)) == before
    assert [row.number for row in revisions.history(queue)] == [3, 2, 1]


# Staffing from the person's side


def test_a_lead_chooses_the_queues_of_a_person_and_each_keeps_a_revision(world):
    queue = world.make(members=["rosa"])
    queues.staff(world.remy, world.platform, ["scams"], by=world.lena)
    newest = revisions.history(queue).first()
    assert (newest.data["members"], newest.note) == (["remy", "rosa"], "remy works it now.")
    queues.staff(world.remy, world.platform, [], by=world.lena)
    assert queues.read(queue)["members"] == ["rosa"]
    assert not revisions.history(world.default).exists()


def test_only_who_may_claim_is_put_into_a_queue(world):
    world.make()
    with pytest.raises(Invalid, match="no role that reviews"):
        queues.staff(world.paul, world.platform, ["scams"], by=world.lena)
    with pytest.raises(Invalid, match="Not a queue"):
        queues.staff(world.remy, world.platform, ["gone"], by=world.lena)
    with pytest.raises(Forbidden):
        queues.staff(world.remy, world.platform, ["scams"], by=world.paul)


def test_a_queue_keeps_as_many_people_as_it_wants_reviews(world):
    world.make(reviews_wanted=2)
    with pytest.raises(Invalid, match="wants 2 independent reviews"):
        queues.staff(world.remy, world.platform, [], by=world.lena)


# Canned notes and reasons to skip


def test_canned_notes_are_settings_of_the_queue_with_a_history(world):
    note = {"text": "Not allowed: {policy}", "policy": "spam", "language": "pt-BR"}
    queue = queues.create_queue(
        world.platform, "scams", world.data(canned_notes=[note]), by=world.lena
    )
    assert queues.read(queue)["canned_notes"] == [note]
    queues.save_queue(queue, {"canned_notes": []}, by=world.lena)
    queues.put_back(queue, 1, by=world.lena)
    assert Queue.objects.get(pk=queue.pk).canned_notes == [note]


@pytest.mark.parametrize(
    "wrong",
    [{"text": " "}, {"text": "a" * 2001}, {"policy": "hate"}, {"language": "English!"}],
)
def test_a_canned_note_that_fits_nothing_is_refused(world, wrong):
    note = {"text": "Not allowed", "policy": "", "language": "", **wrong}
    with pytest.raises(Invalid) as refused:
        queues.create_queue(world.platform, "scams", world.data(canned_notes=[note]), by=world.lena)
    assert "canned_notes.0" in refused.value.details


@pytest.mark.parametrize("reasons", [["a"] * 2, ["a" * 61], [str(n) for n in range(10)]])
def test_reasons_to_skip_are_few_short_and_different(world, reasons):
    with pytest.raises(Invalid) as refused:
        queues.create_queue(
            world.platform, "scams", world.data(skip_reasons=reasons), by=world.lena
        )
    assert "skip_reasons" in refused.value.details
