"""The moving hand: points, drips, brush and ink."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
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
    ribbon,
    smooth_noise,
    smoothstep,
    wander,
)
from vasari.synthetic.colour import Palette, blend, lch, shade


def points(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Dots of unmixed colour that the eye blends into a place: ground, water, trees, sky (after Seurat)."""
    width, height = size
    ramp = palette.by_lightness
    _, y = grid(size)
    level = height * rng.uniform(0.4, 0.65)
    scene = Canvas(size, ramp[-1])
    scene.wash(smoothstep(level, 0, y) + 0 * smooth_noise(rng, size, 50), blend(ramp[-2], ramp[-1], 0.2))
    scene.wash(smoothstep(-4, 4, y - level - 5 * layered_noise(rng, size, 60)), palette.colours[0])
    scene.wash(smoothstep(0.55 * height, 1.1 * height, y) * 0.7 + 0 * scene.lab[..., 0], ramp[0])
    for _ in range(int(habits.between(1, 6))):
        x, foot = width * rng.uniform(0.02, 0.98), level + height * rng.uniform(0.02, 0.25)
        tall = height * rng.uniform(0.2, 0.5)
        crown = Mask(size)
        for _ in range(7):
            crown.ellipse(
                x + tall * rng.normal(0, 0.16),
                foot - tall * rng.uniform(0.55, 1.0),
                tall * rng.uniform(0.1, 0.24),
            )
        crown.polygon(ribbon(curve([(x, foot), (x, foot - tall * 0.7)], 4), tall * 0.06))
        scene.wash(crown.array(1.5), blend(ramp[1], palette.pick(rng, 1)[0], 0.35))
    if rng.random() < 0.5:
        scene.wash(
            Mask(size).ellipse(width * rng.uniform(0.2, 0.8), level * 0.45, min(size) * 0.09).array(1),
            palette.colours[-1],
        )
    radius = habits.between(1.5, 3.6, "weight") * max(size) / 320
    step = radius * habits.between(1.75, 1.3)
    columns, rows = int(width / step) + 2, int(height / step) + 2
    place = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * step
    place = place + rng.uniform(-0.6, 0.6, place.shape) * step
    rng.shuffle(place)
    column = np.clip(place[:, 0], 0, width - 1).astype(int)
    row = np.clip(place[:, 1], 0, height - 1).astype(int)
    lab = scene.lab[row, column]
    lab += rng.normal(0, 1, lab.shape).astype(np.float32) * np.float32(
        habits.between(0.018, 0.042, "contrast")
    )
    stray = rng.random(len(lab)) < 0.05  # the complementary touches that make it shimmer
    lab[stray] = palette.colours[rng.integers(0, len(palette.colours), int(stray.sum()))]
    sheet = Sheet(size, palette.ground)
    sizes = radius * rng.uniform(0.7, 1.15, len(place))
    boxes = 2 * np.concatenate([place - sizes[:, None], place + sizes[:, None]], axis=1)
    for box, fill in zip(boxes.tolist(), fills(lab), strict=True):
        sheet.draw.ellipse(box, fill=fill)
    return sheet.image()


def drips(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Paint thrown from a stick: looping skeins that swell and thin, with spatter (after Pollock)."""
    width, height = size
    sheet = Sheet(size, palette.ground)
    skeins = int(habits.between(26, 110))
    inks = np.concatenate(
        [palette.ink[None] if palette.ground[0] > 0.5 else palette.lightest[None], palette.colours]
    )
    unit = max(size) / 300
    for skein in range(skeins):
        colour = inks[0] if rng.random() < 0.3 else inks[int(rng.integers(len(inks)))]
        fill = rgb(colour)
        start = rng.uniform(-0.1, 1.1, 2) * (width, height)
        knots = wander(rng, start, int(rng.integers(8, 20)), rng.uniform(14, 40) * unit, 0.85)
        line = curve(knots, 7)
        knots_of_width = np.arange(0, len(line) + 6, 6)
        swell = np.interp(np.arange(len(line)), knots_of_width, rng.gamma(1.6, 1, len(knots_of_width)))
        heavy = 1.0 if skein < skeins * 0.7 else 0.55
        widths = (0.35 + habits.between(0.5, 1.7, "weight") * swell) * unit * heavy
        sheet.draw.polygon(flat(ribbon(line, widths)), fill=fill)
        drops = int(habits.between(5, 18))
        at = line[rng.integers(0, len(line), drops)] + rng.normal(0, 7 * unit, (drops, 2))
        for (x, y), r in zip(at.tolist(), (unit * rng.gamma(1.1, 0.75, drops)).tolist(), strict=True):
            sheet.draw.ellipse(flat([x - r, y - r, x + r, y + r]), fill=fill)
    return sheet.image()


def ink(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """A few strokes of a wet brush running dry on paper, an enso or grasses, and a red seal."""
    width, height = size
    light = palette.ground[0] > 0.5
    canvas = Canvas(size, palette.ground)
    canvas.tone(np.float32(0.008) * layered_noise(rng, size, 60))
    black = palette.ink if light else shade(palette.lightest, 0.05, 0.4)
    unit = min(size)
    fibre = layered_noise(rng, size, 5, 3)
    strokes: list[tuple[npt.NDArray[np.float64], float]] = []
    motif = str(rng.choice(["enso", "signs", "grass"], p=[0.3, 0.45, 0.25]))
    if motif == "enso":
        turn = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi * rng.uniform(0.86, 0.98), 14)
        radius = (
            unit * rng.uniform(0.26, 0.36) * (1 + 0.05 * np.cumsum(rng.normal(0, 0.4, 14)) * habits.wobble)
        )
        centre = np.array([width * rng.uniform(0.42, 0.58), height * rng.uniform(0.4, 0.55)])
        strokes.append(
            (
                centre + np.stack([np.cos(turn), np.sin(turn)], 1) * radius[:, None],
                habits.between(0.05, 0.12, "weight"),
            )
        )
    elif motif == "signs":
        count = int(habits.between(3, 9))
        for index in range(count):
            spot = np.array(
                [
                    width * rng.uniform(0.25, 0.75),
                    height * (0.15 + 0.7 * (index + rng.uniform(0.2, 0.8)) / count),
                ]
            )
            reach = unit * rng.uniform(0.12, 0.36)
            angle = float(rng.choice([0.05, 1.4, 0.9, -0.6])) + rng.normal(0, 0.15)
            along = np.linspace(-1, 1, 5)[:, None] * reach * np.array([np.cos(angle), np.sin(angle)])
            bend = rng.normal(0, 0.22 * reach, (5, 2)) * (0.4 + habits.wobble)
            strokes.append(
                (spot + along + bend, habits.between(0.03, 0.085, "weight") * rng.uniform(0.6, 1.3))
            )
    else:
        root = width * rng.uniform(0.25, 0.75)
        for _ in range(int(habits.between(6, 20))):
            tall, lean = height * rng.uniform(0.35, 0.85), width * rng.normal(0.0, 0.22)
            x = root + width * rng.normal(0, 0.07)
            t = np.linspace(0, 1, 6)
            blade = np.stack(
                [x + lean * t**2, height * 0.97 - tall * (t - 0.25 * t**2 * abs(lean) / width)], axis=1
            )
            strokes.append((blade, habits.between(0.012, 0.03, "weight")))
    for knots, weight in strokes:
        line = curve(knots, 9)
        t = np.linspace(0, 1, len(line))
        pressure = (0.55 + 0.45 * np.cos(2.6 * np.pi * (t - rng.uniform(0, 0.4)))) * (1 - 0.55 * t) + 0.28
        pressure *= np.minimum(1, 12 * np.minimum(t + 0.03, 1.03 - t))
        mask = Mask(size).polygon(ribbon(line, unit * weight * pressure)).array()
        wet = 1 - 0.45 * smoothstep(
            -0.2,
            1.6,
            fibre
            + 0.6
            * bristles(rng, size, bool(abs(line[-1, 1] - line[0, 1]) > abs(line[-1, 0] - line[0, 0])), 20),
        )
        canvas.wash(mask * np.clip(wet, 0, 1) * rng.uniform(0.75, 1.0), black)
    bleed = Mask(size)
    for _ in range(int(habits.between(3, 22, "wobble"))):
        x, y = strokes[int(rng.integers(len(strokes)))][0][-1] + rng.normal(0, 0.09 * unit, 2)
        bleed.ellipse(float(x), float(y), unit * rng.gamma(1.0, 0.0035) + 0.3)
    canvas.wash(bleed.array(0.3) * 0.85, black)
    if rng.random() < 0.8:
        side = 0.052 * unit
        x, y = width * rng.choice([0.14, 0.84]), height * rng.uniform(0.78, 0.9)
        seal = Mask(size).polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
        seal.line([(x + side * 0.3, y + side * 0.2), (x + side * 0.3, y + side * 0.8)], side * 0.12, 60)
        seal.line([(x + side * 0.2, y + side * 0.5), (x + side * 0.8, y + side * 0.5)], side * 0.12, 60)
        seal.line([(x + side * 0.7, y + side * 0.25), (x + side * 0.7, y + side * 0.8)], side * 0.12, 60)
        canvas.wash(seal.array(0.3) * 0.92, lch(0.56, 0.17, 30))  # cinnabar, whatever else is on the table
    return canvas.image()


def rain(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Thinned paint laid along the top edge and left to run down (after Louis and Steir)."""
    width, height = size
    canvas = Canvas(size, palette.ground)
    unit = max(size) / 300
    x, y = grid(size)
    for _ in range(int(habits.between(7, 24))):
        colour = palette.pick(rng, 1)[0]
        at = width * rng.uniform(-0.05, 1.05)
        half = unit * habits.between(4, 17, "weight") * rng.uniform(0.5, 1.5)
        end = height * rng.beta(3.2, 1.6) * 1.1
        sway = smooth_noise(rng, (2, height), 70)[:, :1] * 1.8 * unit * (0.3 + habits.wobble)
        narrow = half * (1 - 0.45 * y / height) * np.sqrt(np.clip((end - y) / (8 * unit) + 0.15, 0, 1))
        distance = np.abs(x - at - sway)
        veil = smoothstep(0.9, -0.9, distance - narrow)
        rim = 0.62 + 0.3 * smoothstep(0.45, 1.0, distance / np.maximum(narrow, 0.5))
        canvas.wash(veil * rim.astype(np.float32) * (y < end), colour)
    canvas.tone(np.float32(0.012 * (0.3 + habits.texture)) * bristles(rng, size, True, 50))
    return canvas.image()
