"""The live learning curve: what it is worked out from, when, and what the page says of it."""

from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from mlhooks import curve_charts, curves, learning, snapshots, tasks
from mlhooks.models import LearningCurve, Snapshot, TrainingRun
from reviews.models import AuditEntry
from reviews.ranking import interval

from .factories import make_item, make_learning_curve, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db

WORDS = ["report", "meeting", "draft", "train", "patch", "notes"]
WORDS += ["lunch", "review", "call", "garden", "music"]
BAIT = ["win cash now", "cheap pills", "click for a prize", "send your bank details"]


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.SNAPSHOT_DIR, settings.MODEL_DIR = tmp_path / "snapshots", tmp_path / "models"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    platform.rosa = make_person("rosa", platform=platform)
    platform.mila = make_person("mila", platform=platform)
    return platform


def label(platform, lane, split, *, is_spam, number, chance=0.25):
    text = " ".join(WORDS[(number * k) % len(WORDS)] for k in (1, 3, 5))
    if is_spam:
        text = f"{BAIT[number % 4]} {text}"
    item = make_item(platform=platform, text=f"{text} {number}", split_group=group_in(split))
    drawn = {} if lane == "risk" else {"inclusion_probability": chance}
    violated = ["spam"] if is_spam else []
    return decide(platform, violated=violated, item=item, lane=lane, **drawn)


def snapshot_of(platform, *, learning_labels=40, random_labels=40, test=60) -> Snapshot:
    """The learning lane finds one violation in two, the random lane one in eight."""
    for n in range(max(learning_labels, random_labels)):
        if n < learning_labels:
            label(platform, "learning", "train", is_spam=n % 2 == 0, number=n)
        if n < random_labels:
            label(platform, "random", "train", is_spam=n % 8 == 0, number=n)
    for n in range(test):
        label(platform, "random", "test", is_spam=n % 4 == 0, number=n)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


def worked_out(snapshot) -> LearningCurve:
    row = curves.start(snapshot)
    curves.run(row.pk)
    row.refresh_from_db()
    assert row.state == "ready", row.error
    return row


def test_both_lanes_teach_as_many_labels_and_are_measured_on_the_same_rows(platform, client):
    snapshot = snapshot_of(platform, learning_labels=48)
    figures = worked_out(snapshot).figures
    found = figures["policies"]["spam"]

    assert figures["labels"] == {"learning": 48, "random": 40}
    assert figures["common"] == 40
    assert (found["n"], found["positives"], found["of"]) == (60, 15, "random lane")
    assert found["labels"][0] == 0 and found["labels"][-1] == 40
    assert found["labels"] == sorted(set(found["labels"]))
    assert {len(found["arms"][arm]) for arm in curves.ARMS} == {len(found["labels"])}
    first = {arm: found["arms"][arm][0]["auprc"] for arm in curves.ARMS}
    assert first["learning"] == first["random"]  # no label: the policy's own words
    for arm, spam in (("learning", 20), ("random", 5)):
        last = found["arms"][arm][-1]
        low, high = last["interval"]
        assert 0 <= low <= last["auprc"] <= high <= 1
        assert last["violations"] == spam
    difference = found["difference"]
    assert difference["value"] == pytest.approx(
        found["arms"]["learning"][-1]["auprc"] - found["arms"]["random"][-1]["auprc"]
    )
    assert found["arms"]["learning"][-1]["auprc"] > first["learning"]

    # The page shows what is kept.
    client.force_login(platform.mila)
    page = client.get(reverse("mlhooks:learning")).content.decode()
    assert "Measured on 60 random-lane rows" in page
    assert "Violations found in 100 labels" in page
    assert f"{found['arms']['learning'][-1]['auprc']:.3f}" in page
    api = client.get("/api/v1/learning-curve").json()
    assert (api["snapshot"], api["figures"]) == (snapshot.number, figures)


def test_what_a_lane_found_is_counted_with_its_interval(platform):
    figures = worked_out(
        snapshot_of(platform, test=0, learning_labels=10, random_labels=16)
    ).figures
    lanes = figures["lanes"]
    assert (lanes["learning"]["n"], lanes["learning"]["violating"]) == (10, 5)
    assert (lanes["random"]["n"], lanes["random"]["violating"]) == (16, 2)
    assert lanes["risk"]["n"] == 0
    assert lanes["random"]["policies"]["spam"]["interval"] == list(interval(2, 16))
    plot = curve_charts.yield_plot(lanes)
    assert [row[:4] for row in plot.rows] == [
        ("Learning lane", "10", "5", "50.0"),
        ("Random lane", "16", "2", "12.5"),
    ]


def test_too_few_labels_are_said_to_be_too_few(platform, client):
    row = worked_out(snapshot_of(platform, learning_labels=5, random_labels=9))
    assert row.figures["policies"] == {}
    client.force_login(platform.mila)
    page = client.get(reverse("mlhooks:learning")).content.decode()
    assert "there are 5 from the learning lane and 9 from the random lane, and each lane" in page


def test_too_few_violations_to_measure_on_are_said_to_be_too_few(platform, client):
    row = worked_out(snapshot_of(platform, test=12))
    found = row.figures["policies"]["spam"]
    assert (found["positives"], found["arms"]) == (3, {})
    assert curve_charts.curve_plot("Spam", found, prefix="x") is None
    client.force_login(platform.mila)
    page = client.get(reverse("mlhooks:learning")).content.decode()
    assert "Spam: 3 violating of 12 test rows." in page


def test_it_is_measured_on_test_rows_where_the_random_lane_has_too_few(platform):
    for n in range(60):
        label(platform, "risk", "test", is_spam=n % 2 == 0, number=n)
    row = worked_out(snapshot_of(platform, test=12))
    found = row.figures["policies"]["spam"]
    assert (found["n"], found["of"]) == (72, "test rows")


def test_a_curve_is_worked_out_once(platform):
    snapshot = snapshot_of(platform, learning_labels=5, random_labels=5, test=4)
    row = curves.start(snapshot)
    assert curves.start(snapshot) == row
    for _ in range(2):
        tasks.measure_learning(row.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("ready", 1)


def test_the_sweep_begins_the_newest_trained_snapshots(platform):
    older, newer = (
        snapshot_of(platform, learning_labels=4, random_labels=4, test=8) for _ in range(2)
    )
    curves.sweep()
    assert not LearningCurve.objects.exists()  # nobody has trained on them
    for snapshot in (older, newer):
        learning.run(learning.start_training(snapshot, by=platform.mila).pk)
    assert {run.state for run in TrainingRun.objects.all()} == {"done"}
    for _ in range(2):
        tasks.sweep_curves()
    row = LearningCurve.objects.get()
    assert (row.snapshot, row.state) == (newer, "waiting")
    LearningCurve.objects.update(
        state="running", attempts=3, heartbeat_at=timezone.now() - timedelta(minutes=5)
    )
    curves.sweep()
    row.refresh_from_db()
    assert row.state == "failed" and AuditEntry.objects.filter(verb="curve.fail").exists()


def test_a_plot_tells_what_it_shows_in_words_and_in_its_table():
    points = [
        {"auprc": 0.1, "interval": [0.05, 0.2], "violations": 0},
        {"auprc": 0.4, "interval": [0.3, 0.5], "violations": 20},
    ]
    flat = [points[0], {"auprc": 0.15, "interval": [0.1, 0.2], "violations": 3}]
    found = {
        "n": 400,
        "positives": 40,
        "of": "random lane",
        "labels": [0, 100],
        "arms": {"learning": points, "random": flat},
        "difference": {"value": 0.25, "interval": [0.1, 0.4]},
    }
    plot = curve_charts.curve_plot("Spam", found, prefix="x")
    assert "differs from the random lane's by +0.250 (95 % interval +0.100 to +0.400)" in (
        plot.description
    )
    assert plot.rows[1] == ("100", "0.400 (0.300–0.500)", "20", "0.150 (0.100–0.200)", "3")
    assert len(plot.areas) == 2 and len(plot.dots) == 4
    found["difference"]["interval"] = [-0.1, 0.4]
    words = curve_charts.curve_plot("Spam", found, prefix="x").description
    assert "cannot be told apart" in words and "−0.100 to +0.400" in words


def test_points_are_nested_and_end_at_all_labels():
    for most in (32, 33, 100, 2000):
        counts = curves._counts(most)
        assert counts[0] >= 16 and counts[-1] == most
        assert (np.diff(counts) > 0).all()


def test_the_model_page_shows_the_curve_of_its_snapshot(platform, client):
    snapshot = snapshot_of(platform, learning_labels=4, random_labels=4, test=8)
    run = learning.start_training(snapshot, by=platform.mila)
    learning.run(run.pk)
    run.refresh_from_db()
    client.force_login(platform.mila)
    url = reverse("mlhooks:model-detail", args=[run.model_version_id])
    assert "What the learning lane taught" not in client.get(url).content.decode()
    make_learning_curve(snapshot)
    assert "What the learning lane taught" in client.get(url).content.decode()
