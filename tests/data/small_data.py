"""Datasets small enough to be written as rows in a test."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import polars as pl

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
UTC_US = pl.Datetime("us", "UTC")


def day(number):
    return START + timedelta(days=number)


def make_dataset(rows, items, **columns):
    """Make a dataset of (user, item, day[, kind]) rows; `columns` are the catalogue's."""
    names = ["user_id", "item_id", "timestamp", "kind"][: len(rows[0]) if rows else 3]
    schema = {name: UTC_US if name == "timestamp" else pl.String for name in names}
    log = pl.DataFrame([(r[0], r[1], day(r[2]), *r[3:]) for r in rows], schema=schema, orient="row")
    return Dataset(Catalogue(pl.DataFrame({"item_id": items, **columns})), Interactions(log), "small")
