"""What a blind queue keeps from its reviewer: 0 bytes of it, on the desk, the item's page and in
the API, and why the lead who looks on still sees it all."""

import itertools
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import blind, claims, decisions
from reviews.models import Item, ItemVersion, Lane, Person, Queue, Report, Review
from tests.factories import (
    make_account,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
    move_to_lane,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}

FIELDS = [
    {"name": "body", "label": "Text", "type": "text", "role": "text"},
    {"name": "writer", "label": "Writer", "type": "string", "role": "author"},
]
# Strings that stand for what is hidden: none of them may be anywhere in a response.
SECRETS = {
    "score": ["zero-shot", "0.87", "ikely", "High", "Scored by"],
    "reports": ["Pfishing", "it wants my card", "7 reports", ">7<", "Reports"],
    "author": ["Zebulon", "zeb-account", "Writer", "Strikes", "Joined", "Items, 7 days"],
    "history": ["parody after all", "remy", "second opinion", "Second opinion"],
}


class World:
    """An item full of things to hide: scored, reported, by a known author, answered before."""

    def __init__(self, hidden=()):
        self.platform = make_platform()
        self.people = {
            name: make_person(name, platform=self.platform) for name in ("rosa", "remy", "lena")
        }
        self.policy = make_policy(platform=self.platform, slug="phishing", name="Phishing")
        self.queue = make_queue(
            platform=self.platform,
            name="Mail",
            policies=[self.policy],
            members=self.people.values(),
            blind=list(hidden),
        )
        account = make_account(
            platform=self.platform,
            external_id="zeb-account",
            name="Zebulon",
            joined_at=timezone.now() - timedelta(days=9),
        )
        self.kind = make_kind(platform=self.platform, fields=FIELDS)
        self.item = self.add_item(account)

    def add_item(self, account):
        item = make_item(
            kind=self.kind,
            account=account,
            report_count=7,
            risks={"phishing": 0.87},
            risk=0.87,
            risk_source="v1 zero-shot",
            scored_at=timezone.now(),
        )
        content = {"body": "Good day", "writer": "Zebulon", "old_from": "Zebulon"}
        ItemVersion.objects.filter(item=item).update(content=content)
        Report.objects.create(
            item=item, external_id="1", reason="Pfishing", text="it wants my card"
        )
        make_job(queue=self.queue, item=item)
        return item

    def ask_for_a_second_opinion(self):
        """remy is not sure, and says why."""
        remy = self.people["remy"]
        job = claims.claim_next(self.queue, by=remy)
        decisions.record_review(
            job.pk, job.claim_token, by=remy, verdict="unsure", note="parody after all"
        )

    def client(self, name):
        client = Client()
        client.force_login(self.people[name])
        return client

    def desk(self, name="rosa"):
        return self.client(name).get(reverse("reviews:review", args=[self.queue.slug]))

    def page(self, name="rosa", item=None):
        return self.client(name).get(reverse("reviews:item-detail", args=[(item or self.item).pk]))

    def api(self, name="rosa"):
        return self.client(name).get(reverse("reviews_api:item", args=[self.item.pk]))


def leaks(response, hidden):
    # The microseconds of a time may be any digits, those of a risk too.
    text = re.sub(r"T\d\d:\d\d:\d\d\.\d+", "T", response.content.decode())
    return [word for what in hidden for word in SECRETS[what] if word in text]


ALL = tuple(Queue.Blind.values)
SUBSETS = [set(some) for n in range(len(ALL) + 1) for some in itertools.combinations(ALL, n)]


@pytest.mark.parametrize("hidden", SUBSETS, ids=lambda hidden: "+".join(sorted(hidden)) or "open")
def test_the_desk_leaks_nothing_that_is_hidden_and_shows_the_rest(hidden):
    world = World(hidden)
    world.ask_for_a_second_opinion()
    page = world.desk()
    assert page.context["job"] is not None and "Good day" in page.content.decode()
    assert leaks(page, hidden) == []
    shown = {"score": "ikely", "reports": "Pfishing", "author": "Zebulon"}
    for what, word in shown.items():
        assert (word in page.content.decode()) is (what not in hidden), what
    assert ("second opinion" in page.content.decode().lower()) is ("history" not in hidden)


@pytest.mark.parametrize(
    "hidden", [{one} for one in ALL] + [set(ALL)], ids=lambda h: "+".join(sorted(h))
)
def test_nothing_hidden_is_in_the_desks_context_either(hidden):
    world = World(hidden)
    world.ask_for_a_second_opinion()
    context = {key: value for one in world.desk().context for key, value in one.flatten().items()}
    item = context["item"]
    if "score" in hidden:
        assert (item.risks, item.risk, item.risk_source, item.scored_at) == ({}, None, "", None)
        assert (context["level"], context["score_shown"]) == ("", False)
    if "reports" in hidden:
        assert (item.report_count, context["reports"]) == (0, [])
    if "author" in hidden:
        assert (item.account, context["author"]) == (None, None)
        assert "Zebulon" not in str(context["blocks"])


@pytest.mark.parametrize("hidden", [set(), *({one} for one in ALL), set(ALL)])
def test_neither_the_items_page_nor_the_api_tell_it_to_her(hidden):
    world = World(hidden)
    world.ask_for_a_second_opinion()
    world.desk()
    # remy's own name stands in nobody's page but by his answer, and that is history.
    assert leaks(world.page(), hidden) == []
    assert leaks(world.api(), hidden) == []


def test_the_next_fragment_and_its_undo_bar_tell_no_author():
    world = World({"author"})
    world.add_item(world.item.account)
    page = world.desk()
    job = page.context["job"]
    form = {"token": job.claim_token, "queue": world.queue.pk, "clean": "1"}
    url = reverse("reviews:job-decide", args=[job.pk])
    answer = world.client("rosa").post(url, form, headers=HTMX)
    assert answer.context["job"] is not None and answer.context["last"] is not None
    assert leaks(answer, {"author"}) == []


def test_the_text_of_an_authors_field_cannot_be_fetched_by_itself():
    world = World({"author"})
    url = reverse("reviews:item-text", args=[world.item.pk])
    for name, status in (("writer", 404), ("old_from", 404), ("body", 200)):
        assert world.client("rosa").get(url, {"field": name}).status_code == status
    assert world.client("lena").get(url, {"field": "writer"}).status_code == 200


def test_a_quiet_line_says_that_and_to_what_it_is_blind():
    page = World({"score", "author"}).desk().content.decode()
    assert "Judged blind here. You are not shown: risk and reasons, the author." in page
    assert "Judged blind" not in World().desk().content.decode()


def test_it_is_said_in_the_language_of_whoever_reads_not_of_whoever_came_first():
    world = World({"score"})
    assert "risk and reasons" in world.desk().content.decode()
    Person.objects.filter(username="rosa").update(language="de")
    page = world.desk().content.decode()
    assert "Risiko und Gründe" in page
    assert "risk and reasons" not in page


def test_an_answer_given_blind_is_recorded_as_such():
    world = World({"score"})
    page = world.desk()
    assert 'name="score_shown" value="0"' in page.content.decode()
    job = page.context["job"]
    form = {"token": job.claim_token, "queue": world.queue.pk, "clean": "1", "score_shown": "0"}
    world.client("rosa").post(reverse("reviews:job-decide", args=[job.pk]), form)
    assert Review.objects.get().score_shown is False


def test_a_lead_who_looks_on_sees_it_all_and_one_who_judges_does_not():
    world = World(ALL)
    world.ask_for_a_second_opinion()
    text = world.page("lena").content.decode()
    assert all(word in text for word in ("zero-shot", "Pfishing", "Zebulon", "parody after all"))
    body = world.api("lena").json()
    assert body["risks"] == {"phishing": 0.87} and body["report_count"] == 7
    assert leaks(world.desk("lena"), ALL) == []
    assert leaks(world.page("lena"), ALL) == []
    assert leaks(world.api("lena"), ALL) == []
    assert {"risks", "jobs", "decision", "report_count"}.isdisjoint(world.api("lena").json())


def test_once_the_question_is_settled_the_page_tells_everything_again():
    world = World({"reports", "author"})
    page = world.desk()
    job = page.context["job"]
    rosa = world.people["rosa"]
    decisions.record_review(job.pk, job.claim_token, by=rosa, verdict="clean")
    text = world.page().content.decode()
    assert "Pfishing" in text and "Zebulon" in text


def test_a_decision_that_is_asked_about_again_is_not_told_to_who_may_answer():
    world = World()
    remy = world.people["remy"]
    job = claims.claim_next(world.queue, by=remy)
    decisions.record_review(
        job.pk, job.claim_token, by=remy, verdict="violating", policy_slugs=["phishing"]
    )
    assert "decided by" in world.page().content.decode()
    make_job(queue=world.queue, item=world.item, lane=Lane.SECOND)
    text = world.page().content.decode()
    assert "decided by" not in text and ">Violating<" not in text and "remy" not in text
    assert "decided by" in world.page("lena").content.decode()
    # His own answer is his to see.
    assert "decided by" in world.page("remy").content.decode()


@pytest.mark.parametrize("lane", sorted(blind.SCORELESS_LANES))
def test_a_lane_that_measures_hides_the_score_in_any_queue(lane):
    world = World()
    move_to_lane(lane)
    assert leaks(world.desk(), {"score"}) == []
    assert leaks(world.page(), {"score"}) == []
    assert leaks(world.api(), {"score"}) == []


def test_hiding_changes_nothing_in_the_database():
    world = World(ALL)
    world.desk()
    world.page()
    item = Item.objects.get(pk=world.item.pk)
    assert (item.risk, item.report_count, item.account.name) == (0.87, 7, "Zebulon")


MEDIA = [
    *FIELDS,
    {"name": "picture", "label": "Picture", "type": "image", "role": "image"},
    {"name": "film", "label": "Film", "type": "video", "role": "video"},
]


def test_media_is_never_fetched_and_arrives_as_the_queue_says():
    world = World()
    world.kind.fields = MEDIA
    world.kind.save()
    Queue.objects.update(filters=["blur", "greyscale", "mute"])
    content = {"picture": "https://media.example/a.jpg", "film": "https://media.example/b.mp4"}
    ItemVersion.objects.filter(item=world.item).update(content=content)
    text = world.desk().content.decode()
    assert text.count("this console holds no copy of it") == 2
    assert "<img" not in text and "<video" not in text and "https://media" not in text
    assert "hxxps://media[.]example/a.jpg" in text


def test_a_broken_kind_and_broken_data_still_make_a_page_that_can_be_decided():
    for fields, layout, content in (
        ([{"name": "body", "type": "hologram"}], [{"block": 7}], {"body": {"a": 1}}),
        ([None, {}, "x"], "layout", {"body": ["x"]}),
        ({"not": "a list"}, None, {}),
        (FIELDS, [], ["no object"]),
    ):
        world = World()
        type(world.kind).objects.filter(pk=world.kind.pk).update(
            fields=fields, layout=layout if layout is not None else []
        )
        ItemVersion.objects.filter(item=world.item).update(content=content)
        page = world.desk()
        assert page.status_code == 200, fields
        job = page.context["job"]
        form = {"token": job.claim_token, "queue": world.queue.pk, "clean": "1"}
        url = reverse("reviews:job-decide", args=[job.pk])
        assert world.client("rosa").post(url, form).status_code == 302
