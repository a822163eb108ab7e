"""Reading tables from outside so that every row still knows the line it stood on."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vasari.core.errors import DataError, NotFoundError, UsageError

LINE = "__line__"
CHUNK = 100_000
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """A foreign table with the place of each row.

    Attributes
    ----------
    frame
        The columns as they came (all text from CSV) and `LINE`: the line of the file on which the row
        begins (the header is line 1), or for Parquet and data frames the row counted from 0.
    source
        What messages call it: the file's name.
    unit
        ``"line"`` or ``"row"``.
    ragged
        Rows of a CSV file with more or fewer fields than its header, kept out of `frame`: line and
        number of fields.
    """

    frame: pl.DataFrame
    source: str
    unit: str = "line"
    ragged: list[tuple[int, int]] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """The foreign columns, without `LINE`."""
        return [name for name in self.frame.columns if name != LINE]

    def renamed(self, mapping: Mapping[str, str]) -> Table:
        """Rename columns; `mapping` goes from our name to theirs.

        A column that already bears our name makes way and is kept as ``<name>_unmapped``.
        """
        renames = {theirs: ours for ours, theirs in mapping.items() if theirs != ours}
        for ours in list(renames.values()):
            if ours in self.columns and ours not in renames:
                renames[ours] = f"{ours}_unmapped"
        return replace(self, frame=self.frame.rename(renames))


def map_columns(tables: Mapping[str, Table], mapping: Mapping[str, str] | None) -> dict[str, Table]:
    """Apply a column mapping to all tables of one import.

    Parameters
    ----------
    tables
        By role: ``"catalogue"``, ``"interactions"``.
    mapping
        From our name to theirs, ``{"item_id": "artwork_id"}``; applies to every table that has the
        foreign column, or to one table alone if the key begins with its role: ``"catalogue.item_id"``.

    Raises
    ------
    UsageError
        No table has the foreign column.
    """
    chosen: dict[str, dict[str, str]] = {role: {} for role in tables}
    for key, theirs in (mapping or {}).items():
        role, dot, ours = key.rpartition(".")
        if dot and role not in ("catalogue", "interactions"):
            raise UsageError(f"mapping {key}={theirs}: the part before the dot is catalogue or interactions")
        here = [r for r, table in tables.items() if theirs in table.columns and role in ("", r)]
        if not here:
            have = "; ".join(f"{t.source} has {t.columns!r}" for t in tables.values())
            raise UsageError(f"mapping {key}={theirs}: no column {theirs!r} ({have})")
        for name in here:
            chosen[name][ours] = theirs
    return {role: table.renamed(chosen[role]) for role, table in tables.items()}


def read_table(path: str | Path) -> Table:
    """Read a CSV (also ; tab | separated) or Parquet file.

    CSV is read as text, value by value, because guessed types destroy ids (``012`` becomes 12).

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        The file is empty, not UTF-8, has a quote that never closes, or names a column twice.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); a header line and rows are needed")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            return from_frame(pl.read_parquet(path), path.name)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{path} is not a readable Parquet file: {error}") from None
    return _read_csv(path)


def _read_csv(path: Path) -> Table:
    frames: list[pl.DataFrame] = []
    ragged: list[tuple[int, int]] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    end = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            delimiter = _delimiter(stream.readline())
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            header = _header(next(reader), path)
            end = reader.line_num
            for row in reader:
                # A record may span lines (quoted newlines): it begins after the end of the one before.
                begin, end = end + 1, reader.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    ragged.append((begin, len(row)))
                    continue
                rows.append(row)
                lines.append(begin)
                if len(rows) == CHUNK:
                    frames.append(_chunk(header, rows, lines))
                    rows, lines = [], []
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} near line {end + 1} is not UTF-8 ({error.reason}); save as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path.name} line {end + 1}: {error}; check the quotes from there on") from None
    frames.append(_chunk(header, rows, lines))
    return Table(pl.concat(frames), path.name, "line", ragged)


def _delimiter(first_line: str) -> str:
    """Return the one of , ; tab | that occurs most often in the header; a comma if none does."""
    return max(DELIMITERS, key=first_line.count)


def _header(cells: list[str], path: Path) -> list[str]:
    names = [cell.strip() or f"unnamed_{n}" for n, cell in enumerate(cells)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path.name} line 1: column {twice[0]!r} occurs twice; rename one")
    _refuse_reserved(names, path.name)
    return names


def _refuse_reserved(names: Sequence[str], source: str) -> None:
    if LINE in names:
        raise DataError(f"{source} has a column {LINE!r}, a name that is used in here; rename it")


def _chunk(header: list[str], rows: list[list[str]], lines: list[int]) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    data = [
        pl.Series(name, list(values), dtype=pl.String) for name, values in zip(header, columns, strict=True)
    ]
    return pl.DataFrame([*data, pl.Series(LINE, lines, dtype=pl.Int64)])


def from_frame(data: Any, source: str) -> Table:
    """Take a Polars or pandas data frame, or any object with the Arrow PyCapsule interface.

    Raises
    ------
    DataError
        `data` is none of these, or has a column of Python objects or one whose name is needed here.
    """
    frame = _to_polars(data, source)
    _refuse_reserved(frame.columns, source)
    if objects := [name for name, kind in frame.schema.items() if kind == pl.Object]:
        raise DataError(
            f"{source}: column {objects[0]!r} holds Python objects that no file can; make them text or "
            f"numbers, or leave the column out"
        )
    return Table(frame.with_columns(pl.Series(LINE, range(frame.height), dtype=pl.Int64)), source, "row")


def _to_polars(data: Any, source: str) -> pl.DataFrame:
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    if type(data).__module__.split(".")[0] == "pandas":
        # Column by column: pandas object columns may mix types, which Arrow refuses as a whole.
        if not data.columns.is_unique:
            raise DataError(f"{source} has two columns of one name: {list(data.columns)!r}; rename one")
        return pl.DataFrame([_pandas_column(str(name), data[name]) for name in data.columns])
    if hasattr(data, "__arrow_c_stream__"):
        return pl.DataFrame(data)
    raise DataError(
        f"{source} is a {type(data).__name__}; give a pandas, Polars or pyarrow table, or an object with "
        f"__arrow_c_stream__"
    )


def _pandas_column(name: str, column: Any) -> pl.Series:
    if column.dtype == object:
        values = list(column)
        if any(isinstance(value, dict | set | frozenset) for value in values):
            return pl.Series(name, values, dtype=pl.Object)
        if any(isinstance(value, bytes | bytearray | list | tuple | np.ndarray) for value in values):
            # Text such as "b'a'" or "['a']" would pass for an id.
            try:
                return pl.Series(name, values)
            except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
                return pl.Series(name, values, dtype=pl.Object)
        return pl.Series(name, [_plain_text(value) for value in values], dtype=pl.String)
    series: pl.Series = pl.from_pandas(column.rename(name).reset_index(drop=True))
    return series


def _plain_text(value: Any) -> str | None:
    """Write one cell of an object column as text: whole floats as integers, every kind of null as None."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
