"""Files that are either whole or absent: write beside, flush to disk, rename.

`os.replace` is atomic only within one file system and durable only once the folder itself has been
flushed, hence the temporary name in the same folder and the fsync of the folder. Temporary names carry
host and process, so that what a killed process left behind is recognised and removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError, WriteError

TEMPORARY_SUFFIX = ".tmp"  # unfinished, or about to be deleted
OLD_SUFFIX = ".old"  # whole, moved aside for its successor
CHECKSUMS = "checksums.json"

_HARMLESS = {CHECKSUMS, ".DS_Store", "Thumbs.db"}  # what file managers strew may be lost

_HOST = re.sub(r"[^A-Za-z0-9]", "", platform.node())[:16] or "host"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_HIDDEN = re.compile(r"\..+\.([A-Za-z0-9]+)-(\d+)-[0-9a-f]{32}(\.tmp|\.old)")


def fsync_path(path: Path) -> None:
    """Flush one file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some network file systems flush no folders
            raise
    finally:
        os.close(descriptor)


def _stem(name: str) -> str:
    """What hidden names beside `name` begin with; names near the limit of 255 bytes are abbreviated."""
    if len(os.fsencode(name)) > 180:
        name = f"{name[:24]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return f".{name}."


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{_stem(path.name)}{_HOST}-{os.getpid()}-{uuid.uuid4().hex}{suffix}")


@contextlib.contextmanager
def _explaining(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn what the system says about writing into a sentence with a cure.

    With `temporary`, only errors that are certainly about writing there: a block may fail otherwise too.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        about_us = temporary is None or str(temporary) in str(error.filename)
        if error.errno in _NO_ROOM:
            cure = f"no room is left on the disk of {target.parent}; free some, or write to another disk"
        elif error.errno in _NOT_ALLOWED and about_us:
            cure = f"{target.parent} is not writable; choose another place, or change its permissions"
        elif isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError) and about_us:
            cure = f"{error.filename} is in the way: a file where a folder is needed, or the reverse"
        elif about_us:
            cure = f"{error.strerror or error}; choose another place"
        else:
            raise
        raise WriteError(f"cannot write {target}: {cure} (what stood there before is unchanged)") from error


def _ready(path: str | Path) -> Path:
    """Resolve links, so that what one points at is replaced and not the link; make the folder around."""
    target = Path(os.path.realpath(path))
    with _explaining(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _default_mode(target: Path) -> int:
    """Permissions of a new file: some writers (safetensors) let nobody but the owner read what they wrote."""
    probe = _beside(target, TEMPORARY_SUFFIX)
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    return mode


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` only if the block ends without error.

    A file that is replaced keeps its permissions. Of several processes that write one path at the same
    time, the last to finish wins.

    Parameters
    ----------
    path
        Where the finished file shall stand. Its folder is made if absent.

    Raises
    ------
    WriteError
        The place cannot be written, or the disk is full.
    UsageError
        `path` is a folder.
    """
    target = _ready(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file to write")
    temporary = _beside(target, TEMPORARY_SUFFIX)
    try:
        with _explaining(target, temporary):
            yield temporary
        with _explaining(target):
            if target.exists():
                shutil.copymode(target, temporary)
            else:
                temporary.chmod(_default_mode(target))
            fsync_path(temporary)
            os.replace(temporary, target)
            fsync_path(target.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` only if the block ends without error.

    A folder cannot be replaced in one step where one already stands: the old one is moved aside,
    the new one in, then the old one removed. A kill between the two moves leaves both folders whole
    under names that `recover_folder` understands; readers call it first. Several processes may write
    one path at the same time: each folder stays whole, the last to finish wins.

    The finished folder holds `checksums.json` (see `write_checksums`). It tells later runs which files
    are ours: a folder with any other file in it is never replaced.

    Raises
    ------
    WriteError
        The place cannot be written, or the disk is full.
    UsageError
        `path` is a file, or a folder that holds files that were not written here.
    """
    target = _ready(path)
    with _explaining(target):
        recover_folder(target)
        refuse_foreign(target)
        remove_leftovers(target.parent)
        temporary = _beside(target, TEMPORARY_SUFFIX)
        temporary.mkdir()
    try:
        with _explaining(target, temporary):
            yield temporary
        with _explaining(target):
            write_checksums(temporary)
            mode = _default_mode(target)
            for file in sorted(temporary.rglob("*")):
                file.chmod(stat.S_IMODE(file.stat().st_mode) | mode)
                fsync_path(file)
            fsync_path(temporary)
            _swap(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_foreign(target: Path) -> None:
    """Raise unless everything under `target` is named in its checksums: only what we wrote may be deleted.

    `atomic_folder` does this by itself; long work does it before it begins.

    Raises
    ------
    UsageError
        `target` is a file, or a folder that holds files that were not written here.
    """
    while True:
        try:
            before = target.stat()
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(before.st_mode):
            raise UsageError(f"{target} is a file; name a folder to write")
        try:
            foreign = _foreign(target)
            after = target.stat()
        except (FileNotFoundError, NotFoundError):
            continue
        # Another writer may have put its folder in the place of this one: then what was seen is of both.
        if (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns):
            break
    if foreign is not None:
        raise UsageError(
            f"{target} holds {foreign}, which would be lost; name another folder, or move that file away"
        )


def _foreign(folder: Path) -> str | None:
    """Some file under `folder` that its checksums do not name, None if there is none."""
    ours = read_checksums(folder) if (folder / CHECKSUMS).is_file() else {}
    for file in folder.rglob("*"):
        name = file.relative_to(folder).as_posix()
        if name not in ours and file.name not in _HARMLESS and not file.is_dir():
            return name
    return None


def _swap(temporary: Path, target: Path) -> None:
    """Put `temporary` where `target` stands, however many others do the same; remove what it replaces."""
    aside = _beside(target, OLD_SUFFIX)
    with contextlib.suppress(FileNotFoundError):
        shutil.copymode(target, temporary)
    try:
        while True:
            try:
                os.rename(temporary, target)  # succeeds only where nothing, or an empty folder, stands
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            _discard(aside)  # set in an earlier turn, when another writer came between the two moves
            with contextlib.suppress(FileNotFoundError):
                os.rename(target, aside)
    except BaseException:
        with contextlib.suppress(OSError):
            os.rename(aside, target)
        raise
    fsync_path(target.parent)
    _discard(aside)


def _discard(aside: Path) -> None:
    """Delete a folder; renamed first, since `recover_folder` takes an `.old` folder for whole."""
    doomed = aside.with_suffix(TEMPORARY_SUFFIX)
    with contextlib.suppress(FileNotFoundError):
        os.rename(aside, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def recover_folder(path: str | Path) -> Path:
    """Undo a kill between the two moves of `atomic_folder`: put the old folder back if none stands."""
    target = Path(os.path.realpath(path))
    if target.exists() or not target.parent.is_dir():
        return Path(path)
    stem = _stem(target.name)
    asides = [
        Path(entry.path)
        for entry in os.scandir(target.parent)
        if entry.name.startswith(stem) and _maker(entry.name, OLD_SUFFIX)
    ]
    if asides:
        with contextlib.suppress(OSError):  # another process may have put it, or its successor, in place
            newest = max(asides, key=lambda aside: aside.stat().st_ctime_ns)  # a rename sets the change time
            os.rename(newest, target)
    return Path(path)


def _maker(name: str, suffix: str) -> tuple[str, int] | None:
    """Host and process that made a hidden name, or None if it is none of ours."""
    match = _HIDDEN.fullmatch(name) if name.endswith(suffix) else None
    return (match[1], int(match[2])) if match else None


def remove_leftovers(folder: str | Path) -> None:
    """Delete what processes of this machine left unfinished in `folder` when they were killed."""
    for entry in list(os.scandir(folder)):
        maker = _maker(entry.name, TEMPORARY_SUFFIX)
        if maker is None or maker[0] != _HOST or _alive(maker[1]):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(entry.path)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it exists, and is somebody else's
        return True
    return True


@contextlib.contextmanager
def exclusive(folder: str | Path) -> Iterator[None]:
    """Hold a folder alone while the block runs, for work that leaves files in it bit by bit.

    The system lets go of it when the process ends, however it ends. Where the file system knows no
    locks, nothing is held.

    Raises
    ------
    UsageError
        Another process, or another thread of this one, holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another process is at work in {folder}; wait until it is done, or name another place"
            ) from None
        except OSError:
            pass  # no locks here
        yield
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, atomically. NaN and infinities are refused: JSON has none."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read one JSON file, with or without a byte order mark.

    Raises
    ------
    NotFoundError
        No such file.
    DataError
        The file is not JSON; NaN and infinities are not.
    """
    path = Path(path)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON value")

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=refuse)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a JSON file") from None
    except PermissionError:
        raise DataError(f"{path} may not be read; change its permissions") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from None


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    room = memoryview(bytearray(1 << 20))
    with open(path, "rb", buffering=0) as stream:
        while read := stream.readinto(room):
            digest.update(room[:read])
    return digest.hexdigest()


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` with the SHA-256 of every other file under `folder`, by relative path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    sums = {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}
    sums.pop(CHECKSUMS, None)
    write_json(folder / CHECKSUMS, sums)


def read_checksums(folder: Path) -> dict[str, str]:
    """Read `checksums.json` of `folder`: relative path to hex SHA-256.

    Raises
    ------
    NotFoundError
        There is none.
    CorruptFileError
        It is not what `write_checksums` writes.
    """
    file = folder / CHECKSUMS
    try:
        sums = read_json(file)
    except DataError as error:
        raise CorruptFileError(f"{error}; restore it or make the folder anew") from None
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise CorruptFileError(f"{file} is not a table of checksums; restore it or make the folder anew")
    return sums


def verify_checksums(folder: Path) -> None:
    """Compare `folder` with its `checksums.json`.

    Raises
    ------
    NotFoundError
        There is no `checksums.json`.
    CorruptFileError
        A file is missing or differs; the message names it.
    """
    for name, expected in read_checksums(folder).items():
        file = folder / name
        if not file.is_file():
            raise CorruptFileError(f"{file} is missing although {CHECKSUMS} names it")
        if sha256_file(file) != expected:
            raise CorruptFileError(f"{file} differs from its checksum; restore it or make the folder anew")
