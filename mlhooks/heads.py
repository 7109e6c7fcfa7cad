"""Embedding (and text) → one calibrated probability a policy, and how sure it is. Knows no rows and
no Django.

ZeroShot reads the policies' own words, FewShot adds a handful of labels, TrainedHead learns from
many. Composite holds several: each policy answered by the best head it can have.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors

from . import lexical, probability_maps
from .calibration import Platt, logit
from .probability_maps import ProbabilityMap

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Encode = Callable[[Sequence[str]], Vectors]

WEIGHTS = "weights.safetensors"
CARD = "head.json"
FORMAT = 2
READABLE = (1, 2)  # heads of format 1 do not know how sure they are


class HeadRefused(Exception):
    """The files are not a head this code can read, or not the ones that were written."""


@dataclass(frozen=True)
class PolicyText:
    """What a policy says, as a head needs it."""

    slug: str
    definition: str
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()


class Answers(NamedTuple):
    """Each (n, policies). `low` to `high` is a 95 % interval of the probability itself: where it
    would lie had other texts been labelled. NaN where the head cannot tell."""

    probability: Floats
    low: Floats
    high: Floats


class Head(Protocol):
    """`predict` → (n, len(policies)) probabilities, columns in the order of `policies`; `errors` →
    the standard errors of their log-odds, in the same order."""

    kind: ClassVar[str]
    policies: tuple[str, ...]

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats: ...

    def errors(self, embeddings: Vectors, texts: Sequence[str]) -> Floats: ...

    def config(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]: ...

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self: ...


def answer(head: Head, embeddings: Vectors, texts: Sequence[str]) -> Answers:
    """What a head says of texts, with intervals."""
    p = head.predict(embeddings, texts)
    low, high = probability_maps.interval(logit(p), head.errors(embeddings, texts))
    return Answers(p, low, high)


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
    # How far it may be off: on EDOS it was 0.1 log-odds off for one policy (24 % violating) and 3.0
    # for another (2 %), slopes 13 and 21. A platform's own rates differ as much.
    MAP = ProbabilityMap("by hand", PLATT, (20.0, 0.0, 4.0))
    # Standard error of a score that rests on the definition alone, in cosine.
    ALONE = 0.08

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
        return self.MAP.probability(self.scores(embeddings))

    def errors(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        """Wide: nothing has confirmed the map, and other examples would give another score."""
        scores = self.scores(embeddings)
        return np.hypot(self.MAP.error(scores), self.PLATT.slope * self.score_errors(embeddings))

    def score_errors(self, embeddings: Vectors) -> Floats:
        """(n, policies): of the scores, by leaving out one example at a time (jackknife)."""
        columns = []
        for near in self._near:
            if len(near) < 2:
                columns.append(np.full(len(embeddings), self.ALONE))
                continue
            without = _pool_without(embeddings @ near.T, self.SHARPNESS)
            spread = without - without.mean(axis=1, keepdims=True)
            share = (len(near) - 1) / len(near)
            columns.append(np.sqrt(share * np.square(spread).sum(axis=1)))
        return np.stack(columns, axis=1) if columns else np.zeros((len(embeddings), 0))

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
        maps: Sequence[ProbabilityMap],
        doubts: Vectors | None = None,
    ) -> None:
        self.policies = prior.policies
        self.prior = prior
        self.maps = tuple(maps)
        self._directions = directions  # (policies, d)
        self._prior_weights = np.asarray(prior_weights, dtype=np.float64)
        self._doubts = doubts  # (policies, draws, d): the variance is the sum of squares along them

    def scores(self, embeddings: Vectors) -> Floats:
        scores = embeddings.astype(np.float64) @ self._directions.astype(np.float64).T
        scores += self._prior_weights * self.prior.scores(embeddings)
        found: Floats = scores
        return found

    def predict(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        return _mapped(self.maps, self.scores(embeddings))

    def errors(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        """Of the class means (jackknife over groups of labels), the policy's words, and the map."""
        scores = self.scores(embeddings)
        words = self._prior_weights * self.prior.score_errors(embeddings)
        found = np.full(scores.shape, np.nan)
        if self._doubts is None:
            return found
        for n, one in enumerate(self.maps):
            labels = np.square(embeddings @ self._doubts[n].T).sum(axis=1)
            score = np.sqrt(labels + words[:, n] ** 2)
            found[:, n] = np.hypot(one.error(scores[:, n]), one.steepness(scores[:, n]) * score)
        return found

    def config(self) -> dict[str, Any]:
        return {
            "policies": list(self.policies),
            "prior_weights": self._prior_weights.tolist(),
            "maps": [one.as_json() for one in self.maps],
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {"directions": torch.from_numpy(self._directions), **self.prior.tensors()}
        if self._doubts is not None:
            found["doubts"] = torch.from_numpy(self._doubts)
        return found

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        return cls(
            ZeroShot.restore(config, tensors),
            tensors["directions"].numpy(),
            config["prior_weights"],
            _maps(config),
            tensors["doubts"].numpy() if "doubts" in tensors else None,
        )


class Doubts(NamedTuple):
    """How far each fold's weights lie from their mean, scaled so that the variance of a logit is
    the sum over folds of what they move it by, squared."""

    dense: Vectors  # (policies, folds, d + 2)
    words: NDArray[np.float16]  # (policies, folds, buckets kept)
    buckets: NDArray[np.int32]  # which ones, rising


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
        maps: Sequence[ProbabilityMap],
        doubts: "Doubts | None" = None,
    ) -> None:
        self.policies = prior.policies
        self.prior = prior
        self.maps = tuple(maps)
        self._centre = centre  # (d,)
        self._idf = idf  # (BUCKETS,)
        self._dense = dense  # (policies, d + 2): embedding, zero-shot score, 1
        self._lexical = lexical  # (policies, BUCKETS)
        self._doubts = doubts

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
        return _mapped(self.maps, self.logits(embeddings, texts))

    def errors(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        """Of the weights (jackknife over the folds of cross-validation) and of the map."""
        logits = self.logits(embeddings, texts)
        found = np.full(logits.shape, np.nan)
        if self._doubts is None:
            return found
        counts = lexical.count(texts)
        place = np.searchsorted(self._doubts.buckets, counts.buckets)
        there = np.isin(counts.buckets, self._doubts.buckets)
        values = tf_idf(counts, self._idf)[there]
        rows, place = counts.rows[there], place[there]
        scores = self.prior.scores(embeddings)
        for n, one in enumerate(self.maps):
            features = dense_features(embeddings, scores[:, n], self._centre)
            variance = np.zeros(len(embeddings))
            for dense, words in zip(self._doubts.dense[n], self._doubts.words[n], strict=True):
                weighted = values * words[place].astype(np.float32)
                moved = np.bincount(rows, weights=weighted, minlength=len(counts))
                variance += np.square(moved + features @ dense)
            steep = one.steepness(logits[:, n])
            found[:, n] = np.hypot(one.error(logits[:, n]), steep * np.sqrt(variance))
        return found

    def config(self) -> dict[str, Any]:
        return {
            "policies": list(self.policies),
            "maps": [one.as_json() for one in self.maps],
            "lexical_bits": lexical.BITS,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {
            "centre": torch.from_numpy(self._centre),
            "idf": torch.from_numpy(self._idf),
            "dense": torch.from_numpy(self._dense),
            "lexical": torch.from_numpy(self._lexical),
            **self.prior.tensors(),
        }
        if self._doubts is not None:
            found |= {
                f"doubts.{name}": torch.from_numpy(array)
                for name, array in self._doubts._asdict().items()
            }
        return found

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        if config["lexical_bits"] != lexical.BITS:
            raise HeadRefused("This head hashes words into another number of buckets.")
        doubts = None
        if "doubts.dense" in tensors:
            doubts = Doubts(*(tensors[f"doubts.{name}"].numpy() for name in Doubts._fields))
        return cls(
            ZeroShot.restore(config, tensors),
            centre=tensors["centre"].numpy(),
            idf=tensors["idf"].numpy(),
            dense=tensors["dense"].numpy(),
            lexical=tensors["lexical"].numpy(),
            maps=_maps(config),
            doubts=doubts,
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

    def errors(self, embeddings: Vectors, texts: Sequence[str]) -> Floats:
        found = [part.errors(embeddings, texts) for part in self.parts if part.policies]
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
    if config.get("format") not in READABLE or config.get("kind") not in KINDS:
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


def _mapped(maps: Sequence[ProbabilityMap], scores: Floats) -> Floats:
    columns = [one.probability(scores[:, n]) for n, one in enumerate(maps)]
    return np.stack(columns, axis=1) if columns else scores


def _maps(config: dict[str, Any]) -> list[ProbabilityMap]:
    if "maps" in config:
        return [ProbabilityMap.from_json(one) for one in config["maps"]]
    return [ProbabilityMap(probability_maps.PLATT, Platt(*one)) for one in config["platts"]]


def _pool_without(cosines: Vectors, sharpness: float) -> Floats:
    """(n, anchors): the pool with each of them left out."""
    scaled = np.exp(sharpness * (cosines.astype(np.float64) - 1))
    others = scaled.sum(axis=1, keepdims=True) - scaled
    found: Floats = np.log(others / (scaled.shape[1] - 1)) / sharpness + 1
    return found


def _pool(cosines: Vectors, sharpness: float) -> Floats:
    scaled = sharpness * cosines.astype(np.float64)
    top = scaled.max(axis=1, keepdims=True)
    mean = np.log(np.exp(scaled - top).mean(axis=1)) + top[:, 0]
    pooled: Floats = mean / sharpness
    return pooled
