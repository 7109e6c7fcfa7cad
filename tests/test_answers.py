"""What an answer may say beside verdict and policy: levels, marks, parameters of actions."""

import pytest

from reviews import claims, decisions
from reviews.errors import Forbidden, Invalid
from reviews.models import AuditEntry, Decision, Enforcement, Finding, ItemVersion, Review
from tests.factories import (
    claimed_job,
    make_action,
    make_item,
    make_platform,
    make_policy,
    make_queue,
)
from tests.people import make_person

pytestmark = pytest.mark.django_db

TEXT = "Sen\u200bd 😀 money\u202e now"


class World:
    def __init__(self, **queue):
        self.platform = make_platform()
        self.spam = make_policy(platform=self.platform, slug="spam", name="Spam")
        self.scam = make_policy(platform=self.platform, slug="scam", name="Scam")
        self.scam.versions.update(severity_levels=["Mild", "Serious", "Severe"])
        self.suspend = make_action(
            platform=self.platform,
            slug="suspend",
            name="Suspend",
            parameters={"days": 7, "reason": "spam", "notice": True, "to": "ops"},
            asked={
                "days": {"label": "Days", "least": 1, "most": 30},
                "reason": {"label": "Reason", "choices": ["spam", "scam"]},
                "notice": {"label": "Tell the author"},
            },
        )
        self.queue = make_queue(
            platform=self.platform,
            policies=[self.spam, self.scam],
            actions=[self.suspend],
            **queue,
        )
        self.rosa, self.remy, self.lena = (self.member(name) for name in ("rosa", "remy", "lena"))
        self.job = self.claim(self.rosa)

    def member(self, name):
        person = make_person(name, platform=self.platform)
        self.queue.members.add(person)
        return person

    def claim(self, person):
        item = make_item(platform=self.platform, text=TEXT)
        return claimed_job(person, queue=self.queue, item=item)

    def answer(self, **kw):
        kw = {"verdict": "violating", "policy_slugs": ["scam"], **kw}
        return decisions.record_review(self.job.pk, self.job.claim_token, by=self.rosa, **kw)


@pytest.fixture
def world():
    return World()


# How severe


def test_a_level_stands_with_the_finding_the_decision_and_the_audit(world):
    decision = world.answer(policy_slugs=["scam", "spam"], severities={"scam": 2, "spam": 1})
    found = Finding.objects.values_list("policy_version__policy__slug", "severity")
    assert dict(found) == {"scam": 2, "spam": None}
    assert Decision.objects.get(pk=decision.pk).severities == {"scam": 2}
    assert AuditEntry.objects.get(verb="review.record").data["severities"] == {"scam": 2}


@pytest.mark.parametrize("level", [None, 0, 4, "2"])
def test_a_policy_that_asks_for_a_level_gets_one_of_its_own(world, level):
    with pytest.raises(Invalid, match="how severe"):
        world.answer(severities={"scam": level})
    assert not Review.objects.exists()


def test_who_grades_nothing_at_all_is_not_refused(world):
    """As programs answer that know of no levels."""
    assert world.answer().severities == {}
    assert set(Finding.objects.values_list("severity", flat=True)) == {None}


def test_two_people_settle_on_the_milder_level():
    world = World(reviews_wanted=2)
    assert world.answer(severities={"scam": 3}) is None
    second = claims.claim_next(world.queue, by=world.remy)
    decision = decisions.record_review(
        second.pk,
        second.claim_token,
        by=world.remy,
        verdict="violating",
        policy_slugs=["scam"],
        severities={"scam": 1},
    )
    assert decision.severities == {"scam": 1}


def test_an_override_grades_anew(world):
    first = world.answer(severities={"scam": 1})
    again = decisions.override(
        first,
        by=world.lena,
        verdict="violating",
        policy_slugs=["scam"],
        severities={"scam": 3},
        note="worse",
    )
    assert Decision.objects.get(pk=again.pk).severities == {"scam": 3}


# Marks


def span(start, end, **kw):
    return {"field": "body", "start": start, "end": end, "policy": "scam", **kw}


def test_marks_are_kept_in_characters_of_the_original(world):
    at = TEXT.index("money")
    world.answer(spans=[span(at, at + 6), span(0, 5), span(0, 5)])
    spans = Review.objects.get().spans
    assert spans == [span(0, 5), span(at, at + 6)]
    quoted = [TEXT[one["start"] : one["end"]] for one in spans]
    assert quoted == ["Sen\u200bd", "money\u202e"]
    assert AuditEntry.objects.get(verb="review.record").data["spans"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        span(0, len(TEXT) + 1),
        span(3, 3),
        span(-1, 2),
        span("0", 2),
        span(0, True),
        span(0, 2, field="nowhere"),
        span(0, 2, field=None),
        span(0, 2, policy="spam"),
        {},
    ],
)
def test_a_mark_that_fits_nothing_is_refused_whole(world, wrong):
    with pytest.raises(Invalid) as refused:
        world.answer(spans=[span(0, 2), wrong])
    assert "spans" in refused.value.details
    assert not Review.objects.exists()


def test_marks_are_bounded(world):
    with pytest.raises(Invalid, match="at most 100"):
        world.answer(spans=[span(0, 2)] * 101)


def test_marks_in_a_text_of_a_megabyte(world):
    long = "a" * 1_000_000 + "end"
    ItemVersion.objects.filter(item=world.job.item).update(content={"body": long})
    world.answer(spans=[span(1_000_000, 1_000_003)])
    assert Review.objects.get().spans == [span(1_000_000, 1_000_003)]


# Parameters of actions


def test_what_she_changes_is_sent_and_the_rest_is_as_usual(world):
    world.answer(parameters={"suspend": {"days": "14", "notice": "0"}})
    sent = Enforcement.objects.get().parameters
    assert sent == {"days": 14, "reason": "spam", "notice": False, "to": "ops"}


def test_untouched_they_are_the_usual_ones(world):
    world.answer()
    assert Enforcement.objects.get().parameters == world.suspend.parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("days", "31"),
        ("days", "soon"),
        ("days", "nan"),
        ("days", None),
        ("reason", "hate"),
        ("to", "me"),
        ("new", 1),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(world, name, value):
    with pytest.raises(Invalid) as refused:
        world.answer(parameters={"suspend": {name: value}})
    assert "parameters" in refused.value.details
    assert not Enforcement.objects.exists()


def test_the_same_action_for_longer_replaces_the_shorter_one(world):
    first = world.answer()
    decisions.override(
        first,
        by=world.lena,
        verdict="violating",
        policy_slugs=["scam"],
        action_slugs=["suspend"],
        parameters={"suspend": {"days": 30}},
        note="again",
    )
    states = Enforcement.objects.order_by("pk").values_list("parameters__days", "state")
    assert list(states) == [(7, "reversed"), (30, "planned")]


def test_the_same_action_as_before_is_carried_over(world):
    first = world.answer()
    decisions.override(
        first,
        by=world.lena,
        verdict="violating",
        policy_slugs=["spam"],
        action_slugs=["suspend"],
        note="another policy",
    )
    assert Enforcement.objects.get().state == "planned"


# What an override would change


def test_what_an_override_changes_is_told_before_it_is_made(world):
    first = world.answer(severities={"scam": 1})
    foreseen = decisions.foresee_override(
        first,
        by=world.lena,
        verdict="violating",
        policy_slugs=["spam"],
        action_slugs=["suspend"],
        parameters={"suspend": {"days": 30}},
    )
    assert foreseen.policies == ["spam"]
    assert [(one.action.slug, one.kind) for one in foreseen.consequences] == [
        ("suspend", "changed")
    ]
    clean = decisions.foresee_override(first, by=world.lena, verdict="clean")
    assert [one.kind for one in clean.consequences] == ["reversed"]
    assert Decision.objects.count() == 1
    assert Enforcement.objects.get().parameters["days"] == 7


def test_a_reviewer_is_not_told_what_an_override_would_change(world):
    first = world.answer()
    with pytest.raises(Forbidden):
        decisions.foresee_override(first, by=world.rosa, verdict="clean")
