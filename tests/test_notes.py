"""Notes for the next reviewer: who reads them, where they are kept out of sight, and what stays."""

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from reviews import access, claims, decisions, erasure, notes
from reviews.errors import Conflict, Forbidden, Invalid, NotFound
from reviews.models import AuditEntry, Job, Note
from tests.factories import make_item, make_job, make_platform, make_queue, move_to_lane
from tests.people import make_person

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def desk():
    """A queue of rosa, remy and lena with one item, on which remy has left a note."""
    return Desk()


class Desk:
    def __init__(self):
        self.platform = make_platform()
        names = ("rosa", "remy", "lena", "paul", "abel", "otto")
        for name in names:
            setattr(self, name, make_person(name, platform=self.platform))
        self.queue = make_queue(
            platform=self.platform, members=[self.rosa, self.remy, self.lena], name="Mail"
        )
        self.item = make_item(platform=self.platform)
        self.job = make_job(queue=self.queue, item=self.item)
        self.note = notes.leave_note(self.item, by=self.remy, text="The link is dead by now.")

    def client(self, person):
        client = Client()
        client.force_login(person)
        return client

    def see(self, person):
        url = reverse("reviews:review", args=[self.queue.slug])
        return self.client(person).get(url).content.decode()


def test_the_next_reviewer_reads_it_beside_the_item(desk):
    page = desk.see(desk.rosa)
    assert "The link is dead by now." in page
    assert 'data-key="m"' in page


def test_leaving_one_is_on_record(desk):
    entry = AuditEntry.objects.get(verb="note.leave")
    assert (entry.actor, entry.target_id, entry.data["item"]) == (
        desk.remy,
        str(desk.note.pk),
        desk.item.pk,
    )


def test_sent_twice_it_is_left_once(desk):
    assert notes.leave_note(desk.item, by=desk.remy, text="The link is dead by now.") == desk.note
    assert Note.objects.count() == 1


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (notes.MOST + 1)])
def test_an_empty_note_or_one_too_long_is_refused(desk, text):
    with pytest.raises(Invalid):
        notes.leave_note(desk.item, by=desk.rosa, text=text)


def test_who_does_not_judge_leaves_none(desk):
    with pytest.raises(Forbidden):
        notes.leave_note(desk.item, by=desk.abel, text="Audited.")


def test_an_item_of_another_platform_is_not_there(desk):
    with pytest.raises(NotFound):
        notes.leave_note(make_item(), by=desk.rosa, text="Hello.")


def test_withdrawn_by_its_author_it_is_struck_through_and_off_the_desk(desk):
    notes.withdraw_note(desk.note, by=desk.remy)
    notes.withdraw_note(desk.note, by=desk.remy)  # twice is once
    assert AuditEntry.objects.filter(verb="note.withdraw").count() == 1
    assert "The link is dead" not in desk.see(desk.rosa)
    page = desk.client(desk.lena).get(reverse("reviews:item-detail", args=[desk.item.pk]))
    assert '<s class="soft"><bdi>The link is dead' in page.content.decode()


def test_nobody_else_withdraws_it(desk):
    with pytest.raises(Forbidden):
        notes.withdraw_note(desk.note, by=desk.lena)
    with pytest.raises(NotFound):
        access.get_own_note(desk.lena, desk.note.pk)


def test_the_database_refuses_to_delete_one(desk):
    with pytest.raises(IntegrityError), transaction.atomic():
        Note.objects.all().delete()


@pytest.mark.parametrize("lane", ["second", "random", "learning", "gold", "qa"])
def test_a_lane_that_measures_or_asks_again_keeps_it_from_whoever_judges(desk, lane):
    move_to_lane(lane)
    assert "The link is dead" not in desk.see(desk.rosa)
    for url in ("reviews:item-detail", "reviews:item-notes"):
        page = desk.client(desk.rosa).get(reverse(url, args=[desk.item.pk]))
        assert "The link is dead" not in page.content.decode()


def test_a_queue_that_hides_what_was_said_before_keeps_it_too(desk):
    desk.queue.blind = ["history"]
    desk.queue.save()
    assert "The link is dead" not in desk.see(desk.rosa)
    page = desk.client(desk.abel).get(reverse("reviews:item-notes", args=[desk.item.pk]))
    assert "The link is dead" in page.content.decode()  # she only looks on


def test_her_own_she_sees_wherever(desk):
    notes.leave_note(desk.item, by=desk.rosa, text="Mine.")
    move_to_lane("random")
    page = desk.see(desk.rosa)
    assert "Mine." in page and "The link is dead" not in page


@pytest.mark.parametrize("deed", ["job-skip", "job-release", "job-decide"])
def test_skipping_putting_back_and_escalating_leave_the_note_in_the_same_step(desk, deed):
    job = claims.claim_next(desk.queue, by=desk.rosa)
    form = {"token": job.claim_token, "note": "Ask somebody who reads Dutch.", "leave_note": "1"}
    if deed == "job-decide":
        form["verdict"] = "escalate"
    desk.client(desk.rosa).post(reverse(f"reviews:{deed}", args=[job.pk]), form)
    assert desk.item.notes.latest("pk").text == "Ask somebody who reads Dutch."


def test_without_the_tick_no_note_is_left(desk):
    job = claims.claim_next(desk.queue, by=desk.rosa)
    form = {"token": job.claim_token, "note": "Only a thought."}
    desk.client(desk.rosa).post(reverse("reviews:job-release", args=[job.pk]), form)
    assert desk.item.notes.get() == desk.note


def test_a_note_too_long_to_leave_leaves_the_job_with_her(desk):
    job = claims.claim_next(desk.queue, by=desk.rosa)
    with pytest.raises(Invalid):
        notes.leave_with(
            lambda: claims.skip(job.pk, job.claim_token, by=desk.rosa),
            job_id=job.pk,
            by=desk.rosa,
            text="x" * (notes.MOST + 1),
        )
    assert Job.objects.get(pk=job.pk).claimed_by == desk.rosa


def test_erasing_the_item_blanks_what_was_noted_on_it(desk):
    erasure.erase_item(desk.item, by=None, reason="Asked for by its author")
    desk.note.refresh_from_db()
    assert desk.note.text == ""
    with pytest.raises(Conflict):
        notes.leave_note(desk.item, by=desk.rosa, text="Too late.")


def test_from_the_desk_the_form_comes_and_goes_beside_the_item(desk):
    rosa, url = desk.client(desk.rosa), reverse("reviews:item-notes", args=[desk.item.pk])
    form = rosa.get(url, headers=HTMX).content.decode()
    assert "<html" not in form and "autofocus" in form
    refused = rosa.post(url, {"text": " "}, headers=HTMX)
    assert refused.status_code == 422 and "Write something first" in refused.content.decode()
    left = rosa.post(url, {"text": "<b>bold</b>"}, headers=HTMX).content.decode()
    assert "&lt;b&gt;bold" in left
    gone = rosa.post(
        reverse("reviews:note-withdraw", args=[Note.objects.latest("pk").pk]), headers=HTMX
    )
    assert "withdrawn" in gone.content.decode()


def test_notes_cost_one_more_query_however_many(desk, django_assert_num_queries):
    from reviews import desk as reads

    # Planned once a connection; desk.item has a note of remy's, the other none.
    bare = make_item(platform=desk.item.platform)
    for item in (desk.item, bare):
        reads.sight(item.pk, by=desk.rosa)
    with django_assert_num_queries(1):
        assert reads.sight(bare.pk, by=desk.rosa).beside.notes == []
    notes.leave_note(desk.item, by=desk.rosa, text="One more.")
    with django_assert_num_queries(2):
        sight = reads.sight(desk.item.pk, by=desk.rosa)
    assert [note.author for note in sight.beside.notes] == ["remy", "rosa"]


def test_decided_with_the_tick_the_note_is_there_for_whoever_comes_after(desk):
    job = claims.claim_next(desk.queue, by=desk.rosa)
    form = {"token": job.claim_token, "clean": "1", "note": "A parody.", "leave_note": "1"}
    desk.client(desk.rosa).post(reverse("reviews:job-decide", args=[job.pk]), form)
    assert desk.item.notes.latest("pk").text == "A parody."
    assert decisions.Decision.objects.get().note == "A parody."
