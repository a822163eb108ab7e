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

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]

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

    Parameters
    ----------
    pixels
        uint8 RGB, shape (height, width, 3), not empty.

    Returns
    -------
    Shape (8,).
    """
    rgb = pixels.reshape(-1, 3) / 255.0  # (height, width, 3) -> (pixels, 3)
    grey = luminance(pixels)  # (height, width)
    intensity = grey / 255_000.0
    n = intensity.size
    red, green, blue = rgb.T
    rg, yb = red - green, (red + green) / 2 - blue
    shades = np.bincount(((grey + 500) // 1000).ravel(), minlength=256) / n
    shades = shades[shades > 0]
    values = (
        intensity.mean(),
        np.ptp(rgb, axis=1).mean(),
        _sharpness(intensity),
        np.square(intensity - intensity.mean()).sum() / max(n - 1, 1),
        np.square(rgb - rgb.mean(axis=0)).sum() / n,
        np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2),
        _naturalness(rgb),
        abs((shades * np.log2(shades)).sum()),  # abs instead of a minus: one shade alone is 0, not -0
    )
    return np.array(values, dtype=np.float32)


def luminance(pixels: Pixels) -> npt.NDArray[np.int64]:
    """299 R + 587 G + 114 B in whole numbers, so that equal greys are equal; shape (height, width)."""
    return pixels.astype(np.int64) @ np.array([299, 587, 114])


def _sharpness(intensity: Plane) -> float:
    around = np.lib.stride_tricks.sliding_window_view(np.pad(intensity, 1, mode="edge"), (3, 3))
    mean = around.mean(axis=(2, 3))
    cross = around[..., 0, 1] + around[..., 1, 0] + around[..., 1, 2] + around[..., 2, 1]
    edges = np.abs(4 * intensity - cross)
    return float(np.divide(edges, mean, out=np.zeros_like(mean), where=mean > 0).mean())


def _naturalness(rgb: Plane) -> float:
    high, low = rgb.max(axis=1), rgb.min(axis=1)
    lightness, span = (high + low) / 2, high - low
    # Saturation of HSL; the divisor is 0 for black and white only, which have no colour.
    room = 1 - np.abs(2 * lightness - 1)
    saturation = np.divide(span, room, out=np.zeros_like(span), where=span > 0)
    coloured = (lightness >= 0.2) & (lightness <= 0.8) & (saturation > 0.1)
    hue = _hue(rgb[coloured], high[coloured], span[coloured])
    saturation = saturation[coloured]
    total = 0.0
    for first, last, typical, deviation in BANDS.values():
        band = saturation[(hue >= first) & (hue <= last)]
        if band.size:
            total += band.size / len(rgb) * np.exp(-0.5 * ((band.mean() - typical) / deviation) ** 2)
    return float(total)


def _hue(rgb: Plane, high: Plane, span: Plane) -> Plane:
    """Hue in degrees, 0 to 360, of pixels that have a colour, shape (pixels,)."""
    red, green, blue = rgb.T
    sixth = np.select(
        [high == red, high == green],
        [(green - blue) / span % 6, (blue - red) / span + 2],
        (red - green) / span + 4,
    )
    return 60.0 * sixth
