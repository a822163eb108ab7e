"""What could be had when: works enter at `added_at` and leave at `removed_at` or, originals, when sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

ALWAYS = np.iinfo(np.int64).min
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Stock:
    """The interval in which each work of the catalogue is for sale.

    Attributes
    ----------
    enters, leaves
        Microseconds since 1970 (UTC), shape (items,). A work is in stock at t if
        ``enters <= t <= leaves``: the session that buys an original still sees it, every later one
        does not (uploads come first at equal time, as in the authors' replay).
    """

    enters: IntArray
    leaves: IntArray

    @classmethod
    def everything(cls, n_items: int) -> Stock:
        """The whole catalogue, at all times."""
        return cls(np.full(n_items, ALWAYS), np.full(n_items, NEVER))

    def at(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which works are in stock at each of `times`, shape (times, items)."""
        moments = np.asarray(times, dtype=np.int64)[:, None]
        return (self.enters <= moments) & (moments <= self.leaves)
