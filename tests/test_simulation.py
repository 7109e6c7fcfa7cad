"""Learning curves by replay, with an encoder of two directions: violations point one way."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from mlhooks import curve_svg, simulation
from mlhooks.heads import PolicyText
from mlhooks.labelled_files import FileRefused, read_rows
from mlhooks.simulation import NotPossible, Plan, Rows

POLICY = PolicyText("bad", "bad")


def make_rows(n=240, rare=8, seed=0) -> tuple[Rows, np.ndarray]:
    """One row in `rare` is a violation; its vector lies near (1, 0, …)."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % rare == 0).astype(float)
    vectors = rng.normal(size=(n, 6)) + 2.5 * np.outer(labels, np.eye(6)[0])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    split = np.array(["train", "train", "train", "test"] * (n // 4))[rng.permutation(n)]
    split[:4] = "valid"
    return Rows([f"text {one}" for one in range(n)], labels, split), vectors


def encode(texts):
    return np.tile(np.eye(6, dtype=np.float32)[0], (len(texts), 1))


def simulate(plan: Plan):
    rows, vectors = make_rows()
    return simulation.simulate(rows, vectors, plan, policy=POLICY, encode=encode)


def test_each_arm_has_its_curve_and_random_is_always_there():
    found = simulate(Plan(["default", "bald"], seeds=2, budget=60, batch=20, initial=20))

    assert set(found["full_data"]) == {"auprc", "auroc", "f1", "ece"}
    assert list(found["arms"]) == ["random", "default", "bald"]
    arm = found["arms"]["default"]
    assert arm["labels"] == [20, 40, 60]
    assert np.array(arm["auprc_by_seed"]).shape == (2, 3)
    assert arm["auprc_mean"] == pytest.approx(np.mean(arm["auprc_by_seed"], axis=0))
    assert found["arms"]["random"]["aulc_vs_random"] == 1
    json.dumps(found, allow_nan=False)


def test_the_same_seed_draws_the_same_labels():
    plan = Plan(["default"], seeds=1, budget=40, batch=20, initial=20)
    assert simulate(plan) == simulate(plan)


def test_a_rare_class_is_found_sooner_than_by_chance():
    found = simulate(Plan(["default"], seeds=3, budget=60, batch=20, initial=20))
    positives = {name: arm["positives"][-1] for name, arm in found["arms"].items()}
    assert positives["default"] > 1.3 * positives["random"]


def test_the_area_is_the_mean_height_over_labels():
    # (0.2 + 0.4) / 2 over 50 labels and 0.4 over 50: (15 + 20) / 100 = 0.35
    assert simulation._area([50, 100, 150], np.array([0.2, 0.4, 0.4])) == pytest.approx(0.35)


def test_labels_to_a_bar_are_none_where_half_the_seeds_never_reach_it():
    curves = np.array([[0.1, 0.5], [0.1, 0.2], [0.5, 0.5]])
    assert simulation._labels_to([10, 20], curves, 0.5) == 20
    assert simulation._labels_to([10, 20], curves[:2], 0.5) is None


def test_what_cannot_be_done_is_said_before_it_is_begun():
    rows, _ = make_rows()
    for plan, words in (
        (Plan(["luck"]), "no strategy 'luck'"),
        (Plan(["risk"], budget=10_000), "The budget is 10000"),
        (Plan(["risk"], budget=20, initial=50), "over the budget"),
        (Plan(["risk"], seeds=0), "1 or more"),
    ):
        with pytest.raises(NotPossible, match=words):
            simulation.check(rows, plan)


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_file_without_a_split_is_divided_the_same_way_each_time(tmp_path):
    path = write_csv(
        tmp_path / "rows.csv", [("body", "bad")] + [(f"t {n}", n % 2) for n in range(100)]
    )
    one, two = (read_rows(path, text="body", label="bad") for _ in range(2))
    assert [len(one.of(split)) for split in ("train", "valid", "test")] == [60, 20, 20]
    assert (one.split == two.split).all()


def test_a_split_in_the_file_is_honoured(tmp_path):
    path = tmp_path / "rows.parquet"
    split = ["train", "train", "dev", "test", "test"]
    labels = [True, False, True, True, False]
    pq.write_table(pa.table({"text": list("abcde"), "bad": labels, "split": split}), path)
    rows = read_rows(path, text="text", label="bad")
    assert rows.split.tolist() == ["train", "train", "valid", "test", "test"]
    assert rows.labels.tolist() == [1, 0, 1, 1, 0]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.csv", "text,label\nx,1\n", "no column 'bad'. It has text, label"),
        ("a.csv", "text,bad\nx,perhaps\n", "Row 1 of 'bad' is 'perhaps'"),
        ("a.csv", "text,bad\nx,0.3\ny,1\n", "Row 1 of 'bad' is 0.3"),
        ("a.csv", "text,bad\nx,1\ny,\n", "1 of 2 rows have no 'bad', the first is row 2"),
        ("a.csv", "text,bad\nx,yes\n,\n", "1 of 2 rows have no 'bad'"),
        ("a.jsonl", '{"text": "x", "bad": 1}\n{"text": "y"}\n', "1 of 2 rows have no 'bad'"),
        ("a.csv", "text,bad,split\nx,1,spare\n", "split says spare. It may say train,"),
        ("a.csv", "text,bad,split\nx,1,train\ny,0,\n", "split says nothing"),
        ("a.csv", "text,bad,split\nx,1,train\ny,0,train\n", "There are no test rows"),
        ("a.csv", "text,bad,split\nx,1,train\ny,1,train\nz,0,test\n", "need both labels"),
        ("a.csv", "text,bad\nx,1\ny,1\n", "All rows violate by 'bad'"),
        ("a.csv", "text,bad\nx,1\ny,0\n", "There are no test rows"),
        ("a.csv", "text,bad\n,1\n ,0\n", "Every text of 'text' is empty"),
        ("a.csv", "text,bad\n", "a.csv has no rows"),
        ("a.csv", "text,bad\nx,1,more\n", "cannot be read: CSV parse error"),
        ("a.jsonl", '{"text": ["x"], "bad": 1}\n', "'text' holds list"),
        ("a.jsonl", "{nothing", "cannot be read"),
        ("a.xlsx", "", "none of .parquet, .csv, .jsonl"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(FileRefused, match=words):
        read_rows(tmp_path / name, text="text", label="bad")
    with pytest.raises(FileRefused, match="There is no file"):
        read_rows(tmp_path / "gone.csv", text="text", label="bad")


def test_a_file_in_another_encoding_is_refused_rather_than_garbled(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,bad\nprüde,1\nnett,0\n".encode("latin-1"))
    with pytest.raises(FileRefused, match="'text' is not UTF-8"):
        read_rows(path, text="text", label="bad")


def test_splits_are_understood_however_they_are_written(tmp_path):
    names = ["Train", "training ", "VAL", "development", "Test", "testing"]
    lines = [(f"t {n}", n % 2, name) for n, name in enumerate(names)]
    path = write_csv(tmp_path / "rows.CSV", [("body", "bad", "split"), *lines])
    rows = read_rows(path, text="body", label="bad")
    assert rows.split.tolist() == ["train", "train", "valid", "valid", "test", "test"]


def test_a_rare_label_is_in_every_part_of_a_divided_file(tmp_path):
    lines = [(f"t {n}", int(n % 40 == 0)) for n in range(200)]
    path = write_csv(tmp_path / "rows.csv", [("body", "bad"), *lines])
    for seed in range(20):
        rows = read_rows(path, text="body", label="bad", seed=seed)
        found = [rows.labels[rows.of(name)].sum() for name in ("train", "valid", "test")]
        assert found == [3, 1, 1]


def test_rows_without_a_text_are_left_out_and_counted(tmp_path):
    lines = [(f"t {n}", n % 2) for n in range(20)] + [("", 1), ("  ", 0)]
    path = write_csv(tmp_path / "rows.csv", [("body", "bad"), *lines])
    rows = read_rows(path, text="body", label="bad")
    assert (len(rows.texts), rows.left_out) == (20, 2)


def test_the_command_writes_figures_and_a_drawing(tmp_path, settings):
    settings.VAR_DIR = tmp_path / "var"
    words = ["buy cheap pills now", "see you at lunch", "win money fast", "the train is late"]
    lines = [(f"{words[n % 4]} {n}", int(n % 2 == 0)) for n in range(80)]
    path = write_csv(tmp_path / "rows.csv", [("body", "spam"), *lines])
    options = {"seeds": 1, "budget": 20, "batch": 10, "initial": 10, "strategies": "default"}
    call_command(
        "simulate_learning", data=path, text="body", label="spam", out=tmp_path / "out", **options
    )
    found = json.loads((tmp_path / "out" / "learning.json").read_text())
    assert found["arms"]["default"]["labels"] == [10, 20]
    assert found["about"]["rows"] == {"train": 48, "valid": 16, "test": 16}
    assert "default" in (tmp_path / "out" / "learning.svg").read_text()
    with pytest.raises(CommandError, match="The budget is 900"):
        call_command(
            "simulate_learning",
            data=path,
            text="body",
            label="spam",
            out=tmp_path / "out",
            **{**options, "budget": 900},
        )


def test_names_in_a_drawing_do_not_stand_on_each_other():
    assert curve_svg._apart([100.0, 101.0, 300.0]) == [100.0, 118.0, 300.0]
