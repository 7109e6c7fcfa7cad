"""In Chromium: notes, a colleague's opinion and the bell, by keys, without leaving the desk."""

from reviews.models import Consultation, Note
from tests.browsing import press_and_wait, settle
from tests.factories import make_item, make_job, make_kind, make_platform, make_queue
from tests.people import make_person


def test_a_note_and_a_colleague_are_two_keys_away(live_app, new_page, sign_in):
    platform = make_platform()
    make_kind(platform=platform)
    rosa, remy = (make_person(name, platform=platform) for name in ("rosa", "remy"))
    queue = make_queue(platform=platform, slug="mail", name="Mail", members=[rosa, remy])
    for rank, text in ((2, "Is it an idiom?"), (1, "The one after.")):
        make_job(queue=queue, item=make_item(platform=platform, text=text), rank=rank)
    page = new_page()
    sign_in(page, rosa)
    page.goto(f"{live_app}/review/mail/")
    settle(page)
    page.keyboard.press("m")
    page.get_by_label("For the next reviewer", exact=True).wait_for()
    page.keyboard.type("Seen in March, too.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Your note is left").wait_for()
    assert Note.objects.get().text == "Seen in March, too."

    page.locator("#_item").focus()
    page.keyboard.press("c")
    page.get_by_label("What you want to know").fill("Is it?")
    page.get_by_label("Ask", exact=True).select_option("remy")
    before = page.locator("#_job").get_attribute("data-job")
    page.get_by_role("button", name="Ask and go on").click()
    page.wait_for_function(
        "before => document.getElementById('_job').dataset.job !== before", arg=before
    )
    assert page.get_by_text("The one after.").is_visible()

    other = new_page()
    sign_in(other, remy)
    other.goto(live_app)
    assert other.locator("[data-bell-count]").inner_text() == "1"
    other.get_by_role("link", name="Give your opinion").click()
    other.get_by_label("Clean").check()
    other.get_by_role("button", name="Give your opinion").click()
    other.wait_for_url(f"{live_app}/")
    assert Consultation.objects.get().opinion == "clean"

    settle(page)
    press_and_wait(page, "0", "Enter")
    assert page.get_by_text("Is it an idiom?").is_visible()
    assert page.locator(".opinion").inner_text().startswith("remy: clean")
