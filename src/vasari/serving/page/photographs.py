"""A visitor's own picture: checked before it is decoded, used for one answer, kept nowhere."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass

from PIL import Image

from vasari.features.decode import BadImageError
from vasari.serving.encoder import admit
from vasari.serving.page.thumbnails import CARD_SIDE, Size, preview

MOST_BYTES = 12 * 2**20
_one = threading.Lock()  # decoded at a time: each may take some hundred megabytes


@dataclass(frozen=True)
class Photograph:
    """A picture that works shall go with.

    Attributes
    ----------
    image
        For the model.
    uri
        A small copy for the page, as a `data:` address.
    size
        Of the small copy.
    """

    image: Image.Image
    uri: str
    size: Size

    @property
    def ratio(self) -> str:
        """Width over height, for a style."""
        return f"{self.size.ratio:.4f}"


def read_photograph(data: bytes) -> Photograph:
    """Read an uploaded picture.

    Raises
    ------
    BadImageError
        It is too large, or no picture that can be read.
    """
    if len(data) > MOST_BYTES:
        raise BadImageError(f"has {len(data)} bytes, more than {MOST_BYTES}")
    image = admit(data)
    with _one:
        small, size = preview(data, CARD_SIDE)
    return Photograph(image, "data:image/webp;base64," + base64.b64encode(small).decode("ascii"), size)
