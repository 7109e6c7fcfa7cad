"""What was decided about items like the one she holds: nearest first, over their copies, and
nothing of it where she judges without the model or without earlier answers."""

import pytest
from django.urls import reverse

from mlhooks import similar
from mlhooks.models import Embedding, NearVector
from reviews import clusters
from reviews.models import Item
from tests.test_evidence import HTMX, World

pytestmark = pytest.mark.django_db


def embed(item, *vector, stands=True):
    """As scoring and neighbours.py leave it: a vector, and a place among those compared with."""
    length = sum(x * x for x in vector) ** 0.5
    vector = [x / length for x in vector]
    version = item.current_version
    Embedding.objects.create(item_version=version, encoder="e1", vector=vector)
    if stands:
        NearVector.objects.create(
            item_version=version, platform_id=item.platform_id, encoder="e1", vector=vector
        )
    return item


@pytest.fixture
def world():
    world = World()
    embed(world.item, 1, 0, 0)
    return world


def ask(world, name="rosa", headers=HTMX):
    world.hold(name)
    return world.client(name).get(
        reverse("mlhooks:job-similar", args=[world.job.pk]), headers=headers
    )


def lines(world):
    return [line for _one, line in ask(world).context["similar"]]


def test_the_nearest_decided_items_come_first_and_the_far_ones_not_at_all(world):
    world.decide(embed(world.add("near"), 0.9, 0.4, 0))
    world.decide(embed(world.add("nearer"), 0.99, 0.1, 0), "clean")
    world.decide(embed(world.add("far"), 0, 1, 0))
    embed(world.add("not decided"), 1, 0, 0)
    assert lines(world) == ["nearer", "near"]
    steps = [one.step for one, _line in ask(world).context["similar"]]
    assert steps == ["same", "very"]
    text = ask(world).content.decode()
    assert "Nearly the same" in text and "Spam" in text and "by 1 person" in text


def test_copies_are_counted_with_the_text_they_stand_behind(world):
    copies = [world.add("a copy") for _ in range(3)]
    clusters.mark_versions([item.current_version.pk for item in copies])
    Item.objects.filter(pk__in=[item.pk for item in copies]).update(fingerprint="same")
    clusters.hash_due()
    embed(copies[0], 0.9, 0.4, 0)
    world.decide(copies[0], name="remy")
    world.decide(copies[1], name="lena")
    world.decide(copies[2], "clean", name="lena")
    (found,) = similar.decided_like(world.item, by=world.people["rosa"])
    assert (found.violating, found.clean, found.people) == (2, 1, 2)


def test_its_own_copies_count_as_nearly_the_same(world):
    copy = world.add("the one she holds")
    clusters.mark_versions([copy.current_version.pk, world.item.current_version.pk])
    Item.objects.update(fingerprint="same")
    clusters.hash_due()
    world.decide(copy)
    (found,) = similar.decided_like(world.item, by=world.people["rosa"])
    assert (found.item_id, found.step) == (copy.pk, "same")


def test_an_item_that_waits_for_a_blind_review_of_hers_is_left_out(world):
    from tests.factories import make_job

    asked = embed(world.add("asked again"), 1, 0.1, 0)
    world.decide(asked)
    make_job(queue=world.queue, item=asked, lane="gold", rank=-1)
    assert lines(world) == []


@pytest.mark.parametrize("hidden", ["score", "history"])
def test_it_is_not_told_to_whoever_judges_without_it(hidden):
    world = World(blind=[hidden])
    embed(world.item, 1, 0, 0)
    world.decide(embed(world.add("near"), 1, 0.1, 0))
    assert ask(world).context["similar"] == []


def test_an_item_without_a_vector_has_nothing_like_it():
    assert ask(World()).context["similar"] == []


def test_who_does_not_hold_the_job_is_told_nothing(world):
    world.hold()
    url = reverse("mlhooks:job-similar", args=[world.job.pk])
    assert world.client("remy").get(url).status_code == 409
    assert world.client("remy").get(url, headers=HTMX).status_code == 204
    assert world.client().post(url).status_code == 405
