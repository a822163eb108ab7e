"""What a vector was made with: two vectors may be compared only if their fingerprints agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

from typing_extensions import Self

from vasari.core.errors import DataError

# Raise it whenever decoding or preprocessing changes what a picture's vector is.
VERSION = 1

DEEP = "deep"  # the family of features that a network computes


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
class Part:
    """One family of features in a vector that holds several side by side.

    Attributes
    ----------
    name
        Of the family, see `Fingerprint.family`.
    width
        How many columns it has.
    fingerprint
        What made them.
    """

    name: str
    width: int
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Fingerprint:
    """Everything that decides what vector a picture gets.

    Attributes
    ----------
    extractor
        Name of the backbone, or of the source of vectors made elsewhere; "explicit" or "lbp".
    weights
        SHA-256 of the checkpoint file or of the tensors; ``random-<seed>`` for a network that was
        never trained; ``formula`` where nothing was ever learnt; for vectors made elsewhere, SHA-256 of
        these; for several families, SHA-256 of their digests.
    preprocessing
        None for vectors made elsewhere and for several families.
    mode
        "crop" (centre), "pad" (whole picture, padded to a square) or "whole" (in its own shape).
    dtype
        How the vectors are stored: "float16" or "float32".
    spatial
        Whether a map of vectors per position is kept too.
    version
        Of this package's decoding and preprocessing.
    parts
        The families that stand side by side, in the order of their columns; empty for one family alone.
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
    parts: tuple[Part, ...] = ()
    path: str | None = field(default=None, compare=False)

    @classmethod
    def of_parts(cls, parts: Iterable[Part]) -> Self:
        """The fingerprint of several families side by side; the first decides how numbers are stored."""
        parts = tuple(parts)
        digests = "".join(f"{part.name}:{part.width}:{part.fingerprint.digest}\n" for part in parts)
        return cls(
            extractor=" + ".join(part.fingerprint.extractor for part in parts),
            weights=hashlib.sha256(digests.encode()).hexdigest(),
            mode="several",
            dtype=parts[0].fingerprint.dtype,
            spatial=any(part.fingerprint.spatial for part in parts),
            version=max(part.fingerprint.version for part in parts),
            parts=parts,
        )

    @property
    def family(self) -> str:
        """What one family is called: "deep" for a network's features, else the name of the extractor."""
        return DEEP if self.preprocessing is not None and self.mode != "whole" else self.extractor

    def columns(self, dim: int) -> dict[str, slice]:
        """The columns of every family, by name, in a matrix of `dim` columns."""
        if not self.parts:
            return {self.family: slice(0, dim)}
        edges = [0, *accumulate(part.width for part in self.parts)]
        return {part.name: slice(*edge) for part, edge in zip(self.parts, pairwise(edges), strict=True)}

    def renamed(self, remark: str, mark: str) -> Self:
        """The fingerprint of vectors changed by hand: a remark behind the name, a mark behind the weights."""
        return replace(
            self,
            extractor=f"{self.extractor}, {remark}",
            weights=f"{self.weights}-{mark}",
            parts=tuple(
                replace(part, fingerprint=part.fingerprint.renamed(remark, mark)) for part in self.parts
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        value = asdict(self)
        if self.parts:
            value["parts"] = [
                {**asdict(part), "fingerprint": part.fingerprint.to_json()} for part in self.parts
            ]
        else:
            del value["parts"]  # one family alone is written, and named by its digest, without it
        return value

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
            given["parts"] = tuple(
                Part(part["name"], part["width"], cls.from_json(part["fingerprint"]))
                for part in given.get("parts", ())
            )
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{value!r} is no fingerprint of an extractor: {error}") from None

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the identity."""
        # The weights of several families hold the digests of all, so that no path of a part counts either.
        left_out = {"path", "parts"}
        identity = {name: value for name, value in self.to_json().items() if name not in left_out}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
