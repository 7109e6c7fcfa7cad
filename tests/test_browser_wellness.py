"""Covered media in Chromium: how little is left to see, and how they are uncovered."""

import io

import numpy
import pytest
from PIL import Image

from reviews import wellness
from reviews.models import Exposure, Wellbeing
from tests.browsing import press_and_wait, settle
from tests.test_pages_all import World

# Every kind of medium as the desk marks it up, from one drawing: a still, and a running film of it.
_PUT = """async (filters) => {
  const article = document.querySelector("#_item .content");
  const drawing = Object.assign(new Image(), { src: "/static/sample.svg" });
  await drawing.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  const draw = () => canvas.getContext("2d").drawImage(drawing, 0, 0, 640, 480);
  draw();
  const film = Object.assign(document.createElement("video"), {
    srcObject: canvas.captureStream(25), width: 640, height: 480, autoplay: true });
  setInterval(draw, 40);
  const still = Object.assign(new Image(), { src: "/static/sample.svg", width: 640, height: 480 });
  for (const [kind, medium] of [["image", still], ["video", film]]) {
    medium.className = "medium-content";
    const figure = document.createElement("figure");
    figure.className = "medium";
    figure.dataset.medium = kind;
    figure.dataset.filters = filters;
    figure.append(medium);
    article.append(figure);
  }
  await film.play();
}"""


@pytest.fixture
def world(live_app):
    world = World(jobs=2)
    world.queue.filters = ["blur", "greyscale", "mute"]
    world.queue.save()
    wellness.forget()
    return world


@pytest.fixture
def desk(world, live_app, page, sign_in):
    def go(filters="blur greyscale mute"):
        sign_in(page, world.people["rosa"])
        page.goto(f"{live_app}/review/{world.queue.slug}/")
        settle(page)
        page.evaluate(_PUT, filters)
        page.locator(".medium").nth(1).wait_for()
        return page

    return go


def pixels(page, kind):
    """What is drawn of the medium, without what lies over it."""
    figure = page.locator(f".medium[data-medium={kind}]")
    figure.scroll_into_view_if_needed()
    hide = (
        "(hide) => document.querySelectorAll('.medium-cover, .medium-again').forEach("
        "(one) => { one.style.visibility = hide ? 'hidden' : ''; })"
    )
    page.evaluate(hide, True)
    shot = figure.screenshot()
    page.evaluate(hide, False)
    return numpy.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype=float)


def detail(image):
    """Mean squared step between neighbouring pixels, of what is not just the frame's edge."""
    grey = image.mean(axis=2)
    return (numpy.diff(grey, axis=0) ** 2).mean() + (numpy.diff(grey, axis=1) ** 2).mean()


def saturation(image):
    return (image.max(axis=2) - image.min(axis=2)).max()


@pytest.mark.parametrize("kind", ["image", "video"])
def test_what_arrives_blurred_and_grey_shows_neither_detail_nor_colour(desk, kind):
    page = desk()
    covered = pixels(page, kind)
    page.keyboard.press("b")
    in_grey = pixels(page, kind)
    page.keyboard.press("g")
    shown = pixels(page, kind)
    # The kept strength of the blur: at most half a hundredth of the steps are left.
    assert detail(covered) < 0.005 * detail(in_grey)
    assert saturation(covered) <= 12 and saturation(in_grey) <= 12
    assert saturation(shown) > 100
    # And at a scale of 1/16, where blur alone is no cover, what is left is one soft blob.
    assert numpy.abs(numpy.diff(covered[::16, ::16].mean(axis=2))).max() < 60


def test_a_press_shows_one_medium_and_another_covers_it(desk):
    page = desk("blur")
    page.get_by_role("button", name="Show the image").click()
    assert page.locator(".medium[data-shown]").count() == 1
    assert page.locator("#announce").inner_text() == "Shown as it is."
    page.get_by_role("button", name="Cover again").last.click()
    assert page.locator(".medium[data-shown]").count() == 0


def test_b_shows_all_and_covers_all_again(desk):
    page = desk("blur")
    page.keyboard.press("b")
    assert page.locator(".medium[data-shown]").count() == 2
    page.wait_for_timeout(200)
    page.keyboard.press("b")
    assert page.locator(".medium[data-shown]").count() == 0


def test_who_chose_to_hold_sees_it_only_while_she_holds(world, desk):
    Wellbeing.objects.create(person=world.people["rosa"], reveal="hold")
    page = desk("blur")
    page.keyboard.down("b")
    assert page.locator(".medium[data-shown]").count() == 2
    page.keyboard.up("b")
    assert page.locator(".medium[data-shown]").count() == 0
    page.get_by_role("button", name="Hold to see the image").hover()
    page.mouse.down()
    assert page.locator(".medium[data-shown]").count() == 1
    page.mouse.up()
    assert page.locator(".medium[data-shown]").count() == 0


def test_no_medium_starts_by_itself_or_sounds(desk):
    page = desk("mute")
    film = page.locator("video")
    assert film.evaluate("film => [film.autoplay, film.muted]") == [False, True]


def test_nothing_moves_when_it_is_shown(desk):
    page = desk("blur")
    place = "() => document.querySelector('.medium[data-medium=video]').getBoundingClientRect().top"
    before = page.evaluate(place)
    page.keyboard.press("b")
    assert page.evaluate(place) == before


def test_covered_text_is_shown_and_counted_only_while_it_stands_open(world, desk):
    world.queue.policies.update(covers_text=True)
    page = desk("")
    veil = page.locator("details.veil")
    veil.wait_for()
    assert not page.locator("#_item .text").first.is_visible()
    page.wait_for_timeout(1200)  # a second of looking at the cover
    told = "() => Number(new FormData(document.getElementById('_decide')).get('revealed_seconds'))"
    page.evaluate("document.querySelectorAll('.medium').forEach((one) => one.remove())")
    before = page.evaluate(told)
    page.keyboard.press("b")
    assert veil.evaluate("veil => veil.open")
    page.wait_for_function(f"before => ({told})() >= before + 0.3", arg=before)
    page.wait_for_timeout(200)
    page.keyboard.press("b")
    assert not veil.evaluate("veil => veil.open")


def test_what_was_uncovered_goes_along_with_the_answer(world, desk):
    world.queue.policies.update(harm="Violence")
    page = desk("blur")
    page.keyboard.press("b")
    page.wait_for_timeout(600)
    press_and_wait(page, "0", "Enter")
    row = Exposure.objects.get()
    assert row.harm == "violence" and 0.3 <= row.seconds <= 10


def test_a_break_is_suggested_after_her_minutes_and_later_is_fine(world, desk, live_app):
    page = desk()
    suggestion = page.locator("#_break")
    assert suggestion.is_hidden()
    page.evaluate(
        "localStorage.setItem('worked', JSON.stringify({ ms: 3600000, at: Date.now() - 1000 }))"
    )
    page.reload()
    suggestion.wait_for()
    page.get_by_role("button", name="Later").click()
    assert suggestion.is_hidden()
    page.evaluate("localStorage.setItem('worked', JSON.stringify({ ms: 3600000, at: Date.now() }))")
    page.reload()
    page.get_by_role("button", name="Break, 5 min").click()
    page.get_by_role("heading", name="You are on a break").wait_for()
    settle(page)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{live_app}/review/{world.queue.slug}/")
