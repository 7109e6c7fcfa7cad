"""PURE. The live learning curve and the lanes' yield, as plots of reviews/charts.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from reviews.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Area,
    Bar,
    Dot,
    Line,
    Plot,
    Tick,
    path,
    scale,
)
from reviews.wording import gettext as _

# Back to front: the lane that is on trial is drawn over what it is held against.
ARMS = (("random", "champion"), ("learning", "candidate"))
LANES = ("learning", "random", "risk")
_BAND = 44
_LEFT_OF_NAMES = 96


def names() -> dict[str, str]:
    return {"learning": _("Learning lane"), "random": _("Random lane"), "risk": _("Risk lane")}


def curve_plot(policy: str, found: Mapping[str, Any], *, prefix: str) -> Plot | None:
    """AUPRC over labels, a line a lane in its 95 % band. None where it could not be measured."""
    if not found.get("arms"):
        return None
    labels, called = found["labels"], names()
    most = max(
        (one["interval"] or [0, one["auprc"]])[1]
        for points in found["arms"].values()
        for one in points
    )
    top = min(1.0, (int(most * 10) + 1) / 10)
    x = scale(0, labels[-1], LEFT, WIDTH - RIGHT)
    y = scale(0, top, HEIGHT - BOTTOM, TOP)
    plot = Plot(
        id=f"{prefix}-curve",
        title=policy,
        description=_words(found),
        x_label=_("Labels of that lane alone"),
        y_label="AUPRC",
        x_ticks=[Tick(x(at), f"{at:,}") for at in _ticks(labels[-1])],
        y_ticks=[Tick(y(top * n / 4), f"{top * n / 4:.2f}") for n in range(5)],
        head=(_("Labels"), *(words for arm in ("learning", "random") for words in _head(arm))),
        rows=[
            (
                f"{count:,}",
                *(cell for arm in ("learning", "random") for cell in _cells(found, arm, n)),
            )
            for n, count in enumerate(labels)
        ],
    )
    ends = {arm: y(found["arms"][arm][-1]["auprc"]) for arm, _kind in ARMS}
    is_above = ends["learning"] <= ends["random"]
    for arm, kind in ARMS:
        points = found["arms"][arm]
        line = [(x(count), y(one["auprc"])) for count, one in zip(labels, points, strict=True)]
        bands = [one["interval"] or [one["auprc"]] * 2 for one in points]
        edge = [(x(count), y(high)) for count, (_low, high) in zip(labels, bands, strict=True)]
        edge += [
            (x(count), y(low))
            for count, (low, _high) in zip(labels[::-1], bands[::-1], strict=True)
        ]
        plot.areas.append(Area(f"{path(edge)}Z", kind))
        # Clear of the line's last third, over or under all of it.
        near = [at_y for at_x, at_y in line if at_x >= LEFT + 0.6 * (WIDTH - RIGHT - LEFT)]
        at = min(near) - 8 if is_above == (arm == "learning") else max(near) + 16
        plot.lines.append(
            Line(path(line), kind, called[arm], WIDTH - RIGHT - 2, max(at, TOP + 10), "end")
        )
        for count, one, (at_x, at_y) in zip(labels, points, line, strict=True):
            dot = "candidate" if arm == "learning" else "series-3"
            title = f"{called[arm]}, {count:,}: {_figure(one)}"
            plot.dots.append(Dot(at_x, at_y, 3, dot, title))
    return plot


def yield_plot(lanes: Mapping[str, Any]) -> Plot | None:
    """Violations found per 100 labels, with the 95 % interval, a lane a band."""
    rows = {lane: lanes[lane] for lane in LANES if lanes[lane]["n"]}
    if not rows:
        return None
    called = names()
    most = 100 * max(one["interval"][1] for one in rows.values())
    top = next(end for end in (1, 2, 5, 10, 20, 50, 100) if most <= end)
    x = scale(0, top, _LEFT_OF_NAMES, WIDTH - RIGHT)
    plot = Plot(
        id="yield",
        title=_("Violations found in 100 labels"),
        description=_("Lines: 95 % interval (Wilson). What a lane finds is what it was asked for."),
        x_label=_("Violations in 100 labels"),
        y_label="",
        x_ticks=[Tick(x(top * n / 4), f"{top * n / 4:g}") for n in range(5)],
        y_ticks=[Tick(TOP + _BAND * (n + 0.5), called[lane]) for n, lane in enumerate(rows)],
        height=TOP + BOTTOM + _BAND * len(rows),
        left=_LEFT_OF_NAMES,
        head=(_("Lane"), _("Labels"), _("Violations"), _("In 100 labels"), _("95 % interval")),
    )
    for n, (lane, one) in enumerate(rows.items()):
        share, (low, high) = one["violating"] / one["n"], one["interval"]
        words, between = _per_hundred(one)
        plot.bars.append(
            Bar(
                x(100 * low),
                x(100 * high),
                x(100 * share),
                TOP + _BAND * (n + 0.5),
                "candidate" if lane == "learning" else "champion",
                f"{called[lane]}: {words} ({between})",
            )
        )
        plot.rows.append((called[lane], f"{one['n']:,}", f"{one['violating']:,}", words, between))
    return plot


def yield_cells(lanes: Mapping[str, Any], slug: str) -> list[dict[str, str]]:
    """One policy's, a cell a lane: "12.3 (8.1–18.0)", a dash where nothing was judged."""
    called, found = names(), []
    for lane in LANES:
        one = lanes[lane]["policies"][slug]
        words = "{} ({})".format(*_per_hundred(one)) if one["n"] else "–"
        found.append({"lane": called[lane], "words": words})
    return found


def _per_hundred(one: Mapping[str, Any]) -> tuple[str, str]:
    low, high = one["interval"]
    share = 100 * one["violating"] / one["n"]
    return f"{share:.1f}", f"{100 * low:.1f}–{100 * high:.1f}"


def _words(found: Mapping[str, Any]) -> str:
    """Where both lanes have as many labels, which taught more, and on what that was measured."""
    of = _("random-lane rows") if found["of"] == "random lane" else _("test rows")
    words = _("Measured on %(n)s %(of)s that no part holds, %(positives)s of them violating.") % {
        "n": f"{found['n']:,}",
        "of": of,
        "positives": f"{found['positives']:,}",
    }
    difference = found.get("difference") or {}
    if difference.get("value") is None or not difference.get("interval"):
        return words
    low, high = difference["interval"]
    known = {
        "labels": f"{found['labels'][-1]:,}",
        "value": _signed(difference["value"]),
        "low": _signed(low),
        "high": _signed(high),
    }
    if low > 0 or high < 0:
        verdict = _(
            "At %(labels)s labels the learning lane's AUPRC differs from the random lane's by "
            "%(value)s (95 %% interval %(low)s to %(high)s)."
        )
    else:
        verdict = _(
            "At %(labels)s labels the two cannot be told apart: they differ by %(value)s "
            "(95 %% interval %(low)s to %(high)s)."
        )
    return f"{words} {verdict % known}"


def _head(arm: str) -> tuple[str, str]:
    return names()[arm], _("Violations in it")


def _cells(found: Mapping[str, Any], arm: str, n: int) -> tuple[str, str]:
    one = found["arms"][arm][n]
    return _figure(one), f"{one['violations']:,}"


def _figure(one: Mapping[str, Any]) -> str:
    if not one["interval"]:
        return f"{one['auprc']:.3f}"
    low, high = one["interval"]
    return f"{one['auprc']:.3f} ({low:.3f}–{high:.3f})"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _ticks(last: int) -> Sequence[int]:
    for step in (10, 20, 50, 100, 200, 500, 1000):
        if last / step <= 5:
            return range(0, last + 1, step)
    return (0, last)
