"""The feature rows of a catalogue, scaled, as tensors."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vasari.models.scaling import Scaling

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCK = 8192
IN_CACHE = 512  # rows that are converted at once: several steps over them then cost one reading
HELD = 1 << 27  # values of a matrix that is scaled once and held: 512 MiB of float32


class FeatureBank:
    """Visual features of the works of a catalogue, scaled on the way out.

    A matrix that is small enough is scaled once and held; a larger one stays as it lies on disk
    (memory-mapped, often float16) and is scaled row by row, so that a million works need no copy.

    Parameters
    ----------
    matrix
        Shape (rows, dim), float16 or float32.
    rows
        Row of `matrix` for every item, -1 for an item without a picture; shape (items,).
    mean, std
        What is subtracted and divided by, shape (dim,) each.
    """

    def __init__(
        self, matrix: npt.NDArray[np.floating], rows: IntArray, mean: npt.ArrayLike, std: npt.ArrayLike
    ) -> None:
        self.rows = rows
        self.mean = torch.as_tensor(np.asarray(mean, dtype=np.float32))
        self.std = torch.as_tensor(np.asarray(std, dtype=np.float32))
        with warnings.catch_warnings():  # what is read-only is only ever read here
            warnings.simplefilter("ignore", UserWarning)
            self.matrix = torch.from_numpy(np.asarray(matrix))
            self._item_rows = torch.from_numpy(rows)
        self._held: dict[torch.dtype, Tensor] = {}

    @classmethod
    def fit(cls, matrix: npt.NDArray[np.floating], rows: IntArray, scale: str) -> FeatureBank:
        """Scale by ``"zscore"`` (per dimension, over the items that have a picture) or ``"none"``.

        Constant dimensions are only centred.
        """
        dim = matrix.shape[1]
        if scale == "none":
            return cls(matrix, rows, np.zeros(dim), np.ones(dim))
        with_picture = rows[rows >= 0]
        total, squares = np.zeros(dim), np.zeros(dim)
        for start in range(0, len(with_picture), IN_CACHE):
            total += matrix[with_picture[start : start + IN_CACHE]].astype(np.float64).sum(0)
        mean = total / max(len(with_picture), 1)
        for start in range(0, len(with_picture), IN_CACHE):
            block = matrix[with_picture[start : start + IN_CACHE]].astype(np.float64) - mean
            squares += (block * block).sum(0)
        std = np.sqrt(squares / max(len(with_picture), 1))
        return cls(matrix, rows, mean, np.where(std > 1e-6, std, 1.0))

    def columns(self, part: slice) -> FeatureBank:
        """Some of the dimensions, as a view of the same matrix."""
        return FeatureBank(self.matrix[:, part].numpy(), self.rows, self.mean[part], self.std[part])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Length of one feature vector."""
        return int(self.matrix.shape[1])

    @property
    def present(self) -> BoolArray:
        """Which items have a picture, shape (items,)."""
        return self.rows >= 0

    def to(self, device: torch.device) -> FeatureBank:
        """Move matrix and scaling to a device."""
        for name in ("matrix", "mean", "std", "_item_rows"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    @property
    def scaling(self) -> Scaling:
        """The scaling alone, on the CPU, for pictures that come later."""
        return Scaling(self.mean.cpu(), self.std.cpu())

    def take(self, items: Tensor, into: Tensor | None = None) -> Tensor:
        """Scaled features of the given items, shape (len(items), dim), float32.

        Parameters
        ----------
        into
            Memory to write to, shape (len(items) or more, dim), for callers who need one set of features at a
            time: where the matrix is held, filling it costs a fifth of getting a hundred fresh megabytes.
        """
        rows = self._item_rows[items]
        if (held := self._scaled(torch.float32)) is None:
            return self._converted(rows, torch.float32)
        return held[rows] if into is None else torch.index_select(held, 0, rows, out=into[: len(rows)])

    def block(self, first: int, last: int) -> Tensor:
        """`take` of consecutive items, for reading only: not copied where the matrix is held in order."""
        rows = self.rows[first:last]
        held, start = self._scaled(torch.float32), int(rows[0])
        if held is None or start < 0 or not np.array_equal(rows, np.arange(start, start + len(rows))):
            return self.take(torch.arange(first, last))
        return held[start : start + len(rows)]

    def take_rough(self, items: Tensor) -> Tensor:
        """As `take`, in bfloat16: half the traffic, and faster to multiply where that is built in."""
        rows = self._item_rows[items]
        if (held := self._scaled(torch.bfloat16)) is None:
            return self._converted(rows, torch.bfloat16)
        # Large batches ask for everything, in order: then nothing is copied.
        in_order = len(rows) == len(held) and torch.equal(rows, torch.arange(len(held)).to(rows))
        return held if in_order else held.index_select(0, rows)

    def _scaled(self, dtype: torch.dtype) -> Tensor | None:
        """The whole matrix, scaled once; None where it is too large for that."""
        if dtype not in self._held and self.matrix.numel() <= HELD:
            everything = torch.arange(len(self.matrix), device=self.matrix.device)
            self._held[dtype] = self._converted(everything, dtype)
        return self._held.get(dtype)

    def _converted(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Scaled rows of the matrix."""
        scaled = torch.empty((len(rows), self.dim), dtype=dtype, device=self.matrix.device)
        for start in range(0, len(rows), IN_CACHE):
            part = slice(start, start + IN_CACHE)
            scaled[part] = self.scale(self.matrix[rows[part]])
        return scaled

    def scale(self, features: Tensor) -> Tensor:
        """Raw features, shape (n, dim), to scaled ones."""
        return (features.to(self.mean) - self.mean) / self.std

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything needed to build this bank again, for a model's file."""
        return {
            "features": self.matrix.cpu().numpy(),
            "feature_rows": self.rows,
            **self.scaling.arrays(),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> FeatureBank:
        """Undo `arrays`."""
        matrix, rows = arrays["features"], arrays["feature_rows"]
        return cls(matrix, rows.astype(np.int64), arrays["feature_mean"], arrays["feature_std"])  # type: ignore[arg-type]  # np.generic as stored
