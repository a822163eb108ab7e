"""Candidate filters: conditions on columns of the catalogue, checked before they are used.

As text a condition reads ``column:value``, ``column:one|another`` or ``column:low..high`` (either end may be
left out); as JSON ``{"column": "value"}``, ``{"column": ["one", "another"]}`` or
``{"column": {"min": low, "max": high}}``. Conditions on different columns must all hold. ``available`` is a
column like any other: works that cannot be had are answered only to ``available:any``.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import UsageError
from vasari.serving.moments import moment

BoolArray = npt.NDArray[np.bool_]

MOST_CONDITIONS = 20
MOST_VALUES = 200
MOST_LETTERS = 200  # in a column's name or in a value
AVAILABLE = "available"


@dataclass(frozen=True)
class Condition:
    """One condition: the value is one of `values`, or lies within `low` and `high`, both included."""

    column: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.column) <= MOST_LETTERS:
            raise UsageError(f"a filter's column must have 1 to {MOST_LETTERS} letters")
        if len(self.values) > MOST_VALUES or any(len(value) > MOST_LETTERS for value in self.values):
            raise UsageError(
                f"the filter on {self.column!r} may name {MOST_VALUES} values of {MOST_LETTERS} letters"
            )
        if any(end is not None and not math.isfinite(end) for end in (self.low, self.high)):
            raise UsageError(f"the filter on {self.column!r} needs finite numbers as ends of a range")

    @property
    def is_range(self) -> bool:
        """Whether it asks for a range."""
        return self.low is not None or self.high is not None


@dataclass(frozen=True)
class Filters:
    """Conditions that all must hold.

    Raises
    ------
    UsageError
        Too many conditions, two on one column, or a condition that cannot be read.
    """

    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if len(self.conditions) > MOST_CONDITIONS:
            raise UsageError(f"{len(self.conditions)} filters are more than {MOST_CONDITIONS}")
        names = [condition.column for condition in self.conditions]
        if len(set(names)) != len(names):
            raise UsageError("two filters name the same column; write column:one|another")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Filters:
        """Read conditions written as text, see the module's page."""
        return cls(tuple(_from_text(text) for text in texts))

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Filters:
        """Read conditions written as JSON, see the module's page."""
        return cls(tuple(_from_json(column, wanted) for column, wanted in given.items()))

    @property
    def hides_unavailable(self) -> bool:
        """Whether only works that can be had may be answered: unless a condition says otherwise."""
        return all(condition.column != AVAILABLE for condition in self.conditions)

    def mask(self, frame: pl.DataFrame, available: BoolArray) -> BoolArray:
        """Which works may be answered, shape (works,).

        Parameters
        ----------
        frame
            The catalogue, one row a work.
        available
            Which works can be had, shape (works,).

        Raises
        ------
        UsageError
            There is no such column, or it holds no numbers where a range is asked for.
        """
        allowed: BoolArray = (
            available.copy() if self.hides_unavailable else np.ones(len(available), dtype=bool)
        )
        for condition in self.conditions:
            if condition.column == AVAILABLE:
                allowed &= _availability(condition, available)
            else:
                allowed &= _holds(condition, frame)
        return allowed


def _from_text(text: str) -> Condition:
    column, colon, wanted = text.partition(":")
    if not colon or not column or not wanted:
        raise UsageError(
            f"filter {text[:MOST_LETTERS]!r} must read column:value, column:one|another or column:low..high"
        )
    low, dots, high = wanted.partition("..")
    if dots:
        if low == high == "":
            raise UsageError(f"the range for {column[:MOST_LETTERS]!r} needs an end: column:low..high")
        try:
            ends = [float(end) if end else None for end in (low, high)]
        except ValueError:  # what holds dots and no numbers is a value
            return Condition(column, tuple(wanted.split("|")))
        return Condition(column, low=ends[0], high=ends[1])
    return Condition(column, tuple(wanted.split("|")))


def _from_json(column: str, wanted: Any) -> Condition:
    if isinstance(wanted, Mapping):
        ends = [wanted.get("min"), wanted.get("max")]
        numbers = all(
            end is None or (isinstance(end, int | float) and not isinstance(end, bool)) for end in ends
        )
        if set(wanted) <= {"min", "max"} and numbers and ends != [None, None]:
            try:
                return Condition(column, low=_number(ends[0]), high=_number(ends[1]))
            except OverflowError:
                pass
        raise UsageError(
            f'the range for {column[:MOST_LETTERS]!r} must read {{"min": number, "max": number}}'
        )
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not values or not all(isinstance(value, str | int | float) for value in values):
        raise UsageError(f"the filter on {column[:MOST_LETTERS]!r} must name a value, some values or a range")
    return Condition(column, tuple(_text(value) for value in values))


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _text(value: str | float) -> str:
    """As text: ``true`` of JSON as Polars writes it, numbers as Python does."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(column: pl.Series, values: Iterable[str]) -> BoolArray:
    """Where a column of numbers is one of some, however they are written: 300 is 300.0."""
    floats, whole = [], []
    for value in values:
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
            floats.append(number)
            if number.is_integer() and abs(number) < 2**65:
                whole.append(int(value) if value.lstrip("-").isdecimal() else int(number))
    if column.dtype.is_integer():  # as floats, large ones would be the same as their neighbours
        wanted = pl.Series(whole, dtype=pl.Int128).cast(column.dtype, strict=False)
        found = column.is_in(wanted.drop_nulls().implode())
    else:
        kind = column.dtype if column.dtype.is_float() else pl.Float64  # .1 in single precision is another .1
        wanted = pl.Series(floats, dtype=pl.Float64).cast(kind)
        found = column.cast(kind).is_in(wanted.implode())
    return found.fill_null(False).to_numpy()


def _availability(condition: Condition, available: BoolArray) -> BoolArray:
    wanted = set(condition.values)
    if condition.is_range or not wanted <= {"true", "false", "any"}:
        raise UsageError("the filter on 'available' must be true, false or any")
    if "any" in wanted or wanted == {"true", "false"}:
        return np.ones(len(available), dtype=bool)
    return available if wanted == {"true"} else ~available


def _holds(condition: Condition, frame: pl.DataFrame) -> BoolArray:
    if condition.column not in frame.columns:
        raise UsageError(
            f"the catalogue has no column {condition.column!r} to filter by; it has "
            f"{', '.join(frame.columns)}"
        )
    column = frame[condition.column]
    if not condition.is_range:
        if column.dtype.is_numeric():
            return _is_number(column, condition.values)
        if isinstance(column.dtype, pl.Date | pl.Datetime):
            moments = [one for one in map(moment, condition.values) if one is not None]
            wanted = pl.Series(moments, strict=False).cast(column.dtype, strict=False)
            return column.is_in(wanted.implode()).fill_null(False).to_numpy()
        try:
            texts = column.cast(pl.String)
        except pl.exceptions.PolarsError:
            raise UsageError(f"column {condition.column!r} holds {column.dtype}, not filterable") from None
        return texts.is_in(list(condition.values)).fill_null(False).to_numpy()
    if not column.dtype.is_numeric():
        raise UsageError(f"column {condition.column!r} holds {column.dtype}, no numbers; name values instead")
    values = column.cast(pl.Float64).fill_null(math.nan).to_numpy()  # NaN lies in no range
    low, high = condition.low, condition.high
    return ((values >= low) if low is not None else ~np.isnan(values)) & (
        (values <= high) if high is not None else ~np.isnan(values)
    )
