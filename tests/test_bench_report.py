"""What benchmarks report: passing is worked out, never typed in."""

import json

from bench.report import Result, table


def test_passing_follows_from_value_and_target():
    assert Result("a", 2, "s", 2, "c").passes
    assert not Result("a", 1.9, "s", 2, "c").passes
    assert Result("a", 2, "s", 2, "c", higher_is_better=False).passes
    assert not Result("a", 2.1, "s", 2, "c", higher_is_better=False).passes


def test_a_result_is_a_file_and_a_line_of_the_table(tmp_path):
    Result("ingest", 1234.5678, "items/s", 1000, "python -m x", control=5, samples=[1]).write(
        tmp_path
    )

    row = json.loads((tmp_path / "ingest.json").read_text())
    assert set(row) == {
        *("name", "value", "unit", "target", "passes", "higher_is_better"),
        *("control", "samples", "command", "machine", "at"),
    }
    assert (row["value"], row["passes"]) == (1234.5678, True)
    assert "| ingest | 1,235 items/s | ≥ 1,000 | 5 | passes | `python -m x` |" in table(tmp_path)
