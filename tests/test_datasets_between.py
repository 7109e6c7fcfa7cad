"""What changed between two snapshots, and why a row is in one."""

import hashlib

import pytest
from django.test import Client
from django.urls import reverse

from mlhooks import differences, origins, snapshots, withdrawals
from reviews import audit, claims, decisions, erasure
from reviews.errors import Conflict
from reviews.models import Decision, Lane
from reviews.tokens import create_token

from .factories import (
    claimed_job,
    make_account,
    make_draw,
    make_item,
    make_platform,
    make_policy,
    make_queue,
)
from .people import make_person
from .test_datasets import answered_twice
from .test_snapshots import built, decide, rows_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def snapshot_dir(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"


@pytest.fixture
def platform():
    platform = make_platform(slug="mail", name="Mail")
    platform.spam = make_policy(platform=platform, slug="spam", name="Spam")
    platform.scam = make_policy(platform=platform, slug="scam", name="Scam")
    platform.queue = make_queue(platform=platform, policies=[platform.spam, platform.scam])
    for name in ("mila", "rosa", "remy", "lena", "ada"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


def changes(found) -> dict:
    return {
        (one.what, one.policy, one.label, one.reason): (one.group, one.people, one.rows)
        for one in found.changes
    }


def again(platform, decision, *, violated=(), by, lane):
    """Another answer to the text of a settled decision, which supersedes it."""
    job = claimed_job(by, queue=platform.queue, item=decision.item, lane=lane)
    return decide(platform, violated=violated, by=by, job=job)


def test_new_rows_are_added_by_policy(platform):
    decide(platform)
    older = built(platform)
    decide(platform, violated=["spam"])
    decide(platform, by=platform.remy)
    newer = built(platform)
    found = differences.between(newer, older)  # either way
    assert (found.older, found.newer) == (older, newer)
    assert (found.added, found.flipped, found.gone) == (2, 0, {})
    assert changes(found) == {
        ("added", "spam", 1, "first answer"): ("reviewer", 1, 1),
        ("added", "spam", 0, "first answer"): ("reviewer", 1, 1),
        ("added", "scam", 0, "first answer"): ("reviewer", 2, 2),
    }


def test_an_override_flips_the_labels_it_changes(platform):
    first = decide(platform, violated=["spam"])
    older = built(platform)
    override = decisions.override(
        first, by=platform.lena, verdict="violating", policy_slugs=["scam"], note="A password."
    )
    found = differences.between(older, built(platform))
    assert (found.added, found.flipped) == (0, 1)
    assert changes(found) == {
        ("flipped", "spam", 0, "override"): ("lead", 1, 1),
        ("flipped", "scam", 1, "override"): ("lead", 1, 1),
    }
    assert {(one.decision_id, one.policy, one.label) for one in found.flips} == {
        (override.pk, "spam", 0),
        (override.pk, "scam", 1),
    }


def test_a_flip_on_appeal_is_told_as_one(platform):
    first = decide(platform, violated=["spam"])
    older = built(platform)
    again(platform, first, by=platform.remy, lane=Lane.APPEAL)
    found = differences.between(older, built(platform))
    assert list(changes(found)) == [("flipped", "spam", 0, "appeal")]


def test_a_flip_by_a_new_text_of_the_policy_is_told_as_one(platform):
    first = decide(platform, violated=["spam"])
    older = built(platform)
    version = platform.spam.versions.get()
    version.pk, version.number = None, 2
    version._state.adding = True
    version.save()
    again(platform, first, by=platform.remy, lane=Lane.RISK)
    (flip,) = differences.between(older, built(platform)).flips
    assert (flip.reason, flip.version_before, flip.version) == ("policy version", 1, 2)


def test_a_lead_who_settles_after_a_check_flips_by_adjudication(platform):
    first = decide(platform, violated=["spam"])
    older = built(platform)
    platform.queue.members.add(platform.remy, platform.lena)
    check = claimed_job(platform.remy, queue=platform.queue, item=first.item, lane=Lane.QA)
    decide(platform, by=platform.remy, job=check)
    decide(platform, by=platform.lena, job=claims.claim_next(platform.queue, by=platform.lena))
    found = differences.between(older, built(platform))
    assert changes(found) == {("flipped", "spam", 0, "adjudication"): ("lead", 1, 1)}


def test_an_undone_decision_is_gone(platform):
    decide(platform, by=platform.remy)
    first = decide(platform, violated=["spam"])
    older = built(platform)
    decisions.undo(first, by=platform.rosa)
    found = differences.between(older, built(platform))
    assert (found.added, found.flipped, found.gone) == (0, 0, {"undone": 1})


def test_what_was_erased_is_told_between_a_withdrawn_snapshot_and_what_took_its_place(platform):
    decide(platform, by=platform.remy)
    first = decide(platform, violated=["spam"])
    older = built(platform)
    erasure.erase_item(first.item, by=platform.ada, reason="The author asked.")
    audit.seal()
    withdrawals.sweep()
    older.refresh_from_db()
    snapshots.build(older.replaced_by.pk)
    older.replaced_by.refresh_from_db()
    found = differences.between(older, older.replaced_by)
    assert (found.added, found.flipped, found.erased) == (0, 0, 1)
    later = built(platform)
    assert differences.between(older.replaced_by, later).gone == {}


@pytest.mark.parametrize("seed", range(3))
def test_it_tells_what_the_files_differ_by(platform, seed):
    """Against the files themselves, joined by the item's version."""
    first = [decide(platform, violated=["spam"] if n % 2 else []) for n in range(6)]
    older = built(platform)
    decisions.override(first[seed], by=platform.lena, verdict="clean", note="Checked it.")
    decisions.undo(first[5], by=platform.rosa)
    again(platform, first[4], violated=["scam"], by=platform.remy, lane=Lane.RISK)
    decide(platform, violated=["scam"], by=platform.remy)
    newer = built(platform)

    found = differences.between(older, newer)

    before, after = (
        {row["item_version_id"]: row for row in rows_of(one)} for one in (older, newer)
    )
    flipped = [
        (row["decision_id"], slug, row[f"label_{slug}"])
        for key, row in after.items()
        for slug in ("spam", "scam")
        if key in before and before[key][f"label_{slug}"] != row[f"label_{slug}"]
    ]
    assert found.added == len(after.keys() - before.keys())
    assert sum(found.gone.values()) == len(before.keys() - after.keys()) == 1
    assert sorted((one.decision_id, one.policy, one.label) for one in found.flips) == sorted(
        flipped
    )


def test_two_snapshots_that_are_not_built_cannot_be_compared(platform):
    decide(platform)
    one, other = built(platform), snapshots.create_snapshot(platform, by=None)
    with pytest.raises(Conflict, match="not built"):
        differences.between(one, other)


# Why a row is there


def explained(decision) -> origins.Origin:
    return origins.explain(origins.decisions().get(pk=decision.pk))


def test_a_row_tells_its_draw_its_split_and_its_snapshots(platform):
    account = make_account(platform=platform)
    draw = make_draw(queue=platform.queue, probability=0.25, seed=7, pool_size=40)
    item = make_item(platform=platform, account=account, split_group=account.split_group)
    make_item(platform=platform, account=account, split_group=account.split_group)
    decision = decide(
        platform,
        violated=["spam"],
        item=item,
        lane=Lane.RANDOM,
        draw=draw,
        inclusion_probability=0.25,
    )
    snapshot = built(platform)
    (row,) = rows_of(snapshot)

    found = explained(decision)

    assert (found.lane, found.draw, found.probability, found.weight) == ("random", draw, 0.25, 4)
    assert found.label == {"spam": True, "scam": False}
    split = found.split
    assert (split.name, split.group, split.items) == (row["split"], item.split_group, 2)
    assert split.is_authors
    digest = hashlib.sha256(item.split_group.encode()).hexdigest()
    assert (split.digest, split.bucket) == (digest[:8], int(digest[:8], 16) % 100)
    assert [(one.snapshot, one.state) for one in found.snapshots] == [(snapshot, "held")]
    (answer,) = found.answers
    assert (answer.rater, answer.findings) == (
        row["reviews"][0]["rater"],
        [("spam", 1, True), ("scam", 1, False)],
    )


def test_it_says_of_a_row_what_the_file_says(platform):
    """By the same rules as the export, for each sort of row there is."""
    decide(platform, violated=["spam"])
    draw = make_draw(queue=platform.queue, probability=0.5)
    answered_twice(platform, [], [], lane=Lane.RANDOM, draw=draw, inclusion_probability=0.5)
    answered_twice(platform, ["spam"], ["spam"])
    platform.queue.reviews_wanted = 1
    platform.queue.save()
    undone = decide(platform, violated=["spam"])
    decide(platform, job=decisions.undo(undone, by=platform.rosa))
    first = decide(platform, violated=["spam"])
    decisions.override(first, by=platform.lena, verdict="clean", note="Checked it.")
    rows = rows_of(built(platform))
    assert len(rows) == 5
    for row in rows:
        found = origins.as_json(explained(Decision.objects.get(pk=row["decision_id"])))
        for name in ("lane", "decided_lane", "inclusion_probability", "weight"):
            assert found[name] == row[name], name
        assert found["labels"] == {slug: row[f"label_{slug}"] for slug in ("spam", "scam")}
        assert (found["draw"] or {}).get("id") == row["draw_id"]
        assert found["split"]["name"] == row["split"]
        assert [(one["rater"], one["verdict"], one["lane"]) for one in found["answers"]] == [
            (one["rater"], one["verdict"], one["lane"]) for one in row["reviews"]
        ]


def test_a_label_ends_where_another_decision_speaks_of_the_same_text(platform):
    first = decide(platform, violated=["spam"])
    early = built(platform)
    override = decisions.override(first, by=platform.lena, verdict="clean", note="Checked it.")
    late = built(platform)
    assert [one.snapshot for one in explained(first).snapshots] == [early]
    assert explained(first).replaced_by == override
    assert [one.snapshot for one in explained(override).snapshots] == [late]


def test_an_erased_row_was_held_only_by_what_was_withdrawn_for_it(platform):
    decide(platform, by=platform.remy)
    first = decide(platform, violated=["spam"])
    held = built(platform)
    erasure.erase_item(first.item, by=platform.ada, reason="The author asked.")
    audit.seal()
    withdrawals.sweep()
    built(platform)
    found = explained(first)
    assert found.is_erased
    assert [(one.snapshot, one.state) for one in found.snapshots] == [(held, "withdrawn")]
    assert len(explained(Decision.objects.exclude(pk=first.pk).get()).snapshots) == 3


# Pages and API


@pytest.fixture
def browser(platform):
    browser = Client()
    browser.force_login(platform.mila)
    return browser


@pytest.fixture
def caller(platform):
    token = create_token("reader", platform=platform, scopes=["snapshots:read"], by=None)[1]
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def pair(platform):
    first = decide(platform, violated=["spam"])
    older = built(platform, note="before")
    override = decisions.override(first, by=platform.lena, verdict="clean", note="Checked it.")
    return older, built(platform), override


def test_the_page_compares_with_the_one_before_or_the_one_chosen(pair, browser):
    older, newer, override = pair
    page = browser.get(reverse("mlhooks:snapshot-difference", args=[newer.pk])).text
    assert "From snapshot 1 to 2" in page
    assert reverse("mlhooks:snapshot-row", args=[override.pk]) in page
    turned = browser.get(
        reverse("mlhooks:snapshot-difference", args=[older.pk]), {"with": newer.number}
    ).text
    assert "From snapshot 1 to 2" in turned
    snapshot = browser.get(reverse("mlhooks:snapshot-detail", args=[newer.pk])).text
    assert reverse("mlhooks:snapshot-difference", args=[newer.pk]) in snapshot


def test_a_single_snapshot_has_nothing_to_be_compared_with(platform, browser):
    decide(platform)
    page = browser.get(reverse("mlhooks:snapshot-difference", args=[built(platform).pk]))
    assert "Nothing to compare with" in page.text


def test_the_page_of_a_row_is_found_from_the_item_and_by_its_number(pair, browser):
    _, newer, override = pair
    url = reverse("mlhooks:snapshot-row", args=[override.pk])
    page = browser.get(url).text
    assert "Why is this row here?" in page
    assert reverse("mlhooks:snapshot-detail", args=[newer.pk]) in page
    assert "rosa" not in page  # by pseudonym
    search = browser.get(reverse("mlhooks:snapshot-row-search"), {"decision": override.pk})
    assert search["Location"] == url
    item = browser.get(reverse("reviews:item-detail", args=[override.item_id])).text
    assert url in item


@pytest.mark.parametrize("given", ["", "x", "-1", "9" * 30, "²"])
def test_what_is_no_number_finds_no_row(browser, given):
    found = browser.get(reverse("mlhooks:snapshot-row-search"), {"decision": given})
    assert found.status_code == 422


def test_a_reviewer_is_not_led_from_an_item_to_its_row(pair, platform):
    browser = Client()
    browser.force_login(platform.rosa)
    item = browser.get(reverse("reviews:item-detail", args=[pair[2].item_id])).text
    assert "/snapshots/rows/" not in item


def test_programs_ask_for_both(pair, caller):
    _, _, override = pair
    told = caller.get("/api/v1/snapshots/2/diff/1").json()
    assert (told["older"], told["newer"], told["flipped"], told["erased"]) == (1, 2, 1, 0)
    assert told["flips"][0]["reason"] == "override"
    row = caller.get(f"/api/v1/snapshots/rows/{override.pk}").json()
    assert (row["labels"], row["snapshots"]) == (
        {"spam": 0, "scam": 0},
        [{"number": 2, "state": "held"}],
    )
    assert caller.get("/api/v1/snapshots/2/diff/9").status_code == 404
    assert caller.get("/api/v1/snapshots/rows/999999").status_code == 404


def test_nobody_is_told_of_another_platforms_rows(pair):
    other = make_platform()
    token = create_token("other", platform=other, scopes=["snapshots:read"], by=None)[1]
    stranger = Client(headers={"Authorization": f"Bearer {token}"})
    assert stranger.get(f"/api/v1/snapshots/rows/{pair[2].pk}").status_code == 404
    assert stranger.get("/api/v1/snapshots/2/diff/1").status_code == 404
