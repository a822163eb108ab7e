"""Filters hold by value, however it is written."""

import numpy as np
import polars as pl
import pytest

from vasari.core.errors import UsageError
from vasari.serving.filters import Filters


def test_filters_on_numbers_and_dates_mean_the_value():
    big = 2**60 + 1
    frame = pl.DataFrame(
        {
            "float": [300.0, 2.5, None],
            "int": [258, 3, big],
            "small": pl.Series([1, 2, 3], dtype=pl.UInt8),
            "decimal": pl.Series(["1.50", "2.00", None]).cast(pl.Decimal(10, 2)),
            "at": pl.Series([0, 10**15, None]).cast(pl.Datetime("us", "UTC")),
            "day": pl.Series([0, 1, None]).cast(pl.Date),
            "yes": [True, False, None],
            "single": pl.Series([0.1, 0.2, None], dtype=pl.Float32),
            "long": pl.Series([1, 2, None]).cast(pl.Duration("us")),
        }
    )
    everything = np.ones(3, dtype=bool)

    def found(column, *values):
        given = values[0] if len(values) == 1 else list(values)
        by_json = Filters.from_json({column: given}).mask(frame, everything).tolist()
        text = "|".join(str(value) for value in values)
        assert Filters.parse([f"{column}:{text}"]).mask(frame, everything).tolist() == by_json
        return [row for row, holds in enumerate(by_json) if holds]

    assert found("float", 300) == found("float", 300.0) == found("float", "3e2") == [0]
    assert found("float", 300, 2.5) == [0, 1]
    assert found("float", "nan", "many", "inf") == []
    assert found("int", 258) == found("int", 258.0) == [0]
    assert found("int", big) == [2]
    assert found("int", big - 1) == found("int", 3.5) == found("int", 10**30) == found("int", "1e300") == []
    assert found("small", 2, 300, -1) == [1]
    assert found("decimal", 1.5) == [0]
    assert found("decimal", 2) == [1]
    assert found("at", "1970-01-01T00:00:00Z") == found("at", "1970-01-01T01:00:00+01:00") == [0]
    assert found("at", str(frame["at"][1])) == [1]
    assert found("at", "never") == []
    assert found("day", "1970-01-02") == [1]
    assert found("single", 0.1) == [0]
    with pytest.raises(UsageError, match="not filterable"):
        found("long", "tomorrow")
    assert Filters.from_json({"yes": True}).mask(frame, everything).tolist() == [True, False, False]
