"""The colours, by computation: every pair of roles that meet on a page, in every theme.

Ratios as WCAG 2.2 defines them: 4.5 for text (AA), 7 for the text under review (AAA), 3 for what
bounds a control or shows the focus.
"""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parent.parent / "static"
CONSOLE = (STATIC / "console.css").read_text()
CONTRAST = (STATIC / "contrast.css").read_text()
GROUNDS = ("surface", "panel", "sunk")
INKS = ("ink", "ink-soft", "ink-faint", "accent", "sev-1", "sev-2", "sev-3", "sev-4", "ok")
# Text on a ground of its own meaning.
PAIRS = [
    *((f"sev-{n}", f"sev-{n}-soft") for n in (1, 2, 3, 4)),
    *(("ink", f"sev-{n}-soft") for n in (1, 2, 3, 4)),
    ("ok", "ok-soft"),
    ("ink", "ok-soft"),
    ("accent", "accent-soft"),
    ("ink", "accent-soft"),
    ("ink", "mark"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
]


def block(css, opening):
    """{role: (light, dark)} of the rule that begins with `opening`."""
    body = css[css.index(opening) :].partition("{")[2].partition("}")[0]
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", body)
    return {role: (light, dark) for role, light, dark in found}


USUAL = block(CONSOLE, ":root {")
HIGH = {**USUAL, **block(CONTRAST, '[data-theme="contrast"] {')}
THEMES = {
    "light": {role: pair[0] for role, pair in USUAL.items()},
    "dark": {role: pair[1] for role, pair in USUAL.items()},
    "high contrast, light": {role: pair[0] for role, pair in HIGH.items()},
    "high contrast, dark": {role: pair[1] for role, pair in HIGH.items()},
}


def luminance(colour):
    """#ffffff → 1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    ]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def too_low(theme, pairs, least):
    colours = THEMES[theme]
    ratios = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    return {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < least}


def test_the_ratio_is_the_one_of_wcag():
    # By hand: black on white is (1 + 0.05) / (0 + 0.05) = 21; #767676 on white is the known 4.54.
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_can_be_read_on_every_ground(theme):
    pairs = [(ink, ground) for ink in INKS for ground in GROUNDS] + PAIRS
    least = 7 if theme.startswith("high") else 4.5
    assert too_low(theme, pairs, least) == {}


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_under_review_reaches_the_highest_level(theme):
    grounds = [*GROUNDS, "mark", "accent-soft", "ok-soft", "sev-2-soft", "sev-4-soft"]
    assert too_low(theme, [("ink", ground) for ground in grounds], 7) == {}


@pytest.mark.parametrize("theme", THEMES)
def test_controls_and_the_focus_stand_out_from_what_they_stand_on(theme):
    pairs = [(line, ground) for line in ("line-strong", "accent") for ground in GROUNDS]
    assert too_low(theme, pairs, 3) == {}


def test_high_contrast_is_the_same_whether_she_or_her_system_asks_for_it():
    asked = block(CONTRAST, '[data-theme="contrast"] {')
    assert asked == block(CONTRAST, '[data-theme="auto"] {')
    assert asked.keys() == USUAL.keys(), "every role has its colour"
