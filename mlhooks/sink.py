"""A copy of each registered model version for MLflow, where MLFLOW_TRACKING_URI names a server or
folder. Optional: `pip install -r requirements-mlflow.txt`. Nothing of ours ever reads it back, and
nothing waits for it.
"""

import logging
from pathlib import Path
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.db import transaction

from . import registry
from .models import Evidence, ModelVersion

logger = logging.getLogger(__name__)

SHA256 = "trustconsole.sha256"  # the tag by which a run is known again


class Record(NamedTuple):
    experiment: str
    run: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    folder: Path  # weights, head.json, model card; below it the encoder, if it has one of its own


def log_on_commit(model_version: ModelVersion) -> None:
    """Ask a worker, if there is anywhere to log to. Evidence is logged with it if it is there."""
    if not settings.MLFLOW_TRACKING_URI:
        return
    pk = model_version.pk
    transaction.on_commit(
        lambda: current_app.send_task("mlhooks.tasks.log_to_mlflow", args=[pk], retry=False),
        robust=True,
    )


def log(model_version_id: int) -> bool:
    """Once a set of figures: what is there already is left alone. False, and a line in the log,
    where it could not be done: a sink that is away is no fault of the model's."""
    if not settings.MLFLOW_TRACKING_URI:
        return False
    rows = ModelVersion.objects.select_related("platform", "snapshot")
    try:
        _send(record_of(rows.get(pk=model_version_id)))
    except Exception as error:
        logger.warning("Model version %s was not logged to MLflow: %s", model_version_id, error)
        return False
    return True


def record_of(model_version: ModelVersion) -> Record:
    snapshot, run = model_version.snapshot, getattr(model_version, "training_run", None)
    tuning = model_version.evaluation.get("tuning") or {}
    params = {
        "kind": model_version.kind,
        "encoder": model_version.encoder,
        "snapshot": str(snapshot.number) if snapshot else "",
        "seed": str(run.seed if run else tuning.get("seed", "")),
        **{f"tuning.{name}": str(tuning[name]) for name in ("kind", "from") if name in tuning},
        **{
            f"config.{name}": str(value)[:500]
            for name, value in (run.config if run else {}).items()
        },
    }
    metrics: dict[str, float] = {}
    for slug, report in (model_version.evaluation.get("candidate") or {}).items():
        metrics |= _numbers(f"{slug}/test", report, ("auprc", "auroc", "ece", "brier", "threshold"))
    found = (
        Evidence.objects.filter(model_version=model_version, state=Evidence.State.READY)
        .order_by("-id")
        .first()
    )
    for slug, figures in (found.figures.get("policies", {}) if found else {}).items():
        for name in ("frozen", "stream", "calibration", "functional", "load"):
            metrics |= _numbers(f"{slug}/{name}", figures.get(name) or {}, ("value",))
    return Record(
        experiment=f"trustconsole/{model_version.platform.slug}",
        run=model_version.label,
        params=params,
        metrics=metrics,
        tags={SHA256: model_version.sha256, "trustconsole.number": str(model_version.number)},
        folder=registry.folder(model_version),
    )


def _numbers(prefix: str, figures: dict[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    return {
        f"{prefix}/{name}".removesuffix("/value"): float(figures[name])
        for name in names
        if isinstance(figures.get(name), int | float)
    }


def _send(record: Record) -> None:
    """The one place that speaks to MLflow."""
    import mlflow

    mlflow.set_tracking_uri(settings.MLFLOW_TRACKING_URI)
    experiment = mlflow.set_experiment(record.experiment)
    client = mlflow.MlflowClient()
    before = client.search_runs(
        [experiment.experiment_id],
        filter_string=f"tags.`{SHA256}` = '{record.tags[SHA256]}'",
        max_results=1,
    )
    if before:
        run_id = before[0].info.run_id
        for name, value in record.metrics.items():
            if before[0].data.metrics.get(name) != value:
                client.log_metric(run_id, name, value)
        return
    with mlflow.start_run(run_name=record.run, experiment_id=experiment.experiment_id):
        mlflow.log_params(record.params)
        mlflow.log_metrics(record.metrics)
        mlflow.log_artifacts(str(record.folder))
        # Last: a run that broke off before is not known again, and the next one starts afresh.
        mlflow.set_tags(record.tags)
