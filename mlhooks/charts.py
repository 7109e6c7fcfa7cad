"""The model pages' figures, out of what reviews/charts.py draws with. PURE: no rows, no Django."""

from collections.abc import Callable, Iterable, Sequence

from reviews.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Bar,
    Dot,
    Line,
    Plot,
    Tick,
    path,
    percent,
    scale,
    short,
)
from reviews.ranking import interval
from reviews.wording import figure
from reviews.wording import gettext as _


def pr_plot(
    policy: str,
    candidate: dict,
    champion: dict | None,
    *,
    label: str,
    champion_label: str,
    prefix: str,
) -> Plot | None:
    """Precision over recall, of the candidate and of the champion on the same rows."""
    if not candidate.get("pr_curve"):
        return None
    x, y = scale(0, 1, LEFT, WIDTH - RIGHT), scale(0, 1, HEIGHT - BOTTOM, TOP)
    plot = Plot(
        id=f"{prefix}-pr",
        title=_("%(policy)s: precision and recall") % {"policy": policy},
        description=_pr_words(candidate, champion, label, champion_label),
        x_label=_("Recall"),
        y_label=_("Precision"),
        x_ticks=_unit_ticks(x),
        y_ticks=_unit_ticks(y),
        head=(_("Recall at precision"), label, *([champion_label] if champion else [])),
    )
    base = candidate["base_rate"]
    plot.lines.append(
        Line(
            path([(x(0), y(base)), (x(1), y(base))]),
            "faint",
            _("chance %(share)s") % {"share": figure(base, 2)},
            x(1) - 2,
            y(base) - 5,
            "end",
        )
    )
    both = [(candidate, "candidate", label, 0.3, -8)]
    if champion and champion.get("pr_curve"):
        both.insert(0, (champion, "champion", champion_label, 0.62, 16))
    for report, kind, name, where, above in both:
        points = [(point["recall"], point["precision"]) for point in report["pr_curve"]]
        near = min(points, key=lambda point: abs(point[0] - where))
        plot.lines.append(
            Line(
                path([(x(recall), y(precision)) for recall, precision in points]),
                kind,
                name,
                x(near[0]),
                y(near[1]) + (above if y(near[1]) + above > TOP + 8 else 18),
                "middle",
            )
        )
    for level in ("0.5", "0.8", "0.9", "0.95"):
        found = [report["recall_at_precision"].get(level) for report, *_ in reversed(both)]
        plot.rows.append((level, *(_figure(value) for value in found)))
    return plot


def reliability_plot(policy: str, report: dict, *, label: str, prefix: str) -> Plot | None:
    """Share that violated over predicted probability, with its 95 % interval; a dot grows with its
    rows."""
    bins = [one for one in report.get("reliability", []) if one["size"]]
    if not bins:
        return None
    x, y = scale(0, 1, LEFT, WIDTH - RIGHT), scale(0, 1, HEIGHT - BOTTOM, TOP)
    largest = max(one["size"] for one in bins)
    intervals = [interval(one["observed"] * one["size"], one["size"]) for one in bins]
    plot = Plot(
        id=f"{prefix}-reliability",
        title=_("%(policy)s: calibration") % {"policy": policy},
        description=_(
            "Expected calibration error %(ece)s, Brier score %(brier)s, over %(rows)s test rows. "
            "On the diagonal, of items given 0.8, eight in ten violate."
        )
        % {
            "ece": _figure(report["ece"]),
            "brier": _figure(report["brier"]),
            "rows": figure(report["n"]),
        },
        x_label=_("Predicted probability"),
        y_label=_("Share that violates"),
        x_ticks=_unit_ticks(x),
        y_ticks=_unit_ticks(y),
        head=(_("Predicted"), _("Observed"), _("95 % interval"), _("Rows")),
        rows=[
            (
                _figure(one["predicted"]),
                _figure(one["observed"]),
                "–".join(_figure(end) for end in intervals[number]),
                figure(one["size"]),
            )
            for number, one in enumerate(bins)
        ],
    )
    for number, one in enumerate(bins):
        at = x(one["predicted"])
        low, high = intervals[number]
        plot.lines.append(Line(path([(at, y(low)), (at, y(high))]), "whisker", "", 0, 0, "start"))
    plot.lines.append(
        Line(
            path([(x(0), y(0)), (x(1), y(1))]), "faint", _("exact"), x(0.62), y(0.62) + 20, "start"
        )
    )
    points = [(x(one["predicted"]), y(one["observed"])) for one in bins]
    plot.lines.append(Line(path(points), "candidate", "", 0, 0, "start"))
    for one, (at_x, at_y) in zip(bins, points, strict=True):
        plot.dots.append(
            Dot(
                at_x,
                at_y,
                2.5 + 5 * (one["size"] / largest) ** 0.5,
                "candidate",
                _("%(rows)s rows given about %(predicted)s: %(observed)s violate")
                % {
                    "rows": figure(one["size"]),
                    "predicted": figure(one["predicted"], 2),
                    "observed": figure(one["observed"], 2),
                },
            )
        )
    return plot


def interval_plot(rows: Sequence[dict], *, label: str, champion_label: str) -> Plot | None:
    """AUPRC with its 95 % interval, a policy a band. Rows: {"name", "candidate", "champion"}."""
    rows = [row for row in rows if row["candidate"].get("auprc") is not None]
    if not rows:
        return None
    left, band = 144, 44
    height = TOP + BOTTOM + band * len(rows)
    x = scale(0, 1, left, WIDTH - RIGHT)
    plot = Plot(
        id="auprc",
        title=_("Area under precision and recall, with 95 % interval"),
        description=(
            _("Filled: %(label)s. Hollow: %(champion)s, the champion, on the same rows.")
            if champion_label
            else _("Filled: %(label)s.")
        )
        % {"label": label, "champion": champion_label},
        x_label="AUPRC",
        y_label="",
        x_ticks=_unit_ticks(x),
        y_ticks=[Tick(TOP + band * (n + 0.5), short(row["name"])) for n, row in enumerate(rows)],
        width=WIDTH,
        height=height,
        left=left,
        head=(_("Policy"), label, *([champion_label] if champion_label else [])),
    )
    for n, row in enumerate(rows):
        middle = TOP + band * (n + 0.5)
        cells = [row["name"]]
        for kind, shift in (("candidate", -7), ("champion", 7)):
            report = row[kind]
            if not report or report.get("auprc") is None:
                if kind == "candidate" or champion_label:
                    cells.append("–")
                continue
            low, high = report.get("auprc_interval") or [report["auprc"]] * 2
            words = f"{_figure(report['auprc'])} ({_figure(low)}–{_figure(high)})"
            cells.append(words)
            plot.bars.append(
                Bar(
                    x(low),
                    x(high),
                    x(report["auprc"]),
                    middle + (shift if champion_label else 0),
                    kind,
                    f"{label if kind == 'candidate' else champion_label}, {row['name']}: {words}",
                )
            )
        plot.rows.append(tuple(cells))
    return plot


def answer_plot(rows: Sequence[dict]) -> Plot | None:
    """Probabilities of one text with their 95 % intervals, a policy a band; a dashed line where the
    policy's threshold is. Rows: {"name", "probability", "low", "high", "threshold"}."""
    if not rows:
        return None
    left, band = 144, 32
    x = scale(0, 1, left, WIDTH - RIGHT)
    plot = Plot(
        id="answer",
        title=_("Probability of a violation, with 95 % interval"),
        description=_("Dashed: the threshold above which the model calls a text violating.")
        if any(row["threshold"] is not None for row in rows)
        else "",
        x_label=_("Probability"),
        y_label="",
        x_ticks=_unit_ticks(x),
        y_ticks=[Tick(TOP + band * (n + 0.5), short(row["name"])) for n, row in enumerate(rows)],
        width=WIDTH,
        height=TOP + BOTTOM + band * len(rows),
        left=left,
        head=(_("Policy"), _("Probability"), _("95 % interval"), _("Threshold")),
    )
    for n, row in enumerate(rows):
        middle = TOP + band * (n + 0.5)
        p, threshold = row["probability"], row["threshold"]
        low, high = (p, p) if row["low"] is None else (row["low"], row["high"])
        if threshold is not None:
            ends = [(x(threshold), middle - band / 2 + 4), (x(threshold), middle + band / 2 - 4)]
            plot.lines.append(Line(path(ends), "faint", "", 0, 0, "start"))
        span = "–" if row["low"] is None else f"{_figure(low)}–{_figure(high)}"
        words = f"{row['name']}: {_figure(p)} ({span})"
        plot.bars.append(Bar(x(low), x(high), x(p), middle, "candidate", words))
        plot.rows.append((row["name"], _figure(p), span, _figure(threshold)))
    return plot


def history_plot(history: Iterable[dict]) -> Plot | None:
    """Loss over steps, a policy a line, as far as it has come. The y axis begins at zero."""
    series: dict[str, list[tuple[float, float]]] = {}
    for entry in history:
        value = entry.get("valid_loss")
        value = entry.get("train_loss") if value is None else value
        if value is None:
            continue
        series.setdefault(str(entry.get("policy", "")), []).append((entry["epoch"], value))
    if not series:
        return None
    last = max(max(at for at, _value in points) for points in series.values())
    first = min(min(at for at, _value in points) for points in series.values())
    highest = _round_up(max(max(value for _at, value in points) for points in series.values()))
    x = scale(first, max(last, first + 1), LEFT, WIDTH - RIGHT)
    y = scale(0, highest, HEIGHT - BOTTOM, TOP)
    plot = Plot(
        id="history",
        title=_("Loss while training"),
        description=_("Log loss on the validation rows by epoch; lower is better."),
        x_label=_("Epoch"),
        y_label=_("Loss"),
        x_ticks=[Tick(x(at), f"{at:g}") for at in sorted({first, last})],
        y_ticks=[
            Tick(y(share * highest), figure(float(f"{share * highest:.2g}")))
            for share in (0, 0.5, 1)
        ],
        head=(_("Policy"), _("Epoch"), _("Training loss"), _("Validation loss")),
        rows=[
            (
                str(entry.get("policy", "")),
                f"{entry['epoch']:g}",
                _figure(entry.get("train_loss")),
                _figure(entry.get("valid_loss")),
            )
            for entry in history
        ][-60:],
    )
    for n, (name, points) in enumerate(series.items()):
        end = points[-1]
        plot.lines.append(
            Line(
                path([(x(at), y(value)) for at, value in points]),
                f"series-{n % 4 + 1}",
                name,
                min(x(end[0]), WIDTH - RIGHT) - 4,
                y(end[1]) - 6,
                "end",
            )
        )
        plot.dots.append(
            Dot(x(end[0]), y(end[1]), 3, f"series-{n % 4 + 1}", f"{name}: {_figure(end[1])}")
        )
    return plot


def load_plot(
    policy: str, days: Sequence, *, label: str, champion_label: str, prefix: str
) -> Plot | None:
    """Share of items above each one's threshold, day by day. `days`: shadows.Day, oldest first."""
    if len(days) < 2:
        return None
    shares = [(one.champion / one.n, one.shadow / one.n) for one in days]
    most = _round_up(max(max(pair) for pair in shares) or 0.1)
    x = scale(0, len(days) - 1, LEFT, WIDTH - RIGHT)
    y = scale(0, most, HEIGHT - BOTTOM, TOP)
    places = sorted({0, (len(days) - 1) // 2, len(days) - 1})
    plot = Plot(
        id=f"{prefix}-load",
        title=_("%(policy)s: items above the threshold") % {"policy": policy},
        description=_(
            "Share of what came in that each puts above its own threshold, a day. Dashed: "
            "%(label)s, the champion."
        )
        % {"label": champion_label},
        x_label=_("Day (UTC)"),
        y_label=_("Share"),
        x_ticks=[Tick(x(n), f"{days[n].on:%m-%d}") for n in places],
        y_ticks=[Tick(y(part * most), percent(part * most)) for part in (0, 0.5, 1)],
        head=(_("Day"), _("Items"), champion_label, label),
        rows=[
            (f"{one.on:%Y-%m-%d}", figure(one.n), figure(one.champion), figure(one.shadow))
            for one in reversed(days)
        ],
    )
    # Named where they are furthest apart, the upper one above and the lower one below.
    widest = max(range(len(days)), key=lambda n: abs(shares[n][0] - shares[n][1]))
    is_above = shares[widest][0] >= shares[widest][1]
    end = "start" if widest < len(days) / 3 else "end" if widest > len(days) * 2 / 3 else "middle"
    for place, kind, name in ((0, "champion", champion_label), (1, "candidate", label)):
        points = [(x(n), y(pair[place])) for n, pair in enumerate(shares)]
        at_x, at_y = points[widest]
        at_y += -8 if is_above == (place == 0) else 18
        at_y = min(max(at_y, TOP + 10), HEIGHT - BOTTOM - 4)
        plot.lines.append(Line(path(points), kind, name, at_x, at_y, end))
    return plot


def _unit_ticks(to_place: Callable[[float], float]) -> list[Tick]:
    return [Tick(to_place(value), figure(value)) for value in (0, 0.25, 0.5, 0.75, 1)]


def _round_up(value: float) -> float:
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        if value <= step:
            return step
    return value


def _figure(value: float | None) -> str:
    return "–" if value is None else figure(value, 3)


def _pr_words(candidate: dict, champion: dict | None, label: str, champion_label: str) -> str:
    told = {
        "auprc": _figure(candidate["auprc"]),
        "label": label,
        "rows": figure(candidate["n"]),
        "positives": figure(candidate["positives"]),
    }
    if candidate.get("auprc_interval"):
        low, high = (_figure(end) for end in candidate["auprc_interval"])
        told["auprc"] += _(" (95 %% interval %(low)s–%(high)s)") % {"low": low, "high": high}
    if champion and champion.get("auprc") is not None:
        words = _(
            "AUPRC %(auprc)s for %(label)s, %(other)s for %(champion)s, on %(rows)s test rows of "
            "which %(positives)s violate."
        )
        return words % {**told, "other": _figure(champion["auprc"]), "champion": champion_label}
    return (
        _("AUPRC %(auprc)s for %(label)s, on %(rows)s test rows of which %(positives)s violate.")
        % told
    )
