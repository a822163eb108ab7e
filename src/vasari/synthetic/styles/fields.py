"""Planes of colour: floating fields, stripes, and paint that has moved by itself (marbling)."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vasari.synthetic.canvas import (
    Canvas,
    Habits,
    Mask,
    Size,
    bristles,
    grid,
    layered_noise,
    smooth_noise,
    smoothstep,
    tremble,
)
from vasari.synthetic.colour import FloatArray, Palette, blend, shade, warm_light


def colour_fields(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Two to four soft-edged fields that float on a saturated ground (after Rothko)."""
    width, height = size
    paints = palette.pick(rng, 5)
    base = shade(paints[0], -0.16 * habits.contrast - 0.04, 1.1)
    canvas = Canvas(size, base)
    canvas.tone(np.float32(0.012) * layered_noise(rng, size, 60))
    count = int(rng.integers(2, 3 + round(habits.density * 1.6)))
    upright = height >= 0.8 * width
    shares = rng.dirichlet(np.full(count, 3.0)) * 0.7 + 0.3 / count
    margin = habits.between(0.05, 0.11, "wobble") * min(size)
    gap = habits.between(0.035, 0.012, "density") * max(size)
    x, y = grid(size)
    along, across, extent, breadth = (y, x, height, width) if upright else (x, y, width, height)
    start = margin
    feather = habits.between(2.0, 7.0, "wobble")
    room = extent - 2 * margin - gap * (count - 1)
    for index, share in enumerate(shares):
        stop = start + share * room
        inset = margin * rng.uniform(0.75, 1.25)
        rough = feather * (
            0.45 * layered_noise(rng, size, 44, 2) + 0.25 * bristles(rng, size, not upright, 9)
        )
        inside = smoothstep(start - feather, start + feather, along + rough)
        inside = inside * smoothstep(-stop - feather, -stop + feather, rough - along)
        inside = inside * smoothstep(inset - feather, inset + feather, across + rough)
        inside = inside * smoothstep(
            -(breadth - inset) - feather, -(breadth - inset) + feather, rough - across
        )
        veil = 0.88 + 0.07 * bristles(rng, size, upright=not upright) + 0.05 * smooth_noise(rng, size, 50)
        canvas.wash(inside * np.clip(veil, 0.45, 1), paints[1 + index % 4])
        start = stop + gap
    return canvas.image()


def stripes(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Bands of unequal width, brushed along their length, upright, level or slanted."""
    x, y = grid(size)
    slant = float(rng.choice([0.0, np.pi / 2, np.pi / 4, -np.pi / 6], p=[0.46, 0.34, 0.1, 0.1]))
    wave = habits.wobble * 2.2 * smooth_noise(rng, size, 70) if habits.wobble > 0.1 else 0.0
    position = (x * np.cos(slant) + y * np.sin(slant) + wave).astype(np.float32)
    low, high = float(position.min()), float(position.max())
    count = int(habits.between(7, 34))
    rhythm = rng.gamma(1.0 + 3.0 * (1 - habits.contrast), size=count) + 0.18
    if rng.random() < 0.35:  # a motif that repeats, as in cloth
        motif = int(rng.integers(3, 7))
        rhythm = np.resize(rhythm[:motif], count)
        colours = np.resize(palette.pick(rng, motif), (count, 3))
    else:
        colours = palette.pick(rng, count)
    if rng.random() < 0.5:  # let the ground breathe between the bands
        colours[1::2] = palette.ground
        rhythm[1::2] *= habits.between(1.2, 0.4, "weight")
    edges = low + (high - low) * np.cumsum(rhythm) / rhythm.sum()
    band = np.minimum(np.searchsorted(edges, position), count - 1)
    # a soft step of about a pixel and a half towards the next band antialiases the edges
    to_edge = edges[band] - position
    ahead = smoothstep(1.2, -0.2, to_edge.astype(np.float32)) * 0.5
    behind = smoothstep(1.2, -0.2, (position - np.r_[low - 9, edges][band]).astype(np.float32)) * 0.5
    lab: FloatArray = colours[band]
    lab = lab + ahead[..., None] * (colours[np.minimum(band + 1, count - 1)] - lab)
    lab = lab + behind[..., None] * (colours[np.maximum(band - 1, 0)] - lab)
    canvas = Canvas(size, palette.ground)
    canvas.lab[:] = lab
    streaks = bristles(rng, size, upright=slant == 0.0, length=40)
    canvas.tone((0.006 + 0.02 * habits.texture) * streaks)
    return canvas.image()


def marbling(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Ink floated on water and drawn through with a comb: bands of a warped field, with fine veins."""
    scale = habits.between(130, 55)
    x, y = grid(size)
    across = smooth_noise(rng, size, scale) + 0.5 * smooth_noise(rng, size, scale / 2.2)
    down = smooth_noise(rng, size, scale) + 0.5 * smooth_noise(rng, size, scale / 2.2)
    angle = rng.uniform(0, np.pi)
    comb = np.sin((x * np.sin(angle) - y * np.cos(angle)) * np.float32(2 * np.pi / habits.between(90, 40)))
    field = (x * np.cos(angle) + y * np.sin(angle)) / np.float32(scale * 1.1)
    field = field + 0.75 * across + 0.35 * np.sin(2.2 * down) + habits.wobble * 0.35 * comb
    count = int(habits.between(9, 20))
    phase = (field - field.min()) / (np.ptp(field) + 1e-6) * count
    colours = palette.pick(rng, count + 2)
    colours[:: int(rng.integers(3, 6))] = palette.lightest if rng.random() < 0.7 else palette.ground
    band = phase.astype(np.int32)
    within = phase - band
    canvas = Canvas(size, palette.ground)
    edge = smoothstep(0.88, 1.0, within)
    canvas.lab[:] = colours[band] + edge[..., None] * (colours[band + 1] - colours[band])
    vein = 0.5 + 0.5 * np.cos((within - 0.5) * 2 * np.pi)  # darker towards the shore of each band
    canvas.tone(np.float32(0.05 * (0.4 + habits.contrast)) * (vein - 0.5))
    line = smoothstep(0.12 * (0.3 + habits.weight), 0.0, np.minimum(within, 1 - within))
    canvas.wash(line * (0.25 + 0.55 * habits.contrast), palette.ink)
    return canvas.image()


def horizon(rng: np.random.Generator, palette: Palette, habits: Habits, size: Size) -> Image.Image:
    """Sea and sky and almost nothing else: two graded planes, light on the water, perhaps a disc."""
    width, height = size
    x, y = grid(size)
    level = height * rng.uniform(0.42, 0.7)
    ramp = palette.by_lightness
    top, low, glow = ramp[int(rng.integers(1, 3))], ramp[-2], ramp[-1]
    canvas = Canvas(size, top)
    sky = smoothstep(0, level, y + 10 * habits.wobble * layered_noise(rng, size, 80))
    canvas.wash(np.broadcast_to(sky, (height, width)) * 0.95, low)
    band = np.exp(-(((y - level) / (0.16 * height)) ** 2)) * (0.5 + 0.5 * habits.contrast)
    canvas.wash(np.broadcast_to(band, (height, width)).astype(np.float32), glow)
    clouds = smoothstep(0.5, 2.2, smooth_noise(rng, size, 16, 7) + 0.5 * smooth_noise(rng, size, 7, 8))
    canvas.wash(
        clouds * smoothstep(level, level * 0.4, y) * habits.between(0.2, 0.75),
        blend(glow, palette.ground, 0.3),
    )
    if rng.random() < 0.6:
        radius = min(size) * rng.uniform(0.06, 0.15)
        sun = (width * rng.uniform(0.25, 0.75), level - radius * rng.uniform(-0.2, 2.6))
        disc = Mask(size).ellipse(*sun, radius).array(0.6)
        canvas.wash(disc * (y < level), warm_light(palette.colours[-1]))
        streak = np.exp(-(((x - sun[0]) / (radius * (0.7 + 0.02 * (y - level)))) ** 2))
    else:
        streak = np.exp(-(((x - width / 2) / (0.3 * width)) ** 2)) + 0 * y
    sea = smoothstep(-0.8, 0.8, y - level)
    canvas.wash(np.broadcast_to(sea, (height, width)), shade(ramp[0], 0.06))
    ripples = smooth_noise(rng, size, 2.2, 12) + smooth_noise(rng, size, 4, 14)
    canvas.tone((sea * (0.012 + 0.03 * habits.density) * ripples).astype(np.float32))
    glint = smoothstep(0.1, 1.4, ripples + 1.2 * streak - 0.5) * streak * sea
    canvas.wash(np.clip(glint, 0, 1).astype(np.float32) * 0.85, glow)
    return tremble(canvas.image(), rng, 0.6 * habits.wobble)
