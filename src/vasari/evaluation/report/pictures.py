"""Thumbnails inside the report: every picture once, in the style sheet, however often it is shown.

A picture becomes one CSS class with a `data:` background. An `<img>` would need its bytes again at every
place, and the same works appear as history, recommendation, truth, cluster and triple. Elements that show
a class carry `role="img"` and a label, so nothing is lost to those who cannot see them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from vasari.core.seeds import generator

if TYPE_CHECKING:
    from PIL import Image

    from vasari.data.catalogue import Catalogue

# Longest side in pixels and WebP quality, best first; the first that fits the budget is taken.
LEVELS = ((168, 74), (144, 70), (120, 66), (96, 60), (72, 52))
BUDGET = 4_500_000  # bytes of base64 for all thumbnails together
PROBE = 32  # pictures encoded to estimate what all will need


@dataclass(frozen=True)
class Work:
    """What the report says of one artwork.

    Attributes
    ----------
    row
        Its row in the catalogue.
    title
        Its title, or its id where it has none.
    artist
        Its artist's id, or None.
    """

    row: int
    title: str
    artist: str | None

    @property
    def label(self) -> str:
        """Title and artist in one line."""
        return f"{self.title}, by {self.artist}" if self.artist else self.title


@dataclass(frozen=True)
class Thumbnail:
    """One encoded picture: its bytes and its shape in pixels."""

    data: bytes
    width: int
    height: int

    @property
    def ratio(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def uri(self) -> str:
        """The picture as a `data:` address."""
        return "data:image/webp;base64," + base64.b64encode(self.data).decode("ascii")


def describe(catalogue: Catalogue) -> list[Work]:
    """Title and artist of every work, in catalogue order."""
    frame = catalogue.frame
    ids = list(catalogue.ids)
    titles: Sequence[object] = frame["title"].to_list() if "title" in frame.columns else [None] * len(ids)
    artists: Sequence[object] = (
        frame["artist_id"].to_list() if "artist_id" in frame.columns else [None] * len(ids)
    )
    return [
        Work(row, str(title).strip() or item if title is not None else item, None if a is None else str(a))
        for row, (item, title, a) in enumerate(zip(ids, titles, artists, strict=True))
    ]


def encode(image: Image.Image, side: int, quality: int) -> Thumbnail:
    """Shrink a picture to at most `side` pixels and encode it as WebP, on white where transparent."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    if "A" in image.getbands() or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", quality=quality, method=4)
    return Thumbnail(buffer.getvalue(), image.width, image.height)


def thumbnail(path: Path | None, side: int, quality: int) -> Thumbnail | None:
    """Encode one file; None where there is no picture or it cannot be read.

    The report is no place to stop for a broken file: extraction has named it in its quarantine, here
    its title stands in its place.
    """
    from PIL import Image

    if path is None:
        return None
    try:
        with Image.open(path) as image:
            image.draft("RGB", (side * 2, side * 2))
            return encode(image, side, quality)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, Image.DecompressionBombError):
        return None


def thumbnails(catalogue: Catalogue, rows: Iterable[int], budget: int = BUDGET) -> dict[int, Thumbnail]:
    """Encode the pictures of `rows`, each once, small enough that all fit `budget` bytes of base64.

    Rows without a readable picture are absent from the result.
    """
    wanted = sorted(set(rows))
    paths = catalogue.images()
    probe = generator(0, "report thumbnails").permutation(wanted)[:PROBE].tolist()
    with ThreadPoolExecutor() as pool:

        def made(some: list[int], side: int, quality: int) -> dict[int, Thumbnail]:
            done = pool.map(thumbnail, (paths[r] for r in some), repeat(side), repeat(quality))
            return {row: one for row, one in zip(some, done, strict=True) if one is not None}

        for side, quality in LEVELS:
            size = sum(len(one.data) for one in made(probe, side, quality).values())
            if size * len(wanted) * 4 / 3 <= budget * len(probe):
                break
        return made(wanted, side, quality)
