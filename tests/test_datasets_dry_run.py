"""What a snapshot would hold, told before one is made."""

import pytest
from django.test import Client
from django.urls import reverse

from mlhooks import snapshots, tallies
from reviews.models import Cluster, ClusterMember, Lane
from reviews.models.cluster import Anchor
from reviews.tokens import create_token

from .factories import make_account, make_item, make_platform, make_policy, make_queue
from .people import make_person
from .test_snapshots import built, decide, group_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def snapshot_dir(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.adult = make_policy(platform=platform, slug="adult", name="Adult")
    platform.queue = make_queue(platform=platform, policies=[platform.spam])
    for name in ("mila", "rosa"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


def item_in(platform, split, **kw):
    return make_item(platform=platform, split_group=group_in(split), **kw)


def test_rows_are_counted_by_split_lane_language_and_label(platform):
    decide(platform, violated=["spam"], item=item_in(platform, "train", language="de"))
    decide(platform, item=item_in(platform, "train", language="en"), lane=Lane.RANDOM)
    decide(platform, item=item_in(platform, "test", language="de"))
    tally = snapshots.preview(platform)
    assert tally.splits == {"train": 2, "valid": 0, "test": 1}
    assert tally.languages["de"] == {"train": 1, "valid": 0, "test": 1}
    assert tally.by_lane["random"] == {"train": 1, "valid": 0, "test": 0}
    assert tally.labels["spam"]["train"] == {"violating": 1, "clean": 1}
    counts = built(platform).manifest["counts"]
    assert {what: sum(by.values()) for what, by in tally.languages.items()} == counts["language"]
    for split, by_label in counts["labels"]["spam"].items():
        assert tally.labels["spam"][split] == {
            word: by_label[word] for word in ("violating", "clean")
        }


def test_the_random_lane_is_worth_fewer_rows_than_it_has(platform):
    for probability in (0.5, 0.5, 0.1):  # weights 2, 2, 10
        decide(
            platform,
            item=item_in(platform, "test"),
            lane=Lane.RANDOM,
            inclusion_probability=probability,
        )
    decide(platform, item=item_in(platform, "test"))
    drawn = snapshots.preview(platform).drawn
    # (2 + 2 + 10)² / (4 + 4 + 100) = 196 / 108
    assert drawn["test"] == (3, pytest.approx(196 / 108))
    assert drawn["all"] == drawn["test"]
    assert drawn["train"] == (0, 0.0)


def test_violations_below_ten_in_a_split_are_told_of_policies_that_are_judged(platform):
    for _ in range(tallies.RARE):
        decide(platform, violated=["spam"], item=item_in(platform, "train"))
    decide(platform, violated=["spam"], item=item_in(platform, "test"))
    assert snapshots.preview(platform).rare == [("spam", "valid", 0), ("spam", "test", 1)]


def test_what_stands_in_two_splits_is_told(platform):
    one, other = item_in(platform, "train"), item_in(platform, "test")
    decide(platform, item=one)
    decide(platform, item=other)
    assert snapshots.preview_leakage(platform).is_none

    account = make_account(platform=platform)
    type(one).objects.filter(pk__in=[one.pk, other.pk]).update(account=account)
    assert snapshots.preview_leakage(platform) == (0, 1, 0, 0)

    type(one).objects.filter(pk__in=[one.pk, other.pk]).update(fingerprint="f" * 32)
    assert snapshots.preview_leakage(platform) == (0, 1, 1, 0)

    anchor = Anchor.objects.create(
        item_version=one.current_version, item=one, platform=platform, fingerprint="f", minhash=b""
    )
    cluster = Cluster.objects.create(platform=platform, anchor=anchor, size=2)
    for item in (one, other):
        ClusterMember.objects.create(
            cluster=cluster,
            item=item,
            item_version=item.current_version,
            how=ClusterMember.How.MINHASH,
            similarity=0.9,
        )
    assert snapshots.preview_leakage(platform) == (0, 1, 1, 1)


def test_copies_on_one_side_do_not_leak(platform):
    for _ in range(2):
        decide(platform, item=item_in(platform, "train", fingerprint="f" * 32))
    assert snapshots.preview_leakage(platform).is_none


def test_the_page_tells_it_before_the_button(platform):
    decide(platform, violated=["spam"], item=item_in(platform, "train", language="de"))
    browser = Client()
    browser.force_login(platform.mila)
    page = browser.get(reverse("mlhooks:snapshot-preview")).text
    assert "Rare labels" in page
    assert "Spam: 1 in train, 0 in valid, 0 in test." in page
    assert "Adult:" not in page
    assert "Clusters of near duplicates in two splits" in page


def test_a_program_asks_for_it_with_a_token_that_may_only_read(platform):
    decide(platform, violated=["spam"], item=item_in(platform, "train", language="de"))
    token = create_token("reader", platform=platform, scopes=["snapshots:read"], by=None)[1]
    caller = Client(headers={"Authorization": f"Bearer {token}"})
    told = caller.get("/api/v1/snapshots/dry-run").json()
    assert (told["rows"], told["languages"]) == (1, {"de": {"train": 1, "valid": 0, "test": 0}})
    assert told["leakage"] == {"groups": 0, "accounts": 0, "copies": 0, "clusters": 0}
    assert {"policy": "spam", "split": "test", "violating": 0} in told["rare"]
    assert told["random_lane"]["all"] == {"rows": 0, "effective": 0.0}
    assert platform.snapshots.count() == 0


def test_nothing_decided_is_nothing_told(platform):
    token = create_token("reader", platform=platform, scopes=["snapshots:read"], by=None)[1]
    told = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/snapshots/dry-run")
    assert (told.status_code, told.json()["rows"]) == (200, 0)
