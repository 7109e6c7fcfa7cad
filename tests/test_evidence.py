"""The deferred part of the evidence: what it says of an item somebody holds, what a blind queue
keeps out of it, and that it costs the same however much there is."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reviews import claims, decisions, enforcement
from reviews.models import Enforcement
from tests.factories import (
    claimed_job,
    make_account,
    make_action,
    make_item,
    make_job,
    make_kind,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


class World:
    """rosa holds a job on an item of dora's; remy has decided others of hers."""

    def __init__(self, *, blind=(), **kw):
        self.platform = make_platform()
        self.people = {
            name: make_person(name, platform=self.platform) for name in ("rosa", "remy", "lena")
        }
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam")
        strike = make_action(
            platform=self.platform, slug="strike", name="Strike", target="account", is_strike=True
        )
        shared = {
            "platform": self.platform,
            "policies": [self.spam],
            "actions": [strike],
            "members": self.people.values(),
        }
        self.queue = make_queue(blind=list(blind), **shared)
        self.other_queue = make_queue(**shared)
        self.kind = make_kind(platform=self.platform, **kw)
        self.account = make_account(platform=self.platform, name="Dora")
        self.item = self.add("the one she holds")

    def add(self, text="hello there", **kw):
        return make_item(kind=self.kind, text=text, **{"account": self.account, **kw})

    def decide(self, item, verdict="violating", name="remy", **kw):
        job = claimed_job(self.people[name], queue=self.other_queue, item=item)
        is_violating = verdict == "violating"
        return decisions.record_review(
            job.pk,
            job.claim_token,
            by=self.people[name],
            verdict=verdict,
            policy_slugs=["spam"] if is_violating else (),
            action_slugs=["strike"] if is_violating else None,
            **kw,
        )

    def hold(self, name="rosa", **kw):
        if not hasattr(self, "job"):
            self.job = make_job(queue=self.queue, item=self.item, **kw)
        return claims.claim_next(self.queue, by=self.people[name])

    def client(self, name="rosa"):
        client = Client()
        client.force_login(self.people[name])
        return client

    def get(self, name="rosa", headers=HTMX):
        self.hold(name)
        url = reverse("reviews:job-evidence", args=[self.job.pk])
        return self.client(name).get(url, headers=headers)

    def text(self, name="rosa"):
        answer = self.get(name)
        assert answer.status_code == 200
        return answer.content.decode()


def test_the_authors_past_says_what_was_decided_and_which_strikes_count():
    world = World()
    world.decide(world.add("buy now"))
    world.decide(world.add("see you"), "clean")
    world.add("not yet")
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    answer = world.get()
    past = answer.context["past"]
    assert [(line, one.verdict) for one, line in answer.context["past_lines"]] == [
        ("not yet", None),
        ("see you", "clean"),
        ("buy now", "violating"),
    ]
    assert [one.policies for one in past.strikes] == [["Spam"]]
    assert "the one she holds" not in answer.content.decode()
    assert reverse("reviews:account-detail", args=[world.account.pk]) in answer.content.decode()


def test_it_is_a_page_of_its_own_without_script():
    world = World()
    page = world.get(headers={})
    assert "<h1>Evidence</h1>" in page.content.decode() and "_deeper" in page.content.decode()


def test_the_desk_asks_for_it_after_it_was_painted():
    world = World()
    world.hold()
    page = world.client().get(reverse("reviews:review", args=[world.queue.slug])).content.decode()
    assert f'hx-get="{reverse("reviews:job-evidence", args=[world.job.pk])}"' in page


def test_who_does_not_hold_the_job_is_told_nothing_of_it():
    world = World()
    world.hold()
    url = reverse("reviews:job-evidence", args=[world.job.pk])
    assert world.client("remy").get(url).status_code == 409
    assert world.client("remy").get(url, headers=HTMX).status_code == 204
    assert world.client().post(url).status_code == 405
    world.people["remy"].queues.clear()
    assert world.client("remy").get(url).status_code == 404


def test_a_blind_author_has_no_past():
    world = World(blind=["author"])
    world.decide(world.add("buy now"))
    text = world.text()
    for secret in ("Dora", "buy now", "Spam", "accounts/"):
        assert secret not in text


def test_her_past_leaves_out_what_waits_for_a_blind_review():
    world = World()
    blind = make_queue(
        platform=world.platform, policies=[world.spam], members=[world.people["rosa"]]
    )
    blind.blind = ["author"]
    blind.save()
    make_job(queue=blind, item=world.add("whose is this"))
    assert "whose is this" not in world.text()


def test_it_costs_as_many_queries_with_25_items_as_with_5():
    counts = []
    world = World()
    world.hold()
    for most in (5, 25):
        while world.account.items.count() < most:
            world.decide(world.add("buy now"))
        Enforcement.objects.update(due_at="2020-01-01T00:00Z")
        enforcement.release_planned()
        world.get()
        with CaptureQueriesContext(connection) as queries:
            world.get()
        counts.append(len(queries))
    assert counts[0] == counts[1]
