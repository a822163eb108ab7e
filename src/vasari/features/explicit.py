"""Eight numbers a person could have named: brightness, saturation, sharpness, contrast and their kin.

The "explicit visual features" of Messina et al. 2019 (UMUAI), there taken from San Pedro and
Siersdorfer (WWW 2009). The formulas are those of OpenIMAJ's implementation of the latter, which takes no
square root in either contrast; the entropy is not among them and follows its usual definition.

With R, G, B in [0, 1], N pixels and the intensity I = .299 R + .587 G + .114 B:

1. brightness     mean of I
2. saturation     mean of max(R, G, B) - min(R, G, B)
3. sharpness      1/N sum |L / mu| over pixels with mu > 0; L = I * [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
                  mu the mean of the 3 x 3 pixels around; the outermost pixels are repeated beyond the border
4. contrast       1/(N-1) sum (I - mean I)^2
5. rgb_contrast   1/N sum |(R, G, B) - mean (R, G, B)|^2
6. colourfulness  sqrt(var rg + var yb) + .3 sqrt(mean rg^2 + mean yb^2), rg = R - G, yb = (R + G)/2 - B
                  (Hasler and Suesstrunk 2003)
7. naturalness    sum over skin, grass and sky of (share of all pixels) * exp(-.5 ((s - s0) / sd)^2), s the
                  mean HSL saturation of the band's pixels; only pixels with .2 <= lightness <= .8 and
                  saturation > .1 are in a band
8. entropy        in bits, of the grey histogram in 256 bins

Their scales differ by orders of magnitude: compare them by cosine only after z-scoring.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.int32]

NAMES = (
    "brightness",
    "saturation",
    "sharpness",
    "contrast",
    "rgb_contrast",
    "colourfulness",
    "naturalness",
    "entropy",
)
# Hues in degrees, both ends included; typical saturation and its deviation.
BANDS = {
    "skin": (25, 70, 0.76, 0.52),
    "grass": (95, 135, 0.81, 0.53),
    "sky": (185, 260, 0.43, 0.22),
}


def explicit_features(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Compute the eight features of one picture, in the order of `NAMES`.

    Sums are taken over whole numbers, so nothing but a last division is rounded.

    Parameters
    ----------
    pixels
        uint8 RGB, shape (height, width, 3), not empty.

    Returns
    -------
    Shape (8,).
    """
    planes = np.ascontiguousarray(pixels.reshape(-1, 3).T)  # (height, width, 3) -> (3, pixels)
    high, low = planes.max(axis=0), planes.min(axis=0)
    grey = luminance(pixels)  # (height, width)
    n = grey.size
    shades = np.bincount(((grey + 500) // 1000).ravel(), minlength=256) / n
    shades = shades[shades > 0]
    red, green, blue = planes.astype(np.int32)
    mean_rg, var_rg = _moments(red - green)
    mean_yb, var_yb = _moments(red + green - 2 * blue)  # twice yb
    mean_grey, var_grey = _moments(grey.ravel())
    values = (
        mean_grey / 255_000,
        (int(high.sum()) - int(low.sum())) / (255 * n),
        _sharpness(grey),
        var_grey / 255_000**2 * n / max(n - 1, 1),
        sum(_moments(plane)[1] for plane in (red, green, blue)) / 255**2,
        (math.sqrt(var_rg + var_yb / 4) + 0.3 * math.hypot(mean_rg, mean_yb / 2)) / 255,
        _naturalness(red, green, blue, high, low),
        abs((shades * np.log2(shades)).sum()),  # abs instead of a minus: one shade alone is 0, not -0
    )
    return np.array(values, dtype=np.float32)


def luminance(pixels: Pixels) -> Whole:
    """299 R + 587 G + 114 B in whole numbers, so that equal greys are equal; shape (height, width)."""
    wide = pixels.astype(np.int32)
    return 299 * wide[..., 0] + 587 * wide[..., 1] + 114 * wide[..., 2]


def _moments(values: Whole) -> tuple[float, float]:
    """Mean and variance of a row of whole numbers."""
    long = values.astype(np.int64)
    n, total, squares = len(long), int(long.sum()), int(long @ long)
    return total / n, (n * squares - total * total) / (n * n)


def _sharpness(grey: Whole) -> float:
    wide = np.pad(grey, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]  # three above each other: (height, width + 2)
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    # rows holds the pixel itself and the two above and below it.
    edges = np.abs(5 * grey - rows[:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:])
    # |L| over a ninth of the nine; where these are all 0, so is L.
    return float(9 * (edges / np.maximum(around, 1)).mean())


@functools.cache
def _saturations() -> npt.NDArray[np.float64]:
    """HSL saturation by 256 * highest + lowest of R, G, B; 0 where the pixel is in no band."""
    high, low = np.divmod(np.arange(2**16), 256)
    span, twice_lightness = np.maximum(high - low, 0), high + low  # of 255 and of 510
    room = 255 - np.abs(twice_lightness - 255)  # 0 for black and white only, which have no colour
    coloured = (twice_lightness >= 102) & (twice_lightness <= 408) & (10 * span > room)
    return np.divide(span, room, out=np.zeros(len(span)), where=coloured)


def _naturalness(red: Whole, green: Whole, blue: Whole, high: Pixels, low: Pixels) -> float:
    saturation = _saturations()[high.astype(np.int32) << 8 | low]
    coloured = np.flatnonzero(saturation)
    saturation = saturation[coloured]
    span = (high - low)[coloured].astype(np.int32)
    turn = _hue_times_span(red[coloured], green[coloured], blue[coloured], high[coloured], span)
    total = 0.0
    for first, last, typical, deviation in BANDS.values():
        band = saturation[(turn >= first * span) & (turn <= last * span)]
        if band.size:
            total += band.size / len(red) * np.exp(-0.5 * ((band.mean() - typical) / deviation) ** 2)
    return float(total)


def _hue_times_span(red: Whole, green: Whole, blue: Whole, high: Pixels, span: Whole) -> Whole:
    """Hue in degrees, 0 to 360, times max - min: a whole number for any pixel that has a colour."""
    from_red = 60 * (green - blue)
    from_red += 360 * span * (from_red < 0)
    from_green = 60 * (blue - red) + 120 * span
    from_blue = 60 * (red - green) + 240 * span
    return np.where(high == red, from_red, np.where(high == green, from_green, from_blue))
