"""A platform's limits as leads set them: checked as a whole, a revision each, followed at once."""

import pytest
from django.test import Client
from django.urls import reverse

from reviews import comfort, limits, revisions, wellness
from reviews.errors import Conflict, Forbidden, Invalid
from reviews.models import AuditEntry, Limits, Person, Severity, Wellbeing

from .factories import make_platform, make_policy, make_queue
from .people import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform():
    platform = make_platform(slug="harbour")
    gore = make_policy(platform=platform, slug="gore", name="Gore")
    gore.versions.update(severity=Severity.HIGH)
    make_policy(platform=platform, slug="spam", name="Spam")
    return platform


@pytest.fixture
def lena(platform):
    return make_person("lena", platform=platform)


def test_they_are_saved_as_one_revision_and_audited_once(platform, lena):
    saved = limits.save_limits(
        platform,
        {"rotation": "3", "budgets": {"violence": "45"}, "harms": {"gore": " Violence "}},
        by=lena,
        note="After the summer.",
    )
    assert (saved.rotation, saved.budgets) == (3, {"violence": 45})
    assert platform.policies.get(slug="gore").harm == "Violence"
    assert limits.harms_of(platform) == {"violence": "Violence"}
    assert [one.number for one in revisions.history(saved, platform=platform)] == [2, 1]
    entry = AuditEntry.objects.filter(verb="limits.save", actor=lena).get()
    assert set(entry.data["changed"]) == {"rotation", "budgets", "harms"}


def test_the_same_again_saves_nothing(platform, lena):
    for _ in range(2):
        limits.save_limits(platform, {"rotation": 3}, by=lena)
    assert revisions.history(Limits(platform=platform)).count() == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"rotation": "-1"}, "rotation"),
        ({"shift_hours": "0"}, "shift_hours"),
        ({"break_minutes": "soon"}, "break_minutes"),
        ({"keep_days": "9999"}, "keep_days"),
        ({"strength": "7"}, "strength"),
        ({"budgets": {"violence": "0"}}, "budget:violence"),
        ({"harms": {"nothing": "x"}}, "harm:nothing"),
        ({"harms": {"gore": "x" * 41}}, "harm:gore"),
        ({"harms": {"gore": "!!!"}}, "harm:gore"),
        ({"covers_text": ["nothing"]}, "covers_text"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(platform, lena, wrong, field):
    with pytest.raises(Invalid) as refused:
        limits.save_limits(platform, wrong, by=lena)
    assert field in refused.value.details
    assert not Limits.objects.exists()


@pytest.mark.parametrize("name", ["rosa", "paul", "mila", "abel"])
def test_only_leads_and_admins_set_them(platform, name):
    with pytest.raises(Forbidden):
        limits.save_limits(platform, {}, by=make_person(name, platform=platform))


def test_two_at_once_and_the_second_is_told(platform, lena):
    limits.save_limits(platform, {"rotation": 3}, by=lena, seen=0)
    with pytest.raises(Conflict):
        limits.save_limits(platform, {"rotation": 4}, by=lena, seen=0)


def test_an_old_state_is_put_back_without_what_is_gone_since(platform, lena):
    limits.save_limits(
        platform, {"harms": {"gore": "Violence", "spam": "Boredom"}, "rotation": 3}, by=lena
    )
    limits.save_limits(platform, {"harms": {}, "rotation": 0}, by=lena)
    platform.policies.filter(slug="spam").update(is_archived=True)
    limits.put_back(platform, 2, by=lena, seen=None)
    assert limits.read(platform)["harms"] == {"gore": "Violence"}
    assert Limits.objects.get().rotation == 3


def test_who_opted_out_stays_out_when_the_word_changes(platform, lena):
    rosa = make_person("rosa", platform=platform)
    limits.save_limits(platform, {"harms": {"gore": "Violence"}}, by=lena)
    comfort.save_opt_outs(rosa, by=rosa, harms=["violence"])
    limits.save_limits(platform, {"harms": {"gore": "Bloodshed"}}, by=lena)
    assert Wellbeing.objects.get().opt_outs == ["bloodshed"]
    queue = make_queue(policies=[platform.policies.get(slug="gore")], platform=platform)
    assert not wellness.guard(Person.objects.get(pk=rosa.pk), queue).is_open


def test_a_budget_follows_its_harm_to_a_new_word(platform, lena):
    limits.save_limits(
        platform, {"harms": {"gore": "Violence"}, "budgets": {"violence": 30}}, by=lena
    )
    limits.save_limits(platform, {"harms": {"gore": "Bloodshed"}}, by=lena)
    assert Limits.objects.get().budgets == {"bloodshed": 30}


def test_the_page_keeps_what_was_typed_and_shows_what_is_wrong(platform, lena):
    client = Client()
    client.force_login(lena)
    url = reverse("reviews:setup-limits", args=[platform.slug])
    form = {**limits.read(platform), "rotation": "many", "harm:gore": "Violence", "seen": "0"}
    del form["budgets"], form["harms"]
    page = client.post(url, form)
    assert page.status_code == 422
    text = page.content.decode()
    assert 'value="many"' in text and 'value="Violence"' in text
    assert "Give a whole number from 0 to 100." in text
    assert client.post(url, form | {"rotation": "3"}).status_code == 302
    stale = client.post(url, form | {"rotation": "4"})
    assert stale.status_code == 409 and "lena" in stale.content.decode()
