"""Vectors on their way to a table: finished groups on disk, found again by what the pictures hold.

A shard is one .npz file, written in one step; the zip format's own checksums tell a damaged one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError, WriteError
from vasari.core.files import atomic_path, remove_leftovers
from vasari.features.decode import BadImageError
from vasari.features.extractor import Encoded
from vasari.features.fingerprint import Fingerprint
from vasari.features.table import FeatureTable

FloatArray = npt.NDArray[np.floating]


@dataclass
class Found:
    """Where the vector of a picture stands.

    Attributes
    ----------
    source
        Number of the shard; -1 is the earlier table.
    row
        There.
    animated
        As in `Encoded`.
    """

    source: int
    row: int
    animated: bool


@dataclass
class Shards:
    """The shards of one extraction, beside the folder that the table will stand in.

    Attributes
    ----------
    folder
        Named by the fingerprint: vectors made otherwise are never found.
    dtype
        Of the stored vectors.
    found
        By content hash: where the vector is.
    bad
        By content hash: why there is none.
    """

    folder: Path
    dtype: str
    found: dict[str, Found] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @classmethod
    def beside(cls, out: Path, fingerprint: Fingerprint) -> Shards:
        """Open what an earlier run, killed or not, left for `out`."""
        shards = cls(_workshop(out) / fingerprint.digest[:16], fingerprint.dtype)
        if shards.folder.is_dir():
            remove_leftovers(shards.folder)
        for file in sorted(shards.folder.glob("*.npz")):
            number = int(file.stem)
            shards._count = max(shards._count, number + 1)
            try:
                with np.load(file, allow_pickle=False) as content:
                    shards._note(number, content["hashes"].tolist(), content["animated"], content["reasons"])
                    content["vectors"]  # reads it, hence compares its checksum
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                file.unlink()  # its pictures are computed again
        return shards

    def adopt(self, table: FeatureTable) -> None:
        """Take over the vectors of a finished table with the same fingerprint."""
        animated = set(table.animated)
        for row, (item, digest) in enumerate(zip(table.ids, table.hashes or [], strict=True)):
            self.found.setdefault(digest, Found(-1, row, item in animated))

    def write(self, hashes: Sequence[str], results: Sequence[Encoded | BadImageError]) -> None:
        """Keep the results of some pictures.

        A vector that is not finite in the stored type counts as bad: nothing may ever average it in.
        """
        vectors, maps, reasons, animated = [], [], [], []
        for result in results:
            reason = result.reason if isinstance(result, BadImageError) else self._unfit(result)
            reasons.append(reason)
            animated.append(isinstance(result, Encoded) and result.animated)
            if not reason and isinstance(result, Encoded):
                vectors.append(result.vector.astype(self.dtype))
                if result.positions is not None:
                    maps.append(result.positions.astype(self.dtype))
        content: dict[str, Any] = {
            "hashes": np.array(hashes),
            "reasons": np.array(reasons),
            "animated": np.array(animated),
            "vectors": np.array(vectors, dtype=self.dtype),
        }
        if maps:
            content["positions"] = np.array(maps)
        with (
            atomic_path(self.folder / f"{self._count:08d}.npz") as temporary,
            open(temporary, "wb") as stream,
        ):
            np.savez(stream, **content)
        self._note(self._count, hashes, animated, reasons)
        self._count += 1

    def _unfit(self, result: Encoded) -> str:
        with np.errstate(over="ignore"):
            parts = [result.vector.astype(self.dtype)]
            if result.positions is not None:
                parts.append(result.positions.astype(self.dtype))
        if all(np.isfinite(part).all() for part in parts):
            return ""
        if np.isfinite(result.vector).all() and self.dtype == "float16":
            return "its vector holds values too large for float16; use dtype='float32'"
        return "the network gave NaN or an infinity"

    def _note(
        self, number: int, hashes: Sequence[str], animated: Sequence[Any], reasons: Sequence[Any]
    ) -> None:
        row = 0
        for digest, moving, reason in zip(hashes, animated, reasons, strict=True):
            if reason:
                self.bad[digest] = str(reason)
            else:
                self.found[digest] = Found(number, row, bool(moving))
                row += 1

    def read(self, number: int) -> tuple[FloatArray, FloatArray | None]:
        """Vectors and maps of one shard."""
        with np.load(self.folder / f"{number:08d}.npz", allow_pickle=False) as content:
            return content["vectors"], content.get("positions")


def _workshop(out: Path) -> Path:
    return out.with_name(f".{out.name}.shards")


@contextlib.contextmanager
def reserved(out: Path) -> Iterator[None]:
    """Keep other processes from extracting into `out` while the block runs.

    At the end without error all shards are deleted, also those of other fingerprints: the table is
    finished. The lock is the system's own, so that it ends with the process, however that ends.

    Raises
    ------
    UsageError
        Another process is at it.
    WriteError
        The place cannot be written.
    """
    folder = _workshop(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise WriteError(f"cannot write beside {out}: {error.strerror}; choose another place") from error
    try:
        _lock(descriptor, out)
        try:
            yield
            shutil.rmtree(folder)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # where not one shard was written
    finally:
        os.close(descriptor)


def _lock(descriptor: int, out: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once are the user's own care
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another process is extracting into {out}; wait for it, or name another folder"
        ) from None
    if os.fstat(descriptor).st_nlink == 0:  # the other one finished, and removed it, just now
        raise UsageError(f"another process has just extracted into {out}; run again")
