"""The next job on screen at once, in Chromium: fast, and with all that can go wrong on the way."""

import pytest

from reviews import claims
from reviews.models import Decision, Job, Review
from tests.conftest import wait_until
from tests.test_pages_all import World


@pytest.fixture
def world(live_app):
    return World(jobs=5)


@pytest.fixture
def rosa(world, live_app, page, sign_in):
    """Her page, with the next job in hand."""
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    return page


def open_desk(page, live_app, world):
    page.goto(f"{live_app}/review/{world.queue.slug}/")
    settle(page)


def settle(page):
    """The answer before is recorded, the next job in hand, and keys are heard again."""
    page.locator("#_job[data-ahead]:not([data-sending])").wait_for()
    page.wait_for_timeout(180)


def shown(page):
    return int(page.locator("#_job").get_attribute("data-job"))


def ahead(page):
    return int(page.locator("#_job").get_attribute("data-ahead"))


def recorded(page):
    page.locator("#_job:not([data-sending])").wait_for()


def hold_answers_back(page):
    """A server that takes its time over one answer; returns what lets it through."""
    held = []

    def hold(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/decide/", hold)
    return lambda: held[0].continue_()


def test_fifty_jobs_by_keys_at_three_a_second_without_a_wrong_decision(live_app, page, sign_in):
    world = World(jobs=51)
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    meant = {}
    for number in range(50):
        meant[shown(page)] = "clean" if number % 3 else "violating"
        page.keyboard.press("0" if number % 3 else "1")
        page.wait_for_timeout(80)
        page.keyboard.press("Enter")
        page.wait_for_function("job => _job.dataset.job !== job", arg=str(shown_last(meant)))
        page.wait_for_timeout(180)
    recorded(page)
    assert len(meant) == 50
    assert dict(Review.objects.values_list("job_id", "verdict")) == meant
    assert Decision.objects.count() == 50
    assert "50 of about" in page.locator("#_progress").inner_text()


def shown_last(meant):
    return list(meant)[-1]


def test_the_next_job_is_on_screen_before_the_server_has_answered(world, rosa):
    first, second = shown(rosa), ahead(rosa)
    let_through = hold_answers_back(rosa)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    rosa.wait_for_function("job => _job.dataset.job === job", arg=str(second))
    assert not Review.objects.exists()
    # She is faster than the server: her next answer waits, and both are recorded in order.
    rosa.wait_for_timeout(180)
    rosa.keyboard.press("1")
    rosa.keyboard.press("Enter")
    rosa.locator("#_decide[aria-busy=true]").wait_for()
    let_through()
    rosa.wait_for_function("job => _job.dataset.job !== job", arg=str(second))
    recorded(rosa)
    given = Review.objects.order_by("pk").values_list("job_id", "verdict")
    assert list(given) == [(first, "clean"), (second, "violating")]


def test_an_answer_changed_while_it_waits_is_not_sent(world, rosa):
    second = ahead(rosa)
    let_through = hold_answers_back(rosa)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    rosa.wait_for_function("job => _job.dataset.job === job", arg=str(second))
    rosa.wait_for_timeout(180)
    for key in ("1", "Enter", "0"):
        rosa.keyboard.press(key)
    let_through()
    settle(rosa)
    assert shown(rosa) == second
    assert Review.objects.count() == 1


def test_a_claim_that_ran_out_brings_the_job_back_with_the_note_and_says_so(world, rosa):
    first, second = shown(rosa), ahead(rosa)
    rosa.keyboard.press("n")
    rosa.keyboard.type("a careful note")
    rosa.keyboard.press("Escape")
    rosa.keyboard.press("0")
    Job.objects.filter(pk=first).update(expires_at="2020-01-01T00:00Z")
    claims.expire_claims()
    rosa.keyboard.press("Enter")
    rosa.get_by_text("Your claim ran out at").wait_for()
    assert shown(rosa) == first
    assert rosa.locator("#note").input_value() == "a careful note"
    assert rosa.locator("[name=clean]").is_checked()
    assert "was not recorded" in rosa.locator("#announce").inner_text()
    assert not Review.objects.exists()
    assert ahead(rosa) == second


def test_a_prefetched_job_that_went_to_somebody_else_is_never_decided(world, rosa):
    second = ahead(rosa)
    Job.objects.filter(pk=second).update(expires_at="2020-01-01T00:00Z")
    claims.expire_claims()
    taken = claims.claim_next(world.queue, by=world.people["remy"])
    assert taken.pk == second
    let_through = hold_answers_back(rosa)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    rosa.wait_for_function("job => _job.dataset.job === job", arg=str(second))
    rosa.wait_for_timeout(180)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    let_through()
    rosa.get_by_text("went back to the queue").wait_for()
    settle(rosa)
    assert shown(rosa) != second
    assert not rosa.locator("[name=clean]").is_checked()
    assert not Review.objects.filter(job=second).exists()
    assert Review.objects.count() == 1


def test_undo_brings_the_last_job_back_and_then_the_one_that_was_on_screen(world, rosa):
    first = shown(rosa)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    settle(rosa)
    second = shown(rosa)
    rosa.keyboard.press("u")
    rosa.get_by_text("Taken back").wait_for()
    settle(rosa)
    assert shown(rosa) != second
    assert ahead(rosa) == second
    rosa.keyboard.press("1")
    rosa.keyboard.press("Enter")
    settle(rosa)
    assert shown(rosa) == second
    item = Job.objects.get(pk=first).item
    assert Decision.objects.current().get(item=item).verdict == "violating"
    assert Decision.objects.filter(kind="undo").count() == 1


def test_two_tabs_on_one_job_record_one_answer(world, live_app, rosa):
    first = shown(rosa)
    other = rosa.context.new_page()
    open_desk(other, live_app, world)
    assert shown(other) == first
    for page, key in ((rosa, "0"), (other, "1")):
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.wait_for_function("job => _job.dataset.job !== job", arg=str(first))
        recorded(page)
    other.get_by_text("in another window: clean").wait_for()
    assert Review.objects.get().verdict == "clean"
    assert shown(rosa) == shown(other)


def test_leaving_gives_the_job_ahead_back(world, live_app, rosa):
    second = ahead(rosa)
    rosa.goto(live_app)
    wait_until(lambda: Job.objects.get(pk=second).state == "ready", message="it is still held")


@pytest.fixture
def calm(world, live_app, chromium, sign_in):
    """A page whose lost connections and failed answers fail no test."""
    page = chromium.new_page()
    page.set_default_timeout(10_000)
    sign_in(page, world.people["rosa"])
    open_desk(page, live_app, world)
    yield page
    page.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda route: route.fulfill(status=500, body="no"), "could not do that"),
        (lambda route: route.abort(), "No connection"),
    ],
)
def test_a_failure_brings_the_job_back_and_sending_again_records_it(world, calm, fault, words):
    first, second = shown(calm), ahead(calm)
    calm.locator("#note").fill("still here")
    calm.keyboard.press("Escape")
    calm.route("**/decide/", fault)
    calm.keyboard.press("0")
    calm.keyboard.press("Enter")
    calm.get_by_text(words).wait_for()
    assert shown(calm) == first
    assert calm.locator("#note").input_value() == "still here"
    calm.unroute("**/decide/")
    calm.wait_for_timeout(180)
    calm.keyboard.press("Enter")
    calm.wait_for_function("job => _job.dataset.job === job", arg=str(second))
    recorded(calm)
    assert Review.objects.get().note == "still here"


def test_an_answer_recorded_but_not_heard_of_counts_once(world, calm):
    second = ahead(calm)

    def lose_the_reply(route):
        route.fetch()
        route.abort()

    calm.route("**/decide/", lose_the_reply)
    calm.keyboard.press("0")
    calm.keyboard.press("Enter")
    calm.get_by_text("No connection").wait_for()
    calm.unroute("**/decide/")
    calm.wait_for_timeout(180)
    calm.keyboard.press("Enter")
    calm.wait_for_function("job => _job.dataset.job === job", arg=str(second))
    settle(calm)
    assert Review.objects.count() == 1
    assert calm.locator(".undo").count() == 1


def test_time_on_a_job_begins_when_it_is_shown(world, rosa):
    rosa.wait_for_timeout(1500)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    settle(rosa)
    rosa.keyboard.press("0")
    rosa.keyboard.press("Enter")
    settle(rosa)
    slow, quick = Review.objects.order_by("pk").values_list("active_seconds", flat=True)
    assert slow > 1.5 > quick
