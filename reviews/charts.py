"""Figures for pages: numbers in, geometry out; templates/reviews/_plot.html draws it as SVG.

Colours are classes of charts.css, so both themes and print get theirs. What every figure is made of
stands first, then those of replays; week_charts.py has the forecasts'. PURE: no rows, no Django.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .wording import figure, ngettext, noop
from .wording import gettext as _

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 40


class Tick(NamedTuple):
    at: float
    label: str


class Line(NamedTuple):
    path: str
    kind: str  # "candidate", "champion", "faint": a class of charts.css
    label: str
    label_x: float
    label_y: float
    label_end: str  # text-anchor: "start", "middle" or "end"


class Dot(NamedTuple):
    x: float
    y: float
    radius: float
    kind: str
    title: str


class Bar(NamedTuple):
    """A horizontal interval with its estimate."""

    x1: float
    x2: float
    x: float
    y: float
    kind: str
    title: str


class Area(NamedTuple):
    """A band around a line."""

    path: str
    kind: str


class Box(NamedTuple):
    """A rectangle: a bar from its zero, or a cell of a heat strip."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass
class Plot:
    id: str
    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    kind: str = ""  # "wide": scrolls inside its frame rather than shrink
    head: tuple[str, ...] = ()  # the table behind it
    rows: list[tuple[str, ...]] = field(default_factory=list)
    narrow: "Plot | None" = None  # the same for a phone, where shrinking would make it unreadable

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM

    @property
    def middle_x(self) -> float:
        return (self.left + self.right) / 2

    @property
    def middle_y(self) -> float:
        return (TOP + self.bottom) / 2

    top = TOP


def scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    return lambda value: round(start + (value - low) / (high - low) * (stop - start), 1)


def path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


# Replays

# Order → its class in charts.css and its name on a chart.
_LOOKS = {
    "fifo": ("fifo", noop("First in, first out")),
    "risk": ("risk", noop("Risk only")),
    "today": ("today", noop("Today’s formula")),
    "candidate": ("candidate", noop("Candidate")),
    "oracle": ("oracle", noop("Perfect knowledge")),
}
_BAND = 40
LEFT_OF_NAMES = 132


def percent(value: float | None, *, sign: bool = False) -> str:
    """0.183 → "18 %", with a real minus; one decimal below 10 %."""
    if value is None:
        return "–"
    share = 100 * value
    text = figure(abs(share), 0) if abs(share) >= 10 else figure(round(abs(share), 1))
    if text == "0":
        return "0\u202f%"
    mark = "−" if share < 0 else "+" if sign else ""
    return f"{mark}{text}\u202f%"


def signed(value: float) -> str:
    """-1234.4 → "−1,234", 3 → "+3", 0.2 → "0"."""
    text = figure(abs(value), 0)
    return text if text == "0" else f"{'−' if value < 0 else '+'}{text}"


def hours(value: float | None) -> str:
    """0.2 → "12 min", 5.25 → "5.3 h"; None: longer than the replay."""
    if value is None:
        return _("not reached")
    minutes = value * 60
    if minutes < 1:
        return _("%(count)s s") % {"count": figure(minutes * 60, 0)}
    if minutes < 90:
        return _("%(count)s min") % {"count": figure(minutes, 0 if minutes >= 10 else 1)}
    if value < 48:
        return _("%(count)s h") % {"count": figure(value, 1)}
    return _("%(count)s days") % {"count": figure(value / 24, 1)}


def between(low: str, high: str) -> str:
    """ "3 h", "5 h" → "3 h to 5 h"."""
    return _("%(low)s to %(high)s") % {"low": low, "high": high}


def views_plot(result: Mapping[str, Any], *, base: str = "fifo") -> Plot:
    """Change in views of violating items against one order: a dot and its interval each."""
    found = result["against"][base]
    names = [name for name in ("risk", "today", "candidate", "oracle") if name in found]
    changes = {name: found[name]["views"] for name in names}
    ends = [
        end
        for change in changes.values()
        for end in (change["low"], change["high"])
        if end is not None
    ]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    step = round_step(high - low or 0.1, 4)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        high = low + step
    x = scale(low, high, LEFT_OF_NAMES, WIDTH - RIGHT)
    ticks = [low + step * n for n in range(round((high - low) / step) + 1)]
    plot = Plot(
        id="views",
        title=_("Views of violating items before the decision"),
        description=_("Against first in, first out; further left is better. Lines: 95 % interval."),
        x_label=_("Change in views"),
        y_label="",
        x_ticks=[Tick(x(at), percent(at, sign=True) if at else "0") for at in ticks],
        y_ticks=[Tick(TOP + _BAND * (n + 0.5), _(_LOOKS[name][1])) for n, name in enumerate(names)],
        height=TOP + BOTTOM + _BAND * len(names),
        left=LEFT_OF_NAMES,
        head=(_("Order"), _("Views"), _("Against first in, first out"), _("95 % interval")),
    )
    plot.lines.append(
        Line(path([(x(0), TOP), (x(0), plot.bottom)]), "faint", "", 0, 0, "start"),
    )
    for n, name in enumerate(names):
        change = changes[name]
        plot.rows.append(
            (
                _(_LOOKS[name][1]),
                _count(result["orders"][name]["views"]["value"]),
                percent(change["value"], sign=True),
                between(percent(change["low"], sign=True), percent(change["high"], sign=True)),
            )
        )
        if change["value"] is None:
            continue
        left = change["low"] if change["low"] is not None else change["value"]
        right = change["high"] if change["high"] is not None else change["value"]
        plot.bars.append(
            Bar(
                x(left),
                x(right),
                x(change["value"]),
                TOP + _BAND * (n + 0.5),
                _LOOKS[name][0],
                f"{_(_LOOKS[name][1])}: {plot.rows[-1][2]} ({plot.rows[-1][3]})",
            )
        )
    plot.rows.insert(
        0, (_(_LOOKS["fifo"][1]), _count(result["orders"]["fifo"]["views"]["value"]), "0", "–")
    )
    return plot


def curve_plot(result: Mapping[str, Any]) -> Plot | None:
    """Share of the violating items decided within a time, an order a line; time is logarithmic."""
    curves = {name: result["orders"][name]["curve"] for name in _LOOKS}
    times = [max(at, 1 / 120) for curve in curves.values() for at, _share in curve]
    if not times:
        return None
    low, high = math.log10(min(times)), math.log10(max(times))
    high = max(high, low + 0.5)
    x_log, y = scale(low, high, LEFT, WIDTH - RIGHT), scale(0, 1, HEIGHT - BOTTOM, TOP)

    def x(at: float) -> float:
        return x_log(math.log10(max(at, 1 / 120)))

    ticks = [
        Tick(x(at), words % {"count": count})
        for at, count, words in (
            (1 / 60, 1, _("%(count)s min")),
            (1 / 6, 10, _("%(count)s min")),
            (1, 1, _("%(count)s h")),
            (4, 4, _("%(count)s h")),
            (24, 1, ngettext("%(count)s day", "%(count)s days", 1)),
            (96, 4, _("%(count)s days")),
            (384, 16, _("%(count)s days")),
        )
        if low <= math.log10(at) <= high
    ]
    plot = Plot(
        id="curves",
        title=_("Time to the decision, violating items"),
        description=_("Share of them decided within that time; further up and left is better."),
        x_label=_("Time to the decision (logarithmic)"),
        y_label=_("Share decided"),
        x_ticks=ticks,
        y_ticks=[Tick(y(share), percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)],
        head=(
            _("Order"),
            _("Half within"),
            _("95 % interval"),
            _("Nine in ten within"),
            _("95 % interval"),
        ),
    )
    heights = {"fifo": 0.9, "risk": 0.28, "today": 0.66, "candidate": 0.46, "oracle": 0.12}
    for name, curve in curves.items():
        kind, label = _LOOKS[name][0], _(_LOOKS[name][1])
        orders = result["orders"][name]
        plot.rows.append(
            (
                label,
                hours(orders["wait_p50"]["value"]),
                _hours_between(orders["wait_p50"]),
                hours(orders["wait_p90"]["value"]),
                _hours_between(orders["wait_p90"]),
            )
        )
        if not curve:
            continue
        near = min(curve, key=lambda point: abs(point[1] - heights[name]))
        at = x(near[0])
        on_left = at > (LEFT + WIDTH - RIGHT) / 2
        plot.lines.append(
            Line(
                path([(x(hour), y(share)) for hour, share in curve]),
                kind,
                label,
                at + (-8 if on_left else 8),
                y(near[1]) + 4,
                "end" if on_left else "start",
            )
        )
    return plot


def promise_plot(result: Mapping[str, Any]) -> Plot:
    """Share answered within the promise: bars from zero, with intervals."""
    x = scale(0, 1, LEFT_OF_NAMES, WIDTH - RIGHT)
    plot = Plot(
        id="promise",
        title=_("Answered in time"),
        description=_(
            "Share of all items, violating or not, within what the queue promises today."
        ),
        x_label=_("Share answered in time"),
        y_label="",
        x_ticks=[Tick(x(share), percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)],
        y_ticks=[
            Tick(TOP + _BAND * (n + 0.5), _(_LOOKS[name][1])) for n, name in enumerate(_LOOKS)
        ],
        height=TOP + BOTTOM + _BAND * len(_LOOKS),
        left=LEFT_OF_NAMES,
        head=(
            _("Order"),
            _("In time"),
            _("95 % interval"),
            _("A clean item waits"),
            _("95 % interval"),
        ),
    )
    for n, (name, (kind, msgid)) in enumerate(_LOOKS.items()):
        label = _(msgid)
        share, wait = result["orders"][name]["in_time"], result["orders"][name]["clean_wait"]
        interval = between(percent(share["low"]), percent(share["high"]))
        plot.rows.append(
            (label, percent(share["value"]), interval, hours(wait["value"]), _hours_between(wait))
        )
        if share["value"] is None:
            continue
        title = f"{label}: {percent(share['value'])} ({interval})"
        top = TOP + _BAND * n + 10
        plot.boxes.append(
            Box(x(0), top, round(x(share["value"]) - x(0), 1), _BAND - 20, kind, title)
        )
        low, high = share["low"], share["high"]
        if low is not None and high is not None:
            plot.bars.append(Bar(x(low), x(high), x(share["value"]), top + 10, "thin", title))
    return plot


def _hours_between(interval: Mapping[str, float | None]) -> str:
    return between(hours(interval["low"]), hours(interval["high"]))


def _count(value: float | None) -> str:
    return "–" if value is None else figure(value, 0)


def round_step(span: float, parts: int) -> float:
    """A round step that divides `span` into about `parts`."""
    rough = span / parts
    size = 10.0 ** math.floor(math.log10(rough))
    return next(step * size for step in (1, 2, 2.5, 5, 10) if step * size >= rough * 0.999)
