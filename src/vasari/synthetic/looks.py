"""Looks from pixels, by hand-made descriptors: what a picture is like without any neural network.

Used for catalogues that nobody painted here. Everything is computed on a copy of at most 96 pixels on
white, in OKLab: colour moments, a palette histogram, the directions and the amount of edges, tonality and
colour on a 3 x 3 grid, the share of plain background, and the format. Each block is standardised and
scaled to an equal share of the variance.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from vasari.core.progress import bar
from vasari.synthetic.artists import scaled_block
from vasari.synthetic.colour import FloatArray, from_bytes

SIDE = 96
_HUES, _DIRECTIONS, _CELLS = 8, 8, 3


def _open(path: Path) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, upright).convert("RGB"))


def _cells(channel: FloatArray) -> list[float]:
    rows = np.array_split(channel, _CELLS, axis=0)
    return [
        float(cell.mean()) if cell.size else 0.0
        for row in rows
        for cell in np.array_split(row, _CELLS, axis=1)
    ]


def describe_pixels(rgb: npt.NDArray[np.uint8]) -> list[FloatArray]:
    """The blocks of one picture's look.

    Parameters
    ----------
    rgb
        sRGB bytes, shape (height, width, 3).

    Returns
    -------
    Colour moments (9,), palette histogram (28,), edge directions (8,), edge and texture density (6,),
    layout (27,), background and format (3,).
    """
    lab = from_bytes(rgb)
    light, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    flat = lab.reshape(-1, 3)
    mean, deviation = flat.mean(axis=0), flat.std(axis=0)
    skew = np.cbrt(((flat - mean) ** 3).mean(axis=0))
    moments = np.concatenate([mean, deviation, skew])

    chroma = np.hypot(a, b)
    hue = ((np.arctan2(b, a) + np.pi) / (2 * np.pi) * _HUES).astype(int) % _HUES
    tone = np.clip((light * 4).astype(int), 0, 3)
    strong = chroma > 0.04
    hues = np.bincount((hue * 3 + np.clip(tone - 1, 0, 2))[strong], minlength=3 * _HUES)
    greys = np.bincount(tone[~strong], minlength=4)
    histogram = np.sqrt(np.concatenate([hues, greys]) / light.size)

    down, across = np.gradient(light) if min(light.shape) > 1 else (light * 0, light * 0)
    strength = np.hypot(down, across)
    angle = (np.arctan2(down, across) % np.pi) / np.pi * _DIRECTIONS
    directions = np.bincount(angle.astype(int).ravel() % _DIRECTIONS, strength.ravel(), minlength=_DIRECTIONS)
    directions = np.sqrt(directions / max(float(directions.sum()), 1e-6))
    edges = [float((strength > level).mean()) for level in (0.02, 0.06, 0.15)]
    coarse = np.asarray(
        Image.fromarray(light).resize(
            (max(1, light.shape[1] // 4), max(1, light.shape[0] // 4)), Image.Resampling.BOX
        )
    )
    rough = [float(strength.mean()), float(np.std(coarse)), float(np.std(strength))]

    layout = _cells(light) + _cells(chroma) + _cells(strength)
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    ground = np.median(border, axis=0)
    plain = float((np.abs(lab - ground).sum(axis=-1) < 0.06).mean())
    rest = [plain, float(ground[0]), float(np.log(rgb.shape[1] / rgb.shape[0]))]
    blocks = (moments, histogram, directions, edges + rough, layout, rest)
    return [np.asarray(block, dtype=np.float32) for block in blocks]


def _describe_file(path: Path | None) -> list[FloatArray] | None:
    if path is None:
        return None
    try:
        return describe_pixels(_open(path))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def pixel_looks(
    images: Sequence[Path | None], workers: int | None = None, progress: bool | None = None
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Looks of many pictures.

    Returns
    -------
    The looks, shape (pictures, 81), variances summing to 1, and which pictures could be read; what
    could not is all zeros, which is the average look.
    """
    from joblib import Parallel, delayed  # type: ignore[import-untyped]  # joblib ships no types

    jobs = min(workers or os.cpu_count() or 1, max(1, len(images) // 200))
    pool = Parallel(n_jobs=jobs, return_as="generator", batch_size=32)
    with bar("Looking", len(images), show=progress) as steps:
        rows = []
        for row in pool(delayed(_describe_file)(path) for path in images):
            steps.advance()
            rows.append(row)
    seen = np.array([row is not None for row in rows], dtype=bool)
    readable = [row for row in rows if row is not None]
    if not readable:
        return np.zeros((len(images), 1), np.float32), seen
    blocks = [np.stack([row[k] for row in readable]) for k in range(len(readable[0]))]
    scaled = [scaled_block(_standard(block), 1 / len(blocks)) for block in blocks]
    looks = np.zeros((len(images), sum(block.shape[1] for block in scaled)), dtype=np.float32)
    looks[seen] = np.concatenate(scaled, axis=1)
    return looks, seen


def _standard(block: FloatArray) -> FloatArray:
    deviation = block.std(axis=0)
    return np.asarray(
        (block - block.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1), dtype=np.float32
    )
