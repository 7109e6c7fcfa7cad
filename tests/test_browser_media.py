"""Media in Chromium: they load, play and come by themselves, and nothing moves for it."""

import pytest

from reviews import intake, media_work
from reviews.demo import boards
from reviews.models import Item, Medium
from tests.browsing import settle
from tests.factories import make_kind, make_platform, make_queue
from tests.media import film, png, upload, wav
from tests.people import make_person

SAID = (
    "Write to s\u200bales at https://shop.example/ \u202ewon\u202c <b>now</b>\n\n\n\n\n\n\nSee you."
)


@pytest.fixture
def world(live_app):
    platform = make_platform()
    kind = make_kind(
        platform=platform,
        slug="all",
        fields=[
            {"name": "body", "label": "Text", "type": "text", "role": "text"},
            {"name": "picture", "label": "Picture", "type": "image", "role": "image"},
            {"name": "film", "label": "Film", "type": "video", "role": "video"},
            {"name": "sound", "label": "Sound", "type": "audio", "role": "audio"},
            {"name": "said", "label": "Said", "type": "text", "role": "transcript"},
        ],
        layout=[
            {"block": "text", "fields": ["body"]},
            {"block": "image", "fields": ["picture"]},
            {"block": "video", "fields": ["film"]},
            {"block": "audio", "fields": ["sound", "said"]},
        ],
    )
    rosa = make_person("rosa", platform=platform)
    make_queue(platform=platform, slug="all", is_default=True, members=[rosa])
    return platform, kind, rosa


def submit(platform, external_id, **content):
    row = {"kind": "all", "external_id": external_id, "content": {"body": SAID, **content}}
    (outcome,) = intake.submit_items(platform, [row], by=None)
    assert outcome.status == "created", outcome.errors


def test_pictures_films_and_sounds_play_in_room_that_was_kept(world, live_app, page, sign_in):
    platform, _, rosa = world
    files = {"picture": png(400, 300), "film": film(), "sound": wav(2)}
    media = {name: upload(platform, content) for name, content in files.items()}
    media_work.prepare_due(seconds=60)
    said = {"said": "[0:00] Hello.\n[0:01] There."}
    submit(platform, "i1", **{name: one.reference for name, one in media.items()}, **said)
    page.add_init_script("""
      window.moved = 0;
      new PerformanceObserver((list) => {
        for (const one of list.getEntries()) window.moved += one.value;
      }).observe({ type: "layout-shift", buffered: true });
    """)
    sign_in(page, rosa)
    page.goto(f"{live_app}/review/all/")
    page.wait_for_function(
        "() => document.querySelector('img.medium-content')?.naturalWidth === 400"
    )
    for form in ("video", "audio"):
        page.locator(f"{form}.medium-content").evaluate(
            "(one) => { one.muted = true; one.play(); }"
        )
        page.wait_for_function(
            f"() => document.querySelector('{form}.medium-content').currentTime > 0.2",
            timeout=20_000,
        )
    # A line of what is said leads to its place in the sound above it.
    for form in ("video", "audio"):
        page.locator(f"{form}.medium-content").evaluate("(one) => one.pause()")
    film_at = page.locator("video.medium-content").evaluate("(film) => film.currentTime")
    page.get_by_role("button", name="Play from 0:01").click()
    page.wait_for_function("() => document.querySelector('audio.medium-content').currentTime >= 1")
    assert page.locator(".cues [aria-current]").inner_text() == "0:01"
    assert page.locator("video.medium-content").evaluate("(film) => film.currentTime") == film_at
    film_size = page.locator("video.medium-content").evaluate(
        "(v) => [v.videoWidth, v.videoHeight]"
    )
    assert film_size == [96, 64]
    assert page.evaluate("window.moved") < 0.01


def test_on_a_page_of_items_a_picture_is_enlarged_with_its_item(world, live_app, page, sign_in):
    platform, _, rosa = world
    platform.queues.update(page_size=24)
    medium = upload(platform, png(1200, 900))
    media_work.prepare_due(seconds=60)
    submit(platform, "i1", picture=medium.reference)
    sign_in(page, rosa)
    page.goto(f"{live_app}/grid/all/")
    picture = page.locator("img.medium-content")
    picture.wait_for()
    settle(page)
    small = picture.bounding_box()["height"]
    page.keyboard.press(" ")
    page.locator("dialog#enlarged img.medium-content").wait_for()
    assert picture.bounding_box()["height"] > 2 * small


def test_a_picture_is_enlarged_once_it_is_uncovered_and_keys_stay_out_of_it(
    world, live_app, page, sign_in
):
    platform, _, rosa = world
    platform.queues.update(filters=["blur"])
    medium = upload(platform, png(1200, 900))
    media_work.prepare_due(seconds=60)
    submit(platform, "i1", picture=medium.reference)
    sign_in(page, rosa)
    page.goto(f"{live_app}/review/all/")
    button = page.get_by_role("button", name="Enlarge the picture")
    page.locator("img.medium-content").wait_for()
    assert not button.is_visible()
    page.get_by_role("button", name="Show the image").click()
    button.click()
    page.wait_for_function("() => document.querySelector('.enlarged img')?.naturalWidth === 1200")
    assert page.locator(".enlarged img").bounding_box()["width"] > 640
    before = page.locator("#_job").get_attribute("data-job")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    page.locator(".enlarged").wait_for(state="detached")
    assert page.locator("#_job").get_attribute("data-job") == before
    assert not page.locator("input[name=clean]").is_checked()
    assert button.evaluate("(one) => one === document.activeElement")


def test_what_is_being_prepared_comes_by_itself(world, live_app, page, sign_in):
    platform, _, rosa = world
    medium = upload(platform, png(400, 300))
    submit(platform, "i1", picture=medium.reference)
    sign_in(page, rosa)
    page.goto(f"{live_app}/review/all/")
    page.get_by_text("Being prepared").wait_for()
    media_work.prepare_due(seconds=60)
    assert Medium.objects.get().state == "ready"
    page.wait_for_function(
        "() => document.querySelector('img.medium-content')?.naturalWidth === 400", timeout=20_000
    )


def test_the_original_text_gets_onto_the_clipboard_untouched(world, live_app, new_page, sign_in):
    platform, _, rosa = world
    submit(platform, "i1")
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, rosa)
    page.goto(f"{live_app}/review/all/")
    page.get_by_role("button", name="Copy the original").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == SAID


def test_every_kind_of_the_boards_shows_in_chromium(world, live_app, page, sign_in):
    """The blocks as the demo lays them out, without its media: nothing breaks, nothing is wide."""
    platform, _, rosa = world
    for kind in boards.KINDS:
        make_kind(
            platform=platform, slug=kind["slug"], fields=kind["fields"], layout=kind["layout"]
        )
    entries = {entry.kind: entry for entry in boards.read_entries()}
    rows = [
        {
            "kind": kind,
            "external_id": entry.id,
            "content": {**entry.content, **dict.fromkeys(entry.media, "https://media.example/a")},
        }
        for kind, entry in entries.items()
        if kind != "listing"
    ]
    for outcome in intake.submit_items(platform, rows, by=None):
        assert outcome.status == "created", outcome.errors
    sign_in(page, rosa)
    page.set_viewport_size({"width": 390, "height": 844})
    for item in Item.objects.all():
        page.goto(f"{live_app}/items/{item.pk}/")
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
