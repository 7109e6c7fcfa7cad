"""How common a policy's violations are, from 1,000 labels: EDOS, when its file is there.

    python bench/prevalence.py [--data ../shared/data] [--labels 1000] [--draws 2000]

Half of the posts trains the model that scores the other half, and the other way round: every score
is of a post the model had not seen. From these 20,000 a sample is drawn again and again, each post
on its own. The control draws evenly and weights back (Hájek); ours draws by the square root of the
score with an even floor (sampling.py) and estimates with the model's help (prevalence.py). Compared
is the spread of the estimates about the truth; coverage is how often the interval held it.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trustconsole.settings")
os.environ.setdefault("SECRET_KEY", "benchmarks-only")
# No row is read or written here: settings want the names of servers, nothing asks for them.
os.environ.setdefault("DATABASE_URL", "postgresql://unused/unused")
os.environ.setdefault("CELERY_BROKER_URL", "memory://")

import numpy as np  # noqa: E402

from bench.report import Result, say  # noqa: E402
from mlhooks import prevalence  # noqa: E402
from reviews import sampling  # noqa: E402

TARGET = 0.7  # of the spread of even draws
COVERAGE = 0.93, 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=2_000)
    arguments = parser.parse_args()
    path = arguments.data / "edos.parquet"
    if not path.exists():
        say(f"Nothing measured: there is no {path}.")
        return
    import django

    django.setup()
    for slug, hits, scores in _scored(path):
        _measure(slug, hits, scores, arguments)


def _scored(path: Path) -> list[tuple[str, Any, Any]]:
    """(policy, whether each post violates, score of a model that had not seen it)."""
    import pyarrow.parquet as pq

    from bench.models import SEXISM, THREATS, Rows

    table = pq.read_table(path).to_pydict()
    labels = [
        [float(sexist), float(category.startswith("1."))]
        for sexist, category in zip(table["sexist"], table["category"], strict=True)
    ]
    rows = Rows([SEXISM, THREATS], table["text"], labels, ["valid"] * len(labels))
    halves = np.array_split(np.random.default_rng(0).permutation(len(labels)), 2)
    scores = np.zeros((len(labels), 2))
    for mine, other in (halves, halves[::-1]):
        head = rows.fit(mine, seed=0).head
        scores[other] = head.predict(rows.vectors[other], list(rows.texts[other]))
    return [
        (policy.slug, rows.labels[:, number], scores[:, number])
        for number, policy in enumerate(rows.policies)
    ]


class _Run(NamedTuple):
    spread: float  # standard deviation of the estimates
    bias: float
    coverage: float


def _measure(slug: str, hits: Any, scores: Any, arguments: argparse.Namespace) -> None:
    from sklearn.metrics import roc_auc_score

    auroc = float(roc_auc_score(hits, scores))
    truth = float(hits.mean())
    say(f"{slug}: {truth:.2%} violate, AUROC {auroc:.3f}")
    runs = {}
    for name, strategy, is_assisted in (
        ("even", "poisson", False),
        ("even, assisted", "poisson", True),
        ("by √score", "poisson_sqrt", False),
        ("by √score, assisted", "poisson_sqrt", True),
    ):
        plan = sampling.plan(strategy, scores.tolist(), expected=arguments.labels)
        chances = np.array([plan.probability(score) for score in scores])
        runs[name] = _run(hits, scores, chances, is_assisted, arguments.draws)
        say(
            f"  {name:22} sd {runs[name].spread:.5f}  bias {runs[name].bias:+.5f}"
            f"  covers {runs[name].coverage:.1%}"
        )
    control, ours = runs["even"], runs["by √score, assisted"]
    command = f"python bench/prevalence.py --labels {arguments.labels} --draws {arguments.draws}"
    kept: list[Any] = [{"run": name, **run._asdict()} for name, run in runs.items()]
    Result(
        name=f"prevalence-{slug}-sd",
        value=ours.spread / control.spread,
        unit=f"of even draws' spread, {arguments.labels:,} labels, AUROC {auroc:.2f}",
        target=TARGET,
        higher_is_better=False,
        command=command,
        control=control.spread,
        samples=kept,
    ).write()
    low, high = COVERAGE
    Result(
        name=f"prevalence-{slug}-coverage",
        value=abs(ours.coverage - (low + high) / 2),
        unit=f"from 95 %: {ours.coverage:.1%} of intervals hold the truth",
        target=(high - low) / 2,
        higher_is_better=False,
        command=command,
        control=control.coverage,
        samples=kept,
    ).write()


def _run(hits: Any, scores: Any, chances: Any, is_assisted: bool, draws: int) -> _Run:
    rng = np.random.default_rng(1)
    truth, mean = float(hits.mean()), float(scores.mean())
    values, covered = [], 0
    for _ in range(draws):
        drawn = rng.random(len(hits)) < chances
        found = prevalence.estimate(
            hits[drawn],
            chances[drawn],
            # A score that is the same for all tells nothing: what is left is Hájek's.
            scores[drawn] if is_assisted else np.zeros(int(drawn.sum())),
            mean_score=mean,
        )
        assert found is not None  # noqa: S101
        values.append(found.value)
        covered += found.low <= truth <= found.high
    return _Run(float(np.std(values)), float(np.mean(values) - truth), covered / draws)


if __name__ == "__main__":
    main()
