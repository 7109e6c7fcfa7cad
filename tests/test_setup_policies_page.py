"""The pages of policies in the set-up: versions, their form, and what a new one makes old."""

import csv
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reviews import policies, revisions
from reviews.models import Job, Lane, Policy, PolicyVersion, Relabelling
from tests.people import make_person
from tests.test_relabelling import World

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
TEXT = {
    "summary": "Stricter.",
    "definition": "What it forbids.\nAnd more.",
    "examples": "buy now\n\nwin a prize",
    "counter_examples": "see you at lunch",
    "severity": "3",
    "severity_weight": "6.5",
    "legal_category": "",
    "when": "now",
}


@pytest.fixture
def world():
    return World()


def client_of(name, world):
    client = Client()
    client.force_login(make_person(name, platform=world.platform))
    return client


@pytest.fixture
def paul(world):
    return client_of("paul", world)


def url(name, *more):
    return reverse(f"reviews:setup-policy-{name}", args=["spam", *more])


def test_a_new_version_in_force_at_once_says_what_it_made_old(world, paul):
    world.decide()
    answer = paul.post(url("version"), TEXT, follow=True)
    text = answer.content.decode()
    assert "Version 2 is in force." in text
    assert "One standing decision was made under an earlier version" in text
    version = world.policy.versions.in_force().get()
    assert version.examples == ["buy now", "win a prize"]
    assert (version.severity, version.severity_weight) == (3, 6.5)
    assert "More severe (Medium to High)" in text and "+And more." in text


def test_the_form_starts_from_what_is_in_force_or_from_the_version_asked_for(world, paul):
    world.change("Second.")
    assert 'value="Second."' in paul.get(url("version")).content.decode()
    page = paul.get(url("version"), {"of": "1"}).content.decode()
    assert 'value="What it forbids, in a line."' in page
    assert paul.get(url("version"), {"of": "9"}).status_code == 404


def test_the_difference_is_shown_while_typing_and_nothing_is_saved(world, paul):
    answer = paul.post(url("version"), {**TEXT, "do": "preview"}, headers=HTMX)
    text = answer.content.decode()
    assert text.startswith('<section id="_version_changes"')
    assert "+And more." in text and "Medium" in text
    assert world.policy.versions.count() == 1


def test_what_is_wrong_is_said_beside_its_field_and_the_text_is_kept(world, paul):
    page = paul.post(url("version"), {**TEXT, "summary": "", "severity_weight": "heavy"})
    text = page.content.decode()
    assert page.status_code == 422
    assert 'id="summary-wrong"' in text and 'id="weight-wrong"' in text
    assert "And more.</textarea>" in text and 'value="heavy"' in text


@pytest.mark.parametrize("at", ["", "soon", "2020-01-01T09:00", "9999-99-99T99:99", "\x00"])
def test_a_date_that_is_none_or_past_is_refused(world, paul, at):
    page = paul.post(url("version"), {**TEXT, "when": "later", "at": at})
    assert page.status_code == 422 and 'id="at-wrong"' in page.content.decode()
    assert world.policy.versions.count() == 1


def test_a_version_to_come_is_changed_and_withdrawn_until_its_time(world, paul):
    at = timezone.localtime() + timedelta(days=2)
    form = {**TEXT, "when": "later", "at": f"{at:%Y-%m-%dT%H:%M}"}
    text = paul.post(url("version"), form, follow=True).content.decode()
    assert "Version 2 takes effect on" in text and "to come" in text
    page = paul.get(url("version-edit", 2)).content.decode()
    assert f'value="{at:%Y-%m-%dT%H:%M}"' in page
    assert "It does not know what you write here" not in page
    paul.post(url("version-edit", 2), {**form, "summary": "Else."})
    assert world.policy.versions.get(number=2).summary == "Else."
    assert "It does not know what you write here" in paul.get(url("version")).content.decode()
    assert paul.post(url("version-withdraw", 2)).status_code == 302
    assert world.policy.versions.count() == 1


def test_a_version_in_force_is_not_edited_and_what_was_typed_is_kept(world, paul):
    page = paul.post(url("version-edit", 1), TEXT)
    assert page.status_code == 409
    text = page.content.decode()
    assert "decisions point at it" in text and "And more.</textarea>" in text
    assert paul.post(url("version-withdraw", 1)).status_code == 409


def test_an_old_text_is_put_back_as_a_new_version(world, paul):
    world.change()
    paul.post(url("version-restore", 1))
    version = world.policy.versions.in_force().get()
    assert (version.number, version.summary) == (3, "What it forbids, in a line.")


def test_name_key_and_place_are_saved_with_their_history(world, paul):
    page = paul.post(url("edit"), {"name": "Junk", "key": "j", "position": "4", "seen": "0"})
    assert page.status_code == 302
    world.policy.refresh_from_db()
    assert (world.policy.name, world.policy.key, world.policy.position) == ("Junk", "j", 4)
    stale = paul.post(url("edit"), {"name": "Mine", "key": "", "position": "0", "seen": "0"})
    assert stale.status_code == 409 and 'value="Mine"' in stale.content.decode()
    wrong = paul.post(url("edit"), {"name": "", "key": "?", "position": "x", "seen": "2"})
    assert wrong.status_code == 422
    assert all(
        f'id="{name}-wrong"' in wrong.content.decode() for name in ("name", "key", "position")
    )
    paul.post(url("restore", 1), {"seen": "2"})
    world.policy.refresh_from_db()
    assert revisions.history(world.policy).first().restores.number == 1


def test_a_new_policy_is_made_in_the_page(world, paul):
    new = reverse("reviews:setup-policy-new")
    assert paul.get(new).status_code == 200
    own = {"slug": "hate", "name": "Hate speech", "key": "h", "position": "5"}
    refused = paul.post(new, {**TEXT, **own, "slug": "spam", "summary": ""})
    assert refused.status_code == 422 and 'value="Hate speech"' in refused.content.decode()
    answer = paul.post(new, {**TEXT, **own})
    assert answer["Location"] == reverse("reviews:setup-policy-edit", args=["hate"])
    assert Policy.objects.get(slug="hate").versions.in_force().get().summary == "Stricter."
    taken = paul.post(new, {**TEXT, **own})
    assert "There is a policy of this name already." in taken.content.decode()


def test_a_policy_that_is_judged_is_not_archived(world, paul):
    assert paul.post(url("archive")).status_code == 409
    world.queue.policies.set([world.other])
    assert paul.post(url("archive")).status_code == 302
    assert "archived" in paul.get(url("edit")).content.decode()
    paul.post(url("unarchive"))
    world.policy.refresh_from_db()
    assert not world.policy.is_archived


def test_a_lead_reads_policies_and_does_not_change_them(world):
    lena = client_of("lena", world)
    text = lena.get(url("edit")).content.decode()
    assert "Write a new version" not in text and "Withdraw" not in text
    assert lena.get(url("version")).status_code == 403


def test_the_page_says_what_a_new_version_means_for_models(world, paul):
    text = paul.get(url("edit")).content.decode()
    assert "A new version changes no model" in text
    assert reverse("mlhooks:model-list") in text


# Decided under an earlier version


def test_nothing_out_of_date_says_so(world, paul):
    world.decide()
    assert "Nothing is out of date" in paul.get(url("relabelling")).content.decode()


def test_it_is_counted_listed_and_filtered_in_the_url(world, paul):
    first, second = world.decide(), world.decide(slugs=())
    world.change()
    page = paul.get(url("relabelling"))
    assert [row.decision for row in page.context["rows"]] == [second, first]
    assert page.context["counts"].total == 2
    page = paul.get(url("relabelling"), {"verdict": "violating", "queue": world.queue.slug})
    assert [row.decision for row in page.context["rows"]] == [first]
    assert paul.get(url("relabelling"), {"queue": "nowhere"}).status_code == 404
    assert paul.get(url("relabelling"), {"verdict": "x", "before": "9" * 30}).status_code == 200


def test_as_csv_it_is_what_is_shown(world, paul):
    decision = world.decide()
    world.change()
    answer = paul.get(url("relabelling"), {"format": "csv"})
    head, row = list(csv.reader(io.StringIO(answer.content.decode())))
    assert dict(zip(head, row, strict=True)) == {
        "decision": str(decision.pk),
        "item": str(decision.item_id),
        "external_id": decision.item.external_id,
        "queue": world.queue.slug,
        "verdict": "violating",
        "version": "1",
        "decided_at": decision.decided_at.isoformat(),
        "open": "False",
    }


def test_asking_for_two_opens_two_and_sending_it_again_opens_no_more(world, paul):
    for _ in range(3):
        world.decide()
    world.change()
    page = paul.get(url("relabelling"))
    form = {"how": "some", "number": "2", "seed": page.context["seed"]}
    text = paul.post(url("relabelling"), form, follow=True).content.decode()
    assert "2 of 3 are asked about again" in text
    paul.post(url("relabelling"), form)
    assert Job.objects.filter(lane=Lane.SECOND, state="ready").count() == 2
    assert Relabelling.objects.get().probability == pytest.approx(2 / 3)


def test_all_of_those_filtered_are_asked(world, paul):
    for slugs in (["spam"], [], []):
        world.decide(slugs=slugs)
    world.change()
    paul.post(url("relabelling"), {"how": "all", "verdict": "clean", "queue": world.queue.slug})
    made = Relabelling.objects.get()
    assert (made.asked, made.verdict, made.queue) == (2, "clean", world.queue)


@pytest.mark.parametrize("number", ["", "0", "-1", "two", "5001", "9" * 40, "1.5"])
def test_a_number_that_is_none_is_said_beside_its_field(world, paul, number):
    world.decide()
    world.change()
    page = paul.post(url("relabelling"), {"how": "some", "number": number})
    assert page.status_code == 422 and 'id="number-wrong"' in page.content.decode()
    assert not Relabelling.objects.exists()


def test_an_auditor_reads_it_and_is_offered_no_button(world):
    world.decide()
    world.change()
    abel = client_of("abel", world)
    text = abel.get(url("relabelling")).content.decode()
    assert "Decided under an earlier version" in text and "Ask again" not in text
    assert abel.post(url("relabelling"), {"how": "all"}).status_code == 403


def test_the_page_for_everybody_leads_there_who_may(world):
    policy = reverse("reviews:policy-detail", args=["spam"])
    assert url("relabelling") in client_of("lena", world).get(policy).content.decode()
    assert url("relabelling") not in client_of("rosa", world).get(policy).content.decode()


def test_the_list_shows_what_is_in_force_and_what_is_to_come(world, paul):
    world.change()
    world.change("Third.", effective_at=timezone.now() + timedelta(days=1))
    text = paul.get(reverse("reviews:setup-policy-list")).content.decode()
    assert "version 2, since" in text and "version 3, " in text


# The API


def test_the_api_tells_every_version_and_its_state(world):
    world.change()
    world.change("Third.", effective_at=timezone.now() + timedelta(days=1))
    body = client_of("rosa", world).get(reverse("reviews_api:policies")).json()
    spam = next(one for one in body["results"] if one["slug"] == "spam")
    assert (spam["version"], spam["summary"]) == (2, "Stricter.")
    states = [(one["version"], one["state"]) for one in spam["versions"]]
    assert states == [(3, "scheduled"), (2, "in_force"), (1, "past")]


def test_the_api_tells_what_a_kind_takes(world):
    from tests.factories import make_kind

    make_kind(platform=world.platform, slug="message")
    make_kind(slug="elsewhere")
    body = client_of("rosa", world).get(reverse("reviews_api:kinds")).json()
    (kind,) = [one for one in body["results"] if one["slug"] == "message"]
    assert kind["fields"][1] == {
        "name": "body",
        "label": "Body",
        "type": "text",
        "role": "text",
        "required": True,
    }
    assert "elsewhere" not in str(body) and kind["is_archived"] is False


def test_states_are_told_as_the_database_sees_the_clock(world):
    world.change()
    states = PolicyVersion.objects.with_state().filter(policy=world.policy).order_by("number")
    assert list(states.values_list("state", flat=True)) == ["past", "in_force"]
    assert policies.versions_of(world.policy).count() == 2
