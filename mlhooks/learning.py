"""Labels in, model version out: a training run reads a snapshot, trains a head, and measures it.

The run's row is the work; the task is a nudge and sweeps begin dead runs again. What a head is and
how it learns is in training.py, which knows no rows; this file knows no arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, attempts, audit
from reviews.errors import Conflict, Invalid
from reviews.models import Person, Platform, PolicyVersion
from reviews.wording import kept

from . import evidence, registry, sink, snapshots, vectors
from .models import ModelVersion, Snapshot, TrainingRun

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .encoder import Encoder
    from .heads import Composite, Head
    from .training import Examples, Fitted

State = TrainingRun.State
MIN_LABELS = 2  # of each class, in the training split, for a policy to be learnt at all
_KINDS = (ModelVersion.Kind.TRAINED, ModelVersion.Kind.FEW_SHOT)


def start_training(
    snapshot: Snapshot, *, by: Person | None, kind: str = "trained", seed: int = 0
) -> TrainingRun:
    """A run for a worker to pick up. Refuses at once what could not work."""
    access.check(by, "model.train", snapshot.platform)
    if kind not in _KINDS:
        raise Invalid(_("Choose trained or few-shot."), details={"kind": _("trained or few-shot")})
    if not 0 <= seed < 2**31:
        raise Invalid(_("The seed is out of range."), details={"seed": _("0 to 2147483647")})
    if snapshot.state == Snapshot.State.WITHDRAWN:
        raise snapshots.withdrawn(snapshot)
    if snapshot.state != Snapshot.State.READY:
        raise Conflict(_("This snapshot is not ready, so there is nothing to train on yet."))
    _check_enough(snapshot)
    with transaction.atomic():
        run = TrainingRun.objects.create(
            platform=snapshot.platform, snapshot=snapshot, kind=kind, seed=seed, created_by=by
        )
        run.refresh_from_db()
        audit.record(
            "model.train",
            run,
            by=by,
            platform=snapshot.platform_id,
            snapshot=snapshot.number,
            kind=kind,
            seed=seed,
        )
        transaction.on_commit(lambda: nudge(run.pk), robust=True)
    return run


def cancel_training(run: TrainingRun, *, by: Person | None) -> TrainingRun:
    """Stop it; a worker in the middle of it notices within a second or so."""
    access.check(by, "model.train", run.platform)
    with transaction.atomic():
        stopped = TrainingRun.objects.filter(
            pk=run.pk, state__in=[State.WAITING, State.RUNNING]
        ).update(state=State.CANCELLED, finished_at=Now())
        if not stopped:
            raise Conflict(_("This run is over already."))
        audit.record("model.cancel_training", run, by=by, platform=run.platform_id)
    run.refresh_from_db()
    return run


def nudge(run_id: int) -> None:
    current_app.send_task("mlhooks.tasks.run_training", args=[run_id])


def run(training_run_id: int) -> None:
    """Train, measure, register, unless that is done or another process is at it."""
    rows = TrainingRun.objects.select_related("platform", "snapshot__platform", "created_by")
    attempt = attempts.begin(
        rows, training_run_id, running=State.RUNNING, step="Starting", fraction=0, history=[]
    )
    if attempt is None:
        return
    with attempt.failing_as("model.fail_training"), attempt.pulse():
        gathering = _train(attempt)
        evidence.gather(gathering)  # unless another worker was quicker


def resume_stuck() -> int:
    """Sweep: begin again what waits or lost its heartbeat; give up after three attempts."""
    pks = attempts.resume(
        TrainingRun.objects.all(), running=State.RUNNING, verb="model.fail_training"
    )
    for pk in pks:
        nudge(pk)
    return len(pks)


def _train(attempt: attempts.Attempt[TrainingRun]) -> int:
    """Returns the id of the evidence to gather about what it registered."""
    from . import training

    training_run = attempt.row
    platform, snapshot = training_run.platform, training_run.snapshot
    say = _Progress(attempt)
    say(0.0, kept("Reading the snapshot"))
    policy_versions = learnable(snapshot)
    slugs = [version.policy.slug for version in policy_versions]
    rows = read_labels(snapshot, slugs)
    say(0.05, kept("Loading the encoder"))
    text_encoder = registry.usual_encoder()
    found = vectors.of_versions(
        rows["item_version_id"].to_pylist(),
        rows["text"].to_pylist(),
        text_encoder,
        _Part(say, 0.05, 0.4),
    )
    splits = {split: examples(rows, found, slugs, split) for split in ("train", "valid", "test")}
    if not len(splits["test"].texts):
        raise Invalid(
            _(
                "The snapshot has no test rows, so a new model could not be compared. Decide more "
                "items and make a new snapshot."
            )
        )
    say(0.4, kept("Training"))
    config = training.TrainingConfig(
        kind=training_run.kind,
        policies=registry.policy_texts(policy_versions),
        encode=text_encoder.encode,
    )
    fitted = training.fit(
        config,
        splits["train"],
        splits["valid"],
        seed=training_run.seed,
        progress=_Part(say, 0.4, 0.9),
    )
    say(0.9, kept("Comparing with the champion on the test rows"))
    evaluation = evaluate(
        platform,
        fitted,
        splits["test"],
        ids_of(rows, "test"),
        slugs,
        text_encoder,
        training_run.seed,
    )
    say(0.95, kept("Registering the model"))
    with transaction.atomic():
        # Under the row: a run that was cancelled or overtaken registers nothing.
        if not attempt.rows().select_for_update().exists():
            raise attempts.Overtaken
        model_version = registry.register(
            platform,
            fitted.head,
            kind=training_run.kind,
            policy_versions=policy_versions,
            encoder_version=text_encoder.version,
            snapshot=snapshot,
            evaluation=evaluation,
            by=None,
        )
        ModelVersion.objects.filter(pk=model_version.pk).update(created_by=training_run.created_by)
        attempt.write(
            state=State.DONE,
            step="Done",
            fraction=1,
            history=say.history,
            model_version=model_version,
            finished_at=Now(),
        )
        sink.log_on_commit(model_version)
        return evidence.start_gathering(model_version, by=None).pk


def _check_enough(snapshot: Snapshot) -> None:
    counts = snapshot.manifest["counts"]["labels"]
    for labels in counts.values():
        if min(labels["train"]["violating"], labels["train"]["clean"]) >= MIN_LABELS:
            break
    else:
        raise Invalid(
            _(
                "There are too few labels to learn from: the training split needs at least "
                "%(min_labels)s violating and %(min_labels)s clean items of one policy. Decide "
                "more items and make a new snapshot."
            )
            % {"min_labels": MIN_LABELS},
            details={"snapshot": _("too few labels")},
        )
    if not snapshot.manifest["counts"]["split"]["test"]:
        raise Invalid(
            _(
                "The snapshot has no test rows, so a new model could not be compared. Decide more "
                "items and make a new snapshot."
            ),
            details={"snapshot": _("no test rows")},
        )


def learnable(snapshot: Snapshot) -> list[PolicyVersion]:
    """Policies in force that the snapshot has a label column for."""
    known = {policy["slug"] for policy in snapshot.manifest["policies"]}
    versions = registry.in_force(snapshot.platform)
    found = [version for version in versions if version.policy.slug in known]
    if not found:
        raise Invalid(_("None of the snapshot's policies is in force any more."))
    return found


def read_labels(snapshot: Snapshot, slugs: list[str]) -> "pa.Table":
    from . import snapshot_files

    return snapshot_files.read_labels(
        snapshot, policy_slugs=slugs, columns=("item_version_id", "text", "split", "weight")
    )


def examples(
    rows: "pa.Table", embeddings: "np.ndarray", slugs: list[str], split: str
) -> "Examples":
    import numpy as np
    import pyarrow.compute as pc

    from .training import Examples

    here = np.flatnonzero(pc.equal(rows["split"], split).to_numpy())
    labels = labels_of(rows, slugs)[here]
    return Examples(
        embeddings=embeddings[here],
        texts=rows["text"].take(here).to_pylist(),
        labels=labels,
        weights=np.ones(len(here)),
        # Known in the random lane alone; null becomes NaN.
        stream=rows["weight"].cast("float64").to_numpy()[here],
    )


def ids_of(rows: "pa.Table", split: str) -> list[int]:
    """Item version ids, in the order of examples()."""
    import pyarrow.compute as pc

    found: list[int] = rows.filter(pc.equal(rows["split"], split))["item_version_id"].to_pylist()
    return found


def labels_of(rows: "pa.Table", slugs: list[str]) -> "np.ndarray":
    """(n, policies): 1, 0, NaN for not judged."""
    import numpy as np

    return np.stack([rows[f"label_{slug}"].cast("float64").to_numpy() for slug in slugs], axis=1)


def evaluate(
    platform: Platform,
    fitted: "Fitted",
    test: "Examples",
    version_ids: Sequence[int],
    slugs: list[str],
    encoder: "Encoder",
    seed: int,
) -> dict[str, Any]:
    """The candidate's reports and, on the very same rows, the champion's, each by its own encoder.
    `version_ids` are those of the rows."""
    thresholds = fitted.thresholds
    evaluation: dict[str, Any] = {
        "test_rows": len(test.texts),
        "candidate": _reports(fitted.head, test, slugs, thresholds, seed),
        "champion": {},
        "champion_label": "",
    }
    for slug, report in evaluation["candidate"].items():
        report["answered_by"] = fitted.answered_by[slug]
        report["calibration"] = _calibration(fitted.head, slug)
    champion = registry.champion(platform)
    if champion is None:
        return evaluation
    try:
        head, own = registry.load(champion), registry.encoder_of(champion)
    except Conflict:  # its files, or its encoder, are not here
        return evaluation
    if own.family != encoder.family:
        test = replace(test, embeddings=vectors.of_versions(version_ids, test.texts, own))
    evaluation["champion"] = _reports(head, test, slugs, registry.thresholds(champion), seed)
    evaluation["champion_label"] = champion.label
    return evaluation


def _calibration(head: "Composite", slug: str) -> dict[str, Any]:
    """Which map its answers go through, and what it was fitted on: for the page and the card."""
    part = head.part_of(slug)
    maps = getattr(part, "maps", None)
    if maps is None:
        return {"method": "by hand", "rows": "", "n": 0, "positives": 0}
    found = maps[part.policies.index(slug)]
    return {"method": found.method, "level": found.level, **found.about}


def _reports(
    head: "Head", test: "Examples", slugs: list[str], thresholds: dict[str, float], seed: int
) -> dict[str, Any]:
    import numpy as np

    from . import evaluation

    predicted = head.predict(test.embeddings, test.texts)
    return {
        slug: evaluation.report(
            test.labels[:, number],
            predicted[:, head.policies.index(slug)],
            threshold=thresholds.get(slug, 0.5),
            rng=np.random.default_rng(seed),
        )
        for number, slug in enumerate(slugs)
        if slug in head.policies
    }


class _Progress:
    """Writes step, fraction and the curve so far to the run's row, now and then."""

    def __init__(self, attempt: attempts.Attempt[TrainingRun]) -> None:
        self.history: list[dict] = []
        self._attempt = attempt
        self._step = ""

    def __call__(self, fraction: float, step: str, entry: dict | None = None) -> None:
        if entry is not None:
            # A loss over no rows is NaN, which JSON has no word for.
            self.history.append(
                {key: None if value != value else value for key, value in entry.items()}
            )
        values = {"step": step[:120], "fraction": min(max(fraction, 0.0), 1.0)}
        is_new = step.split(",")[0] != self._step
        self._step = step.split(",")[0]
        write = self._attempt.write if is_new else self._attempt.say
        write(**values, history=self.history)


@dataclass
class _Part:
    """A step of the whole: 0 to 1 inside it is `start` to `end` outside."""

    say: _Progress
    start: float
    end: float

    def __call__(self, fraction: float, step: str, entry: dict | None = None) -> None:
        self.say(self.start + (self.end - self.start) * fraction, step, entry)
