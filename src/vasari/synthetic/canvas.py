"""The materials: a canvas in OKLab, masks drawn antialiased, noise, brush streaks and grain.

Shapes are drawn with Pillow at twice the size and reduced, which antialiases them; colour is mixed in
float32 OKLab at the final size, which is cheap and keeps blends clean.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from vasari.core.seeds import generator
from vasari.synthetic.colour import FloatArray, to_bytes

Size = tuple[int, int]  # width, height, as Pillow counts
OVER = 2  # how much larger shapes are drawn than shown


@dataclass(frozen=True)
class Habits:
    """How a hand works, whatever it paints; every value lies between 0 and 1.

    Attributes
    ----------
    weight
        From hairlines to heavy bars.
    density
        From sparse to crowded.
    texture
        From smooth paint to rough canvas.
    contrast
        From tone-on-tone to stark.
    wobble
        From ruler and compass to a loose hand.
    """

    weight: float
    density: float
    texture: float
    contrast: float
    wobble: float

    def between(self, low: float, high: float, by: str = "density") -> float:
        """A value from `low` to `high` as the habit named `by` goes from 0 to 1."""
        return low + (high - low) * float(getattr(self, by))


def smooth_noise(rng: np.random.Generator, size: Size, scale: float, stretch: float = 1.0) -> FloatArray:
    """Noise of mean 0 and deviation about 1, shape (height, width).

    Parameters
    ----------
    scale
        Size of its features in pixels.
    stretch
        How much longer features are across than down; 8 makes horizontal brush streaks.
    """
    width, height = size
    columns = int(np.clip(np.ceil(width / (scale * stretch)) + 1, 2, width + 1))
    rows = int(np.clip(np.ceil(height / scale) + 1, 2, height + 1))
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), dtype=np.float32) * 1.3


def layered_noise(rng: np.random.Generator, size: Size, scale: float, octaves: int = 3) -> FloatArray:
    """Smooth noise with finer and fainter copies on top (fractal), shape (height, width)."""
    total = smooth_noise(rng, size, scale)
    for octave in range(1, octaves):
        total += smooth_noise(rng, size, max(scale / 2**octave, 1.0)) * np.float32(0.5**octave)
    return total


def grid(size: Size) -> tuple[FloatArray, FloatArray]:
    """Pixel coordinates (x, y), x of shape (1, width) and y of shape (height, 1)."""
    width, height = size
    return np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]


def smoothstep(low: float, high: float, x: npt.NDArray[np.floating]) -> FloatArray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def curve(points: npt.ArrayLike, steps: int = 10) -> npt.NDArray[np.float64]:
    """A smooth line (Catmull-Rom) through `points`, shape (n, 2) -> ((n - 1) * steps + 1, 2)."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    line = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([line.reshape(-1, 2), p[-2:-1]])


def closed_curve(points: npt.ArrayLike, steps: int = 8) -> npt.NDArray[np.float64]:
    """A smooth closed outline through `points`."""
    p = np.asarray(points, dtype=np.float64)
    return curve(np.concatenate([p[-1:], p, p[:2]]), steps)[steps:-steps]


def ribbon(line: npt.NDArray[np.float64], widths: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The outline of a stroke along `line`, shape (n, 2), with a width at each point."""
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    half = np.broadcast_to(np.asarray(widths, dtype=np.float64) / 2, len(line))[:, None]
    return np.concatenate([line + normal * half, (line - normal * half)[::-1]])


def flat(points: npt.ArrayLike) -> list[float]:
    """Points in final pixels as Pillow wants them on the larger drawing."""
    return [float(v) for v in (np.asarray(points, dtype=np.float64) * OVER).reshape(-1)]


class Mask:
    """An antialiased stencil; coordinates are final pixels."""

    def __init__(self, size: Size) -> None:
        self._image = Image.new("L", (size[0] * OVER, size[1] * OVER), 0)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: npt.ArrayLike, value: int = 255) -> Mask:
        """Fill the outline `points`, shape (n, 2)."""
        self._draw.polygon(flat(points), fill=value)
        return self

    def ellipse(self, x: float, y: float, rx: float, ry: float | None = None, value: int = 255) -> Mask:
        """Fill an ellipse about (x, y)."""
        ry = rx if ry is None else ry
        self._draw.ellipse(flat([[x - rx, y - ry], [x + rx, y + ry]]), fill=value)
        return self

    def line(self, points: npt.ArrayLike, width: float, value: int = 255) -> Mask:
        """Draw a line with round joints."""
        self._draw.line(flat(points), fill=value, width=max(1, round(width * OVER)), joint="curve")
        return self

    def array(self, blur: float = 0.0) -> FloatArray:
        """Coverage 0-1, shape (height, width), softened by `blur` pixels."""
        image = self._image.reduce(OVER)
        if blur > 0:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        return np.asarray(np.asarray(image, dtype=np.float32) / 255, dtype=np.float32)


class Canvas:
    """A picture in the making: OKLab float32, shape (height, width, 3)."""

    def __init__(self, size: Size, ground: FloatArray) -> None:
        self.size = size
        self.lab = np.empty((size[1], size[0], 3), dtype=np.float32)
        self.lab[:] = ground

    def wash(self, mask: npt.NDArray[np.floating] | float, colour: FloatArray) -> Canvas:
        """Lay `colour`, shape (3,) or (height, width, 3), over the canvas where `mask` says."""
        cover = np.asarray(mask, dtype=np.float32)
        self.lab += (colour - self.lab) * (cover[..., None] if cover.ndim else cover)
        return self

    def tone(self, change: FloatArray) -> Canvas:
        """Add `change`, shape (height, width), to the lightness."""
        self.lab[..., 0] += change
        return self

    def image(self) -> Image.Image:
        """The picture as sRGB."""
        return Image.fromarray(to_bytes(self.lab))


def rgb(colour: FloatArray) -> tuple[int, int, int]:
    """An OKLab colour as Pillow's fill."""
    r, g, b = to_bytes(colour).tolist()
    return int(r), int(g), int(b)


def fills(colours: FloatArray) -> list[tuple[int, int, int]]:
    """OKLab colours, shape (n, 3), as Pillow's fills."""
    return [(int(r), int(g), int(b)) for r, g, b in to_bytes(colours).tolist()]


class Sheet:
    """A drawing of many opaque shapes, straight in sRGB at twice the size."""

    def __init__(self, size: Size, ground: FloatArray | Image.Image) -> None:
        self.size = size
        large = (size[0] * OVER, size[1] * OVER)
        if isinstance(ground, Image.Image):
            self.large = ground.resize(large, Image.Resampling.BILINEAR)
        else:
            self.large = Image.new("RGB", large, rgb(ground))
        self.draw = ImageDraw.Draw(self.large)

    def image(self) -> Image.Image:
        """The drawing at its final size, antialiased."""
        return self.large.reduce(OVER)


def tremble(image: Image.Image, rng: np.random.Generator, amount: float, scale: float = 24.0) -> Image.Image:
    """Shift every pixel by smooth noise of about `amount` pixels, so that edges look drawn by hand."""
    if amount < 0.2:
        return image
    width, height = image.size
    x, y = grid(image.size)
    dx = smooth_noise(rng, image.size, scale) + 0.25 * smooth_noise(rng, image.size, scale / 3)
    dy = smooth_noise(rng, image.size, scale) + 0.25 * smooth_noise(rng, image.size, scale / 3)
    columns = np.clip(x + amount * dx + 0.5, 0, width - 1).astype(np.int32)
    rows = np.clip(y + amount * dy + 0.5, 0, height - 1).astype(np.int32)
    return Image.fromarray(np.asarray(image)[rows, columns])


def bristles(rng: np.random.Generator, size: Size, upright: bool = False, length: float = 28.0) -> FloatArray:
    """Brush streaks of mean 0 and deviation about 1, across or (`upright`) down the canvas."""
    across = (size[1], size[0]) if upright else size
    streaks = smooth_noise(rng, across, 1.4, length) + 0.7 * smooth_noise(rng, across, 4.0, length / 2)
    return np.asarray(streaks.T if upright else streaks, dtype=np.float32)


@functools.cache
def _grain(kind: str, side: int = 384) -> FloatArray:
    # the same for every picture and process: drawn once from a fixed stream, used at random offsets
    rng = generator(0, f"grain of {kind}", side)
    x, y = grid((side, side))
    speckle = smooth_noise(rng, (side, side), 1.2)
    if kind == "canvas":
        threads = np.sin(x * np.float32(2.1)) * np.sin(y * np.float32(2.1))
        uneven = smooth_noise(rng, (side, side), 1.5, 12) + smooth_noise(rng, (side, side), 1.5, 12).T
        return np.asarray(0.9 * threads + 0.35 * uneven + 0.3 * speckle, dtype=np.float32)
    fibres = smooth_noise(rng, (side, side), 2.0, 5)
    return np.asarray(
        0.5 * speckle + 0.4 * fibres + 0.5 * smooth_noise(rng, (side, side), 9.0), dtype=np.float32
    )


def finish(image: Image.Image, rng: np.random.Generator, habits: Habits, surface: str) -> Image.Image:
    """Give the picture its surface: the grain of ``"canvas"`` or ``"paper"`` and slightly uneven light."""
    width, height = image.size
    grain = _grain(surface)
    top, left = rng.integers(0, grain.shape[0] - np.minimum([height, width], grain.shape[0]) + 1)
    patch = grain[top : top + height, left : left + width]
    if patch.shape != (height, width):  # larger than the stored grain: tile it
        patch = np.tile(grain, (height // grain.shape[0] + 1, width // grain.shape[1] + 1))[:height, :width]
    light = 1.0 + np.float32(0.012 + 0.05 * habits.texture) * patch
    light += np.float32(0.012) * smooth_noise(rng, image.size, max(width, height) / 2)
    pixels = np.asarray(image, dtype=np.float32) * light[..., None]
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def wander(
    rng: np.random.Generator, start: npt.ArrayLike, steps: int, stride: float, turn: float
) -> npt.NDArray[np.float64]:
    """A walk that changes direction gently, shape (steps, 2)."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, turn, steps))
    path = stride * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.asarray(start, dtype=np.float64) + np.cumsum(path, axis=0)
