"""Pictures in the sizes that a page shows, each made once, when somebody first sees it."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from PIL import ExifTags, Image

from vasari.core.errors import NotFoundError
from vasari.core.files import atomic_path
from vasari.features.decode import (
    FORMATS,
    MAX_PIXELS,
    BadImageError,
    View,
    check_size,
    decode,
    open_regular,
    quiet_pillow,
)
from vasari.features.fingerprint import Preprocessing

Format: TypeAlias = Literal["avif", "webp"]

REVISION = 1  # raise it when the same picture shall be encoded in another way
SIDES = (240, 480, 960, 1600)  # longest side in pixels
CARD_SIDE = SIDES[0]  # of a picture in the strip of chosen works
MAKERS = 2  # pictures made at a time: answers must not wait for them
_SIDEWAYS = range(5, 9)  # EXIF orientations that swap width and height
_TOLD_LATE = frozenset({"TIFF", "AVIF", "HEIF"})  # formats that tell their orientation only once decoded
_ENCODING: dict[Format, dict[str, int]] = {
    # Measured on painted works: AVIF at speed 9 takes as long as WebP by method 4 and is a sixth smaller.
    "avif": {"quality": 60, "speed": 9, "max_threads": 1},
    "webp": {"quality": 80, "method": 4},
}


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def ratio(self) -> float:
        """Width over height."""
        return self.width / self.height

    def within(self, side: int) -> Size:
        """The size at which the longer side is at most `side`; never larger than now."""
        scale = min(1.0, side / max(self))
        return Size(max(1, round(self.width * scale)), max(1, round(self.height * scale)))


class Thumbnails:
    """Smaller copies of pictures, made when first asked for and kept in a folder.

    A copy is named by what it is a copy of (path, size in bytes, time of change), so that a changed
    picture gets new ones, and processes may share the folder: files appear whole or not at all.

    Parameters
    ----------
    folder
        Where copies are kept; may be removed at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._makers = ThreadPoolExecutor(MAKERS, thread_name_prefix="thumbnails")

    def size(self, path: Path | None) -> Size | None:
        """Size of a picture as it is shown upright; None where there is none that can be read."""
        if path is None or (version := _version(path)) is None:
            return None
        return _size(path, version)

    def version(self, path: Path | None) -> str | None:
        """What tells this state of the file from any other; None where there is no file."""
        return None if path is None else _version(path)

    def copy(self, path: Path, side: int, format_: Format) -> Future[Path]:
        """Name the file of a picture's copy with its longer side at most `side`, made now if need be.

        The future ends with `NotFoundError` if the picture cannot be read, with `WriteError` if the folder
        cannot be written.

        Raises
        ------
        NotFoundError
            The picture is gone, or there are no copies of that size and format.
        """
        version = _version(path)
        if version is None or side not in SIDES or format_ not in _ENCODING:
            raise NotFoundError(f"there is no copy of this picture at {side} pixels as {format_[:20]!r}")
        named = hashlib.sha256(f"{REVISION}\0{path}\0{version}".encode()).hexdigest()
        made = self.folder / named[:2] / f"{named[2:34]}-{side}.{format_}"
        if not made.exists():
            return self._makers.submit(_make, path, side, format_, made)
        found: Future[Path] = Future()
        found.set_result(made)
        return found


def preview(picture: bytes, side: int) -> tuple[bytes, Size]:
    """A small WebP of a picture that is kept nowhere, and its size.

    Raises
    ------
    BadImageError
        It cannot be decoded.
    """
    small = _decoded(picture, side)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", **_ENCODING["webp"])
    return buffer.getvalue(), Size(*small.size)


def _make(path: Path, side: int, format_: Format, target: Path) -> Path:
    if not target.exists():  # another request has made it meanwhile
        try:
            small = _decoded(path, side)
        except BadImageError as error:
            raise NotFoundError(f"the picture of this work {error.reason}") from error
        with atomic_path(target) as temporary:
            small.save(temporary, format_.upper(), **_ENCODING[format_])
    return target


def _decoded(source: Path | bytes, side: int) -> Image.Image:
    steps = Preprocessing(side, side, "lanczos", (0.5,) * 3, (0.5,) * 3)
    with quiet_pillow():
        return Image.fromarray(decode(source, [View(steps, "whole")]).pixels[0])


def _version(path: Path) -> str | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


@lru_cache(maxsize=200_000)
def _size(path: Path, version: str) -> Size | None:  # noqa: ARG001  # part of the key
    try:
        with quiet_pillow(), open_regular(path) as stream, Image.open(stream) as image:
            if image.format not in FORMATS:
                return None
            check_size(image, MAX_PIXELS)
            if image.format in _TOLD_LATE:
                image.load()
            sideways = image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
            return Size(image.height, image.width) if sideways else Size(image.width, image.height)
    except Exception:  # Pillow's plugins raise almost anything for a hostile file
        return None
