"""The feature table: ids, one matrix, and what the vectors were made with, always together.

On disk a folder: features.json (fingerprint, shapes, notes), ids.parquet (item_id, content_hash),
matrix.npy, positions.npy for spatial maps, quarantine.csv, checksums.json. The arrays are read through
a memory map, so that a table larger than the memory can be opened at once.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from typing_extensions import Self

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError
from vasari.core.files import (
    CHECKSUMS,
    atomic_folder,
    read_json,
    recover_folder,
    verify_checksums,
    write_json,
)
from vasari.core.seeds import generator
from vasari.data.ids import Ids
from vasari.features.fingerprint import Fingerprint, Part

FloatArray = npt.NDArray[np.floating]

_RECORD, _IDS, _MATRIX, _POSITIONS = "features.json", "ids.parquet", "matrix.npy", "positions.npy"
_QUARANTINE = "quarantine.csv"
_FORMAT = 1
_BLOCK = 8192  # rows copied or checked at a time


class Quarantined(NamedTuple):
    """An item without a vector, and why."""

    item_id: str
    image: str
    reason: str


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Vectors of items.

    Attributes
    ----------
    ids
        The items that have a vector, in the order of the rows.
    matrix
        float16 or float32, shape (n, dim); a read-only memory map if the table was loaded.
    fingerprint
        What made the vectors.
    hashes
        SHA-256 of every item's picture, or None for vectors made elsewhere.
    quarantine
        The items that have no vector, with the reason.
    animated
        Items of whose animation or pages only the first one was looked at.
    positions
        Vectors per position, shape (n, positions, channels), or None.
    """

    ids: Ids
    matrix: FloatArray
    fingerprint: Fingerprint
    hashes: list[str] | None = None
    quarantine: list[Quarantined] = field(default_factory=list)
    animated: list[str] = field(default_factory=list)
    positions: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.ids):
            raise DataError(f"{len(self.ids)} ids do not fit a matrix of shape {self.matrix.shape}")
        if self.hashes is not None and len(self.hashes) != len(self.ids):
            raise DataError(f"{len(self.ids)} ids do not fit {len(self.hashes)} content hashes")
        if self.positions is not None and (self.positions.ndim != 3 or len(self.positions) != len(self.ids)):
            raise DataError(f"{len(self.ids)} ids do not fit spatial maps of shape {self.positions.shape}")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return (
            f"FeatureTable({len(self)} items x {self.dim} {self.matrix.dtype} "
            f"by {self.fingerprint.extractor}, {len(self.quarantine)} in quarantine)"
        )

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.matrix.shape[1])

    @property
    def families(self) -> dict[str, slice]:
        """The families of features side by side, by name, with their columns of `matrix`."""
        return self.fingerprint.columns(self.dim)

    def family(self, name: str) -> Self:
        """One family alone, as a view: nothing is copied.

        Raises
        ------
        NotFoundError
            The table has no such family.
        """
        if name not in self.families:
            raise NotFoundError(
                f"the table has no feature family {name!r}; it has {', '.join(self.families)}"
            )
        if not self.fingerprint.parts:
            return self
        fingerprint = next(part.fingerprint for part in self.fingerprint.parts if part.name == name)
        return replace(
            self,
            matrix=self.matrix[:, self.families[name]],
            fingerprint=fingerprint,
            positions=self.positions if fingerprint.spatial else None,
        )

    @classmethod
    def join(cls, tables: Sequence[Self]) -> Self:
        """Put the families of several tables of the same pictures side by side, in memory.

        Rows follow the ids of the first table; numbers are stored in the widest type of all.

        Raises
        ------
        UsageError
            There is no table, or two hold a family of the same name or spatial maps.
        DataError
            The tables hold different items, or other pictures of one.
        """
        if not tables:
            raise UsageError("there are no tables to join; pass at least one")
        first = tables[0]
        rows = [_same_pictures(first, table) for table in tables]
        names = [name for table in tables for name in table.families]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"feature family {twice[0]!r} is in two of the tables; take one by family()")
        spatial = [
            (table, row) for table, row in zip(tables, rows, strict=True) if table.positions is not None
        ]
        if len(spatial) > 1:
            raise UsageError("two of the tables hold spatial maps; only one can keep them")
        dtype = np.result_type(*(table.matrix.dtype for table in tables))
        parts = [
            Part(name, table.family(name).dim, replace(table.family(name).fingerprint, dtype=str(dtype)))
            for table in tables
            for name in table.families
        ]
        blocks = [table.matrix[row].astype(dtype) for table, row in zip(tables, rows, strict=True)]
        maps = [table.positions[row].astype(dtype) for table, row in spatial if table.positions is not None]
        return cls(
            ids=first.ids,
            matrix=np.concatenate(blocks, axis=1),
            fingerprint=Fingerprint.of_parts(parts) if len(parts) > 1 else parts[0].fingerprint,
            hashes=next((table.hashes for table in tables if table.hashes is not None), None),
            quarantine=list(dict.fromkeys(entry for table in tables for entry in table.quarantine)),
            animated=list(dict.fromkeys(item for table in tables for item in table.animated)),
            positions=maps[0] if maps else None,
        )

    @classmethod
    def from_arrays(cls, ids: Ids | Iterable[str], matrix: npt.ArrayLike, source: str) -> Self:
        """Take vectors that were made elsewhere.

        A row that holds NaN or an infinity is put into quarantine.

        Parameters
        ----------
        matrix
            Numbers, shape (len(ids), dim). float16 and float32 stay as they are, others become float32.
        source
            Where they come from, in a few words; part of the fingerprint.

        Raises
        ------
        DataError
            The shapes do not agree, an id occurs twice, or these are no numbers.
        """
        ids = ids if isinstance(ids, Ids) else Ids(ids)
        values = np.asanyarray(matrix)
        if values.dtype.kind not in "fiub":
            raise DataError(f"vectors from {source} are of type {values.dtype}, not numbers")
        if values.ndim != 2 or len(values) != len(ids):
            raise DataError(f"{len(ids)} ids do not fit a matrix of shape {values.shape} from {source}")
        if values.dtype not in (np.float16, np.float32):
            with np.errstate(over="ignore"):  # too large for float32 is infinite, hence in quarantine
                values = values.astype(np.float32)
        digest = hashlib.sha256(str((values.shape, values.dtype)).encode())
        finite = np.empty(len(values), dtype=bool)
        for rows in _blocks(len(values)):
            digest.update(np.ascontiguousarray(values[rows]).tobytes())
            finite[rows] = np.isfinite(values[rows]).all(axis=1)
        kept = np.flatnonzero(finite)
        return cls(
            ids=ids if finite.all() else Ids(ids.take(kept), what=ids.what),
            matrix=values if finite.all() else values[kept],
            fingerprint=Fingerprint(source, digest.hexdigest(), dtype=str(values.dtype)),
            quarantine=[
                Quarantined(ids[row], "", "the given vector holds NaN or an infinity")
                for row in np.flatnonzero(~finite).tolist()
            ],
        )

    def align(self, item_ids: Ids | Iterable[str]) -> npt.NDArray[np.int64]:
        """Rows of `item_ids`, shape (len(item_ids),), -1 where an item has no vector."""
        return self.ids.find(item_ids)

    def gather(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Vectors at `rows`, shape (len(rows), dim); only these are read from disk.

        Raises
        ------
        UsageError
            A row is negative (an item without a vector) or too large.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise UsageError(
                f"row {outside[0]} is none of the table's {len(self)}; "
                f"mask the items that align() marks with -1"
            )
        return np.asarray(self.matrix[wanted], dtype=np.float32)

    def shuffled(self, seed: int = 0) -> Self:
        """The same vectors under the wrong ids, drawn at random: a falsification test.

        What a model gains from pictures must vanish with this table. The fingerprint says what was done.
        """
        order = generator(seed, "shuffled pictures").permutation(len(self))
        return type(self)(
            ids=Ids(self.ids.take(order), what=self.ids.what),
            matrix=self.matrix,
            fingerprint=self.fingerprint.renamed("shuffled among the items", str(seed)),
            positions=self.positions,
        )

    def save(self, folder: str | Path) -> Path:
        """Write the table; a folder that holds an older one is replaced in one step."""
        maps = None if self.positions is None else (self.positions.shape[1], self.positions.shape[2])
        with writing(
            folder, self.ids, self.fingerprint, self.dim, maps, self.hashes, self.quarantine, self.animated
        ) as (matrix, positions):
            for rows in _blocks(len(self)):
                matrix[rows] = self.matrix[rows]
                if positions is not None and self.positions is not None:
                    positions[rows] = self.positions[rows]
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, verify: bool = True) -> Self:
        """Open a table for reading.

        Parameters
        ----------
        verify
            Compare all files with their checksums first, which reads them once.

        Raises
        ------
        NotFoundError
            There is no table.
        CorruptFileError
            A file is missing, cut short or changed.
        """
        folder = recover_folder(folder)
        if not (folder / _RECORD).is_file() and not (folder / CHECKSUMS).is_file():
            raise NotFoundError(f"{folder} holds no feature table; `vasari extract` makes one")
        try:
            if verify:
                verify_checksums(folder)
            record = read_json(folder / _RECORD)
            frame = pl.read_parquet(folder / _IDS)
            matrix = _open(folder / _MATRIX)
            with open(folder / _QUARANTINE, newline="", encoding="utf-8") as stream:
                quarantine = [Quarantined(*row) for row in list(csv.reader(stream))[1:]]
            _check_version(folder, record)
            return cls(
                ids=Ids(frame["item_id"]),
                matrix=matrix,
                fingerprint=Fingerprint.from_json(record["fingerprint"]),
                hashes=frame["content_hash"].to_list() if "content_hash" in frame.columns else None,
                quarantine=quarantine,
                animated=record["animated"],
                positions=_open(folder / _POSITIONS) if record["spatial"] else None,
            )
        except (CorruptFileError, UsageError):
            raise
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            EOFError,
            csv.Error,
            pl.exceptions.PolarsError,
        ) as error:
            raise CorruptFileError(f"{folder} is a damaged feature table: {error}; extract again") from error


def _same_pictures(first: FeatureTable, other: FeatureTable) -> npt.NDArray[np.int64]:
    """Row of `other` for every row of `first`."""
    rows = other.align(first.ids)
    if len(other) != len(first) or (rows < 0).any():
        alone = [
            *first.ids.take(np.flatnonzero(rows < 0)),
            *other.ids.take(np.flatnonzero(first.align(other.ids) < 0)),
        ]
        raise DataError(
            f"item_id {alone[0]!r} is in one table and not in the other; extract both from the same catalogue"
        )
    if first.hashes is not None and other.hashes is not None:
        for row, (item, theirs) in enumerate(zip(first.ids, rows.tolist(), strict=True)):
            if first.hashes[row] != other.hashes[theirs]:
                raise DataError(f"the tables saw different pictures of item_id {item!r}; extract both again")
    return rows


def _check_version(folder: Path, record: dict[str, Any]) -> None:
    if record["format"] != _FORMAT:
        raise UsageError(
            f"{folder} is a feature table of format {record['format']}, this version reads {_FORMAT}"
        )


def _open(path: Path) -> FloatArray:
    array: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, rows)) for start in range(0, rows, _BLOCK))


@contextlib.contextmanager
def writing(
    folder: str | Path,
    ids: Ids,
    fingerprint: Fingerprint,
    dim: int,
    maps: tuple[int, int] | None = None,
    hashes: list[str] | None = None,
    quarantine: Sequence[Quarantined] = (),
    animated: Sequence[str] = (),
) -> Iterator[tuple[FloatArray, FloatArray | None]]:
    """Write a table whose rows the block fills in; it stands in `folder` only if the block succeeds.

    Parameters
    ----------
    dim
        Length of a vector.
    maps
        (positions, channels) of the spatial maps, None without.

    Yields
    ------
    Writable memory maps of the matrix and, with `maps`, of the positions.
    """
    rows, dtype = len(ids), np.dtype(fingerprint.dtype)
    with atomic_folder(folder) as temporary:
        matrix = np.lib.format.open_memmap(temporary / _MATRIX, "w+", dtype, (rows, dim))
        positions = None
        if maps is not None:
            positions = np.lib.format.open_memmap(temporary / _POSITIONS, "w+", dtype, (rows, *maps))
        yield matrix, positions
        matrix.flush()
        if positions is not None:
            positions.flush()
        columns = {"item_id": pl.Series(list(ids), dtype=pl.String)}
        if hashes is not None:
            columns["content_hash"] = pl.Series(hashes, dtype=pl.String)
        pl.DataFrame(columns).write_parquet(temporary / _IDS)
        with open(
            temporary / _QUARANTINE, "w", newline="", encoding="utf-8", errors="backslashreplace"
        ) as stream:
            # NUL is escaped as well: the csv module of Python 3.10 neither writes nor reads it.
            escaped = ([text.replace("\0", "\\x00") for text in entry] for entry in quarantine)
            csv.writer(stream).writerows([Quarantined._fields, *escaped])
        write_json(
            temporary / _RECORD,
            {
                "format": _FORMAT,
                "fingerprint": fingerprint.to_json(),
                "rows": rows,
                "dim": dim,
                "spatial": maps is not None,
                "animated": list(animated),
            },
        )
