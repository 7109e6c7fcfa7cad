"""manage.py import_items: any file, whole batches, rejects with reasons, and again."""

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from io import StringIO

import pyarrow
import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command

from reviews.models import Account, AuditEntry, Item, Job
from tests import servers
from tests.factories import make_kind, make_platform, make_queue

# The command stores through connections of its own.
pytestmark = pytest.mark.django_db(transaction=True)

MAP = ("--map", "external_id=id", "--map", "body=text")


@pytest.fixture
def platform():
    platform = make_platform(slug="mail")
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, is_default=True)
    return platform


def run(file, *arguments, kind="message"):
    err = StringIO()
    call_command(
        "import_items", str(file), "--kind", kind, *arguments, stdout=StringIO(), stderr=err
    )
    return err.getvalue()


def write_jsonl(path, rows):
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def messages(count):
    return [{"id": f"m-{n}", "text": f"text {n}", "more": "ignored"} for n in range(count)]


@pytest.mark.parametrize("name", ["items.jsonl", "items.jsonl.gz"])
def test_json_lines(platform, tmp_path, name):
    err = run(write_jsonl(tmp_path / name, messages(25)), *MAP, "--batch", "10")

    assert "25 rows" in err and "25 created" in err
    assert Item.objects.count() == Job.objects.ready().count() == 25
    assert Item.objects.get(external_id="m-7").current_version.content == {"body": "text 7"}
    entry = AuditEntry.objects.get(verb="item.import")
    assert entry.data == {"file": name, "created": 25}
    assert not (tmp_path / f"{name}.rejects.jsonl").exists()


def test_again_changes_nothing_and_a_changed_file_only_what_changed(platform, tmp_path):
    file = write_jsonl(tmp_path / "items.jsonl", messages(25))
    run(file, *MAP)
    assert "25 unchanged" in run(file, *MAP)
    write_jsonl(file, [*messages(24), {"id": "m-24", "text": "other"}])
    assert "1 changed, 24 unchanged" in run(file, *MAP)


def test_csv_with_everything_mapped(platform, tmp_path):
    path = tmp_path / "items.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        out = csv.writer(file)
        out.writerow(["id", "subject", "text", "who", "name", "lang", "when", "views", "seen"])
        when = "2026-11-01T08:00:00Z"
        out.writerow(["1", "Hi", 'two\nlines, "quoted"', "u-1", "Ada", "en", when, "12.5", "340"])
        out.writerow(["2", "", "plain", "u-1", "", "", "", "", ""])
    run(
        path, *MAP, "--account", "who", "--account-name", "name", "--language", "lang",
        "--posted-at", "when", "--views", "views", "--views-so-far", "seen",
    )  # fmt: skip

    one, two = Item.objects.order_by("pk")
    assert one.current_version.content == {"subject": "Hi", "body": 'two\nlines, "quoted"'}
    assert (one.language, one.views_per_hour, one.views_so_far) == ("en", 12.5, 340)
    assert two.views_so_far is None
    assert one.posted_at == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert (two.language, two.views_per_hour, two.posted_at) == ("", 0, None)
    assert Account.objects.get().name == "Ada"


def test_parquet_in_row_groups(platform, tmp_path):
    table = pyarrow.table(
        {
            "id": pyarrow.array(range(30)),
            "text": [None if n == 3 else f"text {n}" for n in range(30)],
            "at": [datetime(2026, 11, 1, 8)] * 30,
            "nested": [{"not": "asked for"}] * 30,
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "items.parquet", row_group_size=7)
    err = run(tmp_path / "items.parquet", *MAP, "--posted-at", "at", "--batch", "8")

    assert "29 created" in err and "1 rejected" in err
    assert Item.objects.get(external_id="29").posted_at == datetime(2026, 11, 1, 8, tzinfo=UTC)


def test_types_are_read_from_csv_text(platform, tmp_path):
    fields = [
        {"name": name, "label": name, "type": name, "role": "", "required": False}
        for name in ("text", "number", "boolean", "datetime", "url")
    ]
    make_kind(platform=platform, slug="typed", fields=fields)
    path = tmp_path / "typed.csv"
    path.write_text(
        "external_id,text,number,boolean,datetime,url\n"
        "1,a,7,yes,2026-11-01,https://example.org\n2,,,,,\n3,a,seven,perhaps,soon,nowhere\n"
    )
    run(path, kind="typed")

    contents = dict(Item.objects.values_list("external_id", "versions__content"))
    assert contents == {
        "1": {
            "text": "a",
            "number": 7,
            "boolean": True,
            "datetime": "2026-11-01T00:00:00+00:00",
            "url": "https://example.org",
        },
        "2": {"text": ""},
    }
    [reject] = rejects(tmp_path / "typed.csv.rejects.jsonl")
    assert set(reject["errors"]) == {
        f"content.{n}" for n in ("number", "boolean", "datetime", "url")
    }


def rejects(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rejects_tell_line_and_reason_and_stop_nothing(platform, tmp_path):
    lines = ['{"id": "1", "text": "a"}', "", "{nonsense", '{"text": "no id"}', "[]"]
    lines += ['{"id": "2", "text": 5}', '{"id": "3", "text": "c"}']
    file = write_jsonl(tmp_path / "items.jsonl", lines)
    err = run(file, *MAP, "--rejects", str(tmp_path / "bad.jsonl"), "--batch", "2")

    assert "2 created" in err and "4 rejected" in err and "bad.jsonl" in err
    found = {reject["line"]: reject["errors"] for reject in rejects(tmp_path / "bad.jsonl")}
    assert list(found) == [3, 4, 5, 6]
    assert "not JSON" in found[3]["row"][0]
    assert "external_id" in found[4]
    assert "not a JSON object" in found[5]["row"][0]
    assert found[6] == {"content.body": ["Give text."]}


def test_csv_rows_of_the_wrong_width_are_rejected(platform, tmp_path):
    path = tmp_path / "items.csv"
    path.write_bytes(b"id,text\n1,a\n2\n3,b,c\n4,\xff\xfe\n")
    run(path, *MAP)

    assert Item.objects.get(external_id="4").current_version.body() == "\ufffd\ufffd"
    assert [one["line"] for one in rejects(tmp_path / "items.csv.rejects.jsonl")] == [3, 4]


def test_an_older_rejects_file_goes_when_all_is_well(platform, tmp_path):
    old = tmp_path / "items.jsonl.rejects.jsonl"
    old.write_text("old\n")
    run(write_jsonl(tmp_path / "items.jsonl", messages(3)), *MAP)

    assert not old.exists()


def test_rows_of_one_item_in_different_batches_are_taken_in_order(platform, tmp_path):
    rows = [{"id": f"m-{n % 5}", "text": f"text {n}"} for n in range(200)]
    run(write_jsonl(tmp_path / "items.jsonl", rows), *MAP, "--batch", "10")

    for n in range(5):
        item = Item.objects.get(external_id=f"m-{n}")
        assert (item.version_number, item.current_version.body()) == (40, f"text {195 + n}")


def test_copies_of_a_text_in_different_batches_share_a_split_group(platform, tmp_path):
    rows = [{"id": f"m-{n}", "text": "copy", "who": f"u-{n}"} for n in range(40)]
    run(write_jsonl(tmp_path / "items.jsonl", rows), *MAP, "--account", "who", "--batch", "4")

    assert Item.objects.values("split_group").distinct().count() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--map", "colour=red"), "fields: external_id, subject, body"),
        (("--map", "body"), "FIELD=COLUMN"),
        (("--map", "body=txt"), "no column txt. It has: id, text"),
        (("--views", "seen"), "no column seen"),
        (("--batch", "0"), "1 to 10,000"),
        (("--platform", "nope"), "--platform: mail"),
    ],
)
def test_a_wrong_call_is_told_what_would_be_right(platform, tmp_path, arguments, words):
    with pytest.raises(CommandError, match=words):
        run(write_jsonl(tmp_path / "items.jsonl", messages(1)), *arguments)
    assert not Item.objects.exists()


def test_a_wrong_file_is_told_what_would_be_right(platform, tmp_path):
    with pytest.raises(CommandError, match="There is no file"):
        run(tmp_path / "nothing.jsonl")
    for name, words in (
        ("a.txt", "not .jsonl"),
        ("a.parquet", "cannot be read"),
        ("a.csv", "empty"),
    ):
        (tmp_path / name).write_text("" if name == "a.csv" else "text")
        with pytest.raises(CommandError, match=words):
            run(tmp_path / name)
    with pytest.raises(CommandError, match="The kinds of .* are: message"):
        run(tmp_path / "a.txt", kind="post")


def test_an_interrupted_import_leaves_whole_batches_and_can_be_run_again(platform, tmp_path):
    rows = [
        {"id": f"m-{n}", "text": " ".join(random.choices("abcdef", k=200))} for n in range(60_000)
    ]
    file = write_jsonl(tmp_path / "items.jsonl", rows)
    command = subprocess.Popen(
        [sys.executable, "manage.py", "import_items", str(file), "--kind", "message", *MAP]
        + ["--batch", "500"],
        env={**os.environ, "DATABASE_URL": servers.database_url(servers.NAME)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not Item.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)

    assert command.returncode == 130, err
    assert "Whole batches are stored" in err and "Traceback" not in err
    stored = Item.objects.count()
    assert 0 < stored < 60_000 and stored % 500 == 0
    assert Job.objects.count() == stored
    assert f"{stored:,} created" in err
    write_jsonl(file, rows[: stored + 10])
    assert f"10 created, 0 changed, {stored:,} unchanged" in run(file, *MAP)
