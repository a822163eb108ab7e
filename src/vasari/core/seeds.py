"""Random numbers that depend on what is drawn, never on who draws it or when.

Every consumer names its stream by integers (seed, purpose, epoch, batch, ...). Two workers that share
a job therefore draw what one would have drawn, and a resumed run needs no generator state on disk.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """Return the generator of one named stream.

    Parameters
    ----------
    seed
        The run's seed, >= 0.
    purpose
        What is drawn, for example ``"triples"``; different purposes are independent streams.
    position
        Where in the stream: epoch, batch, ...; each >= 0.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *position])
