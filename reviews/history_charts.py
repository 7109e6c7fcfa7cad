"""Counts over months and years, a row of bars for each sort. PURE: words come from the caller."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from .charts import BOTTOM, RIGHT, TOP, Box, Plot, Tick, scale, short

_WIDEST = 28
_MOST_WEEKS, _MOST_MONTHS = 26, 36


class _Frame(NamedTuple):
    """Room for the bars: names stand beside their row, or above it where the page is narrow."""

    width: int
    left: int
    right: int
    row: int
    gap: int  # of a row, above its highest bar
    labels: int  # under the axis, at most
    names_above: bool = False


_WIDE = _Frame(640, 150, RIGHT, 44, 8, labels=5)
_NARROW = _Frame(340, 30, 36, 60, 26, labels=3, names_above=True)


class Row(NamedTuple):
    """One sort: name, class of its bars in evidence.css, decisions by the Monday of a week."""

    name: str
    kind: str
    weeks: dict[date, int]


class Words(NamedTuple):
    title: str
    description: str
    since: str  # head of the table behind it


def rows_plot(rows: Sequence[Row], words: Words, *, until: date, id: str) -> Plot | None:
    """Bars by week, month or year, whichever leaves few enough; None where there is nothing."""
    mondays = [week for row in rows for week in row.weeks]
    if not mondays:
        return None
    periods, starts_of = _periods(min(mondays), max(until, *mondays))
    sums = [[0] * len(periods) for _ in rows]
    place = {period: n for n, period in enumerate(periods)}
    for number, row in enumerate(rows):
        for week, count in row.weeks.items():
            sums[number][place[starts_of(week)]] += count
    names = [_name(period, starts_of) for period in periods]
    plot = _draw(rows, sums, names, words, id=id, frame=_WIDE)
    plot.narrow = _draw(rows, sums, names, words, id=f"{id}-narrow", frame=_NARROW)
    for n in reversed(range(len(periods))):
        if any(one[n] for one in sums):
            plot.rows.append((names[n], *(f"{one[n]:,}" for one in sums)))
    return plot


def _draw(
    rows: Sequence[Row],
    sums: list[list[int]],
    names: list[str],
    words: Words,
    *,
    id: str,
    frame: _Frame,
) -> Plot:
    """One picture: a row of bars a sort, from its own zero, all to one scale."""
    most = max(max(one) for one in sums)
    step = (frame.width - frame.right - frame.left) / len(names)
    every = -(-len(names) // frame.labels)
    plot = Plot(
        id=id,
        title=words.title,
        description=words.description,
        x_label="",
        y_label="",
        x_ticks=[
            Tick(round(frame.left + step * (n + 0.5), 1), names[n])
            for n in range(0, len(names), every)
        ],
        y_ticks=[],
        width=frame.width,
        height=TOP + BOTTOM + frame.row * len(rows),
        kind="wide",
        left=frame.left,
        head=(words.since, *(row.name for row in rows)),
    )
    width = round(min(step * 0.8, _WIDEST), 1)
    for number, row in enumerate(rows):
        zero = TOP + frame.row * (number + 1)
        y = scale(0, most, zero, zero - frame.row + frame.gap)
        name = row.name if frame.names_above else short(row.name)
        plot.y_ticks.append(Tick(zero, f"{name}  {sum(sums[number]):,}"))
        for n, count in enumerate(sums[number]):
            if count:
                x = round(frame.left + step * (n + 0.5) - width / 2, 1)
                height = round(max(zero - y(count), 1.5), 1)
                top = round(zero - height, 1)
                title = f"{row.name}, {names[n]}: {count:,}"
                plot.boxes.append(Box(x, top, width, height, row.kind, title))
    return plot


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month(day: date) -> date:
    return day.replace(day=1)


def _year(day: date) -> date:
    return day.replace(month=1, day=1)


def _periods(first: date, last: date):
    weeks = (_week(last) - _week(first)).days // 7 + 1
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if weeks <= _MOST_WEEKS:
        return [_week(first) + timedelta(weeks=n) for n in range(weeks)], _week
    if months <= _MOST_MONTHS:
        start = first.year * 12 + first.month - 1
        return [date((start + n) // 12, (start + n) % 12 + 1, 1) for n in range(months)], _month
    return [date(year, 1, 1) for year in range(first.year, last.year + 1)], _year


def _name(period: date, starts_of) -> str:
    if starts_of is _year:
        return f"{period:%Y}"
    return f"{period:%Y-%m}" if starts_of is _month else f"{period:%Y-%m-%d}"
