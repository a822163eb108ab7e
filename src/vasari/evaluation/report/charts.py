"""Small charts as inline SVG: no script, no library, colours from the style sheet.

Every function returns markup with a `<title>` and a `<desc>`. Colours are CSS classes (`s0` to `s7` for
the models), so light and dark need one drawing; a series differs by marker and dash as well as by colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vasari.metrics import Interval

WIDTH, HEIGHT = 330, 216  # user units; charts are shown near this size, so text stays readable on a phone
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 20, 42
SERIES = 8  # colours in the style sheet


@dataclass(frozen=True)
class Point:
    """One value of a series with its interval (None where there is none)."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """One line of a chart; `style` numbers its colour, dash and marker."""

    name: str
    points: Sequence[Point]
    style: int = 0


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span [low, high], about `count` steps."""
    if not high > low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, last + 1)]


def number(value: float) -> str:
    """A tick label: short, without a needless fraction or leading zero."""
    return f"{value:.4g}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4g}"


def frame(kind: str, title: str, description: str, body: Iterable[Markup], size: tuple[int, int]) -> Markup:
    """Wrap drawn elements in an accessible `<svg>`."""
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(kind, *size, title, description, title, description, Markup("").join(body))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """One straight stroke."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def text(x: float, y: float, content: str, kind: str = "tick", anchor: str = "middle") -> Markup:
    """One piece of text."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, content
    )


def marker(x: float, y: float, style: int, size: float = 3.6) -> Markup:
    """The mark of a series: circle, square, diamond or triangle."""
    colour = f"s{style % SERIES} mark"
    if style % 4 == 0:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(colour, x, y, size)
    shapes = {
        1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        2: ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
        3: ((0, -1.3), (1.25, 0.95), (-1.25, 0.95)),
    }
    points = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in shapes[style % 4])
    return Markup('<polygon class="{}" points="{}"/>').format(colour, points)


def key(style: int) -> Markup:
    """The sign of a series for a legend beside the chart."""
    return Markup('<svg class="key" viewBox="0 0 28 12" aria-hidden="true">{}{}</svg>').format(
        line(1, 6, 27, 6, f"s{style % SERIES} curve"), marker(14, 6, style, 4)
    )


def whisker(found: Interval, span: tuple[float, float], style: int, title: str) -> Markup:
    """Dot with its interval on the scale `span`, for a cell of a table."""
    width, height = 132, 18

    def at(v: float) -> float:
        return 7 + (width - 14) * (v - span[0]) / ((span[1] - span[0]) or 1.0)

    colour = f"s{style % SERIES}"
    body = [
        line(at(span[0]), 9, at(span[1]), 9, "track"),
        line(at(found.low), 9, at(found.high), 9, f"{colour} whisker"),
        line(at(found.low), 5.5, at(found.low), 12.5, f"{colour} whisker"),
        line(at(found.high), 5.5, at(found.high), 12.5, f"{colour} whisker"),
        marker(at(found.mean), 9, style, 3.8),
    ]
    described = f"{found.mean:.3f}, 95% interval {found.low:.3f} to {found.high:.3f}"
    return frame("dot", title, described, body, (width, height))


def lines(
    title: str,
    description: str,
    series: Sequence[Series],
    labels: Sequence[tuple[float, str, str]],
    marked: tuple[float, str] | None = None,
) -> Markup:
    """Lines with markers and intervals over a shared horizontal axis.

    Parameters
    ----------
    labels
        Position, text and smaller second text of each mark on the horizontal axis.
    marked
        Position and word of one vertical rule, for example the chosen epoch.
    """
    points = [p for one in series for p in one.points]
    values = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    ticks = nice_ticks(min(values), max(values))
    xs = [p.x for p in points] + [x for x, _, _ in labels]
    x_of = _scale(min(xs), max(xs), LEFT + 14, WIDTH - RIGHT - 14)
    y_of = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP)
    body = _vertical_axis(ticks, y_of, number)
    body += [text(x_of(x), HEIGHT - BOTTOM + 18, word) for x, word, _ in labels]
    body += [text(x_of(x), HEIGHT - BOTTOM + 33, small, "tick small") for x, _, small in labels if small]
    if marked is not None:
        at = x_of(marked[0])
        body.append(line(at, TOP, at, HEIGHT - BOTTOM, "chosen"))
        body.append(text(at, TOP - 6, marked[1], "said"))
    spread = min(5.0, 14.0 / max(len(series), 1))  # side by side, so that whiskers do not hide each other
    for place, one in enumerate(series):
        beside = any(p.low is not None for p in one.points)
        shift = spread * (place - (len(series) - 1) / 2) if beside else 0.0
        drawn = [(x_of(p.x) + shift, y_of(p.y), p) for p in one.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in drawn)
        body.append(
            Markup('<polyline class="s{} d{} curve" points="{}"/>').format(
                one.style % SERIES, one.style % 4, path
            )
        )
        for x, y, p in drawn:
            if p.low is not None and p.high is not None:
                body.append(line(x, y_of(p.low), x, y_of(p.high), f"s{one.style % SERIES} whisker thin"))
            if len(drawn) <= 40:
                body.append(marker(x, y, one.style, 3.2))
    return frame("lines", title, description, body, (WIDTH, HEIGHT))


def forest(title: str, description: str, rows: Sequence[tuple[str, Interval, int]]) -> Markup:
    """Differences with their intervals, one below the other, against a line at zero.

    Parameters
    ----------
    rows
        Name, interval and style of each; names stand above their intervals, so they may be long.
    """
    step, bottom = 34, 26
    height = TOP + step * len(rows) + bottom
    ends = [v for _, found, _ in rows for v in (found.low, found.high, found.mean)]
    ticks = nice_ticks(min(0.0, *ends), max(0.0, *ends))
    x_of = _scale(ticks[0], ticks[-1], 14, WIDTH - 14)
    base = height - bottom
    body = [line(x_of(t), TOP - 8, x_of(t), base, "grid" if t else "base") for t in ticks]
    body += [text(x_of(t), base + 16, number(t)) for t in ticks]
    for place, (name, found, style) in enumerate(rows):
        y, colour = TOP + step * place + 20, f"s{style % SERIES}"
        body.append(text(4, y - 9, name, "said", "start"))
        body.append(line(x_of(found.low), y, x_of(found.high), y, f"{colour} whisker"))
        body += [
            line(x_of(v), y - 3.5, x_of(v), y + 3.5, f"{colour} whisker") for v in (found.low, found.high)
        ]
        body.append(marker(x_of(found.mean), y, style, 3.8))
    return frame("forest", title, description, body, (WIDTH, height))


def bars(title: str, description: str, shares: Mapping[str, float], top: float, style: int) -> Markup:
    """Shares (0 to 1) as columns on a common scale up to `top`; every column carries its number."""
    height = 170
    ticks = nice_ticks(0.0, top, 3)
    y_of = _scale(0.0, ticks[-1], height - 30, 16)
    body = _vertical_axis(ticks, y_of, lambda v: f"{100 * v:.0f}%")
    step = (WIDTH - LEFT - RIGHT) / max(len(shares), 1)
    for place, (label, value) in enumerate(shares.items()):
        x, y = LEFT + step * place + step * 0.14, y_of(value)
        body.append(
            Markup('<rect class="s{} bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                style % SERIES, x, y, step * 0.72, y_of(0.0) - y
            )
        )
        body.append(text(x + step * 0.36, y - 4, f"{100 * value:.0f}" if value else "0", "tick small"))
        body.append(text(x + step * 0.36, height - 13, label))
    return frame("bars", title, description, body, (WIDTH, height))


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    middle = 0.5 * (end - start) if high == low else 0.0
    return lambda value: start + middle + (end - start) * (value - low) / span


def _vertical_axis(
    ticks: Sequence[float], y_of: Callable[[float], float], name: Callable[[float], str]
) -> list[Markup]:
    grid = [line(LEFT, y_of(t), WIDTH - RIGHT, y_of(t), "grid" if k else "base") for k, t in enumerate(ticks)]
    return grid + [text(LEFT - 7, y_of(t) + 3.5, name(t), "tick", "end") for t in ticks]
