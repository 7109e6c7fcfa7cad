"""A page of jobs side by side: each answered on its own, and nothing that nobody answered."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import decisions, grids, queues, revisions, wellness
from reviews.errors import Invalid
from reviews.models import AuditEntry, Decision, Exposure, Job, Policy, Review
from tests.factories import (
    make_account,
    make_action,
    make_item,
    make_job,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db


class World:
    def __init__(self, jobs=4, **kw):
        self.platform = make_platform()
        self.rosa = make_person("rosa", platform=self.platform)
        self.policy = make_policy(platform=self.platform, name="Nudity", slug="nudity", key="1")
        self.remove = make_action(platform=self.platform, name="Remove")
        self.queue = make_queue(
            platform=self.platform,
            policies=[self.policy],
            actions=[self.remove],
            members=[self.rosa],
            **{"page_size": 24, **kw},
        )
        self.fill(jobs)
        self.client = Client()
        self.client.force_login(self.rosa)
        self.url = reverse("reviews:grid", args=[self.queue.slug])
        self.answer_url = reverse("reviews:grid-answer", args=[self.queue.slug])

    def fill(self, jobs):
        for number in range(jobs):
            account = make_account(platform=self.platform, name="dora")
            item = make_item(platform=self.platform, title=f"Pin {number}", account=account)
            make_job(queue=self.queue, item=item, rank=-number)

    def open(self):
        self.response = self.client.get(self.url)
        return [tile for tile in self.response.context["tiles"] if tile.job]

    def send(self, tiles, do, *, htmx=False, **fields):
        """The form as the page sends it."""
        form = {"do": do, "job": [tile.job_id for tile in tiles]}
        for tile in tiles:
            form[f"token-{tile.job_id}"] = tile.job.claim_token
            form[f"version-{tile.job_id}"] = tile.version.pk
            form[f"score-{tile.job_id}"] = "1" if tile.score_shown else "0"
        headers = {"HX-Request": "true"} if htmx else {}
        return self.client.post(self.answer_url, {**form, **fields}, headers=headers)


@pytest.fixture
def world():
    return World()


def test_only_what_is_marked_is_decided(world):
    tiles = world.open()
    marks = {f"mark-{tiles[0].job_id}": "policy:nudity", f"mark-{tiles[2].job_id}": "clean"}
    response = world.send(tiles, "marked", active_seconds="9", **marks)
    assert response.status_code == 302
    assert Decision.objects.get(job=tiles[0].job_id).verdict == "violating"
    assert Decision.objects.get(job=tiles[2].job_id).verdict == "clean"
    assert Decision.objects.count() == 2
    assert list(Review.objects.values_list("active_seconds", flat=True)) == [4.5, 4.5]
    assert Decision.objects.get(verdict="violating").enforcements.get().action == world.remove
    assert Job.objects.filter(state="claimed").count() == 2, "the others are still hers, undecided"


def test_each_answer_writes_its_own_audit_entry(world):
    tiles = world.open()
    before = AuditEntry.objects.filter(verb="review.record").count()
    world.send(tiles, "marked", **{f"mark-{tile.job_id}": "clean" for tile in tiles})
    assert AuditEntry.objects.filter(verb="review.record").count() == before + 4


def test_the_rest_is_clean_only_where_it_was_looked_at_and_not_marked(world):
    tiles = world.open()
    seen = [tile.job_id for tile in tiles[:3]]
    marks = {f"mark-{tiles[0].job_id}": "policy:nudity"}
    response = world.send(tiles, "rest", seen=seen, rest_count="2", htmx=True, **marks)
    assert response.status_code == 200
    clean = Decision.objects.filter(verdict="clean").values_list("job_id", flat=True)
    assert set(clean) == {tiles[1].job_id, tiles[2].job_id}
    assert Decision.objects.count() == 2, "what is marked waits for its own word"
    kept = {tile.job_id: tile.answer for tile in response.context["tiles"] if tile.job}
    assert kept == {tiles[0].job_id: "policy:nudity", tiles[3].job_id: ""}


@pytest.mark.parametrize("told", ["3", "1", "", "many"])
def test_a_count_that_is_not_what_she_was_told_decides_nothing(world, told):
    tiles = world.open()
    seen = [tile.job_id for tile in tiles[:2]]
    response = world.send(tiles, "rest", seen=seen, rest_count=told)
    assert response.status_code == 422
    assert not Decision.objects.exists()


def test_without_a_mark_nothing_is_decided(world):
    assert world.send(world.open(), "marked").status_code == 422
    assert not Review.objects.exists()


def test_what_is_not_answered_goes_back_when_she_stops(world):
    tiles = world.open()
    world.send(tiles, "marked", **{f"mark-{tiles[0].job_id}": "clean"})
    response = world.send(tiles, "back")
    assert response.status_code == 302 and response["Location"] == "/"
    assert Job.objects.filter(state="ready").count() == 3
    assert Decision.objects.count() == 1


def test_one_refused_answer_stops_none_of_the_others_and_says_why_in_its_place(world):
    tiles = world.open()
    lost = tiles[1].job_id
    Job.objects.filter(pk=lost).update(expires_at=timezone.now() - timedelta(seconds=1))
    marks = {f"mark-{tile.job_id}": "clean" for tile in tiles}
    response = world.send(tiles, "marked", htmx=True, **marks)
    assert response.status_code == 422
    assert Decision.objects.count() == 3
    tile = next(one for one in response.context["tiles"] if one.job_id == lost)
    assert "ran out" in (tile.error or tile.words)


def test_a_needed_note_is_asked_for_and_the_marks_stay():
    world = World(note_required=True)
    tiles = world.open()
    mark = {f"mark-{tiles[0].job_id}": "policy:nudity"}
    response = world.send(tiles, "marked", **mark)
    assert response.status_code == 422
    assert not Review.objects.exists()
    tile = response.context["tiles"][0]
    assert tile.answer == "policy:nudity" and "note" in tile.error
    world.send(tiles, "marked", note="One wave.", **mark)
    assert Review.objects.get().note == "One wave."


def test_where_a_policy_asks_how_severe_it_is_each_item_has_a_level_of_its_own(world):
    world.policy.versions.update(severity_levels=["Mild", "Serious", "Severe"])
    one, other, ungraded, beyond, *_ = tiles = world.open()
    marks = {
        f"mark-{one.job_id}": "policy:nudity:1",
        f"mark-{other.job_id}": "policy:nudity:3",
        f"mark-{ungraded.job_id}": "policy:nudity",
        f"mark-{beyond.job_id}": "policy:nudity:4",
    }
    page = world.send(tiles, "marked", htmx=True, **marks).content.decode()
    graded = Decision.objects.order_by("job").values_list("job", "severities")
    assert dict(graded) == {one.job_id: {"nudity": 1}, other.job_id: {"nudity": 3}}
    assert page.count("Say how severe it is") == 2


def test_skip_unsure_and_escalate_do_what_they_do_on_the_desk(world):
    tiles = world.open()
    answers = dict(zip(("skip", "unsure", "escalate"), tiles, strict=False))
    marks = {f"mark-{tile.job_id}": answer for answer, tile in answers.items()}
    response = world.send(tiles, "marked", htmx=True, note="Not sure.", **marks)
    assert response.status_code == 200, response.content.decode()
    assert not Decision.objects.exists()
    assert set(Review.objects.values_list("verdict", flat=True)) == {"unsure", "escalate"}
    assert Job.objects.get(pk=answers["skip"].job_id).state == "ready"
    assert answers["skip"].job_id not in {tile.job_id for tile in world.open()}


def test_each_decision_is_taken_back_alone_and_lies_in_its_place_again(world):
    tiles = world.open()
    response = world.send(
        tiles, "marked", htmx=True, **{f"mark-{tile.job_id}": "clean" for tile in tiles[:2]}
    )
    order = [tile.job_id for tile in response.context["tiles"]]
    assert order == [tile.job_id for tile in tiles], "nothing moves"
    decision = response.context["tiles"][1].decision
    response = world.send(tiles, f"undo:{decision.pk}", htmx=True)
    again = response.context["tiles"]
    [back] = [tile for tile in again if tile.job_id not in order]
    assert [tile.job_id for tile in again] == [order[0], back.job_id, *order[2:]]
    assert again[0].decision is not None and again[1].job is not None
    assert Decision.objects.current().filter(verdict="clean").count() == 1


def test_the_decision_of_another_person_is_not_hers_to_take_back(world):
    remy = make_person("remy", platform=world.platform)
    world.queue.members.add(remy)
    [job, *_] = grids.open_page(world.queue, by=remy)
    decision = decisions.record_review(job.pk, job.claim_token, by=remy, verdict="clean")
    tiles = world.open()
    assert world.send(tiles, f"undo:{decision.pk}").status_code == 403
    assert world.send(tiles, "undo:0").status_code == 404


def test_an_item_edited_meanwhile_is_looked_at_again(world):
    tiles = world.open()
    item = tiles[0].item
    item.versions.create(number=2, content={"body": "something else"}, content_hash="2" * 64)
    type(item).objects.filter(pk=item.pk).update(version_number=2)
    response = world.send(tiles, "marked", htmx=True, **{f"mark-{tiles[0].job_id}": "clean"})
    assert response.status_code == 422
    tile = response.context["tiles"][0]
    assert tile.error and tile.version.number == 2


def test_what_a_blind_queue_hides_is_not_on_its_page():
    world = World(blind=["score", "author"])
    for job in world.queue.jobs.all():
        type(job.item).objects.filter(pk=job.item_id).update(
            risk=0.97, risks={"nudity": 0.97}, risk_source="v9"
        )
    tiles = world.open()
    text = world.response.content.decode()
    assert "dora" not in text and "Critical" not in text and not re.search(r"(?<!\d)0\.97", text)
    world.send(tiles, "marked", **{f"mark-{tiles[0].job_id}": "clean"})
    assert Review.objects.get().score_shown is False


def test_a_queue_that_shows_one_at_a_time_has_no_page_and_one_that_shows_many_no_desk(world):
    desk = reverse("reviews:review", args=[world.queue.slug])
    assert world.client.get(desk)["Location"] == world.url
    world.queue.page_size = 1
    world.queue.save()
    assert world.client.get(world.url)["Location"] == desk


def test_an_empty_page_says_why(world):
    Job.objects.all().delete()
    assert "Nothing waits" in world.client.get(world.url).content.decode()


def test_the_heartbeat_names_what_is_lost(world):
    tiles = world.open()
    Job.objects.filter(pk=tiles[0].job_id).update(expires_at=timezone.now())
    form = {f"token-{tile.job_id}": tile.job.claim_token for tile in tiles}
    url = reverse("reviews:grid-renew", args=[world.queue.slug])
    response = world.client.post(url, {**form, "job": [tile.job_id for tile in tiles]})
    assert f'data-lost="{tiles[0].job_id}"' in response.content.decode()


def test_a_page_of_24_costs_as_many_queries_as_one_of_5():
    assert _queries(5) == _queries(24)


def _queries(count):
    world = World(jobs=count)
    world.open()
    with CaptureQueriesContext(connection) as queries:
        tiles = world.open()
    assert len(tiles) == count
    world.send(tiles, "back")
    return len(queries)


def test_a_stranger_finds_no_page_and_a_get_answers_nothing(world):
    otto = Client()
    otto.force_login(make_person("remy"))
    assert otto.get(world.url).status_code == 404
    assert otto.post(world.answer_url, {"do": "back"}).status_code == 404
    assert world.client.get(world.answer_url).status_code == 405


def test_a_lead_says_how_many_stand_on_a_page_and_the_change_is_kept(world):
    lena = make_person("lena", platform=world.platform)
    queue = queues.save_queue(world.queue, {"page_size": 12}, by=lena)
    assert queue.page_size == 12
    assert revisions.history(queue).first().data["page_size"] == 12
    with pytest.raises(Invalid) as refused:
        queues.save_queue(queue, {"page_size": 25}, by=lena)
    assert "page_size" in refused.value.details


def test_home_names_a_page_once(world):
    world.open()
    assert world.client.get("/").content.decode().count("You hold a job in") == 1


def test_what_stood_open_counts_against_her_budget_answered_or_put_back(world):
    Policy.objects.update(harm="nudity")
    wellness.forget()
    tiles = world.open()
    Job.objects.update(claimed_at=timezone.now() - timedelta(seconds=60))
    told = {f"mark-{tiles[0].job_id}": "clean", f"revealed-{tiles[0].job_id}": "3.5"}
    world.send(tiles, "marked", **told)
    world.send(tiles[1:], "back", **{f"revealed-{tiles[1].job_id}": "2"})
    assert sorted(Exposure.objects.values_list("seconds", flat=True)) == [2.0, 3.5]
