"""The catalogue as it stands at this moment: one immutable object, replaced whenever something changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from typing_extensions import Self

from vasari.data.catalogue import CATALOGUE_COLUMNS
from vasari.data.dataset import Dataset
from vasari.data.stock import NEVER
from vasari.features.table import FeatureTable
from vasari.serving.asks import Artist, NotFound, Work
from vasari.serving.looks import Looks
from vasari.serving.moments import moment
from vasari.serving.roster import Roster

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

FIXED = (
    "item_id",
    "image",
    "artist_id",
    "title",
    "original",
    "removed_at",
)  # the rest of a work is `columns`


@dataclass(frozen=True, eq=False)
class NewWork:
    """What is needed to hang a work: its values by column, its picture and the raw features of that."""

    item_id: str
    values: Mapping[str, Any]
    original: bool
    picture: Path | None
    features: FloatArray | None


@dataclass(frozen=True, eq=False)
class Shelf:
    """Every work, one row each.

    Attributes
    ----------
    roster
        The ids.
    frame
        The catalogue's columns, item_id among them.
    pictures
        The file of every work, None without one; only ever appended to.
    original, removed, sold
        Which works are one of a kind, were taken off the walls, were sold at least once; shape (works,).
    popularity
        How many times each work was taken, shape (works,).
    looks
        None where there are no features.
    """

    roster: Roster
    frame: pl.DataFrame
    pictures: list[Path | None]
    original: BoolArray
    removed: BoolArray
    sold: BoolArray
    popularity: FloatArray
    looks: Looks | None

    @classmethod
    def of(cls, data: Dataset, table: FeatureTable | None, moment: int) -> Self:
        """The catalogue of a data set at a moment (microseconds since 1970), after its whole log."""
        catalogue = data.catalogue
        frame = catalogue.frame
        for name, dtype in CATALOGUE_COLUMNS.items():
            if name not in frame.columns and name != "image":
                frame = frame.with_columns(pl.lit(None, dtype=dtype).alias(name))
        removed = np.zeros(len(frame), dtype=bool)
        if "removed_at" in catalogue.frame.columns:
            removed = (frame["removed_at"].dt.epoch("us").fill_null(NEVER) <= moment).to_numpy()
        sold = np.zeros(len(frame), dtype=bool)
        sold[catalogue.ids.rows(data.interactions.sales()["item_id"])] = True
        taken = np.bincount(data.histories.items.values, minlength=len(frame)).astype(np.float32)
        rows = np.full(len(frame), -1) if table is None else table.align(catalogue.ids)
        looks = Looks.of(table.matrix, rows) if table is not None and (rows >= 0).any() else None
        pictures = catalogue.images()
        return cls(Roster(catalogue.ids), frame, pictures, catalogue.originals, removed, sold, taken, looks)

    def __len__(self) -> int:
        return len(self.roster)

    @cached_property
    def available(self) -> BoolArray:
        """Which works can be had, shape (works,)."""
        available: BoolArray = ~(self.removed | (self.original & self.sold))
        return available

    @cached_property
    def _artists(self) -> tuple[list[str], IntArray]:
        artists = self.frame["artist_id"]
        names = artists.drop_nulls().unique().sort()
        codes = artists.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1)
        return names.to_list(), codes.to_numpy()

    @property
    def artist_of(self) -> IntArray:
        """A number for the artist of every work, -1 where unknown, shape (works,)."""
        return self._artists[1]

    @cached_property
    def standing(self) -> FloatArray:
        """How well known each work is: how often it was taken, ties broken by how often its artist was.

        Originals that can still be had were never taken, so that without the artists all would be tied.
        """
        names, codes = self._artists
        of_artist = np.bincount(codes[codes >= 0], self.popularity[codes >= 0], minlength=len(names))
        second = np.where(codes >= 0, of_artist[codes] if len(names) else 0, 0)
        standing: FloatArray = (self.popularity + second / (1 + second.max(initial=0))).astype(np.float32)
        return standing

    # ------------------------------------------------------------------ looking

    def work(self, row: int) -> Work:
        """One work."""
        return self.works([row])[0]

    def works(self, rows: Sequence[int] | IntArray) -> list[Work]:
        """Some works."""
        numbers = [int(row) for row in rows]
        return [
            Work(
                item_id=self.roster[row],
                title=values["title"],
                artist_id=values["artist_id"],
                columns={name: value for name, value in values.items() if name not in FIXED},
                original=bool(self.original[row]),
                available=bool(self.available[row]),
                picture=self.pictures[row],
            )
            for row, values in zip(numbers, self.frame[numbers].iter_rows(named=True), strict=True)
        ]

    def artists(self) -> list[Artist]:
        """All artists, those with most works first."""
        names, codes = self._artists
        works = np.bincount(codes[codes >= 0], minlength=len(names))
        here = np.bincount(codes[(codes >= 0) & self.available], minlength=len(names))
        order = np.argsort(-works, kind="stable")
        return [Artist(names[row], int(works[row]), int(here[row])) for row in order.tolist()]

    def of_artist(self, artist_id: str) -> IntArray:
        """Rows of an artist's works.

        Raises
        ------
        NotFound
            There is no such artist.
        """
        rows = np.flatnonzero((self.frame["artist_id"] == artist_id).fill_null(False).to_numpy())
        if not len(rows):
            raise NotFound(f"artist_id {artist_id!r} is unknown")
        return rows

    # ------------------------------------------------------------------ changing

    def _with(self, **changes: Any) -> Self:
        """With changes beside the frame: who made which work is then not asked for anew at every click."""
        changed = replace(self, **changes)
        if "_artists" in vars(self):
            vars(changed)["_artists"] = self._artists
        return changed

    def taken(self, more: IntArray, fewer: IntArray, sales: IntArray) -> Self:
        """After some works were taken, some taken back (repeats count), and some sold."""
        popularity, sold = self.popularity.copy(), self.sold
        np.add.at(popularity, more, 1)
        np.add.at(popularity, fewer, -1)
        if len(sales):
            sold = sold.copy()
            sold[sales] = True
        return self._with(popularity=popularity, sold=sold)

    def hung(self, works: Sequence[NewWork]) -> Self:
        """With new works behind these."""
        count, looks = len(works), self.looks
        if looks is not None:
            features = np.zeros((count, len(looks.mean)), np.float32)
            for row, work in enumerate(works):
                if work.features is not None:
                    features[row] = work.features
            looks = looks.extended(features)
        rows = [{"item_id": work.item_id, "original": work.original, **work.values} for work in works]
        del self.pictures[len(self) :]  # of a generation that came to nothing
        self.pictures.extend(work.picture for work in works)
        nothing = np.zeros(count, dtype=bool)
        return replace(
            self,
            roster=self.roster.extended([work.item_id for work in works]),
            frame=pl.concat([self.frame, fitted(rows, self.frame.schema)], how="vertical"),
            original=np.append(self.original, [work.original for work in works]),
            removed=np.append(self.removed, nothing),
            sold=np.append(self.sold, nothing),
            popularity=np.append(self.popularity, np.zeros(count, np.float32)),
            looks=looks,
        )

    def repainted(self, row: int, picture: Path, features: FloatArray | None) -> Self:
        """With another picture for one work."""
        pictures = self.pictures.copy()
        pictures[row] = picture
        looks = self.looks if self.looks is None or features is None else self.looks.replaced(row, features)
        return self._with(pictures=pictures, looks=looks)

    def changed(self, item_id: str, changes: Mapping[str, Any]) -> Self:
        """With other values for one work; `removed` among them takes it off the walls."""
        row = self.roster.row(item_id)
        values = {name: value for name, value in changes.items() if name in self.frame.columns}
        frame, removed = self.frame, self.removed
        if values:
            one = fitted([frame.row(row, named=True) | values], frame.schema)
            frame = pl.concat([frame[:row], one, frame[row + 1 :]])
        if "removed" in changes:
            removed = removed.copy()
            removed[row] = bool(changes["removed"])
        return replace(self, frame=frame, removed=removed)


def fitted(rows: Sequence[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Rows as a frame of the given columns; what is missing, or cannot be what its column holds, is empty."""
    return pl.DataFrame(
        [_column(name, [row.get(name) for row in rows], dtype) for name, dtype in schema.items()]
    )


def _column(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    if dtype.is_temporal():
        values = [moment(value) for value in values]
    try:
        return pl.Series(name, values, strict=False).cast(dtype, strict=False)
    except pl.exceptions.PolarsError:  # no such value becomes one of the column
        if len(values) == 1:
            return pl.Series(name, [None], dtype)
        return pl.concat([_column(name, [value], dtype) for value in values])
