"""Files that are either whole or absent: write beside, flush to disk, rename.

`os.replace` is atomic only within one file system and durable only once the folder itself has been
flushed, hence the temporary name in the same folder and the fsync of the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vasari.core.errors import CorruptFileError, DataError, NotFoundError

TEMPORARY_SUFFIX = ".tmp"


def fsync_path(path: Path) -> None:
    """Flush one file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}")


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` only if the block ends without error.

    Parameters
    ----------
    path
        Where the finished file shall stand. Its folder is made if absent.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        yield temporary
        fsync_path(temporary)
        os.replace(temporary, target)
        fsync_path(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` only if the block ends without error.

    A folder cannot be replaced in one step where one already stands: the old one is moved aside,
    the new one in, then the old one removed. A kill between the two moves leaves both folders whole
    under names that `recover_folder` understands.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    temporary.mkdir()
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            fsync_path(file)
        fsync_path(temporary)
        aside = target.with_name(f".{target.name}.old")
        if aside.exists():
            shutil.rmtree(aside)
        if target.exists():
            os.replace(target, aside)
        os.replace(temporary, target)
        fsync_path(target.parent)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_folder(path: str | Path) -> Path:
    """Undo a kill between the two moves of `atomic_folder`: put the old folder back if none stands."""
    target = Path(path)
    aside = target.with_name(f".{target.name}.old")
    if not target.exists() and aside.exists():
        os.replace(aside, target)
    return target


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, atomically. NaN and infinities are refused: JSON has none."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read one JSON file.

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        The file is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from None


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` with the SHA-256 of every other file of `folder` (not of sub-folders)."""
    sums = {file.name: sha256_file(file) for file in sorted(folder.iterdir()) if file.is_file()}
    sums.pop("checksums.json", None)
    write_json(folder / "checksums.json", sums)


def verify_checksums(folder: Path) -> None:
    """Compare `folder` with its `checksums.json`.

    Raises
    ------
    CorruptFileError
        A file is missing or differs; the message names it.
    """
    for name, expected in read_json(folder / "checksums.json").items():
        file = folder / name
        if not file.is_file():
            raise CorruptFileError(f"{file} is missing although checksums.json names it")
        if sha256_file(file) != expected:
            raise CorruptFileError(f"{file} differs from its checksum; restore it or make the folder anew")
