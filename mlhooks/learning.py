"""Labels in, model version out: a training run reads a snapshot, trains a head, and measures it.

The run's row is the work; the task is a nudge and sweeps begin dead runs again. What a head is and
how it learns is in training.py, which knows no rows; this file knows no arithmetic.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from reviews import access, audit
from reviews.errors import Conflict, DomainError, Invalid
from reviews.models import Person, PolicyVersion

from . import registry
from .models import Embedding, ModelVersion, Snapshot, TrainingRun

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .encoder import Encoder
    from .heads import Head
    from .training import Examples, Fitted

State = TrainingRun.State
MAX_ATTEMPTS = 3
SILENT_FOR = timedelta(seconds=60)  # a run without a heartbeat this long is dead
PULSE_SECONDS = 10
ENCODE_AT_ONCE = 256
MIN_LABELS = 2  # of each class, in the training split, for a policy to be learnt at all
_KINDS = (ModelVersion.Kind.TRAINED, ModelVersion.Kind.FEW_SHOT)


def start_training(
    snapshot: Snapshot, *, by: Person | None, kind: str = "trained", seed: int = 0
) -> TrainingRun:
    """A run for a worker to pick up. Refuses at once what could not work."""
    access.check(by, "model.train", snapshot.platform)
    if kind not in _KINDS:
        raise Invalid("Choose trained or few-shot.", details={"kind": "trained or few-shot"})
    if not 0 <= seed < 2**31:
        raise Invalid("The seed is out of range.", details={"seed": "0 to 2147483647"})
    if snapshot.state != Snapshot.State.READY:
        raise Conflict("This snapshot is not ready, so there is nothing to train on yet.")
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
            raise Conflict("This run is over already.")
        audit.record("model.cancel_training", run, by=by, platform=run.platform_id)
    run.refresh_from_db()
    return run


def nudge(run_id: int) -> None:
    current_app.send_task("mlhooks.tasks.run_training", args=[run_id])


def run(training_run_id: int) -> None:
    """Train, measure, register, unless that is done or another process is at it."""
    training_run = _begin(training_run_id)
    if training_run is None:
        return
    try:
        with _pulse(training_run):
            _train(training_run)
    except _Stopped:
        return
    except DomainError as error:
        _fail(training_run, str(error), for_good=True)
    except Exception as error:
        gone_for_good = (
            not isinstance(error, OperationalError) or training_run.attempts >= MAX_ATTEMPTS
        )
        _fail(training_run, f"{type(error).__name__}: {error}", for_good=gone_for_good)
        raise


def resume_stuck() -> int:
    """Sweep: begin again what waits or lost its heartbeat; give up after three attempts."""
    silent = Q(state=State.RUNNING, heartbeat_at__lt=Now() - SILENT_FOR)
    waiting = Q(state=State.WAITING, created_at__lt=Now() - timedelta(seconds=10))
    for lost in TrainingRun.objects.filter(silent, attempts__gte=MAX_ATTEMPTS):
        _fail(
            lost,
            f"The process that ran it stopped {lost.attempts} times without a word; it may be "
            "short of memory. Look at the worker's log.",
            for_good=True,
        )
    due = TrainingRun.objects.filter(silent | waiting, attempts__lt=MAX_ATTEMPTS)
    pks = list(due.values_list("pk", flat=True))
    for pk in pks:
        nudge(pk)
    return len(pks)


def _train(training_run: TrainingRun) -> None:
    from . import encoder, training

    platform, snapshot = training_run.platform, training_run.snapshot
    say = _Progress(training_run)
    say(0.0, "Reading the snapshot")
    policy_versions = _learnable(snapshot)
    slugs = [version.policy.slug for version in policy_versions]
    rows = _read(snapshot, slugs)
    say(0.05, "Loading the encoder")
    text_encoder = encoder.shared(settings.ENCODER)
    vectors = _embeddings(rows, text_encoder, _Part(say, 0.05, 0.4))
    splits = {split: _examples(rows, vectors, slugs, split) for split in ("train", "valid", "test")}
    if not len(splits["test"].texts):
        raise Invalid(
            "The snapshot has no test rows, so a new model could not be compared. Decide more "
            "items and make a new snapshot."
        )
    say(0.4, "Training")
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
    say(0.9, "Comparing with the champion on the test rows")
    evaluation = _evaluate(fitted, splits["test"], slugs, training_run, text_encoder)
    say(0.98, "Registering the model")
    with transaction.atomic():
        # Under the row: a run that was cancelled or overtaken registers nothing.
        if not _mine(training_run).select_for_update().exists():
            raise _Stopped
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
        _mine(training_run).update(
            state=State.DONE,
            step="Done",
            fraction=1,
            history=say.history,
            model_version=model_version,
            finished_at=Now(),
            heartbeat_at=Now(),
        )


def _check_enough(snapshot: Snapshot) -> None:
    counts = snapshot.manifest["counts"]["labels"]
    for labels in counts.values():
        if min(labels["train"]["violating"], labels["train"]["clean"]) >= MIN_LABELS:
            break
    else:
        raise Invalid(
            "There are too few labels to learn from: the training split needs at least "
            f"{MIN_LABELS} violating and {MIN_LABELS} clean items of one policy. Decide more "
            "items and make a new snapshot.",
            details={"snapshot": "too few labels"},
        )
    if not snapshot.manifest["counts"]["split"]["test"]:
        raise Invalid(
            "The snapshot has no test rows, so a new model could not be compared. Decide more "
            "items and make a new snapshot.",
            details={"snapshot": "no test rows"},
        )


def _learnable(snapshot: Snapshot) -> list[PolicyVersion]:
    """Policies in force that the snapshot has a label column for."""
    known = {policy["slug"] for policy in snapshot.manifest["policies"]}
    versions = registry.in_force(snapshot.platform)
    found = [version for version in versions if version.policy.slug in known]
    if not found:
        raise Invalid("None of the snapshot's policies is in force any more.")
    return found


def _read(snapshot: Snapshot, slugs: list[str]) -> "pa.Table":
    from . import snapshot_files

    return snapshot_files.read_labels(
        snapshot, policy_slugs=slugs, columns=("item_version_id", "text", "split")
    )


def _embeddings(rows: "pa.Table", encoder: "Encoder", say: "_Part") -> "np.ndarray":
    """One vector a row: stored ones read, missing ones encoded and stored."""
    import numpy as np

    ids = rows["item_version_id"].to_numpy()
    vectors = np.zeros((len(ids), encoder.dimension), dtype=np.float32)
    is_missing = np.ones(len(ids), dtype=bool)
    place = {int(pk): number for number, pk in enumerate(ids)}
    for start in range(0, len(ids), 5000):
        for pk, data in _stored(ids[start : start + 5000].tolist(), encoder.version):
            vectors[place[pk]] = np.frombuffer(data, dtype=">f2", offset=4)
            is_missing[place[pk]] = False
        say(0.3 * start / len(ids), "Reading embeddings")
    missing = np.flatnonzero(is_missing)
    texts = rows["text"]
    for start in range(0, len(missing), ENCODE_AT_ONCE):
        part = missing[start : start + ENCODE_AT_ONCE]
        fresh = encoder.encode(texts.take(part).to_pylist()).astype(np.float16)
        vectors[part] = fresh
        Embedding.objects.bulk_create(
            [
                Embedding(item_version_id=int(ids[n]), encoder=encoder.version, vector=vector)
                for n, vector in zip(part, fresh, strict=True)
            ],
            ignore_conflicts=True,
        )
        done = start + len(part)
        say(0.3 + 0.7 * done / len(missing), f"Encoding texts, {done:,} of {len(missing):,}")
    return vectors


def _stored(version_ids: list[int], encoder_version: str) -> Iterator[tuple[int, bytes]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT item_version_id, halfvec_send(vector) FROM mlhooks_embedding "
            "WHERE encoder = %s AND item_version_id = ANY(%s)",
            [encoder_version, version_ids],
        )
        yield from cursor.fetchall()


def _examples(rows: "pa.Table", vectors: "np.ndarray", slugs: list[str], split: str) -> "Examples":
    import numpy as np
    import pyarrow.compute as pc

    from .training import Examples

    here = np.flatnonzero(pc.equal(rows["split"], split).to_numpy())
    labels = np.stack(
        [rows[f"label_{slug}"].cast("float64").to_numpy()[here] for slug in slugs], axis=1
    )
    return Examples(
        embeddings=vectors[here],
        texts=rows["text"].take(here).to_pylist(),
        labels=labels,
        weights=np.ones(len(here)),
    )


def _evaluate(
    fitted: "Fitted",
    test: "Examples",
    slugs: list[str],
    training_run: TrainingRun,
    encoder: "Encoder",
) -> dict[str, Any]:
    """The candidate's reports and, on the very same rows, the champion's."""
    from .encoder import family_of

    seed, thresholds = training_run.seed, fitted.thresholds
    evaluation: dict[str, Any] = {
        "test_rows": len(test.texts),
        "candidate": _reports(fitted.head, test, slugs, thresholds, seed),
        "champion": {},
        "champion_label": "",
    }
    for slug, report in evaluation["candidate"].items():
        report["answered_by"] = fitted.answered_by[slug]
    champion = registry.champion(training_run.platform)
    if champion is None or family_of(champion.encoder) != encoder.family:
        return evaluation
    head = registry.load(champion)
    evaluation["champion"] = _reports(head, test, slugs, {}, seed)
    evaluation["champion_label"] = champion.label
    return evaluation


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


class _Stopped(Exception):
    """Cancelled, or another process took the run over."""


class _Progress:
    """Writes step, fraction and history to the run's row, at most once a second."""

    def __init__(self, training_run: TrainingRun) -> None:
        self.history: list[dict] = []
        self._mine = _mine(training_run)
        self._next = 0.0
        self._step = ""

    def __call__(self, fraction: float, step: str, entry: dict | None = None) -> None:
        if entry is not None:
            # A loss over no rows is NaN, which JSON has no word for.
            self.history.append(
                {key: None if value != value else value for key, value in entry.items()}
            )
        if step.split(",")[0] == self._step and time.monotonic() < self._next:
            return
        self._step, self._next = step.split(",")[0], time.monotonic() + 1
        values = {"step": step[:120], "fraction": min(max(fraction, 0.0), 1.0)}
        if not self._mine.update(**values, history=self.history, heartbeat_at=Now()):
            raise _Stopped


@dataclass
class _Part:
    """A step of the whole: 0 to 1 inside it is `start` to `end` outside."""

    say: _Progress
    start: float
    end: float

    def __call__(self, fraction: float, step: str, entry: dict | None = None) -> None:
        self.say(self.start + (self.end - self.start) * fraction, step, entry)


@contextlib.contextmanager
def _pulse(training_run: TrainingRun) -> Iterator[None]:
    """A heartbeat beside the work: one step of it may take longer than SILENT_FOR."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(PULSE_SECONDS):
            with contextlib.suppress(OperationalError):
                _mine(training_run).update(heartbeat_at=Now())
            connections.close_all()

    thread = threading.Thread(target=beat, name="training-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _mine(training_run: TrainingRun):
    """The row, as long as this attempt is the one that runs."""
    return TrainingRun.objects.filter(
        pk=training_run.pk, state=State.RUNNING, attempts=training_run.attempts
    )


def _begin(training_run_id: int) -> TrainingRun | None:
    silent = Q(state=State.RUNNING, heartbeat_at__lt=Now() - SILENT_FOR)
    begun = TrainingRun.objects.filter(
        silent | Q(state=State.WAITING), pk=training_run_id, attempts__lt=MAX_ATTEMPTS
    ).update(
        state=State.RUNNING,
        attempts=F("attempts") + 1,
        heartbeat_at=Now(),
        step="Starting",
        fraction=0,
        history=[],
        error="",
    )
    if not begun:
        return None
    rows = TrainingRun.objects.select_related("platform", "snapshot__platform", "created_by")
    return rows.get(pk=training_run_id)


def _fail(training_run: TrainingRun, error: str, *, for_good: bool) -> None:
    values: dict[str, Any] = {"state": State.WAITING, "error": error[:2000]}
    if for_good:
        values |= {"state": State.FAILED, "finished_at": Now()}
    with transaction.atomic():
        if _mine(training_run).update(**values) and for_good:
            audit.record(
                "model.fail_training",
                training_run,
                by=None,
                platform=training_run.platform_id,
                error=error[:200],
            )
