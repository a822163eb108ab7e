"""Small galleries whose right answers are known, with pictures that look as their vectors say.

The style gallery has 6 styles of 12 works, one cluster of vectors each; every collector keeps to one style.
The checkerboard has 4 styles and 4 artists; half of the collectors love the white squares, half the black:

             artist 0   artist 1   artist 2   artist 3
    style 0    white      black      white      black
    style 1    black      white      black      white          and so on

so neither a style nor an artist alone tells what anybody will take; the combination does, and so does what
others took together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.features.table import FeatureTable

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

STYLES, PER_STYLE, DIM, USERS = 6, 12, 24, 48
ITEMS = STYLES * PER_STYLE

SIDE, PER_SQUARE = 4, 4  # the checkerboard: styles and artists, works of one square
BOARD_ITEMS, BOARD_USERS = SIDE * SIDE * PER_SQUARE, 24

FIELD = 12  # pixels along one field of a picture
START, DAY = 1_600_000_000, 86_400  # seconds since 1970, seconds


def vectors(seed: int = 0) -> FloatArray:
    """Vectors of the style gallery, shape (72, 24): centres spread six times as wide as their works."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (STYLES, DIM)) * 3
    return (np.repeat(centres, PER_STYLE, 0) + rng.normal(0, 0.5, (ITEMS, DIM))).astype(np.float32)


def style_of(item_id: str) -> int:
    """Style of a work of the style gallery."""
    return int(item_id[1:]) // PER_STYLE


def style_gallery(
    without_picture: Collection[str] = (),
    seed: int = 0,
    *,
    never_taken: Collection[str] = (),
    originals: Collection[str] = (),
    removed: Collection[str] = (),
    pictures: Path | None = None,
) -> tuple[Dataset, FeatureTable]:
    """Collector n takes five works of style n modulo 6, in three baskets; artists are style halves.

    Parameters
    ----------
    without_picture
        Works (``"w000"`` to ``"w071"``) that have neither vector nor picture.
    seed
        Of the vectors and of what is taken.
    never_taken
        Works that are in nobody's history.
    originals
        Works of which there is one only.
    removed
        Works taken down before the log begins.
    pictures
        Folder to paint the works into, see `paint`; None for no pictures.
    """
    rng = np.random.default_rng(seed)
    names = [f"w{n:03d}" for n in range(ITEMS)]
    log = []
    for user in range(USERS):
        works = rng.permutation(PER_STYLE)[:5] + user % STYLES * PER_STYLE
        for place, work in enumerate(works):
            if names[work] not in never_taken:
                log.append((f"u{user:02d}", names[work], START + user * 1000 + (place // 2) * DAY))
    catalogue = pl.DataFrame(
        {
            "item_id": names,
            "artist_id": [f"artist {n // (PER_STYLE // 2)}" for n in range(ITEMS)],
            "removed_at": _times([START - DAY if name in removed else None for name in names]),
            "original": [name in originals for name in names],
        }
    )
    return _gallery("style gallery", catalogue, log, vectors(seed), without_picture, pictures)


def checkerboard(seed: int = 0, *, pictures: Path | None = None) -> tuple[Dataset, FeatureTable]:
    """Collector n takes half of the works of every square of colour n modulo 2; see the module.

    What is right for a collector are the works of that colour that are not yet taken: `board_colour`
    of the work is that of the collector. `pictures` is as for `style_gallery`.
    """
    rng = np.random.default_rng(seed)
    names = [f"b{n:03d}" for n in range(BOARD_ITEMS)]
    squares = np.arange(BOARD_ITEMS) // PER_SQUARE
    styles, artists = squares // SIDE, squares % SIDE
    # Half of the dimensions tell the style, half the artist.
    centres = rng.normal(0, 1, (2, SIDE, DIM // 2)) * 3
    matrix = np.concatenate([centres[0][styles], centres[1][artists]], axis=1)
    matrix = (matrix + rng.normal(0, 0.5, matrix.shape)).astype(np.float32)
    log = []
    for user in range(BOARD_USERS):
        own = np.flatnonzero((styles + artists) % 2 == user % 2).reshape(-1, PER_SQUARE)
        taken = rng.permutation(rng.permuted(own, axis=1)[:, : PER_SQUARE // 2].reshape(-1))
        for place, work in enumerate(taken):
            log.append((f"u{user:02d}", names[work], START + user * 1000 + (place // 4) * DAY))
    catalogue = pl.DataFrame({"item_id": names, "artist_id": [f"artist {artist}" for artist in artists]})
    return _gallery("checkerboard", catalogue, log, matrix, (), pictures)


def board_colour(item_id: str) -> int:
    """Colour of a checkerboard work's square: 0 white, 1 black."""
    style, artist = divmod(int(item_id[1:]) // PER_SQUARE, SIDE)
    return (style + artist) % 2


def paint(matrix: FloatArray, names: Sequence[str], folder: Path) -> None:
    """Paint every vector of 24 numbers as eight fields of colour, 48 x 24 pixels, ``NAME.png``.

    The average colours of the fields are the vector again, on a scale of 16 steps of colour to one, so
    near vectors are near pictures.
    """
    from PIL import Image

    colours = np.clip(np.rint(128 + 16 * matrix), 0, 255).astype(np.uint8)
    for name, fields in zip(names, colours.reshape(-1, 4, 2, 3), strict=True):
        pixels = fields.repeat(FIELD, axis=0).repeat(FIELD, axis=1)  # (48, 24, 3)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def _gallery(
    name: str,
    catalogue: pl.DataFrame,
    log: list[tuple[str, str, int]],
    matrix: FloatArray,
    without_picture: Collection[str],
    pictures: Path | None,
) -> tuple[Dataset, FeatureTable]:
    names = catalogue["item_id"].to_list()
    kept = [row for row, item in enumerate(names) if item not in without_picture]
    seen = [names[row] for row in kept]
    if pictures is not None:
        paint(matrix[kept], seen, pictures)
        files = [None if item in without_picture else f"{item}.png" for item in names]
        catalogue = catalogue.with_columns(image=pl.Series(files, dtype=pl.String))
    users, items, seconds = zip(*log, strict=True)
    interactions = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": _times(seconds)})
    data = Dataset(Catalogue(catalogue, pictures), Interactions(interactions), name)
    return data, FeatureTable.from_arrays(seen, matrix[kept], source=f"colours of the {name}")


def _times(seconds: Sequence[int | None]) -> pl.Series:
    """Seconds since 1970 as Datetime[us, UTC]."""
    numbers = pl.Series(seconds, dtype=pl.Int64)
    return (numbers * 1_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
