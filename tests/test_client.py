"""The Python client: a snapshot by name, whole, whatever the line does. Files load without us.

It speaks to the real application; only what lies between (`Line`) can be told to break.
"""

import hashlib
import http.client
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
import urllib.response
from email.message import Message
from pathlib import Path

import pytest
from django.test import Client as Browser

from mlhooks import client, snapshots
from reviews import erasure
from reviews.tokens import create_token

from .factories import make_item, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def snapshot_dir(request, settings, tmp_path):
    if "live_app" not in request.fixturenames:  # the running console has a folder of its own
        settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.adult = make_policy(platform=platform, slug="adult", name="Adult")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    platform.rosa = make_person("rosa", platform=platform)
    return platform


@pytest.fixture
def snapshot(platform):
    for n, split in enumerate(["train"] * 4 + ["valid"] + ["test"]):
        item = make_item(platform=platform, split_group=group_in(split), text=f"text {n} é")
        decide(platform, violated=["spam"] if n % 2 else [], item=item)
    snapshot = snapshots.create_snapshot(platform, by=None, note="weekly")
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


@pytest.fixture
def token(platform):
    return create_token("notebook", platform=platform, scopes=["snapshots:read"], by=None)[1]


class _Breaking(io.BytesIO):
    """A body whose connection is reset after so many bytes."""

    def __init__(self, body: bytes, *, after: int) -> None:
        super().__init__(body[:after])

    def read(self, size=-1):
        chunk = super().read(size)
        if not chunk:
            raise ConnectionResetError("Connection reset by peer")
        return chunk


class Line(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Brings requests to the application. `faults`: what befalls the next requests, in order;
    those for files only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list = []
        self.requests: list[urllib.request.Request] = []

    def http_open(self, request):
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults and "/files/" in request.full_url else None
        if isinstance(fault, Exception):
            raise fault
        answer = Browser().get(request.selector, headers=dict(request.header_items()))
        status, headers, body = answer.status_code, Message(), answer.getvalue()
        for name, value in answer.items():
            headers[name] = value
        if callable(fault):
            status, body = fault(status, headers, body)
        stream = body if isinstance(body, io.BytesIO) else io.BytesIO(body)
        found = urllib.response.addinfourl(stream, headers, request.full_url, status)
        found.msg = http.client.responses[status]
        return found

    https_open = http_open

    @property
    def ranges(self):
        return [one.get_header("Range") for one in self.requests if "/files/" in one.full_url]


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def console(line, token, waits):
    opener = urllib.request.build_opener(line, client._StayHere())
    return client.Client("http://localhost", token, opener=opener, sleep=waits.append, attempts=3)


def cut(after):
    return lambda status, headers, body: (status, _Breaking(body, after=after))


def end(after):
    return lambda status, headers, body: (status, body[:after])


def busy(status, headers, body):
    headers["Retry-After"] = "7"
    return 503, b"busy"


def spoilt(status, headers, body):
    return status, b"x" + body[1:]


def longer(status, headers, body):
    return status, body + b"<!-- and so on -->"


def on_disk(snapshot, name):
    return snapshots.get_file(snapshot, name)[0].read_bytes()


def test_a_snapshot_by_number_becomes_a_verified_folder(console, snapshot, tmp_path):
    folder = console.download(snapshot.number, into=tmp_path / "data")

    assert folder == tmp_path / "data" / "mail-snapshot-1"
    names = {entry["name"] for entry in snapshots.list_files(snapshot)}
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        assert (folder / name).read_bytes() == on_disk(snapshot, name)
    client.verify(folder)


def test_what_is_there_already_is_not_fetched_again(console, line, snapshot, tmp_path):
    folder = console.download("latest", into=tmp_path)
    (folder / "data.jsonl").write_bytes(b"edited by hand")
    line.requests.clear()

    console.download("latest", into=tmp_path)

    assert len(line.ranges) == 1
    assert (folder / "data.jsonl").read_bytes() == on_disk(snapshot, "data.jsonl")


@pytest.mark.parametrize("fault", [cut(100), end(100)])
def test_a_broken_download_goes_on_where_it_broke(console, line, waits, snapshot, tmp_path, fault):
    line.faults = [fault, fault]

    folder = console.download(1, into=tmp_path, names=["data.jsonl"])

    assert line.ranges == [None, "bytes=100-", "bytes=200-"]
    assert line.requests[-1].get_header("If-range").strip('"') == next(
        entry["sha256"] for entry in snapshot.manifest["files"] if entry["name"] == "data.jsonl"
    )
    assert (folder / "data.jsonl").read_bytes() == on_disk(snapshot, "data.jsonl")
    assert waits == [0.5, 0.5]  # each brought something, so it begins to count anew


def test_an_empty_file_survives_a_broken_line(console, line, platform, tmp_path):
    decision = decide(platform, item=make_item(platform=platform, text="secret"))
    erasure.erase_item(decision.item, by=make_person("ada", platform=platform), reason="Asked.")
    snapshots.build(snapshots.create_snapshot(platform, by=None).pk)
    line.faults = [urllib.error.URLError("no route")]
    folder = console.download(1, into=tmp_path, names=["data.jsonl"])
    assert (folder / "data.jsonl").read_bytes() == b""


def test_another_process_goes_on_from_what_the_first_left(console, line, snapshot, tmp_path):
    line.faults = [cut(100), *[ConnectionRefusedError()] * 2]
    with pytest.raises(client.Unreachable, match="3 attempts"):
        console.download(1, into=tmp_path, names=["data.jsonl"])
    line.requests.clear()

    folder = console.download(1, into=tmp_path, names=["data.jsonl"])

    assert line.ranges == ["bytes=100-"]
    assert (folder / "data.jsonl").read_bytes() == on_disk(snapshot, "data.jsonl")


def test_a_busy_console_is_asked_again_when_it_says(console, line, waits, snapshot, tmp_path):
    line.faults = [busy, urllib.error.URLError("no route")]
    console.download(1, into=tmp_path, names=["README.md"])
    assert waits == [7, 1.0]


@pytest.mark.parametrize("fault", [spoilt, longer])
def test_bytes_that_are_not_what_was_sent_are_fetched_again_once_then_refused(
    console, line, snapshot, tmp_path, fault
):
    line.faults = [fault]
    console.download(1, into=tmp_path / "once", names=["data.jsonl"])

    line.faults = [fault, fault]
    with pytest.raises(client.Damaged, match="came twice with other bytes"):
        console.download(1, into=tmp_path / "twice", names=["data.jsonl"])

    assert list((tmp_path / "twice" / "mail-snapshot-1").iterdir()) == []


def test_a_server_that_ignores_the_range_starts_the_file_anew(console, line, snapshot, tmp_path):
    whole = on_disk(snapshot, "data.jsonl")
    line.faults = [cut(100), lambda status, headers, body: (200, whole)]
    folder = console.download(1, into=tmp_path, names=["data.jsonl"])
    assert (folder / "data.jsonl").read_bytes() == whole


def test_the_token_follows_no_redirect(console, line, snapshot, tmp_path):
    def elsewhere(status, headers, body):
        headers["Location"] = "https://elsewhere.example/data"
        return 302, b""

    line.faults = [elsewhere]
    with pytest.raises(client.Refused, match="sends on to https://elsewhere.example"):
        console.download(1, into=tmp_path, names=["data.jsonl"])
    assert {one.host for one in line.requests} == {"localhost"}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda c, path: c.download(99, into=path), client.Refused, "no such snapshot"),
        (lambda c, path: c.download(2, into=path), client.NotReady, "waiting"),
        (lambda c, path: c.download(1, into=path, names=["x"]), client.ClientError, "has no file"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(
    console, platform, snapshot, tmp_path, call, error, says
):
    snapshots.create_snapshot(platform, by=None)
    with pytest.raises(error, match=says):
        call(console, tmp_path)
    assert [one.state for one in console.list_snapshots()] == ["waiting", "ready"]
    assert console.get_snapshot().number == 1


def test_a_wrong_token_is_told_apart_from_one_without_the_scope(line, platform, snapshot):
    opener = urllib.request.build_opener(line)
    with pytest.raises(client.Refused, match="does not know this token"):
        client.Client("http://localhost", "nonsense", opener=opener).list_snapshots()
    other = create_token("other", platform=platform, scopes=["models:read"], by=None)[1]
    with pytest.raises(client.Refused, match="scope snapshots:read"):
        client.Client("http://localhost", other, opener=opener).list_snapshots()


def test_a_token_does_not_go_over_an_open_line_unasked():
    with pytest.raises(client.ClientError, match="anybody on the way can read the token"):
        client.Client("http://console.example.com", "t")
    client.Client("http://console.example.com", "t", allow_http=True)
    client.Client("console.example.com", "t")


def test_a_changed_file_is_found_offline(console, snapshot, tmp_path):
    folder = console.download(into=tmp_path)
    (folder / "data-train.parquet").write_bytes(b"other")
    with pytest.raises(client.Damaged, match="data-train.parquet was changed"):
        client.verify(folder)


@pytest.mark.django_db(transaction=True)
def test_the_command_fetches_from_a_running_console_without_django_or_torch(
    live_app, snapshot, tmp_path, token
):
    code = (
        "import sys; from mlhooks import client; status = client.main(sys.argv[1:]); "
        "heavy = {'django', 'torch', 'numpy', 'pyarrow'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, live_app, "latest", "--into", str(tmp_path)],
        env={client.TOKEN_VARIABLE: token},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    client.verify(done.stdout.strip())


# Files that load without our code


@pytest.fixture
def folder(snapshot):
    return snapshots.folder(snapshot)


def test_pandas_reads_null_as_not_judged(folder):
    import pandas as pd

    rows = pd.read_parquet(folder / "data-train.parquet")
    assert rows["label_spam"].tolist() == [0, 1, 0, 1]
    assert rows["label_adult"].isna().all()
    assert pd.read_json(folder / "data.jsonl", lines=True)["text"][0].endswith("text 0 é")


def test_polars_reads_the_lists_of_ratings(folder):
    import polars as pl

    rows = pl.read_parquet(folder / "data-*.parquet")
    assert rows["label_spam"].sum() == 3
    raters = rows.select(pl.col("reviews").explode().struct.field("rater"))
    assert raters["rater"].str.starts_with("r_").all()


def test_datasets_loads_the_folder_offline_by_its_card(folder, tmp_path):
    """In a process of its own, that cannot reach anything and has none of our code."""
    code = (
        "import datasets, json, sys; d = datasets.load_dataset(sys.argv[1]); "
        "print(json.dumps({name: part.num_rows for name, part in d.items()}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == {"train": 4, "validation": 1, "test": 1}


def test_torch_learns_from_it_with_a_mask_for_what_nobody_judged(folder):
    import pyarrow.parquet as pq
    import torch

    rows = pq.read_table(folder / "data-train.parquet").to_pylist()
    names = ["label_spam", "label_adult"]
    labels = torch.tensor([[float("nan") if r[n] is None else r[n] for n in names] for r in rows])
    judged = ~labels.isnan()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.zeros_like(labels), labels.nan_to_num(), weight=judged.float(), reduction="sum"
    )
    assert judged.sum() == 4
    assert loss / judged.sum() == pytest.approx(0.6931, abs=1e-3)


def test_croissants_own_library_finds_nothing_wrong_and_reads_the_rows(folder):
    import mlcroissant

    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    texts = [row["train/text"] for row in dataset.records("train")]
    assert len(texts) == 4
    entry = next(one for one in dataset.metadata.distribution if one.id == "data.jsonl")
    assert entry.sha256 == hashlib.sha256((folder / "data.jsonl").read_bytes()).hexdigest()
