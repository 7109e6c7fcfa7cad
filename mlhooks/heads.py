"""Embedding (and text) → one calibrated probability a policy. Knows no rows and no Django.

ZeroShot reads the policies' own words, FewShot adds a handful of labels, TrainedHead learns from
many. Composite holds several: each policy answered by the best head it can have.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from . import calibration, lexical
from .calibration import Platt

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Encode = Callable[[Sequence[str]], Vectors]

WEIGHTS = "weights.safetensors"
CARD = "head.json"
FORMAT = 1


class HeadRefused(Exception):
    """The files are not a head this code can read, or not the ones that were written."""


@dataclass(frozen=True)
class PolicyText:
    """What a policy says, as a head needs it."""

    slug: str
    definition: str
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()


class Head(Protocol):
    """`predict` → (n, len(policies)) probabilities, columns in the order of `policies`."""

    kind: ClassVar[str]
    policies: tuple[str, ...]

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats: ...

    def config(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]: ...

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self: ...


# Everyday sentences that break no rule anywhere: what "unrelated" looks like to an encoder.
NEUTRAL = (
    "I went to the shop this morning and bought some bread.",
    "Thank you for your help, have a nice day.",
    "The meeting is on Thursday at three.",
    "What do you think of the new phone?",
    "It rained all weekend, so we stayed at home and watched a film.",
    "The government announced a new budget today.",
)


class ZeroShot:
    """Nearness to a policy's examples, less nearness to what it allows.

    score = pool(x · examples) − AWAY · pool(x · counter-examples and neutral sentences), with
    pool = log-mean-exp(SHARPNESS · cosine) / SHARPNESS, between a mean and a maximum. A definition
    counts as an example while there are fewer than ENOUGH: it is written for people, and its many
    clauses are near to much that is allowed.
    """

    kind: ClassVar[str] = "zero-shot"

    SHARPNESS = 5.0
    AWAY = 0.5
    ENOUGH = 3
    # Set by hand, once: an everyday text (score .06) gets .04, one like an example (.25) gets .55.
    # No label of anybody's platform has confirmed it.
    PLATT = Platt(slope=18.0, offset=-4.3)

    def __init__(self, policies: Sequence[str], near: list[Vectors], away: list[Vectors]) -> None:
        self.policies = tuple(policies)
        self._near = near  # a policy: (anchors, d)
        self._away = away

    @classmethod
    def from_policies(cls, policies: Sequence[PolicyText], encode: Encode) -> "ZeroShot":
        near = [encode(cls._anchors(policy)) for policy in policies]
        away = [encode([*policy.counter_examples, *NEUTRAL]) for policy in policies]
        return cls([policy.slug for policy in policies], near, away)

    @classmethod
    def _anchors(cls, policy: PolicyText) -> list[str]:
        if len(policy.examples) >= cls.ENOUGH:
            return list(policy.examples)
        return [policy.definition, *policy.examples]

    def scores(self, embeddings: Vectors) -> Floats:
        """(n, policies), higher is more like the policy. Not a probability."""
        columns = [
            _pool(embeddings @ near.T, self.SHARPNESS)
            - self.AWAY * _pool(embeddings @ away.T, self.SHARPNESS)
            for near, away in zip(self._near, self._away, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(embeddings), 0))

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        return calibration.apply(self.PLATT, self.scores(embeddings))

    def only(self, slugs: Sequence[str]) -> "ZeroShot":
        rows = [self.policies.index(slug) for slug in slugs]
        return ZeroShot(slugs, [self._near[row] for row in rows], [self._away[row] for row in rows])

    def config(self) -> dict[str, Any]:
        return {"policies": list(self.policies)}

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {}
        for number, (near, away) in enumerate(zip(self._near, self._away, strict=True)):
            found[f"near.{number}"] = torch.from_numpy(near)
            found[f"away.{number}"] = torch.from_numpy(away)
        return found

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        numbers = range(len(config["policies"]))
        return cls(
            config["policies"],
            [tensors[f"near.{number}"].numpy() for number in numbers],
            [tensors[f"away.{number}"].numpy() for number in numbers],
        )


class FewShot:
    """Class means of a handful of labelled texts, with the policy's own words as a prior.

    score = x · (mean of positives − mean of negatives) + PRIOR / k · zero-shot score, k being the
    smaller class. At PRIOR = 8 a policy with a dozen examples weighs as much as eight labels.
    """

    kind: ClassVar[str] = "few-shot"

    PRIOR = 8.0

    def __init__(
        self,
        prior: ZeroShot,
        directions: Vectors,
        prior_weights: Sequence[float],
        platts: Sequence[Platt],
    ) -> None:
        self.policies = prior.policies
        self.prior = prior
        self._directions = directions  # (policies, d)
        self._prior_weights = np.asarray(prior_weights, dtype=np.float64)
        self._platts = tuple(platts)

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        scores = embeddings.astype(np.float64) @ self._directions.astype(np.float64).T
        scores += self._prior_weights * self.prior.scores(embeddings)
        columns = [calibration.apply(platt, scores[:, n]) for n, platt in enumerate(self._platts)]
        return np.stack(columns, axis=1) if columns else scores

    def config(self) -> dict[str, Any]:
        return {
            "policies": list(self.policies),
            "prior_weights": self._prior_weights.tolist(),
            "platts": [list(platt) for platt in self._platts],
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"directions": torch.from_numpy(self._directions), **self.prior.tensors()}

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        return cls(
            ZeroShot.restore(config, tensors),
            tensors["directions"].numpy(),
            config["prior_weights"],
            [Platt(*platt) for platt in config["platts"]],
        )


class TrainedHead:
    """One logit a policy: linear in the centred embedding, the zero-shot score, and hashed words.

    The lexical part is tf-idf, each block (words, letter groups) of length 1, times its weights;
    those carry the log-count ratios they were trained with (see training.py).
    """

    kind: ClassVar[str] = "trained"

    # How loudly each part speaks before weights are learnt: penalties are on the weights.
    EMBEDDING_SCALE = 1.0
    PRIOR_SCALE = 3.0

    def __init__(
        self,
        prior: ZeroShot,
        *,
        centre: Vectors,
        idf: Vectors,
        dense: Vectors,
        lexical: Vectors,
        platts: Sequence[Platt],
    ) -> None:
        self.policies = prior.policies
        self.prior = prior
        self._centre = centre  # (d,)
        self._idf = idf  # (BUCKETS,)
        self._dense = dense  # (policies, d + 2): embedding, zero-shot score, 1
        self._lexical = lexical  # (policies, BUCKETS)
        self._platts = tuple(platts)

    def logits(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        """(n, policies), before calibration."""
        counts = lexical.count(texts)
        values = tf_idf(counts, self._idf)
        rows = counts.rows
        scores = self.prior.scores(embeddings)
        found = np.zeros((len(embeddings), len(self.policies)))
        for n in range(len(self.policies)):
            features = dense_features(embeddings, scores[:, n], self._centre)
            found[:, n] = features @ self._dense[n]
            weighted = values * self._lexical[n][counts.buckets]
            found[:, n] += np.bincount(rows, weights=weighted, minlength=len(counts))
        return found

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        logits = self.logits(embeddings, texts)
        for n, platt in enumerate(self._platts):
            logits[:, n] = calibration.apply(platt, logits[:, n])
        return logits

    def config(self) -> dict[str, Any]:
        return {
            "policies": list(self.policies),
            "platts": [list(platt) for platt in self._platts],
            "lexical_bits": lexical.BITS,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            "centre": torch.from_numpy(self._centre),
            "idf": torch.from_numpy(self._idf),
            "dense": torch.from_numpy(self._dense),
            "lexical": torch.from_numpy(self._lexical),
            **self.prior.tensors(),
        }

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        if config["lexical_bits"] != lexical.BITS:
            raise HeadRefused("This head hashes words into another number of buckets.")
        return cls(
            ZeroShot.restore(config, tensors),
            centre=tensors["centre"].numpy(),
            idf=tensors["idf"].numpy(),
            dense=tensors["dense"].numpy(),
            lexical=tensors["lexical"].numpy(),
            platts=[Platt(*platt) for platt in config["platts"]],
        )


class Composite:
    """Several heads side by side, each for its own policies."""

    kind: ClassVar[str] = "composite"

    def __init__(self, parts: Sequence[Head]) -> None:
        self.parts = tuple(parts)
        self.policies = tuple(slug for part in self.parts for slug in part.policies)
        if len(set(self.policies)) != len(self.policies):
            raise ValueError("Two heads answer for one policy.")

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        found = [part.predict(embeddings, texts) for part in self.parts if part.policies]
        return np.concatenate(found, axis=1) if found else np.zeros((len(embeddings), 0))

    def part_of(self, slug: str) -> Head:
        return next(part for part in self.parts if slug in part.policies)

    def config(self) -> dict[str, Any]:
        return {"parts": [{"kind": part.kind, **part.config()} for part in self.parts]}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{number}.{name}": tensor
            for number, part in enumerate(self.parts)
            for name, tensor in part.tensors().items()
        }

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        parts = []
        for number, part in enumerate(config["parts"]):
            mark = f"{number}."
            own = {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}
            parts.append(_restore(part, own))
        return cls(parts)


KINDS: dict[str, type[Head]] = {
    head.kind: head for head in (ZeroShot, FewShot, TrainedHead, Composite)
}


def to_files(head: Head, folder: Path) -> str:
    """Write the head into `folder`; returns the SHA-256 of its weights file.

    The configuration rides inside the weights file, so that one hash covers both; the JSON file
    beside it is the same text for people.
    """
    config = json.dumps({"format": FORMAT, "kind": head.kind, **head.config()}, sort_keys=True)
    tensors = {name: tensor.contiguous() for name, tensor in head.tensors().items()}
    data = write_tensors(tensors, metadata={"head": config})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(data)
    (folder / CARD).write_text(json.dumps(json.loads(config), indent=1, sort_keys=True) + "\n")
    return hashlib.sha256(data).hexdigest()


def from_files(folder: Path, *, sha256: str | None = None) -> Head:
    """Read a head back. HeadRefused when a file is missing, changed, or of another format."""
    try:
        data = (folder / WEIGHTS).read_bytes()
        card = json.loads((folder / CARD).read_text())
    except (OSError, ValueError) as error:
        raise HeadRefused(f"The model's files cannot be read: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise HeadRefused(f"The weights were changed: sha256 is {found}, it was {sha256}.")
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        config = json.loads(header["__metadata__"]["head"])
        tensors = read_tensors(data)
    except (ValueError, KeyError, SafetensorError) as error:
        raise HeadRefused(f"The weights file is broken: {error}") from error
    if config != card:
        raise HeadRefused(f"{CARD} does not say what the weights file says: it was changed.")
    if config.get("format") != FORMAT or config.get("kind") not in KINDS:
        raise HeadRefused(f"This is a {config.get('kind')} head of format {config.get('format')}.")
    return _restore(config, tensors)


def _restore(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Head:
    return KINDS[config["kind"]].restore(config, tensors)


def tf_idf(counts: lexical.Counts, idf: Vectors) -> Vectors:
    """One value an entry of `counts`; in each row, each block has length 1."""
    values = counts.values * idf[counts.buckets]
    block_of = counts.rows * lexical.BLOCKS + (counts.buckets >> lexical.BITS)
    squares = np.bincount(block_of, weights=values**2, minlength=len(counts) * lexical.BLOCKS)
    scale = 1 / np.sqrt(np.maximum(squares, 1e-12))
    result: Vectors = (values * scale[block_of]).astype(np.float32)
    return result


def dense_features(embeddings: Vectors, scores: Floats, centre: Vectors) -> Vectors:
    """(n, d + 2): the centred embedding at length EMBEDDING_SCALE, the zero-shot score, and 1."""
    centred = embeddings - centre
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    columns = [
        TrainedHead.EMBEDDING_SCALE * centred,
        TrainedHead.PRIOR_SCALE * scores[:, None],
        np.ones((len(embeddings), 1)),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _pool(cosines: Vectors, sharpness: float) -> Floats:
    scaled = sharpness * cosines.astype(np.float64)
    top = scaled.max(axis=1, keepdims=True)
    mean = np.log(np.exp(scaled - top).mean(axis=1)) + top[:, 0]
    pooled: Floats = mean / sharpness
    return pooled
