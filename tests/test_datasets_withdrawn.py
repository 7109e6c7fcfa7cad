"""An item in a snapshot is erased: the files go, another version comes, and nobody is left in the
dark about it."""

import shutil
import urllib.request
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlhooks import client, labels, snapshots, tasks, withdrawals
from mlhooks.models import ModelVersion, Snapshot
from reviews import audit, erasure
from reviews.errors import Gone
from reviews.models import AuditEntry, Item, ItemVersion, Person, content_hash
from reviews.tokens import create_token

from .factories import make_item, make_platform, make_policy, make_queue
from .people import make_person
from .test_client import Line
from .test_datasets import answered_twice
from .test_snapshots import built, decide, rows_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def snapshot_dir(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    for name in ("mila", "rosa", "remy", "ada"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


@pytest.fixture
def item(platform):
    item = make_item(platform=platform, text="my address is 12 Long Lane")
    decide(platform, violated=["spam"], item=item)
    return item


def erase(platform, item):
    erasure.erase_item(item, by=platform.ada, reason="The author asked.")
    audit.seal()


def swept(django_capture_on_commit_callbacks) -> int:
    with django_capture_on_commit_callbacks(execute=True):
        return withdrawals.sweep()


@pytest.fixture
def sweep(django_capture_on_commit_callbacks, monkeypatch):
    monkeypatch.setattr(snapshots, "nudge", snapshots.build)
    return lambda: swept(django_capture_on_commit_callbacks)


def trained_on(snapshot) -> ModelVersion:
    return ModelVersion.objects.create(
        platform=snapshot.platform, number=3, kind="trained", encoder="e", snapshot=snapshot
    )


def test_an_erased_item_is_in_no_snapshot_made_later(platform, item):
    decide(platform)
    erase(platform, item)
    snapshot = built(platform)
    assert [row["item_id"] for row in rows_of(snapshot)] != [item.pk]
    assert snapshot.rows_done == 1 == snapshots.preview(platform).rows


def test_a_snapshot_that_holds_it_loses_its_files_to_a_version_without(platform, item, sweep):
    kept = decide(platform)
    old = built(platform, note="weekly")
    model = trained_on(old)
    erase(platform, item)

    assert sweep() == 1

    old.refresh_from_db()
    new = old.replaced_by
    assert (old.state, new.state, new.number, new.note) == ("withdrawn", "ready", 2, "weekly")
    assert new.cutoff_id == old.cutoff_id
    assert [row["item_id"] for row in rows_of(new)] == [kept.item_id]
    assert not snapshots.folder(old).exists()
    entry = AuditEntry.objects.get(verb="snapshot.withdraw")
    assert entry.data == {"number": 1, "replaced_by": 2, "items": 1, "models": [model.number]}
    with pytest.raises(Gone, match="An item in it was erased. Snapshot 2 takes its place") as told:
        snapshots.get_file(old, "data.jsonl")
    assert told.value.details["replaced_by"] == 2


def test_sweeping_again_changes_nothing(platform, item, sweep):
    built(platform)
    erase(platform, item)
    assert (sweep(), sweep()) == (1, 0)
    assert tasks.sweep_snapshots() == 0
    assert Snapshot.objects.count() == 2


def test_a_snapshot_without_it_stays_as_it_was(platform, item, sweep):
    snapshot = built(platform)
    other = make_item(platform=platform, text="not decided")
    later = make_item(platform=platform, text="decided after the cutoff")
    decide(platform, item=later)
    for one in (other, later):
        erase(platform, one)
    assert sweep() == 0
    snapshot.refresh_from_db()
    assert snapshot.state == "ready"
    assert snapshot.erasures_upto == snapshots.trail_head() > 0


def test_a_snapshot_whose_files_are_lost_holds_up_no_other(platform, item, sweep):
    lost, held = built(platform), built(platform)
    shutil.rmtree(snapshots.folder(lost))
    erase(platform, item)
    assert sweep() == 1
    assert list(Snapshot.objects.filter(state="withdrawn")) == [held]


def test_an_erasure_during_the_build_is_found_after_it(platform, item, sweep, monkeypatch):
    publish = snapshots._publish

    def erased_meanwhile(*folders):
        erase(platform, item)  # its row has been written
        publish(*folders)

    monkeypatch.setattr(snapshots, "_publish", erased_meanwhile)
    old = built(platform)
    monkeypatch.setattr(snapshots, "_publish", publish)
    assert len(rows_of(old)) == 1
    assert sweep() == 1
    assert rows_of(Snapshot.objects.get(number=2)) == []


def test_a_version_that_came_in_after_the_erasure_is_another_content(platform, item, sweep):
    """The erasure was sealed late: the snapshot was begun before, and holds the new text alone."""
    erasure.erase_item(item, by=platform.ada, reason="The author asked.")
    content = {"subject": "", "body": "sent again"}
    ItemVersion.objects.create(
        item=item, number=2, content=content, content_hash=content_hash(content)
    )
    Item.objects.filter(pk=item.pk).update(version_number=2, erased_at=None)
    decide(platform, by=platform.remy, item=Item.objects.get(pk=item.pk))
    snapshot = built(platform)
    audit.seal()
    assert snapshot.erasures_upto < snapshots.trail_head()
    assert [row["text"] for row in rows_of(snapshot)] == ["sent again"]
    assert sweep() == 0


def test_erased_twice_the_chain_leads_to_the_last(platform, item, sweep):
    second = make_item(platform=platform)
    decide(platform, item=second)
    first = built(platform)
    for one in (item, second):
        erase(platform, one)
        sweep()
    first.refresh_from_db()
    assert snapshots.standing(first).number == 3
    with pytest.raises(Gone, match="Snapshot 3 takes its place"):
        snapshots.get_file(first, "data.jsonl")


def test_what_the_raters_are_worth_does_not_hang_on_what_was_erased(platform, item):
    twice = answered_twice(platform, ["spam"], ["spam"])
    answered_twice(platform, [], [])
    before = built(platform).manifest["aggregation"]
    erase(platform, twice)
    assert content_hash({}) == labels.ERASED
    assert built(platform).manifest["aggregation"] == before
    assert before["spam"]["items"] == 2


# Told by page, API and client


@pytest.fixture
def withdrawn(platform, item, sweep):
    decide(platform)
    old = built(platform)
    old.model = trained_on(old)
    erase(platform, item)
    sweep()
    old.refresh_from_db()
    return old


@pytest.fixture
def token(platform):
    return create_token("notebook", platform=platform, scopes=["snapshots:read"], by=None)[1]


def test_the_api_answers_410_with_what_takes_its_place(withdrawn, token):
    caller = Client(headers={"Authorization": f"Bearer {token}"})
    answer = caller.get("/api/v1/snapshots/1/files/data.jsonl")
    assert answer.status_code == 410
    assert answer.json()["details"] == {"reason": "An item in it was erased.", "replaced_by": 2}
    told = caller.get("/api/v1/snapshots/1").json()
    assert (told["state"], told["replaced_by"], told["files"]) == ("withdrawn", 2, [])
    assert told["models"] == [{"number": 3, "label": "v3 trained", "state": "candidate"}]
    assert caller.get("/api/v1/snapshots/2").json()["replaces"] == 1


def test_the_client_names_what_to_fetch_instead(withdrawn, token, tmp_path):
    opener = urllib.request.build_opener(Line())
    console = client.Client("http://localhost", token, opener=opener, sleep=lambda _: None)
    with pytest.raises(client.Withdrawn, match="An item in it was erased. Fetch 2 instead") as told:
        console.download(1, into=tmp_path)
    assert told.value.replaced_by == 2
    assert isinstance(told.value, client.Refused)
    assert console.get_snapshot().number == 2


def test_the_client_says_so_in_the_middle_of_a_download(
    platform, item, sweep, token, tmp_path, monkeypatch
):
    built(platform)
    opener = urllib.request.build_opener(Line())
    console = client.Client("http://localhost", token, opener=opener, sleep=lambda _: None)
    get_snapshot = console.get_snapshot

    def erased_after_it_was_named(which):
        snapshot = get_snapshot(which)
        erase(platform, item)
        sweep()
        return snapshot

    monkeypatch.setattr(console, "get_snapshot", erased_after_it_was_named)
    with pytest.raises(client.Withdrawn) as told:
        console.download(1, into=tmp_path)
    assert told.value.replaced_by == 2


def test_the_page_leads_to_the_version_that_stands_and_lists_the_models(withdrawn, platform):
    browser = Client()
    browser.force_login(Person.objects.get(username="mila"))
    page = browser.get(reverse("mlhooks:snapshot-detail", args=[withdrawn.pk])).text
    new = withdrawn.replaced_by
    assert f'href="{reverse("mlhooks:snapshot-detail", args=[new.pk])}"' in page
    assert "An item in it was erased." in page
    assert reverse("mlhooks:model-detail", args=[withdrawn.model.pk]) in page
    assert "data.jsonl" not in page
    file = browser.get(reverse("mlhooks:snapshot-file", args=[withdrawn.pk, "data.jsonl"]))
    assert file.status_code == 410
    page = browser.get(reverse("mlhooks:snapshot-detail", args=[new.pk])).text
    assert "Takes the place of snapshot 1" in page


def test_nothing_is_trained_on_it_any_more(withdrawn, platform):
    browser = Client()
    browser.force_login(platform.mila)
    answer = browser.post(reverse("mlhooks:training-create", args=[withdrawn.pk]), {"seed": 0})
    assert answer.status_code == 410
    assert "Snapshot 2 takes its place" in answer.text


# Where what takes its place cannot be built


@pytest.fixture
def unbuilt(platform, item, sweep, monkeypatch):
    """The disk is full when the replacement of the first snapshot is built."""
    decide(platform)
    old = built(platform)
    erase(platform, item)

    def full(*_given):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "_publish", full)
        sweep()
    old.refresh_from_db()
    assert old.replaced_by.state == "failed"
    return old.replaced_by


def test_it_is_tried_again_by_itself_after_a_while(unbuilt, sweep, monkeypatch):
    tasks.sweep_snapshots()
    unbuilt.refresh_from_db()
    assert unbuilt.state == "failed"  # it has only just failed
    ago = timezone.now() - withdrawals.RETRY_AFTER - timedelta(seconds=1)
    Snapshot.objects.filter(pk=unbuilt.pk).update(finished_at=ago, created_at=ago)
    assert tasks.sweep_snapshots() == 1
    unbuilt.refresh_from_db()
    assert (unbuilt.state, len(rows_of(unbuilt))) == ("ready", 1)


def test_a_snapshot_somebody_asked_for_is_not_tried_for_ever(platform, unbuilt):
    ago = timezone.now() - timedelta(days=1)
    Snapshot.objects.update(finished_at=ago)
    Snapshot.objects.filter(pk=unbuilt.pk).update(replaces=None)
    assert tasks.sweep_snapshots() == 0
    assert Snapshot.objects.get(pk=unbuilt.pk).state == "failed"


def test_the_page_and_the_metrics_say_that_it_is_missing(platform, unbuilt, settings):
    browser = Client()
    browser.force_login(platform.mila)
    page = browser.get(reverse("mlhooks:snapshot-list")).text
    assert "Snapshot 1 was taken back" in page and "No space left on device" in page
    settings.METRICS_TOKEN = "s3cret"
    told = browser.get(reverse("metrics"), headers={"Authorization": "Bearer s3cret"}).text
    assert 'trustconsole_snapshots_missing{platform="mail"} 1' in told
