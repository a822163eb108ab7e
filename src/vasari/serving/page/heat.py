"""Where a model looked in a picture, as a shade over it: what it looked at stays bright."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vasari.serving.asks import HeatMap
from vasari.serving.page.thumbnails import Size

DARKEST = 150  # of 255: the shade over what the model passed over


@dataclass(frozen=True)
class Heat:
    """A shade for one picture.

    Attributes
    ----------
    uri
        The shade as a `data:` address, one pixel for every position; browsers smooth it.
    style
        Where it lies on the picture, for a style.
    darkest
        Opacity of what the model did not see at all, 0 to 1.
    """

    uri: str
    style: str
    darkest: float = DARKEST / 255

    @classmethod
    def of(cls, seen: HeatMap, size: Size) -> Heat:
        """Shade a picture of a size."""
        weights = np.asarray(seen.rows)
        shade = np.zeros((*weights.shape, 2), np.uint8)  # grey, opacity
        shade[..., 1] = np.rint(DARKEST * (1 - weights / weights.max()))
        buffer = io.BytesIO()
        Image.fromarray(shade, "LA").save(buffer, "PNG", optimize=True)
        side = (max(size) if seen.padded else min(size)) * seen.cover
        style = f"width:{100 * side / size.width:.2f}%;height:{100 * side / size.height:.2f}%"
        return cls("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"), style)
