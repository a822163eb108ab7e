"""Rows of unequal length in two flat arrays: profiles, baskets, relevant items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ragged:
    """A list of integer rows of any lengths.

    Attributes
    ----------
    values
        All rows end to end, shape (total,), int64.
    offsets
        Row r is ``values[offsets[r]:offsets[r + 1]]``; shape (rows + 1,), int64.
    """

    values: IntArray
    offsets: IntArray

    @classmethod
    def from_rows(cls, rows: Iterable[npt.ArrayLike]) -> Ragged:
        """Build from any iterable of integer rows."""
        arrays = [np.asarray(row, dtype=np.int64).reshape(-1) for row in rows]
        return cls.from_lengths(
            np.concatenate(arrays) if arrays else np.empty(0, np.int64), [len(a) for a in arrays]
        )

    @classmethod
    def from_lengths(cls, values: npt.ArrayLike, lengths: npt.ArrayLike) -> Ragged:
        """Build from the flat values and the length of each row."""
        offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)
        return cls(np.asarray(values, dtype=np.int64), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> IntArray:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[IntArray]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> IntArray:
        """Length of every row, shape (rows,)."""
        return np.diff(self.offsets)

    @property
    def row_of_value(self) -> IntArray:
        """The row each value belongs to, shape (total,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: npt.ArrayLike) -> Ragged:
        """The given rows, in the given order (repeats allowed)."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.lengths[rows]
        starts = self.offsets[rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Ragged.from_lengths(self.values[np.repeat(starts, lengths) + within], lengths)

    def slice(self, start: int, stop: int) -> Ragged:
        """Rows `start` to `stop`, without copying values."""
        offsets = self.offsets[start : stop + 1]
        return Ragged(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])

    def last(self, count: int) -> Ragged:
        """At most the last `count` values of every row."""
        from_end = np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.values))
        return self.where(from_end <= count)

    def where(self, keep: npt.NDArray[np.bool_]) -> Ragged:
        """Only the values whose flag in `keep` (shape (total,)) is set; rows may become empty."""
        lengths = np.bincount(self.row_of_value[keep], minlength=len(self))
        return Ragged.from_lengths(self.values[keep], lengths)

    def tiles(self, most: int) -> Iterator[tuple[int, int]]:
        """Runs of rows, as (start, stop), that hold at most `most` values together, or one longer row."""
        first, held = 0, 0
        for row, length in enumerate(self.lengths.tolist()):
            if held and held + length > most:
                yield first, row
                first, held = row, 0
            held += length
        if len(self):
            yield first, len(self)
