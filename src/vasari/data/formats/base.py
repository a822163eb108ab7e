"""What all readers of foreign formats share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.data.admit_catalogue import admit_catalogue, pictures_as_items
from vasari.data.catalogue import Catalogue
from vasari.data.columns import id_text
from vasari.data.dataset import Dataset
from vasari.data.door import Door, DoorReport, Policy
from vasari.data.ids import Ids
from vasari.data.interactions import REQUIRED, Interactions
from vasari.data.pickled_arrays import read_numbers, read_vectors_by_name
from vasari.data.pictures import existing_folder
from vasari.data.sieve import Sieve
from vasari.data.tables import LINE, Table, map_columns, read_table

TABLE_ENDINGS = (".parquet", ".pq", ".csv", ".tsv")
Features = tuple[Ids, npt.NDArray[Any]]


@dataclass(frozen=True)
class Options:
    """How to read.

    Attributes
    ----------
    mapping
        From our column names to theirs; see `vasari.data.tables.map_columns`.
    images
        The image folder; by default the folder ``images`` of the source, if there is one.
    threshold
        The lowest rating that counts as a positive (MovieLens-style only).
    policy
        What happens to problems.
    name
        Name of the dataset; the source folder's by default.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None
    threshold: float = 4.0
    policy: Policy = field(default_factory=Policy)
    name: str | None = None


@dataclass(frozen=True)
class Imported:
    """A dataset, what was found at the door, and features if the source holds them.

    Attributes
    ----------
    features
        Ids and matrix, shape (ids, d), one row per id; ids may lack items and name others.
    """

    dataset: Dataset
    report: DoorReport
    features: Features | None = None


def find_table(folder: Path, *stems: str) -> Path | None:
    """Return the table in `folder` with one of these names, None if there is none.

    Raises
    ------
    UsageError
        There are several.
    """
    candidates = [folder / f"{stem}{ending}" for stem in stems for ending in TABLE_ENDINGS]
    found = [path for path in candidates if path.is_file()]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{folder} holds {names}, which mean the same; keep one")
    return found[0] if found else None


def need_table(folder: Path, *stems: str) -> Path:
    """Return the table with one of these names.

    Raises
    ------
    NotFoundError
        There is none; the message lists what is there.
    """
    path = find_table(folder, *stems)
    if path is None:
        there = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))[:12]
        raise NotFoundError(f"{folder} has no {' or '.join(f'{s}.csv' for s in stems)}; it holds {there!r}")
    return path


def image_folder(source: Path, options: Options) -> Path | None:
    """Return the folder that was named, else ``images`` in the source, else None."""
    if options.images is not None:
        return existing_folder(options.images)
    return source / "images" if (source / "images").is_dir() else None


def read_tables(
    paths: Mapping[str, Path | None], options: Options, renames: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Table]:
    """Read the tables of one import by role and map their columns.

    Parameters
    ----------
    renames
        By role, the format's own column names, from theirs to ours; applied after the user's mapping,
        where there is such a column and none of ours.
    """
    tables = {role: read_table(path) for role, path in paths.items() if path is not None}
    tables = map_columns(tables, options.mapping)
    for role, table in tables.items():
        own: dict[str, str] = {}
        for theirs, ours in (renames or {}).get(role, {}).items():
            if theirs in table.columns and ours not in table.columns and ours not in own:
                own[ours] = theirs
        tables[role] = table.renamed(own)
    return tables


def finish(
    door: Door, source: Path, options: Options, catalogue: Catalogue, log: Interactions,
    features: Features | None = None,
) -> Imported:  # fmt: skip
    """Close the door and put the pieces together.

    Raises
    ------
    DoorError
        A problem is fatal under the policy.
    """
    if features is not None:
        known = catalogue.ids.find(features[0]) >= 0
        door.fact("works with features", int(known.sum()))
        door.fact("features of no work in the catalogue", int((~known).sum()))
    name = options.name or source.resolve().name
    return Imported(Dataset(catalogue, log, name), door.close(), features)


def derived_catalogue(
    door: Door, items: pl.DataFrame, more_ids: Sequence[str], image_root: Path | None
) -> Catalogue:
    """Make a catalogue where the source has none: every work of the log, the features and the image folder.

    Parameters
    ----------
    items
        Columns item_id and whatever is known of them; repeats allowed, the first stays.
    """
    ids = [*items["item_id"].drop_nulls().to_list(), *more_ids]
    if image_root is not None:
        ids += pictures_as_items(door, image_root)["item_id"].to_list()
    frame = pl.DataFrame({"item_id": pl.Series(ids, dtype=pl.String).unique(maintain_order=True)})
    known = items.drop_nulls("item_id").unique("item_id", keep="first", maintain_order=True)
    frame = frame.join(known, on="item_id", how="left", maintain_order="left")
    door.remark(
        "catalogue", "is made of the log, the features and the image folder", "nothing to do", frame.height
    )
    return admit_catalogue(door, Table(frame.with_row_index(LINE), "catalogue", "row"), image_root)


def item_columns(table: Table, *columns: str) -> pl.DataFrame:
    """Return what a log says of its items: item_id and, where there are such columns, `columns`, as text."""
    Sieve(Door(), table, REQUIRED)
    names = ["item_id", *columns]
    return pl.DataFrame(
        [id_text(table.frame[name], table.source) for name in names if name in table.columns],
        schema_overrides={"item_id": pl.String},
    )


def tutorial_features(door: Door, source: Path) -> Features | None:
    """Read the one ``embedding*.npy`` of the source, if there is one.

    Raises
    ------
    UsageError
        There are several.
    """
    found = sorted(source.glob("embedding*.npy"))
    if len(found) > 1:
        raise UsageError(f"{source} holds {[p.name for p in found]!r}; keep one file of embeddings")
    return vectors_by_stem(door, found[0]) if found else None


def vectors_by_stem(door: Door, path: Path) -> Features:
    """Read an object array of (file name or id, vector); the id is the name without folder and ending.

    Names that share an id are reported as the policy says; the first stays.
    """
    names, matrix = read_vectors_by_name(path)
    stems = pl.Series(names, dtype=pl.String).str.extract(r"([^/\\]+?)(?:\.[A-Za-z]{2,4})?$").fill_null("")
    first = stems.is_first_distinct()
    if len(again := stems.filter(~first)):
        message = f"has two vectors for item {again[0]!r}"
        cure = 'keep one or pass on_duplicate="drop" (the first stays)'
        door.remark(path.name, message, cure, len(again), door.policy.on_collision)
    rows = np.flatnonzero(first.to_numpy())
    return _finite(
        door, path, stems.filter(first).to_list(), matrix if len(rows) == len(matrix) else matrix[rows]
    )


def vectors_by_line(door: Door, path: Path, ids: pl.Series, table: str) -> Features:
    """Read a numeric array whose rows stand in the order of the lines of `table`.

    Parameters
    ----------
    ids
        The id on every line as read, null where blank; repeats allowed, the first stays.

    Raises
    ------
    DataError
        The numbers of rows and lines differ: which row belongs to which item would be a guess.
    """
    matrix = read_numbers(path)
    if matrix.ndim != 2 or len(matrix) != len(ids):
        raise DataError(
            f"{path.name} has shape {matrix.shape}, {table} has {len(ids)} rows: one vector per row is "
            f"needed, in the same order"
        )
    rows = np.flatnonzero((ids.is_first_distinct() & ids.is_not_null()).to_numpy())
    kept = matrix if len(rows) == len(matrix) else matrix[rows]
    return _finite(door, path, ids.gather(rows).to_list(), kept)


def _finite(door: Door, path: Path, ids: list[str], matrix: npt.NDArray[Any]) -> Features:
    """Leave out vectors with NaN or infinite numbers, as the policy says."""
    step = 4096  # rows at a time: the array may be larger than memory
    good = [np.isfinite(matrix[at : at + step]).all(axis=1) for at in range(0, len(matrix), step)]
    rows = np.flatnonzero(np.concatenate(good)) if good else np.empty(0, np.int64)
    if len(rows) < len(matrix):
        wrong = next(i for i, r in zip(ids, np.concatenate(good), strict=True) if not r)
        door.remark(
            path.name, f"has NaN or infinite numbers in the vector of item {wrong!r}",
            'compute it again or pass on_bad_row="drop"', len(matrix) - len(rows), door.policy.on_bad_row,
        )  # fmt: skip
        return Ids([ids[r] for r in rows.tolist()]), matrix[rows]
    return Ids(ids), matrix
