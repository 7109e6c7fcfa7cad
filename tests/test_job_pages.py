"""The queue browser: filters in the URL, rows to choose, a step to confirm, and the way back."""

import uuid

import pytest
from django.urls import reverse

from reviews import bulk_work, claims
from reviews.models import BulkOperation, Job

from .factories import make_queue
from .test_pages_all import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World(jobs=3)


def list_url(world):
    return reverse("reviews:job-list", args=[world.queue.slug])


def change_url(world):
    return reverse("reviews:job-change", args=[world.queue.slug])


def ids(page):
    return [row["job"].pk for row in page.context["rows"]]


def test_the_list_is_filtered_by_its_url(world):
    lena = world.client("lena")
    jobs = list(Job.objects.in_serving_order())
    assert ids(lena.get(list_url(world))) == [job.pk for job in jobs]
    account = jobs[1].item.account.external_id
    assert ids(lena.get(list_url(world), {"account": account})) == [jobs[1].pk]
    none = lena.get(list_url(world), {"policy": world.policy.slug, "most": "0.5"})
    assert none.context["rows"] == [] and "No job fits" in none.content.decode()


def test_a_filter_that_makes_no_sense_is_told_beside_its_field(world):
    lena = world.client("lena")
    for query in (
        {"least": "0.9", "most": "0.1"},
        {"least": "2"},
        {"account": "nobody"},
        {"since": "2026-02-30"},
        {"kind": "no-such"},
        {"language": "<script>"},
        {"cluster": "99999999999999999999"},
    ):
        page = lena.get(list_url(world), query)
        assert page.status_code == 422, query
        assert 'class="error"' in page.content.decode() or "errorlist" in page.content.decode()


def test_pages_go_on_by_key(world):
    for number in range(60):
        world.add_job(number % 7)
    lena = world.client("lena")
    for order in ("", "age"):
        first = lena.get(list_url(world), {"order": order})
        rest = lena.get(list_url(world) + first.context["next_url"])
        assert len(ids(first)) == 50
        assert len(set(ids(first)) | set(ids(rest))) == 63
    strange = lena.get(list_url(world), {"after": "nan~7"})
    assert ids(strange) == ids(lena.get(list_url(world)))


def test_csv_is_what_is_shown(world):
    answer = world.client("lena").get(list_url(world), {"format": "csv"})
    lines = answer.content.decode().splitlines()
    assert len(lines) == 4 and lines[0].startswith("job,item,lane")


def test_who_may_look_but_not_change_gets_no_boxes(world):
    text = world.client("abel").get(list_url(world)).content.decode()
    assert 'name="job"' not in text
    assert world.client("rosa").get(list_url(world)).status_code == 403


def test_the_step_before_shows_count_examples_and_effect(world):
    chosen = [job.pk for job in Job.objects.all()[:2]]
    page = world.client("lena").get(change_url(world), {"verb": "cancel", "job": chosen})
    text = page.content.decode()
    assert "Cancel 2 jobs" in text and "Offer" in text
    assert Job.objects.ready().count() == 3


def test_a_change_is_made_once_and_undone_from_the_list(world):
    lena = world.client("lena")
    other = make_queue(platform=world.platform, slug="fraud", policies=[world.policy])
    page = lena.get(change_url(world), {"verb": "move", "all": "1"})
    form = {"verb": "move", "all": "1", "to": "fraud", "token": page.context["token"]}
    form["newest"] = page.context["newest_id"]
    world.add_job(9)  # comes in while she reads
    for _ in range(2):
        answer = lena.post(change_url(world), form, follow=True)
        assert "3 jobs: moved to Queue" in answer.content.decode()
    assert (other.jobs.count(), world.queue.jobs.count()) == (3, 1)
    operation = BulkOperation.objects.get()
    answer = lena.post(reverse("reviews:operation-undo", args=[operation.pk]), follow=True)
    assert "3 put back as they were." in answer.content.decode()
    assert (other.jobs.count(), world.queue.jobs.count()) == (0, 4)


def test_what_is_missing_is_told_beside_its_field_and_nothing_is_done(world):
    lena = world.client("lena")
    job = Job.objects.first().pk
    for verb, form, field in (
        ("cancel", {"note": ""}, "note"),
        ("assign", {"to": ""}, "to"),
        ("assign", {"to": "paul"}, "to"),
        ("move", {"to": world.queue.slug}, "to"),
        ("move", {"to": "no-such"}, "to"),
        ("raise", {"how": "doublings", "doublings": "99"}, "doublings"),
        ("raise", {"how": "doublings", "doublings": "x"}, "doublings"),
    ):
        form = {"verb": verb, "job": job, "token": str(uuid.uuid4()), **form}
        answer = lena.post(change_url(world), form)
        assert answer.status_code == 422, verb
        assert f'id="{field}-error"' in answer.content.decode(), (verb, field)
    assert not BulkOperation.objects.exists()


def test_nonsense_in_the_form_is_refused_in_words(world):
    lena = world.client("lena")
    job = Job.objects.first().pk
    for form in (
        {},
        {"verb": "explode", "job": job},
        {"verb": "raise", "token": str(uuid.uuid4())},
        {"verb": "raise", "job": "x", "token": str(uuid.uuid4())},
        {"verb": "raise", "job": job, "token": "not a token"},
        {"verb": "raise", "all": "1", "least": "7", "token": str(uuid.uuid4())},
    ):
        assert lena.post(change_url(world), form).status_code == 422, form


def test_a_job_claimed_between_look_and_deed_is_left_and_said(world):
    lena = world.client("lena")
    page = lena.get(change_url(world), {"verb": "cancel", "all": "1"})
    claims.claim_next(world.queue, by=world.people["rosa"])
    form = {"verb": "cancel", "all": "1", "note": "tests", "token": page.context["token"]}
    answer = lena.post(
        change_url(world), {**form, "newest": page.context["newest_id"]}, follow=True
    )
    assert "2 jobs: cancelled." in answer.content.decode()


def test_a_chosen_job_that_is_held_is_counted(world):
    lena = world.client("lena")
    chosen = [job.pk for job in Job.objects.all()]
    claims.claim_next(world.queue, by=world.people["rosa"])
    form = {"verb": "cancel", "job": chosen, "note": "tests", "token": str(uuid.uuid4())}
    answer = lena.post(change_url(world), form, follow=True)
    assert "2 jobs: cancelled. 1 being worked on right now." in answer.content.decode()


def test_a_raised_job_says_by_whom(world):
    job = Job.objects.first()
    bulk_work.raise_jobs(
        world.queue,
        bulk_work.Selection([job.pk]),
        by=world.people["lena"],
        token=uuid.uuid4(),
    )
    page = world.client("abel").get(list_url(world))
    assert [row["raised_by"] for row in page.context["rows"]] == ["lena", "", ""]
    assert "raised by" in page.content.decode()


def test_the_item_s_page_tells_what_was_done_to_its_job(world):
    job = Job.objects.first()
    bulk_work.cancel_jobs(
        world.queue,
        bulk_work.Selection([job.pk]),
        by=world.people["lena"],
        token=uuid.uuid4(),
        note="a wave of tests",
    )
    text = world.client("lena").get(f"/items/{job.item_id}/").content.decode()
    assert "Cancelled" in text and "a wave of tests" in text
