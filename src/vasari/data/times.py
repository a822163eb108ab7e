"""Timestamps as they come: seconds to nanoseconds, ISO 8601, dates; all become Datetime[us, UTC]."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.data.catalogue import TIME
from vasari.data.columns import refuse_unreadable

BoolArray = npt.NDArray[np.bool_]

ISO = (
    r"^(\d{4})[-/](\d{2})[-/](\d{2})"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:[.,](\d{1,9}))?)?"
    r"\s*(Z|z|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?$"
)
NUMBER = r"^[+-]?\d{1,19}(\.\d*)?$"
YEAR = r"^(1[89]|20)\d{2}(\.0*)?$"
CALENDAR = r"^(1[89]|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$"
MISSING = ("", "nan", "nat", "null", "none", "<na>", "n/a")
# The calendar of Python and of every tool down the line: years 1 to 9999, in milliseconds since 1970,
# which hold the times of every type without overflow.
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
ISO_CURE = "write times as ISO 8601, for example 2024-03-01T12:00:00Z, or as seconds since 1970"
# |value| below the bound is counted in this unit. Each bound lies in March 1973 in its own unit (the next
# larger one reaches 5138), so no date since then is ambiguous. Smaller numbers are years, days or steps
# of who knows what; alone they give an order, as seconds, among seconds they are mistakes.
UNITS = (
    ("years or steps", 1e8, 1_000_000),
    ("seconds", 1e11, 1_000_000),
    ("milliseconds", 1e14, 1_000),
    ("microseconds", 1e17, 1),
)


@dataclass(frozen=True)
class Fault:
    """Rows whose time cannot be taken as it stands."""

    flags: BoolArray
    message: str
    cure: str


@dataclass
class Times:
    """What became of a column of times.

    Attributes
    ----------
    values
        Datetime[us, UTC]; null where the input was empty or faulty.
    faults
        Rows that could not be read or do not go with the rest.
    remarks
        What was assumed, in words.
    """

    values: pl.Series
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def parse_times(column: pl.Series, source: str) -> Times:
    """Read a column of times of any type.

    Numbers count from 1970 in the unit that most of them have the size of. Eight digits that are all
    calendar days are days, four digits that are all years of 1800 to 2099 begin that year; if most
    numbers lie below 10^8 they are taken as seconds; all three are remarked. Times without a zone are
    taken as UTC, and this is remarked. A column must be of one mind: numbers among dates, small numbers
    among seconds, or times with a zone among times without, are faults of the fewer.

    Raises
    ------
    DataError
        As `refuse_unreadable`; `source` is what the message calls the table.
    """
    refuse_unreadable(column, source)
    kind = column.dtype
    if isinstance(kind, pl.Datetime) or kind == pl.Date:
        times = Times(column)
        _bound(times)
        zone = getattr(kind, "time_zone", None)
        if zone is None and times.values.count():
            what = "days, taken as midnight UTC" if kind == pl.Date else "without time zone, taken as UTC"
            times.remarks.append(what)
        # A zone of Polars is how the moment is shown; the number beneath is UTC already.
        times.values = times.values.cast(pl.Datetime("us", zone)).to_physical().cast(TIME)
        return times
    if kind.is_float():
        column = column.cast(pl.Float64).fill_nan(None)
        if ((column % 1 == 0) & (column.abs() < 2**63)).all():
            column = column.cast(pl.Int64)
        else:
            column = column.map_elements("{:.6f}".format, pl.String)
    text = column.cast(pl.String)
    return _from_text(text.str.strip_chars())


def _from_text(text: pl.Series) -> Times:
    text = text.set(text.str.to_lowercase().is_in(MISSING), None)
    present = text.is_not_null().to_numpy()
    numeric = text.str.contains(NUMBER).fill_null(False).to_numpy()
    iso, has_zone, offsets = _iso(text)
    readable = numeric | iso.is_not_null().to_numpy()
    aware = has_zone & readable & ~numeric
    naive = ~has_zone & readable & ~numeric
    result = Times(pl.Series(text.name, [], dtype=TIME))
    if (broken := present & ~readable).any():
        result.faults.append(Fault(broken, "is no time that can be read", ISO_CURE))
    classes = {"has a time zone": aware, "has no time zone": naive, "is a number": numeric}
    majority = max(classes, key=lambda name: int(classes[name].sum()))
    for name, flags in classes.items():
        if name != majority and flags.any():
            message = f"{name} while in most rows the time {majority}"
            result.faults.append(Fault(flags, message, "write all times of the column in one format"))
    if majority == "is a number":
        values = _numbers(text, numeric, result)
    else:
        keep = pl.Series(classes[majority])
        values = iso.set(~keep, None)
        if majority == "has no time zone" and naive.any():
            result.remarks.append("without time zone, taken as UTC")
        if len(zones := offsets.filter(keep).unique()) > 1:
            result.remarks.append(f"in {len(zones)} different time zones, all converted to UTC")
    result.values = values.alias(text.name)
    _bound(result)
    return result


def _bound(times: Times) -> None:
    """Make times outside the calendar faults."""
    far = ~times.values.dt.timestamp("ms").is_between(FIRST, LAST).fill_null(True)
    if far.any():
        message = "lies outside the years 1 to 9999"
        times.faults.append(Fault(far.to_numpy(), message, ISO_CURE))
        times.values = pl.select(pl.when(~far).then(times.values)).to_series().alias(times.values.name)


def _iso(text: pl.Series) -> tuple[pl.Series, BoolArray, pl.Series]:
    """ISO times as UTC (null where none), which rows name a zone, and the zone in minutes."""
    groups = text.str.extract_groups(ISO).struct.unnest()
    year, month, day, hour, minute, second, fraction, zone = (pl.col(str(n)) for n in range(1, 9))
    local = pl.concat_str(
        [year, pl.lit("-"), month, pl.lit("-"), day, pl.lit("T"), hour.fill_null("00"), pl.lit(":"),
         minute.fill_null("00"), pl.lit(":"), second.fill_null("00"), pl.lit("."),
         fraction.fill_null("").str.pad_end(6, "0").str.slice(0, 6)]
    ).str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us", strict=False)  # fmt: skip
    digits = zone.str.replace(":", "").str.extract(r"([+-]\d{2,4})").fill_null("+0000").str.pad_end(5, "0")
    minutes = digits.str.slice(1, 2).cast(pl.Int64) * 60 + digits.str.slice(3, 2).cast(pl.Int64)
    offset = pl.when(digits.str.starts_with("-")).then(-minutes).otherwise(minutes)
    parsed = groups.select(
        time=(local - pl.duration(minutes=offset)).dt.replace_time_zone("UTC"),
        zoned=zone.is_not_null(),
        offset=offset,
    )
    return parsed["time"], parsed["zoned"].fill_null(False).to_numpy(), parsed["offset"]


def _numbers(text: pl.Series, numeric: BoolArray, result: Times) -> pl.Series:
    """Numbers since 1970, in the unit that most of them have the size of."""
    flags = pl.Series(numeric)
    text = text.set(~flags, None)
    if numeric.any() and text.str.contains(CALENDAR).all():
        days = text.str.to_datetime("%Y%m%d", time_unit="us", strict=False)
        result.remarks.append("eight-digit days, taken as midnight UTC")
        if (wrong := numeric & days.is_null().to_numpy()).any():
            result.faults.append(Fault(wrong, "is no day of the calendar", ISO_CURE))
        return days.dt.replace_time_zone("UTC")
    if numeric.any() and text.str.contains(YEAR).all():
        result.remarks.append("bare years, each taken as midnight UTC of its 1 January")
        begin = text.str.slice(0, 4) + "-01-01"
        return begin.str.to_datetime("%Y-%m-%d", time_unit="us").dt.replace_time_zone("UTC")
    size = text.cast(pl.Float64, strict=False).abs().fill_null(0.0).to_numpy()
    unit = np.digitize(size, [bound for _, bound, _ in UNITS])
    names = [*(name for name, _, _ in UNITS), "nanoseconds"]
    common = int(np.bincount(unit[numeric], minlength=len(names)).argmax())
    for other in np.unique(unit[numeric]).tolist():
        if other != common:
            message = f"has the size of {names[other]} while most rows are in {names[common]}"
            cure = "write all times of the column in one unit"
            result.faults.append(Fault(numeric & (unit == other), message, cure))
    text = text.set(pl.Series(unit != common), None)
    if common == 0 and numeric.any():
        result.remarks.append(
            "numbers below 100,000,000, taken as seconds since 1970; only their order counts"
        )
    if names[common] == "nanoseconds":
        micros = text.str.replace(r"\..*$", "").cast(pl.Int64, strict=False) // 1000
    else:
        # Whole numbers stay integers: a float would round microseconds of far dates.
        whole = text.str.replace(r"\..*$", "").cast(pl.Int64, strict=False)
        part = ("0" + text.str.extract(r"(\.\d+)").fill_null("")).cast(pl.Float64, strict=False)
        sign = pl.select(pl.when(text.str.starts_with("-")).then(-1).otherwise(1)).to_series()
        scale = UNITS[common][2]
        micros = whole * scale + (sign * part * scale).round().cast(pl.Int64)
    if (wide := text.is_not_null() & micros.is_null()).any():
        result.faults.append(Fault(wide.to_numpy(), "has too many digits to be a time", ISO_CURE))
    utc: pl.Series = micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return utc
