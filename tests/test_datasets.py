"""What a label row says of how it came about: its answers, how they were put together, its draw."""

import json

import pytest

from mlhooks import labels, snapshot_files, snapshots
from reviews import claims, decisions
from reviews.models import Draw, Item, Lane

from .factories import claimed_job, make_draw, make_item, make_platform, make_policy, make_queue
from .people import make_person
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
    for name in ("mila", "rosa", "remy", "lena"):
        setattr(platform, name, make_person(name, platform=platform))
    return platform


def answered_twice(platform, first, second, **job_values):
    """An item that rosa and remy answer independently: each a list of policies violated."""
    platform.queue.reviews_wanted = 2
    platform.queue.save()
    platform.queue.members.add(platform.remy)
    item = make_item(platform=platform)
    decide(platform, violated=first, item=item, **job_values)
    decide(
        platform,
        violated=second,
        by=platform.remy,
        job=claims.claim_next(platform.queue, by=platform.remy),
    )
    return item


def test_one_answer_is_single_and_has_no_posterior(platform):
    make_policy(platform=platform, slug="adult", name="Adult")
    decide(platform, violated=["spam"])
    (row,) = rows_of(built(platform))
    assert [row[f"{name}_spam"] for name in ("aggregator", "posterior", "answers", "yes")] == [
        "single",
        None,
        1,
        1,
    ]
    assert (row["answers_scam"], row["yes_scam"]) == (1, 0)
    assert [row[f"{name}_adult"] for name in ("aggregator", "answers", "yes")] == [None] * 3


def test_two_answers_have_the_posterior_of_the_model(platform):
    answered_twice(platform, ["spam"], ["spam"])
    answered_twice(platform, [], [])

    snapshot = built(platform)
    first, second = rows_of(snapshot)

    assert (first["aggregator_spam"], first["answers_spam"], first["yes_spam"]) == (
        "dawid-skene",
        2,
        2,
    )
    raters = json.loads(snapshots.get_file(snapshot, "raters.json")[0].read_text())
    spam = raters["spam"]
    assert spam["items"] == 2
    assert set(spam["raters"]) == {
        labels.pseudonym(one.pk, platform_id=platform.pk) for one in (platform.rosa, platform.remy)
    }
    assert "raters" not in snapshot.manifest["aggregation"]["spam"]
    # By hand from what the file says: prior odds times the two raters' likelihood ratios.
    odds = spam["prevalence"] / (1 - spam["prevalence"])
    for rater in spam["raters"].values():
        odds *= rater["sensitivity"] / (1 - rater["specificity"])
    assert first["posterior_spam"] == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert first["posterior_spam"] > 0.9 > 0.1 > second["posterior_spam"]
    assert first["posterior_scam"] < 0.1


def test_a_lead_who_settles_a_disagreement_is_its_own_aggregator(platform):
    answered_twice(platform, ["spam"], [])
    platform.queue.members.add(platform.lena)
    decide(
        platform,
        violated=["spam"],
        by=platform.lena,
        job=claims.claim_next(platform.queue, by=platform.lena),
    )
    (row,) = rows_of(built(platform))
    assert (row["aggregator_spam"], row["posterior_spam"]) == ("adjudicated", 1.0)
    assert (row["answers_spam"], row["yes_spam"]) == (2, 1)
    assert [one["lane"] for one in row["reviews"]] == ["risk", "second", "adjudication"]


def test_an_override_says_so(platform):
    first = decide(platform, violated=["spam"])
    decisions.override(first, by=platform.lena, verdict="clean", note="A newsletter she wanted.")
    (row,) = rows_of(built(platform))
    assert (row["label_spam"], row["aggregator_spam"], row["posterior_spam"]) == (0, "override", 0)


def test_an_appeal_says_so(platform):
    decide(platform, lane=Lane.APPEAL)
    (row,) = rows_of(built(platform))
    assert (row["aggregator_spam"], row["posterior_spam"]) == ("appeal", 0.0)


def test_a_rating_says_by_which_text_and_for_what_it_was_asked(platform):
    decide(platform, violated=["scam"], lane=Lane.RANDOM)
    (review,) = rows_of(built(platform))[0]["reviews"]
    versions = dict(zip(review["judged"], review["policy_versions"], strict=True))
    assert versions == {"spam": 1, "scam": 1}
    assert (review["violated"], review["lane"]) == (["scam"], "random")


def test_an_answer_that_judged_nothing_lists_nothing(platform):
    job = claimed_job(platform.rosa, queue=platform.queue)
    platform.queue.members.add(platform.remy)
    decisions.record_review(job.pk, job.claim_token, by=platform.rosa, verdict="unsure")
    decide(platform, by=platform.remy, job=claims.claim_next(platform.queue, by=platform.remy))
    unsure, clean = rows_of(built(platform))[0]["reviews"]
    assert (unsure["judged"], unsure["policy_versions"]) == ([], [])
    assert clean["judged"] == ["spam", "scam"]


def test_a_row_says_how_it_was_drawn_and_how_much_it_was_looked_at(platform):
    draw = make_draw(queue=platform.queue, probability=0.25, seed=7, pool_size=40)
    item = make_item(platform=platform, views_per_hour=12.5)
    decide(platform, item=item, lane=Lane.RANDOM, draw=draw, inclusion_probability=0.25)
    decide(platform)
    Item.objects.update(views_per_hour=99)  # later: not what it was

    drawn, by_rank = rows_of(built(platform))

    names = ("draw_id", "strategy", "draw_seed", "pool_size", "inclusion_probability", "weight")
    assert [drawn[name] for name in names] == [draw.pk, "poisson", 7, 40, 0.25, 4.0]
    assert drawn["exposure"] == 12.5
    assert [by_rank[name] for name in names] == [None] * 6


def test_a_second_opinion_names_the_draw_it_follows(platform):
    draw = make_draw(queue=platform.queue, probability=0.5)
    answered_twice(platform, [], [], lane=Lane.RANDOM, draw=draw, inclusion_probability=0.5)
    (row,) = rows_of(built(platform))
    assert row["decided_lane"] == "second"
    assert Draw.objects.count() == 2
    assert (row["draw_id"], row["lane"]) == (draw.pk, "random")


def test_posteriors_hang_on_what_came_before_the_cutoff_alone(platform, tmp_path, monkeypatch):
    monkeypatch.setattr("mlhooks.label_pages.MOST_COMPARED", 2)
    for _ in range(3):
        answered_twice(platform, ["spam"], ["spam"])
    decide(platform)  # one answer alone, until …
    snapshot = built(platform)
    before = rows_of(snapshot)

    for _ in range(3):
        answered_twice(platform, [], [])
    remy = claimed_job(
        platform.remy,
        queue=platform.queue,
        item=Item.objects.get(pk=before[-1]["item_id"]),
        lane=Lane.QA,
    )  # … another looks at it again, after the cutoff
    decide(platform, violated=["spam"], by=platform.remy, job=remy)
    again = tmp_path / "again"
    again.mkdir()
    snapshot_files.write(snapshot, again)

    for entry in snapshots.list_files(snapshot):
        first, _ = snapshots.get_file(snapshot, entry["name"])
        assert (again / entry["name"]).read_bytes() == first.read_bytes(), entry["name"]


def test_the_card_explains_how_answers_were_put_together(platform):
    answered_twice(platform, ["spam"], ["spam"])
    snapshot = built(platform)
    card = snapshots.get_file(snapshot, "README.md")[0].read_text()
    assert "Dawid" in card
    assert f"| Spam | 1 | {snapshot.manifest['aggregation']['spam']['sensitivity']:.2f} |" in card
    assert snapshot.manifest["format"] == 2
