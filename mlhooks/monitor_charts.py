"""Small charts of what is watched, out of what reviews/charts.py draws with. PURE: no rows, no
Django."""

from collections.abc import Sequence
from datetime import datetime

from reviews.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Bar,
    Dot,
    Line,
    Plot,
    Tick,
    path,
    percent,
    scale,
)
from reviews.wording import figure
from reviews.wording import gettext as _

from .drift import Band, Bound

WIDTH, HEIGHT = 340, 200
_WIDTH_OF_BANDS = 500  # drawn as wide as it is, so that its words are no larger than the page's
_LEFT_OF_BANDS = 84
_BAND = 30


def band_plot(policy: str, bands: Sequence[Band], *, prefix: str) -> Plot | None:
    """What each band promises (hollow) and what reviewers confirmed, with its 95 % interval."""
    if not bands:
        return None
    height = TOP + BOTTOM + _BAND * len(bands)
    x = scale(0, 1, _LEFT_OF_BANDS, _WIDTH_OF_BANDS - RIGHT)
    plot = Plot(
        id=f"{prefix}-bands",
        title=_("%(policy)s: promised and confirmed") % {"policy": policy},
        description=_(
            "Filled, with a 95 % interval: the share that reviewers found violating. Hollow: the "
            "mean probability that the model gave."
        ),
        x_label=_("Share that violates"),
        y_label="",
        x_ticks=[Tick(x(at), percent(at)) for at in (0, 0.5, 1)],
        y_ticks=[Tick(TOP + _BAND * (n + 0.5), name_of(one)) for n, one in enumerate(bands)],
        width=_WIDTH_OF_BANDS,
        height=height,
        left=_LEFT_OF_BANDS,
        head=(_("Score"), _("Promised"), _("Confirmed"), _("95 % interval"), _("Labels")),
    )
    for n, one in enumerate(bands):
        y = TOP + _BAND * (n + 0.5)
        found = one.confirmed
        spread = f"{percent(found.low)}–{percent(found.high)}"
        plot.bars.append(
            Bar(
                x(found.low),
                x(found.high),
                x(found.value),
                y,
                "candidate",
                _("%(band)s: %(share)s confirmed (%(spread)s)")
                % {"band": name_of(one), "share": percent(found.value), "spread": spread},
            )  # fmt: skip
        )
        plot.bars.append(
            Bar(
                x(one.promised),
                x(one.promised),
                x(one.promised),
                y,
                "champion",
                _("%(band)s: %(share)s promised")
                % {"band": name_of(one), "share": percent(one.promised)},
            )  # fmt: skip
        )
        plot.rows.append(
            (
                name_of(one),
                percent(one.promised),
                percent(found.value),
                spread,
                figure(found.n),
            )
        )
    return plot


def trend_plot(
    title: str, points: Sequence[tuple[datetime, float]], bound: Bound, *, prefix: str
) -> Plot | None:
    """One figure over the looks, with the bound that opens an alert. None for fewer than two."""
    if len(points) < 2:
        return None
    values = [value for _rest, value in points]
    most = 1.0 if bound.is_least else max(*values, bound.opens) * 1.1
    first, last = points[0][0].timestamp(), points[-1][0].timestamp()
    x = scale(first, max(last, first + 1), LEFT, WIDTH - RIGHT)
    y = scale(0, most, HEIGHT - BOTTOM, TOP)
    plot = Plot(
        id=f"{prefix}-trend",
        title=title,
        description=_words_of(bound),
        x_label="",
        y_label="",
        x_ticks=[Tick(x(at.timestamp()), f"{at:%m-%d}") for at, _rest in (points[0], points[-1])],
        y_ticks=[Tick(y(part * most), figure(part * most, 2)) for part in (0, 0.5, 1)],
        width=WIDTH,
        height=HEIGHT,
        head=(_("Look"), _("Figure")),
        rows=[(f"{at:%Y-%m-%d %H:%M}", figure(value, 3)) for at, value in reversed(points)],
    )
    plot.lines.append(
        Line(
            path([(LEFT, y(bound.opens)), (WIDTH - RIGHT, y(bound.opens))]),
            "faint",
            _("alert"),
            LEFT + 4,
            y(bound.opens) - 4,
            "start",
        )
    )
    plot.lines.append(
        Line(
            path([(x(at.timestamp()), y(value)) for at, value in points]),
            "candidate",
            "",
            0,
            0,
            "start",
        )
    )
    for at, value in points:
        plot.dots.append(
            Dot(x(at.timestamp()), y(value), 3, "candidate", f"{at:%Y-%m-%d}: {figure(value, 3)}")
        )
    return plot


def name_of(band: Band) -> str:
    return f"{figure(band.low)}–{figure(band.high)}"


def _words_of(bound: Bound) -> str:
    ends = {"opens": figure(bound.opens), "closes": figure(bound.closes)}
    if bound.is_least:
        return _("Alert below %(opens)s, over again above %(closes)s.") % ends
    return _("Alert above %(opens)s, over again below %(closes)s.") % ends
