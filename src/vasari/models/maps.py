"""The spatial maps of a catalogue's pictures, with fewer channels: what attention over positions looks at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vasari.core.scratch import scratch
from vasari.core.seeds import generator
from vasari.features.table import FeatureTable

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]

SAMPLE = 20_000  # vectors that the principal components are computed from
BLOCK = 1 << 23  # values that are read and projected at once


class SpatialMaps:
    """x_lm: for every item one vector per position of its picture.

    A table without spatial maps gives maps of a single position, the pooled vector.

    Parameters
    ----------
    maps
        float16, shape (pictures, positions, channels).
    rows
        Row of `maps` for every item, -1 without a picture; shape (items,).
    """

    def __init__(self, maps: npt.NDArray[np.float16], rows: IntArray) -> None:
        self.maps, self.rows = maps, rows

    @classmethod
    def fit(cls, table: FeatureTable, rows: IntArray, channels: int, seed: int) -> SpatialMaps:
        """Centre the maps of a table, keep their first principal components and bring them to unit scale.

        The components are computed from 20,000 vectors of pictures drawn at random. A table with no
        more than `channels` channels keeps all of them as they are; then nothing is lost to a network
        whose first layer is linear with a bias.

        Parameters
        ----------
        table, rows
            The feature table, and its row for every item (-1 without a picture).
        channels
            How many components to keep.
        """
        source: FloatArray = table.matrix[:, None] if table.positions is None else table.positions
        with_picture = np.flatnonzero(rows >= 0)
        rows_of = rows[with_picture]
        _, positions, width = source.shape
        drawn = generator(seed, "channels").permutation(rows_of)[: -(-SAMPLE // positions)]
        mean, scatter, count = np.zeros(width), np.zeros((width, width)), len(drawn) * positions
        for block in _blocks(np.sort(drawn), positions * width):
            mean += source[block].reshape(-1, width).sum(0, dtype=np.float64) / count
        for block in _blocks(np.sort(drawn), positions * width):
            centred = source[block].reshape(-1, width) - mean  # (pictures * positions, width)
            scatter += centred.T @ centred / count
        basis = np.eye(width) if width <= channels else np.linalg.eigh(scatter)[1][:, : -channels - 1 : -1]
        variance = np.trace(basis.T @ scatter @ basis) / basis.shape[1]
        basis = (basis / (np.sqrt(variance) if variance > 0 else 1.0)).astype(np.float32)
        maps = scratch((len(rows_of), positions, basis.shape[1]), np.float16)
        done = 0
        for block in _blocks(rows_of, positions * width):
            maps[done : done + len(block)] = (source[block] - mean.astype(np.float32)) @ basis
            done += len(block)
        slots = np.full(len(rows), -1, dtype=np.int64)
        slots[with_picture] = np.arange(len(with_picture))
        return cls(maps, slots)

    @property
    def channels(self) -> int:
        """Length of the vector of a position."""
        return int(self.maps.shape[2])

    @property
    def positions(self) -> int:
        """Vectors per item."""
        return int(self.maps.shape[1])

    def take(self, items: IntArray) -> Tensor:
        """Maps of items with a picture, float32, shape (len(items), positions, channels)."""
        return torch.from_numpy(np.asarray(self.maps[self.rows[items]], dtype=np.float32))


def _blocks(rows: IntArray, values: int) -> Iterator[IntArray]:
    """`rows` in pieces that hold at most `BLOCK` values, `values` being those of one row."""
    size = max(1, BLOCK // values)
    return (rows[start : start + size] for start in range(0, len(rows), size))
