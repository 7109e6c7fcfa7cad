"""Items and reports come in: once, whole, and in any order."""

import threading
from collections import Counter

import pytest
from django.db import connection, transaction

from reviews import access, intake, signals, submission
from reviews.errors import Forbidden, Invalid, NotFound
from reviews.models import (
    Account,
    AuditEntry,
    Decision,
    Item,
    ItemVersion,
    Job,
    Lane,
    Report,
    content_hash,
)
from tests.factories import make_kind, make_platform, make_queue, make_rules, move_to_lane
from tests.people import make_person


@pytest.fixture
def platform(db):
    return build_platform()


def build_platform():
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, is_default=True)
    return platform


def row(external_id="m-1", body="hello there", **kw):
    return {"kind": "message", "external_id": external_id, "content": {"body": body}, **kw}


def report(item="m-1", **kw):
    return {"kind": "message", "item": item, "reason": "spam", "reporter": "u-1", **kw}


def submit(platform, *rows, by=None):
    return intake.submit_items(platform, list(rows), by=by)


def decide(item, verdict="clean"):
    job = item.jobs.first()
    Job.objects.filter(item=item).update(state=Job.State.DONE)
    return Decision.objects.create(
        item=item,
        item_version=item.current_version,
        queue=job.queue,
        job=job,
        verdict=verdict,
        decided_by=make_person("rosa"),
    )


# New, the same, changed


def test_a_new_item_gets_a_version_and_a_job(platform):
    [outcome] = submit(platform, row(language="en", views_per_hour=12.5))

    assert (outcome.index, outcome.status, outcome.version) == (0, "created", 1)
    item = Item.objects.get(pk=outcome.item_id)
    assert item.current_version.text() == "hello there"
    assert (item.language, item.views_per_hour, item.report_count) == ("en", 12.5, 0)
    job = Job.objects.ready().get()
    assert (job.item, job.queue, job.lane) == (item, platform.queues.get(), Lane.RISK)


def test_the_same_body_again_changes_nothing(platform):
    submit(platform, row())
    before = list(AuditEntry.objects.values_list("pk", flat=True))
    [outcome] = submit(platform, row())

    assert (outcome.status, outcome.version) == ("unchanged", 1)
    assert (ItemVersion.objects.count(), Job.objects.count()) == (1, 1)
    assert list(AuditEntry.objects.values_list("pk", flat=True)) == before


def test_changed_content_is_a_new_version_that_is_scored_again(platform):
    [outcome] = submit(platform, row())
    intake.set_risks({outcome.item_id: {"spam": 0.9}}, source="v1 zero-shot")
    [outcome] = submit(platform, row(body="hello again"))

    item = Item.objects.get()
    assert (outcome.status, outcome.version) == ("changed", 2)
    assert item.current_version.text() == "hello again"
    assert (item.risk, item.risks, item.risk_source, item.scored_at) == (None, {}, "", None)
    assert Job.objects.count() == 1  # the open one stays


def test_a_changed_item_that_was_decided_is_reviewed_again(platform):
    submit(platform, row())
    decide(Item.objects.get())
    submit(platform, row(body="hello again"))

    assert Counter(Job.objects.values_list("state", flat=True)) == {"done": 1, "ready": 1}


def test_an_open_second_opinion_is_job_enough(platform):
    submit(platform, row())
    move_to_lane(Lane.SECOND)
    submit(platform, row(body="hello again"))

    assert Job.objects.count() == 1


def test_other_views_are_a_change_without_a_new_version(platform):
    submit(platform, row(views_per_hour=1, language="en"))
    before = Job.objects.get().rank
    [outcome] = submit(platform, row(views_per_hour=8))

    item = Item.objects.get()
    assert (outcome.status, outcome.version) == ("changed", 1)
    assert (item.views_per_hour, item.language) == (8, "en")
    # Eight times the harm is three doublings of two hours each.
    assert Job.objects.get().rank == pytest.approx(before + 6)


def test_views_so_far_are_kept_as_last_counted(platform):
    submit(platform, row(views_so_far=40))
    assert Item.objects.get().views_so_far == 40
    [outcome] = submit(platform, row(views_so_far=75))
    assert (outcome.status, outcome.version) == ("changed", 1)
    submit(platform, row(language="en"))
    assert Item.objects.get().views_so_far == 75
    submit(platform, row(external_id="another"))
    assert Item.objects.get(external_id="another").views_so_far is None


def test_a_claimed_job_is_left_where_it_is(platform):
    from reviews import claims

    submit(platform, row(views_per_hour=1))
    rosa = make_person("rosa", platform=platform)
    platform.queues.get().members.add(rosa)
    job = claims.claim_next(platform.queues.get(), by=rosa)
    submit(platform, row(body="hello again", views_per_hour=8))

    again = Job.objects.get()
    assert (again.rank, again.claim_token) == (job.rank, job.claim_token)


def test_two_rows_of_one_item_in_a_call_are_taken_in_order(platform):
    outcomes = submit(platform, row(body="one"), row(body="two"), row(body="two"), row(body="one"))

    statuses = [(outcome.status, outcome.version) for outcome in outcomes]
    assert statuses == [("created", 1), ("changed", 2), ("unchanged", 2), ("changed", 3)]
    assert Item.objects.get().current_version.text() == "one"


def test_the_same_id_in_another_kind_or_platform_is_another_item(platform):
    make_kind(platform=platform, slug="post")
    other = build_platform()
    submit(platform, row(), row() | {"kind": "post"})
    submit(other, row())

    assert Item.objects.count() == 3


def test_the_stored_hash_is_the_hash_of_the_stored_content(platform):
    submit(platform, row(body='  "Grüße" \\ 👋\t\n \u2028 '))

    version = ItemVersion.objects.get()
    assert version.content == {"body": '  "Grüße" \\ 👋\t\n \u2028 '}
    assert version.content_hash == content_hash(version.content)


def test_new_versions_are_announced_once_inside_the_transaction(platform):
    heard = []

    def listen(version_ids, **kwargs):
        heard.append((connection.in_atomic_block, list(version_ids)))

    signals.item_submitted.connect(listen)
    try:
        submit(platform, row(), row("m-2"), row("m-2", body="other"))
        submit(platform, row())
    finally:
        signals.item_submitted.disconnect(listen)
    versions = ItemVersion.objects.order_by("pk").values_list("pk", flat=True)
    assert [(inside, sorted(ids)) for inside, ids in heard] == [(True, list(versions))]


def test_one_audit_entry_a_call_counts_what_was_done(platform):
    ada = make_person("ada", platform=platform)
    submit(platform, row(), row("m-2"), row("m-3") | {"content": {}}, by=ada)

    entry = AuditEntry.objects.get(verb="item.submit")
    assert (entry.actor, entry.platform, entry.target_type) == (ada, platform, "platform")
    assert (entry.data["created"], entry.data["rejected"]) == (2, 1)
    first, last = Item.objects.order_by("pk").values_list("pk", flat=True)
    assert (entry.data["first_item"], entry.data["last_item"]) == (first, last)


# Rows that are wrong


@pytest.mark.parametrize(
    ("bad", "field", "words"),
    [
        ("not an object", "row", "object"),
        ({}, "kind", "kinds: message"),
        (row() | {"kind": "post"}, "kind", "kinds: message"),
        (row() | {"kind": ["message"]}, "kind", "kinds: message"),
        (row(external_id=""), "external_id", "1 to 200"),
        (row(external_id="x" * 201), "external_id", "1 to 200"),
        (row(external_id="a\x00b"), "external_id", "cannot be stored"),
        (row(external_id="a\ud800b"), "external_id", "cannot be stored"),
        (row() | {"content": None}, "content", "object"),
        (row() | {"content": {"subject": "hi"}}, "content.body", "Required"),
        (row() | {"content": {"body": None}}, "content.body", "Required"),
        (row(body=7), "content.body", "Give text"),
        (row() | {"content": {"body": "x", "colour": "red"}}, "content.colour", "subject, body"),
        (row(colour="red"), "colour", "Known: account, content"),
        (row(known_answer=[]) | {"colour": 1}, "colour", "Known"),
        (row(language="klingon!"), "language", "BCP 47"),
        (row(posted_at="yesterday"), "posted_at", "2026-11-23"),
        (row(views_per_hour=-1), "views_per_hour", "from 0 up"),
        (row(views_per_hour=float("nan")), "views_per_hour", "from 0 up"),
        (row(views_per_hour=True), "views_per_hour", "from 0 up"),
        (row(views_so_far=-1), "views_so_far", "whole number from 0 up"),
        (row(views_so_far=1.5), "views_so_far", "whole number from 0 up"),
        (row(views_so_far=2**60), "views_so_far", "whole number from 0 up"),
        (row(account="u-1"), "account", "object"),
        (row(account={"name": "Ada"}), "account.external_id", "1 to 200"),
        (row(account={"external_id": "u", "age": 3}), "account.age", "Known"),
        (row(account={"external_id": "u", "name": "x" * 201}), "account.name", "at most 200"),
    ],
)
def test_a_bad_row_is_told_why(platform, bad, field, words):
    [outcome] = submit(platform, bad)

    assert (outcome.status, outcome.item_id) == ("rejected", None)
    assert words in outcome.errors[field][0]


def test_nothing_of_a_bad_row_is_stored_and_the_others_are(platform):
    bad = row("m-2", account={"external_id": "u-2"}, colour="red")
    outcomes = submit(platform, row(), bad, row("m-3"))

    assert [outcome.status for outcome in outcomes] == ["created", "rejected", "created"]
    assert not Account.objects.exists()
    assert set(Item.objects.values_list("external_id", flat=True)) == {"m-1", "m-3"}


def test_every_field_type_is_checked(platform):
    types = ("string", "text", "number", "datetime", "url", "boolean")
    fields = [{"name": kind, "label": kind, "type": kind, "role": ""} for kind in types]
    make_kind(platform=platform, slug="typed", fields=fields)
    good = {
        "string": "a",
        "text": "b",
        "number": 1.5,
        "datetime": "2026-11-23T10:00:00+01:00",
        "url": "https://example.org/x",
        "boolean": False,
    }
    bad = {
        "string": "x" * 10_001,
        "text": [],
        "number": 10**30,
        "datetime": "soon",
        "url": "javascript:alert(1)",
        "boolean": 1,
    }
    first, second = submit(
        platform,
        {"kind": "typed", "external_id": "1", "content": good},
        {"kind": "typed", "external_id": "2", "content": bad},
    )

    assert first.status == "created"
    stored = Item.objects.get().current_version.content
    assert stored == good | {"datetime": "2026-11-23T09:00:00+00:00"}
    assert set(second.errors) == {f"content.{kind}" for kind in types}


def test_a_text_of_a_megabyte_is_taken_and_not_a_byte_more(platform):
    first, second, third = submit(
        platform,
        row(body="x" * 2**20),
        row("m-2", body="x" * (2**20 + 1)),
        row("m-3", body="é" * 2**20),
    )

    assert (first.status, second.status, third.status) == ("created", "rejected", "rejected")
    assert second.errors["content.body"] == ["At most 1,048,576 bytes; this has 1,048,577."]


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("", ""),
        ("a\x00b", "a\ufffdb"),
        ("a\ud83d", "a\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("👩‍👩‍👧 \u202eright to left", "👩‍👩‍👧 \u202eright to left"),
        ("\\N \\. \\t\ttab\r\nline\x1f\x7f", "\\N \\. \\t\ttab\r\nline\x1f\x7f"),
    ],
)
def test_strange_text_is_taken_as_it_is_or_as_near_as_can_be(platform, body, stored):
    [outcome] = submit(platform, row("id\\N\twith\nspace", body=body))

    assert outcome.status == "created"
    item = Item.objects.get()
    assert item.external_id == "id\\N\twith\nspace"
    assert item.current_version.body() == stored


def test_a_known_answer_is_the_systems_to_give(platform):
    ada = make_person("ada", platform=platform)
    [refused] = submit(platform, row(known_answer={"spam": True}), by=ada)
    [taken] = submit(platform, row(known_answer={"spam": True}))

    assert "known_answer" in refused.errors
    assert Item.objects.get(pk=taken.item_id).known_answer == {"spam": True}


def test_too_many_rows_at_once_are_refused(platform):
    with pytest.raises(Invalid, match="At most 10,000 rows"):
        submit(platform, *[{}] * 10_001)


def test_only_those_who_may_submit(platform):
    with pytest.raises(Forbidden):
        submit(platform, row(), by=make_person("rosa", platform=platform))
    with pytest.raises(NotFound):
        submit(platform, row(), by=make_person("ada"))
    assert not Item.objects.exists()


# Authors and split groups


def test_an_author_is_made_once_and_kept_up_to_date(platform):
    submit(
        platform, row(account={"external_id": "u-1"}), row("m-2", account={"external_id": "u-1"})
    )
    submit(platform, row("m-3", account={"external_id": "u-1", "name": "Ada"}))

    account = Account.objects.get()
    assert (account.name, account.items.count()) == ("Ada", 3)


def test_all_items_of_an_author_share_her_split_group(platform):
    submit(platform, row(account={"external_id": "u-1"}))
    submit(platform, row("m-2", body="something else", account={"external_id": "u-1"}))

    [group] = set(Item.objects.values_list("split_group", flat=True))
    assert Account.objects.get().split_group == group


def test_copies_of_a_text_share_a_split_group_whoever_posts_them(platform):
    submit(platform, row(account={"external_id": "u-1"}))
    submit(
        platform,
        row("m-2", body=" Hello   THERE ", account={"external_id": "u-2"}),
        row("m-3", body="ｈello there"),
    )

    assert Item.objects.values("split_group").distinct().count() == 1
    assert Item.objects.values("fingerprint").distinct().count() == 1


def test_copies_within_one_call_share_a_split_group_too(platform):
    submit(
        platform,
        row("m-1", body="copy"),
        row("m-2", body="copy", account={"external_id": "u-1"}),
        row("m-3", body="copy", account={"external_id": "u-2"}),
        row("m-4", body="another"),
        row("m-5", body=""),
        row("m-6", body=""),
    )

    groups = dict(Item.objects.values_list("external_id", "split_group"))
    assert groups["m-1"] == groups["m-2"] == groups["m-3"]
    assert len({groups["m-1"], groups["m-4"], groups["m-5"], groups["m-6"]}) == 4


def test_a_split_group_never_changes(platform):
    submit(platform, row())
    before = Item.objects.get().split_group
    submit(platform, row(body="other words"))

    item = Item.objects.get()
    assert item.split_group == before
    assert item.fingerprint == submission.fingerprint("other words")


# Reports


def test_a_report_is_counted_once_and_ranks_nothing_away(platform):
    submit(platform, row())
    first, second = intake.file_reports(platform, [report(), report()], by=None)
    [third] = intake.file_reports(platform, [report()], by=None)

    assert [o.status for o in (first, second, third)] == ["created", "unchanged", "unchanged"]
    assert (Item.objects.get().report_count, Report.objects.count()) == (1, 1)
    assert AuditEntry.objects.filter(verb="report.file").count() == 1


def test_the_same_words_from_another_person_are_another_report(platform):
    submit(platform, row())
    intake.file_reports(platform, [report(), report(reporter="u-2")], by=None)

    assert Item.objects.get().report_count == 2


def test_a_senders_own_id_tells_reports_apart(platform):
    submit(platform, row())
    intake.file_reports(platform, [report(external_id="r-1"), report(external_id="r-2")], by=None)

    assert Item.objects.get().report_count == 2


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({}, "kind"),
        (report(item="m-404"), "item"),
        (report(source="rumour"), "source"),
        (report(reason=""), "reason"),
        (report(text="x" * 10_001), "text"),
        (report(mood="angry"), "mood"),
        ([], "row"),
    ],
)
def test_a_bad_report_is_told_why(platform, bad, field):
    submit(platform, row())
    outcomes = intake.file_reports(platform, [bad, report()], by=None)

    assert [outcome.status for outcome in outcomes] == ["rejected", "created"]
    assert field in outcomes[0].errors


def test_reports_can_move_a_job_to_another_queue(platform):
    urgent = make_queue(platform=platform)
    make_rules(platform, {"condition": "report_count > 1", "queue": urgent.slug})
    submit(platform, row())
    intake.file_reports(platform, [report(reporter=f"u-{n}") for n in range(2)], by=None)

    assert Job.objects.get().queue == urgent


def test_a_users_report_does_not_reopen_what_was_decided(platform):
    submit(platform, row())
    decide(Item.objects.get())
    intake.file_reports(platform, [report()], by=None)
    assert not Job.objects.open().exists()

    intake.file_reports(platform, [report(source="law_enforcement")], by=None)
    assert Job.objects.open().count() == 1


# Risks


def test_risks_reach_the_item_and_its_job(platform):
    queue = platform.queues.get()
    slug = queue.policies.get().slug
    [outcome] = submit(platform, row())
    before = Job.objects.get().rank
    assert intake.set_risks({outcome.item_id: {slug: 0.8, "other": 0.9}}, source="v1") == 1

    item = Item.objects.get()
    assert (item.risk, item.risks["other"], item.risk_source) == (0.9, 0.9, "v1")
    # From the prior 0.1 to 0.8: three doublings; the other policy is not this queue's.
    assert Job.objects.get().rank == pytest.approx(before + 3 * queue.doubling_hours)


def test_risks_of_many_platforms_and_of_no_item_are_fine(platform):
    other = build_platform()
    [one] = submit(platform, row())
    [two] = submit(other, row())

    assert (
        intake.set_risks({one.item_id: {"a": 0.1}, two.item_id: {}, 0: {"a": 1}}, source="%") == 2
    )
    assert intake.set_risks({}, source="v1") == 0
    assert Item.objects.get(pk=two.item_id).risk is None


def test_an_overdue_job_stays_lifted(platform):
    from reviews import ranking

    [outcome] = submit(platform, row())
    past = Job.objects.get().created_at
    Job.objects.update(is_overdue=True, rank=ranking.OVERDUE_LIFT, due_at=past, lift_at=None)
    intake.set_risks({outcome.item_id: {"a": 0.9}}, source="v1")

    assert Job.objects.get().rank > ranking.OVERDUE_LIFT / 2


def test_open_jobs_opens_one_where_none_is(platform):
    submit(platform, row(), row("m-2"))
    Job.objects.filter(item__external_id="m-2").update(state=Job.State.DONE)

    jobs = intake.open_jobs(Item.objects.all())
    assert {job.item.external_id for job in jobs} == {"m-1", "m-2"}
    assert Job.objects.open().count() == 2
    assert len(intake.open_jobs(Item.objects.all())) == 2


def test_the_number_of_queries_does_not_grow_with_the_rows(platform, django_assert_max_num_queries):
    rows = [row(f"m-{n}", body=f"text {n}", account={"external_id": f"u-{n}"}) for n in range(300)]
    with django_assert_max_num_queries(25):
        submit(platform, *rows)
    risks = {pk: {"a": 0.5} for pk in Item.objects.values_list("pk", flat=True)}
    with django_assert_max_num_queries(15):
        intake.set_risks(risks, source="v1")
    with django_assert_max_num_queries(25):
        intake.file_reports(platform, [report(f"m-{n}") for n in range(300)], by=None)


# At the same time, on connections of their own


def at_once(*works):
    """Run each work in a thread of its own, started together; returns their results."""
    barrier = threading.Barrier(len(works))
    results = [None] * len(works)

    def run(number, work):
        try:
            barrier.wait(10)
            results[number] = work()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_the_same_row_from_eight_connections_at_once_is_one_item():
    platform = build_platform()
    outcomes = at_once(*[lambda: submit(platform, row(account={"external_id": "u-1"}))[0]] * 8)

    assert Counter(outcome.status for outcome in outcomes) == {"created": 1, "unchanged": 7}
    assert len({outcome.item_id for outcome in outcomes}) == 1
    assert (ItemVersion.objects.count(), Job.objects.count(), Account.objects.count()) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_calls_that_overlap_in_any_order_lose_nothing_and_store_nothing_twice():
    platform = build_platform()
    rows = [
        row(f"m-{n}", body=f"text {n}", account={"external_id": f"u-{n % 7}"}) for n in range(90)
    ]
    calls = [rows[:60], rows[::-1], rows[30:], rows[::2] + rows[1::2]]
    results = at_once(*[lambda call=call: submit(platform, *call) for call in calls])

    assert all(isinstance(outcomes, list) for outcomes in results), results
    statuses = Counter(outcome.status for outcomes in results for outcome in outcomes)
    assert statuses["created"] == 90 == Item.objects.count()
    assert Job.objects.count() == 90


@pytest.mark.django_db(transaction=True)
def test_changes_at_once_each_become_a_version():
    platform = build_platform()
    submit(platform, row(body="start"))
    works = [lambda n=n: submit(platform, row(body=f"text {n}"))[0] for n in range(6)]
    outcomes = at_once(*works)

    assert sorted(outcome.version for outcome in outcomes) == [2, 3, 4, 5, 6, 7]
    assert Item.objects.get().version_number == 7
    assert ItemVersion.objects.count() == 7


@pytest.mark.django_db(transaction=True)
def test_reports_and_risks_at_once_are_all_kept():
    platform = build_platform()
    rows = [row(f"m-{n}", body=f"text {n}") for n in range(20)]
    ids = [outcome.item_id for outcome in submit(platform, *rows)]
    reports = [report(f"m-{n}", reporter="{}") for n in range(20)]

    def file(name, some):
        return lambda: intake.file_reports(
            platform, [one | {"reporter": name} for one in some], by=None
        )

    results = at_once(
        file("a", reports),
        file("b", reports[::-1]),
        lambda: intake.set_risks({pk: {"a": 0.5} for pk in ids}, source="v1"),
        lambda: intake.set_risks({pk: {"a": 0.6} for pk in ids[::-1]}, source="v2"),
    )
    assert not any(isinstance(result, Exception) for result in results), results
    assert set(Item.objects.values_list("report_count", flat=True)) == {2}
    assert Item.objects.values("risk_source").distinct().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_caller_that_rolls_back_leaves_nothing():
    platform = build_platform()
    with pytest.raises(RuntimeError), transaction.atomic():
        submit(platform, row())
        raise RuntimeError

    assert not Item.objects.exists()
    assert access.GRANTS["item.submit"].scope == "items:write"
