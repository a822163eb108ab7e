"""The distinct rows of a table that a batch speaks of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

WHOLE = 2  # mentions for each row: then seven rows of eight are among them, and all are taken


class Distinct:
    """Finds the rows of a table that a batch speaks of, in time that the batch alone decides.

    Sorting them takes several times as long.

    Parameters
    ----------
    possible
        Which rows of the table a batch may speak of, shape (rows,).
    """

    def __init__(self, possible: BoolArray) -> None:
        self._all = np.flatnonzero(possible)
        self._place_in_all = np.cumsum(possible) - 1
        self._place = np.empty(len(possible), dtype=np.int64)

    def __call__(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Each distinct row once, or all possible ones for a large batch, and where each of `rows` is."""
        if len(rows) >= WHOLE * len(self._all):
            return self._all, self._place_in_all[rows]
        place, here = self._place, np.arange(len(rows))
        place[rows] = here  # where a row is repeated, the last one stays
        distinct = rows[place[rows] == here]
        place[distinct] = here[: len(distinct)]
        return distinct, place[rows]
