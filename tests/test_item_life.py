"""An item's page as its life: what stands, every sort of event, filters, order, links to each, and
all reports; the same cost however much there is."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from reviews import blind, clusters, decisions, enforcement, gold, notes
from reviews.models import (
    Enforcement,
    Item,
    ItemVersion,
    Report,
    Reporter,
    content_hash,
)
from tests.test_evidence import FIELDS, say
from tests.test_evidence import World as EvidenceWorld

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


class World(EvidenceWorld):
    def page(self, name="lena", **query):
        return self.client(name).get(reverse("reviews:item-detail", args=[self.item.pk]), query)

    def kinds(self, name="lena", **query):
        return [event.kind for event in self.page(name, **query).context["timeline"].events]

    def report(self, many, **kw):
        first = self.item.reports.count()
        for number in range(first, first + many):
            Report.objects.create(
                item=self.item, external_id=f"r-{number}", reason="Spam", reporter="nora", **kw
            )
        Item.objects.filter(pk=self.item.pk).update(report_count=self.item.reports.count())

    def reports(self, name="lena", headers=None, **query):
        url = reverse("reviews:item-reports", args=[self.item.pk])
        return self.client(name).get(url, query, headers=headers)


@pytest.fixture
def world():
    return World()


def live(world):
    """From submission to proof, a little of everything."""
    item = world.item
    Item.objects.filter(pk=item.pk).update(
        risks={"spam": 0.87}, risk=0.87, risk_source="v1 zero-shot", scored_at=timezone.now()
    )
    content = {"subject": "", "body": "said otherwise"}
    ItemVersion.objects.create(
        item=item, number=2, content=content, content_hash=content_hash(content)
    )
    Item.objects.filter(pk=item.pk).update(version_number=2)
    world.report(1)
    decision = world.decide(Item.objects.get(pk=item.pk))
    Enforcement.objects.update(due_at="2020-01-01T00:00Z")
    enforcement.release_planned()
    notes.leave_note(item, by=world.people["remy"], text="she knows him")
    gold.mark(item, by=world.people["lena"])
    return decision


def test_the_life_goes_from_submission_to_proof(world):
    live(world)
    kinds = world.kinds()
    work = ["job", "decided", "decision", "enforcement", "note", "gold"]
    for kind in ["submitted", "version", "scored", "report", *work]:
        assert kind in kinds, kind
    events = world.page().context["timeline"].events
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_the_head_says_what_stands_by_whom_and_until_when_it_can_be_undone(world):
    decision = world.decide(world.item)
    text = world.page().content.decode()
    head = text[text.index('class="standing"') :].split("</p>")[0]
    assert "Violating" in head and "Spam" in head and "<bdi>remy</bdi>" in head
    assert "can be undone until" in head and decision.undo_until.isoformat() in head
    decisions.undo(decision, by=world.people["remy"])
    assert "Nobody has decided it yet" in world.page().content.decode()


def test_sorts_are_chosen_by_links_and_the_order_is_turned_round(world):
    live(world)
    assert set(world.kinds(show="decisions")) == {"decision", "gold"}
    assert set(world.kinds(show=["notes", "scores"])) == {"note", "scored"}
    assert world.kinds(show="no-such") == world.kinds()
    assert world.kinds(order="newest") == world.kinds()[::-1]
    chips = {
        choice.label: choice for choice in world.page(show="notes").context["timeline"].choices
    }
    assert chips["Notes and opinions"].is_on and chips["Notes and opinions"].query == ""
    assert chips["Scores"].query == "show=notes&show=scores"


def test_each_event_has_a_link_of_its_own(world):
    live(world)
    text = world.page().content.decode()
    anchors = re.findall(r'<li id="([\w-]+)"', text)
    assert len(anchors) == len(set(anchors)) >= 9
    assert all(f'href="#{anchor}"' in text for anchor in anchors if not anchor.startswith("report"))


def test_a_wave_of_reports_is_told_as_one_and_can_be_unfolded(world):
    world.report(4)
    assert world.kinds().count("report") == 4
    world.report(30)
    assert "report" not in world.kinds() and world.kinds().count("reports") == 1
    text = world.page().content.decode()
    assert "34 reports" in text and text.count("User report: ") == 34


def test_of_very_many_reports_the_newest_are_told_and_the_rest_counted(world):
    Report.objects.bulk_create(
        Report(item=world.item, external_id=str(number), reason="Spam") for number in range(230)
    )
    Item.objects.filter(pk=world.item.pk).update(report_count=230)
    text = world.page().content.decode()
    assert "200 reports" in text and "30 earlier reports" in text


def test_all_reports_are_read_in_steps_with_their_reporters_records(world, monkeypatch):
    monkeypatch.setattr("reviews.views.evidence.REPORTS_STEP", 3)
    Reporter.objects.create(
        platform=world.platform, source="user", external_id="nora", settled=21, upheld=18, trust=0.8
    )
    world.report(4, text="it wants my card")
    page = world.reports()
    assert len(page.context["reports"]) == 3
    assert "18 of 21" in page.content.decode() and "it wants my card" in page.content.decode()
    rest = world.reports(before=page.context["next"], headers=HTMX)
    assert len(rest.context["reports"]) == 1 and rest.context["next"] is None
    assert b"<html" not in rest.content


def test_reports_that_a_blind_queue_hides_cannot_be_read_by_themselves():
    world = World(blind=["reports"])
    world.report(2, text="it wants my card")
    world.hold()
    assert world.reports("rosa").status_code == 404
    assert world.reports("lena").status_code == 200
    assert "card" not in world.page("rosa").content.decode()


@pytest.mark.parametrize("hidden", [blind.SCORE, blind.HISTORY])
def test_what_is_hidden_is_no_event_and_no_chip(hidden):
    world = World(blind=[hidden])
    live(world)
    world.hold()
    kinds = world.kinds("rosa")
    if hidden == blind.SCORE:
        assert "scored" not in kinds
        # Not the microseconds of a time.
        assert not re.search(r"(?<!\d)0\.87", world.page("rosa").content.decode())
    else:
        assert {"decision", "decided", "gold", "enforcement", "note"}.isdisjoint(kinds)
        assert "remy" not in world.page("rosa").content.decode()


def test_erasure_stands_in_the_life(world):
    Item.objects.filter(pk=world.item.pk).update(erased_at=timezone.now())
    assert world.kinds()[-1] == "erased"


def test_whoever_sees_clusters_sees_when_it_joined_one(world):
    twin = world.add("the same")
    clusters.mark_versions([world.item.current_version.pk, twin.current_version.pk])
    Item.objects.update(fingerprint="same")
    clusters.hash_due()
    assert "cluster" in world.kinds() and "cluster" not in world.kinds("rosa")


def test_the_page_costs_as_many_queries_with_25_of_everything_as_with_5(world):
    counts = []
    decision = world.decide(world.item)
    for most in (5, 25):
        world.report(most - world.item.reports.count())
        while world.item.notes.count() < most:
            notes.leave_note(
                world.item, by=world.people["remy"], text=f"note {world.item.notes.count()}"
            )
        while world.item.decisions.count() < most:
            decision = decisions.override(
                decision,
                by=world.people["lena"],
                verdict="violating",
                policy_slugs=["spam"],
                action_slugs=["strike"],
                note="again",
            )
        client = world.client()
        url = reverse("reviews:item-detail", args=[world.item.pk])
        client.get(url)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_desk_leads_to_all_reports(world):
    world.report(7)
    world.hold()
    client = Client()
    client.force_login(world.people["rosa"])
    text = client.get(reverse("reviews:review", args=[world.queue.slug])).content.decode()
    assert "Read all 7 reports" in text


def test_the_conversation_stands_on_the_page_too():
    world = World(fields=FIELDS)
    say(world, "c-1", "who skates?")
    world.item = say(world, "c-2", "we all do", answers="c-1")
    text = world.page().content.decode()
    talk = text[text.index('class="talk"') :].split("</ol>")[0]
    assert talk.index("who skates?") < talk.index("we all do")
