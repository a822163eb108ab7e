"""From a picture file to the pixels that networks and formulas see, whatever the file holds.

Every defect of a file ends as one `BadImageError` with a reason; nothing else is ever raised for it.

Conventions: EXIF orientation is applied. Transparent pictures are laid on white, and the whole-picture
mode pads with white. 16-bit and float greyscale is scaled to 8 bits, not clipped. Of an animation or a
multi-page file the first frame counts. Colour profiles (ICC) are ignored, as they were when the
backbones were trained; CMYK is converted by its plain definition.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from vasari.core.errors import DataError
from vasari.features.fingerprint import Preprocessing

Pixels: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = "Path | str | bytes | Image.Image"

# Raster formats with a signature. Not the others Pillow knows: EPS starts Ghostscript, TGA and the like
# are guessed, and many are decoded by code that is seldom looked at. AVIF, HEIF where Pillow has them.
FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "GIF",
    "WEBP",
    "AVIF",
    "HEIF",
    "TIFF",
    "BMP",
    "DIB",
    "PPM",
    "JPEG2000",
    "ICO",
)
MAX_PIXELS = 178_956_970  # where Pillow itself refuses: 512 MiB of RGB
MAX_SIDE = 65_535  # pixels, as in JPEG: to shrink a thread of millions takes gigabytes
MAX_BYTES = 2**31
BACKGROUND = (255, 255, 255)

# Only one picture above this size is decoded at a time, so that memory does not grow with the workers.
_LARGE_PIXELS = 2**25
_large = threading.Lock()

_NEAR = 4.0  # two stops above white is still a bright picture in that range, not a dark one in the next

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImageError(DataError):
    """A picture cannot be used; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class View(NamedTuple):
    """A way of looking at a picture.

    Attributes
    ----------
    steps
        Size and filter.
    mode
        "crop": the central square. "pad": the whole picture, padded with white to a square. "whole": the
        whole picture in its own shape, its longer side at most `steps.size`; a smaller one stays as it is.
    """

    steps: Preprocessing
    mode: str


@dataclass(frozen=True)
class Decoded:
    """A picture as a network or a formula sees it.

    Attributes
    ----------
    pixels
        One array for each view, uint8, RGB: shape (size, size, 3), in mode "whole" (height, width, 3).
    animated
        Whether the file has more frames or pages than the one used.
    """

    pixels: tuple[Pixels, ...]
    animated: bool


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about odd files while the block runs: their size is checked here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
        yield


@contextlib.contextmanager
def open_regular(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a picture file for reading.

    Raises
    ------
    BadImageError
        It is absent, unreadable, empty, too large, or no regular file.
    """
    try:
        mode = os.stat(path).st_mode
        # A named pipe is not opened: that would wait for its writer.
        stream = open(path, "rb") if stat.S_ISREG(mode) else None  # noqa: SIM115  # closed below
    except FileNotFoundError:
        raise BadImageError("the file does not exist") from None
    except (OSError, ValueError) as error:
        raise BadImageError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    if stream is None:
        raise BadImageError("is a folder" if stat.S_ISDIR(mode) else "is no regular file")
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if size == 0:
            raise BadImageError("the file is empty")
        if size > MAX_BYTES:
            raise BadImageError(f"the file has {size} bytes, more than {MAX_BYTES}")
        yield stream


def check_size(image: Image.Image, most: int) -> None:
    """Refuse a picture, opened but not decoded, that is too large to be.

    Parameters
    ----------
    most
        Pixels that it may have.

    Raises
    ------
    BadImageError
        It has more, or a side of none or of more than `MAX_SIDE`.
    """
    width, height = image.size
    if width * height > most:
        raise BadImageError(f"has {width} x {height} pixels, more than {most}")
    if not 1 <= min(width, height) <= max(width, height) <= MAX_SIDE:
        raise BadImageError(f"has {width} x {height} pixels; a side must have 1 to {MAX_SIDE}")


def _hash(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    try:
        while block := stream.read(1 << 20):
            digest.update(block)
    except OSError as error:
        raise BadImageError(f"cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()


def content_hash(path: str | Path) -> str:
    """Hex SHA-256 of a picture file.

    Raises
    ------
    BadImageError
        As `open_regular`.
    """
    with open_regular(path) as stream:
        return _hash(stream)


def decode(source: Source, views: Sequence[View], expect: str | None = None) -> Decoded:
    """Decode one picture, once for all views.

    Parameters
    ----------
    source
        A path, the bytes of a file, or a Pillow image.
    views
        At least one.
    expect
        Content hash that a file must still have.

    Raises
    ------
    BadImageError
        It cannot be used; nothing else is raised because of what a file holds.
    """
    if isinstance(source, Image.Image):
        return _guarded(source, views)
    if isinstance(source, bytes):
        return _decode_stream(io.BytesIO(source), views)
    with open_regular(source) as stream:
        if expect is not None:
            if _hash(stream) != expect:
                raise BadImageError("the file changed while it was being read; extract again")
            stream.seek(0)
        return _decode_stream(stream, views)


def _decode_stream(stream: IO[bytes], views: Sequence[View]) -> Decoded:
    try:
        image = Image.open(stream, formats=_formats())
    except UnidentifiedImageError:
        raise BadImageError(
            "is no picture in a format that is read (" + ", ".join(_formats()) + ")"
        ) from None
    except Exception as error:
        raise BadImageError(_reason(error)) from error
    with image:
        return _guarded(image, views)


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _reason(error: Exception) -> str:
    # Pillow's plugins raise almost anything for a hostile file: SyntaxError, struct.error, IndexError ...
    text = " ".join(str(error).split())[:200]
    return f"cannot be decoded: {type(error).__name__}" + (f": {text}" if text else "")


def _guarded(image: Image.Image, views: Sequence[View]) -> Decoded:
    check_size(image, MAX_PIXELS)
    gate = _large if image.width * image.height > _LARGE_PIXELS else contextlib.nullcontext()
    try:
        with gate:
            animated = _has_more_frames(image)
            return Decoded(_pixels(image, views), animated)
    except BadImageError:
        raise
    except Exception as error:
        raise BadImageError(_reason(error)) from error


def _has_more_frames(image: Image.Image) -> bool:
    # Looking for a second frame reads on in the file; a defect there does not harm the first one.
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:
        return False


def _pixels(image: Image.Image, views: Sequence[View]) -> tuple[Pixels, ...]:
    # JPEG can be decoded at 1/2, 1/4 or 1/8 for a fraction of the time. Twice the wanted size leaves the
    # resampling below enough to work on. Other formats ignore the hint, and so does a loaded image.
    width, height = image.size
    wanted = max(_enough(width, height, view) for view in views)
    image.draft(None, (max(1, round(wanted * width)), max(1, round(wanted * height))))
    image.load()
    picture = to_rgb(image)
    # After load(): TIFF and AVIF files tell their orientation, or apply it themselves, only then.
    if (turn := _UPRIGHT.get(_orientation(image))) is not None:
        picture = picture.transpose(turn)
    return tuple(np.asarray(_fit(picture, view.steps, view.mode)) for view in views)


def _enough(width: int, height: int, view: View) -> float:
    """Twice the scale at which a view needs the picture."""
    if view.mode == "pad":
        return 2 * view.steps.size / max(width, height)
    # The whole picture would do with less; but asked for as much as the usual network needs, it has the
    # same pixels beside such a network as alone.
    return 2 * view.steps.resize / min(width, height)


def _orientation(image: Image.Image) -> int:
    # A picture with damaged metadata is still a picture.
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode of Pillow's to 8-bit RGB, laid on white where it is transparent."""
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return _grey(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        picture = Image.new("RGB", image.size, BACKGROUND)
        picture.paste(rgba, mask=rgba.getchannel("A"))
        return picture
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    # White is 65535 in 16 bits. Wider modes do not say what white is: the smallest usual value that
    # 99 in 100 pixels stay near, or, if they exceed it, what they stay below. The brightest pixel alone
    # tells nothing: highlights lie above white, and sharpening leaves overshoots.
    values = np.array(image, dtype=np.float32)  # (height, width)
    if not np.isfinite(values).all():
        raise BadImageError("holds pixels that are not finite")
    sample = values.ravel()[:: 1 + values.size // 1_000_000]
    bright = float(np.quantile(sample, 0.99, method="higher"))
    usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
    white = max(bright, next((level for level in usual if bright <= _NEAR * level), bright))
    values *= 255.0 / white
    np.clip(np.rint(values, out=values), 0.0, 255.0, out=values)
    return Image.fromarray(values.astype(np.uint8))


def _fit(picture: Image.Image, steps: Preprocessing, mode: str) -> Image.Image:
    width, height = picture.size
    size, filter_ = steps.size, Image.Resampling[steps.interpolation.upper()]
    if mode == "crop":
        # Resizing the shorter side to `resize` and cutting out the centre, in one step: a strip of
        # 1 x 20000 pixels would otherwise be blown up to gigabytes first.
        side = min(width, height) * size / steps.resize
        left, top = (width - side) / 2, (height - side) / 2
        return picture.resize((size, size), filter_, box=(left, top, left + side, top + side))
    scale = size / max(width, height)
    if mode == "whole":
        scale = min(scale, 1.0)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = picture.resize(inner, filter_)
    if mode == "whole":
        return picture
    canvas = Image.new("RGB", (size, size), BACKGROUND)
    canvas.paste(picture, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas
