"""MovieLens-style ratings: items, ratings with a threshold for positives, and perhaps features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from vasari.core.errors import DataError
from vasari.data.admit_catalogue import admit_catalogue
from vasari.data.admit_log import admit_interactions
from vasari.data.columns import id_text
from vasari.data.door import Door
from vasari.data.formats.base import (
    Imported,
    Options,
    finish,
    image_folder,
    need_table,
    read_tables,
    vectors_by_line,
)
from vasari.data.sieve import FIX, Sieve
from vasari.data.tables import Table

ITEM = {"itemId": "item_id", "movieId": "item_id", "movie_id": "item_id"}
RENAMES = {"catalogue": ITEM, "interactions": {**ITEM, "userId": "user_id"}}


def read_movielens(source: Path, options: Options) -> Imported:
    """Read ``items.csv`` (or movies.csv) and ``ratings.csv``; ratings from the threshold on are positives.

    Lower ratings are counted and left out, for a recommender of implicit feedback knows no dislike.
    Pictures are found as ``<item_id>.<ending>`` in the image folder. A ``features.npy`` has one row per
    line of the items.

    Raises
    ------
    DataError
        The data is refused; see `vasari.data.door`.
    """
    door = Door(options.policy)
    paths = {
        "catalogue": need_table(source, "items", "movies"),
        "interactions": need_table(source, "ratings"),
    }
    tables = read_tables(paths, options, RENAMES)
    catalogue = admit_catalogue(door, tables["catalogue"], image_folder(source, options))
    positives = _positives(door, tables["interactions"], options.threshold)
    log = admit_interactions(door, positives, catalogue)
    features = None
    if (source / "features.npy").is_file():
        table = tables["catalogue"]
        if table.ragged:
            raise DataError(
                f"{table.source} {table.unit} {table.ragged[0][0]} has {table.ragged[0][1]} fields; rows of "
                f"features.npy cannot be matched with broken lines, correct them"
            )
        ids = id_text(table.frame["item_id"], table.source)
        features = vectors_by_line(door, source / "features.npy", ids, table.source)
    return finish(door, source, options, catalogue, log, features)


def _positives(door: Door, table: Table, threshold: float) -> Table:
    sieve = Sieve(door, table, ("user_id", "item_id", "rating", "timestamp"))
    raw = sieve.frame["rating"]
    ratings = raw.cast(pl.Float64, strict=False)
    sieve.replace("rating", ratings)
    sieve.out(~ratings.is_finite().fill_null(False), "rating", "is no number", FIX, values=raw)
    frame = sieve.frame.filter(pl.col("rating") >= threshold)
    users, left = sieve.frame["user_id"].n_unique(), frame["user_id"].n_unique()
    door.fact(f"{table.source}: ratings read", table.frame.height + len(table.ragged))
    door.fact(f"{table.source}: ratings below {threshold:g}, no positives", sieve.frame.height - frame.height)
    door.fact(f"{table.source}: users without a positive", users - left)
    if frame.height == 0:
        door.close()
        raise DataError(f"{table.source}: 0 users, no rating reaches {threshold:g}; lower --threshold")
    return replace(table, frame=frame, ragged=[])
