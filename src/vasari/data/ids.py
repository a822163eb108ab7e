"""A table of ids: the one place where a string id meets a row number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError, NotFoundError

IntArray = npt.NDArray[np.int64]


class Ids(Sequence[str]):
    """An immutable list of distinct string ids, with fast lookup of many at once.

    Parameters
    ----------
    values
        The ids, in row order.
    what
        What one is called in messages, for example ``"item_id"``.

    Raises
    ------
    DataError
        An id occurs twice.
    """

    def __init__(self, values: Iterable[str] | pl.Series, what: str = "item_id") -> None:
        self.what = what
        series = values if isinstance(values, pl.Series) else pl.Series(list(values), dtype=pl.String)
        self._series = series.cast(pl.String)
        if self._series.n_unique() != len(self._series):
            twice = self._series.filter(self._series.is_duplicated())[0]
            raise DataError(f"{what} {twice!r} occurs more than once; ids must be distinct")

    # A hundred thousand Python strings, and a dictionary of them, are made for whoever asks: a gallery that
    # reads another model meanwhile would stand still for as long as they take.

    @cached_property
    def _values(self) -> list[str]:
        return self._series.to_list()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {value: row for row, value in enumerate(self._values)}

    def __len__(self) -> int:
        return len(self._series)

    def __getitem__(self, row):  # type: ignore[no-untyped-def]  # overloads of Sequence add nothing here
        return self._values[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, value: object) -> bool:
        return value in self._rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self._series.equals(other._series)

    def __hash__(self) -> int:
        return hash(tuple(self._values))

    def __repr__(self) -> str:
        return f"Ids({len(self)} {self.what}s)"

    @cached_property
    def _table(self) -> pl.DataFrame:
        rows = np.arange(len(self), dtype=np.int64)
        return pl.DataFrame({"id": self._series, "row": rows})

    def find(self, values: Iterable[str] | pl.Series) -> IntArray:
        """Rows of `values`, shape (len(values),), -1 where an id is unknown."""
        if isinstance(values, Ids):
            if values == self:
                return np.arange(len(self), dtype=np.int64)
            values = values._series
        if isinstance(values, pl.Series):  # a join: no Python object per value
            asked = values.cast(pl.String).alias("id").to_frame()
            found = asked.join(self._table, on="id", how="left", maintain_order="left")
            return found["row"].fill_null(-1).to_numpy()
        rows = self._rows
        return np.fromiter((rows.get(v, -1) for v in values), dtype=np.int64)

    def rows(self, values: Iterable[str] | pl.Series) -> IntArray:
        """Rows of `values`, shape (len(values),).

        Raises
        ------
        NotFoundError
            An id is unknown; the message names the first and counts the rest.
        """
        values = values if isinstance(values, pl.Series) else list(values)
        rows = self.find(values)
        if (missing := np.flatnonzero(rows < 0)).size:
            more = f" (and {missing.size - 1} more)" if missing.size > 1 else ""
            raise NotFoundError(
                f"{self.what} {values[int(missing[0])]!r}{more} is unknown; there are {len(self)}, "
                f"for example {self._values[:3]!r}"
            )
        return rows

    def take(self, rows: npt.ArrayLike) -> list[str]:
        """The ids at `rows`."""
        return [self._values[row] for row in np.asarray(rows, dtype=np.int64).tolist()]
