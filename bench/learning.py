"""What choosing items is worth on a rare policy: EDOS threats, when its file is there.

    python bench/learning.py [--data ../shared/data] [--seeds 5]

EDOS (SemEval-2023 task 10) is not part of this repository: without edos.parquet there is nothing to
measure, and the bench says so. The label is category 1 (threats, 2.2 %), its own split is kept, the
policy is known by its name alone. Nothing is chosen on the test rows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.report import Result, say  # noqa: E402

COMMAND = "python bench/learning.py"
TARGET = 2.0  # times random's area under the learning curve
ECE = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    path = arguments.data / "edos.parquet"
    if not path.exists():
        say(f"Nothing measured: there is no {path}.")
        return
    with tempfile.TemporaryDirectory() as folder:
        _run(path, Path(folder), arguments.seeds)


def _run(path: Path, folder: Path, seeds: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["text", "category", "split"])
    threats = [int(one.startswith("1.")) for one in table["category"].to_pylist()]
    table = table.drop_columns("category").append_column("threats", pa.array(threats))
    pq.write_table(table, folder / "threats.parquet")
    subprocess.run(  # noqa: S603
        [
            *(sys.executable, "manage.py", "simulate_learning"),
            *("--data", str(folder / "threats.parquet"), "--text", "text", "--label", "threats"),
            *("--strategies", "random,risk,default", "--seeds", str(seeds)),
            *("--out", str(folder)),
        ],
        cwd=ROOT,
        check=True,
        # No row is read or written: settings want the names of servers, nothing asks for them.
        env={
            "DATABASE_URL": "postgresql://unused/unused",
            "CELERY_BROKER_URL": "memory://",
            "SECRET_KEY": "benchmarks-only",
            **os.environ,
        },
    )
    found = json.loads((folder / "learning.json").read_text())
    default, risk, chance = (found["arms"][name] for name in ("default", "risk", "random"))
    at = default["labels"].index(500)
    _write(
        "learning-area-vs-random",
        default["aulc_vs_random"],
        TARGET,
        unit="× random's area under the curve",
        control=f"random {chance['aulc']:.3f}, risk × {risk['aulc_vs_random']:.2f}",
    )
    _write(
        "learning-ece-500",
        default["ece_mean"][at],
        ECE,
        unit="at 500 labels",
        higher_is_better=False,
        control=f"random {chance['ece_mean'][at]:.4f}",
    )


def _write(name: str, value: float, target: float, **more: Any) -> None:
    Result(name=name, value=value, target=target, command=COMMAND, **more).write()


if __name__ == "__main__":
    main()
