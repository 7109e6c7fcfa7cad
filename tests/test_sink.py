"""A copy for MLflow: what is logged, that it is logged once, and that nothing depends on it."""

import contextlib
import sys
import types

import numpy as np
import pytest

from mlhooks import heads, registry, sink, tasks

from .factories import make_evidence, make_platform, make_policy

pytestmark = pytest.mark.django_db

NEAR = np.array([[1.0, 0.0]], np.float32)


@pytest.fixture
def model(settings, tmp_path):
    settings.MODEL_DIR = tmp_path / "models"
    settings.MLFLOW_TRACKING_URI = "file:///nowhere"
    platform = make_platform(slug="mail", name="Mail")
    make_policy(platform=platform, slug="spam", name="Spam: “all” of it")
    found = registry.register(
        platform,
        heads.ZeroShot(["spam"], [NEAR], [NEAR[:, ::-1].copy()]),
        kind="trained",
        policy_versions=registry.in_force(platform),
        encoder_version="encoder@0123456789ab/fp32",
        snapshot=None,
        evaluation={
            "candidate": {
                "spam": {"n": 40, "auprc": 0.8125, "auroc": 0.9, "ece": 0.03, "reliability": []}
            }
        },
        by=None,
    )
    make_evidence(found, spam={"frozen": {"value": -0.02}, "stream": {"value": None}})
    return found


class Server:
    """What MLflow keeps of runs, as far as the sink speaks to it."""

    def __init__(self):
        self.runs = []
        self.is_full = False

    def install(self, monkeypatch):
        module = types.ModuleType("mlflow")
        module.set_tracking_uri = lambda uri: None
        module.set_experiment = lambda name: types.SimpleNamespace(experiment_id=name)
        module.MlflowClient = lambda: self
        module.start_run = self.start_run
        for name in ("set_tags", "log_params", "log_metrics"):
            setattr(module, name, lambda given, name=name: self.runs[-1][name].update(given))
        module.log_artifacts = self.log_artifacts
        monkeypatch.setitem(sys.modules, "mlflow", module)

    def log_artifacts(self, folder):
        if self.is_full:
            raise OSError("No space left on device")
        self.runs[-1]["folder"] = folder

    def start_run(self, *, run_name, experiment_id):
        self.runs.append(
            {"name": run_name, "experiment": experiment_id}
            | {name: {} for name in ("set_tags", "log_params", "log_metrics")}
        )
        return contextlib.nullcontext()

    def search_runs(self, ids, *, filter_string, max_results):
        return [
            types.SimpleNamespace(
                info=types.SimpleNamespace(run_id=n),
                data=types.SimpleNamespace(metrics=dict(run["log_metrics"])),
            )
            for n, run in enumerate(self.runs)
            if run["set_tags"].get(sink.SHA256, "no tag") in filter_string
        ]

    def log_metric(self, run_id, name, value):
        self.runs[run_id]["log_metrics"][name] = value


def test_what_is_logged_twice_is_there_once(model, monkeypatch):
    server = Server()
    server.install(monkeypatch)
    assert tasks.log_to_mlflow(model.pk) is True
    assert tasks.log_to_mlflow(model.pk) is True
    (run,) = server.runs
    assert (run["experiment"], run["name"]) == ("trustconsole/mail", "v1 trained")
    assert run["log_params"]["encoder"] == "encoder@0123456789ab/fp32"
    assert run["log_metrics"] == {
        "spam/test/auprc": 0.8125,
        "spam/test/auroc": 0.9,
        "spam/test/ece": 0.03,
        "spam/frozen": -0.02,
    }
    assert run["set_tags"][sink.SHA256] == model.sha256
    assert (registry.folder(model) / "weights.safetensors").exists()
    assert run["folder"] == str(registry.folder(model))
    # Evidence gathered later comes to the same run.
    make_evidence(model, spam={"frozen": {"value": 0.05}})
    assert tasks.log_to_mlflow(model.pk) is True
    assert len(server.runs) == 1 and run["log_metrics"]["spam/frozen"] == 0.05


def test_a_run_that_broke_off_is_logged_anew(model, monkeypatch):
    server = Server()
    server.install(monkeypatch)
    server.is_full = True
    assert tasks.log_to_mlflow(model.pk) is False
    server.is_full = False
    assert tasks.log_to_mlflow(model.pk) is True
    assert [run.get("folder") for run in server.runs] == [None, str(registry.folder(model))]


def test_a_tuned_model_is_logged_with_its_encoder_and_what_it_was_tuned_by(model, tmp_path):
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    (tuned / "model.safetensors").write_bytes(b"weights")
    found = registry.register(
        model.platform,
        registry.load(model),
        kind="fine-tuned",
        policy_versions=registry.in_force(model.platform),
        encoder_version="tuned@0123456789ab/fp32",
        snapshot=None,
        evaluation={"tuning": {"from": "base@0/fp32", "kind": "full", "seed": 7}},
        by=None,
        tuned=tuned,
    )
    record = sink.record_of(found)
    assert (record.folder / registry.TUNED / "model.safetensors").read_bytes() == b"weights"
    assert record.params["seed"] == "7"
    assert record.params["tuning.kind"] == "full"
    assert record.params["tuning.from"] == "base@0/fp32"


def test_a_sink_that_is_away_or_not_installed_harms_nobody(model, monkeypatch, caplog):
    def away(record):
        raise ConnectionError("no such host")

    monkeypatch.setattr(sink, "_send", away)
    assert tasks.log_to_mlflow(model.pk) is False
    assert "no such host" in caplog.text


def test_without_the_setting_nothing_is_sent(
    model, settings, monkeypatch, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as asked:
        sink.log_on_commit(model)
    assert len(asked) == 1
    settings.MLFLOW_TRACKING_URI = ""
    with django_capture_on_commit_callbacks() as asked:
        sink.log_on_commit(model)
    assert asked == []
    monkeypatch.setattr(sink, "_send", None)  # would raise if it were called
    assert tasks.log_to_mlflow(model.pk) is False


def test_the_card_tells_the_hub_its_figures(model):
    from huggingface_hub import ModelCard

    card = ModelCard(registry.model_card(model))
    found = {
        (one.dataset_type, one.metric_type): (one.task_name, one.metric_value)
        for one in card.data.eval_results
    }
    name = "Spam: “all” of it"
    assert found["test-rows", "average_precision"] == (name, 0.8125)
    assert found["test-rows", "expected_calibration_error"] == (name, 0.03)
    assert found["live-stream", "average_precision_difference"] == (name, -0.02)
    assert len(found) == 4
    assert card.data.base_model == "encoder@0123456789ab".partition("@")[0]
