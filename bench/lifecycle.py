"""Any order of events, 1,000 times: does one of them break the books?

    python bench/lifecycle.py [--runs 1000] [--steps 50] [--processes 2] [--seed 1]

The state machine of tests/lifecycle.py (submit, claim, renew, answer, release, skip, escalate,
expire, assign, move, undo, override, cancel, erase …), in shards: processes of pytest, each with a
seed and a database of its own. A counterexample is printed as short as Hypothesis can make it, is
the first thing tried the next time, and fails the run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.report import Result, say  # noqa: E402

# Each of these has really happened, or the run has shown nothing about it.
EVERYTHING = (
    *("submit created", "submit changed", "submit unchanged", "assign", "claim", "renew"),
    *("release", "skip", "run out", "expired", "late, refused", "cancelled", "erase"),
    *("answer violating", "answer clean", "answer unsure", "answer escalate", "undo", "override"),
    *("approve", "refuse", "cancel", "move", "raise", "operation undone", "operation kept"),
)
TEST = "tests/test_lifecycle_machine.py"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shards = [_start(number, arguments, Path(folder)) for number in range(arguments.processes)]
        done: Counter[str] = Counter()
        broken = 0
        for number, (shard, report) in enumerate(shards):
            output, _ = shard.communicate()
            if shard.returncode:
                broken += 1
                say(f"Shard {number + 1}:\n{output}")
            else:
                done.update(json.loads(report.read_text()))
    minutes = (time.monotonic() - began) / 60
    steps = done.pop("steps", 0)
    say(f"{done.pop('runs', 0):,} runs, {steps:,} steps looked at, {minutes:.1f} min. Of them:")
    say(", ".join(f"{verb} {count:,}" for verb, count in sorted(done.items())))
    if missing := sorted(set(EVERYTHING) - set(done)):
        say(f"Never happened, so nothing is shown about it: {', '.join(missing)}")
    command = f"python bench/lifecycle.py --runs {arguments.runs} --steps {arguments.steps}"
    Result(
        "lifecycle-broken",
        broken,
        f"shards of {arguments.processes} with a counterexample, {arguments.runs:,} runs of "
        f"{arguments.steps} steps",
        0,
        command,
        higher_is_better=False,
        samples=[{"seed": arguments.seed, "steps": steps, "minutes": round(minutes, 1), **done}],
    ).write()
    return 1 if broken or missing else 0


def _start(
    number: int, arguments: argparse.Namespace, folder: Path
) -> tuple["subprocess.Popen[str]", Path]:
    report = folder / f"{number}.json"
    share = arguments.runs // arguments.processes
    share += number < arguments.runs % arguments.processes
    shard = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "pytest", TEST, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={
            **os.environ,
            "TEST_DATABASE": f"test_lifecycle_{number + 1}",
            "LIFECYCLE_RUNS": str(share),
            "LIFECYCLE_STEPS": str(arguments.steps),
            "LIFECYCLE_SEED": str(arguments.seed + number),
            "LIFECYCLE_REPORT": str(report),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return shard, report


if __name__ == "__main__":
    sys.exit(main())
