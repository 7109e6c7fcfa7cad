"""PURE. Learning curves as one SVG file that needs nothing beside it."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 64, 200, 72, 56
# Told apart by people who see few colours as well (Okabe and Ito 2008).
INKS = ("#0b6e6e", "#8a8a86", "#d55e00", "#0072b2", "#cc79a7", "#e69f00", "#56b4e9", "#009e73")
LABEL_HEIGHT = 18


def draw(found: dict[str, Any], *, title: str, subtitle: str) -> str:
    """`found` is what simulation.simulate returns. A line an arm (mean over seeds) in a band from
    the least to the greatest seed; its name at its end; all labels at once as a line across."""
    arms: dict[str, dict[str, Any]] = found["arms"]
    full = found["full_data"]["auprc"]
    most = max([full, *(max(max(run) for run in arm["auprc_by_seed"]) for arm in arms.values())])
    top = min(1.0, (int(most * 10 + 0.5) + 1) / 10)
    labels = next(iter(arms.values()))["labels"]
    x = _scale(0, labels[-1], LEFT, WIDTH - RIGHT)
    y = _scale(0, top, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="13" '
        'fill="#2b2a28" role="img">',
        f"<title>{escape(title)}</title><desc>{escape(subtitle)}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="30" font-size="18" font-weight="600">{escape(title)}</text>',
        f'<text x="{LEFT}" y="50" fill="#6b6a66">{escape(subtitle)}</text>',
        *_grid(x, y, labels[-1], top),
        f'<line x1="{LEFT}" x2="{x(labels[-1]):.1f}" y1="{y(full):.1f}" y2="{y(full):.1f}" '
        'stroke="#2b2a28" stroke-dasharray="2 4"/>',
    ]
    names = [(y(full), f"all labels {full:.3f}", "#2b2a28", "400")]
    for name, ink in zip(_back_to_front(arms), _inks(arms), strict=True):
        arm = arms[name]
        runs = np.array(arm["auprc_by_seed"])
        low, high = runs.min(axis=0), runs.max(axis=0)
        edge = [*zip(labels, high, strict=True), *zip(labels[::-1], low[::-1], strict=True)]
        parts.append(f'<path d="{_path(edge, x, y)} Z" fill="{ink}" fill-opacity=".1"/>')
        line = _path(list(zip(labels, arm["auprc_mean"], strict=True)), x, y)
        wide = 2.6 if name == "default" else 1.6
        parts.append(f'<path d="{line}" fill="none" stroke="{ink}" stroke-width="{wide}"/>')
        ratio = arm["aulc_vs_random"]
        words = name if name == "random" or ratio is None else f"{name} × {ratio:.2f}"
        weight = "600" if name == "default" else "400"
        names.append((y(arm["auprc_mean"][-1]), words, ink, weight))
    at = x(labels[-1]) + 10
    for (_, words, ink, weight), height in zip(
        sorted(names), _apart([one[0] for one in sorted(names)]), strict=True
    ):
        parts.append(
            f'<text x="{at:.1f}" y="{height + 4:.1f}" fill="{ink}" font-weight="{weight}">'
            f"{escape(words)}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _back_to_front(arms: dict[str, Any]) -> list[str]:
    """The product's own arm is drawn last, over the others."""
    return sorted(arms, key=lambda name: (name == "default", name != "random", name))


def _inks(arms: dict[str, Any]) -> list[str]:
    fixed = {"default": INKS[0], "random": INKS[1]}
    rest = iter(INKS[2:] * len(arms))
    return [fixed.get(name) or next(rest) for name in _back_to_front(arms)]


def _grid(x: Any, y: Any, last: int, top: float) -> list[str]:
    parts = []
    for value in np.arange(0, top + 1e-9, 0.1 if top > 0.4 else 0.05):
        parts.append(
            f'<line x1="{LEFT}" x2="{x(last):.1f}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="#e7e5e0"/>'
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#6b6a66">'
            f"{value:.2f}</text>"
        )
    step = _step(last)
    for count in range(0, last + 1, step):
        parts.append(
            f'<text x="{x(count):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle" '
            f'fill="#6b6a66">{count:,}</text>'
        )
    middle = (LEFT + x(last)) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{HEIGHT - 12}" text-anchor="middle">labels</text>'
        f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">AUPRC on the test rows</text>'
    )
    return parts


def _step(last: int) -> int:
    """Five to ten marks at round numbers."""
    for step in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000):
        if last / step <= 10:
            return step
    return last


def _apart(heights: Sequence[float]) -> list[float]:
    """Labels in order of height, moved down so far that none stands on another."""
    found: list[float] = []
    for height in heights:
        found.append(max(height, found[-1] + LABEL_HEIGHT) if found else height)
    over = max(0.0, found[-1] - (HEIGHT - BOTTOM)) if found else 0.0
    return [height - over for height in found]


def _path(points: Sequence[tuple[float, float]], x: Any, y: Any) -> str:
    return "M" + " L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)


def _scale(low: float, high: float, start: float, end: float) -> Any:
    return lambda value: start + (value - low) / (high - low) * (end - start)
