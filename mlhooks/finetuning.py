"""Texts and labels → an encoder of our own. Knows no rows and no Django; the same seed gives the
same weights, also after a stop, and (up to rounding) on any number of processes.

Two ways. `contrastive` pulls texts of one answer together and others apart, for a handful of labels
(after SetFit, Tunstall et al. 2022): a minute on a CPU. `full` trains all weights with a linear
layer on top, for thousands. Either way the layer is thrown away: heads are learnt on the new
vectors as on any others (training.py).
"""

import copy
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .encoder import Encoder, readable

Floats = NDArray[np.float64]
Progress = Callable[[float, str], None]

CONTRASTIVE, FULL = "contrastive", "full"
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class TuningConfig:
    kind: str = CONTRASTIVE
    batch: int = 16  # pairs, or texts, over all processes together
    pairs_a_label: int = 20  # contrastive: so many pairs for each label, …
    most_steps: int = 150  # … and never more steps than this
    epochs: int = 2  # full
    rate: float = 2e-5
    warm_up: float = 0.1  # of all steps
    decay: float = 0.01
    most_tokens: int = 128  # read of a text while learning
    checkpoint_every: int = 50  # steps


class CheckpointRefused(Exception):
    """The checkpoint is of other labels, another configuration, or is broken."""


def tune(
    config: TuningConfig,
    base: SentenceTransformer,
    texts: Sequence[str],
    labels: Floats,
    *,
    seed: int,
    folder: Path,
    progress: Progress = lambda fraction, step: None,
    stop_after: int | None = None,
) -> SentenceTransformer | None:
    """A tuned copy of `base`, or None when it stopped after so many steps (to be gone on with).

    `labels` is (n, policies): 1, 0, NaN for not judged. What is in `folder` from a run of the same
    config, seed and labels is gone on with. Started by torchrun, each process takes its share of
    every batch and the gradients are averaged; dropout is off, so that the sum is the same.
    """
    torch.set_num_threads(1)
    rank, world = _place()
    torch.manual_seed(seed)
    model = _Tuned(copy.deepcopy(base), labels.shape[1] if config.kind == FULL else 0)
    model.eval()
    plan = list(_plan(config, labels, seed))
    about = _about(config, seed, texts, labels)
    _freeze_unused(model, base, texts[:1], config)
    weights = {name: one for name, one in model.named_parameters() if one.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=config.rate, weight_decay=config.decay)
    done = _restore(folder / CHECKPOINT, about, weights, optimizer)
    wrapped: nn.Module = model
    if world > 1:
        wrapped = nn.parallel.DistributedDataParallel(model)
    for step in range(done, len(plan)):
        if stop_after is not None and step >= stop_after:
            _keep(folder / CHECKPOINT, about, step, weights, optimizer, rank)
            return None
        for group in optimizer.param_groups:
            group["lr"] = config.rate * _ramp(step, len(plan), config.warm_up)
        optimizer.zero_grad()
        loss = _loss(config, wrapped, base, texts, labels, plan[step], rank, world)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        progress((step + 1) / len(plan), f"Tuning, step {step + 1} of {len(plan)}")
        if (step + 1) % config.checkpoint_every == 0:
            _keep(folder / CHECKPOINT, about, step + 1, weights, optimizer, rank)
    _keep(folder / CHECKPOINT, about, len(plan), weights, optimizer, rank)
    return model.encoder


def save(model: SentenceTransformer, folder: Path) -> None:
    """As sentence-transformers reads it; weights as safetensors."""
    model.save(str(folder), safe_serialization=True, create_model_card=False)


def exact(encoder: Encoder) -> SentenceTransformer:
    """The encoder's model in full precision: what is tuned."""
    return copy.deepcopy(encoder.model).float()


class _Tuned(nn.Module):
    def __init__(self, encoder: SentenceTransformer, policies: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer = nn.Linear(_wide(encoder), policies) if policies else None

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors; with a layer, its logits."""
        features = {"input_ids": ids, "attention_mask": mask}
        vectors: torch.Tensor = self.encoder(features)["sentence_embedding"]
        vectors = nn.functional.normalize(vectors, dim=1)
        # Unit vectors are small numbers: the layer learns at a useful pace from longer ones.
        return vectors if self.layer is None else self.layer(vectors * _wide(self.encoder) ** 0.5)


def _wide(encoder: SentenceTransformer) -> int:
    return int(encoder.get_embedding_dimension() or 0)


# What each step looks at


def _plan(config: TuningConfig, labels: Floats, seed: int) -> Iterator[NDArray[Any]]:
    """A step: (batch,) rows, or (batch, 3) pairs and whether they belong together."""
    rng = np.random.default_rng([seed, labels.shape[0]])
    if config.kind == FULL:
        judged = np.flatnonzero(~np.isnan(labels).all(axis=1))
        for _epoch in range(config.epochs):
            order = rng.permutation(judged)
            yield from (
                order[start : start + config.batch] for start in range(0, len(order), config.batch)
            )
        return
    pools = [
        (np.flatnonzero(column == 1), np.flatnonzero(column == 0))
        for column in labels.T
        if (column == 1).sum() >= 2 and (column == 0).sum() >= 2
    ]
    if not pools:
        raise ValueError("Two labels of each class of one policy are the least to tell apart.")
    few = sum(2 * min(len(ones), len(zeros)) for ones, zeros in pools)
    steps = min(config.most_steps, max(1, few * config.pairs_a_label // config.batch))
    for _step in range(steps):
        batch = []
        for place in range(config.batch):
            ones, zeros = pools[rng.integers(len(pools))]
            # Half of the pairs belong together; what violates, and what does not, equally often.
            if place % 2:
                batch.append((rng.choice(ones), rng.choice(zeros), 0))
            else:
                alike = ones if place % 4 else zeros
                batch.append((*rng.choice(alike, 2, replace=False), 1))
        yield np.array(batch)


def _loss(
    config: TuningConfig,
    model: nn.Module,
    base: SentenceTransformer,
    texts: Sequence[str],
    labels: Floats,
    step: NDArray[Any],
    rank: int,
    world: int,
) -> torch.Tensor:
    """This process's share, scaled so that the mean over processes is the loss of the batch."""
    mine = step[rank::world]
    rows = mine if config.kind == FULL else mine[:, :2].T.ravel()
    if not len(mine):  # the last batch was smaller than the number of processes
        rows, scale = step.ravel()[:1].astype(int), 0.0
    else:
        scale = 1.0
    found = model(*_tokens(base, [texts[int(row)] for row in rows], config.most_tokens))
    if not scale:
        nothing: torch.Tensor = found.sum() * 0.0
        return nothing
    if config.kind == FULL:
        truth = torch.from_numpy(labels[rows]).float()
        judged = ~torch.isnan(truth)
        losses = binary_cross_entropy_with_logits(
            found, torch.nan_to_num(truth), weight=judged.float(), reduction="sum"
        )
        count = max(int((~np.isnan(labels[step])).sum()), 1)
        loss: torch.Tensor = losses * world / count
        return loss
    one, other = found[: len(mine)], found[len(mine) :]
    together = torch.from_numpy(mine[:, 2].astype(np.float32))
    loss = ((one * other).sum(dim=1) - together).square().sum() * world / len(step)
    return loss


def _tokens(
    base: SentenceTransformer, texts: list[str], most: int
) -> tuple[torch.Tensor, torch.Tensor]:
    encoded = base.tokenizer(
        [readable(text, 16 * most) for text in texts],
        truncation=True,
        max_length=most,
        padding=True,
        return_tensors="pt",
    )
    return encoded["input_ids"], encoded["attention_mask"]


def _freeze_unused(
    model: _Tuned, base: SentenceTransformer, texts: Sequence[str], config: TuningConfig
) -> None:
    """What no vector depends on (a pooler) has no gradient to wait for."""
    model(*_tokens(base, list(texts), config.most_tokens)).sum().backward()
    for one in model.parameters():
        one.requires_grad = one.grad is not None
        one.grad = None


def _ramp(step: int, steps: int, warm_up: float) -> float:
    """Up in a line, down in a line."""
    rise = max(1, round(steps * warm_up))
    return min((step + 1) / rise, (steps - step) / max(steps - rise, 1), 1.0)


def _place() -> tuple[int, int]:
    """(this process's number, how many there are), from the group if there is one."""
    group = torch.distributed
    if not (group.is_available() and group.is_initialized()):
        return 0, 1
    return group.get_rank(), group.get_world_size()


# Checkpoints: weights, the optimizer's two moments, and how far it was; no pickle


def _about(config: TuningConfig, seed: int, texts: Sequence[str], labels: Floats) -> str:
    """What a checkpoint has to be of. Not the texts: their digest."""
    import hashlib

    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "replace"))
    digest.update(np.ascontiguousarray(np.nan_to_num(labels, nan=-1)).tobytes())
    return json.dumps({**asdict(config), "seed": seed, "of": digest.hexdigest()}, sort_keys=True)


def _keep(
    path: Path,
    about: str,
    step: int,
    weights: dict[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    rank: int,
) -> None:
    if rank:
        return
    tensors = {}
    for name, one in weights.items():
        tensors[f"weight.{name}"] = one.detach().contiguous().clone()
        state = optimizer.state.get(one, {})
        for key in ("exp_avg", "exp_avg_sq", "step"):
            if key in state:
                tensors[f"{key}.{name}"] = state[key].detach().contiguous().clone()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    save_file(tensors, scratch, metadata={"about": about, "step": str(step)})
    scratch.replace(path)


def _restore(
    path: Path, about: str, weights: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> int:
    """The step to go on with; 0 without a checkpoint."""
    if not path.exists():
        return 0
    try:
        with safe_open(str(path), framework="pt") as file, torch.no_grad():
            metadata = file.metadata() or {}
            if metadata.get("about") != about:
                raise CheckpointRefused(
                    f"{path} is of other labels or another configuration: delete it, or give what "
                    "it was begun with."
                )
            for name, one in weights.items():
                one.copy_(file.get_tensor(f"weight.{name}"))
                if f"exp_avg.{name}" in file.keys():  # noqa: SIM118  (no dict)
                    optimizer.state[one] = {
                        key: file.get_tensor(f"{key}.{name}")
                        for key in ("step", "exp_avg", "exp_avg_sq")
                    }
            return int(metadata["step"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointRefused(f"{path} is broken: {error}") from error
