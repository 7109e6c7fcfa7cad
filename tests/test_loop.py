"""The whole loop in Chromium, on the demo's own mails and with a real worker: mails come in and are
scored; a reviewer decides; an engineer trains on it and proposes; a second person approves; the
queue is in another order."""

import re

import pytest
from django.utils import timezone

from mlhooks.models import DueScore, ModelVersion, Snapshot
from reviews.demo import loading
from reviews.models import Decision, Job, Person, Policy
from tests.browsing import press_and_wait, settle, sign_in_by_form
from tests.conftest import wait_until

MAILS = 160
LETTERS = 200  # of each: the worker encodes them in seconds
DECIDED = 10
LOADING_MS = 90_000  # a worker loads the encoder first


@pytest.fixture
def platform(live_app, worker):
    """A quarter of the mails decided by simulated reviewers, the rest waiting, all scored."""
    platform = loading.set_up_platform()
    arrivals = loading.plan_arrivals(timezone.now(), count=MAILS)
    loading.submit(platform, _shortened(arrivals.earlier))
    loading.work_earlier(platform, count=loading.answers_wanted(arrivals))
    loading.submit(platform, _shortened(arrivals.waiting))
    wait_until(lambda: not DueScore.objects.exists(), seconds=90, message="mails are not scored")
    return platform


def _shortened(arrivals):
    return [
        arrival._replace(mail=arrival.mail._replace(body=arrival.mail.body[:LETTERS]))
        for arrival in arrivals
    ]


def test_decisions_become_a_model_that_reorders_the_queue(live_app, platform, new_page):
    rosa = new_page()
    sign_in_by_form(rosa, live_app, "rosa")
    decide_ten_by_keys(rosa)
    take_one_back_and_decide_it_again(rosa)

    mila = new_page()
    sign_in_by_form(mila, live_app, "mila")
    before = serving_order(mila)
    assert set(before.values()) == {"v1 zero-shot"}
    freeze(mila)
    train(mila)
    propose(mila)

    paul = new_page()
    sign_in_by_form(paul, live_app, "paul")
    approve(paul)

    after = serving_order(mila)
    assert set(after.values()) == {"v2 trained"}
    assert list(after) != list(before)

    roll_back(mila)


def decide_ten_by_keys(page):
    """From the home page on, where 2 opens her second queue: no mouse."""
    settle(page)
    page.keyboard.press("2")
    page.wait_for_url("**/review/spam/")
    settle(page)
    for _ in range(DECIDED):
        press_and_wait(page, *right_keys(page), "Enter")
    made = Decision.objects.filter(decided_by__username="rosa").order_by("-pk")[:DECIDED]
    assert made.count() == DECIDED
    assert all(is_right(decision) for decision in made)
    assert {decision.verdict for decision in made} == {"violating", "clean"}
    assert all(decision.review.active_seconds > 0 for decision in made)


def take_one_back_and_decide_it_again(page):
    rosa = Person.objects.get(username="rosa")
    last = Decision.objects.filter(decided_by=rosa).latest("pk")
    press_and_wait(page, "u")
    assert "Taken back" in page.locator("#_notice").inner_text()
    assert Decision.objects.get(kind="undo").supersedes == last
    assert page.locator("#_job").get_attribute("data-job") == str(_held(rosa, last.item_id).pk)
    press_and_wait(page, *right_keys(page), "Enter")
    again = Decision.objects.latest("pk")
    assert again.item_id == last.item_id
    assert is_right(again)


def right_keys(page):
    """What the known answer of the mail on screen asks for."""
    job = Job.objects.get(pk=page.locator("#_job").get_attribute("data-job"))
    known = job.item.known_answer
    violated = Policy.objects.filter(slug__in=[slug for slug in known if known[slug]])
    return [policy.key for policy in violated] or ["0"]


def is_right(decision):
    found = {version.policy.slug for version in decision.policy_versions.all()}
    known = decision.item.known_answer
    return found == {slug for slug in known if known[slug]}


def serving_order(page):
    """{item's page: who scored it} in the order of the queue's page."""
    page.get_by_role("link", name="Queues").first.click()
    page.get_by_role("link", name="Spam and scams").click()
    page.get_by_role("heading", name="In serving order").wait_for()
    rows = page.locator("tbody tr.link").all()
    assert len(rows) == 50
    return {
        row.locator("a.row-link").get_attribute("href"): re.search(
            r"v\d+ [a-z-]+", row.locator("td").last.inner_text()
        ).group()
        for row in rows
    }


def freeze(page):
    page.get_by_role("link", name="Snapshots").first.click()
    page.get_by_text("Labelled items").wait_for()
    page.get_by_label("Note").fill("first labels")
    page.get_by_role("button", name="Make a snapshot").click()
    page.get_by_role("heading", name="Load it").wait_for(timeout=30_000)
    labels = Decision.objects.settled().filter(superseded_by=None).count()
    assert Snapshot.objects.get().rows_done == labels
    with page.expect_download() as taking:
        page.get_by_role("link", name="data-train.parquet").click()
    assert taking.value.suggested_filename == "snapshot-1-data-train.parquet"


def train(page):
    page.get_by_role("button", name="Train a model").click()
    page.get_by_role("link", name="See how good it is").click(timeout=LOADING_MS)
    page.get_by_role("heading", name="How good it is").wait_for()
    assert page.get_by_text("v1 zero-shot").first.is_visible()  # the champion, beside it
    assert page.locator("figure.plot svg").count() >= 3


def propose(page):
    page.get_by_label("Why").fill("It has read our own mail.")
    page.get_by_role("button", name="Propose to promote").click()
    page.get_by_text("somebody else approves").wait_for()
    assert page.get_by_role("button", name="Approve and promote").count() == 0


def approve(page):
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="Look at it").click()
    # A worker gathers the evidence meanwhile; the button comes with it.
    page.get_by_role("button", name="Approve and promote").click(timeout=LOADING_MS)
    page.get_by_role("heading", name="It is the champion").wait_for()
    assert ModelVersion.objects.get(state="champion").label == "v2 trained"
    # The page follows the re-scoring, until the worker has done it all.
    page.locator("#_rescoring:not([hx-get])").wait_for(state="attached", timeout=LOADING_MS)


def roll_back(page):
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="v2 trained").first.click()
    page.get_by_text("Roll back to v1 zero-shot").click()
    page.get_by_role("button", name="Yes, roll back now").click()
    page.get_by_text("Rolled back").wait_for()
    assert ModelVersion.objects.get(state="champion").label == "v1 zero-shot"


def _held(person, item_id):
    return Job.objects.held_by(person).get(item_id=item_id)
