"""Pictures from outside, admitted by their header before anything is decoded, and turned into features."""

from __future__ import annotations

import io
import threading
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from vasari.core.errors import UsageError
from vasari.features.decode import BadImageError, check_size, quiet_pillow
from vasari.features.extractor import Extractor
from vasari.features.fingerprint import Fingerprint
from vasari.serving.asks import Busy

FloatArray = npt.NDArray[np.float32]

# What cameras and browsers make, and whose header tells the size. Not ICO, which is decoded when opened.
UPLOADS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF", "BMP")
MAX_PIXELS = 50_000_000  # of an uploaded picture, as of the newest telephones: 150 MB of RGB, one at a time
MAX_SCANS = 200  # of a progressive JPEG; cameras and editors write a dozen
WAITING = 16  # pictures that may wait for the one that is looked at


def admit(content: bytes) -> Image.Image:
    """Open an uploaded picture without decoding it.

    Raises
    ------
    BadImageError
        It is no picture of a format that is read, or too large, or takes too long to decode.
    """
    try:
        with quiet_pillow():
            Image.init()
            image = Image.open(io.BytesIO(content), formats=[name for name in UPLOADS if name in Image.OPEN])
    except Image.DecompressionBombError:
        raise BadImageError(f"has more than {MAX_PIXELS} pixels") from None
    except UnidentifiedImageError:
        raise BadImageError("is no picture in a format that is read") from None
    except Exception as error:  # Pillow's plugins raise almost anything for a hostile file
        raise BadImageError(f"cannot be read: {type(error).__name__}") from None
    check_size(image, MAX_PIXELS)
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > MAX_SCANS:
        raise BadImageError(f"has more than {MAX_SCANS} scans")
    return image


def admit_all(contents: Sequence[bytes]) -> tuple[Image.Image, ...]:
    """As `admit`, for the pictures of one request, which together may have twice as many pixels as one."""
    images = tuple(map(admit, contents))
    if (pixels := sum(image.width * image.height for image in images)) > 2 * MAX_PIXELS:
        raise BadImageError(f"and those beside it have {pixels} pixels in all, more than {2 * MAX_PIXELS}")
    return images


class Encoder:
    """The extractor that made the gallery's table, loaded when it is first needed.

    Parameters
    ----------
    fingerprint
        Of the table; None: the gallery has no features.
    """

    def __init__(self, fingerprint: Fingerprint | None) -> None:
        self.fingerprint = fingerprint
        self._extractor: Extractor | None = None
        self._one = threading.Lock()
        self._room = threading.BoundedSemaphore(WAITING)
        self._recent: deque[tuple[weakref.ref[Image.Image], FloatArray]] = deque(maxlen=WAITING)

    def encode(self, images: Sequence[Image.Image]) -> FloatArray:
        """Raw features, shape (len(images), dim), one caller at a time.

        Raises
        ------
        UsageError
            The gallery has no features.
        BadImageError
            A picture cannot be decoded.
        Busy
            Too many pictures wait.
        """
        if self.fingerprint is None:
            raise UsageError("this gallery has no features of pictures, so it cannot look at new ones")
        if not self._room.acquire(blocking=False):
            raise Busy("too many pictures wait to be looked at; ask again in a moment")
        try:
            with self._one:
                if self._extractor is None:
                    self._extractor = Extractor.from_fingerprint(self.fingerprint, device="cpu")
                known = [self._known(image) for image in images]
                new = [image for image, one in zip(images, known, strict=True) if one is None]
                made = iter(self._extractor.encode(new) if new else ())
                vectors = [next(made) if one is None else one for one in known]
                self._recent.extend(zip(map(weakref.ref, images), vectors, strict=True))
                # As a table would have stored them, or a copy of a work would not be where the work is.
                return np.array(vectors, dtype=self.fingerprint.dtype).astype(np.float32)
        finally:
            self._room.release()

    def _known(self, image: Image.Image) -> FloatArray | None:
        """The features of this very object, looked at a moment ago: who hangs a wall then asks why."""
        return next((vector for seen, vector in self._recent if seen() is image), None)
