"""Model versions: files on disk, rows in the database, and which one is the champion. How another
becomes it is in promotions.py.

Files are safetensors and JSON under MODEL_DIR/<platform>/<number>/, checked by SHA-256 each time
they are opened. Only load() and ensure_zero_shot() touch torch, and import it themselves.
"""

import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from reviews import access, audit
from reviews.errors import Conflict, Invalid
from reviews.models import Person, Platform, PolicyVersion
from reviews.wording import kept

from . import cards, weights
from .models import Evidence, ModelVersion, Promotion, Shadow, Snapshot

if TYPE_CHECKING:
    from .encoder import Encoder, Vectors
    from .heads import Head, PolicyText

State = ModelVersion.State
WEIGHTS = "weights.safetensors"
CARD = "README.md"
TUNED = "tuned"  # folder of an encoder of its own


def register(
    platform: Platform,
    head: "Head",
    *,
    kind: str,
    policy_versions: Iterable[PolicyVersion],
    encoder_version: str,
    snapshot: Snapshot | None,
    evaluation: dict[str, Any],
    by: Person | None,
    tuned: Path | None = None,
) -> ModelVersion:
    """Keep a head as the platform's next model version, a candidate; with the folder of the encoder
    it was made with, where that is one of its own.

    Files first, row second, both or neither: the folder gets its number under the platform's lock.
    """
    from . import heads

    access.check(by, "model.train", platform)
    policy_versions = list(policy_versions)
    known = {version.policy.slug for version in policy_versions}
    if known != set(head.policies):
        raise Invalid(
            _("The head answers %(policies)s, not %(known)s.")
            % {"policies": sorted(head.policies), "known": sorted(known)}
        )
    root = settings.MODEL_DIR / platform.slug
    scratch = root / f".{uuid.uuid4().hex}"
    try:
        sha256 = heads.to_files(head, scratch)
        if tuned is not None:
            shutil.copytree(tuned, scratch / TUNED)
        with transaction.atomic():
            lock(platform)
            newest = platform.model_versions.aggregate(Max("number"))["number__max"]
            model_version = ModelVersion.objects.create(
                platform=platform,
                number=(newest or 0) + 1,
                kind=kind,
                encoder=encoder_version,
                snapshot=snapshot,
                sha256=sha256,
                evaluation=evaluation,
                created_by=by,
            )
            model_version.policy_versions.set(policy_versions)
            model_version.refresh_from_db()
            (scratch / CARD).write_text(model_card(model_version))
            _publish(scratch, folder(model_version))
            audit.record(
                "model.register",
                model_version,
                by=by,
                platform=platform,
                label=model_version.label,
                sha256=sha256,
            )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return model_version


def folder(model_version: ModelVersion) -> Path:
    root: Path = settings.MODEL_DIR
    return root / model_version.platform.slug / str(model_version.number)


def verify(model_version: ModelVersion) -> None:
    """Conflict unless the weights, and those of an encoder of its own, are there and unchanged.
    Needs no torch."""
    place = folder(model_version)
    try:
        found = weights.sha256(place / WEIGHTS)
        tuned = weights.sha256_of_folder(place / TUNED)
    except OSError as error:
        raise Conflict(
            _("The files of %(label)s cannot be read: %(error)s")
            % {"label": model_version.label, "error": error}
        ) from error
    if found != model_version.sha256:
        raise Conflict(
            _(
                "The weights of %(label)s were changed after they were registered: sha256 is "
                "%(found)s, it was %(sha256)s."
            )
            % {"label": model_version.label, "found": found, "sha256": model_version.sha256}
        )
    if model_version.kind == ModelVersion.Kind.TUNED and (
        tuned is None or model_version.encoder_family != f"{TUNED}@{tuned[:12]}"
    ):
        raise Conflict(
            _(
                "The encoder of %(label)s is missing, or was changed after it was registered: it "
                "was %(encoder)s."
            )
            % {"label": model_version.label, "encoder": model_version.encoder}
        )


def load(model_version: ModelVersion) -> "Head":
    """The head, ready to predict. Conflict when a file is missing or changed."""
    from . import heads

    try:
        return heads.from_files(folder(model_version), sha256=model_version.sha256)
    except heads.HeadRefused as error:
        raise Conflict(f"{model_version.label}: {error}") from error


def usual_encoder() -> "Encoder":
    """The one that new heads are made on, this process's copy."""
    from . import encoder

    return encoder.shared(settings.ENCODER)


def encoder_of(model_version: ModelVersion) -> "Encoder":
    """The encoder it was made with, this process's copy: the usual one, or one of its own, whose
    version says what its weights are. Conflict when it is another."""
    from . import encoder

    own = folder(model_version) / TUNED
    try:
        found = encoder.shared(str(own)) if own.is_dir() else usual_encoder()
    except encoder.EncoderRefused as error:
        raise Conflict(f"{model_version.label}: {error}") from error
    if model_version.encoder_family != found.family:
        raise Conflict(
            _(
                "%(label)s was made with the encoder %(encoder)s, this worker runs "
                "%(version)s. Set ENCODER back, or promote a model made with it."
            )
            % {
                "label": model_version.label,
                "encoder": model_version.encoder,
                "version": found.version,
            }
        )
    return found


class Parts(NamedTuple):
    """What answers for a model version: its own head, and one made from the words of policies in
    force that came after it."""

    heads: "tuple[Head, ...]"
    policy_versions: dict[str, int]  # slug → policy version id
    policies: dict[str, int]  # slug → policy id


def parts(model_version: ModelVersion, encoder: "Encoder") -> Parts:
    from . import heads

    own = list(model_version.policy_versions.select_related("policy"))
    slugs = {version.policy.slug for version in own}
    missing = [
        version for version in in_force(model_version.platform) if version.policy.slug not in slugs
    ]
    found: tuple[Head, ...] = (load(model_version),)
    if missing:
        found += (heads.ZeroShot.from_policies(policy_texts(missing), encoder.encode),)
    return Parts(
        found,
        {version.policy.slug: version.pk for version in (*missing, *own)},
        {version.policy.slug: version.policy_id for version in (*missing, *own)},
    )


class Answer(NamedTuple):
    """How likely a reviewer is to find a violation, with a 95 % interval of that probability; None
    where the head was made before heads knew. `by` is the kind of head, or "zero-shot"."""

    probability: float
    low: float | None
    high: float | None
    by: str


class Ready(NamedTuple):
    """A model version that can be asked about texts. Nothing is stored."""

    encoder: "Encoder"
    heads: "tuple[Head, ...]"

    def answers(self, texts: Sequence[str]) -> list[dict[str, Answer]]:
        """One answer a policy for each text, by policy slug."""
        from . import heads

        vectors = self._vectors(texts)
        found: list[dict[str, Answer]] = [{} for _ in texts]
        for head in self.heads:
            said = heads.answer(head, vectors, texts)
            for n, slug in enumerate(head.policies):
                by = head.part_of(slug).kind if isinstance(head, heads.Composite) else head.kind
                for row, answers in enumerate(found):
                    p, low, high = (round(float(one[row, n]), 6) for one in said)
                    known = low == low
                    answers[slug] = Answer(p, low if known else None, high if known else None, by)
        return found

    def probabilities(self, texts: Sequence[str]) -> dict[str, list[float]]:
        """A probability a text, by policy slug."""
        vectors = self._vectors(texts)
        found: dict[str, list[float]] = {}
        for head in self.heads:
            found |= zip(head.policies, head.predict(vectors, texts).T.tolist(), strict=True)
        return found

    def _vectors(self, texts: Sequence[str]) -> "Vectors":
        """As they are stored."""
        import numpy as np

        return self.encoder.encode(texts).astype(np.float16).astype(np.float32)


def make_ready(model_version: ModelVersion) -> Ready:
    """Conflict when its files or its encoder are not there."""
    encoder = encoder_of(model_version)
    return Ready(encoder, parts(model_version, encoder).heads)


def predict(model_version: ModelVersion, texts: Sequence[str]) -> list[dict[str, Answer]]:
    """As make_ready() and asking once."""
    return make_ready(model_version).answers(texts)


def champion(platform: Platform | int) -> ModelVersion | None:
    platform_id = platform if isinstance(platform, int) else platform.pk
    found = ModelVersion.objects.filter(platform_id=platform_id, state=State.CHAMPION)
    return found.select_related("platform").first()


def ensure_zero_shot(platform: Platform) -> ModelVersion:
    """The champion; the first time, a zero-shot head made from the policies in force."""
    from . import heads

    found = champion(platform)
    if found is not None:
        return found
    versions = in_force(platform)
    if not versions:
        raise Invalid(
            _("%(platform)s has no policy in force: there is nothing to score for.")
            % {"platform": platform}
        )
    text_encoder = usual_encoder()
    head = heads.ZeroShot.from_policies(policy_texts(versions), text_encoder.encode)
    with transaction.atomic():
        lock(platform)
        found = champion(platform)
        if found is not None:
            return found
        model_version = register(
            platform,
            head,
            kind=ModelVersion.Kind.ZERO_SHOT,
            policy_versions=versions,
            encoder_version=text_encoder.version,
            snapshot=None,
            evaluation={},
            by=None,
        )
        promotion = Promotion.objects.create(
            model_version=model_version,
            reason=kept("The first model: made from the policies' own words."),
            approved_at=Now(),
        )
        crown(model_version, instead_of=None)
        audit.record(
            "model.approve",
            model_version,
            by=None,
            platform=platform,
            label=model_version.label,
            promotion=promotion.pk,
        )
    return model_version


def thresholds(model_version: ModelVersion) -> dict[str, float]:
    """As chosen in training, by policy slug; a model that was never evaluated has none."""
    reports = model_version.evaluation.get("candidate", {})
    return {slug: report["threshold"] for slug, report in reports.items() if "threshold" in report}


def in_force(platform: Platform) -> list[PolicyVersion]:
    """The policy versions that hold now, in the policies' own order."""
    versions = PolicyVersion.objects.in_force().filter(policy__platform=platform)
    rows = list(versions.select_related("policy"))
    return sorted(rows, key=lambda version: (version.policy.position, version.policy_id))


def built_on(model_version: ModelVersion) -> list[tuple[PolicyVersion, PolicyVersion | None]]:
    """The policy versions it was built on, each with the one in force if that is another by now:
    it goes on answering by the text it knows."""
    now = {version.policy_id: version for version in in_force(model_version.platform)}
    own = model_version.policy_versions.select_related("policy")
    found = []
    for version in own.order_by("policy__position", "policy_id"):
        newer = now.get(version.policy_id)
        found.append((version, newer if newer is not None and newer.pk != version.pk else None))
    return found


def policy_texts(versions: Iterable[PolicyVersion]) -> "list[PolicyText]":
    from .heads import PolicyText

    return [
        PolicyText(
            slug=version.policy.slug,
            definition=version.definition,
            examples=tuple(map(str, version.examples)),
            counter_examples=tuple(map(str, version.counter_examples)),
        )
        for version in versions
    ]


def model_card(model_version: ModelVersion) -> str:
    """Markdown with a Hugging Face front matter, from the rows alone: with the newest evidence."""
    versions: Sequence[PolicyVersion] = list(
        model_version.policy_versions.select_related("policy").order_by("policy__position", "id")
    )
    found = model_version.evidence.filter(state=Evidence.State.READY).order_by("-id").first()
    return cards.model_card(model_version, versions, found.figures if found else None)


def lock(platform: Platform) -> None:
    """One at a time a platform: numbers without gaps, one change of champion at once."""
    Platform.objects.select_for_update(no_key=True).get(pk=platform.pk)


def crown(model_version: ModelVersion, *, instead_of: ModelVersion | None) -> None:
    """Under the platform's lock. First down, then up: the constraint never sees two."""
    if instead_of is not None:
        ModelVersion.objects.filter(pk=instead_of.pk).update(state=State.RETIRED)
    ModelVersion.objects.filter(pk=model_version.pk).update(state=State.CHAMPION)
    Shadow.objects.filter(model_version=model_version, stopped_at=None).update(stopped_at=Now())
    model_version.state = State.CHAMPION


def _publish(scratch: Path, target: Path) -> None:
    """Rename into place. What stands there without a row is from a transaction that failed."""
    for path in scratch.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if target.exists():
        shutil.rmtree(target)
    scratch.rename(target)
