"""The next job, asked for in advance by the page: what the server answers, and what it records."""

import re

import pytest
from django.urls import reverse
from django.utils import timezone

from reviews import claims, wellness
from reviews.models import Decision, Job, Review
from tests.test_pages_all import World
from tests.test_review_page import HTMX, decide, form_of, open_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rosa(world):
    return world.client("rosa")


def ask_ahead(client, world, page):
    url = reverse("reviews:review-ahead", args=[world.queue.slug])
    return client.post(url, {**form_of(page), "shown": page.context["job"].pk}, headers=HTMX)


def test_the_job_ahead_is_another_one_and_not_on_her_desk(world, rosa):
    page = open_desk(rosa, world)
    ahead = ask_ahead(rosa, world, page)
    assert ahead.status_code == 200
    assert ahead.content.decode().lstrip().startswith('<div id="_job"')
    assert ahead.context["job"].pk != page.context["job"].pk
    assert claims.live_claims(world.people["rosa"]) == [page.context["job"]]


def test_the_fragment_ahead_counts_as_if_this_one_were_done(world, rosa):
    page = open_desk(rosa, world)
    before, after = form_of(page), form_of(ask_ahead(rosa, world, page))
    assert int(after["done"]) == int(before["done"]) + 1
    assert int(after["waiting"]) == int(before["waiting"]) - 1


def test_a_decision_that_shows_the_right_job_already_brings_only_what_it_lacks(world, rosa):
    page = open_desk(rosa, world)
    ahead = ask_ahead(rosa, world, page)
    answer = decide(rosa, page, headers=HTMX, clean="1", shown=ahead.context["job"].pk)
    text = answer.content.decode()
    job = Job.objects.get(pk=ahead.context["job"].pk)
    assert text.lstrip().startswith(f'<div id="_arrived" data-job="{job.pk}"')
    assert f'data-token="{job.claim_token}"' in text
    assert "Undo," in text and 'id="_claim_clock"' in text and 'id="_item"' not in text
    assert not job.is_prefetched
    # Two readings of the clock may lie a microsecond apart.
    lasts = (job.expires_at - job.claimed_at).total_seconds()
    assert round(lasts) == world.queue.lease_seconds


def test_skipping_goes_the_same_way(world, rosa):
    page = open_desk(rosa, world)
    ahead = ask_ahead(rosa, world, page)
    url = reverse("reviews:job-skip", args=[page.context["job"].pk])
    data = {**form_of(page), "shown": ahead.context["job"].pk}
    assert 'id="_arrived"' in rosa.post(url, data, headers=HTMX).content.decode()


def test_what_was_prefetched_and_ran_out_is_said_and_the_true_next_job_comes(world, rosa):
    page = open_desk(rosa, world)
    ahead = ask_ahead(rosa, world, page).context["job"]
    Job.objects.filter(pk=ahead.pk).update(expires_at=timezone.now())
    claims.expire_claims()
    claims.claim_next(world.queue, by=world.people["remy"])
    answer = decide(rosa, page, headers=HTMX, clean="1", shown=ahead.pk)
    text = answer.content.decode()
    assert text.lstrip().startswith('<div id="_job"') and "went back to the queue" in text
    assert answer.context["job"].pk not in (ahead.pk, page.context["job"].pk)


def test_a_refused_answer_leaves_the_job_ahead_as_it_was(world, rosa):
    page = open_desk(rosa, world)
    ahead = ask_ahead(rosa, world, page).context["job"]
    assert decide(rosa, page, headers=HTMX, shown=ahead.pk).status_code == 422
    ahead.refresh_from_db()
    assert ahead.is_prefetched
    assert not Review.objects.exists()


def test_the_last_job_has_none_ahead_of_it(world, rosa):
    page = open_desk(rosa, world)
    Job.objects.exclude(pk=page.context["job"].pk).update(state="cancelled")
    assert ask_ahead(rosa, world, page).status_code == 204


def test_whoever_has_seen_enough_gets_nothing_ahead(world, rosa, monkeypatch):
    page = open_desk(rosa, world)
    monkeypatch.setattr(wellness, "guard", lambda *args, **kwargs: wellness.Guard(is_open=False))
    assert ask_ahead(rosa, world, page).status_code == 204
    assert Job.objects.held_by(world.people["rosa"]).count() == 1


def test_after_an_undo_the_job_that_was_on_screen_comes_next(world, rosa):
    page = open_desk(rosa, world)
    later = decide(rosa, page, headers=HTMX, clean="1")
    undo = reverse("reviews:decision-undo", args=[Decision.objects.get().pk])
    back = rosa.post(undo, {"desk": world.queue.slug}, headers=HTMX)
    ahead = ask_ahead(rosa, world, back)
    assert ahead.context["job"].pk == later.context["job"].pk
    assert "data-let-go" not in ahead.content.decode()


def test_a_fragment_ahead_offers_no_undo_and_reads_no_message(world, rosa):
    page = open_desk(rosa, world)
    later = decide(rosa, page, headers=HTMX, clean="1")
    ahead = ask_ahead(rosa, world, later)
    assert "Undo," in later.content.decode() and "Undo," not in ahead.content.decode()


def test_leaving_lets_the_job_ahead_go(world, rosa):
    ahead = ask_ahead(rosa, world, open_desk(rosa, world))
    job, token = ahead.context["job"], {"token": ahead.context["job"].claim_token}
    url = re.search(r'data-let-go="([^"]+)"', ahead.content.decode())[1]
    assert rosa.post(url, token).status_code == 204
    job.refresh_from_db()
    assert job.state == "ready"
    assert rosa.post(url, token).status_code == 204


def test_two_windows_on_one_job_count_the_first_answer_and_tell_her_so(world, rosa):
    page = open_desk(rosa, world)
    decide(rosa, page, headers=HTMX, clean="1")
    again = decide(rosa, page, headers=HTMX, policy=[world.policy.slug])
    assert "in another window: clean" in again.content.decode()
    assert Review.objects.get().verdict == "clean"


def test_the_same_answer_twice_is_no_matter(world, rosa):
    page = open_desk(rosa, world)
    decide(rosa, page, headers=HTMX, policy=[world.policy.slug])
    again = decide(rosa, page, headers=HTMX, policy=[world.policy.slug])
    assert "in another window" not in again.content.decode()
    assert Review.objects.count() == 1
