"""Colour as painters mix it: OKLab and OKLCH, gamut mapping, and harmonious palettes.

Source of the space: Ottosson 2020, "A perceptual color space for image processing". Equal steps look
equal, so blends stay clean and palettes built by angle and lightness look chosen rather than drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ],
    dtype=np.float32,
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ],
    dtype=np.float32,
)
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)

_STEPS = 4096  # resolution of the table from linear light to sRGB bytes; finer than a byte everywhere


def _encode(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


# indexed by the square root of linear light, which spends the table where the curve is steep
_TO_BYTE = np.round(255 * _encode((np.arange(_STEPS) / (_STEPS - 1)) ** 2)).astype(np.uint8)
_BYTES = np.arange(256) / 255
_TO_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _mix(matrix: FloatArray, x: FloatArray, y: FloatArray, z: FloatArray) -> list[FloatArray]:
    # spelled out because a (pixels, 3) @ (3, 3) product through BLAS is several times slower
    return [row[0] * x + row[1] * y + row[2] * z for row in matrix]


def _linear(lab: FloatArray) -> FloatArray:
    lms = _mix(_LAB_TO_LMS, lab[..., 0], lab[..., 1], lab[..., 2])
    return np.stack(_mix(_LMS_TO_RGB, *(channel * channel * channel for channel in lms)), axis=-1)


def to_bytes(lab: FloatArray) -> npt.NDArray[np.uint8]:
    """OKLab, shape (..., 3), to sRGB bytes of the same shape; what lies outside the gamut is clipped."""
    linear = np.sqrt(np.clip(_linear(lab), 0, 1))
    return _TO_BYTE[(linear * (_STEPS - 1) + 0.5).astype(np.int32)]


def from_bytes(rgb: npt.NDArray[np.uint8]) -> FloatArray:
    """SRGB bytes, shape (..., 3), to OKLab float32 of the same shape."""
    linear = _TO_LINEAR[rgb]
    lms = _mix(_RGB_TO_LMS, linear[..., 0], linear[..., 1], linear[..., 2])
    return np.stack(_mix(_LMS_TO_LAB, *(np.cbrt(channel) for channel in lms)), axis=-1)


def _inside(colours: FloatArray) -> npt.NDArray[np.bool_]:
    linear = _linear(colours)
    return np.asarray(((linear >= -1e-4) & (linear <= 1 + 1e-4)).all(axis=1))


def fit_gamut(lab: npt.ArrayLike) -> FloatArray:
    """Reduce the chroma of every colour, shape (n, 3), just so far that sRGB can show it."""
    colours = np.array(lab, dtype=np.float32).reshape(-1, 3)
    colours[:, 0] = np.clip(colours[:, 0], 0.03, 0.985)
    if _inside(colours).all():
        return colours
    low: FloatArray = np.zeros(len(colours), np.float32)
    high: FloatArray = np.ones(len(colours), np.float32)
    for _ in range(12):
        middle = (low + high) / 2
        inside = _inside(colours * np.stack([np.ones_like(middle), middle, middle], axis=1))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    scale = np.where(high >= 0.999, 1, low)
    return np.asarray(colours * np.stack([np.ones_like(scale), scale, scale], axis=1), dtype=np.float32)


def _first(lab: npt.ArrayLike) -> FloatArray:
    return np.asarray(fit_gamut(lab)[0], dtype=np.float32)


def lch(lightness: float, chroma: float, hue: float) -> FloatArray:
    """One OKLab colour, shape (3,), from lightness 0-1, chroma 0-.3 and hue in degrees."""
    angle = np.deg2rad(hue)
    return _first([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])


def warm_light(colour: FloatArray, lightness: float = 0.86) -> FloatArray:
    """A sun for a picture in which `colour` is the accent: its own hue drawn halfway to amber."""
    amber = lch(lightness, 0.13, 72)
    return _first(blend(amber, np.array([lightness, colour[1], colour[2]], np.float32), 0.3))


def blend(a: FloatArray, b: FloatArray, share: float) -> FloatArray:
    """The colour `share` of the way from `a` to `b`."""
    return np.asarray(a + (b - a) * np.float32(share), dtype=np.float32)


def shade(colour: FloatArray, lightness: float, chroma: float = 1.0) -> FloatArray:
    """`colour` made lighter (or darker) by `lightness`, its chroma multiplied by `chroma`."""
    return _first([colour[0] + lightness, colour[1] * chroma, colour[2] * chroma])


@dataclass(frozen=True, eq=False)
class Palette:
    """What stands on the painter's table; every colour is OKLab float32.

    Attributes
    ----------
    ground
        The tone of the canvas or paper, shape (3,).
    ink
        The colour of lines and darks, shape (3,).
    colours
        The paints, shape (k, 3): the first dominates, the last is the accent.
    """

    ground: FloatArray
    ink: FloatArray
    colours: FloatArray

    def pick(self, rng: np.random.Generator, n: int) -> FloatArray:
        """`n` paints, shape (n, 3): earlier ones more often, neighbours differing where possible."""
        k = len(self.colours)
        weights = 1.0 / (1.0 + 0.35 * np.arange(k))
        order = rng.choice(k, size=n, p=weights / weights.sum())
        for i in range(1, n):
            if order[i] == order[i - 1]:
                order[i] = (order[i] + 1 + int(rng.integers(max(k - 1, 1)))) % k
        return np.asarray(self.colours[order], dtype=np.float32)

    @property
    def lightest(self) -> FloatArray:
        """The lightest paint, shape (3,)."""
        return np.asarray(self.colours[np.argmax(self.colours[:, 0])], dtype=np.float32)

    @property
    def darkest(self) -> FloatArray:
        """The darkest paint, shape (3,)."""
        return np.asarray(self.colours[np.argmin(self.colours[:, 0])], dtype=np.float32)

    @property
    def by_lightness(self) -> FloatArray:
        """The paints from dark to light, shape (k, 3)."""
        return np.asarray(self.colours[np.argsort(self.colours[:, 0])], dtype=np.float32)

    def varied(self, rng: np.random.Generator, amount: float = 1.0) -> Palette:
        """The same table on another day: hue, chroma and lightness a little off."""
        turn = np.deg2rad(rng.normal(0, 7 * amount))
        strength = float(np.exp(rng.normal(0, 0.10 * amount)))
        lift = rng.normal(0, 0.02 * amount)
        rotate = strength * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        paints = self.colours.astype(np.float64)
        paints[:, 1:] = paints[:, 1:] @ rotate.T + rng.normal(0, 0.006 * amount, (len(paints), 2))
        paints[:, 0] += lift + rng.normal(0, 0.02 * amount, len(paints))
        return Palette(self.ground, self.ink, fit_gamut(paints))


# hue offsets in degrees of the five paints: dominant, two companions, a contrast, the accent
HARMONIES: dict[str, tuple[float, ...]] = {
    "analogous": (0, 24, -22, 46, 180),
    "complementary": (0, 14, 182, -12, 196),
    "split": (0, 12, 152, 210, 30),
    "triad": (0, 10, 122, 240, 130),
    "monochrome": (0, 6, -6, 12, 165),
    "warm and cool": (0, 28, 205, 228, 50),
}
_LADDERS: tuple[tuple[float, ...], ...] = (
    (0.52, 0.72, 0.36, 0.84, 0.64),
    (0.42, 0.58, 0.78, 0.30, 0.70),
    (0.68, 0.80, 0.54, 0.90, 0.58),
    (0.60, 0.44, 0.86, 0.74, 0.66),
    (0.33, 0.47, 0.62, 0.80, 0.68),
)


def invent_palette(rng: np.random.Generator) -> Palette:
    """Draw a harmonious palette: a harmony, a ladder of lightness, a strength of colour, a ground."""
    # pigments lean to earths and blues; the rest of the circle is rarer
    hue = (
        float(rng.choice([rng.uniform(0, 360), rng.normal(55, 25), rng.normal(250, 25)], p=[0.5, 0.3, 0.2]))
        % 360
    )
    offsets = np.array(HARMONIES[str(rng.choice(list(HARMONIES)))])
    ladder = np.array(_LADDERS[int(rng.integers(len(_LADDERS)))]) + rng.normal(0, 0.03, 5)
    chroma = float(rng.choice([0.055, 0.085, 0.115, 0.145], p=[0.2, 0.3, 0.3, 0.2]))
    angles = np.deg2rad(hue + offsets + rng.normal(0, 5, 5))
    # the middle of the lightness range carries the most colour; the accent is the strongest paint
    chromas = chroma * (1 - 1.1 * np.abs(ladder - 0.62)) * np.array([1, 0.9, 0.85, 0.8, 1.3])
    colours = fit_gamut(np.stack([ladder, chromas * np.cos(angles), chromas * np.sin(angles)], axis=1))
    kind = str(rng.choice(["paper", "cream", "tint", "grey", "dark"], p=[0.3, 0.3, 0.2, 0.08, 0.12]))
    ground = {
        "paper": lch(0.965, 0.008, 95),
        "cream": lch(0.93, 0.032, 86),
        "tint": lch(0.88, 0.028, hue + float(rng.choice([0, 180]))),
        "grey": lch(0.78, 0.012, hue),
        "dark": lch(0.24, 0.03, hue + float(rng.normal(0, 20))),
    }[kind]
    ink = lch(0.22, 0.025, hue + float(rng.normal(0, 30)))
    return Palette(ground, ink, colours)
