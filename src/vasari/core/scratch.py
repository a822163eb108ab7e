"""Working space for arrays that may be larger than the memory one would give them."""

from __future__ import annotations

import math
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

HELD = 1 << 29  # bytes that are simply held in memory


def scratch(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros: in memory up to 512 MiB, else mapped from a nameless temporary file.

    The file has no name, so that it is gone with the array however the process ends. It lies where
    `tempfile` puts files; ``TMPDIR`` chooses another disk.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize <= HELD:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:  # the map keeps the space after the file is closed
        return np.memmap(file, dtype, "w+", shape=shape)
