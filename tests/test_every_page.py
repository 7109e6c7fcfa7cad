"""Every page in Chromium: what axe-core finds, what the CSP refuses, what does not fit at 320 px.

axe looks for everything once a page and for contrast in each theme; with PROOF=all for everything
in each theme and width (docs/accessibility.md).
"""

import os
from pathlib import Path

import axe_playwright_python
import pytest

from tests import walking
from tests.test_access import World

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# Everything axe has for WCAG 2.2 A and AA, and its best practices; target size (2.5.8) is off
# unless asked for.
RULES = {"rules": {"target-size": {"enabled": True}}, "resultTypes": ["violations"]}
IS_EXHAUSTIVE = os.environ.get("PROOF") == "all"
CONTRAST = RULES if IS_EXHAUSTIVE else {**RULES, "runOnly": ["color-contrast"]}
PHONE = RULES if IS_EXHAUSTIVE else {**RULES, "runOnly": ["target-size"]}

# WCAG 1.4.12: a reader may widen text this far, and nothing may be lost. By the object model, since
# the CSP refuses a style in the page.
WIDEN = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important; } p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets = [sheet];
}"""
LISTEN = """window.refusedByCsp = [];
document.addEventListener('securitypolicyviolation',
  (event) => refusedByCsp.push(`${event.effectiveDirective} ${event.blockedURI}`));"""
# What stands out of the window to the right, unless it scrolls in a frame of its own.
TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const out = [...document.querySelectorAll('body *')].filter(
    (one) => one.getBoundingClientRect().right > innerWidth + 1
      && !one.closest('.table-frame, pre, [popover]'));
  return out.slice(0, 3).map((one) => `${one.tagName.toLowerCase()}.${one.className}`)
    .concat(`${document.documentElement.scrollWidth} px`);
}"""


@pytest.fixture
def world(live_app):
    return World()


def violations(page, options):
    """axe in the page as it stands; axe comes in past the CSP, which stays as it is."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary'][:160]}"
        for one in found["violations"]
    ]


def put_on(page, theme):
    """As if this were the person's theme."""
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)


def test_axe_finds_nothing_on_any_page_in_any_theme(world, live_app, new_page, sign_in):
    page = new_page(reduced_motion="reduce")
    found, walked = [], 0
    for stop, _ in walking.walk(world, page, live_app, sign_in):
        walked += 1
        for theme in ("light", "dark", "contrast"):
            put_on(page, theme)
            options = RULES if theme == "light" else CONTRAST
            found += [f"{stop.route} {theme}: {one}" for one in violations(page, options)]
    assert not found, "\n".join(found)
    assert walked > 50


def test_every_page_fits_a_phone_four_times_the_size_and_wider_text(
    world, live_app, new_page, sign_in
):
    page = new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    found = []
    for stop, _ in walking.walk(world, page, live_app, sign_in):
        found += [f"{stop.route} 390 px: {one}" for one in violations(page, PHONE)]
        # 1280 px at 400 %: WCAG 1.4.10. At 200 % there is twice that.
        page.set_viewport_size({"width": 320, "height": 640})
        found += [f"{stop.route} 320 px: {one}" for one in page.evaluate(TOO_WIDE)]
        page.set_viewport_size({"width": 390, "height": 844})
        page.evaluate(WIDEN)
        found += [f"{stop.route} spaced: {one}" for one in page.evaluate(TOO_WIDE)]
    assert not found, "\n".join(found)


def test_the_csp_refuses_nothing_that_a_page_does(world, live_app, new_page, sign_in):
    """Every page, and whatever on it can be opened without sending anything."""
    page = new_page(reduced_motion="reduce")
    page.add_init_script(LISTEN)
    found, strange = [], []
    page.on(
        "request",
        lambda request: request.url.startswith(live_app) or strange.append(request.url),
    )
    for stop, _ in walking.walk(world, page, live_app, sign_in):
        page.evaluate(
            "document.querySelectorAll('summary, th button, button[type=button]:not([data-copy])')"
            ".forEach((one) => one.click())"
        )
        page.keyboard.press("Escape")
        found += [f"{stop.route}: {one}" for one in page.evaluate("refusedByCsp")]
    assert not found, "\n".join(found)
    assert strange == []


def test_what_breaks_the_csp_would_be_heard(world, live_app, chromium, sign_in):
    page = chromium.new_page()  # its own: the refusal is logged as the error it is
    sign_in(page, world.people["rosa"])
    page.add_init_script(LISTEN)
    page.goto(f"{live_app}/policies/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i style=color:red></i>')")
    assert page.evaluate("refusedByCsp") == ["style-src-attr inline"]
    page.close()
