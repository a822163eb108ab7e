"""UGallery as the tutorial on visual art recommendation uses it (IUI 2021)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vasari.data.admit_catalogue import admit_catalogue
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
    need_table,
    read_tables,
    tutorial_features,
)

RENAMES = {
    "catalogue": {"id": "item_id", "upload_date": "added_at"},
    "interactions": {"customer_id": "user_id", "artwork_id": "item_id", "order_date": "timestamp"},
}


def read_ugallery_tutorial(source: Path, options: Options) -> Imported:
    """Read ``ugallery.csv`` (or valid_sales.csv); if there, ``valid_artworks.csv``, ``embedding*.npy``.

    ``valid_artworks.csv`` says which works are originals (t/f). Without it the catalogue is made of the log
    (which names the artists), the embeddings and the image folder.

    Raises
    ------
    DataError
        The data is refused; see `vasari.data.door`.
    """
    door = Door(options.policy)
    paths = {
        "catalogue": find_table(source, "valid_artworks"),
        "interactions": need_table(source, "ugallery", "valid_sales"),
    }
    tables = read_tables(paths, options, RENAMES)
    table = tables["interactions"]
    features = tutorial_features(door, source)
    root = image_folder(source, options)
    if "catalogue" in tables:
        catalogue = admit_catalogue(door, tables["catalogue"], root)
    else:
        items = item_columns(table, "artist_id")
        catalogue = derived_catalogue(door, items, list(features[0]) if features else [], root)
        door.fact("originals", "unknown, so no work leaves the stock when sold; add valid_artworks.csv")
    if "artist_id" in table.columns:
        _remark_artists(door, table.source, item_columns(table, "artist_id"))
    return finish(door, source, options, catalogue, admit_interactions(door, table, catalogue), features)


def _remark_artists(door: Door, source: str, items: pl.DataFrame) -> None:
    several = items.drop_nulls().group_by("item_id", maintain_order=True).agg(pl.col("artist_id").n_unique())
    several = several.filter(pl.col("artist_id") > 1)
    if several.height:
        message = f"gives item {several['item_id'][0]!r} several artists; the first counts"
        door.remark(source, message, "correct the log", several.height)
