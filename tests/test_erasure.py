"""What an item said is gone for good; that it was decided stays."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from reviews import claims, decisions, erasure, intake
from reviews.errors import ClaimLost, Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Claim, Item, ItemVersion, Job, Report

from .factories import claimed_job, make_item, make_job, make_queue
from .people import make_person
from .test_pages_all import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa():
    return make_person("rosa")


@pytest.fixture
def queue(rosa):
    return make_queue(members=[rosa], is_default=True)


@pytest.fixture
def ada(queue):
    return make_person("ada", platform=queue.platform)


@pytest.fixture
def item(queue):
    return make_item(platform=queue.platform, text="my address is 12 Long Lane")


def erase(item, by):
    return erasure.erase_item(item, by=by, reason="The author asked.")


def test_nothing_of_what_it_said_is_left(queue, item, ada):
    ItemVersion.objects.create(item=item, number=2, content={"body": "12 Long Lane"})
    Report.objects.create(item=item, external_id="1", reason="doxing", text="12 Long Lane!")
    assert erase(item, ada).erased_at is not None
    assert list(item.versions.values_list("content", flat=True)) == [{}, {}]
    assert item.reports.get().text == ""
    assert Item.objects.get(pk=item.pk).fingerprint != item.fingerprint


def test_erasing_writes_one_audit_entry_and_twice_is_once(item, queue, ada):
    make_job(queue=queue, item=item)
    erase(item, ada)
    erase(item, ada)
    entry = AuditEntry.objects.get(verb="item.erase")
    assert (entry.actor, entry.target_id) == (ada, str(item.pk))
    assert entry.data == {
        "reason": "The author asked.",
        "versions": 1,
        "reports": 0,
        "jobs": 1,
        "notes": 0,
        "media": 0,
    }


def test_its_open_jobs_are_withdrawn_and_who_holds_one_is_told(queue, item, rosa, ada):
    waiting = make_job(queue=queue, item=item, lane="second")
    held = claimed_job(rosa, queue=queue, item=item, rank=5)
    erase(item, ada)
    assert set(Job.objects.values_list("pk", "state")) == {
        (waiting.pk, "cancelled"),
        (held.pk, "cancelled"),
    }
    assert Claim.objects.get().end == "cancelled"
    with pytest.raises(ClaimLost, match="taken away at .*: its item was erased"):
        decisions.record_review(held.pk, held.claim_token, by=rosa, verdict="clean")
    assert claims.claim_next(queue, by=rosa) is None


def test_what_was_decided_stands_and_cannot_be_taken_back(queue, item, rosa, ada):
    job = claimed_job(rosa, queue=queue, item=item)
    decision = decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    erase(item, ada)
    with pytest.raises(Conflict, match="was erased"):
        decisions.undo(decision, by=rosa)
    assert item.decisions.current().get() == decision


def test_a_report_opens_no_job_for_what_cannot_be_read(queue, item, ada):
    erase(item, ada)
    row = {"kind": item.kind.slug, "item": item.external_id, "reason": "spam"}
    (outcome,) = intake.file_reports(queue.platform, [row], by=None)
    assert outcome.status == "created"
    assert not item.jobs.exists()


def test_what_is_sent_anew_is_new_content(queue, item, ada):
    erase(item, ada)
    row = {"kind": item.kind.slug, "external_id": item.external_id, "content": {"body": "hello"}}
    intake.submit_items(queue.platform, [row], by=None)
    item = Item.objects.get(pk=item.pk)
    assert (item.erased_at, item.version_number) == (None, 2)
    assert item.jobs.open().count() == 1


@pytest.mark.parametrize("name", ["rosa", "lena", "paul", "mila", "abel"])
def test_only_an_admin_erases(queue, item, name):
    with pytest.raises(Forbidden):
        erase(item, make_person(name, platform=queue.platform))


def test_an_item_of_another_platform_does_not_exist(item):
    with pytest.raises(NotFound):
        erase(item, make_person("ada"))


def test_a_reason_is_needed(item, ada):
    with pytest.raises(Invalid):
        erasure.erase_item(item, by=ada, reason=" ")
    assert item.versions.get().content


def test_the_items_page_says_that_it_was_erased():
    world = World(jobs=1)
    item = world.queue.jobs.first().item
    erasure.erase_item(item, by=None, reason="asked")
    page = world.client("lena").get(reverse("reviews:item-detail", args=[item.pk]))
    assert "What it said was erased" in page.content.decode()


def test_the_command_erases_and_says_so(item):
    out = io.StringIO()
    call_command("erase_item", item.kind.slug, item.external_id, reason="asked", stdout=out)
    assert item.versions.get().content == {}
    call_command("erase_item", item.kind.slug, item.external_id, reason="asked", stdout=out)
    assert "It was erased before" in out.getvalue()
    with pytest.raises(CommandError, match="There is no"):
        call_command("erase_item", item.kind.slug, "nothing", reason="asked")
