"""A snapshot in, a candidate with an encoder of its own out: measured, served, never mixed up."""

import shutil
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from mlhooks import (
    curves,
    drift,
    due,
    encoder,
    evidence,
    finetuning,
    monitoring,
    registry,
    scoring,
    shadow_scores,
    shadows,
    similar,
    snapshots,
    tasks,
    tuning,
)
from mlhooks.finetuning import TuningConfig
from mlhooks.models import Embedding, Evidence, ModelVersion, NearVector, Score, ShadowScore
from reviews.errors import Conflict, Forbidden, Invalid

from .factories import make_item, make_job
from .people import make_person
from .test_access import client_of
from .test_finetuning import base  # noqa: F401  (a fixture)
from .test_learning import HAM, SPAM, decided, folders, platform, trained  # noqa: F401
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db

QUICK = TuningConfig(batch=8, most_steps=4, rate=1e-3, most_tokens=16)


@pytest.fixture(autouse=True)
def small_encoder(settings, base):  # noqa: F811
    settings.ENCODER = base
    scoring._scorers.clear()
    shadow_scores._heads.clear()
    yield
    encoder.shared.cache_clear()


@pytest.fixture
def candidate(platform):  # noqa: F811
    registry.ensure_zero_shot(platform)
    snapshot = decided(platform, train=16)
    return tuning.fine_tune(snapshot, QUICK, seed=0, by=platform.mila)


def test_it_is_a_candidate_with_an_encoder_of_its_own(platform, candidate):  # noqa: F811
    champion = registry.champion(platform)
    assert candidate.label == "v2 fine-tuned"
    assert candidate.state == "candidate"
    own = registry.encoder_of(candidate)
    assert own.version == candidate.encoder != champion.encoder
    found = candidate.evaluation
    assert found["tuning"]["from"] == champion.encoder
    assert found["candidate"]["spam"]["n"] == 12
    assert not list(registry.folder(candidate).parent.glob(".tuning-*"))  # nothing left behind
    text = "Buy cheap watches now"
    (answer,) = registry.predict(candidate, [text])
    assert answer["spam"].low < answer["spam"].probability < answer["spam"].high


def test_the_same_seed_gives_the_same_model(platform, candidate):  # noqa: F811
    again = tuning.fine_tune(candidate.snapshot, QUICK, seed=0, by=None)
    assert (again.encoder, again.sha256) == (candidate.encoder, candidate.sha256)


def test_vectors_of_two_encoders_are_kept_apart(platform, candidate):  # noqa: F811
    kept = Embedding.objects.filter(encoder=candidate.encoder)
    assert kept.count() == candidate.snapshot.rows_done
    others = Embedding.objects.exclude(encoder=candidate.encoder)  # the champion's, of test rows
    champion = registry.champion(platform)
    assert set(others.values_list("encoder", flat=True)) == {champion.encoder}
    assert others.count() == 12


def test_it_is_held_against_the_champion_each_by_its_own_encoder(platform, candidate):  # noqa: F811
    evidence.gather(Evidence.objects.get(model_version=candidate).pk)
    found = Evidence.objects.get(model_version=candidate)
    assert found.state == "ready", found.error
    champion = registry.champion(platform)
    assert found.figures["champion"] == champion.label
    assert found.figures["policies"]["spam"]["frozen"]["n"] == 12
    assert found.figures["speed"]["largest_difference"] < 0.05
    both = {candidate.encoder, champion.encoder}
    assert set(Embedding.objects.values_list("encoder", flat=True)) == both


def test_as_champion_it_scores_what_waits_on_its_own_vectors(platform, candidate):  # noqa: F811
    job = make_job(queue=platform.queue, item=make_item(platform=platform, text="Win a prize now"))
    version = job.item.current_version
    due.mark_versions([version.pk])
    scoring.score_due()
    before = registry.champion(platform)
    registry.crown(candidate, instead_of=before)
    due.mark_open_items(platform)
    scoring.score_due()
    score = Score.objects.get(item_version=version, model_version=candidate)
    (answer,) = registry.predict(candidate, [version.text()])
    assert score.probability == pytest.approx(answer["spam"].probability, abs=2e-3)
    used = set(Embedding.objects.filter(item_version=version).values_list("encoder", flat=True))
    assert used == {before.encoder, candidate.encoder}


def test_changed_weights_are_refused(candidate):
    path = registry.folder(candidate) / registry.TUNED / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    encoder.shared.cache_clear()
    with pytest.raises(Conflict, match=candidate.encoder.partition("@")[2][:12]):
        registry.encoder_of(candidate)


def test_by_command_it_goes_on_where_it_stopped(platform, capsys, monkeypatch):  # noqa: F811
    snapshot = decided(platform, train=16)
    given = ("--snapshot", str(snapshot.number), "--steps", "3", "--batch", "8")

    def killed(model, folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(finetuning, "save", killed)
        call_command("fine_tune", *given)
    assert not ModelVersion.objects.exists()
    (left,) = (registry.settings.MODEL_DIR / platform.slug).glob(".tuning-*")
    assert (left / finetuning.CHECKPOINT).exists()
    call_command("fine_tune", *given)
    assert "is a candidate" in capsys.readouterr().out
    assert not left.exists()
    with pytest.raises(CommandError, match="no snapshot 99"):
        call_command("fine_tune", "--snapshot", "99")


def test_what_cannot_work_is_refused_in_words(platform):  # noqa: F811
    snapshot = decided(platform, train=2, test=0)
    with pytest.raises(Invalid, match="no test rows"):
        tuning.fine_tune(snapshot, QUICK, seed=0, by=None)
    with pytest.raises(Forbidden):
        tuning.fine_tune(snapshot, QUICK, seed=0, by=make_person("rosa", platform=platform))


def test_weights_of_its_encoder_that_changed_are_seen_before_it_is_promoted(candidate):
    registry.verify(candidate)
    path = registry.folder(candidate) / registry.TUNED / "model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Conflict, match="was changed after it was registered"):
        registry.verify(candidate)
    path.unlink()
    with pytest.raises(Conflict, match="is missing, or"):
        registry.verify(candidate)


def test_its_figures_stand_beside_the_champions_each_by_its_own_encoder(platform, candidate):  # noqa: F811
    champion = registry.champion(platform)
    assert candidate.evaluation["champion_label"] == champion.label
    assert candidate.evaluation["champion"]["spam"]["n"] == 12
    # And the other way round: a head on the usual encoder beside a tuned champion.
    registry.crown(candidate, instead_of=champion)
    run = trained(platform, candidate.snapshot)
    found = run.model_version.evaluation
    assert found["champion_label"] == candidate.label
    own = candidate.evaluation["candidate"]["spam"]
    assert found["champion"]["spam"]["auprc"] == pytest.approx(own["auprc"], abs=1e-6)
    assert found["champion"]["spam"]["threshold"] == own["threshold"]


def test_in_the_shadow_it_scores_by_its_own_encoder_and_the_page_tells_the_cost(
    platform,  # noqa: F811
    candidate,
):
    evidence.gather(Evidence.objects.get(model_version=candidate).pk)
    client = client_of(platform.mila)
    page = client.get(reverse("mlhooks:model-detail", args=[candidate.pk])).content.decode()
    assert "ms of one core a text" in page and candidate.encoder in page
    shadows.start(candidate, by=platform.mila)
    before = set(Embedding.objects.values_list("pk", flat=True))
    item = make_item(platform=platform, text="Win a prize now")
    due.mark_versions([item.current_version.pk])
    scoring.score_due()
    champion = registry.champion(platform)
    score = ShadowScore.objects.get(model_version=candidate)
    (own,), (his,) = (registry.predict(one, ["Win a prize now"]) for one in (candidate, champion))
    assert score.probability == pytest.approx(own["spam"].probability, abs=2e-3)
    assert score.beside_probability == pytest.approx(his["spam"].probability, abs=2e-3)
    new = Embedding.objects.exclude(pk__in=before)
    assert set(new.values_list("encoder", flat=True)) == {champion.encoder}  # hers are not kept
    told = shadows.as_json(candidate)["cost"]
    assert told["encoder"] == candidate.encoder and told["milliseconds"] > 0
    # One on the champion's encoder costs nothing, and is told nothing about.
    same = trained(platform, candidate.snapshot).model_version
    assert shadows.cost(same, champion) is None


def test_as_champion_its_scores_are_watched_for_drift_by_its_own_encoder(platform, candidate):  # noqa: F811
    registry.crown(candidate, instead_of=registry.champion(platform))
    snapshot = candidate.snapshot
    for ago, until in ((20, snapshot.cutoff_at), (3, timezone.now())):
        for n in range(drift.LEAST_ITEMS):
            make_item(
                platform=platform,
                text=f"{(SPAM + HAM)[n % 8]} {n}",
                split_group=group_in("test"),
                submitted_at=until - timedelta(days=ago),
            )
    found = monitoring.start_monitoring(platform, by=None)
    monitoring.work_out(found.pk)
    found.refresh_from_db()
    assert found.state == "ready", found.error
    assert found.figures["policies"]["spam"]["score"]["current"] >= drift.LEAST_ITEMS
    shutil.rmtree(registry.folder(candidate) / registry.TUNED)
    encoder.shared.cache_clear()
    found = monitoring.start_monitoring(platform, by=None)
    monitoring.work_out(found.pk)
    found.refresh_from_db()
    assert found.state == "ready", found.error
    assert "score" not in found.figures["policies"]["spam"]
    assert candidate.encoder in found.figures["not_scored"]
    page = client_of(platform.mila).get(reverse("mlhooks:monitoring")).content.decode()
    assert candidate.encoder in page


def test_the_learning_curve_is_worked_out_on_its_vectors_and_says_so(platform, candidate):  # noqa: F811
    for n in range(curves.LEAST_LABELS):
        for lane in ("learning", "random"):
            item = make_item(
                platform=platform,
                text=f"{(SPAM + HAM)[n % 8]} {lane} {n}",
                split_group=group_in("train"),
            )
            violated = ["spam"] if n % 8 < 4 else []
            decide(platform, violated=violated, item=item, lane=lane, inclusion_probability=0.5)
    snapshot = snapshots.create_snapshot(platform, by=platform.mila)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    registry.crown(candidate, instead_of=registry.champion(platform))
    Embedding.objects.all().delete()
    row = curves.start(snapshot)
    curves.run(row.pk)
    row.refresh_from_db()
    assert row.state == "ready", row.error
    assert row.figures["is_tuned"] is True
    assert set(Embedding.objects.values_list("encoder", flat=True)) == {candidate.encoder}
    page = client_of(platform.mila).get(reverse("mlhooks:learning")).content.decode()
    assert "On vectors of the champion's own encoder" in page


def test_a_candidates_vectors_hide_no_similar_item_and_join_no_cluster(platform, candidate):  # noqa: F811
    """Evidence about a candidate leaves vectors of its own encoder on what came in lately."""
    rosa = platform.rosa
    near = [make_item(platform=platform, text=f"Win a prize now {n}") for n in range(2)]
    due.mark_versions([one.current_version.pk for one in near])
    scoring.score_due()
    champion = registry.champion(platform)
    for one in near:
        version = one.current_version
        Embedding.objects.create(
            item_version=version, encoder=candidate.encoder, vector=[1.0] + [0.0] * 31
        )
    tasks.find_neighbours()
    assert set(NearVector.objects.values_list("encoder", flat=True)) == {champion.encoder}
    decide(platform, violated=["spam"], item=near[0], by=rosa)
    (found,) = similar.decided_like(near[1], by=rosa)
    assert found.item_id == near[0].pk
