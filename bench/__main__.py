"""Run benchmarks and print the table of all results.

    python -m bench [--full] [--table] [NAME …]

Each is a program of its own, bench/NAME.py, and leaves its figures in var/bench/*.json.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from .report import say, table

HERE = Path(__file__).resolve().parent
NOT_BENCHES = {"__init__", "__main__", "report"}
# What a bench leaves out unless it is asked for.
PARTS = {"claims": ["services", "http"]}
# Run with --full, or by name.
LONG = {"crash", "endurance", "learning"}


def main() -> int:
    names = sorted({path.stem for path in HERE.glob("*.py")} - NOT_BENCHES)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--full", action="store_true", help="the long runs")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there is: {', '.join(names)}")
    failed = []
    usual = [name for name in names if arguments.full or name not in LONG]
    for name in [] if arguments.table else arguments.names or usual:
        say(f"\n{name}")
        program = HERE / f"{name}.py"
        command = [sys.executable, str(program), *PARTS.get(name, [])]
        if arguments.full and '"--full"' in program.read_text():
            command.append("--full")
        if subprocess.run(command, stdin=subprocess.DEVNULL, cwd=HERE.parent).returncode:  # noqa: S603
            failed.append(name)
    say("\n" + table())
    if failed:
        say(f"\nBroke off: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
