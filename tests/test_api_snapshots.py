"""The model side by API: freeze, download in parts, train, read models."""

import pytest
from django.test import Client

from mlhooks import snapshots
from mlhooks.models import TrainingRun
from reviews.models import AuditEntry
from reviews.tokens import create_token

from .factories import make_item, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import decide, group_in

pytestmark = pytest.mark.django_db
ROOT = "/api/v1"


@pytest.fixture(autouse=True)
def snapshot_dir(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    platform.rosa = make_person("rosa", platform=platform)
    return platform


def caller(platform, *scopes):
    _, text = create_token(f"for {scopes}", platform=platform, scopes=scopes, by=None)
    return Client(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def snapshot(platform):
    for n, split in enumerate(["train"] * 8 + ["valid"] * 2 + ["test"] * 2):
        item = make_item(platform=platform, split_group=group_in(split))
        decide(platform, violated=["spam"] if n % 2 else [], item=item)
    snapshot = snapshots.create_snapshot(platform, by=None)
    snapshots.build(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


@pytest.fixture
def reader(platform):
    return caller(platform, "snapshots:read")


@pytest.fixture
def file_url(snapshot):
    return f"{ROOT}/snapshots/{snapshot.number}/files/data.jsonl"


def body_of(snapshot, name="data.jsonl") -> bytes:
    return snapshots.get_file(snapshot, name)[0].read_bytes()


def test_a_program_freezes_labels_and_reads_about_it(platform):
    decide(platform, violated=["spam"])
    made = caller(platform, "snapshots:write").post(
        f"{ROOT}/snapshots", {"note": "weekly"}, content_type="application/json"
    )
    assert made.status_code == 202
    assert (made.json()["number"], made.json()["state"]) == (1, "waiting")
    snapshots.build(platform.snapshots.get().pk)

    found = caller(platform, "snapshots:read").get(f"{ROOT}/snapshots/1").json()

    assert (found["state"], found["note"], found["rows_done"]) == ("ready", "weekly", 1)
    assert found["counts"]["lane"] == {"risk": 1}
    assert [one["name"] for one in found["files"]][-1] == "manifest.json"
    assert found["files"][0]["url"].endswith("/api/v1/snapshots/1/files/data-train.parquet")


def test_the_whole_file_comes_with_its_hash_as_tag(reader, snapshot, file_url):
    answer = reader.get(file_url)
    assert answer.status_code == 200
    assert answer.getvalue() == body_of(snapshot)
    assert answer["ETag"] == f'"{snapshot.manifest["files"][3]["sha256"]}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Length"] == str(len(body_of(snapshot)))
    assert answer["Content-Disposition"] == 'attachment; filename="snapshot-1-data.jsonl"'


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=3-3", 3, 4)],
)
def test_a_part_is_exactly_the_bytes_asked_for(reader, snapshot, file_url, asked, start, stop):
    whole = body_of(snapshot)
    answer = reader.get(file_url, headers={"Range": asked})
    assert answer.status_code == 206
    part = answer.getvalue()
    assert part == whole[start:stop]
    first = start if start >= 0 else len(whole) + start
    last = first + len(part) - 1
    assert answer["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"


def test_a_broken_download_goes_on_and_comes_out_whole(reader, snapshot, file_url):
    first = reader.get(file_url, headers={"Range": "bytes=0-99"})
    rest = reader.get(file_url, headers={"Range": "bytes=100-", "If-Range": first["ETag"]})
    assert first.getvalue() + rest.getvalue() == body_of(snapshot)


def test_if_the_file_is_another_the_whole_of_it_comes(reader, snapshot, file_url):
    answer = reader.get(file_url, headers={"Range": "bytes=100-", "If-Range": '"of-yesterday"'})
    assert (answer.status_code, answer.getvalue()) == (200, body_of(snapshot))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_part_behind_the_end_is_refused_with_the_size(reader, snapshot, file_url, asked):
    answer = reader.get(file_url, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(body_of(snapshot))}"


@pytest.mark.parametrize("asked", ["bytes=9-3", "lines=1-2", "bytes=a-b", "bytes=0-1,4-5", "-"])
def test_a_range_that_makes_no_sense_is_ignored(reader, snapshot, file_url, asked):
    assert reader.get(file_url, headers={"Range": asked}).status_code == 200


def test_head_says_the_size_and_sends_nothing(reader, snapshot, file_url):
    answer = reader.head(file_url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Length"] == str(len(body_of(snapshot)))
    assert not AuditEntry.objects.filter(verb="snapshot.download").exists()


def test_what_she_has_already_is_not_sent_again(reader, snapshot, file_url):
    tag = reader.head(file_url)["ETag"]
    assert reader.get(file_url, headers={"If-None-Match": tag}).status_code == 304


def test_each_download_is_in_the_trail(reader, snapshot, file_url):
    reader.get(file_url)
    reader.get(file_url, headers={"Range": "bytes=0-0"})
    entries = AuditEntry.objects.filter(verb="snapshot.download").order_by("id")
    assert [entry.data.get("part") for entry in entries] == [
        None,
        f"bytes 0-0/{len(body_of(snapshot))}",
    ]
    assert entries[0].data["token"] == "for ('snapshots:read',)"


@pytest.mark.parametrize(
    "name", ["..%2f1%2fdata.jsonl", "%2fetc%2fpasswd", "data.json", "manifest.json%00"]
)
def test_no_other_file_can_be_named(reader, snapshot, name):
    assert reader.get(f"{ROOT}/snapshots/1/files/{name}").status_code == 404


def test_a_token_of_another_platform_finds_nothing(snapshot, file_url):
    stranger = caller(make_platform(), "snapshots:read", "snapshots:write", "models:read")
    assert stranger.get(file_url).status_code == 404
    assert stranger.get(f"{ROOT}/snapshots/1").status_code == 404
    assert stranger.get(f"{ROOT}/snapshots").json() == {"results": []}


def test_a_scope_opens_its_own_doors_only(platform, snapshot, file_url):
    trainer = caller(platform, "models:write")
    assert trainer.get(file_url).status_code == 403
    reader = caller(platform, "snapshots:read", "models:read")
    for path in ("snapshots", "training-runs"):
        refused = reader.post(f"{ROOT}/{path}", {}, content_type="application/json")
        assert refused.status_code == 403
    assert Client().get(file_url).status_code == 401


def test_a_program_starts_a_training(platform, snapshot):
    trainer = caller(platform, "models:write", "models:read")
    made = trainer.post(
        f"{ROOT}/training-runs", {"snapshot": 1, "seed": 7}, content_type="application/json"
    )
    assert made.status_code == 202
    run = TrainingRun.objects.get()
    assert (run.seed, run.kind, run.state) == (7, "trained", "waiting")
    found = trainer.get(f"{ROOT}/training-runs/{run.pk}").json()
    assert (found["snapshot"], found["state"], found["model"]) == (1, "waiting", None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"snapshot": 99}, 404),
        ({"snapshot": 1, "kind": "zero-shot"}, 422),
        ({"snapshot": 1, "seed": -1}, 422),
        ({"snapshot": "one"}, 422),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(platform, snapshot, body, status):
    trainer = caller(platform, "models:write")
    answer = trainer.post(f"{ROOT}/training-runs", body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_note_too_long_is_refused_by_field(platform, snapshot):
    answer = caller(platform, "snapshots:write").post(
        f"{ROOT}/snapshots", {"note": "x" * 201}, content_type="application/json"
    )
    assert (answer.status_code, list(answer.json()["details"])) == (422, ["note"])


def test_wrong_methods_are_refused(platform, file_url):
    everything = caller(
        platform, "snapshots:read", "snapshots:write", "models:read", "models:write"
    )
    for path in (file_url, f"{ROOT}/snapshots/1", f"{ROOT}/models"):
        assert everything.delete(path).status_code in (403, 405)
