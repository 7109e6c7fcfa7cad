"""The week to come as figures: a heat strip of all queues, lines and bands of one. PURE."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .charts import (
    BOTTOM,
    LEFT,
    LEFT_OF_NAMES,
    RIGHT,
    TOP,
    Area,
    Box,
    Line,
    Plot,
    Tick,
    between,
    path,
    percent,
    round_step,
    scale,
    short,
)
from .wording import figure
from .wording import gettext as _

_CELL, _ROW = 7, 28


_HEAT = (0.02, 0.2, 0.5, 0.8)  # where the next shade begins


class Strip(NamedTuple):
    """One queue of a heat strip."""

    name: str
    shares: Sequence[float]  # by hour


def heat_plot(strips: Sequence[Strip], labels: Sequence[str], days: Sequence[Tick]) -> Plot:
    """Chance that what comes in an hour is answered late: queue by hour. `labels` name the hours,
    `days` say at which of them a day begins."""
    left = LEFT_OF_NAMES
    many = len(labels)
    plot = Plot(
        id="heat",
        title=_("Chance that an item which comes in then is answered late"),
        description=_("An hour a cell, darker is likelier: %(shades)s.")
        % {"shades": ", ".join(_shade_words())},
        x_label="",
        y_label="",
        x_ticks=[Tick(left + _CELL * (day.at + 12), day.label) for day in days if day.at < many],
        y_ticks=[],
        width=left + _CELL * many + RIGHT,
        height=TOP + BOTTOM + _ROW * len(strips),
        left=left,
        kind="wide",
        head=(_("Queue"), _("From"), _("Chance")),
    )
    for n, strip in enumerate(strips):
        plot.y_ticks.append(Tick(TOP + _ROW * n + (_ROW - 4) / 2, short(strip.name)))
        for hour, share in enumerate(strip.shares):
            plot.boxes.append(
                Box(
                    left + _CELL * hour,
                    TOP + _ROW * n,
                    _CELL - 1,
                    _ROW - 4,
                    f"heat-{shade(share)}",
                    f"{strip.name}, {labels[hour]}: {percent(share)}",
                )
            )
        for first, last, words in _runs(strip.shares):
            until = labels[last + 1] if last + 1 < many else _("the end")
            plot.rows.append((strip.name, between(labels[first], until), words))
    return plot


def shade(share: float) -> int:
    return sum(share >= least for least in _HEAT)


def _shade_words() -> list[str]:
    ends = [*_HEAT, 1.0]
    return [f"{percent(low)}–{percent(high)}" for low, high in zip(ends, ends[1:], strict=False)]


def _runs(shares: Sequence[float]) -> list[tuple[int, int, str]]:
    """Hours that follow each other in one shade: first, last, and the chances in words."""
    found = []
    first = 0
    for hour in range(1, len(shares) + 1):
        if hour == len(shares) or shade(shares[hour]) != shade(shares[first]):
            low, high = min(shares[first:hour]), max(shares[first:hour])
            words = percent(high) if percent(low) == percent(high) else ""
            found.append((first, hour - 1, words or between(percent(low), percent(high))))
            first = hour
    return found


class Series(NamedTuple):
    """Values by hour: with low and high, a band; without, a line."""

    label: str
    kind: str
    middle: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def week_plot(
    series: Sequence[Series],
    labels: Sequence[str],
    days: Sequence[Tick],
    *,
    id: str,
    title: str,
    description: str,
    y_label: str,
    is_step: bool = False,
) -> Plot:
    """Lines, with bands where they have them, over the hours of a week."""
    width, height, many = 1320, 260, len(labels)
    highest = max(
        max(one.high if one.high is not None else one.middle, default=0) for one in series
    )
    step = round_step(max(highest, 1) * 1.05, 4)
    if is_step:
        step = max(step, 1.0)
    top = math.ceil(max(highest, 1) * 1.02 / step) * step
    x = scale(0, many, LEFT, width - RIGHT)
    y = scale(0, top, height - BOTTOM, TOP)
    plot = Plot(
        id=id,
        title=title,
        description=description,
        x_label="",
        y_label=y_label,
        x_ticks=[Tick(x(min(day.at + 12, many)), day.label) for day in days if day.at < many],
        y_ticks=[
            Tick(y(step * n), figure(round(step * n, 6))) for n in range(round(top / step) + 1)
        ],
        width=width,
        height=height,
        kind="wide",
        head=(_("From"), *(one.label for one in series)),
    )
    places: list[float] = []
    for one in series:
        if one.low is not None and one.high is not None:
            upper = [(x(hour + 0.5), y(value)) for hour, value in enumerate(one.high)]
            lower = [(x(hour + 0.5), y(value)) for hour, value in enumerate(one.low)]
            plot.areas.append(Area(path([*upper, *lower[::-1]]) + "Z", one.kind))
        points = [(x(hour + 0.5), y(value)) for hour, value in enumerate(one.middle)]
        if is_step:
            points = [
                (x(hour + side), y(value))
                for hour, value in enumerate(one.middle)
                for side in (0, 1)
            ]
        # A name where its line is highest; names keep out of each other's way.
        best = max(range(many), key=lambda hour: one.middle[hour])
        at = max(y(one.middle[best]) - 6, TOP + 10)
        while any(abs(at - other) < 14 for other in places):
            at += 14
        places.append(at)
        is_late = best > many / 2
        plot.lines.append(
            Line(path(points), one.kind, one.label, x(best), at, "end" if is_late else "start")
        )
    for hour in range(0, many, 3):
        plot.rows.append((labels[hour], *(_cell(one, hour) for one in series)))
    return plot


def _cell(one: Series, hour: int) -> str:
    text = figure(round(float(one.middle[hour]), 1))
    if one.low is not None and one.high is not None:
        text += f" ({figure(one.low[hour], 0)}–{figure(one.high[hour], 0)})"
    return text
