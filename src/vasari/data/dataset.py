"""A catalogue with its log of interactions: what everything else starts from."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vasari.core.errors import CorruptFileError, DataError
from vasari.core.files import atomic_path, read_json, sha256_file
from vasari.data.admit_catalogue import admit_catalogue
from vasari.data.admit_log import admit_interactions
from vasari.data.catalogue import Catalogue
from vasari.data.door import Door, Policy
from vasari.data.histories import Histories
from vasari.data.interactions import Interactions
from vasari.data.pictures import existing_folder
from vasari.data.preference import SCORES_FILE, USERS_FILE, Preference
from vasari.data.stock import ALWAYS, NEVER, Stock
from vasari.data.tables import from_frame, map_columns

DATASET_FILE = "dataset.json"
LAYOUT = 1


class Dataset:
    """A catalogue and the log of what people took from it.

    Parameters
    ----------
    catalogue, interactions
        Every item of the log must be in the catalogue.
    name
        For reports and folders.
    simulated
        None for real people; otherwise one sentence that says what was simulated. Every report shows it.
    preference
        The simulator's truth, if there is one; its columns are the catalogue's rows.

    Raises
    ------
    NotFoundError
        The log holds an item that is not in the catalogue.
    DataError
        The preference does not have one column per item.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        interactions: Interactions,
        name: str = "dataset",
        simulated: str | None = None,
        preference: Preference | None = None,
    ) -> None:
        self.catalogue, self.interactions, self.name = catalogue, interactions, name
        self.simulated, self.preference = simulated, preference
        catalogue.ids.rows(interactions.frame["item_id"].unique(maintain_order=True))
        if preference is not None and preference.scores.shape[1] != len(catalogue):
            raise DataError(
                f"the preference has {preference.scores.shape[1]} columns for {len(catalogue)} items; "
                f"it belongs to another catalogue"
            )

    def __repr__(self) -> str:
        counts = self.interactions.describe()
        return (
            f"Dataset({self.name!r}: {len(self.catalogue)} items, {counts['users']} users, "
            f"{counts['interactions']} interactions{', simulated' if self.simulated else ''})"
        )

    def with_interactions(self, frame: pl.DataFrame | Interactions) -> Dataset:
        """The same catalogue with another log."""
        log = frame if isinstance(frame, Interactions) else Interactions(frame)
        return Dataset(self.catalogue, log, self.name, self.simulated, self.preference)

    @cached_property
    def histories(self) -> Histories:
        """The log as integers, in time order per user."""
        return Histories.from_frame(self.interactions.frame, self.catalogue.ids)

    @cached_property
    def stock(self) -> Stock:
        """When each work can be had.

        A work enters at added_at (always there if that is unknown) and leaves at removed_at or, if the
        catalogue calls it an original, at its first sale. Whether it is an original is never inferred
        from how often it sold, for that would look into the future.
        """
        frame = self.catalogue.frame
        enters = np.full(len(frame), ALWAYS)
        leaves = np.full(len(frame), NEVER)
        if "added_at" in frame.columns:
            enters = frame["added_at"].dt.epoch("us").fill_null(ALWAYS).to_numpy().astype(np.int64)
        if "removed_at" in frame.columns:
            leaves = frame["removed_at"].dt.epoch("us").fill_null(NEVER).to_numpy().astype(np.int64)
        sales = self.interactions.sales()
        first_sale = np.full(len(frame), NEVER)
        items = self.catalogue.ids.rows(sales["item_id"])
        np.minimum.at(first_sale, items, sales["timestamp"].dt.epoch("us").to_numpy().astype(np.int64))
        return Stock(enters, np.where(self.catalogue.originals, np.minimum(leaves, first_sale), leaves))

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of both tables' contents; where the images lie does not enter."""
        digest = hashlib.sha256()
        for table in (self.catalogue.frame, self.interactions.frame):
            digest.update(f"table {table.height}\n".encode())
            for column in table.get_columns():
                _hash_column(column, digest)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Name, counts and the span of time, for reports."""
        return {
            "name": self.name,
            "simulated": self.simulated,
            **self.catalogue.describe(),
            **self.interactions.describe(),
            "fingerprint": self.fingerprint,
        }

    def save(self, folder: str | Path) -> Path:
        """Write dataset.json, catalogue.parquet, interactions.parquet and the preference into `folder`.

        Other files there (the images, say) stay. `dataset.json` holds the checksums of the rest and is
        put in place first: a save cut short is refused by `load`, never taken for whole.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            # The stack closes in reverse, so what is entered last is renamed into place first.
            tables = {
                "catalogue.parquet": self.catalogue.frame,
                "interactions.parquet": self.interactions.frame,
            }
            paths = {name: stack.enter_context(atomic_path(folder / name)) for name in tables}
            for name, table in tables.items():
                table.write_parquet(paths[name])
            if self.preference is not None:
                paths |= {n: stack.enter_context(atomic_path(folder / n)) for n in (SCORES_FILE, USERS_FILE)}
                self.preference.write(paths[SCORES_FILE], paths[USERS_FILE])
            meta = {
                "layout": LAYOUT,
                "name": self.name,
                "simulated": self.simulated,
                "image_root": _portable(self.catalogue.image_root, folder),
                "sha256": {name: sha256_file(path) for name, path in paths.items()},
            }
            text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
            stack.enter_context(atomic_path(folder / DATASET_FILE)).write_text(text, encoding="utf-8")
        if self.preference is None:
            for name in (SCORES_FILE, USERS_FILE):
                (folder / name).unlink(missing_ok=True)
        return folder

    @classmethod
    def from_frames(
        cls,
        catalogue: Any,
        interactions: Any = None,
        image_root: str | Path | None = None,
        name: str = "dataset",
        *,
        mapping: Mapping[str, str] | None = None,
        simulated: str | None = None,
        on_unknown: str = "raise",
        on_duplicate: str = "keep",
        on_bad_row: str = "raise",
    ) -> Dataset:
        """Take data frames of pandas, Polars, pyarrow, or anything with the Arrow PyCapsule interface.

        Parameters
        ----------
        catalogue, interactions
            As `Catalogue` and `Interactions` describe; ids may be numbers, times may be ISO text, seconds
            to nanoseconds since 1970, days or datetimes. Without interactions the log is empty.
        mapping
            From our column names to theirs, ``{"item_id": "artwork_id"}``.
        on_unknown, on_duplicate, on_bad_row
            See `vasari.data.door.Policy`. Whatever is left out or assumed is named in a warning.

        Raises
        ------
        DoorError
            The data is refused; the error carries the whole report.
        DataError
            What is given is no table, or no row of it is left.
        NotFoundError
            `image_root` is no folder.
        """
        door = Door(Policy.of(on_unknown, on_duplicate, on_bad_row))
        tables = {"catalogue": from_frame(catalogue, "catalogue")}
        if interactions is not None:
            tables["interactions"] = from_frame(interactions, "interactions")
        tables = map_columns(tables, mapping)
        root = None if image_root is None else existing_folder(image_root)
        works = admit_catalogue(door, tables["catalogue"], root)
        log = Interactions.empty()
        if "interactions" in tables:
            log = admit_interactions(door, tables["interactions"], works)
        for problem in door.close().problems:
            warnings.warn(str(problem), stacklevel=2)
        return cls(works, log, name, simulated)

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Read what `save` wrote, or a folder with catalogue.csv, interactions.csv and images.

        Raises
        ------
        NotFoundError
            There is no dataset in `folder`.
        CorruptFileError
            A file is missing or differs from its checksum.
        DoorError
            Plain tables are not as they should be; the error names every problem.
        """
        folder = Path(folder)
        if not (folder / DATASET_FILE).exists():
            # Down here: the readers of foreign formats need this module.
            from vasari.data.formats import read

            return read(folder, "plain").dataset
        meta = read_json(folder / DATASET_FILE)
        layout = meta.get("layout") if isinstance(meta, dict) else None
        if layout != LAYOUT or not {"name", "simulated", "image_root", "sha256"} <= set(meta):
            raise DataError(
                f"{folder / DATASET_FILE} has layout {layout!r}, this version reads {LAYOUT}; "
                f"import the data again"
            )
        for name, expected in meta["sha256"].items():
            if not (folder / name).is_file() or sha256_file(folder / name) != expected:
                raise CorruptFileError(
                    f"{folder / name} is missing or differs from its checksum in {DATASET_FILE} "
                    f"(a save cut short?); save or import the data again"
                )
        root = None if meta["image_root"] is None else folder / meta["image_root"]
        return cls(
            Catalogue(pl.read_parquet(folder / "catalogue.parquet"), root),
            Interactions(pl.read_parquet(folder / "interactions.parquet")),
            meta["name"],
            meta["simulated"],
            Preference.load(folder) if SCORES_FILE in meta["sha256"] else None,
        )


def _portable(root: Path | None, folder: Path) -> str | None:
    """`root` relative to `folder` if it lies inside, so that the folder can be moved; else absolute."""
    if root is None:
        return None
    absolute = Path(os.path.abspath(root))
    inside = Path(os.path.abspath(folder))
    return absolute.relative_to(inside).as_posix() if absolute.is_relative_to(inside) else str(absolute)


def _hash_column(column: pl.Series, digest: hashlib._Hash) -> None:
    """Feed name, type and every value to `digest`, with lengths, so that no two tables read the same."""
    if column.dtype == pl.Datetime:
        column = column.dt.epoch("us")
    digest.update(f"column {column.name!r} {column.dtype}\n".encode())
    if column.dtype.is_integer() or column.dtype == pl.String:
        text = column.cast(pl.String)
    else:  # Python's spelling of floats and nested values does not change with the version of Polars
        spelled = [None if value is None else str(value) for value in column.to_list()]
        text = pl.Series(spelled, dtype=pl.String)
    digest.update(text.str.len_bytes().cast(pl.Int64).fill_null(-1).to_numpy().astype("<i8").tobytes())
    digest.update("".join(text.drop_nulls().to_list()).encode())
