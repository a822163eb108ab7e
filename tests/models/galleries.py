"""Small galleries whose right answers are known: styles are clusters in feature space."""

import numpy as np
import polars as pl
from PIL import Image

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions
from vasari.features.table import FeatureTable

STYLES, PER_STYLE, DIM, USERS = 6, 12, 24, 48
ITEMS = STYLES * PER_STYLE


def vectors(seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (STYLES, DIM)) * 3
    return (np.repeat(centres, PER_STYLE, 0) + rng.normal(0, 0.5, (ITEMS, DIM))).astype(np.float32)


def style_of(item_id):
    return int(item_id[1:]) // PER_STYLE


COLOURS = np.array(
    [(220, 40, 40), (40, 200, 60), (50, 70, 220), (230, 220, 50), (20, 20, 20), (200, 60, 200)]
)


def paint(folder, numbers, side=32, seed=0):
    """A picture of its style's colour for every work, with some noise."""
    rng = np.random.default_rng(seed)
    for number in numbers:
        pixels = COLOURS[number // PER_STYLE] + rng.normal(0, 12, (side, side, 3))
        picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        picture.save(folder / f"w{number:03d}.png")


def style_gallery(without_picture=(), seed=0, folder=None):
    """Every user buys from one style only, in two or three baskets; artists are style halves.

    With `folder`, each work that has a vector also has a picture there, of its style's colour.
    """
    rng = np.random.default_rng(seed)
    names = [f"w{n:03d}" for n in range(ITEMS)]
    catalogue = pl.DataFrame(
        {"item_id": names, "artist_id": [f"artist {n // (PER_STYLE // 2)}" for n in range(ITEMS)]}
    )
    kept = [n for n, name in enumerate(names) if name not in without_picture]
    if folder is not None:
        paint(folder, kept, seed=seed)
        catalogue = catalogue.with_columns(
            image=pl.when(pl.col("item_id").is_in(without_picture))
            .then(None)
            .otherwise(pl.col("item_id") + ".png")
        )
    rows = []
    for user in range(USERS):
        style = user % STYLES
        works = rng.permutation(PER_STYLE)[:5] + style * PER_STYLE
        for place, work in enumerate(works):
            rows.append((f"u{user:02d}", names[work], 1_600_000_000 + user * 1000 + (place // 2) * 86_400))
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").with_columns(
        pl.from_epoch("timestamp", time_unit="s").dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    )
    data = Dataset(Catalogue(catalogue, folder), Interactions(log), "style gallery")
    table = FeatureTable.from_arrays([names[n] for n in kept], vectors(seed)[kept], source="test")
    return data, table
