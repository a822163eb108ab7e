"""UGallery as the CuratorNet repository publishes it (Messina et al. 2020)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from vasari.core.errors import DataError
from vasari.core.files import read_json
from vasari.data.admit_catalogue import admit_catalogue
from vasari.data.admit_log import admit_interactions
from vasari.data.catalogue import Catalogue
from vasari.data.door import Door
from vasari.data.formats.base import (
    Imported,
    Options,
    finish,
    image_folder,
    need_table,
    read_tables,
    vectors_by_stem,
)
from vasari.data.sieve import FIX, Sieve
from vasari.data.tables import Table

RENAMES = {
    "catalogue": {
        "artwork_id_hash": "item_id",
        "artist_id_hash": "artist_id",
        "upload_timestamp": "added_at",
    },
    "interactions": {
        "user_id_hash": "user_id",
        "purchased_artwork_ids_hash": "item_id",
        "purchase_timestamp": "timestamp",
    },
}
ELEMENT = r"""(?:'[^'\\]*'|"[^"\\]*"|\d+)"""
LIST = rf"^\s*\[\s*{ELEMENT}(?:\s*,\s*{ELEMENT})*\s*,?\s*\]\s*$"


def read_ugallery(source: Path, options: Options) -> Imported:
    """Read ``inventory.csv``, ``purchases.csv`` and, if there, ``*_embeddings.npy`` and ``clusters.json``.

    One row of purchases.csv is one basket, its works a list as Python writes it. The inventory does not say
    which works are originals, and it is not guessed from the sales (that would look into the future): map a
    column to `original` if you have one.

    Raises
    ------
    DataError
        The data is refused; see `vasari.data.door`.
    """
    door = Door(options.policy)
    paths = {
        "catalogue": need_table(source, "inventory"),
        "interactions": need_table(source, "purchases"),
    }
    tables = read_tables(paths, options, RENAMES)
    catalogue = admit_catalogue(door, tables["catalogue"], image_folder(source, options))
    if "original" not in catalogue.frame.columns:
        door.fact("originals", "unknown, so no work leaves the stock when sold; map a column to `original`")
    log = admit_interactions(door, explode_baskets(door, tables["interactions"]), catalogue)
    if (source / "clusters.json").is_file():
        catalogue = _with_clusters(door, catalogue, source / "clusters.json")
    embeddings = sorted(source.glob("*embeddings.npy"))
    if len(embeddings) > 1:
        raise DataError(f"{source} holds {[p.name for p in embeddings]!r}; keep one file of embeddings")
    features = vectors_by_stem(door, embeddings[0]) if embeddings else None
    return finish(door, source, options, catalogue, log, features)


def explode_baskets(door: Door, table: Table) -> Table:
    """Turn rows whose item_id is a list as Python writes it, ``['a', 'b']``, into one row per item.

    The text is matched, not evaluated; what is no list of strings or whole numbers is a bad row.
    """
    sieve = Sieve(door, table, ("item_id",))
    if sieve.frame["item_id"].dtype == pl.String:
        is_list = sieve.frame["item_id"].str.contains(LIST).fill_null(False)
        sieve.out(~is_list, "item_id", "is no list of ids such as ['a', 'b']", FIX)
        ids = sieve.frame["item_id"].str.extract_all(ELEMENT).list.eval(pl.element().str.strip_chars("'\""))
        sieve.replace("item_id", ids)
    door.fact(f"{table.source}: baskets", sieve.frame.height)
    return replace(table, frame=sieve.frame.explode("item_id"), ragged=[])


def _with_clusters(door: Door, catalogue: Catalogue, path: Path) -> Catalogue:
    clusters = read_json(path)
    if not isinstance(clusters, dict):
        raise DataError(
            f"{path} holds a {type(clusters).__name__}; an object of artwork id: cluster is needed"
        )
    column = pl.Series("cluster", [clusters.get(item) for item in catalogue.ids], strict=False)
    door.fact(f"{path.name}: works with a cluster", len(column) - column.null_count())
    return Catalogue(catalogue.frame.with_columns(column), catalogue.image_root)
