"""Ruler and compass: grids, circles, facets, quarter-round tiles."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vasari.synthetic.canvas import Habits, Sheet, Size, fills, flat, rgb, smooth_noise, tremble
from vasari.synthetic.colour import FloatArray, Palette, blend, shade

Box = tuple[float, float, float, float]


def _split(rng: np.random.Generator, box: Box, least: float, depth: int) -> list[Box]:
    left, top, right, bottom = box
    wide, tall = right - left, bottom - top
    if depth == 0 or max(wide, tall) < 2 * least or (depth < 3 and rng.random() < 0.12):
        return [box]
    at = float(rng.choice([0.28, 0.38, 0.5, 0.62, 0.72]))
    if wide * rng.uniform(0.6, 1.6) > tall:
        cut = left + wide * at
        first, second = (left, top, cut, bottom), (cut, top, right, bottom)
    else:
        cut = top + tall * at
        first, second = (left, top, right, cut), (left, cut, right, bottom)
    return _split(rng, first, least, depth - 1) + _split(rng, second, least, depth - 1)


def bars(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """A grid of black bars, most cells empty, a few in pure colour (after Mondrian)."""
    width, height = size
    light = palette.ground[0] > 0.5
    ground = palette.ground if light else shade(palette.lightest, 0.12, 0.4)
    line = palette.ink if light or rng.random() < 0.8 else palette.ground
    thick = habits.between(0.011, 0.034, "weight") * min(size)
    least = habits.between(0.26, 0.11) * min(size)
    boxes = _split(rng, (0.0, 0.0, float(width), float(height)), least, 3 + round(2.4 * habits.density))
    sheet = Sheet(size, ground)
    filled = rng.random(len(boxes)) < habits.between(0.35, 0.6)
    filled[int(rng.integers(len(boxes)))] = True
    strong = np.stack([shade(c, 0.0, 1.35) for c in palette.colours])
    for box, full in zip(boxes, filled, strict=True):
        off = shade(ground, float(rng.normal(0, 0.012)))
        colour = strong[int(rng.integers(len(strong)))] if full else off
        sheet.draw.rectangle(flat(box), fill=rgb(colour))
    for left, top, right, bottom in boxes:
        here = thick * float(rng.choice([1.0, 1.0, 1.5]))
        for edge, on in (((left, top, left, bottom), left > 1), ((left, top, right, top), top > 1)):
            if on:
                sheet.draw.line(flat(edge), fill=rgb(line), width=max(1, round(2 * here)))
    return tremble(sheet.image(), rng, 1.1 * habits.wobble, 30)


def circles(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Concentric circles, one great target or a field of squares each with its own (after Kandinsky)."""
    width, height = size
    sheet = Sheet(size, palette.ground)
    rings = int(habits.between(4, 8))
    if rng.random() < 0.35:
        centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.38, 0.62))
        radii = np.sort(rng.uniform(0.06, 1.0, rings + 3))[::-1] * min(size) * rng.uniform(0.46, 0.75)
        halves = rng.random() < 0.5
        turn = float(rng.uniform(0, 360))
        for radius, (one, other) in zip(
            radii, palette.pick(rng, 2 * len(radii)).reshape(-1, 2, 3), strict=True
        ):
            box = flat([[centre[0] - radius, centre[1] - radius], [centre[0] + radius, centre[1] + radius]])
            sheet.draw.ellipse(box, fill=rgb(one))
            if halves:  # Delaunay's discs: every ring changes colour across a diameter
                sheet.draw.pieslice(box, turn, turn + 180, fill=rgb(other))
                turn += float(rng.choice([0, 90, 180]))
    else:
        short = int(habits.between(2, 5))
        side = min(size) / short
        columns, rows = max(1, round(width / side)), max(1, round(height / side))
        wide, tall = width / columns, height / rows
        for cell in range(columns * rows):
            left, top = (cell % columns) * wide, (cell // columns) * tall
            colours = palette.pick(rng, rings + 1)
            sheet.draw.rectangle(flat([left, top, left + wide, top + tall]), fill=rgb(colours[0]))
            reach = 0.5 * min(wide, tall) * rng.uniform(0.86, 1.04)
            radii = reach * np.sort(np.r_[1.0, rng.uniform(0.1, 0.95, rings - 1)])[::-1]
            x, y = left + wide / 2, top + tall / 2
            for radius, colour in zip(radii, colours[1:], strict=True):
                x += rng.normal(0, 0.02 * side * habits.wobble)
                y += rng.normal(0, 0.02 * side * habits.wobble)
                sheet.draw.ellipse(flat([x - radius, y - radius, x + radius, y + radius]), fill=rgb(colour))
    return tremble(sheet.image(), rng, 0.5 + 1.6 * habits.wobble, 46)


def facets(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Crystal: a triangulation whose faces catch one light, the colours drifting across the sheet."""
    from scipy.spatial import Delaunay

    count = int(habits.between(26, 150))
    inner = rng.uniform(-0.08, 1.08, (count, 2))
    if rng.random() < 0.5:  # crowd the points towards a centre
        focus = rng.uniform(0.3, 0.7, 2)
        inner = focus + (inner - focus) * (0.35 + 0.75 * np.linalg.norm(inner - focus, axis=1, keepdims=True))
    frame = np.array(
        [[-0.2, -0.2], [1.2, -0.2], [-0.2, 1.2], [1.2, 1.2], [0.5, -0.3], [0.5, 1.3], [-0.3, 0.5], [1.3, 0.5]]
    )
    points = np.concatenate([inner, frame]) * np.array(size)
    relief = rng.normal(0, 1, len(points))
    triangles = points[(faces := Delaunay(points).simplices)]  # (triangles, 3, 2)
    middle = triangles.mean(axis=1) / np.array(size)
    angle = rng.uniform(0, 2 * np.pi)
    drift = middle @ np.array([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.14, len(middle))
    order = np.argsort(np.argsort(drift)) / len(drift) * (len(palette.colours) - 1)
    low = order.astype(np.int64)
    ramp = palette.by_lightness if rng.random() < 0.6 else palette.colours
    lab = ramp[low] + (order - low)[:, None] * (ramp[np.minimum(low + 1, len(ramp) - 1)] - ramp[low])
    slope = relief[faces]
    light = np.clip((slope[:, 0] - slope[:, 1]) * 0.5 + (slope[:, 2] - slope[:, 0]) * 0.3, -1.6, 1.6)
    lab[:, 0] = np.clip(lab[:, 0] + habits.between(0.03, 0.11, "contrast") * light, 0.05, 0.97)
    sheet = Sheet(size, palette.ground)
    for triangle, fill in zip(triangles, fills(lab.astype(np.float32)), strict=True):
        sheet.draw.polygon(flat(triangle), fill=fill, outline=fill)
    if habits.weight > 0.3:
        seam = rgb(palette.ink if rng.random() < 0.5 else palette.ground)
        wide = max(1, round(2.4 * habits.weight))
        for triangle in triangles:
            sheet.draw.line(flat(triangle[[0, 1, 2, 0]]), fill=seam, width=wide)
    return sheet.image()


def _tile(sheet: Sheet, box: Box, kind: int, back: FloatArray, front: FloatArray, dot: FloatArray) -> None:
    left, top, right, bottom = box
    side, middle = right - left, ((left + right) / 2, (top + bottom) / 2)
    draw = sheet.draw
    draw.rectangle(flat(box), fill=rgb(back))
    corner = [(left, top), (right, top), (right, bottom), (left, bottom)][kind % 4]

    def pie(x: float, y: float, radius: float, start: int, stop: int, colour: FloatArray) -> None:
        draw.pieslice(flat([x - radius, y - radius, x + radius, y + radius]), start, stop, fill=rgb(colour))

    quarter = (kind % 4) * 90
    if kind < 4:  # a quarter disc
        pie(*corner, side, quarter, quarter + 90, front)
    elif kind < 8:  # a quarter ring
        pie(*corner, side, quarter, quarter + 90, front)
        pie(*corner, side * 0.5, quarter, quarter + 90, dot)
    elif kind < 12:  # a half disc on one edge
        edge = [(left, middle[1]), (middle[0], top), (right, middle[1]), (middle[0], bottom)][kind % 4]
        start = [-90, 0, 90, 180][kind % 4]
        pie(*edge, side / 2, start, start + 180, front)
    elif kind < 14:  # a disc with its pupil
        pie(*middle, side / 2, 0, 360, front)
        pie(*middle, side / 4, 0, 360, dot)
    elif kind < 16:  # a triangle
        three = [(left, top), (right, bottom), (left, bottom) if kind == 14 else (right, top)]
        draw.polygon(flat(three), fill=rgb(front))
    else:  # a leaf
        pie(left, top, side, 0, 90, front)
        inverse = [(right, bottom), (left, bottom), (left, top), (right, top)]
        arc = np.deg2rad(np.linspace(180, 270, 24))
        outline = np.stack([right + side * np.cos(arc), bottom + side * np.sin(arc)], axis=1)
        draw.polygon(flat(np.concatenate([outline, [inverse[2]]])), fill=rgb(back))


def tiles(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Quarter discs, rings, leaves and half-moons on a square grid, as a printed textile of the 1950s."""
    width, height = size
    side = min(size) / int(habits.between(3, 7))
    columns, rows = max(1, round(width / side)), max(1, round(height / side))
    wide, tall = width / columns, height / rows
    kinds = rng.choice(17, size=int(rng.integers(3, 8)), replace=False)
    grounds = np.concatenate([palette.ground[None], palette.colours[:2]])
    sheet = Sheet(size, palette.ground)
    for cell in range(columns * rows):
        left, top = (cell % columns) * wide, (cell // columns) * tall
        back = grounds[int(rng.choice(3, p=[0.6, 0.25, 0.15]))]
        front, dot = palette.pick(rng, 2)
        if np.abs(front - back).sum() < 0.06:
            front = palette.ink
        box = (left, top, left + wide, top + tall)
        _tile(sheet, box, int(rng.choice(kinds)), back, front, blend(dot, palette.ground, 0.1))
    image = tremble(sheet.image(), rng, 0.8 * habits.wobble, 26)
    if habits.texture > 0.5:  # worn printing ink
        wear = np.asarray(image, dtype=np.float32)
        wear += (6 * habits.texture * smooth_noise(rng, size, 1.5))[..., None]
        image = Image.fromarray(np.clip(wear, 0, 255).astype(np.uint8))
    return image
