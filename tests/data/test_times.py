from datetime import date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vasari.data.dataset import Dataset
from vasari.data.door import DoorError
from vasari.data.times import parse_times

NOON = datetime(2024, 3, 1, 12, tzinfo=timezone.utc)
SECONDS = int(NOON.timestamp())
moments = st.datetimes(datetime(1975, 1, 1), datetime(2200, 1, 1))


def parse(values, **options):
    return parse_times(pl.Series("timestamp", values, **options), "the log")


@pytest.mark.parametrize(
    "value",
    [
        SECONDS, SECONDS * 1000, SECONDS * 10**6, SECONDS * 10**9, float(SECONDS),
        str(SECONDS), f"{SECONDS}.0",
        "2024-03-01T12:00:00Z", "2024-03-01 12:00", "2024-03-01T14:00:00+02:00", "2024-03-01 08:30:00-0330",
        "2024/03/01 12:00:00.000000000", " 2024-03-01 12:00:00 UTC ", NOON, NOON.replace(tzinfo=None),
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(value):
    times = parse([value, value])
    assert times.values.dtype == pl.Datetime("us", "UTC")
    assert times.values.to_list() == [NOON, NOON]
    assert not times.faults


@pytest.mark.parametrize("value", [date(2024, 3, 1), "2024-03-01", "20240301", 20240301])
def test_days_are_midnight_and_remarked(value):
    times = parse([value])
    assert times.values.to_list() == [NOON.replace(hour=0)]
    assert times.remarks


@pytest.mark.parametrize(
    "value", ["03/04/2024", "2024-02-30", "yesterday", "1.7e9", "2024-03-01T25:00:00", "9" * 19, "inf"]
)
def test_what_is_no_time_is_a_fault_and_no_guess(value):
    times = parse(["2024-03-01T12:00:00", value] if not value.isdigit() else [str(SECONDS), value])
    assert times.values.to_list()[1] is None
    assert any(fault.flags.tolist() == [False, True] for fault in times.faults)


@pytest.mark.parametrize(
    ("usual", "odd"),
    [
        ("2024-03-01T12:00:00Z", "2024-03-01T12:00:00"),
        ("2024-03-01T12:00:00", "2024-03-01T12:00:00+01:00"),
        ("2024-03-01T12:00:00", str(SECONDS)),
        (str(SECONDS), "2024-03-01"),
        (str(SECONDS), str(SECONDS * 1000)),
        (str(SECONDS * 1000), str(SECONDS)),
        (str(SECONDS), "2024"),
        (str(SECONDS), "0"),
        ("2024-03-01T12:00:00", "2024"),
    ],
)
def test_the_fewer_of_a_mixed_column_are_faults(usual, odd):
    times = parse([usual, odd, usual])
    assert [fault.flags.tolist() for fault in times.faults] == [[False, True, False]]
    assert times.values.to_list() == [NOON, None, NOON]


def test_several_zones_are_one_time_line_and_remarked():
    times = parse(["2024-03-01T12:00:00Z", "2024-03-01T14:00:00+02:00"])
    assert times.values.to_list() == [NOON, NOON]
    assert "2 different time zones" in times.remarks[0]


def test_blank_is_null_without_a_fault():
    times = parse(["", "nan", None, "2024-03-01T12:00:00Z"])
    assert times.values.null_count() == 3
    assert not times.faults
    assert parse([None, None]).values.null_count() == 2
    assert len(parse([], dtype=pl.String).values) == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(moments, min_size=1, max_size=20))
def test_every_spelling_agrees_with_the_standard_library(naive):
    exact = [m.replace(tzinfo=timezone.utc) for m in naive]
    assert parse([m.isoformat() for m in exact]).values.to_list() == exact
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    micros = [(m - epoch) // timedelta(microseconds=1) for m in exact]
    assert parse(micros).values.to_list() == exact
    assert parse([str(m) for m in micros]).values.to_list() == exact
    seconds = [f"{m // 10**6}.{m % 10**6:06d}" for m in micros]
    assert parse(seconds).values.to_list() == exact
    nanos = parse(np.array(micros, dtype=np.int64) * 1000)
    assert nanos.values.to_list() == exact


FAR = 2**62


@pytest.mark.parametrize(
    "column",
    [
        ["0000-01-01", "2024-03-01"],
        ["9999-12-31T23:59:59-14:00", "2024-03-01T00:00:00Z"],
        ["0001-01-01T00:00:00+14:00", "2024-03-01T00:00:00Z"],
        [str(260_000_000_000 * 10**6), str(SECONDS * 10**6)],
        [-70_000_000_000, SECONDS],
        *[pl.Series([sign * FAR, 0]).cast(pl.Datetime(unit, zone))
          for unit in ("ms", "us") for zone in (None, "UTC", "Asia/Tokyo") for sign in (1, -1)],
        pl.Series([2**31 - 1, 0], dtype=pl.Int32).cast(pl.Date),
    ],
)  # fmt: skip
def test_times_outside_the_calendar_are_faults_on_every_path(column):
    times = parse(column)
    assert [fault.flags.tolist() for fault in times.faults] == [[True, False]]
    assert times.values.dtype == pl.Datetime("us", "UTC")
    assert times.values.is_null().to_list() == [True, False]
    assert times.values.max() is not None
    catalogue, ids = pl.DataFrame({"item_id": ["a"]}), ["a", "a"]
    log = pl.DataFrame({"user_id": ids, "item_id": ids, "timestamp": column})
    with pytest.raises(DoorError, match="row 0: timestamp"):
        Dataset.from_frames(catalogue, log)
    with pytest.warns(UserWarning, match="left out"):
        data = Dataset.from_frames(catalogue, log, on_bad_row="drop")
    assert data.describe()["interactions"] == 1


def test_the_whole_calendar_can_be_described():
    ends = [datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)]
    for column in (ends, [end.isoformat() for end in ends]):
        times = parse(column)
        assert not times.faults
        assert times.values.to_list() == ends


@pytest.mark.parametrize("zone", ["+99:99", "+15:00", "-14:60", "+0275"])
def test_zones_that_no_place_has_are_faults(zone):
    times = parse(["2024-03-01T12:00:00Z", f"2024-03-01T12:00:00{zone}"])
    assert times.values.to_list() == [NOON, None]
    assert [fault.flags.tolist() for fault in times.faults] == [[False, True]]


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_datetimes_of_every_unit_and_zone(unit, zone):
    naive = pl.Series([NOON.replace(tzinfo=None)], dtype=pl.Datetime(unit))
    column = naive if zone is None else naive.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    times = parse(column)
    assert times.values.to_list() == [NOON]
    assert bool(times.remarks) is (zone is None)


@pytest.mark.parametrize("years", [["2024", "1899"], [2024, 1899], [2024.0, 1899.0], ["2024", "1899", ""]])
def test_bare_years_begin_on_the_first_of_january_and_are_remarked(years):
    times = parse(years)
    assert [t.isoformat()[:10] for t in times.values.drop_nulls()] == ["2024-01-01", "1899-01-01"]
    assert "year" in times.remarks[0]
    assert not times.faults


@pytest.mark.parametrize("steps", [[3, 1, 2], [2024, 2100], [45292, 45293], [0.5, 0.25]])
def test_small_numbers_keep_their_order_and_are_remarked(steps):
    times = parse(steps)
    assert times.values.arg_sort().to_list() == np.argsort(steps).tolist()
    assert "order" in times.remarks[0]
    assert not times.faults
