"""What a person meets who has no mouse, and what her screen reader is given."""

import pytest

from tests.test_access import World

# The element in focus: what it is, whether the focus shows, and whether something lies over it.
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const rows = [...one.getClientRects()];
  const first = rows[0] ?? box;
  const at = document.elementFromPoint(
    Math.min(Math.max(first.left + first.width / 2, 1), innerWidth - 2),
    Math.min(Math.max(first.top + Math.min(first.height / 2, 12), 1), innerHeight - 2));
  const label = one.labels?.[0];
  return {
    what: `${one.localName} ${one.name || one.id || one.textContent.trim().slice(0, 30)}`,
    shows: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2)
      || style.boxShadow !== 'none',
    is_seen: box.bottom > 0 && box.top < innerHeight && box.width > 0,
    is_free: !at || one.contains(at) || at.contains(one) || Boolean(label?.contains(at)),
  };
}"""


@pytest.fixture
def world(live_app):
    return World()


def walk(page, most=160):
    """Tab from the top to where it starts again: every stop, in order."""
    stops = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None or (stops and stop == stops[0]):
            break
        stops.append(stop)
    return stops


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["wide", "narrow"])
@pytest.mark.parametrize("which", ["desk", "set-up"])
def test_the_focus_goes_everywhere_and_is_always_seen(
    world, live_app, new_page, sign_in, which, size
):
    page = new_page(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    sign_in(page, world.people["rosa" if which == "desk" else "lena"])
    route = "reviews:review" if which == "desk" else "reviews:setup-action-edit"
    page.goto(live_app + world.url(route))
    page.evaluate("document.activeElement.blur(); window.getSelection().removeAllRanges()")
    stops = walk(page)
    assert len(stops) > 10
    wrong = [one for one in stops if not (one["shows"] and one["is_seen"] and one["is_free"])]
    assert not wrong, wrong


def test_a_setting_is_changed_and_saved_by_keyboard_alone(world, live_app, page, sign_in):
    sign_in(page, world.people["lena"])
    page.goto(live_app + world.url("reviews:setup-action-edit"))
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "name":
            break
    page.keyboard.press("Control+a")
    page.keyboard.type("Hide from everybody")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert world.queue.actions.get(slug="take-down").name == "Hide from everybody"


def test_a_screen_reader_finds_its_way_on_the_desk(world, live_app, page, sign_in):
    sign_in(page, world.people["rosa"])
    page.goto(live_app + world.url("reviews:review"))
    tree = page.locator("body").aria_snapshot()
    for part in (
        'link "Skip to the page"',
        "- banner",
        "- main",
        'region "Item"',
        'region "Decision"',
        'group "Policy"',
        'textbox "Note"',
        "Choose a policy, or 0 for none",
        "timer",
        "status",
    ):
        assert part in tree, f"{part}\n{tree}"
    nameless = [
        line
        for line in tree.splitlines()
        if line.strip().rstrip(":") in ("- button", "- link", "- checkbox", "- textbox", "- region")
    ]
    assert not nameless, nameless
    assert page.locator("#announce[role=status]").count() == 1


def test_nothing_moves_for_who_asked_for_less_motion(world, live_app, new_page, sign_in):
    page = new_page(reduced_motion="reduce")
    sign_in(page, world.people["rosa"])
    page.goto(live_app + world.url("reviews:review"))
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((one) => {
          const style = getComputedStyle(one);
          const times = `${style.transitionDuration},${style.animationDuration}`.split(',');
          return times.some((time) => parseFloat(time) > 0);
        }).map((one) => one.className || one.localName)"""
    )
    assert moving == []
