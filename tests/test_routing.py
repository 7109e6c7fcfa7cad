"""Rules, draws, placements: which queue, which lane, which rank."""

import logging
import math
from datetime import timedelta

import pytest
from django.utils import timezone

from reviews import claims, decisions, facts, intake, reporters, routing
from reviews.errors import Conflict
from reviews.models import Draw, Item, Job, Lane
from tests.factories import (
    make_account,
    make_item,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    make_rules,
)
from tests.people import make_person


@pytest.fixture
def platform(db):
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    phishing = make_policy(platform=platform, slug="phishing")
    make_queue(platform=platform, slug="general", is_default=True, policies=[phishing])
    make_queue(platform=platform, slug="phishing", sla_minutes=30, policies=[phishing])
    return platform


def rule(condition, queue="phishing", **kw):
    return {"condition": condition, "queue": queue, **kw}


def test_the_first_rule_that_holds_wins(platform):
    make_rules(platform, rule("report_count >= 1"), rule("report_count >= 0", "general"))

    assert routing.route(make_item(platform=platform, report_count=1)).slug == "phishing"
    assert routing.route(make_item(platform=platform, report_count=0)).slug == "general"


def test_without_a_rule_that_holds_the_default_queue_takes_it(platform):
    make_rules(platform, rule("report_count > 5"))

    assert routing.route(make_item(platform=platform)).slug == "general"


def test_an_inactive_rule_is_not_asked(platform):
    make_rules(platform, rule("true", is_active=False))

    assert routing.route(make_item(platform=platform)).slug == "general"


def test_only_the_published_version_is_asked(platform):
    make_rules(platform, rule("true"))
    make_rules(platform, rule("report_count > 5"))
    make_rules(platform, rule("true"), state="draft", published_at=None)

    assert routing.route(make_item(platform=platform)).slug == "general"


@pytest.mark.parametrize(
    "bad",
    [
        rule("this is (not"),
        rule("true", "nowhere"),
        rule("true", "old"),
        {"condition": {"all": []}, "queue": "general"},
        {"condition": {"fact": "report_count", "op": "~", "value": 1}, "queue": "general"},
        {"condition": {"all": [{"expression": "false) or (true"}]}, "queue": "general"},
    ],
)
def test_a_rule_that_cannot_run_is_skipped_and_told_to_the_log(platform, caplog, bad):
    make_queue(platform=platform, slug="old", is_archived=True)
    make_rules(platform, bad, rule("true"))
    routing._compile_rules.cache_clear()
    routing._tell_skipped.cache_clear()

    with caplog.at_level(logging.ERROR):
        queue = routing.route(make_item(platform=platform))

    assert queue.slug == "phishing"
    assert "Rule 1” is skipped" in caplog.text


def test_rules_may_ask_for_content_and_strikes(platform):
    make_rules(platform, rule('"verify" in field.body and strikes == 0'))
    account = make_account(platform=platform)

    known = make_item(platform=platform, text="please verify", account=account)
    assert routing.route(known).slug == "phishing"
    nobody = make_item(platform=platform, text="please verify")
    assert routing.route(nobody).slug == "general"


def leaf(fact, op, value=None):
    return {"all": [{"fact": fact, "op": op, "value": value}]}


def submit(platform, n, **kw):
    row = {"kind": "message", "external_id": f"m-{n}", "content": {"body": f"text {n}"}, **kw}
    return intake.submit_items(platform, [row], by=None)[0].item_id


def report(platform, n, **kw):
    row = {"kind": "message", "item": f"m-{n}", "reason": "Spam", **kw}
    [outcome] = intake.file_reports(platform, [row], by=None)
    assert outcome.status == "created", outcome.errors


@pytest.mark.parametrize(
    ("condition", "reports", "expected"),
    [
        (leaf("sources", "has", "trusted_flagger"), [{"source": "trusted_flagger"}], "phishing"),
        (leaf("sources", "has", "trusted_flagger"), [{"source": "user"}], "general"),
        (leaf("reasons", "has_any", ["Scam", "Fraud"]), [{"reason": "Fraud"}], "phishing"),
        (leaf("reports.user", ">=", 2), [{"reporter": "a"}, {"reporter": "b"}], "phishing"),
        (leaf("reports.user", ">=", 2), [{"reporter": "a"}, {"source": "rule"}], "general"),
        (leaf("reports.rule", "=", 0), [{"reporter": "a"}], "phishing"),
        (leaf("reporter_trust", "known"), [{"reporter": ""}], "general"),
        (leaf("reporter_trust", "=", 0.3), [{"reporter": "new"}], "phishing"),
    ],
)
def test_a_report_moves_the_job_by_its_source_reason_and_reporter(
    platform, condition, reports, expected
):
    make_rules(platform, rule(condition))
    submit(platform, 1)
    for one in reports:
        report(platform, 1, **one)

    assert Job.objects.get().queue.slug == expected


def decide(platform, n, verdict):
    """What became of an item that `n` named, by the real services."""
    lena = make_person("lena", platform=platform)
    for queue in platform.queues.all():
        queue.members.add(lena)
    Job.objects.filter(item__external_id=f"m-{n}").update(rank=90_000)
    job = claims.claim_next(Job.objects.get(item__external_id=f"m-{n}").queue, by=lena)
    assert job.item.external_id == f"m-{n}"
    decisions.record_review(
        job.pk,
        job.claim_token,
        by=lena,
        verdict=verdict,
        policy_slugs=["phishing"] if verdict == "violating" else (),
        action_slugs=[],
    )


def test_a_reporters_record_is_the_share_of_her_reports_that_were_upheld(platform):
    for n, verdict in enumerate(["violating", "violating", "clean"]):
        submit(platform, n)
        report(platform, n, reporter="ana")
        decide(platform, n, verdict)
    submit(platform, 9)
    report(platform, 9, reporter="ana")
    report(platform, 9, reporter="new")
    item_id = Job.objects.ready().get().item_id

    reporters.refresh_reporters()
    # Users here: (2 + 0.3 × 20) / (3 + 20) = 0.348. ana: (2 + 0.348 × 8) / (3 + 8) = 0.435
    trust = facts.trust_of_items([item_id])[item_id]
    assert trust.best == pytest.approx(0.435, abs=0.02)
    # Of the new one nothing is known: 0.3, until her record is worked out.
    assert trust.mean == pytest.approx((0.435 + 0.3) / 2, abs=0.01)


def test_a_rule_does_not_hold_for_a_kind_that_its_queue_does_not_take(platform):
    make_rules(platform, rule({"expression": "true"}))
    urgent = platform.queues.get(slug="phishing")
    urgent.kinds.set([make_kind(platform=platform, slug="post")])
    submit(platform, 1)
    assert Job.objects.get().queue.slug == "general"
    urgent.kinds.add(platform.kinds.get(slug="message"))
    submit(platform, 2)
    assert Job.objects.latest("pk").queue == urgent


def test_a_reporter_of_another_platform_is_another_person(platform):
    other = make_platform()
    make_kind(platform=other, slug="message")
    make_queue(
        platform=other,
        slug="q",
        is_default=True,
        policies=[make_policy(platform=other, slug="phishing")],
    )
    submit(other, 1)
    report(other, 1, reporter="ana")
    decide(other, 1, "violating")
    item_id = submit(platform, 1)
    report(platform, 1, reporter="ana")

    reporters.refresh_reporters()
    assert facts.trust_of_items([item_id])[item_id].best == pytest.approx(0.3)


def test_the_items_of_seven_days_count_those_of_the_same_call_and_of_before(platform):
    make_rules(platform, rule(leaf("recent_items", ">", 2)))
    author = {"account": {"external_id": "ana"}}
    first = submit(platform, 0, **author)
    Item.objects.filter(pk=first).update(submitted_at=timezone.now() - timedelta(days=8))
    rows = [
        {"kind": "message", "external_id": f"m-{n}", "content": {"body": f"{n}"}, **author}
        for n in (1, 2, 3, 4)
    ]
    intake.submit_items(platform, rows, by=None)

    queues = dict(Job.objects.values_list("item__external_id", "queue__slug"))
    assert queues == {
        "m-0": "general",
        "m-1": "general",
        "m-2": "general",
        "m-3": "phishing",
        "m-4": "phishing",
    }
    assert routing.route(Item.objects.get(external_id="m-4")).slug == "phishing"


def test_facts_that_no_rule_reads_are_not_read(platform, django_assert_num_queries):
    item_ids = [make_item(platform=platform).pk for _ in range(3)]
    rows = [(pk, None, timezone.now()) for pk in item_ids]
    with django_assert_num_queries(0):
        facts.read_background(frozenset({"kind", "risk", "report_count"}), rows)
    with django_assert_num_queries(3):
        facts.read_background(frozenset({"field", "sources", "reports", "reporter_trust"}), rows)


def test_a_platform_without_queues_takes_nothing(db):
    with pytest.raises(Conflict, match="no queue"):
        routing.Router(make_platform())


def test_draw_values_are_fixed_for_ever():
    # sha256("1:42")[:8] as a fraction of 2^64.
    assert routing.draw_value(1, 42) == pytest.approx(
        int.from_bytes(__import__("hashlib").sha256(b"1:42").digest()[:8]) / 2**64
    )


def test_the_realised_rate_of_the_draw_is_its_probability():
    rate, n = 0.1, 10_000
    for seed in (1, 2, 3):
        drawn = sum(routing.draw_value(seed, pk) < rate for pk in range(1, n + 1))
        # Binomial: sd = sqrt(n p (1 - p)) = 30.
        assert abs(drawn - n * rate) < 4 * math.sqrt(n * rate * (1 - rate))


def test_ten_thousand_items_are_drawn_at_the_rate_and_can_be_drawn_again(platform):
    platform.queues.filter(slug="general").update(random_rate=0.05, draw_seed=7)
    rows = [
        {"kind": "message", "external_id": f"m-{n}", "content": {"body": f"text {n}"}}
        for n in range(10_000)
    ]
    intake.submit_items(platform, rows, by=None)

    drawn = set(Job.objects.filter(lane=Lane.RANDOM).values_list("item_id", flat=True))
    assert abs(len(drawn) - 500) < 4 * math.sqrt(10_000 * 0.05 * 0.95)
    everything = Job.objects.values_list("item_id", flat=True)
    assert drawn == {pk for pk in everything if routing.draw_value(7, pk) < 0.05}
    draw = Draw.objects.get()
    assert (draw.probability, draw.seed, draw.strategy) == (0.05, 7, Draw.Strategy.POISSON)
    job = Job.objects.filter(lane=Lane.RANDOM).first()
    assert (job.draw, job.inclusion_probability) == (draw, 0.05)
    assert not Job.objects.filter(lane=Lane.RISK, draw__isnull=False).exists()


def test_a_changed_rate_is_another_draw(platform):
    general = platform.queues.filter(slug="general")
    for number, rate in enumerate((1, 0.9999)):
        general.update(random_rate=rate)
        row = {"kind": "message", "external_id": f"m-{number}", "content": {"body": "hi"}}
        intake.submit_items(platform, [row], by=None)

    assert sorted(Draw.objects.values_list("probability", flat=True)) == [0.9999, 1]


def test_a_job_that_moves_is_drawn_anew_for_its_new_queue(platform):
    platform.queues.filter(slug="phishing").update(random_rate=1, draw_seed=3)
    make_rules(platform, rule("risk.phishing >= 0.5"))
    row = {"kind": "message", "external_id": "m-1", "content": {"body": "hi"}}
    [outcome] = intake.submit_items(platform, [row], by=None)
    before = Job.objects.get()
    intake.set_risks({outcome.item_id: {"phishing": 0.9}}, source="v1 zero-shot")

    job = Job.objects.get()
    assert (before.queue.slug, before.lane) == ("general", Lane.RISK)
    assert (job.queue.slug, job.lane, job.inclusion_probability) == ("phishing", Lane.RANDOM, 1)
    assert (job.due_at - job.created_at).total_seconds() == pytest.approx(30 * 60)
