"""The camera of `make screenshots`: one page, every width and theme, no page loaded twice.

PICTURES="models model" in the environment takes only these; LOOKS="wide-light" only that look.
"""

import os
from pathlib import Path

from django.template.loader import render_to_string

FOLDER = Path(__file__).resolve().parent.parent / "var" / "screenshots"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS = [
    (f"{size}-{theme}", viewport, theme)
    for size, viewport in (("wide", WIDE), ("narrow", NARROW))
    for theme in ("light", "dark")
]
CONTRAST = ("wide-contrast", WIDE, "light")
# What these show is what fits the window.
IN_SIGHT = ("review", "review-canned", "review-strongest", "evidence-desk", "grid", "grid-levels")


def _only(name: str) -> set[str]:
    return set(os.environ.get(name, "").split())


class Camera:
    """Signs people in, goes to pages, takes them, and remembers what does not fit."""

    def __init__(self, live_app, new_page, sign_in, *, looks=LOOKS, ending="", **options) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.live_app, self._sign_in = live_app, sign_in
        only = _only("LOOKS")
        self._looks = [look for look in looks if not only or look[0] in only]
        self._ending = ending
        self._new_page = lambda: new_page(viewport=WIDE, reduced_motion="reduce", **options)
        self.too_wide: list[str] = []

    def take(self, person, pages: dict[str, str], *, contrast=(), before=None) -> None:
        """Every page of `pages` (name → URL) as `person` sees it. `before(page, shot)` is done once
        the page has come."""
        only = _only("PICTURES")
        pages = {shot: url for shot, url in pages.items() if not only or shot in only}
        if not pages:
            return
        page = self._new_page()
        if person is not None:
            self._sign_in(page, person)
        for shot, url in pages.items():
            page.goto(self.live_app + url)
            page.wait_for_load_state("networkidle")
            if before is not None:
                before(page, shot)
            self.shoot(page, shot, with_contrast=shot in contrast)
        page.context.close()

    def shoot(self, page, shot: str, *, with_contrast: bool = False) -> None:
        """The page as it stands, in every look."""
        only = _only("PICTURES")
        if only and shot not in only:
            return
        own = page.evaluate("document.documentElement.dataset.theme")
        for look, viewport, theme in [*self._looks, *([CONTRAST] if with_contrast else [])]:
            page.set_viewport_size(viewport)
            # All of it: what is left out falls back to the browser's own, and buttons fade.
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            worn = "contrast" if look == CONTRAST[0] else own
            page.evaluate("(worn) => { document.documentElement.dataset.theme = worn; }", worn)
            page.screenshot(
                path=FOLDER / f"{shot}-{look}{self._ending}.png",
                full_page=shot not in IN_SIGHT or viewport is NARROW,
            )
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.too_wide.append(f"{shot} {look}")
        page.evaluate("(worn) => { document.documentElement.dataset.theme = worn; }", own)
        page.set_viewport_size(WIDE)

    def shoot_template(self, shot: str, template: str) -> None:
        """A page that no URL gives on a good day: the server's failures."""
        page = self._new_page()
        url = f"{self.live_app}/{shot}"
        body = render_to_string(template)
        page.route(url, lambda route: route.fulfill(content_type="text/html", body=body))
        page.goto(url)
        self.shoot(page, shot)
        page.context.close()
