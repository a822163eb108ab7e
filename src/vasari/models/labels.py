"""Likeness by what the catalogue says: artist, medium, style and other sets of labels."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from vasari.core.errors import DataError
from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FloatArray, IntArray
from vasari.models.pooling import Pooling


class Labels:
    """Likeness of two works: the Jaccard index of their sets of labels, |A and B| / |A or B|.

    With one label each, such as the artist, it is 1 for the same label and 0 otherwise. Works without a
    label, and guests, are like no other.

    Parameters
    ----------
    codes
        Numbers of the labels of every item, distinct within an item.
    """

    def __init__(self, codes: Ragged) -> None:
        self.codes = codes
        values, offsets = codes.values, np.append(codes.offsets, len(codes.values))
        # One row more than there are items, without labels: for guests.
        shape = (len(codes) + 1, int(values.max(initial=0)) + 1)
        self._table = sparse.csr_array((np.ones(len(values), np.float32), values, offsets), shape=shape)
        self._sizes = np.diff(offsets).astype(np.float32)

    @classmethod
    def of_column(cls, frame: pl.DataFrame, name: str) -> Labels:
        """The labels in a column of the catalogue: one value a work, or a list of them; null is none.

        Raises
        ------
        DataError
            There is no such column.
        """
        if name not in frame.columns:
            raise DataError(f"the catalogue has no column {name!r}; it has {', '.join(frame.columns)}")
        rows = [row if isinstance(row, list) else [row] for row in frame[name].to_list()]
        sets = [sorted({str(label) for label in row if label is not None}) for row in rows]
        number = {label: code for code, label in enumerate(sorted({v for row in sets for v in row}))}
        return cls(Ragged.from_rows([number[label] for label in row] for row in sets))

    def likeness(
        self, members: IntArray, guests: FloatArray | None = None, items: IntArray | None = None
    ) -> FloatArray:
        """Jaccard index of each member and some items (None: all), shape (members, items).

        Members numbered beyond the catalogue are guests, of whom nothing but the look is known.
        """
        members = np.minimum(members, len(self.codes))
        items = np.arange(len(self.codes)) if items is None else items
        common = (self._table[members] @ self._table[items].T).toarray()
        together = self._sizes[members, None] + self._sizes[items] - common
        return np.divide(common, together, out=np.zeros_like(common), where=together > 0)

    def scores(self, profiles: Ragged, guests: FloatArray | None, pooling: Pooling) -> FloatArray:
        """Pooled likeness of all items to some profiles, shape (profiles, items)."""
        return pooling.scores(profiles, len(self.codes), self.likeness)

    def arrays(self, name: str) -> Arrays:
        """Everything needed to build this again, for a model's file."""
        return {f"labels.{name}.values": self.codes.values, f"labels.{name}.offsets": self.codes.offsets}

    @classmethod
    def from_arrays(cls, arrays: Arrays, name: str) -> Labels:
        """Undo `arrays`."""
        return cls(Ragged(arrays[f"labels.{name}.values"], arrays[f"labels.{name}.offsets"]))
