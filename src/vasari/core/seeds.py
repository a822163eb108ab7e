"""Random numbers that depend on what is drawn, never on who draws it or when.

Every consumer names its stream by integers (seed, purpose, epoch, batch, ...). Two workers that share
a job therefore draw what one would have drawn, and a resumed run needs no generator state on disk.
"""

from __future__ import annotations

import operator
import zlib

import numpy as np

from vasari.core.errors import UsageError

LARGEST = 2**64 - 1


def generator(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """Return the generator of one named stream.

    Parameters
    ----------
    seed
        The run's seed, 0 to 2**64 - 1.
    purpose
        What is drawn, for example ``"triples"``; different purposes are independent streams.
    position
        Where in the stream: epoch, batch, ...; each 0 to 2**64 - 1.

    Raises
    ------
    UsageError
        `seed` or a position is negative or too large.
    """
    numbers = [operator.index(number) for number in (seed, *position)]
    if outside := [number for number in numbers if not 0 <= number <= LARGEST]:
        raise UsageError(f"{outside[0]} cannot be a seed or a position in a random stream: 0 to 2**64 - 1")
    # A spawn key, since in plain entropy [7] and [7, 0] are the same stream; and two words for every
    # number, since otherwise 2**32 and the pair 0, 1 would be.
    words = [word for number in numbers[1:] for word in (number & 0xFFFFFFFF, number >> 32)]
    key = (zlib.crc32(purpose.encode()), *words)
    return np.random.default_rng(np.random.SeedSequence(numbers[0], spawn_key=key))
