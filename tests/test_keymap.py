"""A person's own keys: what may be one, who may set them, what is done with them."""

import json

import pytest
from django.urls import reverse

from reviews import keymap
from reviews.errors import Forbidden, Invalid
from reviews.models import AuditEntry, Person
from tests.test_pages_all import World

pytestmark = pytest.mark.django_db
URL = reverse("reviews:own-keys")


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rosa(world):
    return world.people["rosa"]


def kept(person):
    return Person.objects.get(pk=person.pk).keys


def test_a_person_gives_a_command_and_an_action_keys_of_her_own(world, rosa):
    own = {"s": "K", f"action:{world.remove.slug}": "d", "n": ""}
    keymap.save_keys(rosa, by=rosa, own=own)
    assert kept(rosa) == {"own": {"s": "k", f"action:{world.remove.slug}": "d"}}
    assert AuditEntry.objects.filter(verb="person.keys").count() == 1


def test_nobody_sets_another_persons_keys(world, rosa):
    with pytest.raises(Forbidden):
        keymap.save_keys(rosa, by=world.people["lena"], own={"s": "k"})


@pytest.mark.parametrize("key", ["?", "/", "F1", "\x07"])
def test_what_cannot_be_a_key_is_refused_beside_its_line(rosa, key):
    with pytest.raises(Invalid) as refusal:
        keymap.save_keys(rosa, by=rosa, own={"s": key})
    assert set(refusal.value.details) == {"s"}
    assert kept(rosa) is None


@pytest.mark.parametrize("taken", ["a", "1", "r"])
def test_a_key_that_means_something_else_on_a_desk_of_hers_is_refused(world, rosa, taken):
    with pytest.raises(Invalid) as refusal:
        keymap.save_keys(rosa, by=rosa, own={"s": taken})
    assert "has this key" in refusal.value.details["s"]


def test_two_things_may_change_places(rosa):
    keymap.save_keys(rosa, by=rosa, own={"s": "a", "a": "s"})
    assert kept(rosa) == {"own": {"s": "a", "a": "s"}}


def test_one_key_is_not_given_twice(rosa):
    with pytest.raises(Invalid) as refusal:
        keymap.save_keys(rosa, by=rosa, own={"s": "k", "a": "k"})
    assert len(refusal.value.details) == 1


def test_what_is_on_no_desk_of_hers_has_no_key(rosa):
    with pytest.raises(Invalid):
        keymap.save_keys(rosa, by=rosa, own={"action:launch": "k"})


def test_the_page_lists_the_desk_and_what_her_queues_offer(world, rosa):
    text = world.client("rosa").get(URL).content.decode()
    assert "Skip" in text and world.policy.name in text and world.remove.name in text


def test_a_refused_page_keeps_what_was_typed_and_says_it_beside_the_line(world, rosa):
    answer = world.client("rosa").post(URL, {"key:s": "a", "key:n": "k"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="wrong-s"' in text and 'name="key:n" value="K"' in text
    assert kept(rosa) is None


def test_saved_keys_go_out_with_every_page_and_back_to_usual(world, rosa):
    client = world.client("rosa")
    assert client.post(URL, {"key:s": "k", "off": "1"}).status_code == 302
    page = client.get(URL)
    assert json.loads(page.context["user"].keys_as_json) == {"own": {"s": "k"}, "off": True}
    assert "data-own-keys" in client.get("/").content.decode()
    client.post(URL, {"key:s": "k", "reset": "1"})
    assert kept(rosa) is None
    assert "data-own-keys" not in client.get("/").content.decode()
