"""The colours, by computation: every pair of roles that meet on a page, in every theme."""

from pathlib import Path

import pytest

from reviews import palette

STATIC = Path(__file__).resolve().parent.parent / "static"
CONSOLE = (STATIC / "console.css").read_text()
CONTRAST = (STATIC / "contrast.css").read_text()
THEMES = palette.themes(CONSOLE, CONTRAST)


def test_the_ratio_is_the_one_of_wcag():
    # By hand: black on white is (1 + 0.05) / (0 + 0.05) = 21; #767676 on white is the known 4.54.
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_all_that_meet_stand_apart_as_far_as_they_have_to(theme):
    text = palette.AAA if theme.startswith("high") else palette.AA
    ratios = palette.ratios(THEMES[theme], text=text)
    assert len(ratios) > 40
    assert [one for one in ratios if not one.holds] == []


def test_a_pair_that_is_too_close_is_told():
    colours = {**THEMES["light"], "ink-soft": "#aaaaaa"}
    found = {one.ink for one in palette.ratios(colours) if not one.holds}
    assert found == {"ink-soft"}


def test_high_contrast_is_the_same_whether_she_or_her_system_asks_for_it():
    asked = palette.roles(CONTRAST, '[data-theme="contrast"]')
    assert asked == palette.roles(CONTRAST, '[data-theme="auto"]')
    assert asked.keys() == palette.roles(CONSOLE, ":root").keys(), "every role has its colour"
