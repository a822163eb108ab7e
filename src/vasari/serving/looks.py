"""How works look, whatever model answers: for likeness, variety, clusters and the map of the collection.

Features are z-scored, turned onto their first principal axes and brought to length 1; likeness is the inner
product of two such vectors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from vasari.retrieval import PrunedIndex

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

AXES = 64
SAMPLE = 5_000  # works that tell the axes
BLOCK = 8_192


@dataclass(frozen=True, eq=False)
class Looks:
    """Unit vectors of the works; zeros for a work without a picture.

    Attributes
    ----------
    index
        The vectors, shape (works, axes), ready to be searched.
    mean, axes
        From raw features f to a vector: (f - mean) @ axes, then to length 1. Shapes (dim,), (dim, axes).
    """

    index: PrunedIndex
    mean: FloatArray
    axes: FloatArray

    @classmethod
    def of(cls, matrix: npt.NDArray[np.floating], rows: IntArray) -> Self:
        """Learn the axes from a feature table.

        Parameters
        ----------
        matrix
            Shape (pictures, dim), perhaps memory-mapped.
        rows
            Row of `matrix` for every work, -1 without a picture; shape (works,).
        """
        present = np.flatnonzero(rows >= 0)
        some = np.asarray(matrix[np.sort(rows[present[:: max(1, len(present) // SAMPLE)]])], np.float64)
        mean, std = some.mean(0), some.std(0)
        scaled = (some - mean) / np.where(std > 1e-6, std, 1)
        _, axes = np.linalg.eigh(scaled.T @ scaled)  # ascending
        kept = axes[:, ::-1][:, :AXES] / np.where(std > 1e-6, std, 1)[:, None]
        found = cls(
            PrunedIndex(np.zeros((0, kept.shape[1]))), mean.astype(np.float32), kept.astype(np.float32)
        )
        vectors = np.zeros((len(rows), kept.shape[1]), np.float32)
        for start in range(0, len(present), BLOCK):
            block = present[start : start + BLOCK]
            vectors[block] = found.project(np.asarray(matrix[rows[block]], np.float32))
        return replace(found, index=PrunedIndex(vectors))

    def project(self, features: FloatArray) -> FloatArray:
        """Raw features, shape (n, dim), to unit vectors, shape (n, axes)."""
        turned = (features - self.mean) @ self.axes
        lengths = np.linalg.norm(turned, axis=1, keepdims=True)
        return np.asarray(turned / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    def extended(self, features: FloatArray) -> Self:
        """With further works behind these, from their raw features; rows of zeros for those without."""
        vectors = self.project(features)
        vectors[~features.any(axis=1)] = 0
        return replace(self, index=self.index.extended(vectors))

    def replaced(self, row: int, features: FloatArray) -> Self:
        """With another picture for one work, from its raw features, shape (dim,)."""
        return replace(self, index=self.index.replaced(row, self.project(features[None])[0]))

    def vectors(self, rows: IntArray) -> FloatArray:
        """Unit vectors of some works, shape (len(rows), axes)."""
        return self.index.take(rows)

    def places(self, rows: IntArray) -> npt.NDArray[np.float64]:
        """Where some works stand on a map, shape (len(rows), 2), each coordinate spread evenly over 0..1."""
        plane = self.vectors(rows)[:, :2]
        if plane.shape[1] < 2:
            plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
        ranks = plane.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        return ranks / max(len(rows) - 1, 1)
