"""Things on a table and on a loom: still lifes, cut paper, woven cloth."""

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
    closed_curve,
    curve,
    flat,
    grid,
    layered_noise,
    rgb,
    smooth_noise,
    smoothstep,
    tremble,
)
from vasari.synthetic.colour import FloatArray, Palette, blend, shade

Points = npt.NDArray[np.float64]

# half-widths of turned vessels from the foot (0) to the lip (1), as shares of the height
_VESSELS: tuple[tuple[tuple[float, ...], tuple[float, float]], ...] = (
    ((0.17, 0.19, 0.19, 0.19, 0.16, 0.07, 0.06, 0.065), (1.3, 1.7)),  # bottle
    ((0.16, 0.26, 0.31, 0.29, 0.2, 0.11, 0.1, 0.15), (1.0, 1.3)),  # vase
    ((0.26, 0.42, 0.52, 0.58, 0.62, 0.64), (0.5, 0.65)),  # bowl
    ((0.22, 0.23, 0.24, 0.24, 0.25), (0.75, 1.0)),  # beaker
    ((0.2, 0.3, 0.34, 0.33, 0.27, 0.18, 0.17, 0.2), (0.9, 1.15)),  # jug
)


def _vessel(rng: np.random.Generator, x: float, foot: float, tall: float) -> tuple[Points, float, float]:
    profile, (least, most) = _VESSELS[int(rng.integers(len(_VESSELS)))]
    tall = tall * float(rng.uniform(least, most))
    half = np.array(profile) * tall * rng.uniform(0.85, 1.15)
    levels = foot - np.linspace(0, 1, len(half)) * tall
    right = curve(np.stack([x + half, levels], axis=1), 6)
    left = curve(np.stack([x - half, levels], axis=1), 6)[::-1]
    return np.concatenate([right, left]), float(half.max()), tall


def still_life(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Vessels and fruit on a table, lit from one side, quiet tones (after Morandi)."""
    width, height = size
    x, y = grid(size)
    paints = palette.by_lightness
    wall, table = blend(palette.ground, paints[-1], 0.45), blend(paints[1], palette.ground, 0.35)
    if palette.ground[0] < 0.5:
        wall, table = shade(palette.ground, 0.08), blend(palette.ground, paints[2], 0.5)
    edge = height * rng.uniform(0.52, 0.68)
    canvas = Canvas(size, wall)
    canvas.tone(
        (0.05 * habits.contrast * (x / width - 0.5) + 0.012 * layered_noise(rng, size, 60)).astype(np.float32)
    )
    canvas.wash(smoothstep(-1, 1, y - edge - 1.5 * smooth_noise(rng, size, 60)), table)
    streaks = bristles(rng, size)
    canvas.tone(np.float32(0.006 + 0.012 * habits.texture) * streaks)
    side = float(rng.choice([-1.0, 1.0]))
    count = int(habits.between(3, 8) * max(1.0, 0.6 * width / height))
    spots = (np.arange(count) + 0.5 + rng.uniform(-0.25, 0.25, count)) / count
    unit = min(height, 1.25 * width) * habits.between(0.36, 0.3)
    feet = np.sort(edge + height * rng.uniform(0.03, 0.2, count))
    order = rng.permutation(count)
    colours = palette.pick(rng, count)
    for index in range(count):
        at, foot = width * (0.12 + 0.76 * spots[order[index]]), float(feet[index])
        fruit = rng.random() < 0.3
        if fruit:
            half = unit * rng.uniform(0.16, 0.24)
            tall = 1.8 * half
            ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)
            outline = closed_curve(
                np.stack([at + half * np.cos(ring), foot - tall / 2 + tall / 2 * np.sin(ring)], 1)
            )
        else:
            outline, half, tall = _vessel(rng, at, foot, unit)
        shadow = Mask(size).ellipse(at - side * half * 0.9, foot, half * 1.7, half * 0.26).array(3)
        canvas.wash(shadow * habits.between(0.3, 0.6, "contrast"), shade(table, -0.22, 0.9))
        body = Mask(size).polygon(outline).array(0.4)
        base = blend(colours[index], wall, 0.18) if not fruit else shade(colours[index], 0.03, 1.25)
        if np.abs(base - wall).sum() < 0.1:
            base = shade(base, -0.17)
        canvas.wash(body, base)
        across = np.clip((x - at) / max(half, 1) * side, -1.2, 1.2)
        round_light = 0.55 * across - 0.25 * across**2 + 0.12 * streaks * habits.texture
        canvas.tone(body * np.float32(habits.between(0.1, 0.2, "contrast")) * round_light.astype(np.float32))
        gleam = (
            Mask(size)
            .ellipse(at + side * half * 0.45, foot - tall * 0.62, half * 0.09, tall * 0.11)
            .array(1.4)
        )
        canvas.wash(gleam * body * 0.5, shade(palette.lightest, 0.1, 0.3))
    return tremble(canvas.image(), rng, 0.5 + 1.5 * habits.wobble, 26)


def _frond(rng: np.random.Generator, x: float, y: float, reach: float, turn: float) -> Points:
    lobes = int(rng.integers(4, 8))
    spine = np.linspace(0.0, 1.0, lobes + 1)[1:]
    side: list[tuple[float, float]] = [(0.0, 0.05)]
    for t in spine:
        out = np.sin(np.pi * min(t * 0.9 + 0.06, 1)) * 0.42
        side += [(t - 0.07, out + 0.08), (t + 0.02, 0.09 * (1.15 - t))]
    outline = np.array(side + [(1.06, 0.0)] + [(a, -b) for a, b in reversed(side)])
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return closed_curve(np.array([x, y]) + (outline - [0.5, 0]) @ rotate.T * reach, 7)


def _pebble(rng: np.random.Generator, x: float, y: float, reach: float, turn: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    radii = 0.5 * reach * (1 + 0.3 * rng.standard_normal(9).clip(-1.4, 1.4))
    return closed_curve(np.stack([x + radii * np.cos(angles + turn), y + radii * np.sin(angles + turn)], 1))


def _star(rng: np.random.Generator, x: float, y: float, reach: float, turn: float) -> Points:
    arms = int(rng.integers(5, 9))
    angles = np.arange(2 * arms) / (2 * arms) * 2 * np.pi + turn
    radii = 0.55 * reach * np.where(np.arange(2 * arms) % 2, 0.36, 1.0) * rng.uniform(0.85, 1.15, 2 * arms)
    return closed_curve(np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], 1), 6)


def cutouts(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Painted paper cut with scissors: fronds, pebbles and stars on blocks of colour (after Matisse)."""
    width, height = size
    short = 2 if habits.density < 0.45 else 3
    side = min(size) / short
    columns, rows = max(1, round(width / side)), max(1, round(height / side))
    wide, tall = width / columns, height / rows
    strong = np.stack([shade(c, 0.02, 1.3) for c in palette.colours] + [palette.ground])
    shapes = [(_frond, 0.62), (_pebble, 0.2), (_star, 0.18)]
    sheet = Sheet(size, palette.ground)
    for cell in range(columns * rows):
        left, top = (cell % columns) * wide, (cell // columns) * tall
        block = strong[int(rng.integers(len(strong)))]
        jitter = rng.uniform(-0.02, 0.02, 4) * side * habits.wobble
        sheet.draw.rectangle(
            flat(np.array([left, top, left + wide + 1, top + tall + 1]) + jitter), fill=rgb(block)
        )
        far = np.argsort(-np.abs(strong - block).sum(axis=1))[:4]
        for _ in range(int(habits.between(1, 3.4))):
            shape = shapes[int(rng.choice(3, p=[s[1] for s in shapes]))][0]
            x, y = left + wide * rng.uniform(0.35, 0.65), top + tall * rng.uniform(0.35, 0.65)
            outline = shape(rng, x, y, min(wide, tall) * rng.uniform(0.6, 0.95), rng.uniform(0, 2 * np.pi))
            sheet.draw.polygon(
                flat(np.add(outline, (1.2, 1.6))), fill=rgb(shade(block, -0.07))
            )  # the paper's edge
            sheet.draw.polygon(flat(outline), fill=rgb(strong[int(rng.choice(far))]))
    image = sheet.image()
    gouache = 1 + 0.02 * (0.4 + habits.texture) * bristles(rng, size, bool(rng.random() < 0.5))
    pixels = np.asarray(image, dtype=np.float32) * gouache[..., None]
    return tremble(
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), rng, 0.3 + 0.7 * habits.wobble, 40
    )


def weave(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Cloth: coloured warp and weft passing over and under, plain, twill or basket (after Anni Albers)."""
    pitch = max(3, round(habits.between(7.5, 3.2) * max(size) / 320))
    x, y = grid(size)
    sway_x = 0.9 * habits.wobble * smooth_noise(rng, size, 60)
    sway_y = 0.9 * habits.wobble * smooth_noise(rng, size, 60)
    px, py = np.maximum(x + sway_x + 4, 0) / pitch, np.maximum(y + sway_y + 4, 0) / pitch
    warp, weft = px.astype(np.int32), py.astype(np.int32)
    ends, picks = int(warp.max()) + 1, int(weft.max()) + 1

    def threads(n: int) -> FloatArray:
        motif = int(rng.integers(3, 8))
        runs = np.repeat(np.arange(motif), rng.integers(2, 12, motif))
        return np.asarray(palette.pick(rng, motif)[np.resize(runs, n)], dtype=np.float32)

    along, across = threads(ends), threads(picks)
    if rng.random() < 0.4:  # a ground thread in one direction calms the cloth
        across = np.repeat(palette.ground[None], picks, axis=0)
    binding = str(rng.choice(["plain", "twill", "basket", "herringbone"]))
    if binding == "plain":
        over = (warp + weft) % 2 == 0
    elif binding == "twill":
        over = (warp + weft) % 4 < 2
    elif binding == "basket":
        over = (warp // 2 + weft // 2) % 2 == 0
    else:
        fold = 8 + int(habits.between(2, 10))
        slope = np.where((warp // fold) % 2 == 0, warp, -warp)
        over = (slope + weft) % 4 < 2
    lab = np.where(over[..., None], along[warp], across[weft])
    u, v = px - warp - 0.5, py - weft - 0.5
    belly = np.where(over, 1 - 4 * u * u, 1 - 4 * v * v)  # a thread is round across its own width
    dip = np.where(over, 1 - 2.2 * v * v, 1 - 2.2 * u * u)  # and sinks where it passes under
    canvas = Canvas(size, palette.ground)
    canvas.lab[:] = lab
    depth = habits.between(0.07, 0.2, "contrast")
    canvas.tone((depth * (0.55 * belly + 0.45 * dip - 0.72)).astype(np.float32))
    canvas.tone(np.float32(0.015 + 0.02 * habits.texture) * smooth_noise(rng, size, 1.3))
    return canvas.image()
