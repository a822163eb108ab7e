"""What a vector was made with: two vectors may be compared only if their fingerprints agree."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from typing_extensions import Self

from vasari.core.errors import DataError

# Raise it whenever decoding or preprocessing changes what a picture's vector is.
VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input; travels with the backbone.

    Attributes
    ----------
    size
        Side of the square input in pixels.
    resize
        The shorter side is thought scaled to this many pixels before the central `size` are cut out
        (mode "crop"); 256 for a 224 pixel input with a crop of .875.
    interpolation
        Name of a Pillow resampling filter: "bicubic", "bilinear", "lanczos" or "nearest".
    mean, std
        Per channel, on the scale 0 to 1.
    """

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Fingerprint:
    """Everything that decides what vector a picture gets.

    Attributes
    ----------
    extractor
        Name of the backbone, or of the source of vectors made elsewhere.
    weights
        SHA-256 of the checkpoint file or of the tensors; ``random-<seed>`` for a network that was
        never trained; for vectors made elsewhere, SHA-256 of these.
    preprocessing
        None for vectors made elsewhere.
    mode
        "crop" (centre) or "pad" (whole picture).
    dtype
        How the vectors are stored: "float16" or "float32".
    spatial
        Whether a map of vectors per position is kept too.
    version
        Of this package's decoding and preprocessing.
    path
        Where a local checkpoint was. No part of the identity: moving the file changes no vector.
    """

    extractor: str
    weights: str
    preprocessing: Preprocessing | None = None
    mode: str = "crop"
    dtype: str = "float32"
    spatial: bool = False
    version: int = VERSION
    path: str | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Build from what `to_json` gave.

        Raises
        ------
        DataError
            A field is missing or unknown.
        """
        try:
            given = dict(value)
            if (steps := given.pop("preprocessing")) is not None:
                given["preprocessing"] = Preprocessing(
                    **{**steps, "mean": tuple(steps["mean"]), "std": tuple(steps["std"])}
                )
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{value!r} is no fingerprint of an extractor: {error}") from None

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the identity."""
        identity = {name: value for name, value in self.to_json().items() if name != "path"}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
