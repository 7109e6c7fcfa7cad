"""The deferred part of the evidence: what it says of an item somebody holds, what a blind queue
keeps out of it, and that it costs the same however much there is."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import claims, clusters, decisions, enforcement, erasure
from reviews.models import Enforcement, ItemVersion, Job, Review, ThreadPlace
from tests import past
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
DONE = {"state": "done", "claim_token": None, "claimed_by": None, "claim_slot": None}
DONE["expires_at"] = None
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


# The conversation

FIELDS = [
    {"name": "body", "label": "Text", "type": "text", "role": "text"},
    {"name": "in_thread", "label": "Thread", "type": "string", "role": "thread"},
    {"name": "answers", "label": "Answers", "type": "string", "role": "parent"},
]


def say(world, external_id, text, *, answers="", thread="t-1"):
    item = world.add(text, external_id=external_id)
    content = {"body": text, "answers": answers, "in_thread": thread}
    ItemVersion.objects.filter(item=item).update(content=content)
    return item


def test_what_it_answers_stands_above_it_the_first_in_front():
    world = World(fields=FIELDS)
    say(world, "c-1", "who skates?")
    say(world, "c-2", "we all do", answers="c-1")
    world.item = say(world, "c-3", "you should not", answers="c-2")
    answer = world.get()
    assert [one.line for one in answer.context["above"]] == ["who skates?", "we all do"]
    assert 'aria-current="true"><bdi>you should not' in answer.content.decode()


def test_a_parent_we_do_not_hold_is_named_and_a_circle_ends():
    world = World(fields=FIELDS)
    world.item = say(world, "c-3", "you should not", answers="c-9")
    text = world.text()
    assert "c-9" in text and "never sent here" in text and "t-1" in text
    say(world, "c-9", "nor you", answers="c-3")
    assert [one.line for one in world.get().context["above"]] == ["nor you"]


def test_a_kind_without_such_fields_has_no_conversation():
    assert "talk" not in World().get().context


# What changed, and what was said before


def test_the_last_change_is_shown_word_by_word():
    world = World()
    content = {"subject": "", "body": "the one he holds"}
    ItemVersion.objects.create(item=world.item, number=2, content=content, content_hash="x")
    type(world.item).objects.filter(pk=world.item.pk).update(version_number=2)
    text = world.text()
    assert "<del>she</del>" in text and "<ins>he</ins>" in text


def test_a_decision_before_is_told_and_why_it_was_overridden():
    world = World()
    first = world.decide(world.item)
    decisions.override(first, by=world.people["lena"], verdict="clean", note="a parody")
    answer = world.get()
    assert [one.kind for one in answer.context["decisions"]] == ["override", "settled"]
    assert "a parody" in answer.content.decode()


def test_an_escalation_says_why_to_whoever_gets_it_and_other_answers_stay_with_leads():
    world = World()
    for name, verdict in (("remy", "unsure"), ("lena", "escalate")):
        job = claimed_job(world.people[name], queue=world.other_queue, item=world.item)
        ended = {"claimed_at": timezone.now(), "ended_at": timezone.now()}
        past.answer(job, world.people[name], end="released", **ended)
        Review.objects.create(
            job=job,
            claim=job.claims.get(),
            item=world.item,
            item_version=world.item.current_version,
            reviewer=world.people[name],
            verdict=verdict,
            note=f"{verdict} it is",
        )
        Job.objects.filter(pk=job.pk).update(**DONE)
    assert "escalate it is" in world.text() and "unsure it is" not in world.text()


@pytest.mark.parametrize("lane", ["second", "gold", "qa"])
def test_a_fresh_answer_is_not_led_by_earlier_ones(lane):
    world = World()
    world.decide(world.item)
    world.hold(lane=lane)
    answer = world.get()
    assert answer.context["decisions"] == [] and "Spam" not in answer.content.decode()
    assert not answer.context["may_see_similar"]


@pytest.mark.parametrize("hidden", ["score", "history"])
def test_who_is_not_told_the_score_or_the_history_is_shown_no_similar_items(hidden):
    world = World(blind=[hidden])
    assert "_similar" not in world.text()


def place_all():
    clusters.mark_versions(list(ItemVersion.objects.values_list("pk", flat=True)))
    clusters.hash_due()


def test_answers_to_it_and_others_of_its_thread_stand_around_it():
    world = World(fields=FIELDS)
    say(world, "c-1", "who skates?")
    world.item = say(world, "c-2", "we all do", answers="c-1")
    say(world, "c-3", "not me", answers="c-2")
    say(world, "c-4", "nice weather")
    say(world, "c-5", "elsewhere", thread="t-2")
    place_all()
    context = world.get().context
    sides = ("above", "before", "replies", "after")
    lines = {side: [one.line for one in context[side]] for side in sides}
    assert lines == {
        "above": ["who skates?"],
        "before": [],
        "replies": ["not me"],
        "after": ["nice weather"],
    }


def test_an_edited_answer_moves_and_an_erased_one_is_gone():
    world = World(fields=FIELDS)
    world.item = say(world, "c-2", "we all do", thread="")
    moved, erased = (say(world, name, "not me", answers="c-2", thread="") for name in "ab")
    place_all()
    assert len(world.get().context["replies"]) == 2
    ItemVersion.objects.filter(item=moved).update(content={"body": "x", "answers": "c-9"})
    assert [one.pk for one in world.get().context["replies"]] == [erased.pk]
    erasure.erase_item(erased, by=None, reason="asked for")
    assert not ThreadPlace.objects.filter(item=erased).exists()
    assert "talk" not in world.get().context


def test_another_kinds_or_platforms_thread_of_the_same_name_is_another():
    world, other = World(fields=FIELDS), World(fields=FIELDS)
    world.item = say(world, "c-1", "who skates?")
    say(other, "c-2", "not me", answers="c-1")
    place_all()
    context = world.get().context
    assert (context["replies"], context["after"]) == ([], [])


def test_where_its_text_arrives_covered_it_is_not_quoted_beside_the_cover():
    world = World(fields=FIELDS)
    say(world, "c-1", "who skates?")
    world.item = say(world, "c-2", "we all do", answers="c-1")
    world.queue.policies.update(covers_text=True)
    type(world.item).objects.filter(pk=world.item.pk).update(risks={"spam": 0.95})
    text = world.text()
    assert "who skates?" in text and "we all do" not in text and "This item, covered" in text
