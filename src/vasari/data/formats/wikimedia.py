"""Votes on Wikimedia Commons' featured pictures, as the tutorial on visual art recommendation uses them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from vasari.core.errors import UsageError
from vasari.data.admit_log import admit_interactions
from vasari.data.door import Door
from vasari.data.formats.base import (
    Imported,
    Options,
    derived_catalogue,
    find_table,
    finish,
    image_folder,
    item_columns,
    read_tables,
    tutorial_features,
)
from vasari.data.interactions import Interactions
from vasari.data.sieve import FIX, Sieve
from vasari.data.tables import Table

RENAMES = {"interactions": {"user": "user_id", "image_id": "item_id"}}


def read_wikimedia(source: Path, options: Options) -> Imported:
    """Read ``wikimedia.csv``, or ``train_*.csv`` with ``test_*.csv``; if there, ``embedding*.npy``.

    Rows of the test file get evaluation = true. Where a column `score` holds votes, only positive ones count.
    There is no catalogue: it is made of the log, the embeddings and the image folder. With
    ``on_duplicate="drop"`` the latest of repeated votes of a user on a picture stays, as in the tutorial.

    Raises
    ------
    DataError
        The data is refused; see `vasari.data.door`.
    """
    door = Door(options.policy)
    tables = [_votes(door, table) for table in _tables(source, options)]
    features = tutorial_features(door, source)
    items = pl.concat([item_columns(table) for table in tables])
    root = image_folder(source, options)
    catalogue = derived_catalogue(door, items, list(features[0]) if features else [], root)
    logs = [admit_interactions(door, table, catalogue).frame for table in tables]
    log = _repeats(door, pl.concat(logs, how="diagonal"))
    return finish(door, source, options, catalogue, Interactions(log), features)


def _tables(source: Path, options: Options) -> list[Table]:
    if (single := find_table(source, "wikimedia")) is not None:
        return [read_tables({"interactions": single}, options, RENAMES)["interactions"]]
    tables = []
    for part in ("train", "test"):
        found = sorted(source.glob(f"{part}_*.csv"))
        if len(found) != 1:
            raise UsageError(
                f"{source} holds neither wikimedia.csv nor one {part}_*.csv but {[p.name for p in found]!r}"
            )
        table = read_tables({"interactions": found[0]}, options, RENAMES)["interactions"]
        tables.append(replace(table, frame=table.frame.with_columns(evaluation=pl.lit(part == "test"))))
    return tables


def _votes(door: Door, table: Table) -> Table:
    """Keep positive votes only, where the table says how people voted."""
    if "score" not in table.columns:
        return table
    sieve = Sieve(door, table)
    score = sieve.frame["score"].cast(pl.Float64, strict=False)
    sieve.out(~score.is_finite().fill_null(False), "score", "is no number", FIX)
    frame = sieve.frame.filter(pl.col("score").cast(pl.Float64) > 0)
    door.fact(f"{table.source}: votes against, no positives", sieve.frame.height - frame.height)
    return replace(table, frame=frame, ragged=[])


def _repeats(door: Door, log: pl.DataFrame) -> pl.DataFrame:
    votes = log.select("user_id", "item_id", "timestamp").with_row_index("row")
    latest = votes.sort("timestamp", maintain_order=True)
    rows = latest.unique(["user_id", "item_id"], keep="last")["row"].to_list()
    keep = pl.Series(range(log.height)).is_in(rows)
    message = "holds a user's vote on one picture again"
    cure = 'pass on_duplicate="drop" to keep the latest alone, as the tutorial does'
    door.remark("the log", message, cure, int((~keep).sum()), door.policy.on_duplicate)
    return log.filter(keep) if door.policy.on_duplicate == "drop" else log
