"""Readers of foreign formats, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vasari.core.errors import NotFoundError, UsageError
from vasari.data.door import Policy
from vasari.data.formats.base import Imported, Options
from vasari.data.formats.movielens import read_movielens
from vasari.data.formats.plain import read_plain
from vasari.data.formats.ugallery import read_ugallery
from vasari.data.formats.ugallery_tutorial import read_ugallery_tutorial
from vasari.data.formats.wikimedia import read_wikimedia

__all__ = [
    "FORMATS",
    "Imported",
    "Options",
    "read",
    "read_movielens",
    "read_plain",
    "read_ugallery",
    "read_ugallery_tutorial",
    "read_wikimedia",
]

FORMATS: Mapping[str, Callable[[Path, Options], Imported]] = {
    "plain": read_plain,
    "ugallery": read_ugallery,
    "ugallery-tutorial": read_ugallery_tutorial,
    "wikimedia": read_wikimedia,
    "movielens": read_movielens,
}


def read(
    source: str | Path,
    format: str = "plain",
    *,
    mapping: Mapping[str, str] | None = None,
    images: str | Path | None = None,
    threshold: float = 4.0,
    on_unknown: str = "raise",
    on_duplicate: str = "keep",
    on_bad_row: str = "raise",
    name: str | None = None,
) -> Imported:
    """Read a foreign dataset.

    Parameters
    ----------
    source
        The folder that holds it.
    format
        A key of `FORMATS`.
    mapping
        From our column names to theirs, ``{"item_id": "artwork_id"}``; a key may begin with
        ``catalogue.`` or ``interactions.`` to mean one table alone.
    images
        The image folder; ``images`` in the source by default.
    threshold
        The lowest rating that is a positive (movielens only).
    on_unknown, on_duplicate, on_bad_row
        See `vasari.data.door.Policy`.
    name
        The dataset's name; the folder's by default.

    Raises
    ------
    UsageError
        There is no such format.
    NotFoundError
        A file or folder is missing.
    DataError
        The data is refused. A `vasari.data.door.DoorError` carries the whole report.
    """
    source = Path(source)
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}; the formats are {', '.join(FORMATS)}")
    if not source.is_dir():
        raise NotFoundError(f"the source {source} is no folder; name the folder that holds the tables")
    policy = Policy.of(on_unknown, on_duplicate, on_bad_row)
    root = None if images is None else Path(images)
    return FORMATS[format](source, Options(mapping or {}, root, threshold, policy, name))
