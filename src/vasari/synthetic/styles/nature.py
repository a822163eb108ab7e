"""Out of doors: layered landscapes, night skies, waves, a town at dusk."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vasari.synthetic.canvas import (
    Canvas,
    Habits,
    Mask,
    Sheet,
    Size,
    bristles,
    curve,
    fills,
    flat,
    grid,
    layered_noise,
    rgb,
    smooth_noise,
    smoothstep,
    tremble,
)
from vasari.synthetic.colour import FloatArray, Palette, blend, shade, warm_light


def _ridge(rng: np.random.Generator, width: int, scale: float, rough: float) -> FloatArray:
    # one line of layered noise, shape (width,); rough adds crags to rolling hills
    line = smooth_noise(rng, (width, 2), scale)[0]
    for octave in range(1, 5):
        line = line + rough**octave * smooth_noise(rng, (width, 2), max(scale / 2.1**octave, 2))[0]
    return np.asarray(line, dtype=np.float32)


def landscape(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Range behind range, paler with distance, under a graded sky with a sun or a moon."""
    width, height = size
    x, y = grid(size)
    ramp = palette.by_lightness
    sky_low, sky_high = blend(ramp[-1], palette.lightest, 0.5), ramp[int(rng.integers(2, 4))]
    far = blend(sky_low, sky_high, 0.35)
    near = shade(ramp[0], -0.05 * habits.contrast)
    hue = palette.colours[int(rng.integers(0, 3))]
    canvas = Canvas(size, sky_high)
    level = height * rng.uniform(0.3, 0.58)
    fade = smoothstep(0, level * 1.2, y + 8 * layered_noise(rng, size, 70))
    canvas.wash(fade, sky_low)
    if rng.random() < 0.65:
        radius = min(size) * rng.uniform(0.05, 0.13)
        at = (width * rng.uniform(0.18, 0.82), level * rng.uniform(0.35, 0.95))
        glow = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (3.2 * radius) ** 2))
        light = warm_light(palette.colours[-1], 0.88)
        canvas.wash(glow * 0.45, light)
        canvas.wash(Mask(size).ellipse(*at, radius).array(0.5), light)
    layers = int(habits.between(3, 7))
    streaks = bristles(rng, size)
    for layer in range(layers):
        depth = (layer + 1) / layers
        base = level + (height * 1.02 - level) * (layer / layers) ** 1.25
        swell = min(size) * (0.10 - 0.035 * depth) * (0.6 + 0.8 * habits.contrast)
        line = base + swell * _ridge(rng, width, (0.55 - 0.22 * depth) * width, 0.28 + 0.3 * habits.wobble)
        colour = blend(far, near, depth**0.9)
        colour = blend(colour, hue, 0.42 * np.sin(np.pi * depth))
        land = smoothstep(-0.7, 0.7, y - line)
        canvas.wash(land, colour)
        mist = land * np.exp(-np.maximum(y - line, 0) / (0.10 * height)) if layer else 0 * land
        canvas.wash(mist * (0.10 + 0.25 * (1 - depth)), shade(colour, 0.10))
        canvas.tone(land * np.float32(0.004 + 0.014 * habits.texture) * streaks)
    return tremble(canvas.image(), rng, 0.8 * habits.wobble)


def _moon(canvas: Canvas, rng: np.random.Generator, size: Size, colour: FloatArray) -> None:
    radius = min(size) * rng.uniform(0.05, 0.1)
    x, y = size[0] * rng.uniform(0.15, 0.85), size[1] * rng.uniform(0.12, 0.4)
    gx, gy = grid(size)
    canvas.wash(0.35 * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (2 * (2.6 * radius) ** 2)), colour)
    disc = Mask(size).ellipse(x, y, radius)
    if rng.random() < 0.5:  # a crescent: the shadow disc is drawn back out of the stencil
        disc.ellipse(x + radius * 0.45, y - radius * 0.15, radius * 0.95, value=0)
    canvas.wash(disc.array(0.4), colour)


def night_sky(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Stars over a dark ridge, the Milky Way as a lit cloud, trees against the last light."""
    width, height = size
    x, y = grid(size)
    hue = palette.darkest
    night = shade(np.array([0.21, hue[1] * 0.8, hue[2] * 0.8 - 0.03], np.float32), 0.0)
    low = blend(shade(night, 0.22, 1.3), palette.colours[1], 0.35)
    canvas = Canvas(size, night)
    level = height * rng.uniform(0.72, 0.9)
    canvas.wash(smoothstep(0.15 * height, level * 1.1, y) ** 1.5 + 0 * x, low)
    angle = rng.uniform(-1.1, 1.1) + np.pi / 2 * (width < height)
    across = (x - width * rng.uniform(0.3, 0.7)) * np.sin(angle) - (y - height * 0.4) * np.cos(angle)
    cloud = layered_noise(rng, size, 42, 4)
    way = np.exp(-((across / (0.16 * max(size))) ** 2)) * smoothstep(-1.0, 1.8, cloud)
    canvas.wash(
        (habits.between(0.25, 0.75, "contrast") * way).astype(np.float32), shade(palette.colours[2], 0.12)
    )
    canvas.tone((0.1 * way * way).astype(np.float32))
    stars = Mask(size)
    count = int(habits.between(110, 460) * width * height / 70_000) + 20
    place = rng.uniform(0, 1, (count, 2)) * (width, height)
    bright = rng.pareto(2.2, count)
    for (sx, sy), power in zip(place.tolist(), bright.tolist(), strict=True):
        stars.ellipse(sx, sy, min(0.35 + 0.28 * power, 1.9), value=min(255, int(120 + 70 * power)))
    sharp = stars.array()
    canvas.wash(np.clip(stars.array(2.2) * 1.2, 0, 0.8), palette.lightest)
    canvas.wash(sharp, shade(palette.lightest, 0.12, 0.5))
    if rng.random() < 0.45:
        _moon(canvas, rng, size, shade(palette.lightest, 0.08, 0.7))
    line = level + 0.05 * height * _ridge(rng, width, 0.4 * width, 0.35 + 0.2 * habits.wobble)
    canvas.wash(smoothstep(-0.8, 0.8, y - line), blend(night, low, 0.45))
    line = line * 0.35 + 0.65 * level + 0.09 * height + 0.03 * height * _ridge(rng, width, 0.3 * width, 0.5)
    wood = Mask(size)
    if rng.random() < 0.7:
        for tx in np.sort(rng.uniform(-10, width + 10, int(habits.between(5, 46)))):
            foot = line[int(np.clip(tx, 0, width - 1))] + 4
            tall = height * rng.uniform(0.05, 0.16)
            for part in (1.0, 0.72, 0.44):
                half = tall * 0.2 * part
                top = foot - tall * (1.25 - part * 0.55)
                wood.polygon(
                    [
                        (tx - half, foot - tall * (1 - part) * 0.75),
                        (tx, top),
                        (tx + half, foot - tall * (1 - part) * 0.75),
                    ]
                )
    canvas.wash(np.maximum(wood.array(), smoothstep(-0.8, 0.8, y - line)), shade(night, -0.1, 0.7))
    return canvas.image()


def waves(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Sheets of water one before the other, each crest outlined and lined, as in a woodblock print."""
    width, height = size
    sheet = Sheet(size, shade(palette.lightest, 0.06, 0.6))
    ramp = palette.by_lightness
    if rng.random() < 0.5:
        radius = min(size) * rng.uniform(0.1, 0.2)
        cx, cy = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.12, 0.26)
        disc = flat([cx - radius, cy - radius, cx + radius, cy + radius])
        sheet.draw.ellipse(disc, fill=rgb(warm_light(palette.colours[-1], 0.72)))
    rows = int(habits.between(5, 12))
    top = height * rng.uniform(0.14, 0.34)
    xs = np.linspace(-0.1 * width, 1.1 * width, 90)
    length = width / habits.between(1.2, 3.6)
    steep = habits.between(0.2, 0.85, "contrast")
    line_width = max(1, round(2 * habits.between(0.5, 2.1, "weight")))
    for row in range(rows):
        depth = row / max(rows - 1, 1)
        amplitude = min(size) * (0.035 + 0.05 * depth) * rng.uniform(0.7, 1.3)
        phase = xs / (length * (0.6 + 0.6 * depth)) * 2 * np.pi + rng.uniform(0, 2 * np.pi)
        swell = np.sin(phase + steep * np.sin(phase)) + 0.3 * habits.wobble * np.sin(0.37 * phase + row)
        base = top + (height - top) * (row / rows) ** 1.05 + amplitude
        crest = base - amplitude * np.where(swell > 0, np.abs(swell) ** (1 - 0.35 * steep), -np.abs(swell))
        place = (1 - depth) * (len(ramp) - 1)
        at = int(min(place, len(ramp) - 2))
        colour = blend(ramp[at], ramp[at + 1], place - at)
        if rng.random() < 0.25:
            colour = palette.colours[int(rng.integers(len(palette.colours)))]
        line = np.stack([xs, crest], axis=1)
        body = np.concatenate([line, [[width * 1.1, height * 1.05], [-0.1 * width, height * 1.05]]])
        sheet.draw.polygon(flat(body), fill=rgb(colour))
        fine = rgb(shade(colour, -0.10 if colour[0] > 0.5 else 0.12))
        gap = min(size) * habits.between(0.034, 0.017)
        for echo in range(1, int(habits.between(2, 6))):
            sheet.draw.line(
                flat(np.add(line, (0, gap * echo))), fill=fine, width=max(1, line_width - 1), joint="curve"
            )
        foam = rgb(shade(palette.lightest, 0.1, 0.4))
        sheet.draw.line(flat(line), fill=foam, width=line_width + 2, joint="curve")
        sheet.draw.line(
            flat(line - [0, 1.2]), fill=rgb(palette.ink), width=max(1, line_width // 2), joint="curve"
        )
    return tremble(sheet.image(), rng, 0.4 + 1.2 * habits.wobble, 34)


def town(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Rows of houses piled up a hill, lit windows, a graded dusk behind (after Klee and Feininger)."""
    width, height = size
    canvas = Canvas(size, blend(palette.lightest, palette.ground, 0.4))
    _, y = grid(size)
    canvas.wash(smoothstep(0.75 * height, 0, y + 9 * layered_noise(rng, size, 60)), palette.by_lightness[-2])
    sheet = Sheet(size, canvas.image())
    rows = int(habits.between(3, 6))
    unit = min(size) * habits.between(0.2, 0.1)
    lit = rgb(shade(palette.lightest, 0.1, 1.3))
    for row in range(rows):
        depth = (row + 1) / rows
        foot = height * (0.42 + 0.62 * depth)
        x = -unit * rng.uniform(0, 1)
        while x < width:
            wide = unit * rng.uniform(0.6, 1.4) * (0.75 + 0.4 * depth)
            tall = unit * rng.uniform(1.0, 3.0) * (0.9 + 0.4 * habits.contrast)
            colour = palette.pick(rng, 1)[0]
            wall = shade(blend(colour, palette.lightest, 0.4 * (1 - depth)), float(rng.normal(0, 0.03)))
            top = foot - tall
            sheet.draw.rectangle(flat([x, top, x + wide, height * 1.1]), fill=rgb(wall))
            side = x + wide * rng.uniform(0.6, 0.8)
            sheet.draw.rectangle(flat([side, top, x + wide, height * 1.1]), fill=rgb(shade(wall, -0.06)))
            if rng.random() < 0.75:
                peak = [
                    (x - 1, top),
                    (x + wide * rng.choice([0.5, 0.5, 0.3]), top - wide * rng.uniform(0.35, 0.9)),
                    (x + wide + 1, top),
                ]
                roof = palette.colours[int(rng.integers(len(palette.colours)))]
                sheet.draw.polygon(flat(peak), fill=rgb(shade(roof, -0.08)))
            step = unit * 0.26
            dim = rgb(shade(wall, -0.16))
            for wy in np.arange(top + step * 0.6, min(foot, height), step * 1.5):
                for wx in np.arange(x + step * 0.5, side - step * 0.6, step * 1.1):
                    glow = lit if rng.random() < 0.35 else dim
                    sheet.draw.rectangle(flat([wx, wy, wx + step * 0.5, wy + step * 0.8]), fill=glow)
            x += wide * rng.uniform(0.85, 1.1)
    return tremble(sheet.image(), rng, 0.5 + 1.6 * habits.wobble, 30)


def currents(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Short thick strokes that follow a turning wind (after the late van Gogh)."""
    width, height = size
    under = smooth_noise(rng, size, 0.45 * max(size))
    turn = smooth_noise(rng, size, habits.between(150, 75, "wobble"))
    drift = rng.uniform(0, 2 * np.pi)
    long = habits.between(30, 15) * max(size) / 300
    thick = habits.between(1.8, 4.6, "weight") * max(size) / 300
    count = int(2.1 * width * height / (long * thick))
    starts = rng.uniform(-0.04, 1.04, (count, 2)) * (width, height)
    steps = 5
    path = np.empty((count, steps, 2))
    point = starts.copy()
    for step in range(steps):  # all strokes walk together through the field
        path[:, step] = point
        column = np.clip(point[:, 0], 0, width - 1).astype(int)
        row = np.clip(point[:, 1], 0, height - 1).astype(int)
        angle = drift + 1.5 * turn[row, column]
        point = point + long / steps * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    column = np.clip(starts[:, 0], 0, width - 1).astype(int)
    row = np.clip(starts[:, 1], 0, height - 1).astype(int)
    place = under[row, column] + 0.5 * turn[row, column] + rng.normal(0, 0.25, count)
    rank = np.argsort(np.argsort(place)) / count * (len(palette.colours) - 1)
    base = np.round(rank).astype(int)
    lab = palette.by_lightness[base] + 0
    lab[:, 0] += rng.normal(0, habits.between(0.025, 0.08, "contrast"), count).astype(np.float32)
    sheet = Sheet(size, palette.darkest)
    wide = np.maximum(1, np.round(2 * thick * rng.uniform(0.6, 1.4, count))).astype(int)
    for stroke, fill, w in zip(
        (path * 2).reshape(count, -1).tolist(), fills(lab), wide.tolist(), strict=True
    ):
        sheet.draw.line(stroke, fill=fill, width=w, joint="curve")
    return sheet.image()


def _leafy(rng: np.random.Generator, foot: tuple[float, float], tall: float, lean: float) -> FloatArray:
    knots = [[foot[0] + lean * t**2 + rng.normal(0, 3 * t), foot[1] - tall * t] for t in np.linspace(0, 1, 5)]
    return np.asarray(curve(knots, 8), dtype=np.float32)


def garden(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """A pressed garden: stems with paired leaves and round flower heads on plain paper."""
    width, height = size
    sheet = Sheet(size, palette.ground)
    stems = int(habits.between(3, 9) * max(1.0, 0.75 * width / height))
    scale = min(size) / 240
    thin = max(1, round(2 * habits.between(0.7, 2.2, "weight") * scale))
    places = (np.arange(stems) + rng.uniform(0.25, 0.75, stems)) / stems * width
    for x in rng.permutation(places):
        tall = height * rng.uniform(0.45, 0.88)
        stem = _leafy(rng, (float(x), height * 1.02), tall, float(rng.normal(0, 0.1 * width)))
        green, bloom, heart = palette.pick(rng, 3)
        if np.abs(green[0] - palette.ground[0]) < 0.14:
            green = palette.ink if palette.ground[0] > 0.5 else palette.lightest
        sheet.draw.line(flat(stem), fill=rgb(shade(green, -0.05)), width=thin, joint="curve")
        size_of = min(size) * rng.uniform(0.07, 0.14)
        slim = rng.uniform(0.2, 0.42)
        greens = [rgb(shade(green, float(rng.normal(0.02, 0.035)))) for _ in range(4)]
        blooms = [rgb(shade(bloom, float(rng.normal(0, 0.025)))) for _ in range(4)]
        vein = rgb(shade(green, -0.09))
        for knot in range(5, len(stem) - 4, int(rng.integers(3, 6))):
            for side in (-1, 1):
                reach = size_of * (1.25 - 0.7 * knot / len(stem)) * rng.uniform(0.85, 1.15)
                angle = -np.pi / 2 + side * rng.uniform(0.7, 1.15)
                along = np.linspace(0, 1, 10)[:, None]
                spine = stem[knot] + along * reach * np.array([np.cos(angle), np.sin(angle)])
                normal = np.array([-np.sin(angle), np.cos(angle)])
                half = np.sin(np.pi * along**0.8) * reach * slim
                leaf = np.concatenate([spine + normal * half, (spine - normal * half)[::-1]])
                sheet.draw.polygon(flat(leaf), fill=greens[int(rng.integers(4))])
                sheet.draw.line(flat(spine[[0, -2]]), fill=vein, width=1)
        head, radius = stem[-1], min(size) * rng.uniform(0.045, 0.10)
        petals = int(rng.integers(6, 15))
        for petal in np.arange(petals) / petals * 2 * np.pi:
            centre = head + 0.72 * radius * np.array([np.cos(petal), np.sin(petal)])
            small = radius * 0.46
            sheet.draw.ellipse(flat([centre - small, centre + small]), fill=blooms[int(rng.integers(4))])
        sheet.draw.ellipse(flat([head - radius * 0.42, head + radius * 0.42]), fill=rgb(heart))
    return tremble(sheet.image(), rng, 0.5 + 1.4 * habits.wobble, 22)
