"""What speaks for a model version and what against: gathered by a worker, judged by the gates.

Three kinds of rows: the snapshot's test rows, which no training saw; the random lane's, drawn with
a known probability, decided after the snapshot or among its test rows; and functional cases, whose
answers are beyond doubt. The champion answers the very same ones.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, attempts, audit
from reviews.errors import Conflict, Invalid
from reviews.models import Person, Policy
from reviews.wording import kept, noop

from . import evidence_rows, gates, registry, sink, vectors
from .evidence_rows import Rows
from .models import Evidence, FunctionalCase, GateBounds, ModelVersion

if TYPE_CHECKING:
    import numpy as np

    from .encoder import Encoder
    from .heads import Head

State = Evidence.State
CAPACITIES = (0.05, 0.1, 0.2)
SAME_MEANING = 0.98  # cosine from which two texts count as one in the leakage report
TIMED_TEXTS = 64
FAILED_SHOWN = 50


# Rows that are the work


def start_gathering(model_version: ModelVersion, *, by: Person | None) -> Evidence:
    """Gather anew, beside whoever is the champion now. Conflict while one is being gathered."""
    access.check(by, "evidence.gather", model_version.platform)
    try:
        with transaction.atomic():
            found = Evidence.objects.create(
                platform=model_version.platform, model_version=model_version, created_by=by
            )
    except IntegrityError as error:
        raise Conflict(
            _("Evidence about %(label)s is being gathered already.")
            % {"label": model_version.label}
        ) from error
    audit.record(
        "evidence.gather",
        model_version,
        by=by,
        platform=model_version.platform_id,
        label=model_version.label,
    )
    transaction.on_commit(lambda: nudge(found.pk), robust=True)
    return found


def nudge(evidence_id: int) -> None:
    current_app.send_task("mlhooks.tasks.gather_evidence", args=[evidence_id])


def gather(evidence_id: int) -> None:
    """Work it out, unless that is done or another process is at it."""
    rows = Evidence.objects.select_related(
        "platform", "model_version__platform", "model_version__snapshot__platform"
    )
    attempt = attempts.begin(rows, evidence_id, running=State.RUNNING, step="")
    if attempt is None:
        return
    with attempt.failing_as("evidence.fail"), attempt.pulse():
        champion = registry.champion(attempt.row.platform)
        figures = _figures(attempt.row.model_version, champion, attempt)
        attempt.write(
            state=State.READY, figures=figures, champion=champion, finished_at=Now(), step=""
        )
        sink.log_on_commit(attempt.row.model_version)


def resume_stuck() -> int:
    """Sweep: begin again what waits or fell silent; give up after three attempts."""
    pks = attempts.resume(Evidence.objects.all(), running=State.RUNNING, verb="evidence.fail")
    for pk in pks:
        nudge(pk)
    return len(pks)


# What it says


def newest(model_version: ModelVersion) -> Evidence | None:
    """The newest, ready or not."""
    rows = model_version.evidence.select_related("champion", "created_by")
    return rows.order_by("-id").first()


def outcomes(evidence: Evidence) -> list[gates.Outcome]:
    """Every gate of every policy, by the bounds that hold now."""
    own = dict(
        GateBounds.objects.filter(policy__platform=evidence.platform_id).values_list(
            "policy__slug", "bounds"
        )
    )
    found = []
    for slug, figures in evidence.figures.get("policies", {}).items():
        found += gates.judge(slug, figures, gates.bounds_of(own.get(slug)))
    return found


def valid(model_version: ModelVersion, champion: ModelVersion | None) -> Evidence:
    """The evidence to promote by. Conflict where there is none, or it compares with a champion that
    is none any more."""
    found = newest(model_version)
    if found is None or found.state == State.FAILED:
        raise Conflict(
            _("There is no evidence about %(label)s. Gather it first, on its page.")
            % {"label": model_version.label}
        )
    if found.state != State.READY:
        raise Conflict(
            _("Evidence about %(label)s is being gathered. Try again in a minute.")
            % {"label": model_version.label}
        )
    if found.champion_id != (champion.pk if champion else None):
        raise Conflict(
            _(
                "The evidence about %(label)s compares it with another champion than today's. "
                "Gather it again."
            )
            % {"label": model_version.label}
        )
    return found


def set_bounds(policy: Policy, bounds: dict[str, float], *, by: Person | None) -> GateBounds:
    """A policy's own bounds; what equals the usual one is not kept."""
    access.check(by, "gate.edit", policy.platform_id)
    wrong = {}
    for name, bound in bounds.items():
        gate = gates.GATES.get(name)
        if gate is None:
            wrong[name] = _("There is no such gate.")
        elif not gate.least <= bound <= gate.most:
            wrong[name] = _("From %(least)s to %(most)s.") % {
                "least": gate.least,
                "most": gate.most,
            }
    if wrong:
        raise Invalid(_("Some bounds make no sense."), details=wrong)
    own = {name: bound for name, bound in bounds.items() if bound != gates.GATES[name].bound}
    with transaction.atomic():
        before = GateBounds.objects.select_for_update().filter(policy=policy).first()
        row, _is_new = GateBounds.objects.update_or_create(
            policy=policy, defaults={"bounds": own, "changed_by": by, "changed_at": Now()}
        )
        audit.record(
            "gate.edit",
            policy,
            by=by,
            platform=policy.platform_id,
            before=before.bounds if before else {},
            after=own,
        )
    row.refresh_from_db()
    return row


# How it is worked out


@dataclass(frozen=True)
class _Model:
    """A head and what it says of some texts, by policy slug."""

    head: "Head"
    thresholds: dict[str, float]
    encoder: "Encoder"

    def of_rows(self, rows: Rows, encoder: "Encoder") -> "dict[str, np.ndarray]":
        """Of rows whose embeddings are `encoder`'s: by its own, where that is another."""
        if self.encoder.version == encoder.version:
            return self.says(rows.embeddings, rows.texts)
        ids = rows.table["item_version_id"].to_pylist()
        return self.says(vectors.of_versions(ids, rows.texts, self.encoder), rows.texts)

    def says(self, embeddings: "np.ndarray", texts: Sequence[str]) -> "dict[str, np.ndarray]":
        found = self.head.predict(embeddings, texts)
        return {slug: found[:, n] for n, slug in enumerate(self.head.policies)}

    def threshold(self, slug: str) -> float:
        return self.thresholds.get(slug, 0.5)


def _figures(
    model_version: ModelVersion,
    champion: ModelVersion | None,
    attempt: attempts.Attempt[Evidence],
) -> dict[str, Any]:
    import numpy as np

    attempt.write(step=kept("Loading the models"))
    text_encoder = registry.encoder_of(model_version)
    mine = _model(model_version)
    theirs, silent = None, ""
    if champion is not None and champion.pk != model_version.pk:
        try:
            theirs = _model(champion)
        except Conflict as error:  # its files, or its encoder, are not here
            silent = str(error)
    slugs = list(mine.head.policies)
    attempt.write(step=kept("Reading the test rows"))
    test, train = evidence_rows.of_snapshot(model_version.snapshot, slugs, text_encoder)
    attempt.write(step=kept("Reading the random lane"))
    stream = evidence_rows.of_stream(model_version, slugs, text_encoder, test)
    attempt.write(step=kept("Reading what came in lately"))
    recent = evidence_rows.recent(model_version.platform, text_encoder)
    figures: dict[str, Any] = {
        "champion": champion.label if theirs and champion else "",
        "champion_silent": silent,
        "speed": _speed(model_version, mine, text_encoder, test),
        "leakage": _leakage(train, test),
        "policies": {},
    }
    said = tuple(_both(mine, theirs, rows) for rows in (test, stream, recent))
    for slug in slugs:
        attempt.write(step=kept("Comparing on %(policy)s", policy=slug)[:120])
        rng = np.random.default_rng(model_version.pk)
        figures["policies"][slug] = _policy_figures(
            slug, mine, theirs, (test, stream, recent), said, text_encoder, model_version, rng
        )
    return figures


def _policy_figures(slug, mine, theirs, rows, said, encoder, model_version, rng) -> dict[str, Any]:
    """All of one policy. Figures that gates read are named as gates.GATES names them."""
    import numpy as np

    from . import evaluation, slices

    test, stream, recent = rows
    (a_test, b_test), (a_stream, b_stream), (a_recent, b_recent) = (
        (pair[0].get(slug), pair[1].get(slug)) for pair in said
    )
    found: dict[str, Any] = {}
    y = test.labels[slug]
    judged = ~np.isnan(y)
    if b_test is not None:
        found["frozen"] = evaluation.difference(y, a_test, b_test, groups=test.groups, rng=rng)
    if b_stream is not None:
        found["stream"] = evaluation.difference(
            stream.labels[slug],
            a_stream,
            b_stream,
            groups=stream.groups,
            weights=stream.weights,
            rng=rng,
        )
    found["calibration"] = _calibration(slug, test, stream, a_test, a_stream, rng)
    found["capacity"] = [
        {
            "share": share,
            "recall": evaluation.recall_at_capacity(y[judged], a_test[judged], share),
            "champion": None
            if b_test is None
            else evaluation.recall_at_capacity(y[judged], b_test[judged], share),
        }
        for share in CAPACITIES
    ]
    found["parts"] = {
        family: slices.report(
            parts,
            y,
            a_test,
            b_test,
            groups=test.groups,
            rng=rng,
            with_subgroups=family == "identities",
        )
        for family, parts in _parts(test).items()
    }
    lines = [line for family in found["parts"].values() for line in family]
    worst = slices.worst(lines)
    if worst is not None:
        found["slices"] = {
            "value": worst["difference"],
            "interval": worst["interval"],
            "n": worst["n"],
            "positives": worst["positives"],
            "part": worst["part"],
        }
    found["functional"] = _functional(slug, mine, theirs, encoder, model_version)
    if b_recent is not None and len(a_recent):
        found["load"] = _load(
            a_recent >= mine.threshold(slug),
            b_recent >= theirs.threshold(slug),
            float(y[judged].mean()) if judged.any() else 0.0,
        )
    return found


def _both(mine: _Model, theirs: _Model | None, rows: Rows):
    said = mine.says(rows.embeddings, rows.texts)
    return said, (theirs.of_rows(rows, mine.encoder) if theirs is not None else {})


def _model(model_version: ModelVersion) -> _Model:
    return _Model(
        registry.load(model_version),
        registry.thresholds(model_version),
        registry.encoder_of(model_version),
    )


def _calibration(slug, test, stream, a_test, a_stream, rng) -> dict[str, Any]:
    """On the random lane, weighted back to the stream, where it is large enough; else on the test
    rows, most of which risk picked."""
    import numpy as np

    from . import calibration, evaluation

    rows, said, of, weights = stream, a_stream, noop("random lane"), stream.weights
    if (~np.isnan(stream.labels[slug])).sum() < gates.LEAST_ROWS:
        # Unweighted: most were picked by risk, and stand for nothing but themselves.
        rows, said, of, weights = test, a_test, noop("test rows"), np.ones(len(test.texts))
    judged = ~np.isnan(rows.labels[slug])
    y, p, w = rows.labels[slug][judged], said[judged], weights[judged]
    if not y.size:
        return {"value": None, "n": 0, "positives": 0, "part": of}
    return {
        "value": calibration.ece(p, y, weights=w),
        "interval": evaluation.ece_interval(y, p, groups=rows.groups[judged], weights=w, rng=rng),
        "n": int(y.size),
        "positives": int(y.sum()),
        "part": of,
    }


def _parts(test: Rows) -> "dict[str, dict[str, np.ndarray]]":
    from . import slices

    return {
        "languages": slices.of_values(test.table["language"].to_pylist()),
        "kinds": slices.of_values(test.table["kind"].to_pylist()),
        "queues": slices.of_values(test.table["queue"].to_pylist()),
        "lengths": slices.of_lengths(test.texts),
        "ages": slices.of_ages(
            evidence_rows.account_ages(test.table["item_version_id"].to_pylist())
        ),
        "identities": slices.of_identities(test.texts),
    }


def _functional(slug, mine, theirs, encoder, model_version) -> dict[str, Any]:
    import numpy as np

    cases = list(
        FunctionalCase.objects.filter(
            policy__slug=slug, policy__platform=model_version.platform_id, archived_at=None
        ).order_by("functionality", "id")
    )
    if not cases:
        return {"value": None, "n": 0, "positives": 0, "by_functionality": [], "failed": []}
    texts = [case.text for case in cases]
    embeddings = encoder.encode(texts)
    truth = np.array([case.violates for case in cases])
    given = mine.says(embeddings, texts)[slug]
    is_right = (given >= mine.threshold(slug)) == truth
    beside = None
    if theirs is not None and slug in theirs.head.policies:
        their = theirs.encoder.encode(texts)
        beside = (theirs.says(their, texts)[slug] >= theirs.threshold(slug)) == truth
    names = np.array([case.functionality for case in cases], dtype=object)
    return {
        "value": float(is_right.mean() - (beside.mean() if beside is not None else 0)),
        "rate": float(is_right.mean()),
        "champion": None if beside is None else float(beside.mean()),
        "n": len(cases),
        "positives": int(truth.sum()),
        "by_functionality": [
            {
                "name": name,
                "n": int((names == name).sum()),
                "passed": int(is_right[names == name].sum()),
                "champion": None if beside is None else int(beside[names == name].sum()),
            }
            for name in sorted(set(names))
        ],
        "failed": [
            {"case": case.pk, "probability": float(given[n])}
            for n, case in enumerate(cases)
            if not is_right[n]
        ][:FAILED_SHOWN],
    }


def _load(mine: "np.ndarray", theirs: "np.ndarray", base_rate: float) -> dict[str, Any]:
    """How much of what came in lately it puts above the threshold, × what the champion does or what
    violates among the test rows, whichever is more: a model that misses little has to flag some."""
    share, champion = float(mine.mean()), float(theirs.mean())
    usual = max(champion, base_rate)
    return {
        "value": share / usual if usual else None,
        "share": share,
        "champion": champion,
        "base_rate": base_rate,
        "n": int(mine.size),
        "positives": int(mine.sum()),
    }


def _leakage(train: Rows, test: Rows) -> dict[str, Any]:
    """Test rows whose text stands among the train rows: folded, to the letter, or by meaning."""
    import numpy as np

    from reviews.submission import fold

    seen = {fold(text) for text in train.texts}
    exact = np.array([fold(text) in seen for text in test.texts], dtype=bool)
    nearest = np.full(len(test.texts), -1.0)
    for start in range(0, len(train.texts), 4096):
        part = train.embeddings[start : start + 4096]
        nearest = np.maximum(nearest, (test.embeddings @ part.T).max(axis=1, initial=-1.0))
    near = ~exact & (nearest >= SAME_MEANING)
    ids = test.table["item_version_id"].to_numpy()
    return {
        "test_rows": len(test.texts),
        "train_rows": len(train.texts),
        "exact": int(exact.sum()),
        "near": int(near.sum()),
        "item_versions": [int(pk) for pk in ids[exact | near][:FAILED_SHOWN]],
    }


def _speed(
    model_version: ModelVersion, mine: _Model, encoder: "Encoder", test: Rows
) -> dict[str, Any]:
    """Texts a second, encoder and all, on one core; the size; and whether what is served from the
    stored vectors is what a fresh encoding would say."""
    import numpy as np

    texts = test.texts[:TIMED_TEXTS]
    found: dict[str, Any] = {
        "bytes": (registry.folder(model_version) / registry.WEIGHTS).stat().st_size,
        "parameters": int(sum(one.numel() for one in mine.head.tensors().values())),
        "texts": len(texts),
        "texts_a_second": None,
        "largest_difference": None,
    }
    if not texts:
        return found
    began = time.perf_counter()
    fresh = mine.head.predict(encoder.encode(texts), texts)
    found["texts_a_second"] = len(texts) / max(time.perf_counter() - began, 1e-9)
    served = mine.head.predict(test.embeddings[: len(texts)], texts)
    found["largest_difference"] = float(np.abs(fresh - served).max(initial=0.0))
    return found
