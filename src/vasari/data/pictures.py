"""Pictures on disk: which files there are, which belongs to which work, which paths are refused."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import NotFoundError

BoolArray = npt.NDArray[np.bool_]

ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".tga", ".ico",
)  # fmt: skip
# Absolute (also for Windows), a drive letter, a step upwards, or a NUL: what could leave the folder.
ESCAPES = r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00"


@dataclass(frozen=True)
class Pictures:
    """The files under an image folder.

    Attributes
    ----------
    names
        Paths of the pictures, relative to the folder, with ``/``, sorted.
    ignored
        Other files: another ending, no regular file, or a name that is no UTF-8 (shown escaped).
    """

    names: list[str]
    ignored: list[str]

    @property
    def stems(self) -> list[str]:
        """The name of every picture without folder and ending."""
        return [PurePosixPath(name).stem for name in self.names]


def existing_folder(root: str | Path) -> Path:
    """Return `root` as a path.

    Raises
    ------
    NotFoundError
        It is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise NotFoundError(f"the image folder {root} does not exist")
    return root


def list_pictures(root: str | Path) -> Pictures:
    """Find all pictures under `root`, by their endings (in any case), in sub-folders too.

    Hidden files and folders (``.DS_Store``, ``.thumbnails``) are passed over. What the files hold is
    looked at when features are extracted, not here.

    Raises
    ------
    NotFoundError
        `root` is no folder.
    """
    root = existing_folder(root)
    names: list[str] = []
    ignored: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in files:
            if file.startswith("."):
                continue
            path = os.path.join(folder, file)
            name = Path(os.path.relpath(path, root)).as_posix()
            ending = os.path.splitext(file)[1].lower()
            if ending in ENDINGS and _is_utf8(name) and _is_regular(path):
                names.append(name)
            else:
                ignored.append(os.fsencode(name).decode("utf-8", "backslashreplace"))
    return Pictures(sorted(names), sorted(ignored))


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_regular(path: str) -> bool:
    # A named pipe with a picture's ending would make its reader wait for ever.
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def escaping(images: pl.Series) -> BoolArray:
    """Flag the paths that could lead out of the image folder, shape (rows,)."""
    return images.str.contains(ESCAPES).fill_null(False).to_numpy()


def inside(images: pl.Series, root: Path | None) -> pl.Series:
    """Make absolute paths that lie under `root` relative to it; leave all others as they are."""
    if root is None:
        return images
    return images.str.strip_prefix(os.path.abspath(root).rstrip(os.sep) + os.sep)


def missing(images: pl.Series, root: Path) -> BoolArray:
    """Flag the named pictures that are no file under `root`, shape (rows,)."""
    folder = str(root)
    found = (name is None or os.path.isfile(os.path.join(folder, name)) for name in images.to_list())
    return ~np.fromiter(found, dtype=bool, count=len(images))
