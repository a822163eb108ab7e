"""Families of features: "deep", which a network computes, and those that are formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.features.decode import View
from vasari.features.explicit import NAMES, Pixels, explicit_features
from vasari.features.fingerprint import DEEP, Fingerprint, Preprocessing
from vasari.features.lbp import BINS, lbp_histogram

# The whole picture, its longer side at most 256 pixels: sharpness and texture depend on the scale, and a
# bound on it makes large and small pictures comparable and the cost of both small.
WHOLE = View(
    Preprocessing(size=256, resize=256, interpolation="bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "whole",
)


@dataclass(frozen=True)
class Formula:
    """A family of features that needs no network.

    Attributes
    ----------
    compute
        Pixels of the whole picture, uint8 (height, width, 3), to a vector.
    dim
        Length of the vector.
    """

    compute: Callable[[Pixels], npt.NDArray[np.float32]]
    dim: int


FORMULAS = {"explicit": Formula(explicit_features, len(NAMES)), "lbp": Formula(lbp_histogram, BINS)}
FAMILIES = (DEEP, *FORMULAS)


def families(asked: str | Sequence[str]) -> tuple[str, ...]:
    """The families asked for, as a list or as one text with commas, in that order.

    Raises
    ------
    UsageError
        None is asked for, one is unknown, or one is asked for twice.
    """
    names = tuple(name.strip() for name in (asked.split(",") if isinstance(asked, str) else asked))
    for name in names:
        if name not in FAMILIES:
            raise UsageError(
                f"feature family {name!r} is unknown; use {', '.join(FAMILIES)} "
                f"(backbone= names the network of {DEEP!r})"
            )
        if names.count(name) > 1:
            raise UsageError(f"feature family {name!r} is asked for twice; once is enough")
    if not names:
        raise UsageError(f"no feature family is asked for; use {', '.join(FAMILIES)}")
    return names


def formula_fingerprint(name: str, dtype: str) -> Fingerprint:
    """The fingerprint of a formula's vectors."""
    return Fingerprint(name, "formula", WHOLE.steps, WHOLE.mode, dtype)
