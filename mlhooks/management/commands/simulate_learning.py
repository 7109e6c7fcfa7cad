"""Replay a labelled file: how far does each strategy get with how many labels?

Writes learning.json and learning.svg. Everything is the product's own: encoder, heads, calibration,
selection. No row of the database is read or written.
"""

import hashlib
import json
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

ENCODE_AT_ONCE = 512


class Command(BaseCommand):
    help = __doc__
    requires_system_checks: Sequence[str] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help="a .parquet, .csv or .jsonl")
        parser.add_argument("--text", required=True, help="the column with the texts")
        parser.add_argument("--label", required=True, help="the column with the labels, 1 or 0")
        parser.add_argument("--strategies", default="random,risk,default", help="with commas")
        parser.add_argument(
            "--policy", default="", help="what it says, in a sentence or two; else the label's name"
        )
        parser.add_argument("--seeds", type=int, default=5)
        parser.add_argument("--budget", type=int, default=1000, help="labels in all")
        parser.add_argument("--batch", type=int, default=50, help="labels a round")
        parser.add_argument("--initial", type=int, default=50, help="labels of the first round")
        parser.add_argument("--out", type=Path, required=True, help="a folder")

    def handle(self, *, data, text, label, strategies, policy, out, **options) -> None:
        from mlhooks import curve_svg, encoder, simulation
        from mlhooks.heads import PolicyText
        from mlhooks.labelled_files import FileRefused, read_rows

        plan = simulation.Plan(
            [one.strip() for one in strategies.split(",") if one.strip()],
            *(options[name] for name in ("seeds", "budget", "batch", "initial")),
        )
        try:
            rows = read_rows(data, text=text, label=label)
            simulation.check(rows, plan)
            out.mkdir(parents=True, exist_ok=True)
        except (FileRefused, simulation.NotPossible, OSError) as error:
            raise CommandError(str(error)) from None
        if rows.left_out:
            self.stdout.write(f"{rows.left_out:,} rows without a text were left out.")
        model = encoder.shared(settings.ENCODER)
        vectors = _vectors(rows.texts, model)
        with tqdm(total=1000, desc="Simulating", disable=None, bar_format=_BAR) as bar:

            def say(fraction: float, step: str) -> None:
                bar.set_description(step)
                bar.update(round(1000 * fraction) - bar.n)

            found = simulation.simulate(
                rows,
                vectors,
                plan,
                policy=PolicyText(label, policy or label.replace("_", " ")),
                encode=_remembering(model.encode),
                say=say,
            )
        found["about"] = {
            "data": data.name,
            "text": text,
            "label": label,
            "policy": policy or label.replace("_", " "),
            "encoder": model.version,
            "rows": {split: len(rows.of(split)) for split in ("train", "valid", "test")},
            "left_out": rows.left_out,
            "prevalence": float(rows.labels.mean()),
            **plan._asdict(),
        }
        _write(out / "learning.json", json.dumps(found, indent=1) + "\n")
        subtitle = (
            f"{data.name}: {label}, {rows.labels.mean():.1%} positive, {plan.seeds} seeds; "
            "band from the least to the greatest seed, × is the area against random"
        )
        drawing = curve_svg.draw(found, title=f"Learning {label}", subtitle=subtitle)
        _write(out / "learning.svg", drawing)
        for name, arm in found["arms"].items():
            self.stdout.write(
                f"{name:>16}  AUPRC {arm['auprc_mean'][-1]:.3f} at {arm['labels'][-1]} labels, "
                f"area {arm['aulc']:.3f} ({arm['aulc_vs_random']:.2f} × random), "
                f"ECE {arm['ece_mean'][-1]:.3f}, 95 % of all labels' at "
                f"{arm['labels_to_95'] or '–'}"
            )
        full = found["full_data"]
        self.stdout.write(f"{'all labels':>16}  AUPRC {full['auprc']:.3f}, ECE {full['ece']:.3f}")
        self.stdout.write(self.style.SUCCESS(f"Wrote learning.json and learning.svg to {out}."))


_BAR = "{desc}: {percentage:3.0f} % |{bar}| {elapsed} < {remaining}"


def _vectors(texts, model):
    """The encoder's, kept under var/ by what was encoded and by what: the next run has them."""
    import numpy as np

    key = hashlib.sha256("\0".join([model.version, *texts]).encode("utf-8", "replace"))
    path = settings.VAR_DIR / "simulations" / f"{key.hexdigest()[:24]}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    found = np.zeros((len(texts), model.dimension), dtype=np.float32)
    with tqdm(total=len(texts), desc="Encoding", disable=None) as bar:
        for start in range(0, len(texts), ENCODE_AT_ONCE):
            part = texts[start : start + ENCODE_AT_ONCE]
            found[start : start + len(part)] = model.encode(part)
            bar.update(len(part))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    with scratch.open("wb") as file:
        np.save(file, found, allow_pickle=False)
    scratch.rename(path)
    return found


def _remembering(encode):
    """A policy's words are encoded once, not once a round."""
    known: dict[tuple[str, ...], object] = {}

    def remembering(texts):
        key = tuple(texts)
        if key not in known:
            known[key] = encode(texts)
        return known[key]

    return remembering


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
