"""The catalogue: every artwork that can be recommended, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError
from vasari.data.ids import Ids

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TIME = pl.Datetime("us", "UTC")

CATALOGUE_COLUMNS: Mapping[str, pl.DataType] = {
    "item_id": pl.String(),
    "image": pl.String(),
    "artist_id": pl.String(),
    "title": pl.String(),
    "added_at": TIME,
    "removed_at": TIME,
    "original": pl.Boolean(),
}


def checked(
    frame: pl.DataFrame, columns: Mapping[str, pl.DataType], required: tuple[str, ...], table: str
) -> pl.DataFrame:
    """`frame` with the known columns first, refused if one has another type or lacks a required value.

    This guards the canonical form only; data from outside goes through `vasari.data.door`, which
    names file and line.

    Raises
    ------
    DataError
        A required column is absent or holds a null, or a known column has another type.
    """
    for name in required:
        if name not in frame.columns:
            raise DataError(f"the {table} has no column {name!r}; it has {frame.columns!r}")
    known = [name for name in columns if name in frame.columns]
    for name in known:
        if frame.schema[name] != columns[name]:
            raise DataError(
                f"column {name!r} of the {table} is {frame.schema[name]}, not {columns[name]}; "
                f"Dataset.from_frames converts it"
            )
    for name in required:
        if nulls := frame[name].null_count():
            raise DataError(f"column {name!r} of the {table} has {nulls} empty values; every row needs one")
    return frame.select(known + [name for name in frame.columns if name not in columns])


class Catalogue:
    """Every artwork, one row each; item numbers all over Vasari are rows of this table.

    Parameters
    ----------
    frame
        Columns item_id (text, distinct) and, where known, image (path relative to `image_root`),
        artist_id, title, added_at, removed_at (Datetime[us, UTC]), original (bool: one of a kind).
        Further columns are kept.
    image_root
        The folder that `image` is relative to.

    Raises
    ------
    DataError
        A column is missing or has another type, an id is empty or occurs twice.
    """

    def __init__(self, frame: pl.DataFrame, image_root: str | Path | None = None) -> None:
        self.frame = checked(frame, CATALOGUE_COLUMNS, ("item_id",), "catalogue")
        self.image_root = None if image_root is None else Path(image_root)
        self.ids = Ids(self.frame["item_id"], what="item_id")

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        return f"Catalogue({len(self)} items, {len(self.artist_ids)} artists, images in {self.image_root})"

    def images(self) -> list[Path | None]:
        """The picture of every work, None where the catalogue names none; a named file may be missing."""
        if self.image_root is None or "image" not in self.frame.columns:
            return [None] * len(self)
        root = self.image_root
        return [None if name is None else root / name for name in self.frame["image"].to_list()]

    @cached_property
    def artist_ids(self) -> Ids:
        """The artists, in order of first appearance."""
        if "artist_id" not in self.frame.columns:
            return Ids([], what="artist_id")
        return Ids(self.frame["artist_id"].drop_nulls().unique(maintain_order=True), what="artist_id")

    @cached_property
    def artists(self) -> npt.NDArray[np.int64]:
        """Row of `artist_ids` per work, shape (items,), -1 where the artist is unknown."""
        if "artist_id" not in self.frame.columns:
            return np.full(len(self), -1, dtype=np.int64)
        return self.artist_ids.find(self.frame["artist_id"].to_list())

    @cached_property
    def originals(self) -> npt.NDArray[np.bool_]:
        """Which works are one of a kind, shape (items,); False where the catalogue does not say."""
        if "original" not in self.frame.columns:
            return np.zeros(len(self), dtype=bool)
        return self.frame["original"].fill_null(False).to_numpy().astype(bool)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas data frame."""
        return self.frame.to_pandas()

    def to_arrow(self) -> pa.Table:
        """The table as a pyarrow table."""
        return self.frame.to_arrow()

    def describe(self) -> dict[str, Any]:
        """Counts of items, artists, pictures named and originals."""
        images = self.frame["image"].count() if "image" in self.frame.columns else 0
        return {
            "items": len(self),
            "artists": len(self.artist_ids),
            "images": images,
            "originals": int(self.originals.sum()),
        }
