"""A snapshot in, a candidate with an encoder of its own out: measured, served, never mixed up."""

import pytest
from django.core.management import CommandError, call_command

from mlhooks import due, encoder, evidence, finetuning, registry, scoring, tuning
from mlhooks.finetuning import TuningConfig
from mlhooks.models import Embedding, Evidence, ModelVersion, Score
from reviews.errors import Conflict, Forbidden, Invalid

from .factories import make_item, make_job
from .people import make_person
from .test_finetuning import base  # noqa: F401  (a fixture)
from .test_learning import decided, folders, platform  # noqa: F401

pytestmark = pytest.mark.django_db

QUICK = TuningConfig(batch=8, most_steps=4, rate=1e-3, most_tokens=16)


@pytest.fixture(autouse=True)
def small_encoder(settings, base):  # noqa: F811
    settings.ENCODER = base
    scoring._scorers.clear()
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


def test_vectors_of_two_encoders_are_kept_apart(candidate):
    kept = Embedding.objects.filter(encoder=candidate.encoder)
    assert kept.count() == candidate.snapshot.rows_done
    assert set(Embedding.objects.values_list("encoder", flat=True)) == {candidate.encoder}


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
