"""A snapshot in, a candidate with an encoder of its own out. What is done to the encoder is in
finetuning.py, which knows no rows; heads and figures are as for any model (learning.py).

Run by `manage.py fine_tune`, alone or under torchrun: then each process tunes, and the first one
measures and registers.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from reviews import access
from reviews.errors import Conflict, Invalid
from reviews.models import Person

from . import evidence, learning, registry, sink, vectors
from .models import ModelVersion, Snapshot

if TYPE_CHECKING:
    import numpy as np

    from .encoder import Encoder
    from .finetuning import Progress, TuningConfig
    from .training import Fitted


def fine_tune(
    snapshot: Snapshot,
    config: "TuningConfig",
    *,
    seed: int,
    by: Person | None,
    say: "Progress" = lambda fraction, step: None,
) -> ModelVersion | None:
    """The candidate; None in the processes of torchrun that only helped. Goes on with what a run
    of the same snapshot, configuration and seed left behind. Invalid where there is too little to
    learn from or to compare on."""
    from . import encoder, finetuning

    access.check(by, "model.train", snapshot.platform)
    if snapshot.state != Snapshot.State.READY:
        raise Conflict("This snapshot is not ready, so there is nothing to tune on yet.")
    policy_versions = learning.learnable(snapshot)
    slugs = [version.policy.slug for version in policy_versions]
    rows = learning.read_labels(snapshot, slugs)
    texts, splits = _split(rows, slugs)
    if not splits["test"].any():
        raise Invalid("The snapshot has no test rows, so a new model could not be compared.")
    base = registry.usual_encoder()
    labels = learning.labels_of(rows, slugs)[splits["train"]]
    work = _work(snapshot, config.kind, seed)
    try:
        model = finetuning.tune(
            config,
            finetuning.exact(base),
            [text for text, is_train in zip(texts, splits["train"], strict=True) if is_train],
            labels,
            seed=seed,
            folder=work,
            progress=lambda fraction, step: say(0.7 * fraction, step),
        )
    except (ValueError, finetuning.CheckpointRefused) as error:
        raise Invalid(str(error)) from error
    if model is None or int(os.environ.get("RANK", "0")):
        return None
    finetuning.save(model, work / registry.TUNED)
    tuned = encoder.load(str(work / registry.TUNED))
    say(0.7, "Encoding texts anew")
    found = vectors.of_versions(rows["item_version_id"].to_pylist(), texts, tuned)
    say(0.85, "Training a head")
    fitted, evaluation = _head(snapshot, policy_versions, rows, found, slugs, tuned, seed)
    evaluation["tuning"] = {"from": base.version, "kind": config.kind, "seed": seed}
    model_version = registry.register(
        snapshot.platform,
        fitted.head,
        kind=ModelVersion.Kind.TUNED,
        policy_versions=policy_versions,
        encoder_version=tuned.version,
        snapshot=snapshot,
        evaluation=evaluation,
        by=by,
        tuned=work / registry.TUNED,
    )
    shutil.rmtree(work, ignore_errors=True)
    sink.log_on_commit(model_version)
    evidence.start_gathering(model_version, by=by)
    say(1.0, "Registered")
    return model_version


def _head(
    snapshot: Snapshot,
    policy_versions: list[Any],
    rows: Any,
    found: "np.ndarray",
    slugs: list[str],
    tuned: "Encoder",
    seed: int,
) -> "tuple[Fitted, dict[str, Any]]":
    from . import training

    splits = {
        name: learning.examples(rows, found, slugs, name) for name in ("train", "valid", "test")
    }
    config = training.TrainingConfig(
        policies=registry.policy_texts(policy_versions), encode=tuned.encode
    )
    fitted = training.fit(config, splits["train"], splits["valid"], seed=seed)
    evaluation = learning.evaluate(
        snapshot.platform,
        fitted,
        splits["test"],
        learning.ids_of(rows, "test"),
        slugs,
        tuned,
        seed,
    )
    return fitted, evaluation


def _split(rows: Any, slugs: list[str]) -> "tuple[list[str], dict[str, np.ndarray]]":
    import pyarrow.compute as pc

    names = ("train", "valid", "test")
    return rows["text"].to_pylist(), {
        name: pc.equal(rows["split"], name).to_numpy() for name in names
    }


def _work(snapshot: Snapshot, kind: str, seed: int) -> Path:
    """Where the checkpoint lies until the model is registered; every process sees the same."""
    root: Path = settings.MODEL_DIR
    return root / snapshot.platform.slug / f".tuning-{snapshot.number}-{kind}-{seed}"
