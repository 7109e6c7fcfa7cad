"""Simulated reviewers: how they answer, and how they work queues beside each other."""

import random
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from reviews import simulation
from reviews.demo import browser, loading
from reviews.models import Claim, Decision, Job, Review, Verdict
from reviews.simulation import Habits, make_answer
from tests.factories import make_action, make_item, make_job, make_platform, make_policy, make_queue

SPAM = {"spam": True, "phishing": False}
HAM = {"spam": False, "phishing": False}
POLICIES = ("spam", "phishing")
ACTIONS = ("remove", "strike")


def answer(known, *, seed=1, accuracy=1.0, **kw):
    habits = kw.pop("habits", Habits(accuracy))
    return make_answer(
        known,
        policy_slugs=POLICIES,
        action_slugs=kw.pop("action_slugs", ACTIONS),
        habits=habits,
        rng=random.Random(seed),
        **kw,
    )


@pytest.fixture
def queue():
    """A queue on its own platform, with twelve items of known answer."""
    platform = make_platform(slug="mailhaven")
    queue = make_queue(
        platform=platform,
        slug="inbox",
        policies=[make_policy(platform=platform, slug=slug) for slug in POLICIES],
        actions=[make_action(platform=platform, slug=slug) for slug in ACTIONS],
    )
    for number in range(12):
        known = SPAM if number % 3 == 0 else HAM
        make_job(queue=queue, item=make_item(platform=platform, known_answer=known))
    return queue


def simulate(**options) -> str:
    out = StringIO()
    call_command("simulate_reviewers", stdout=out, **options)
    return out.getvalue()


# One answer


def test_who_is_always_right_finds_just_what_is_known():
    assert answer(SPAM).policy_slugs == ("spam",)
    assert answer(SPAM).verdict == Verdict.VIOLATING
    assert answer(HAM).verdict == Verdict.CLEAN
    assert answer(HAM).action_slugs == ()


def test_who_is_always_wrong_says_the_opposite():
    assert answer(SPAM, accuracy=0).verdict == Verdict.CLEAN
    assert answer(HAM, accuracy=0).verdict == Verdict.VIOLATING
    assert answer(HAM, accuracy=0).policy_slugs == ("spam",)


def test_the_share_of_right_answers_is_the_accuracy():
    right = sum(
        answer(SPAM, seed=seed, accuracy=0.8).verdict == "violating" for seed in range(4000)
    )
    assert right / 4000 == pytest.approx(0.8, abs=0.02)


def test_doubts_are_passed_on_only_where_somebody_else_can_settle():
    doubtful = Habits(1.0, unsure_rate=1.0)
    assert answer(SPAM, habits=doubtful).verdict == Verdict.UNSURE
    assert answer(SPAM, habits=doubtful, may_pass_on=False).verdict == Verdict.VIOLATING


def test_a_policy_the_queue_does_not_judge_is_not_found():
    assert answer({"adult": True}).verdict == Verdict.CLEAN


def test_actions_are_those_the_queue_offers():
    for seed in range(50):
        assert set(answer(SPAM, seed=seed).action_slugs) <= set(ACTIONS)
        assert answer(SPAM, seed=seed, action_slugs=("warn",)).action_slugs == ("warn",)


def test_the_same_seed_gives_the_same_answer():
    assert answer(SPAM, seed=5) == answer(SPAM, seed=5)


# Working queues


@pytest.mark.django_db(transaction=True)
def test_three_at_once_answer_every_item_once_and_rightly(queue):
    out = simulate(count=3, accuracy=1.0, decisions=50)

    assert Decision.objects.count() == 12
    assert Review.objects.values("item").distinct().count() == 12
    for decision in Decision.objects.prefetch_related("policy_versions__policy"):
        found = {version.policy.slug for version in decision.policy_versions.all()}
        assert found == ({"spam"} if decision.item.known_answer["spam"] else set())
    assert not Job.objects.open().exists()
    assert "12 answers" in out and "8 clean, 4 violating" in out


@pytest.mark.django_db(transaction=True)
def test_it_stops_at_the_number_asked_for_and_holds_nothing(queue):
    simulate(count=3, decisions=5)
    assert Review.objects.count() == 5
    assert Job.objects.ready().count() == 7


@pytest.mark.django_db(transaction=True)
def test_items_without_a_known_answer_stay_for_people(queue):
    job = make_job(queue=queue, item=make_item(platform=queue.platform), rank=1000)
    simulate(count=2, decisions=50)
    job.refresh_from_db()
    assert job.state == Job.State.READY
    assert not Review.objects.filter(item=job.item).exists()
    assert set(Claim.objects.filter(job=job).values_list("end", flat=True)) == {"skipped"}


@pytest.mark.django_db(transaction=True)
def test_one_queue_can_be_named(queue):
    other = make_queue(platform=queue.platform, slug="other", policies=queue.policies.all())
    make_job(queue=other, item=make_item(platform=queue.platform, known_answer=HAM))
    simulate(count=1, decisions=50, queue="inbox")
    assert Job.objects.ready().get().queue == other


@pytest.mark.django_db
def test_what_makes_no_sense_is_refused():
    with pytest.raises(CommandError, match="no platform"):
        simulate(platform="nowhere")
    make_platform(slug="mailhaven")
    with pytest.raises(CommandError, match="accuracy"):
        simulate(accuracy=1.5)
    with pytest.raises(CommandError, match="no queue"):
        simulate(queue="nowhere")


@pytest.mark.django_db
def test_the_known_password_is_not_given_out_on_another_platform():
    make_platform(slug="the-real-one")
    with pytest.raises(CommandError, match="password"):
        simulate(platform="the-real-one", http=True)


@pytest.mark.django_db(transaction=True)
def test_somebody_alone_is_never_handed_her_second_opinion(queue):
    desk = simulation.Desk(queue)
    Job.objects.exclude(pk=Job.objects.first().pk).delete()
    [rosa] = loading.make_simulated_reviewers(queue.platform, 1)
    doubtful = Habits(1.0, unsure_rate=1.0)
    rng = random.Random(1)
    first = simulation.work_one([desk], by=rosa, habits=doubtful, rng=rng)
    assert first.verdict == Verdict.UNSURE and first.decision is None
    assert simulation.work_one([desk], by=rosa, habits=doubtful, rng=rng) is None


# Through the pages


def test_the_desk_is_read_from_its_form():
    page = """<p>other</p><form method="post" action="/jobs/42/decide/" id="x">
      <input type="hidden" name="token" value="a&amp;b"><input name="note" type="text">
      <input name="item_version" value="7" type="hidden"></form>"""
    assert browser.read_desk(page) == browser.DeskForm(
        "/jobs/42/decide/", 42, {"token": "a&b", "item_version": "7"}
    )
    assert browser.read_desk("<p>Nothing waits here.</p>") is None


def test_reviewers_work_through_the_real_pages(live_app, queue):
    out = simulate(count=2, accuracy=1.0, decisions=10, http=True, url=live_app)

    assert "10 answers" in out, out
    assert Review.objects.count() == 10
    for decision in Decision.objects.prefetch_related("policy_versions__policy", "enforcements"):
        found = {version.policy.slug for version in decision.policy_versions.all()}
        assert found == ({"spam"} if decision.item.known_answer["spam"] else set())
        assert bool(found) == bool(decision.enforcements.all())
    assert not Job.objects.filter(state=Job.State.CLAIMED).exists()


def test_when_sign_ins_are_slowed_down_the_rest_still_comes_in(live_app, queue):
    out = simulate(count=12, decisions=12, http=True, url=live_app)
    assert "12 answers" in out, out
    assert Review.objects.values("reviewer").distinct().count() > 1


def test_a_page_that_is_not_the_desk_is_reported_and_ends_that_reviewer(live_app, queue):
    queue.note_required = True
    queue.save()
    out = simulate(count=1, decisions=50, http=True, url=live_app)
    assert "got 422" in out
