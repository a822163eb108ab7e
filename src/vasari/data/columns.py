"""Foreign columns as ours: ids as text, flags as booleans, weights as numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError

BoolArray = npt.NDArray[np.bool_]

EXACT = 2**53  # from here on a floating-point number stands for several whole ones
MISSING_ID = ("", "nan", "nat", "null", "none", "<na>", "n/a")
TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")


def refuse_unreadable(column: pl.Series, source: str) -> None:
    """Refuse a column whose cells are no single readable values.

    Raises
    ------
    DataError
        The column holds lists, structs, bytes or durations.
    """
    kind = column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Duration):
        raise DataError(
            f"{source}: column {column.name!r} holds {kind}; one text, number or time per row is needed "
            f"(explode lists, decode bytes, add durations to the date they count from)"
        )


def id_text(column: pl.Series, source: str) -> pl.Series:
    """Write ids as text, null where there is none (blank, NaN, "null" ...).

    Whole floating-point ids lose their ``.0``: pandas makes 12 into 12.0 as soon as one id is missing.

    Raises
    ------
    DataError
        As `refuse_unreadable`.
    """
    refuse_unreadable(column, source)
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if (column.abs() < EXACT).all() and (column % 1 == 0).all():
            column = column.cast(pl.Int64)
    text = column.cast(pl.String)
    blank = text.str.strip_chars().str.to_lowercase().is_in(MISSING_ID)
    return pl.Series(text.set(blank, None))


def lookalike_key(ids: pl.Series) -> pl.Series:
    """Reduce ids so that two are equal if they differ only in type, case, blanks or Unicode form.

    ``12``, ``12.0``, ``012`` and ``" 12"`` have one key, and so have ``A1`` and ``a1``.
    """
    folded = ids.str.normalize("NFC").str.strip_chars().str.to_lowercase()
    number = folded.str.extract(r"^0*(\d+)(?:\.0+)?$")
    return number.fill_null(folded)


def lookalikes(ids: pl.Series) -> pl.DataFrame:
    """Return the distinct ids that share their key with an earlier one: columns id, other (the earlier)."""
    frame = pl.DataFrame({"id": ids.drop_nulls().unique(maintain_order=True)})
    frame = frame.with_columns(key=lookalike_key(frame["id"]))
    frame = frame.with_columns(other=pl.col("id").first().over("key"))
    return frame.filter(pl.col("id") != pl.col("other")).select("id", "other")


def booleans(column: pl.Series, source: str) -> tuple[pl.Series, BoolArray]:
    """Read true/false, t/f, yes/no, 1/0; return the values and which rows say something else."""
    if column.dtype == pl.Boolean:
        return column, np.zeros(len(column), dtype=bool)
    text = id_text(column, source).str.strip_chars().str.to_lowercase()
    yes = text.is_in(TRUE)
    wrong = text.is_not_null() & ~yes & ~text.is_in(FALSE)
    return yes.set(wrong, None), wrong.fill_null(False).to_numpy()


def positive_numbers(column: pl.Series, source: str) -> tuple[pl.Series, BoolArray]:
    """Read weights; return them, null where blank, and which rows hold no finite number above 0."""
    refuse_unreadable(column, source)
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        column = column.set(column == "", None)
    numbers = column.cast(pl.Float64, strict=False)
    good = numbers.is_finite() & (numbers > 0)
    return numbers, (column.is_not_null() & ~good.fill_null(False)).to_numpy()
