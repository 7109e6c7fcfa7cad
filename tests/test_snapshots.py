"""Labels out: what a row says, that a snapshot follows from its cutoff alone, and how it fails."""

import hashlib
import itertools
import json
import threading
from datetime import timedelta

import psycopg2
import pyarrow.parquet as pq
import pytest
from django.db import connection
from django.utils import timezone

from mlhooks import labels, snapshot_files, snapshots
from mlhooks.models import Snapshot
from reviews import access, claims, decisions
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Decision, Draw, Item, ItemVersion, Lane, content_hash

from .factories import (
    claimed_job,
    make_draw,
    make_item,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def snapshot_dir(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.scam = make_policy(platform=platform, slug="scam", name="Scam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam, platform.scam])
    platform.mila = make_person("mila", platform=platform)
    platform.rosa = make_person("rosa", platform=platform)
    return platform


def decide(platform, *, violated=(), by=None, lane=Lane.RISK, job=None, item=None, **job_values):
    """One decision through the real services."""
    by = by or platform.rosa
    if job is None:
        item = item or make_item(platform=platform, text="buy now", title="Hello")
        job = claimed_job(by, queue=platform.queue, item=item, lane=lane, **job_values)
    return decisions.record_review(
        job.pk,
        job.claim_token,
        by=by,
        verdict="violating" if violated else "clean",
        policy_slugs=violated,
        active_seconds=4.5,
    )


def group_in(split: str) -> str:
    """A new split group that falls on that side."""
    return next(name for name in map("g-{}".format, _groups) if labels.split_of(name) == split)


_groups = itertools.count()


def built(platform, **kw) -> Snapshot:
    snapshot = snapshots.create_snapshot(platform, by=platform.mila, **kw)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    assert snapshot.state == "ready", snapshot.error
    return snapshot


def rows_of(snapshot) -> list[dict]:
    path, _ = snapshots.get_file(snapshot, "data.jsonl")
    return [json.loads(line) for line in path.open(encoding="utf-8", newline="\n")]


def test_a_row_says_what_was_judged_by_which_text_and_who_judged(platform):
    item = make_item(platform=platform, text="buy now", title="Hello", language="en")
    Item.objects.filter(pk=item.pk).update(risks={"spam": 0.75}, risk_source="v1 zero-shot")
    decision = decide(platform, violated=["spam"], item=item)

    (row,) = rows_of(built(platform))

    assert row["text"] == "Hello\n\nbuy now" == item.current_version.text()
    assert row["content_hash"] == item.current_version.content_hash
    assert (row["label_spam"], row["label_scam"]) == (1, 0)
    assert (row["policy_version_spam"], row["policy_version_scam"]) == (1, 1)
    assert (row["score_spam"], row["score_scam"]) == (0.75, None)
    assert row["risk_source"] == "v1 zero-shot"
    assert (row["lane"], row["inclusion_probability"], row["weight"]) == ("risk", None, None)
    assert row["decided_at"] == decision.decided_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert row["split"] == labels.split_of(item.split_group)
    assert row["reviews"] == [
        {
            "rater": labels.pseudonym(platform.rosa.pk, platform_id=platform.pk),
            "verdict": "violating",
            "violated": ["spam"],
            "seconds": 4.5,
            "score_shown": True,
            "lane": "risk",
            "judged": ["spam", "scam"],
            "policy_versions": [1, 1],
            "severities": [None],
            "spans": [],
        }
    ]
    assert (row["severity_spam"], row["severity_scam"]) == (None, None)


def test_a_row_says_how_severe_it_was_and_what_was_marked(platform):
    platform.scam.versions.update(severity_levels=["mild", "grave"])
    job = claimed_job(platform.rosa, queue=platform.queue)
    start = job.item.current_version.content["body"].index("there")
    span = {"field": "body", "start": start, "end": start + 5, "policy": "scam"}
    decisions.record_review(
        job.pk,
        job.claim_token,
        by=platform.rosa,
        verdict="violating",
        policy_slugs=["spam", "scam"],
        severities={"scam": 2},
        spans=[span],
    )
    snapshot = built(platform)
    (row,) = rows_of(snapshot)
    assert (row["severity_spam"], row["severity_scam"]) == (None, 2)
    (review,) = row["reviews"]
    assert dict(zip(review["violated"], review["severities"], strict=True)) == {
        "spam": None,
        "scam": 2,
    }
    assert review["spans"] == [span]
    split = labels.split_of(job.item.split_group)
    path, _ = snapshots.get_file(snapshot, f"data-{split}.parquet")
    assert pq.read_table(path).to_pylist()[0]["reviews"][0]["spans"] == [span]


def test_parquet_and_jsonl_hold_the_same_rows(platform):
    for violated in (["spam"], [], ["scam"], ["spam", "scam"]):
        decide(platform, violated=violated)

    snapshot = built(platform)

    tables = [
        pq.read_table(snapshots.get_file(snapshot, f"data-{split}.parquet")[0])
        for split in labels.SPLITS
    ]
    from_parquet = sorted(
        (row for table in tables for row in table.to_pylist()), key=lambda row: row["decision_id"]
    )
    for row in from_parquet:
        row["decided_at"] = row["decided_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert from_parquet == rows_of(snapshot)
    for split, table in zip(labels.SPLITS, tables, strict=True):
        assert set(table["split"].to_pylist()) <= {split}


def test_a_policy_the_queue_did_not_judge_is_null_not_zero(platform):
    make_policy(platform=platform, slug="adult", name="Adult")
    decide(platform, violated=["spam"])

    (row,) = rows_of(built(platform))

    assert row["label_adult"] is None
    assert row["policy_version_adult"] is None


def test_awkward_text_survives_the_way_out(platform):
    text = 'back\\slash "quote" \t tab \n line \x01\x02 control \u2028 🙂 \\. שלום'
    decide(platform, item=make_item(platform=platform, text=text, title=""))

    snapshot = built(platform)

    assert rows_of(snapshot)[0]["text"] == text
    assert snapshot_files.read_labels(snapshot)["text"].to_pylist() == [text]


def test_an_undone_decision_is_no_label_and_its_review_no_rating(platform):
    first = decide(platform, violated=["spam"])
    job = decisions.undo(first, by=platform.rosa)

    assert rows_of(built(platform)) == []

    decide(platform, job=job)
    (row,) = rows_of(built(platform))
    assert row["verdict"] == "clean"
    assert [review["verdict"] for review in row["reviews"]] == ["clean"]


def test_an_override_is_the_label_and_the_review_it_overrules_stays_visible(platform):
    lena = make_person("lena", platform=platform)
    first = decide(platform, violated=["spam"])
    decisions.override(
        first, by=lena, verdict="violating", policy_slugs=["scam"], note="It asks for a password."
    )

    (row,) = rows_of(built(platform))

    assert (row["label_spam"], row["label_scam"]) == (0, 1)
    assert [review["violated"] for review in row["reviews"]] == [["spam"]]


def test_a_second_opinion_keeps_the_draw_and_shows_both_answers(platform):
    draw = Draw.objects.create(
        queue=platform.queue, lane=Lane.RANDOM, strategy="poisson", probability=0.25, seed=1
    )
    job = claimed_job(
        platform.rosa,
        queue=platform.queue,
        item=make_item(platform=platform),
        lane=Lane.RANDOM,
        draw=draw,
        inclusion_probability=0.25,
    )
    remy = make_person("remy", platform=platform)
    platform.queue.members.add(remy)
    decisions.record_review(job.pk, job.claim_token, by=platform.rosa, verdict="unsure")
    decide(platform, by=remy, job=claims.claim_next(platform.queue, by=remy))

    (row,) = rows_of(built(platform))

    assert (row["lane"], row["decided_lane"]) == ("random", "second")
    assert (row["inclusion_probability"], row["weight"]) == (0.25, 4.0)
    assert [review["verdict"] for review in row["reviews"]] == ["unsure", "clean"]


def test_a_second_opinion_of_the_risk_lane_has_no_known_probability(platform):
    """Asking for it was certain; how likely its item was to be looked at is not known."""
    job = claimed_job(platform.rosa, queue=platform.queue, item=make_item(platform=platform))
    remy = make_person("remy", platform=platform)
    platform.queue.members.add(remy)
    decisions.record_review(job.pk, job.claim_token, by=platform.rosa, verdict="unsure")
    second = claims.claim_next(platform.queue, by=remy)
    decide(platform, by=remy, job=second)

    snapshot = built(platform)
    (row,) = rows_of(snapshot)

    assert second.inclusion_probability == 1
    assert (row["lane"], row["decided_lane"]) == ("risk", "second")
    assert (row["inclusion_probability"], row["weight"]) == (None, None)
    assert snapshot.manifest["counts"]["lane"] == {"risk": 1}


def test_a_second_opinion_from_before_draws_followed_each_other_keeps_its_lane(platform):
    draw = make_draw(queue=platform.queue, lane=Lane.RANDOM, probability=0.25)
    decide(platform, lane=Lane.SECOND, draw=draw, inclusion_probability=0.25)

    (row,) = rows_of(built(platform))

    assert (row["lane"], row["inclusion_probability"], row["weight"]) == ("random", 0.25, 4.0)


def test_the_learning_lane_tells_its_probability_and_gives_no_weight(platform):
    decide(platform, lane=Lane.LEARNING, inclusion_probability=0.3)

    (row,) = rows_of(built(platform))

    assert (row["lane"], row["inclusion_probability"], row["weight"]) == ("learning", 0.3, None)


def test_what_a_lead_settles_after_a_check_counts_by_the_first_draw(platform):
    first = decide(platform, violated=["spam"], lane=Lane.RANDOM, inclusion_probability=0.2)
    remy, lena = (make_person(name, platform=platform) for name in ("remy", "lena"))
    platform.queue.members.add(remy, lena)
    check = claimed_job(remy, queue=platform.queue, item=first.item, lane=Lane.QA)
    decide(platform, by=remy, job=check)
    decide(platform, by=lena, job=claims.claim_next(platform.queue, by=lena))

    (row,) = rows_of(built(platform))

    assert (row["verdict"], row["lane"], row["decided_lane"]) == (
        "clean",
        "random",
        "adjudication",
    )
    assert row["weight"] == 5.0


def test_gold_answers_are_no_ratings_of_the_label(platform):
    first = decide(platform, violated=["spam"])
    remy = make_person("remy", platform=platform)
    platform.queue.members.add(remy)
    gold = claimed_job(remy, queue=platform.queue, item=first.item, lane=Lane.GOLD)
    decide(platform, by=remy, job=gold)

    (row,) = rows_of(built(platform))

    assert row["verdict"] == "violating"
    assert [review["verdict"] for review in row["reviews"]] == ["violating"]


def test_a_label_of_an_older_text_outlives_the_edit(platform):
    item = make_item(platform=platform, text="buy now")
    decide(platform, violated=["spam"], item=item)
    content = {"subject": "", "body": "sorry, wrong chat"}
    ItemVersion.objects.create(
        item=item, number=2, content=content, content_hash=content_hash(content)
    )
    Item.objects.filter(pk=item.pk).update(version_number=2)
    remy = make_person("remy", platform=platform)
    decide(platform, by=remy, item=Item.objects.get(pk=item.pk))

    rows = rows_of(built(platform))

    assert [(row["text"], row["label_spam"]) for row in rows] == [
        ("buy now", 1),
        ("sorry, wrong chat", 0),
    ]


def test_the_same_version_written_twice_is_byte_identical(platform, tmp_path, monkeypatch):
    for n in range(30):
        decide(platform, violated=["spam"] if n % 3 else [])
    monkeypatch.setattr(snapshot_files, "ROW_GROUP", 7)
    monkeypatch.setattr(snapshot_files, "FIRST_PAGE", 4)
    snapshot = built(platform, note="first")

    decide(platform)  # the world moves on
    platform.queue.slug = "renamed"
    platform.queue.save()
    again = tmp_path / "again"
    again.mkdir()
    snapshot_files.write(snapshot, again)

    for entry in snapshots.list_files(snapshot):
        first, _ = snapshots.get_file(snapshot, entry["name"])
        assert (again / entry["name"]).read_bytes() == first.read_bytes(), entry["name"]


def test_long_texts_make_short_pages_and_lose_nothing(platform, monkeypatch):
    for n in range(20):
        decide(platform, item=make_item(platform=platform, text=f"{n} " + "long " * 2000))
    monkeypatch.setattr(snapshot_files, "PAGE_BYTES", 30_000)
    assert snapshot_files._next_span(8, 30_001) == 4
    assert snapshot_files._next_span(1, 10**9) == 1
    assert snapshot_files._next_span(8, 20_000) == 8
    assert snapshot_files._next_span(8, 0) == 16

    snapshot = built(platform)

    assert [row["text"].split()[0] for row in rows_of(snapshot)] == [str(n) for n in range(20)]
    assert snapshot_files.read_labels(snapshot).num_rows == 20


def test_later_decisions_do_not_change_an_earlier_cutoff(platform):
    first = decide(platform, violated=["spam"])
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    lena = make_person("lena", platform=platform)
    decisions.override(first, by=lena, verdict="clean", note="A newsletter she asked for.")
    decide(platform)

    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()

    assert [row["label_spam"] for row in rows_of(snapshot)] == [1]


def test_the_manifest_counts_and_hashes_every_file(platform):
    decide(platform, violated=["spam"])
    decide(platform)
    snapshot = built(platform, note="for the tests")

    names = [entry["name"] for entry in snapshots.list_files(snapshot)]
    assert names == [
        "data-train.parquet",
        "data-valid.parquet",
        "data-test.parquet",
        "data.jsonl",
        "raters.json",
        "croissant.json",
        "README.md",
        "manifest.json",
    ]
    for entry in snapshots.list_files(snapshot):
        path, _ = snapshots.get_file(snapshot, entry["name"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert path.stat().st_size == entry["bytes"]
    counts = snapshot.manifest["counts"]
    assert sum(counts["split"].values()) == 2 == snapshot.rows_done
    spam = counts["labels"]["spam"]
    assert sum(split["violating"] for split in spam.values()) == 1
    assert sum(split["clean"] for split in spam.values()) == 1
    assert counts["lane"] == {"risk": 2}


def test_what_the_page_promises_beforehand_is_what_the_snapshot_holds(platform):
    decide(platform, violated=["spam"])
    decisions.undo(decide(platform, violated=["spam"]), by=platform.rosa)
    decide(platform, violated=["scam"], by=make_person("remy", platform=platform))

    tally = snapshots.preview(platform)
    snapshot = built(platform)

    assert tally.rows == snapshot.rows_done == 2
    assert tally.splits == snapshot.manifest["counts"]["split"]
    assert tally.lanes == snapshot.manifest["counts"]["lane"]


def test_the_dataset_card_warns_about_sampling_and_counts_labels(platform):
    decide(platform, violated=["spam"])
    snapshot = built(platform)

    card = snapshots.get_file(snapshot, "README.md")[0].read_text()

    assert card.startswith('---\npretty_name: "Mail, snapshot 1"\n')
    assert "not a random sample" in card
    assert "Spam: violating" in card
    croissant = json.loads(snapshots.get_file(snapshot, "croissant.json")[0].read_text())
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert len(croissant["distribution"]) == 5


def test_a_platforms_snapshot_holds_nothing_of_another(platform):
    decide(platform)
    other = make_platform()
    other.queue = make_queue(platform=other)
    decide(other, by=make_person("remy", platform=other))

    assert len(rows_of(built(platform))) == 1


def test_snapshots_are_numbered_per_platform_and_audited(platform):
    decide(platform)
    first, second = built(platform), built(platform)

    assert (first.number, second.number) == (1, 2)
    verbs = AuditEntry.objects.filter(target_type="snapshot").values_list("verb", "actor__username")
    assert list(verbs.order_by("id"))[:2] == [
        ("snapshot.create", "mila"),
        ("snapshot.finish", None),
    ]


def test_nothing_decided_means_no_snapshot(platform):
    with pytest.raises(Invalid, match="nothing to freeze"):
        snapshots.create_snapshot(platform, by=platform.mila)


@pytest.mark.parametrize("name", ["rosa", "lena", "paul", "abel", "ada", "otto"])
def test_only_an_ml_engineer_makes_a_snapshot(platform, name):
    decide(platform)
    with pytest.raises(Forbidden):
        snapshots.create_snapshot(platform, by=make_person(name, platform=platform))


def test_an_ml_engineer_of_another_platform_finds_nothing(platform):
    decide(platform)
    platform.members.remove(platform.mila)
    with pytest.raises(NotFound):
        snapshots.create_snapshot(platform, by=make_person("mila"))


def test_building_a_finished_snapshot_again_changes_nothing(platform):
    decide(platform)
    snapshot = built(platform)
    finished_at = snapshot.finished_at

    snapshots.build(snapshot.pk)

    snapshot.refresh_from_db()
    assert (snapshot.finished_at, snapshot.attempts) == (finished_at, 1)


def test_a_build_another_process_is_at_is_left_alone(platform):
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    Snapshot.objects.update(state="building", heartbeat_at=timezone.now(), attempts=1)

    snapshots.build(snapshot.pk)

    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.attempts) == ("building", 1)


def test_a_build_that_fell_silent_is_begun_again(platform):
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    long_ago = timezone.now() - timedelta(minutes=5)
    Snapshot.objects.update(state="building", heartbeat_at=long_ago, attempts=1)

    snapshots.build(snapshot.pk)

    snapshot.refresh_from_db()
    assert (snapshot.state, snapshot.attempts) == ("ready", 2)


def test_a_builder_that_was_overtaken_writes_nothing_more(platform, monkeypatch):
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    publish = snapshots._publish

    def slowly(*folders):
        Snapshot.objects.update(attempts=2)  # the sweep gave it to another
        publish(*folders)

    monkeypatch.setattr(snapshots, "_publish", slowly)
    snapshots.build(snapshot.pk)

    snapshot.refresh_from_db()
    assert snapshot.state == "building"


def test_three_silent_attempts_are_enough(platform):
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    long_ago = timezone.now() - timedelta(minutes=5)
    Snapshot.objects.update(state="building", heartbeat_at=long_ago, attempts=3)

    assert snapshots.resume_stuck() == 0

    snapshot.refresh_from_db()
    assert snapshot.state == "failed"
    assert "stopped 3 times" in snapshot.error


def test_a_folder_that_cannot_be_written_fails_with_the_reason(platform, settings, tmp_path):
    decide(platform)
    (tmp_path / "file").write_text("in the way")
    settings.SNAPSHOT_DIR = tmp_path / "file"
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)

    snapshots.build(snapshot.pk)

    snapshot.refresh_from_db()
    assert snapshot.state == "failed"
    assert "Not a directory" in snapshot.error


def test_only_names_in_the_manifest_are_files(platform):
    decide(platform)
    snapshot = built(platform)
    for name in ("../1/data.jsonl", "/etc/passwd", "", ".", "data.jsonl/", "data.json"):
        with pytest.raises(NotFound):
            snapshots.get_file(snapshot, name)


def test_a_file_changed_after_the_fact_is_refused(platform):
    decide(platform)
    snapshot = built(platform)
    path, _ = snapshots.get_file(snapshot, "data-train.parquet")
    path.write_bytes(path.read_bytes() + b"x")

    with pytest.raises(Conflict, match="changed after it was written"):
        snapshot_files.read_labels(snapshot)


def test_the_split_is_seventy_ten_twenty_and_the_same_in_python_and_sql(platform):
    for _ in range(12):
        decide(platform, item=make_item(platform=platform))
    for row in rows_of(built(platform)):
        assert row["split"] == labels.split_of(row["split_group"])
    share = [labels.split_of(f"group-{n}") for n in range(10_000)]
    assert [round(share.count(split) / 10_000, 1) for split in labels.SPLITS] == [0.7, 0.1, 0.2]


@pytest.mark.django_db(transaction=True)
def test_a_decision_that_commits_late_is_waited_for(platform):
    """Its id is below the cutoff, but its transaction was still open when that was fixed."""
    late = psycopg2.connect(**connection.get_connection_params() | {"cursor_factory": None})
    first = decide(platform, violated=["spam"])
    columns = (
        "kind, item_id, item_version_id, queue_id, job_id, verdict, decided_by_id, note, risks,"
        " risk_source"
    )
    item = make_item(platform=platform, text="late")
    with late.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO reviews_decision ({columns})"
            " SELECT kind, %s, %s, queue_id, job_id, verdict, decided_by_id, note, risks,"
            " risk_source FROM reviews_decision WHERE id = %s",
            [item.pk, item.current_version.pk, first.pk],
        )
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    timer = threading.Timer(0.5, late.commit)
    timer.start()

    snapshots.build(snapshot.pk)

    timer.join()
    late.close()
    snapshot.refresh_from_db()
    assert snapshot.rows_done == 3 == Decision.objects.count()


def test_an_auditor_may_look_but_not_take():
    abel = make_person("abel")
    assert access.may(abel, "snapshot.view")
    assert not access.may(abel, "snapshot.download")
