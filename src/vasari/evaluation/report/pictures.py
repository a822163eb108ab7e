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
    from vasari.data.catalogue import Catalogue

# Longest side in pixels and WebP quality, best first; the first that fits the budget is taken.
LEVELS = ((168, 74), (144, 70), (120, 66), (96, 60), (72, 52))
BUDGET = 4_500_000  # bytes of base64 for all thumbnails together
WORKERS = 4  # threads; a huge picture takes half a gigabyte while it is decoded
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


class Works:
    """Looks works of a catalogue up by row; nothing is copied, for a catalogue may hold a million."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.images = catalogue.images()

    def __len__(self) -> int:
        return len(self.catalogue)

    def __getitem__(self, row: int) -> Work:
        title, artist = self._value("title", row), self._value("artist_id", row)
        return Work(row, (title or "").strip() or self.catalogue.ids[row], artist)

    def take(self, rows: Iterable[int]) -> list[Work]:
        """Several works, in the given order."""
        return [self[row] for row in rows]

    def _value(self, column: str, row: int) -> str | None:
        frame = self.catalogue.frame
        value: str | None = frame[column][row] if column in frame.columns else None
        return value


def thumbnail(path: Path | None, side: int, quality: int) -> Thumbnail | None:
    """Encode one file at no more than `side` pixels; None where there is no picture or it cannot be read.

    The report is no place to stop for a broken file: extraction has named it in its quarantine, here
    its title stands in its place.
    """
    from PIL import Image, ImageOps

    from vasari.features.decode import FORMATS, MAX_PIXELS, check_size, open_regular, to_rgb

    if path is None:
        return None
    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            if image.format not in FORMATS:
                return None
            check_size(image, MAX_PIXELS)
            image.draft("RGB", (side * 2, side * 2))
            picture = to_rgb(ImageOps.exif_transpose(image))
    except Exception:  # Pillow's plugins raise almost anything for a hostile file
        return None
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return Thumbnail(buffer.getvalue(), picture.width, picture.height)


def thumbnails(
    paths: Sequence[Path | None], rows: Iterable[int], budget: int = BUDGET
) -> dict[int, Thumbnail]:
    """Encode the pictures of `rows`, each once, small enough that all fit `budget` bytes of base64.

    Rows without a readable picture are absent from the result.
    """
    from vasari.features.decode import quiet_pillow

    wanted = sorted(set(rows))
    probe = generator(0, "report thumbnails").permutation(wanted)[:PROBE].tolist()
    with ThreadPoolExecutor(WORKERS) as pool, quiet_pillow():

        def made(some: list[int], side: int, quality: int) -> dict[int, Thumbnail]:
            done = pool.map(thumbnail, (paths[r] for r in some), repeat(side), repeat(quality))
            return {row: one for row, one in zip(some, done, strict=True) if one is not None}

        for side, quality in LEVELS:
            size = sum(len(one.data) for one in made(probe, side, quality).values())
            if size * len(wanted) * 4 / 3 <= budget * len(probe):
                break
        return made(wanted, side, quality)
