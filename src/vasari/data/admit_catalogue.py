"""A foreign table or a folder of pictures becomes a catalogue."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from vasari.core.errors import DataError
from vasari.data.catalogue import Catalogue
from vasari.data.columns import id_text
from vasari.data.door import Door
from vasari.data.pictures import escaping, inside, list_pictures, missing
from vasari.data.sieve import FIX, Sieve
from vasari.data.tables import LINE, Table

STEM = r"([^/\\]+?)(?:\.[^./\\]*)?$"


def admit_catalogue(door: Door, table: Table, image_root: Path | None) -> Catalogue:
    """Check a catalogue and bring it into canonical form.

    Without a column item_id the ids are the stems of `image`. Where `image` is absent or empty, the file
    ``<item_id>.<ending>`` of the image folder is taken.

    Raises
    ------
    DataError
        There is neither item_id nor image, or no row is left.
    """
    sieve = Sieve(door, table, required=() if "image" in table.columns else ("item_id",))
    if sieve.has("image"):
        images = inside(id_text(sieve.frame["image"], table.source).str.strip_chars(), image_root)
        sieve.replace("image", images)
        cure = f"give a path relative to the image folder; {FIX}"
        sieve.out(escaping(images), "image", "leads out of the image folder", cure)
    if not sieve.has("item_id"):
        sieve.replace("item_id", sieve.frame["image"].str.extract(STEM))
        message = "has no column 'item_id'; ids are the stems of column 'image'"
        door.remark(table.source, message, "map item_id if another column is meant", sieve.frame.height)
    sieve.ids("item_id")
    for name in ("artist_id", "title"):
        if sieve.has(name):
            sieve.replace(name, id_text(sieve.frame[name], table.source))
    for name in ("added_at", "removed_at"):
        if sieve.has(name):
            sieve.times(name)
    if sieve.has("added_at") and sieve.has("removed_at"):
        backwards = sieve.frame["removed_at"] < sieve.frame["added_at"]
        sieve.out(backwards, "removed_at", "lies before added_at", f"swap them; {FIX}")
    if sieve.has("original"):
        sieve.flags("original")
    again = ~sieve.frame["item_id"].is_first_distinct()
    cure = 'give every work its own id or pass on_duplicate="drop" (the first stays)'
    sieve.out(again, "item_id", "is in the catalogue already", cure, door.policy.on_collision)
    sieve.remark_lookalikes("item_id", "works")
    if image_root is not None:
        _find_images(sieve, image_root)
    door.fact(f"{table.source}: works read", table.frame.height + len(table.ragged))
    door.fact(f"{table.source}: works kept", sieve.frame.height)
    if sieve.frame.height == 0:
        door.close()
        raise DataError(f"{table.source}: no artwork is left; a catalogue needs at least one")
    return Catalogue(sieve.frame.drop(LINE), image_root)


def catalogue_of_pictures(door: Door, image_root: Path) -> Catalogue:
    """Make a catalogue of an image folder alone: item_id is the file's name without folder and ending.

    Raises
    ------
    DataError
        The folder holds no picture.
    """
    files = pictures_as_items(door, image_root)
    if files.height == 0:
        raise DataError(f"the image folder {image_root} holds no picture (.jpg, .png, .webp ...)")
    again = ~files["item_id"].is_first_distinct()
    _report_collisions(door, image_root, files.filter(again))
    frame = files.filter(~again)
    sieve = Sieve(door, Table(frame.with_row_index(LINE), f"{image_root.name}/", "row"))
    sieve.remark_lookalikes("item_id", "works")
    door.fact(f"{image_root.name}/: works", frame.height)
    return Catalogue(frame, image_root)


def pictures_as_items(door: Door, root: Path, wanted: frozenset[str] | None = None) -> pl.DataFrame:
    """List the pictures as item_id (stem) and image; report the files that are none.

    Parameters
    ----------
    wanted
        The only stems of interest; all by default.
    """
    pictures = list_pictures(root)
    ignored = [name for name in pictures.ignored if wanted is None or PurePosixPath(name).stem in wanted]
    door.remark(
        f"{root.name}/",
        "is no picture by its ending, no regular file, or its name is not UTF-8",
        "rename it if it is a picture",
        len(ignored),
        "drop",
        ignored[0] if ignored else None,
        unit="file",
    )
    columns = {"item_id": pictures.stems, "image": pictures.names}
    files = pl.DataFrame(columns, schema={"item_id": pl.String, "image": pl.String})
    return files if wanted is None else files.filter(pl.col("item_id").is_in(list(wanted)))


def _report_collisions(door: Door, root: Path, again: pl.DataFrame) -> None:
    if again.height:
        door.remark(
            f"{root.name}/",
            f"has the stem of another picture, {again['item_id'][0]!r}, so both would be one item",
            'rename one or pass on_duplicate="drop" (the first by name is taken)',
            again.height,
            door.policy.on_collision,
            again["image"][0],
            unit="file",
        )


def _find_images(sieve: Sieve, root: Path) -> None:
    """Fill in pictures by stem, then count what is there and what is missing."""
    door, frame = sieve.door, sieve.frame
    if "image" not in frame.columns:
        frame = frame.with_columns(image=pl.lit(None, dtype=pl.String))
    if frame["image"].null_count():
        without = frozenset(frame.filter(pl.col("image").is_null())["item_id"].to_list())
        files = pictures_as_items(door, root, without)
        again = ~files["item_id"].is_first_distinct()
        _report_collisions(door, root, files.filter(again))
        found = files.filter(~again)
        by_stem = frame["item_id"].replace_strict(
            found["item_id"], found["image"], default=None, return_dtype=pl.String
        )
        frame = frame.with_columns(image=pl.coalesce("image", by_stem))
    sieve.frame = frame
    absent = missing(frame["image"], root)
    message = f"is no file in {root}"
    sieve.out(absent, "image", message, "put it there, or leave the work to models that do not look", "keep")
    door.fact("works whose picture is there", int(frame["image"].count() - absent.sum()))
    door.fact("works without picture", int(frame["image"].null_count() + absent.sum()))
