"""Near-duplicates by meaning: exact search among those that stand for themselves."""

import pytest

from mlhooks import due, neighbours
from mlhooks.models import DueNeighbour, Embedding, NearVector
from reviews import cluster_members
from reviews.models import Cluster, ClusterMember

from .test_clusters import OFFER, OTHER, Desk, parts
from .test_shingles import word

pytestmark = pytest.mark.django_db

# Two thirds of the words of OFFER: too few for MinHash, enough beside the embedding.
REWORDED = OFFER.replace("restore it confirm", "have it back type in").replace(
    "otherwise all your boards", "or else the boards"
)


@pytest.fixture
def desk():
    return Desk()


def embed(item, *vector, encoder="e1"):
    """As scoring does: the vector, and the row that says it is new."""
    version = item.current_version
    length = sum(x * x for x in vector) ** 0.5
    Embedding.objects.create(
        item_version=version, encoder=encoder, vector=[x / length for x in vector]
    )
    due.mark_neighbours([version.pk])


def test_texts_of_one_meaning_and_shared_words_find_each_other(desk):
    a, b, c = desk.send(a=OFFER, b=REWORDED, c=OTHER)
    assert parts() == []  # by their words alone they are not near enough
    embed(a, 1, 0, 0)
    embed(b, 0.98, 0.1, 0)
    embed(c, 0, 1, 0)
    assert neighbours.find_due() == 3
    assert parts() == [["a", "b"]]
    member = ClusterMember.objects.get(item=b)
    assert member.how == "embedding"
    assert member.similarity == pytest.approx(0.98 / (0.98**2 + 0.1**2) ** 0.5, abs=0.002)
    assert (DueNeighbour.objects.count(), neighbours.find_due()) == (0, 0)


def test_the_same_vector_is_not_enough_where_the_words_are_others(desk):
    """The encoder reads a text's beginning; a newsletter's is the same every day."""
    head = " ".join(word(number) for number in range(40))
    texts = [
        f"{head} " + " ".join(word(number) for number in range(n, n + 200)) for n in (100, 400)
    ]
    for item in desk.send(*texts):
        embed(item, 1, 0)
    neighbours.find_due()
    assert parts() == []


def test_who_has_joined_another_stands_for_nobody(desk):
    a, b, c = desk.send(a=OFFER, b=REWORDED, c=OFFER)
    for item in (a, b, c):
        embed(item, 1, 0)
    neighbours.find_due()
    assert parts() == [["a", "b", "c"]]
    assert NearVector.objects.get().item_version == a.current_version
    assert Cluster.objects.get().anchor_id == a.current_version.pk


def test_comparing_again_changes_nothing(desk):
    items = desk.send(a=OFFER, b=REWORDED)
    for item in items:
        embed(item, 1, 0)
    neighbours.find_due()
    before = list(ClusterMember.objects.values("item_id", "cluster_id", "how"))
    due.mark_neighbours([item.current_version.pk for item in items])
    assert neighbours.find_due() == 2
    assert list(ClusterMember.objects.values("item_id", "cluster_id", "how")) == before


def test_platforms_and_encoders_are_worlds_apart(desk):
    other = Desk()
    a, b = desk.send(a=OFFER, b=REWORDED)
    [c] = other.send(c=OFFER)
    embed(a, 1, 0)
    embed(b, 1, 0, 0, encoder="e2")
    embed(c, 1, 0)
    neighbours.find_due()
    assert parts() == []


def test_the_window_keeps_the_newest(desk, monkeypatch):
    monkeypatch.setattr(neighbours, "WINDOW", 3)
    texts = [" ".join(word(n) for n in range(at, at + 50)) for at in range(0, 500, 100)]
    for number, item in enumerate(desk.send(*texts)):
        embed(item, *[float(n == number) for n in range(5)])
        neighbours.find_due()
    assert NearVector.objects.count() == 3


def test_clusters_that_words_kept_apart_become_one(desk):
    a, b, c, d = desk.send(a=OFFER, b=OFFER, c=REWORDED, d=REWORDED)
    assert parts() == [["a", "b"], ["c", "d"]]
    for item in (a, b, c, d):
        embed(item, 1, 0)
    neighbours.find_due()
    assert parts() == [["a", "b", "c", "d"]]


def test_a_row_that_fails_stops_no_other(desk, monkeypatch):
    a, b, c = desk.send(a=OFFER, b=OTHER, c=REWORDED, hashed=False)
    for item in (a, b, c):
        embed(item, 1, 0)
    poison = b.current_version.pk
    real = cluster_members.join_pairs

    def join(pairs, **kw):
        if any(poison in pair[:2] for pair in pairs):
            raise ValueError("cannot join this")
        return real(pairs, **kw)

    monkeypatch.setattr(neighbours, "LEAST_OVERLAP", 0.0)
    monkeypatch.setattr(neighbours.cluster_members, "join_pairs", join)
    for _ in range(8):
        DueNeighbour.objects.update(due_at="2020-01-01T00:00Z")
        neighbours.find_due()
    assert not neighbours.is_any_due()
    parked = DueNeighbour.objects.filter(parked_at__isnull=False)
    assert parked.filter(item_version=poison).exists()
    assert "cannot join this" in parked.first().error
