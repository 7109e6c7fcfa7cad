"""Track records: counted from decisions, worth something in the rank, hiding nobody's report."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mlhooks.models import DueScore
from reviews import claims, decisions, intake, ranking, reporters, reports
from reviews.models import DueReporter, Item, Job, Platform, Report, Reporter
from tests.conftest import wait_until
from tests.factories import make_kind, make_platform, make_policy, make_queue
from tests.people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform(db):
    return make_world()


def make_world(**queue_kw):
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    platform.queue = make_queue(
        platform=platform,
        is_default=True,
        policies=[make_policy(platform=platform, slug="spam")],
        **{"report_weight": 1, "undo_seconds": 600, **queue_kw},
    )
    platform.rosa = make_person("rosa", platform=platform)
    platform.lena = make_person("lena", platform=platform)
    platform.queue.members.set([platform.rosa, platform.lena])
    return platform


def submit(platform, *names):
    rows = [{"kind": "message", "external_id": name, "content": {"body": name}} for name in names]
    intake.submit_items(platform, rows, by=None)


def report(platform, item, *names, source="user", **kw):
    rows = [
        {"kind": "message", "item": item, "reason": "Spam", "source": source, "reporter": name}
        for name in names
    ]
    for row in rows:
        row |= kw
    assert {one.status for one in intake.file_reports(platform, rows, by=None)} == {"created"}


def decide(platform, name, verdict="violating"):
    """What rosa says of that item, whatever else waits."""
    job = Job.objects.get(item__external_id=name, item__platform=platform, state="ready")
    job = claims.claim_job(job, by=platform.rosa)
    return decisions.record_review(
        job.pk,
        job.claim_token,
        by=platform.rosa,
        verdict=verdict,
        policy_slugs=["spam"] if verdict == "violating" else (),
    )


def record(name, source="user"):
    one = Reporter.objects.get(external_id=name, source=source)
    return one.filed, one.settled, one.upheld


def test_a_new_reporter_has_a_record_as_soon_as_she_files(platform):
    submit(platform, "a", "b")
    report(platform, "a", "nora", "tom")
    report(platform, "b", "nora")
    assert (record("nora"), record("tom")) == ((2, 0, 0), (1, 0, 0))
    assert Reporter.objects.get(external_id="nora").trust == pytest.approx(ranking.USER_TRUST)


def test_a_trusted_flagger_begins_with_the_trust_of_her_source(platform):
    submit(platform, "a")
    report(platform, "a", "cert", source="trusted_flagger")
    assert Reporter.objects.get().trust == ranking.SOURCE_TRUST["trusted_flagger"]


def test_a_report_sent_twice_is_filed_once(platform):
    submit(platform, "a")
    report(platform, "a", "nora", external_id="r1")
    row = {"kind": "message", "item": "a", "reason": "Spam", "external_id": "r1"}
    intake.file_reports(platform, [{**row, "reporter": "nora"}], by=None)
    assert record("nora") == (1, 0, 0)


def test_a_decision_counts_for_everyone_who_had_reported(platform):
    submit(platform, "a", "b")
    report(platform, "a", "nora", "tom")
    report(platform, "b", "nora")
    decide(platform, "a")
    decide(platform, "b", "clean")
    assert DueReporter.objects.count() == 3
    assert reporters.refresh_reporters() == 3
    assert (record("nora"), record("tom")) == ((2, 2, 1), (1, 1, 1))
    assert reporters.refresh_reporters() == 0
    base = ranking.base_rate(2, 3)
    expected = ranking.trust(1, 2, prior=base)
    assert Reporter.objects.get(external_id="nora").trust == pytest.approx(expected)


def test_an_unreported_item_leaves_nothing_to_count_and_costs_no_statement(platform):
    submit(platform, "first", "a", "b")
    report(platform, "b", "nora")
    decide(platform, "first")  # statements are prepared once a connection
    counts = []
    for name in ("a", "b"):
        with CaptureQueriesContext(connection) as captured:
            decide(platform, name)
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert DueReporter.objects.count() == 1


def test_an_undo_and_an_override_put_the_record_right(platform):
    submit(platform, "a")
    report(platform, "a", "nora")
    first = decide(platform, "a")
    reporters.refresh_reporters()
    assert record("nora") == (1, 1, 1)
    decisions.override(first, by=platform.lena, verdict="clean", note="satire")
    reporters.refresh_reporters()
    assert record("nora") == (1, 1, 0)
    assert Platform.objects.values_list("reports_settled", "reports_upheld").get() == (1, 0)


def test_a_decision_taken_back_counts_no_more(platform):
    submit(platform, "a")
    report(platform, "a", "nora")
    first = decide(platform, "a")
    reporters.refresh_reporters()
    decisions.undo(first, by=platform.rosa)
    reporters.refresh_reporters()
    assert record("nora") == (1, 0, 0)


def test_who_reports_what_is_decided_already_earns_nothing(platform):
    submit(platform, "a")
    decide(platform, "a")
    report(platform, "a", "late")
    DueReporter.objects.create(reporter=Reporter.objects.get())
    reporters.refresh_reporters()
    assert record("late") == (1, 0, 0)


def test_the_same_item_reported_twice_counts_once(platform):
    submit(platform, "a")
    report(platform, "a", "nora", external_id="r1")
    report(platform, "a", "nora", external_id="r2")
    decide(platform, "a")
    reporters.refresh_reporters()
    assert record("nora") == (2, 1, 1)


def test_a_record_counts_the_newest(platform, monkeypatch):
    monkeypatch.setattr(reporters, "COUNTED", 2)
    names = ["a", "b", "c"]
    submit(platform, *names)
    for name in names:
        report(platform, name, "nora")
    for name in names:
        decide(platform, name, "clean" if name == "a" else "violating")
    reporters.refresh_reporters()
    assert record("nora") == (3, 2, 2)


def test_another_platform_with_the_same_name_is_another_reporter(platform):
    other = make_world()
    for one in (platform, other):
        submit(one, "a")
        report(one, "a", "nora")
    decide(platform, "a")
    reporters.refresh_reporters()
    found = dict(Reporter.objects.values_list("platform", "settled"))
    assert found == {platform.pk: 1, other.pk: 0}


def test_one_name_in_two_sources_has_two_records(platform):
    submit(platform, "a")
    report(platform, "a", "nora")
    report(platform, "a", "nora", source="rule", external_id="x")
    decide(platform, "a")
    reporters.refresh_reporters()
    assert (record("nora"), record("nora", "rule")) == ((1, 1, 1), (1, 1, 1))


def test_what_waits_with_her_reports_is_ranked_anew(platform):
    submit(platform, "a", "b", "c", "waits", "other")
    for name in ("a", "b", "c", "waits"):
        report(platform, name, "nora")
    before = dict(Job.objects.values_list("item__external_id", "rank"))
    for name in ("a", "b", "c"):
        decide(platform, name)
    reporters.refresh_reporters()
    after = dict(Job.objects.values_list("item__external_id", "rank"))
    assert after["waits"] > before["waits"]
    assert after["other"] == before["other"]
    item = Item.objects.get(external_id="waits")
    trust = Reporter.objects.get().trust
    assert item.report_trust == item.reporter_trust == pytest.approx(trust)
    # P = 0.1 unscored → 1 − 0.9 × (1 − trust), weight 4, one view, one minute.
    assert Job.objects.get(item=item).harm == pytest.approx(4 * (1 - 0.9 * (1 - trust)))


def test_who_was_wrong_again_and_again_never_pulls_an_item_below_an_unreported_one(platform):
    names = [f"n{n}" for n in range(9)]
    submit(platform, *names, "waits", "other")
    for name in (*names, "waits"):
        report(platform, name, "crank")
    for name in names:
        decide(platform, name, "clean")
    reporters.refresh_reporters()
    jobs = {job.item.external_id: job for job in Job.objects.select_related("item")}
    assert Reporter.objects.get().trust < 0.2
    assert jobs["waits"].harm > jobs["other"].harm


def test_a_queue_that_gives_reports_no_weight_ranks_reported_items_like_others():
    platform = make_world(report_weight=0)
    submit(platform, "a", "b")
    report(platform, "a", "cert", source="trusted_flagger")
    assert len(set(Job.objects.values_list("harm", flat=True))) == 1


def test_nameless_reports_count_twice_however_many_come(platform):
    submit(platform, "a")
    rows = [
        {"kind": "message", "item": "a", "reason": "Spam", "external_id": f"r{n}"}
        for n in range(300)
    ]
    intake.file_reports(platform, rows, by=None)
    base = ranking.USER_TRUST
    assert Item.objects.get().report_trust == pytest.approx(1 - (1 - base) ** 2)
    assert not Reporter.objects.exists()


def test_a_flood_does_not_bury_a_trusted_report(platform):
    submit(platform, "a")
    report(platform, "a", "cert", source="trusted_flagger")
    report(platform, "a", *[f"bot-{n}" for n in range(600)])
    item = Item.objects.get()
    assert item.reporter_trust == ranking.SOURCE_TRUST["trusted_flagger"]
    assert reports.trust_of_items([item.pk]) == {item.pk: item.reporter_trust}


def test_an_unreported_item_has_no_trusted_reporter(platform):
    submit(platform, "a")
    item = Item.objects.get()
    assert reports.trust_of_items([item.pk, 0]) == {item.pk: 0}


def test_a_record_that_cannot_be_counted_is_parked_and_stops_nobody(platform, monkeypatch):
    submit(platform, "a", "b")
    report(platform, "a", "nora")
    report(platform, "b", "tom")
    decide(platform, "a")
    decide(platform, "b")
    bad = Reporter.objects.get(external_id="nora").pk
    count = reporters.refresh

    def refresh(reporter_ids):
        if bad in reporter_ids:
            raise ValueError("cannot be counted")
        count(reporter_ids)

    monkeypatch.setattr(reporters, "refresh", refresh)
    for _ in range(3):
        reporters.refresh_reporters()
        DueReporter.objects.update(due_at=claims.clock() - timedelta(minutes=1))
    assert record("tom") == (1, 1, 1)
    due = DueReporter.objects.get()
    assert (due.reporter_id, due.attempts) == (bad, 3)
    assert due.parked_at is not None
    assert "cannot be counted" in due.error


def test_rows_from_before_there_were_records_are_carried_over(platform):
    """What migration 0023 does, on rows as they stood before it."""
    import importlib

    from django.apps import apps

    submit(platform, "a", "b", "waits")
    for name in ("a", "b", "waits"):
        report(platform, name, "nora")
    decide(platform, "a")
    for model in (DueReporter, Reporter):
        model.objects.all().delete()
    Item.objects.update(report_trust=0, reporter_trust=0)
    Job.objects.update(lift_at=None)
    module = importlib.import_module("reviews.migrations.0023_carry_lifts_draws_and_reporters")
    module.carry(apps, connection.schema_editor())
    reporters.refresh_reporters()
    assert record("nora") == (3, 1, 1)
    assert Item.objects.get(external_id="waits").report_trust > 0
    assert not Job.objects.filter(state="ready", lift_at=None).exists()


def test_within_seconds_through_the_real_worker(worker):
    platform = make_world(undo_seconds=0)
    submit(platform, "a", "b", "waits")
    DueScore.objects.all().delete()  # a score would move it too
    for name in ("a", "b", "waits"):
        report(platform, name, "nora")
    job = Job.objects.get(item__external_id="waits")
    decide(platform, "a")
    decide(platform, "b")
    wait_until(
        lambda: Job.objects.get(pk=job.pk).rank > job.rank,
        seconds=60,
        message="the waiting item was not ranked anew",
    )
    assert Reporter.objects.get().upheld == 2
    assert Report.objects.count() == 3
