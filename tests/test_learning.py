"""A training run from snapshot to candidate: what it registers, and every way it can end."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from mlhooks import due, learning, promotions, registry, scoring, snapshots, vectors
from mlhooks.models import DueScore, Embedding, ModelVersion, TrainingRun
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Item, Job

from .factories import make_item, make_job, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db

SPAM = [
    "Buy cheap watches now, limited offer, click here",
    "You won a prize, send your bank details to claim the money",
    "Make money fast from home, no risk, guaranteed income",
    "Cheap pills without prescription, order online today",
]
HAM = [
    "The meeting moved to Thursday, see you there",
    "Here are the minutes of the call and my comments on the patch",
    "Could you review the draft before lunch?",
    "The train was late again, so I will be home around eight",
]


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


def decided(platform, *, train=32, valid=4, test=12):
    """So many decided items a split, half of them spam, and a snapshot of them."""
    number = 0
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        for n in range(count):
            texts = SPAM if n % 2 else HAM
            item = make_item(
                platform=platform,
                text=f"{texts[n // 2 % 4]} {number}",
                split_group=group_in(split),
            )
            decide(platform, violated=["spam"] if n % 2 else [], item=item)
            number += 1
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


def trained(platform, snapshot, **kw) -> TrainingRun:
    run = learning.start_training(snapshot, by=platform.mila, **kw)
    learning.run(run.pk)
    run.refresh_from_db()
    return run


def test_a_run_ends_in_a_candidate_measured_beside_the_champion(platform):
    champion = registry.ensure_zero_shot(platform)
    snapshot = decided(platform)

    run = trained(platform, snapshot, seed=3)

    assert run.state == "done", run.error
    model = run.model_version
    assert (model.state, model.kind, model.snapshot) == ("candidate", "trained", snapshot)
    assert model.created_by == platform.mila
    found = model.evaluation
    assert (found["test_rows"], found["champion_label"]) == (12, champion.label)
    assert found["candidate"]["spam"]["n"] == found["champion"]["spam"]["n"] == 12
    assert found["candidate"]["spam"]["auprc"] > 0.9
    assert found["candidate"]["spam"]["answered_by"] == "trained"
    assert run.fraction == 1
    assert {entry["policy"] for entry in run.history} == {"spam"}
    verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
    assert [verb for verb in verbs if verb in ("model.train", "model.register")][-2:] == [
        "model.train",
        "model.register",
    ]


def test_stored_embeddings_are_used_and_missing_ones_stored(platform):
    snapshot = decided(platform)
    run = trained(platform, snapshot)
    assert run.state == "done", run.error
    assert Embedding.objects.count() == snapshot.rows_done
    encoder = registry.usual_encoder()
    calls = []

    class Counting:
        version, dimension = encoder.version, encoder.dimension

        def encode(self, texts):
            calls.append(len(texts))
            return encoder.encode(texts)

    rows = learning.read_labels(snapshot, ["spam"])
    ids, texts = rows["item_version_id"].to_pylist(), rows["text"].to_pylist()
    again = vectors.of_versions(ids, texts, Counting())
    assert calls == []
    stored = Embedding.objects.get(item_version_id=rows["item_version_id"][5].as_py())
    assert (np.float16(stored.vector) == np.float16(again[5])).all()
    stored.delete()
    fresh = vectors.of_versions(ids, texts, Counting())
    assert float(fresh[5] @ again[5]) > 0.99  # a batch of another size rounds otherwise
    assert calls == [1]


def test_the_same_seed_gives_the_same_weights(platform):
    snapshot = decided(platform)
    first, second = (trained(platform, snapshot, seed=1) for _ in range(2))
    assert first.model_version.sha256 == second.model_version.sha256


def test_a_few_shot_run_registers_a_few_shot_model(platform):
    run = trained(platform, decided(platform, train=16), kind="few-shot")
    assert run.state == "done", run.error
    assert run.model_version.label == "v1 few-shot"


def test_after_promotion_what_waits_is_scored_by_the_new_champion(platform):
    registry.ensure_zero_shot(platform)
    run = trained(platform, decided(platform))
    waiting = [make_item(platform=platform, text=text) for text in (SPAM[0], HAM[0])]
    for item in waiting:
        make_job(queue=platform.queue, item=item)

    promotion = promotions.propose(run.model_version, by=platform.mila, reason="better")
    promotions.approve(promotion, by=make_person("paul", platform=platform))
    assert DueScore.objects.count() == 2
    scoring.score_due(limit=10)

    spam, ham = (Item.objects.get(pk=item.pk) for item in waiting)
    assert spam.risk_source == ham.risk_source == run.model_version.label
    assert spam.risk > ham.risk
    assert list(Job.objects.ready().order_by("-rank").values_list("item", flat=True)) == [
        spam.pk,
        ham.pk,
    ]


def test_too_few_labels_are_refused_in_words(platform):
    snapshot = decided(platform, train=1)
    with pytest.raises(Invalid, match="too few labels"):
        learning.start_training(snapshot, by=platform.mila)
    assert not TrainingRun.objects.exists()


def test_without_test_rows_there_is_nothing_to_compare_on(platform):
    with pytest.raises(Invalid, match="no test rows"):
        learning.start_training(decided(platform, test=0), by=platform.mila)


def test_a_snapshot_that_is_not_ready_cannot_be_trained_on(platform):
    decide(platform)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    with pytest.raises(Conflict, match="not ready"):
        learning.start_training(snapshot, by=platform.mila)


@pytest.mark.parametrize(("kind", "seed"), [("zero-shot", 0), ("magic", 0), ("trained", -1)])
def test_a_run_that_makes_no_sense_is_refused(platform, kind, seed):
    with pytest.raises(Invalid):
        learning.start_training(decided(platform), by=platform.mila, kind=kind, seed=seed)


@pytest.mark.parametrize("name", ["rosa", "lena", "paul", "abel", "ada", "otto"])
def test_only_an_ml_engineer_trains(platform, name):
    snapshot = decided(platform, train=4, valid=0, test=1)
    with pytest.raises(Forbidden):
        learning.start_training(snapshot, by=make_person(name, platform=platform))


def test_an_ml_engineer_of_another_platform_finds_no_snapshot(platform):
    snapshot = decided(platform, train=4, valid=0, test=1)
    platform.members.remove(platform.mila)
    with pytest.raises(NotFound):
        learning.start_training(snapshot, by=make_person("mila"))


def test_a_changed_file_fails_the_run_with_the_reason(platform):
    snapshot = decided(platform, train=8, valid=0, test=2)
    path, _ = snapshots.get_file(snapshot, "data-test.parquet")
    path.write_bytes(path.read_bytes() + b"x")

    run = trained(platform, snapshot)

    assert run.state == "failed"
    assert "changed after it was written" in run.error
    assert not ModelVersion.objects.exists()


def test_a_cancelled_run_registers_nothing(platform, monkeypatch):
    run = learning.start_training(decided(platform, train=8, test=2), by=platform.mila)
    read = learning.read_labels

    def read_and_be_cancelled(*args):
        learning.cancel_training(run, by=platform.mila)
        return read(*args)

    monkeypatch.setattr(learning, "read_labels", read_and_be_cancelled)
    learning.run(run.pk)

    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not ModelVersion.objects.exists()
    with pytest.raises(Conflict, match="over already"):
        learning.cancel_training(run, by=platform.mila)


def test_a_run_that_is_done_or_at_work_is_left_alone(platform):
    run = trained(platform, decided(platform, train=8, test=2))
    finished_at = run.finished_at
    learning.run(run.pk)
    run.refresh_from_db()
    assert (run.finished_at, run.attempts) == (finished_at, 1)

    TrainingRun.objects.update(state="running", heartbeat_at=timezone.now())
    learning.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("running", 1)


def test_a_run_without_a_heartbeat_is_begun_again(platform):
    run = learning.start_training(decided(platform, train=8, test=2), by=platform.mila)
    long_ago = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.update(state="running", heartbeat_at=long_ago, attempts=1)

    assert learning.resume_stuck() == 1
    learning.run(run.pk)

    run.refresh_from_db()
    assert (run.state, run.attempts) == ("done", 2)


def test_the_third_lost_heartbeat_is_the_last(platform):
    run = learning.start_training(decided(platform, train=8, test=2), by=platform.mila)
    long_ago = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.update(state="running", heartbeat_at=long_ago, attempts=3)

    assert learning.resume_stuck() == 0

    run.refresh_from_db()
    assert run.state == "failed"
    assert "stopped 3 times" in run.error


def test_marking_nothing_is_no_error(platform):
    assert due.mark_open_items(platform) == 0
