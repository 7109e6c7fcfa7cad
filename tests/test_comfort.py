"""How content arrives for one person: her own settings go before her queue's, and are hers only."""

import pytest
from django.test import Client
from django.urls import reverse

from reviews import access, comfort, revisions
from reviews.errors import Invalid, NotFound
from reviews.models import AuditEntry, Person, Wellbeing

from .factories import claimed_job
from .people import make_person

pytestmark = pytest.mark.django_db

URL = reverse("reviews:own-filters")


def save(person, *, reveal="click", strength="", **filters):
    return comfort.save_filters(
        person, by=person, filters=filters, reveal=reveal, strength=strength
    )


def test_without_settings_content_arrives_as_the_queue_says():
    rosa = make_person("rosa")
    assert comfort.arrives(rosa, ["mute", "blur"]) == ["blur", "mute"]
    assert comfort.arrives(rosa, []) == []


def test_her_own_filters_go_before_the_queues():
    rosa = make_person("rosa")
    save(rosa, blur="on", greyscale="off", mute="")
    assert comfort.arrives(rosa, ["greyscale", "mute"]) == ["blur", "mute"]
    assert comfort.arrives(make_person("remy"), ["greyscale", "mute"]) == ["greyscale", "mute"]


def test_they_are_there_again_tomorrow():
    rosa = make_person("rosa")
    save(rosa, blur="on", reveal="hold", strength="3")
    own = comfort.own(Person.objects.get(pk=rosa.pk))
    assert (own.filters, own.reveal, own.strength) == ({"blur": "on"}, "hold", 3)


def test_a_request_reads_them_together_with_the_person(django_assert_num_queries):
    rosa = make_person("rosa")
    save(rosa, blur="on")
    access.read_person(rosa.pk)  # planned
    with django_assert_num_queries(1):
        assert comfort.own(access.read_person(rosa.pk)).filters == {"blur": "on"}


def test_nobody_sets_them_for_another():
    rosa, lena, ada = make_person("rosa"), make_person("lena"), make_person("ada")
    for other in (lena, ada):
        with pytest.raises(NotFound):
            comfort.save_filters(rosa, by=other, filters={}, reveal="click", strength="")
    assert not Wellbeing.objects.exists()


def test_the_trail_says_neither_which_nor_to_what():
    rosa = make_person("rosa")
    save(rosa, blur="on", strength="3")
    entry = AuditEntry.objects.get(verb="wellbeing.save")
    assert (entry.actor, entry.data) == (rosa, {})
    assert not revisions.history(rosa).exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"filters": {"blur": "perhaps"}}, "filter_blur"),
        ({"filters": {"smell": "on"}}, "filter_smell"),
        ({"reveal": "wink"}, "reveal"),
        ({"strength": "9"}, "strength"),
        ({"strength": "much"}, "strength"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(wrong, field):
    rosa = make_person("rosa")
    with pytest.raises(Invalid) as refused:
        comfort.save_filters(
            rosa, by=rosa, **{"filters": {}, "reveal": "click", "strength": "", **wrong}
        )
    assert field in refused.value.details
    assert not Wellbeing.objects.exists()


def test_the_page_saves_and_keeps_what_was_wrong_as_typed():
    rosa = make_person("rosa")
    client = Client()
    client.force_login(rosa)
    refused = client.post(URL, {"filter_blur": "on", "reveal": "wink"})
    assert refused.status_code == 422
    assert 'name="filter_blur" value="on" checked' in refused.content.decode()
    form = {"filter_blur": "on", "filter_greyscale": "", "reveal": "hold", "strength": "3"}
    assert client.post(URL, form).status_code == 302
    page = client.get(URL).content.decode()
    assert 'data-blur="3" data-reveal="hold"' in page
    assert 'name="filter_blur" value="on" checked' in page


def test_the_desk_and_the_item_page_say_how_content_arrives():
    rosa = make_person("rosa")
    job = claimed_job(rosa)
    job.queue.filters = ["greyscale"]
    job.queue.save()
    save(rosa, blur="on")
    client = Client()
    client.force_login(rosa)
    for url in (
        reverse("reviews:review", args=[job.queue.slug]),
        reverse("reviews:item-detail", args=[job.item_id]),
    ):
        page = client.get(url)
        assert page.context["filters"] == "blur greyscale"
        assert 'data-key="b"' in page.content.decode()
