"""PURE. The colour roles of the stylesheets and how far they stand apart, as WCAG 2.2 counts it:
what the design page shows, and what the tests hold every theme to."""

import re
from collections.abc import Mapping
from typing import NamedTuple

GROUNDS = ("surface", "panel", "sunk")
INKS = ("ink", "ink-soft", "ink-faint", "accent", "sev-1", "sev-2", "sev-3", "sev-4", "ok")
# Text on a ground of its own meaning.
PAIRS = (
    *((f"sev-{n}", f"sev-{n}-soft") for n in (1, 2, 3, 4)),
    *(("ink", f"sev-{n}-soft") for n in (1, 2, 3, 4)),
    ("ok", "ok-soft"),
    ("ink", "ok-soft"),
    ("accent", "accent-soft"),
    ("ink", "accent-soft"),
    ("ink", "mark"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
)
# Text on these grounds is what is under review: it reaches the highest level.
CONTENT_GROUNDS = (*GROUNDS, "mark", "accent-soft", "ok-soft", "sev-2-soft", "sev-4-soft")
AA, AAA, CONTROLS = 4.5, 7.0, 3.0

_COLOURS = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")


class Ratio(NamedTuple):
    """Two roles that meet, and how far they stand apart."""

    ink: str
    ground: str
    ratio: float
    least: float

    @property
    def holds(self) -> bool:
        return self.ratio >= self.least


def roles(css: str, selector: str) -> dict[str, tuple[str, str]]:
    """{role: (light, dark)} of the first rule for `selector` that begins there."""
    body = css[css.index(f"{selector} {{") :].partition("{")[2].partition("}")[0]
    return {role: (light, dark) for role, light, dark in _COLOURS.findall(body)}


def themes(console_css: str, contrast_css: str) -> dict[str, dict[str, str]]:
    """{theme: {role: colour}} of the four ways a page can look."""
    usual = roles(console_css, ":root")
    high = {**usual, **roles(contrast_css, '[data-theme="contrast"]')}
    return {
        "light": {role: pair[0] for role, pair in usual.items()},
        "dark": {role: pair[1] for role, pair in usual.items()},
        "high contrast, light": {role: pair[0] for role, pair in high.items()},
        "high contrast, dark": {role: pair[1] for role, pair in high.items()},
    }


def ratios(colours: Mapping[str, str], *, text: float = AA) -> list[Ratio]:
    """Every pair of roles that meet on a page, against what it has to reach."""
    asked = [(ink, ground, text) for ink in INKS for ground in GROUNDS]
    asked += [(ink, ground, text) for ink, ground in PAIRS]
    asked += [("ink", ground, AAA) for ground in CONTENT_GROUNDS]
    asked += [(line, ground, CONTROLS) for line in ("line-strong", "accent") for ground in GROUNDS]
    return [
        Ratio(ink, ground, contrast(colours[ink], colours[ground]), least)
        for ink, ground, least in asked
    ]


def contrast(one: str, other: str) -> float:
    """1 (the same) to 21 (black on white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """#000000 → 0, #ffffff → 1."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
