"""Local binary patterns: how often each arrangement of brighter and darker neighbours occurs.

LBP with 8 neighbours at radius 1, uniform patterns, 59 bins (Ojala, Pietikainen and Maenpaa 2002), a feature
family of Messina et al. 2019 (UMUAI), whose settings are not known; these are declared here.

The neighbours are the eight pixels around, without the interpolation that would bring the diagonal ones to
distance 1: in whole numbers a flat area has one code, whatever its grey. A neighbour at least as bright as
the centre is a 1. The outermost pixels are repeated beyond the border. Each of the 58 codes with at most two
changes between 0 and 1 around the circle has a bin, in the order of the codes; the last bin has all others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.features.explicit import Pixels, luminance

# (row, column) around the centre, counter-clockwise from the right; the first is the lowest bit.
CIRCLE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
BINS = 59


def _bins() -> npt.NDArray[np.int64]:
    """Bin of every code, shape (256,)."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1  # (code, neighbour)
    uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(uniform, np.cumsum(uniform) - 1, BINS - 1)


_BIN_OF = _bins()


def lbp_histogram(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Share of the pixels in each bin, shape (59,), sum 1.

    Parameters
    ----------
    pixels
        uint8 RGB, shape (height, width, 3), not empty.
    """
    grey = luminance(pixels)
    height, width = grey.shape
    wide = np.pad(grey, 1, mode="edge")
    codes = np.zeros(grey.shape, dtype=np.uint8)
    for bit, (down, right) in enumerate(CIRCLE):
        neighbour = wide[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        codes |= (neighbour >= grey).view(np.uint8) << bit
    counts = np.bincount(_BIN_OF, weights=np.bincount(codes.ravel(), minlength=256), minlength=BINS)
    return (counts / counts.sum()).astype(np.float32)
