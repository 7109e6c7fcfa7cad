"""Items and reports come in: once, whole, and in any order."""

import pytest

from reviews import intake
from reviews.models import Item, ItemVersion, Job
from tests.factories import make_kind, make_platform, make_queue

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    platform = make_platform()
    make_kind(platform=platform, slug="message")
    make_queue(platform=platform, is_default=True)
    return platform


def row(external_id="m-1", body="hello there", **kw):
    return {"kind": "message", "external_id": external_id, "content": {"body": body}, **kw}


def test_a_new_item_gets_a_version_and_a_job(platform):
    [outcome] = intake.submit_items(platform, [row()], by=None)

    assert (outcome.status, outcome.version) == ("created", 1)
    item = Item.objects.get(pk=outcome.item_id)
    assert item.current_version.text() == "hello there"
    assert Job.objects.ready().get().item == item


def test_the_same_body_again_changes_nothing(platform):
    intake.submit_items(platform, [row()], by=None)
    [outcome] = intake.submit_items(platform, [row()], by=None)

    assert outcome.status == "unchanged"
    assert (ItemVersion.objects.count(), Job.objects.count()) == (1, 1)


def test_changed_content_is_a_new_version(platform):
    intake.submit_items(platform, [row()], by=None)
    [outcome] = intake.submit_items(platform, [row(body="hello again")], by=None)

    assert (outcome.status, outcome.version) == ("changed", 2)
    assert Item.objects.get().current_version.text() == "hello again"
    assert Job.objects.ready().count() == 1


def test_a_report_is_counted_once(platform):
    intake.submit_items(platform, [row()], by=None)
    report = {"kind": "message", "item": "m-1", "reason": "spam", "reporter": "u-1"}
    first, second = intake.file_reports(platform, [report, report], by=None)

    assert (first.status, second.status) == ("created", "unchanged")
    assert Item.objects.get().report_count == 1


def test_risks_reach_the_item_and_its_job(platform):
    queue = platform.queues.get()
    slug = queue.policies.get().slug
    [outcome] = intake.submit_items(platform, [row()], by=None)
    before = Job.objects.get().rank
    intake.set_risks({outcome.item_id: {slug: 0.8}}, source="v1 zero-shot")

    item = Item.objects.get()
    assert (item.risk, item.risk_source) == (0.8, "v1 zero-shot")
    assert Job.objects.get().rank == pytest.approx(before + 3 * queue.doubling_hours)
