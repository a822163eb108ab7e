"""The style gallery of `vasari.testing`, with plainer pictures for networks that learn from pixels."""

import numpy as np
from PIL import Image

from vasari.testing import galleries
from vasari.testing.galleries import DIM, ITEMS, PER_STYLE, STYLES, USERS, style_of, vectors

__all__ = ["DIM", "ITEMS", "PER_STYLE", "STYLES", "USERS", "paint", "style_gallery", "style_of", "vectors"]

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
    """With `folder`, each work that has a vector also has a picture there, of its style's colour."""
    data, table = galleries.style_gallery(without_picture, seed, pictures=folder)
    if folder is not None:
        paint(folder, data.catalogue.ids.rows(list(table.ids)).tolist(), seed=seed)
    return data, table
