"""Plain tables: catalogue and interactions as CSV or Parquet, and a folder of images."""

from __future__ import annotations

from pathlib import Path

from vasari.core.errors import NotFoundError
from vasari.data.admit_catalogue import admit_catalogue, catalogue_of_pictures
from vasari.data.admit_log import admit_interactions
from vasari.data.door import Door
from vasari.data.formats.base import Imported, Options, find_table, finish, image_folder, read_tables
from vasari.data.interactions import Interactions

CATALOGUE_NAMES = ("catalogue", "catalog", "items", "artworks")
LOG_NAMES = ("interactions", "purchases", "events")


def read_plain(source: Path, options: Options) -> Imported:
    """Read ``catalogue.csv`` (or items), ``interactions.csv`` (or purchases, events) and ``images/``.

    Without a catalogue the pictures are the catalogue, item_id being the file's stem. Without
    interactions the log is empty: collectors can be simulated on it.

    Raises
    ------
    NotFoundError
        There is neither a catalogue nor a picture.
    DataError
        The data is refused; see `vasari.data.door`.
    """
    door = Door(options.policy)
    paths = {
        "catalogue": find_table(source, *CATALOGUE_NAMES),
        "interactions": find_table(source, *LOG_NAMES),
    }
    tables = read_tables(paths, options)
    root = image_folder(source, options)
    if "catalogue" in tables:
        if root is None and "image" in tables["catalogue"].columns:
            root = source
        catalogue = admit_catalogue(door, tables["catalogue"], root)
    else:
        if root is None and "interactions" in tables:
            raise NotFoundError(
                f"{source} has neither a catalogue ({', '.join(f'{n}.csv' for n in CATALOGUE_NAMES)}) nor a "
                f"folder images; name one with --images"
            )
        catalogue = catalogue_of_pictures(door, root or source)
    if "interactions" in tables:
        log = admit_interactions(door, tables["interactions"], catalogue)
    else:
        log = Interactions.empty()
        door.fact("interactions", "none; collectors can be simulated on this catalogue")
    return finish(door, source, options, catalogue, log)
