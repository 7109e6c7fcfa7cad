"""Counts over months and years, a row of bars for each sort. PURE: words come from the caller."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from .charts import BOTTOM, RIGHT, TOP, Box, Plot, Tick, scale, short

_LEFT, _WIDTH, _ROW, _GAP = 150, 640, 44, 8
_WIDEST = 28
_MOST_WEEKS, _MOST_MONTHS = 26, 36
_MOST_LABELS = 5


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
    most = max(max(one) for one in sums)
    step = (_WIDTH - RIGHT - _LEFT) / len(periods)
    plot = Plot(
        id=id,
        title=words.title,
        description=words.description,
        x_label="",
        y_label="",
        x_ticks=[],
        y_ticks=[],
        width=_WIDTH,
        height=TOP + BOTTOM + _ROW * len(rows),
        kind="wide",
        left=_LEFT,
        head=(words.since, *(row.name for row in rows)),
    )
    every = -(-len(periods) // _MOST_LABELS)
    names = [_name(period, starts_of) for period in periods]
    plot.x_ticks = [
        Tick(round(_LEFT + step * (n + 0.5), 1), names[n]) for n in range(0, len(periods), every)
    ]
    width = round(min(step * 0.8, _WIDEST), 1)
    for number, row in enumerate(rows):
        zero = TOP + _ROW * (number + 1)
        y = scale(0, most, zero, zero - _ROW + _GAP)
        plot.y_ticks.append(Tick(zero, f"{short(row.name)}  {sum(sums[number]):,}"))
        for n, count in enumerate(sums[number]):
            if count:
                x = round(_LEFT + step * (n + 0.5) - width / 2, 1)
                height = round(max(zero - y(count), 1.5), 1)
                top = round(zero - height, 1)
                title = f"{row.name}, {names[n]}: {count:,}"
                plot.boxes.append(Box(x, top, width, height, row.kind, title))
    for n in reversed(range(len(periods))):
        if any(one[n] for one in sums):
            plot.rows.append((names[n], *(f"{one[n]:,}" for one in sums)))
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
