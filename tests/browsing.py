"""What tests do in a browser in more than one file: sign in by the form, work the desk by keys."""

from reviews.demo import PASSWORD


def sign_in_by_form(page, live_app, name, *, password=PASSWORD):
    page.goto(live_app)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{live_app}/")


def settle(page):
    """Keys are deaf for 150 ms after a new job."""
    page.wait_for_timeout(180)


def press_and_wait(page, *keys):
    """Press keys, the last of which brings another job; back when the answer is recorded."""
    before = page.locator("#_job").get_attribute("data-job")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function(
        "before => { const { job, sending } = document.getElementById('_job').dataset;"
        " return job !== before && sending === undefined; }",
        arg=before,
    )
    settle(page)
