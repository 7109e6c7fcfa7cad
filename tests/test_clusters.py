"""Near-duplicates find each other: idempotent, whatever the order, and never by a chain."""

import threading

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviews import cluster_members, clusters, intake
from reviews.cluster_members import Near
from reviews.models import (
    Anchor,
    AuditEntry,
    Band,
    Cluster,
    ClusterMember,
    DueHash,
    Item,
    ItemVersion,
)

from .factories import make_kind, make_platform, make_queue
from .test_shingles import OFFER, word

pytestmark = pytest.mark.django_db

OTHER = (
    "Please find the minutes of our meeting attached. We agreed to move the launch to October and "
    "asked Dora to write to the printers about the posters, the leaflets and the large banners."
)


class Desk:
    """A platform to which messages are sent by intake, and hashed."""

    def __init__(self):
        self.platform = make_platform()
        self.kind = make_kind(platform=self.platform)
        self.queue = make_queue(platform=self.platform, is_default=True)

    def send(self, *texts, hashed=True, **by_name):
        named = by_name or {f"m{Item.objects.count() + n}": text for n, text in enumerate(texts)}
        rows = [
            {"kind": self.kind.slug, "external_id": name, "content": {"body": text}}
            for name, text in named.items()
        ]
        outcomes = intake.submit_items(self.platform, rows, by=None)
        if hashed:
            clusters.hash_due()
        return [Item.objects.get(pk=outcome.item_id) for outcome in outcomes]


@pytest.fixture
def desk():
    return Desk()


def parts():
    """Clusters as sets of external ids."""
    found = {}
    for member in ClusterMember.objects.select_related("item"):
        found.setdefault(member.cluster_id, set()).add(member.item.external_id)
    return sorted(map(sorted, found.values()))


def test_items_wait_to_be_hashed_and_submitting_hashes_none(desk):
    desk.send(OFFER, OFFER, hashed=False)
    assert (DueHash.objects.count(), Anchor.objects.count()) == (2, 0)
    assert clusters.hash_due() == 2
    assert (DueHash.objects.count(), clusters.hash_due()) == (0, 0)


def test_the_same_and_nearly_the_same_text_find_each_other(desk):
    desk.send(a=OFFER.format(n=1), b=OTHER, c=OFFER.format(n=1))
    desk.send(d=OFFER.format(n=2), e=OTHER.replace("banners", "flags"))
    assert parts() == [["a", "c", "d"], ["b", "e"]]
    how = dict(ClusterMember.objects.values_list("item__external_id", "how"))
    assert (how["a"], how["c"], how["d"]) == ("exact", "exact", "minhash")
    assert set(Cluster.objects.values_list("size", flat=True)) == {3, 2}


def test_a_lone_text_is_in_no_cluster_and_short_ones_only_with_their_twins(desk):
    desk.send(a="thanks", b="thanks!", c="Thanks", d="see you")
    assert parts() == [["a", "c"]]


def test_hashing_again_changes_nothing(desk):
    items = desk.send(a=OFFER, b=OFFER, c=OTHER)
    before = list(ClusterMember.objects.order_by("pk").values("cluster_id", "item_id", "how"))
    for _ in range(2):
        clusters.mark_versions([item.current_version.pk for item in items])
        assert clusters.hash_due() == 3
    after = list(ClusterMember.objects.order_by("pk").values("cluster_id", "item_id", "how"))
    assert after == before
    assert (Anchor.objects.count(), Cluster.objects.count()) == (2, 1)


def test_copies_add_no_bands(desk):
    desk.send(OFFER)
    bands = Band.objects.count()
    desk.send(*[OFFER.format(n=number) for number in range(30)])
    assert Band.objects.count() == bands
    assert Cluster.objects.get().size == 31


def test_two_platforms_never_meet(desk):
    other = Desk()
    desk.send(OFFER)
    other.send(OFFER)
    assert parts() == []


def test_who_says_something_else_leaves_and_an_anchor_that_does_is_still_compared_with(desk):
    desk.send(a=OFFER, b=OFFER)
    desk.send(a=OTHER)
    assert parts() == [["b"]]
    desk.send(c=OFFER)
    assert parts() == [["b", "c"]]  # near the text that a once had
    desk.send(d=OTHER)
    assert parts() == [["a", "d"], ["b", "c"]]


def test_an_old_text_that_nobody_joined_is_forgotten(desk):
    desk.send(a=OFFER)
    desk.send(a=OTHER)
    assert Anchor.objects.get().item_version.number == 2
    desk.send(b=OFFER)
    assert parts() == []


def test_a_chain_of_small_changes_does_not_drift(desk):
    """Each text is near the one before; the last has nothing left of the first."""
    words = [word(number) for number in range(200)]
    chain = []
    for step in range(20):
        text = list(words)
        for at in range(step * 5):
            text[at] = word(at + 500)
        chain.append(" ".join(text))
    desk.send(*chain)
    for member in ClusterMember.objects.select_related("cluster__anchor__item_version", "item"):
        one = member.cluster.anchor.item_version.content["body"].split()
        other = member.item.current_version.content["body"].split()
        assert sum(a != b for a, b in zip(one, other, strict=True)) <= 25
    assert Cluster.objects.count() > 1


def test_a_row_that_cannot_be_hashed_stops_no_other(desk, monkeypatch):
    real = clusters.shingles.signature

    def poisoned(text):
        if "poison" in text:
            raise ValueError("cannot read this")
        return real(text)

    monkeypatch.setattr(clusters.shingles, "signature", poisoned)
    desk.send(a=OFFER, b="poison " * 10, c=OFFER)
    for _ in range(6):
        DueHash.objects.update(due_at="2020-01-01T00:00Z")
        clusters.hash_due()
    assert parts() == [["a", "c"]]
    parked = DueHash.objects.get()
    assert parked.parked_at is not None and "cannot read this" in parked.error
    assert not clusters.is_any_due()


def test_a_version_that_was_replaced_before_is_passed_over(desk):
    desk.send(a=OFFER, hashed=False)
    desk.send(a=OTHER, hashed=False)
    assert clusters.hash_due() == 2
    assert Anchor.objects.get().item_version.number == 2


@pytest.mark.django_db(transaction=True)
def test_copies_hashed_at_the_same_moment_are_one_cluster():
    desk = Desk()
    for _ in range(8):
        desk.send(*[OFFER.format(n=number) for number in range(5)], hashed=False)

    def work():
        try:
            while clusters.hash_due(limit=3):
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (DueHash.objects.count(), Cluster.objects.get().size) == (0, 40)


# join(): what others found near


def versions(desk, count):
    texts = [f"a text of its own, number {word(n)}" for n in range(count)]
    items = desk.send(*texts, hashed=False)
    DueHash.objects.all().delete()
    return [ItemVersion.objects.get(item=item).pk for item in items]


def join(desk, pairs, measure, near=0.9):
    return cluster_members.join_pairs(
        pairs, platform=desk.platform, how="embedding", near=near, measure=measure
    )


def alike(groups):
    """Measure: 1 within a group, 0 between."""

    def measure(anchor, version_ids):
        return {pk: float(groups[pk] == groups[anchor]) for pk in version_ids}

    return measure


def groups_found():
    found = {}
    for member in ClusterMember.objects.all():
        found.setdefault(member.cluster_id, set()).add(member.item_version_id)
    return {frozenset(some) for some in found.values()}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_equal_texts_end_in_one_cluster_in_any_order_of_their_pairs(desk, data):
    """With a likeness that is an equivalence the clusters are the connected parts."""
    with transaction.atomic():
        ids = versions(desk, 8)
        kinds = data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8))
        group_of = dict(zip(ids, kinds, strict=True))
        possible = [(a, b) for a in ids for b in ids if a < b and group_of[a] == group_of[b]]
        pairs = data.draw(st.lists(st.sampled_from(possible), max_size=12)) if possible else []
        batches = data.draw(st.integers(1, 4))
        for start in range(batches):
            join(desk, [Near(a, b, 1.0) for a, b in pairs[start::batches]], alike(group_of))
        assert groups_found() == connected(pairs)
        assert all(c.size == c.members.count() for c in Cluster.objects.all())
        before = list(ClusterMember.objects.values_list("item_id", "cluster_id"))
        assert join(desk, [Near(b, a, 1.0) for a, b in pairs], alike(group_of)) == 0
        assert list(ClusterMember.objects.values_list("item_id", "cluster_id")) == before
        transaction.set_rollback(True)


def connected(pairs):
    parent = {}

    def root(one):
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    for one, other in pairs:
        parent[root(one)] = root(other)
    found = {}
    for one in list(parent):
        found.setdefault(root(one), set()).add(one)
    return {frozenset(some) for some in found.values()}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(places=st.lists(st.integers(0, 40), min_size=2, max_size=10))
def test_everybody_in_a_cluster_is_near_its_anchor(desk, places):
    """Points on a line, a step of 1 costing 0.03: neighbours chain, members must not."""
    with transaction.atomic():
        ids = versions(desk, len(places))
        place = dict(zip(ids, places, strict=True))

        def near(one, other):
            return max(1 - 0.03 * abs(place[one] - place[other]), 0.0)

        pairs = [Near(a, b, near(a, b)) for a in ids for b in ids if a < b and near(a, b) >= 0.9]
        join(desk, pairs, lambda anchor, some: {pk: near(anchor, pk) for pk in some})
        for member in ClusterMember.objects.select_related("cluster"):
            assert near(member.cluster.anchor_id, member.item_version_id) >= 0.9
        items = [member.item_id for member in ClusterMember.objects.all()]
        assert len(items) == len(set(items))
        transaction.set_rollback(True)


def test_two_clusters_become_the_older_one_and_the_audit_says_so(desk):
    a, b, c, d = versions(desk, 4)
    same = alike(dict.fromkeys((a, b, c, d), 1))
    join(desk, [Near(a, b, 1.0)], same)
    join(desk, [Near(c, d, 1.0)], same)
    first, second = Cluster.objects.order_by("pk")
    assert join(desk, [Near(b, d, 0.95)], same) == 2
    assert Cluster.objects.get() == first and first.members.count() == 4
    entry = AuditEntry.objects.get(verb="cluster.merge")
    assert (entry.actor, entry.data) == (None, {"merged": second.pk, "members": 2})


def test_clusters_stay_apart_where_one_member_is_too_far(desk):
    a, b, c, d = versions(desk, 4)
    join(desk, [Near(a, b, 1.0)], alike({a: 1, b: 1}))
    join(desk, [Near(c, d, 1.0)], alike({c: 1, d: 1}))
    near = {(a, c): 0.95, (a, d): 0.5}
    measured = lambda anchor, some: {pk: near[anchor, pk] for pk in some}  # noqa: E731
    assert join(desk, [Near(a, c, 0.95)], measured) == 0
    assert Cluster.objects.count() == 2


def test_pairs_below_the_bar_or_of_gone_texts_do_nothing(desk):
    a, b, c = versions(desk, 3)
    same = alike({a: 1, b: 1, c: 1})
    assert join(desk, [Near(a, b, 0.89), Near(a, a, 1.0), Near(a, 10**9, 1.0)], same) == 0
    item = ItemVersion.objects.get(pk=c).item
    desk.send(**{item.external_id: OTHER}, hashed=False)
    assert join(desk, [Near(a, c, 1.0)], same) == 0


def test_an_item_that_the_embedding_placed_keeps_its_place_when_it_is_hashed(desk):
    one, other = desk.send(a=OFFER, b=OTHER, hashed=False)
    pks = [one.current_version.pk, other.current_version.pk]
    join(desk, [Near(*pks, 0.97)], alike(dict.fromkeys(pks, 1)))
    clusters.hash_due()
    assert parts() == [["a", "b"]]
    desk.send(c=OTHER, d=OFFER)  # word for word what b and a say
    assert parts() == [["a", "b", "c", "d"]]
    member = ClusterMember.objects.get(item__external_id="c")
    assert (member.how, member.similarity) == ("exact", 0.97)


def test_items_from_before_are_marked_by_a_command_and_then_found(desk, capsys):
    desk.send(a=OFFER, b=OFFER, hashed=False)
    DueHash.objects.all().delete()  # as if they had come before there was such a row
    other = Desk()
    other.send(c=OTHER, hashed=False)
    DueHash.objects.all().delete()
    for _ in range(2):
        call_command("hash_items", platform=desk.platform.slug)
    assert "2 items are due" in capsys.readouterr().out
    assert clusters.hash_due() == 2
    assert parts() == [["a", "b"]]
    call_command("hash_items")
    assert DueHash.objects.count() == 3
