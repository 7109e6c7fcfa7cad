"""What is new moves what waits: scores, reports, views, settings, policy versions, due times."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mlhooks.models import DueScore
from reviews import claims, intake, ranking, reranking
from reviews.models import Item, Job, PolicyVersion, Queue, QueueRanking, Report
from tests.conftest import wait_until
from tests.factories import make_item, make_job, make_kind, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


def make_world(**queue_kw):
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    platform.spam = make_policy(platform=platform, slug="spam", severity_weight=4)
    platform.queue = make_queue(
        platform=platform,
        is_default=True,
        policies=[platform.spam],
        **{"sla_minutes": 240, **queue_kw},
    )
    return platform


@pytest.fixture
def platform(db):
    return make_world(
        sla_by_source={"law_enforcement": 60, "trusted_flagger": 120}, soon_minutes=30
    )


def submit(platform, name="m", **kw):
    row = {"kind": "message", "external_id": name, "content": {"body": f"hello {name}"}, **kw}
    (outcome,) = intake.submit_items(platform, [row], by=None)
    return outcome


def report(platform, name="m", source="user", **kw):
    row = {"kind": "message", "item": name, "reason": "Spam", "source": source, **kw}
    (outcome,) = intake.file_reports(platform, [row], by=None)
    assert outcome.status == "created"


def job(name="m"):
    return Job.objects.get(item__external_id=name)


def opened_earlier(minutes, name="m"):
    """The job has waited that long already."""
    one = job(name)
    ago = timedelta(minutes=minutes)
    Job.objects.filter(pk=one.pk).update(
        created_at=one.created_at - ago,
        due_at=one.due_at - ago,
        lift_at=one.lift_at and one.lift_at - ago,
    )


def minutes_from(moment, start):
    return (moment - start).total_seconds() / 60


# Due times


def test_a_job_is_due_when_its_queue_says(platform):
    submit(platform)
    assert minutes_from(job().due_at, job().created_at) == pytest.approx(240)
    assert minutes_from(job().lift_at, job().created_at) == pytest.approx(210)


def test_a_later_report_of_law_enforcement_pulls_the_due_time_forward(platform):
    submit(platform)
    opened_earlier(100)
    report(platform, source="law_enforcement")
    # An hour from the report, which is before 240 − 100 minutes from now.
    filed_at = Report.objects.get().created_at
    assert minutes_from(job().due_at, filed_at) == pytest.approx(60)
    assert minutes_from(job().lift_at, filed_at) == pytest.approx(30)


def test_a_report_never_makes_a_job_due_later(platform):
    submit(platform)
    opened_earlier(220)
    before = job().due_at
    report(platform, source="law_enforcement")
    assert job().due_at == before


def test_a_source_without_a_promise_moves_no_due_time(platform):
    submit(platform)
    before = job().due_at
    report(platform, source="user")
    assert job().due_at == before


def test_the_first_report_of_a_source_counts_not_the_last(platform):
    submit(platform)
    report(platform, source="law_enforcement", external_id="1")
    Report.objects.update(created_at=timezone.now() - timedelta(minutes=20))
    report(platform, source="law_enforcement", external_id="2")
    assert minutes_from(job().due_at, timezone.now()) == pytest.approx(40, abs=1)


def test_a_report_that_opens_a_job_sets_its_due_time(platform):
    submit(platform)
    Job.objects.all().delete()
    report(platform, source="trusted_flagger")
    assert minutes_from(job().due_at, Report.objects.get().created_at) == pytest.approx(120)


# Lifts


def test_a_job_is_lifted_when_it_is_due_soon_and_again_when_it_is_late(platform):
    submit(platform)
    base = job().rank
    opened_earlier(211)
    assert claims.lift_overdue() == 1
    assert (job().is_soon, job().is_overdue, job().lift_at) == (True, False, job().due_at)
    assert job().rank == pytest.approx(base + ranking.SOON_LIFT)
    assert claims.lift_overdue() == 0
    opened_earlier(30)
    assert claims.lift_overdue() == 1
    assert (job().is_soon, job().is_overdue, job().lift_at) == (False, True, None)
    assert job().rank == pytest.approx(base + ranking.OVERDUE_LIFT)
    assert claims.lift_overdue() == 0


def test_a_job_that_was_held_past_its_due_time_is_lifted_straight_to_overdue(platform):
    rosa = make_person("rosa", platform=platform)
    platform.queue.members.add(rosa)
    submit(platform)
    base = job().rank
    held = claims.claim_next(platform.queue, by=rosa)
    opened_earlier(300)
    assert claims.lift_overdue() == 0
    claims.release(held.pk, held.claim_token, by=rosa)
    assert claims.lift_overdue() == 1
    assert job().rank == pytest.approx(base + ranking.OVERDUE_LIFT)


def test_serving_goes_late_then_soon_then_by_harm(platform):
    rosa = make_person("rosa", platform=platform)
    platform.queue.members.add(rosa)
    for name, views, waited in (("viral", 1e6, 0), ("soon", 1, 215), ("late", 1, 241)):
        submit(platform, name, views_per_hour=views)
        opened_earlier(waited, name)
    claims.lift_overdue()
    served = []
    for _ in range(3):
        held = claims.claim_next(platform.queue, by=rosa)
        served.append(held.item.external_id)
        claims.skip(held.pk, held.claim_token, by=rosa)
    assert served == ["late", "soon", "viral"]


def test_scores_keep_a_lift_and_a_law_enforcement_report_brings_one(platform):
    outcome = submit(platform)
    opened_earlier(215)
    claims.lift_overdue()
    intake.set_risks({outcome.item_id: {"spam": 0.9}}, source="v1")
    assert job().rank > ranking.SOON_LIFT / 2 and job().is_soon

    submit(platform, "other")
    Queue.objects.update(sla_by_source={"law_enforcement": 20})
    report(platform, "other", source="law_enforcement")
    assert job("other").is_soon
    assert job("other").rank > ranking.SOON_LIFT / 2


def test_what_was_asked_for_keeps_its_lift(platform):
    from reviews import decisions

    rosa = make_person("rosa", platform=platform)
    platform.queue.members.add(rosa, make_person("remy", platform=platform))
    submit(platform)
    opened_earlier(215)
    claims.lift_overdue()
    held = claims.claim_next(platform.queue, by=rosa)
    decisions.record_review(held.pk, held.claim_token, by=rosa, verdict="unsure")
    second = Job.objects.get(lane="second")
    assert (second.is_soon, second.lift_at) == (True, held.due_at)
    long_ago = timezone.now() - timedelta(hours=1)
    Job.objects.filter(pk=second.pk).update(due_at=long_ago, lift_at=long_ago)
    claims.lift_overdue()
    assert Job.objects.get(pk=second.pk).rank == pytest.approx(
        held.rank - ranking.SOON_LIFT + ranking.OVERDUE_LIFT
    )


# Views, settings, policy versions


def test_new_views_alone_rank_anew(platform):
    submit(platform, views_per_hour=1)
    before = job().rank
    assert submit(platform, views_per_hour=16).status == "changed"
    assert job().rank == pytest.approx(before + 4 * platform.queue.doubling_hours)


def test_a_version_with_another_weight_ranks_anew_when_it_takes_effect(platform):
    submit(platform)
    assert reranking.rerank_queues() == 0
    before = job().harm
    later = PolicyVersion.objects.create(
        policy=platform.spam,
        number=2,
        summary="s",
        definition="d",
        severity_weight=16,
        effective_at=timezone.now() + timedelta(hours=1),
    )
    assert reranking.rerank_queues() == 0
    assert job().harm == before
    PolicyVersion.objects.filter(pk=later.pk).update(effective_at=timezone.now())
    assert reranking.rerank_queues() == 1
    assert job().harm == pytest.approx(4 * before)
    assert reranking.rerank_queues() == 0


@pytest.mark.parametrize(
    ("values", "harm"),
    [({"handling_minutes": 2}, 0.5), ({"report_weight": 0}, 1), ({"doubling_hours": 7}, 1)],
)
def test_what_a_lead_changes_about_a_queue_ranks_it_anew(platform, values, harm):
    submit(platform)
    reranking.rerank_queues()
    before = job().harm
    Queue.objects.update(**values)
    assert reranking.rerank_queues() == 1
    assert job().harm == pytest.approx(harm * before)
    assert QueueRanking.objects.get().after_id is None


def test_a_longer_soon_time_lifts_what_waits(platform):
    submit(platform)
    reranking.rerank_queues()
    Queue.objects.update(soon_minutes=241)
    reranking.rerank_queues()
    assert job().is_soon


def test_a_walk_goes_on_where_it_stopped_and_reaches_all(platform, monkeypatch):
    monkeypatch.setattr(reranking, "_BATCH", 3)
    monkeypatch.setattr(reranking, "_WINDOW", 4)
    for number in range(20):
        make_job(queue=platform.queue, item=make_item(platform=platform, external_id=f"i{number}"))
    elsewhere = make_job()
    reranking.rerank_queues()
    Queue.objects.filter(pk=platform.queue.pk).update(handling_minutes=2)
    monkeypatch.setattr(reranking, "_SECONDS", 0.0)
    assert reranking.rerank_queues() == 0  # noticed, no time to walk
    assert QueueRanking.objects.exclude(after_id=None).count() == 1
    monkeypatch.setattr(reranking, "_SECONDS", 60.0)
    assert reranking.rerank_queues() == 20
    harms = Job.objects.filter(queue=platform.queue).values_list("harm", flat=True)
    assert list(harms) == pytest.approx([0.2] * 20)  # 4 × 0.1 ÷ 2
    assert Job.objects.get(pk=elsewhere.pk).harm == 0


def test_a_decision_taken_back_stays_on_top(platform):
    submit(platform)
    reranking.rerank_queues()
    Job.objects.update(rank=ranking.UNDONE_LIFT)
    Queue.objects.update(handling_minutes=2)
    reranking.rerank_queues()
    assert job().rank == ranking.UNDONE_LIFT


def test_within_seconds_through_the_real_worker(worker):
    """A due time that passes, a weight that changes: no one calls anything."""
    platform = make_world()
    submit(platform, "late")
    submit(platform, "other")
    DueScore.objects.all().delete()
    wait_until(QueueRanking.objects.exists, seconds=60)
    PolicyVersion.objects.create(
        policy=platform.spam,
        number=2,
        summary="s",
        definition="d",
        severity_weight=16,
        effective_at=timezone.now() + timedelta(seconds=2),
    )
    opened_earlier(241, "late")
    wait_until(lambda: job("late").is_overdue, seconds=60, message="it was not lifted")
    assert job("late").rank > ranking.OVERDUE_LIFT / 2
    wait_until(
        lambda: job("other").harm == pytest.approx(16 * ranking.PRIOR),
        seconds=60,
        message="the new weight did not count",
    )
    assert Item.objects.count() == 2
