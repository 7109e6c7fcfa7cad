"""Past items through other rules: what would move, which rule never gets its turn."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from reviews import dry_run, routing_versions
from reviews.errors import Forbidden, Invalid
from reviews.models import AuditEntry, DryRun, Job, Report
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


def leaf(fact, op, value=None):
    return {"all": [{"fact": fact, "op": op, "value": value}]}


def rule(name, condition, queue, **kw):
    return {"name": name, "queue": queue, "is_active": True, "condition": condition, **kw}


RISKY = rule("Risky", leaf("risk.spam", ">=", 0.5), "spam")
VERY = rule("Very risky", leaf("risk.spam", ">=", 0.9), "urgent")
FLAGGED = rule("Flagged", leaf("sources", "has", "trusted_flagger"), "urgent")


@pytest.fixture
def platform(db):
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    spam = make_policy(platform=platform, slug="spam")
    make_queue(platform=platform, slug="general", is_default=True, policies=[spam])
    make_queue(platform=platform, slug="spam", policies=[spam])
    make_queue(platform=platform, slug="urgent", policies=[spam])
    now = timezone.now()
    for n, risk in enumerate([None, 0.2, 0.6, 0.7, 0.95, 0.99]):
        item = make_item(
            platform=platform,
            risks={} if risk is None else {"spam": risk},
            risk=risk,
            submitted_at=now - timedelta(days=n),
        )
        if n == 0:
            Report.objects.create(item=item, external_id="r", source="trusted_flagger", reason="x")
    make_item(submitted_at=now)  # another platform's
    return platform


def replay(platform, *rules, published=(RISKY,), days=30, **kw):
    return dry_run.replay(platform, list(rules), published=list(published), days=days, **kw)


def flows(result):
    return {(one, other): count for one, other, count in result["flows"]}


def test_it_counts_what_would_move_from_where_to_where(platform):
    result = replay(platform, FLAGGED, VERY, RISKY)

    # Before: four of 0.6 and more in spam. After: the flagged one and the two above 0.9 are urgent.
    assert flows(result) == {
        ("general", "urgent"): 1,
        ("general", "general"): 1,
        ("spam", "spam"): 2,
        ("spam", "urgent"): 2,
    }
    assert (result["items"], result["of"], result["moved"], result["rate"]) == (6, 6, 3, 1)
    assert result["default"] == [2, 1]


def test_it_names_the_rules_that_took_an_example_before_and_after(platform):
    result = replay(platform, FLAGGED, VERY, RISKY)
    told = {(one["rule_before"], one["rule_after"]) for one in result["examples"]}
    assert told == {("", "Flagged"), ("Risky", "Very risky")}
    assert len(result["examples"]) == 3


def test_a_rule_that_others_take_all_from_is_told_by_whom(platform):
    result = replay(platform, RISKY, VERY, rule("Never", leaf("report_count", ">", 99), "urgent"))
    told = {one["name"]: (one["fires"], one["holds"], one["taken_by"]) for one in result["rules"]}
    assert told == {
        "Risky": (4, 4, []),
        "Very risky": (0, 2, [["Risky", 2]]),
        "Never": (0, 0, []),
    }
    assert result["published_rules"] == [{"name": "Risky", "fires": 4}]


def test_an_inactive_rule_takes_nothing(platform):
    result = replay(platform, {**RISKY, "is_active": False})
    assert flows(result)[("spam", "general")] == 4


def test_only_the_last_days_count(platform):
    assert replay(platform, RISKY, days=1)["items"] == 1
    assert replay(platform, RISKY, days=3)["items"] == 3


def test_an_accounts_age_is_taken_as_it_was_when_the_item_came(platform):
    joined = timezone.now() - timedelta(days=20)
    account = make_account(platform=platform, joined_at=joined)
    make_item(platform=platform, account=account, submitted_at=timezone.now() - timedelta(days=18))
    young = rule("Young", leaf("account_age_days", "<", 7), "urgent")
    assert replay(platform, young, RISKY)["rules"][0]["fires"] == 1


def test_nothing_is_moved_and_nothing_written(platform, django_assert_num_queries):
    replay(platform, VERY)
    assert not Job.objects.exists()


def test_a_page_of_items_costs_as_many_queries_whatever_it_holds(platform):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def queries():
        with CaptureQueriesContext(connection) as caught:
            replay(platform, FLAGGED, rule("T", leaf("reporter_trust", ">", 0.5), "urgent"))
        return len(caught)

    few = queries()
    for _ in range(25):
        make_item(platform=platform)
    assert queries() == few


def test_above_the_limit_a_sample_stands_for_the_rest_and_is_the_same_each_time(
    platform, monkeypatch
):
    for _ in range(194):
        make_item(platform=platform, risks={"spam": 0.95}, risk=0.95)
    monkeypatch.setattr(dry_run, "SAMPLE_MOST", 50)
    monkeypatch.setattr(dry_run, "_PAGE", 7)
    result, again = replay(platform, VERY), replay(platform, VERY)

    assert (result["of"], result["rate"]) == (200, 0.25)
    # Binomial: sd = sqrt(200 × 0.25 × 0.75) = 6.1
    assert abs(result["items"] - 50) < 25
    assert result["flows"] == again["flows"]
    assert result["examples"] == again["examples"]


def test_pages_and_strides_leave_no_item_out(platform, monkeypatch):
    monkeypatch.setattr(dry_run, "_PAGE", 2)
    monkeypatch.setattr(dry_run, "_STRIDE", 3)
    seen = []
    result = replay(platform, VERY, progress=lambda done, expected: seen.append((done, expected)))
    assert result["items"] == 6
    assert seen[-1] == (6, 6)


# Runs that are kept


@pytest.fixture
def draft(platform):
    make_rules(platform, RISKY)
    return routing_versions.save_draft(platform, [FLAGGED, VERY, RISKY], edition=0, by=None)


def test_a_small_run_is_done_at_once(platform, draft):
    lena = make_person("lena", platform=platform)
    run = dry_run.start_dry_run(draft, days=30, by=lena)
    assert (run.state, run.result["moved"], run.edition) == ("ready", 3, 1)
    assert run.published.number == 1
    assert AuditEntry.objects.filter(verb="routing.dry_run").count() == 1


def test_a_large_run_waits_for_a_worker_and_is_run_once(platform, draft, monkeypatch):
    monkeypatch.setattr(dry_run, "AT_ONCE", 2)
    run = dry_run.start_dry_run(draft, days=30, by=None)
    assert (run.state, run.result) == ("waiting", None)

    dry_run.run_dry_run(run.pk)
    run.refresh_from_db()
    first = run.finished_at
    assert (run.state, run.items_done, run.result["moved"]) == ("ready", 6, 3)
    dry_run.run_dry_run(run.pk)
    run.refresh_from_db()
    assert (run.finished_at, run.attempts) == (first, 1)


def test_a_run_that_fell_silent_is_begun_again_and_given_up_in_the_end(platform, draft):
    run = dry_run.start_dry_run(draft, days=30, by=None)
    silent = timezone.now() - timedelta(minutes=5)
    DryRun.objects.filter(pk=run.pk).update(state="running", heartbeat_at=silent, attempts=1)
    assert dry_run.resume_dry_runs() == 1
    dry_run.run_dry_run(run.pk)
    assert DryRun.objects.get().state == "ready"

    DryRun.objects.filter(pk=run.pk).update(state="running", heartbeat_at=silent, attempts=3)
    assert dry_run.resume_dry_runs() == 0
    run.refresh_from_db()
    assert run.state == "failed" and "without a word" in run.error


def test_a_run_whose_draft_is_discarded_meanwhile_ends_quietly(platform, draft, monkeypatch):
    monkeypatch.setattr(dry_run, "AT_ONCE", 2)
    run = dry_run.start_dry_run(draft, days=30, by=None)

    def gone(self, rows):
        DryRun.objects.filter(pk=run.pk).delete()

    monkeypatch.setattr(dry_run._Tally, "add", gone)
    dry_run.run_dry_run(run.pk)
    assert not DryRun.objects.exists()


@pytest.mark.parametrize("days", [0, 91, -1])
def test_it_goes_back_1_to_90_days(draft, days):
    with pytest.raises(Invalid) as refused:
        dry_run.start_dry_run(draft, days=days, by=None)
    assert "days" in refused.value.details


def test_who_may_not_edit_rules_may_not_try_them(platform, draft):
    with pytest.raises(Forbidden):
        dry_run.start_dry_run(draft, days=7, by=make_person("rosa", platform=platform))


# The command


def test_the_command_tries_the_draft(platform, draft, capsys):
    call_command("dry_run_routing", platform=platform.slug, days=30)
    text = capsys.readouterr().out
    assert "3 of 6 items would move" in text
    assert "Very risky" in text


def test_the_command_tries_a_file(platform, draft, tmp_path, capsys):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([VERY]))
    call_command("dry_run_routing", platform=platform.slug, days=30, file=file)
    assert "4 of 6 items would move" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_a_file(platform, tmp_path):
    file = tmp_path / "rules.json"
    file.write_text("[")
    with pytest.raises(CommandError, match="is not JSON"):
        call_command("dry_run_routing", platform=platform.slug, file=file)
    file.write_text(json.dumps([{**VERY, "queue": "nowhere"}]))
    with pytest.raises(CommandError, match="no queue nowhere"):
        call_command("dry_run_routing", platform=platform.slug, file=file)
    with pytest.raises(CommandError, match="There is no draft"):
        call_command("dry_run_routing", platform=platform.slug)
