"""Assertions that end in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt


def require(holds: bool | np.bool_, sentence: str) -> None:
    """Raise `sentence` as AssertionError unless `holds`; unlike ``assert``, also under ``python -O``."""
    if not holds:
        raise AssertionError(sentence)


def equal(got: npt.ArrayLike, expected: npt.ArrayLike, sentence: str, tolerance: float = 0.0) -> None:
    """Require two arrays to agree; NaN agrees with NaN, since other checks look for it.

    Parameters
    ----------
    tolerance
        Largest difference, as a share of the largest finite value in `expected` and at least of 1; 0 for
        bit-identical.
    """
    left, right = np.asarray(got, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    require(left.shape == right.shape, f"{sentence}: shape {left.shape} instead of {right.shape}")
    size = np.abs(right[np.isfinite(right)]).max(initial=1.0)
    close = np.isclose(left, right, rtol=0.0, atol=tolerance * size, equal_nan=True)
    if not close.all():
        place = tuple(np.argwhere(~close)[0].tolist())
        raise AssertionError(
            f"{sentence}: {np.count_nonzero(~close)} of {close.size} values differ, the first at {place}: "
            f"{left[place]:.6g} instead of {right[place]:.6g}"
        )


def refuses(error: type[Exception], naming: str, call: Callable[[], object], sentence: str) -> None:
    """Require `call` to raise `error` with `naming` in its message."""
    try:
        call()
    except error as raised:
        require(naming in str(raised), f"{sentence}: the message does not name {naming!r}: {raised}")
    else:
        raise AssertionError(f"{sentence}: no {error.__name__} was raised")
