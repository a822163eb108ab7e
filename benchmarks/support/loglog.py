"""Lines on logarithmic axes as one SVG, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 70, 190, 40, 45
COLOURS = ("#0b6e8a", "#b3541e", "#4b7f2b", "#7a3b8f", "#8a6d0b", "#444444")


def log_log(title: str, x_name: str, y_name: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw each series through its points; the grid stands at powers of ten."""
    xs, ys = ([math.log10(p[axis]) for points in series.values() for p in points] for axis in (0, 1))
    x0, x1, y0, y1 = math.floor(min(xs)), math.ceil(max(xs)), math.floor(min(ys)), math.ceil(max(ys))

    def x_of(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - x0) / max(x1 - x0, 1)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log10(value) - y0) / max(y1 - y0, 1)

    def text(x: float, y: float, words: str, anchor: str = "middle") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    drawn = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', text(LEFT, 22, title, "start")]
    for power in range(y0, y1 + 1):
        y = y_of(10.0**power)
        drawn += [f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>']
        drawn += [text(LEFT - 8, y + 4, f"{10.0**power:g}", "end")]
    for power in range(x0, x1 + 1):
        x = x_of(10.0**power)
        drawn += [
            f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#ddd"/>',
            text(x, bottom + 18, f"{10**power:,}"),
        ]
    drawn += [text((LEFT + right) / 2, HEIGHT - 8, x_name), text(LEFT, TOP - 4, y_name, "start")]
    for place, (name, points) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4" fill="{colour}"/>' for x, y in points]
        y = TOP + 10 + 22 * place
        drawn += [f'<circle cx="{right + 14}" cy="{y}" r="4" fill="{colour}"/>']
        drawn += [text(right + 24, y + 4, name, "start")]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">{"".join(drawn)}</svg>\n'
    )
