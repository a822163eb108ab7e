"""One foreign table on its way through the door: the checks that catalogue and log share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError
from vasari.data.columns import EXACT, booleans, id_text, lookalikes
from vasari.data.door import Action, Door, Problem
from vasari.data.tables import LINE, Table
from vasari.data.times import parse_times

SHOWN_CHARACTERS = 80
FIX = 'correct it or pass on_bad_row="drop"'

Flags = npt.NDArray[np.bool_] | pl.Series


class Sieve:
    """A table and the rows of it that are still in.

    Parameters
    ----------
    required
        Columns that must be there.

    Raises
    ------
    DataError
        A required column is missing, or there is no row at all.
    """

    def __init__(self, door: Door, table: Table, required: tuple[str, ...] = ()) -> None:
        self.door, self.table, self.frame = door, table, table.frame
        self._require(required)
        width = len(table.columns)
        for surplus, word in ((True, "many"), (False, "few")):
            rows = [(line, count) for line, count in table.ragged if (count > width) is surplus]
            if rows:
                message = f"fields are too {word}, the header has {width}"
                self._note(*rows[0], None, message, f"look for a missing quote or comma; {FIX}", len(rows))
        if table.frame.height + len(table.ragged) == 0:
            raise DataError(f"{table.source} has a header but no row; at least one is needed")

    def _require(self, required: tuple[str, ...]) -> None:
        absent = [name for name in required if name not in self.table.columns]
        if not absent:
            return
        plain = {name.lower().replace("_", "").replace(" ", ""): name for name in self.table.columns}
        theirs = plain.get(absent[0].replace("_", ""), "THEIR_NAME")
        raise DataError(
            f"{self.table.source} has no column {', '.join(map(repr, absent))}, only {self.table.columns!r}; "
            f"map it: --map {absent[0]}={theirs}"
        )

    def _note(
        self, line: int, value: Any, column: str | None, message: str, cure: str, count: int,
        action: Action | None = None,
    ) -> None:  # fmt: skip
        text = "" if value is None else str(value)
        text = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
        table, action = self.table, action or self.door.policy.on_bad_row
        problem = Problem(table.source, line, table.unit, column, text, message, cure, count, action)
        self.door.report.problems.append(problem)

    def out(
        self, flags: Flags, column: str, message: str, cure: str, action: Action | None = None,
        values: pl.Series | None = None,
    ) -> None:  # fmt: skip
        """Report the flagged rows as one problem and, unless `action` is "keep", take them out.

        Rows for which the import will be refused are taken out too, so that later checks speak of
        other problems.

        Parameters
        ----------
        flags
            Shape (rows still in,); null counts as not flagged. Nothing flagged, nothing reported.
        action
            The policy's `on_bad_row` by default.
        values
            What to show, if `column` no longer holds it as it came.
        """
        chosen = np.asarray(flags.fill_null(False) if isinstance(flags, pl.Series) else flags, dtype=bool)
        if not chosen.any():
            return
        row = int(np.argmax(chosen))
        value = (self.frame[column] if values is None else values)[row]
        count = int(chosen.sum())
        self._note(int(self.frame[LINE][row]), value, column, message, cure, count, action)
        if action != "keep":
            self.frame = self.frame.filter(pl.Series(~chosen))

    def replace(self, column: str, values: pl.Series) -> None:
        """Put `values` in the place of `column`."""
        self.frame = self.frame.with_columns(values.alias(column))

    def has(self, column: str) -> bool:
        """Whether the table has `column`."""
        return column in self.frame.columns

    def ids(self, column: str) -> None:
        """Make `column` ids as text; blank ones and numbers that are not exact are bad rows."""
        if self.frame[column].dtype.is_float():
            message = "is a floating-point number too large to name one id"
            cure = f"keep ids as text or integers from the start; {FIX}"
            self.out(self.frame[column].fill_nan(None).abs() >= EXACT, column, message, cure)
        raw = self.frame[column]
        self.replace(column, id_text(raw, self.table.source))
        self.out(self.frame[column].is_null(), column, "is blank", f"fill it in; {FIX}", values=raw)

    def times(self, column: str, required: bool = False) -> None:
        """Make `column` times in UTC; what cannot be read or does not go with the rest is a bad row."""
        raw = self.frame[column]
        times = parse_times(raw, self.table.source)
        for remark in times.remarks:
            self.door.remark(
                self.table.source, f"{column} {remark}", "correct if that is wrong", int(times.values.count())
            )
        blank = times.values.is_null().to_numpy() & required
        for fault in times.faults:
            blank &= ~fault.flags
        self.replace(column, times.values)
        # Rows leave as faults are reported; `rows` leads each fault to those it was made for.
        rows = np.arange(len(raw))
        shown = raw.to_physical() if raw.dtype.is_temporal() else raw  # Python has no far dates to show
        faults = [(f.flags, f.message, f.cure) for f in times.faults] + [(blank, "is blank", "fill it in")]
        for flags, message, cure in faults:
            self.out(flags[rows], column, message, f"{cure}; {FIX}", values=shown.gather(rows))
            rows = rows[~flags[rows]]

    def flags(self, column: str, required: bool = False) -> None:
        """Make `column` booleans; what is neither true nor false (or, if required, blank) is a bad row."""
        raw = self.frame[column]
        values, wrong = booleans(raw, self.table.source)
        self.replace(column, values)
        wrong = wrong | values.is_null().to_numpy() if required else wrong
        self.out(wrong, column, "is neither true nor false", FIX, values=raw)

    def remark_lookalikes(self, column: str, things: str) -> None:
        """Report ids that differ only in type or case; they stay apart."""
        pairs = lookalikes(self.frame[column])
        if pairs.height == 0:
            return
        flags = self.frame[column].is_in(pairs["id"].to_list())
        other = dict(pairs.rows())[self.frame[column].filter(flags)[0]]
        message = f"differs from {other!r} only in type or case; {pairs.height:,} such {things} stay apart"
        self.out(flags, column, message, "write both alike if they are one", "keep")
