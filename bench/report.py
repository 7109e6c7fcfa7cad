"""What a benchmark leaves behind: one JSON file in var/bench, and a line on the screen."""

import json
import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "bench"


@dataclass(frozen=True)
class Result:
    """One figure. `control` is the peer or limit of the same run, `samples` every repetition."""

    name: str
    value: float
    unit: str
    target: float
    command: str
    higher_is_better: bool = True
    control: Any = None
    samples: list[Any] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        if self.higher_is_better:
            return self.value >= self.target
        return self.value <= self.target

    def write(self, folder: Path = FOLDER) -> Path:
        row = {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "target": self.target,
            "passes": self.passes,
            "higher_is_better": self.higher_is_better,
            "control": self.control,
            "samples": self.samples,
            "command": self.command,
            "machine": f"{os.cpu_count()} × {platform.machine()}, {platform.system()}",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(row, indent=1) + "\n")
        say(f"{self.name}: {figure(row['value'])} {self.unit}, {verdict(row)}")
        return path


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def verdict(row: dict[str, Any]) -> str:
    sign = "≥" if row["higher_is_better"] else "≤"
    target = row["target"]
    goal = target if isinstance(target, str) else f"{sign} {figure(target)}"
    return f"{'passes' if row['passes'] else 'FAILS'} ({goal})"


def table(folder: Path = FOLDER) -> str:
    """All results there are, as a Markdown table: what docs/benchmarks.md shows."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    lines = [
        "| bench | value | target | control | | command | machine, date |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        goal = verdict(row)
        passed, _, goal = goal.partition(" ")
        control = "–" if row["control"] is None else figure(row["control"])
        lines.append(
            f"| {row['name']} | {figure(row['value'])} {row['unit']} | {goal.strip('()')} | "
            f"{control} | {passed} | `{row['command']}` | {row['machine']}, {row['at'][:10]} |"
        )
    return "\n".join(lines)
