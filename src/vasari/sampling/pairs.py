"""Sets of (row, value) pairs for millions of questions such as "does this user own that work?"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.data.ragged import Ragged
from vasari.sampling.draws import below

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(
    0x9E3779B97F4A7C15
)  # 2^64 / golden ratio: spreads consecutive keys (Knuth, Fibonacci hashing)
_SPARSE = 16  # slots of the filter per pair: about 6% of the absent pairs need the exact search
_MOST_BITS = 27  # the filter never takes more than 128 MiB


class PairSet:
    """An immutable set of pairs (row, value), 0 <= value < width, in memory proportional to its pairs.

    A pair is the key ``row * width + value`` in one sorted array, searched by bisection. As most
    questions are about absent pairs, a hashed table of flags answers those first; only where it
    says "perhaps" does the exact search decide, so the answer is always exact.

    Parameters
    ----------
    rows, values
        The pairs, in any order, repeats allowed.
    n_rows, width
        Number of rows and of possible values.
    """

    def __init__(self, rows: IntArray, values: IntArray, n_rows: int, width: int) -> None:
        self.width = width
        self._keys = np.unique(rows * width + values)
        self.offsets = np.searchsorted(self._keys, np.arange(n_rows + 1) * width)
        row_of_key = np.repeat(np.arange(n_rows), np.diff(self.offsets))
        # A row's t-th smallest value v leaves v - t absent values below it: the key of `absent`.
        self._absent_below = self._keys - (np.arange(len(self._keys)) - self.offsets[row_of_key])
        bits = min(max(int(_SPARSE * len(self._keys)).bit_length(), 6), _MOST_BITS)
        self._shift = np.uint64(64 - bits)
        self._perhaps = np.zeros(1 << bits, dtype=bool)
        self._perhaps[self._slot(self._keys)] = True

    @property
    def ragged(self) -> Ragged:
        """The values of every row, ascending."""
        rows = np.repeat(np.arange(len(self.offsets) - 1), self.counts)
        return Ragged(self._keys - rows * self.width, self.offsets)

    @property
    def counts(self) -> IntArray:
        """Number of values of every row, shape (rows,)."""
        return np.diff(self.offsets)

    def has(self, rows: IntArray, values: IntArray) -> BoolArray:
        """Whether each pair is in the set, shape (pairs,)."""
        keys = rows * self.width + values
        answer: BoolArray = self._perhaps[self._slot(keys)]
        doubtful = np.flatnonzero(answer)
        if doubtful.size:
            asked = keys[doubtful]
            found = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
            answer[doubtful] = self._keys[found] == asked
        return answer

    def draw_absent(self, rng: np.random.Generator, rows: IntArray) -> IntArray:
        """For each row a value it does not hold, uniform over those; every row must lack at least one.

        One guess each; where it is wrong, the r-th absent value is found directly, so that a row
        that holds nearly everything costs no more than another.
        """
        values = below(rng, np.full(len(rows), self.width))
        wrong = np.flatnonzero(self.has(rows, values))
        if wrong.size:
            row = rows[wrong]
            start = self.offsets[row]
            rank = below(rng, self.width - (self.offsets[row + 1] - start))
            held_below = np.searchsorted(self._absent_below, row * self.width + rank, side="right") - start
            values[wrong] = rank + held_below
        return values

    def _slot(self, keys: IntArray) -> npt.NDArray[np.uint64]:
        slots: npt.NDArray[np.uint64] = (keys.view(np.uint64) * _GOLDEN) >> self._shift
        return slots
