"""A whole gallery from nothing: invented artists, painted pictures, simulated collectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.core.files import read_json, write_json
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import DATASET_FILE, Dataset
from vasari.synthetic.artists import commission_works, invent_artists, look_vectors
from vasari.synthetic.collect import simulate_collectors
from vasari.synthetic.market import Market
from vasari.synthetic.painter import REVISION, paint_all
from vasari.synthetic.taste import Taste

PAINTING_FILE = "painting.json"
IMAGES = "images"
UNFINISHED = "'unfinished gallery' (paint it again with the same arguments)"
SIDES = (32, 4096)  # smallest and largest longest side, in pixels


def gallery(
    folder: str | Path,
    works: int = 2000,
    artists: int = 80,
    collectors: int = 500,
    seed: int = 0,
    *,
    size: int = 320,
    taste: Taste | None = None,
    market: Market | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> Dataset:
    """Paint a gallery into `folder`, let simulated collectors buy from it, and load it.

    The same arguments give the same files, for any number of workers. If `folder` already holds some of
    the same pictures (a run that was killed, or other collectors), they are kept. Until everything is
    there, `Dataset.load` refuses the folder.

    Parameters
    ----------
    folder
        A new or empty folder, or one that this function wrote; a gallery of other pictures in it is
        replaced.
    works, artists, collectors
        How many; every artist has at least one work.
    size
        Largest side of the pictures in pixels.
    taste, market
        As in `simulate_collectors`.
    workers
        Processes that paint; all processors by default.
    progress
        As in `vasari.core.progress.bar`.

    Returns
    -------
    The data set; its catalogue has the further columns artist, style, width and height, and its looks
    are the painter's own parameters (`vasari.synthetic.artists.look_vectors`).

    Raises
    ------
    UsageError
        A number that makes no sense, or a folder with other things in it.
    """
    _check(works, artists, collectors, size, workers)
    folder = Path(folder)
    makers = invent_artists(seed, artists)
    commissions = commission_works(seed, makers, works, size)
    _prepare(folder, {"revision": REVISION, "seed": seed, "works": works, "artists": artists, "size": size})
    width = len(str(works))
    ids = [f"w{work.number + 1:0{width}d}" for work in commissions]
    files = {f"{item_id}.jpg": work for item_id, work in zip(ids, commissions, strict=True)}
    paint_all(seed, files, folder / IMAGES, workers, progress)
    frame = pl.DataFrame(
        {
            "item_id": ids,
            "image": list(files),
            "artist_id": [makers[work.artist].artist_id for work in commissions],
            "title": [work.title for work in commissions],
            "artist": [makers[work.artist].name for work in commissions],
            "style": [work.style for work in commissions],
            "width": [work.size[0] for work in commissions],
            "height": [work.size[1] for work in commissions],
        }
    )
    catalogue = Catalogue(frame, folder / IMAGES)
    by_id = {maker.artist_id: maker.skill for maker in makers}
    data = simulate_collectors(
        catalogue,
        look_vectors(commissions),
        collectors,
        seed,
        taste=taste,
        market=market,
        skills=np.array([by_id[artist_id] for artist_id in catalogue.artist_ids]),
        name="painted gallery",
        progress=progress,
    )
    data.simulated = f"The pictures are painted by the program. {data.simulated}"
    data.save(folder)
    return Dataset.load(folder)


def _check(works: int, artists: int, collectors: int, size: int, workers: int | None) -> None:
    for name, value in (("works", works), ("artists", artists), ("collectors", collectors)):
        if value < 1:
            raise UsageError(f"{name}={value}: a gallery needs at least one")
    if workers is not None and workers < 1:
        raise UsageError(f"workers={workers}: painting needs at least one process")
    if works < artists:
        raise UsageError(f"{works} works cannot be by {artists} artists: every artist has at least one work")
    if not SIDES[0] <= size <= SIDES[1]:
        raise UsageError(f"size={size}: pictures measure {SIDES[0]} to {SIDES[1]} pixels on the longest side")


def _prepare(folder: Path, wanted: dict[str, int]) -> None:
    """Make `folder` ready to be painted into: keep its pictures if they are the same ones."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder for the gallery")
    found: object = None
    try:
        found = read_json(folder / PAINTING_FILE)
    except NotFoundError:
        if folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
            raise UsageError(
                f"{folder} holds other things and no {PAINTING_FILE}; name a new or empty folder"
            ) from None
        write_json(folder / PAINTING_FILE, wanted)
        found = wanted
    except DataError:
        found = "unreadable"
    if found == wanted and (folder / DATASET_FILE).exists():
        return
    # before anything it describes goes; and without it the pictures would pass for a plain catalogue
    write_json(folder / DATASET_FILE, {"layout": UNFINISHED})
    if found != wanted:
        for picture in (folder / IMAGES).glob("w*.jpg"):
            picture.unlink()
        write_json(folder / PAINTING_FILE, wanted)
