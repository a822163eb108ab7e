"""The names of works, growing: every generation sees the works that were there when it was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from vasari.serving.asks import NotFound

IntArray = npt.NDArray[np.int64]


class Roster:
    """Item ids and their rows; adding is cheap, since generations share what they have in common.

    Ids are only ever appended, by one thread at a time. An older generation knows its own length, and takes
    what came later for unknown.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = list(ids)
        self._rows = {item: row for row, item in enumerate(self._ids)}
        self._length = len(self._ids)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        return (self._ids[row] for row in range(self._length))

    def __getitem__(self, row: int) -> str:
        return self._ids[row]

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and self._rows.get(item_id, self._length) < self._length

    def extended(self, ids: Sequence[str]) -> Self:
        """The next generation; `ids` must be new. Of the generations after this one, none may be in use."""
        while len(self._ids) > self._length:
            del self._rows[self._ids.pop()]
        grown = object.__new__(type(self))
        grown._ids, grown._rows = self._ids, self._rows
        for item in ids:
            self._rows[item] = len(self._ids)
            self._ids.append(item)
        grown._length = len(self._ids)
        return grown

    def row(self, item_id: str) -> int:
        """Row of a work.

        Raises
        ------
        NotFound
            There is no such work; the message names it.
        """
        row = self._rows.get(item_id, self._length)
        if row >= self._length:
            raise NotFound(f"item_id {item_id!r} is unknown; the gallery has {self._length} works")
        return row

    def rows(self, item_ids: Iterable[str]) -> IntArray:
        """Rows of some works; raises as `row`."""
        return np.array([self.row(item) for item in item_ids], dtype=np.int64)

    def find(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of those works that there are."""
        return [self._rows[item] for item in item_ids if item in self]

    def take(self, rows: Iterable[int]) -> list[str]:
        """The ids at `rows`."""
        return [self._ids[row] for row in rows]
