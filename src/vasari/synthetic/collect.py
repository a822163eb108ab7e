"""Simulated collectors on any catalogue with pictures: a log of purchases with its known cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.data.catalogue import TIME, Catalogue
from vasari.data.dataset import Dataset
from vasari.data.ids import Ids
from vasari.data.interactions import Interactions
from vasari.data.preference import Preference
from vasari.data.stock import ALWAYS, NEVER
from vasari.synthetic.artists import scaled_block
from vasari.synthetic.colour import FloatArray
from vasari.synthetic.looks import pixel_looks
from vasari.synthetic.market import DAY, OPENING, Market, hang, trade, visit
from vasari.synthetic.taste import Taste, invent_collectors, qualities, utilities

IntArray = npt.NDArray[np.int64]


def simulate_collectors(
    catalogue: Catalogue,
    looks: npt.ArrayLike | None = None,
    collectors: int = 500,
    seed: int = 0,
    *,
    taste_columns: Sequence[str] = (),
    taste: Taste | None = None,
    market: Market | None = None,
    skills: npt.ArrayLike | None = None,
    name: str = "simulated collectors",
    progress: bool | None = None,
) -> Dataset:
    """Invent collectors with tastes and let them buy from `catalogue` over the years.

    Parameters
    ----------
    catalogue
        The works. Columns added_at, removed_at and original are used where they are there and added
        where not; without artist_id nobody has favourite artists.
    looks
        What each work looks like, shape (works, d); computed from the pixels by hand-made descriptors
        (`vasari.synthetic.looks`) when None.
    collectors, seed
        How many people, and the seed of everything that is drawn.
    taste_columns
        Categorical columns of the catalogue that join the looks (people also like subjects).
    taste, market
        Weights of the choice and sizes of the market.
    skills
        How well liked each artist is, in the order of ``catalogue.artist_ids``; drawn when None.
    progress
        As in `vasari.core.progress.bar`.

    Returns
    -------
    A data set that says in `simulated` what was invented and holds the true utilities as `preference`;
    the preference covers every collector, also those who found nothing to buy.

    Raises
    ------
    UsageError
        No works, no collectors, no picture can be read, an unknown column.
    DataError
        `looks` has another number of rows than the catalogue, or holds NaN or infinity.
    """
    taste, market = taste or Taste(), market or Market()
    if len(catalogue) == 0:
        raise UsageError("the catalogue is empty: there is nothing to collect")
    if collectors < 1:
        raise UsageError(f"collectors={collectors}: at least one is needed")
    space = _space(catalogue, looks, taste_columns, taste, progress)
    artists = catalogue.artists
    quality = qualities(artists, None if skills is None else np.asarray(skills, np.float32), seed)
    people = invent_collectors(artists, collectors, seed)
    scores = utilities(people, space, artists, quality, taste)

    enters, leaves, originals = _terms(catalogue, seed, market)
    start, stop = _years(catalogue, market)
    sessions = visit(collectors, start + DAY, stop, seed, market)
    sales = trade(scores, sessions, enters, leaves, originals, seed, progress)

    width = len(str(collectors))
    user_ids = Ids([f"c{number:0{width}d}" for number in range(1, collectors + 1)], what="user_id")
    log = pl.DataFrame(
        {
            "user_id": user_ids.take(sales.collectors),
            "item_id": catalogue.ids.take(sales.works),
            "timestamp": pl.Series(sales.times, dtype=pl.Int64).cast(TIME),
        },
        schema={"user_id": pl.String, "item_id": pl.String, "timestamp": TIME},
    )
    sold = np.zeros(len(catalogue), dtype=bool)
    sold[sales.works] = True
    completed = _completed(catalogue, enters, np.where(sold & originals, NEVER, leaves), originals)
    told = f"The collectors are simulated: {collectors:,} invented people chose by look, artist and quality"
    return Dataset(
        completed,
        Interactions(log),
        name,
        f"{told} (seed {seed}); nobody bought anything.",
        Preference(user_ids, scores),
    )


def _space(
    catalogue: Catalogue,
    looks: npt.ArrayLike | None,
    columns: Sequence[str],
    taste: Taste,
    progress: bool | None,
) -> FloatArray:
    """The space of looks, shape (works, d), total variance 1, with the categorical columns in it."""
    if looks is None:
        space, seen = pixel_looks(catalogue.images(), progress=progress)
        if not seen.any() and not columns:
            raise UsageError(
                f"none of the {len(catalogue)} works has a picture that can be read "
                f"(images in {catalogue.image_root}); pass looks=, or name taste_columns"
            )
    else:
        space = np.asarray(looks, dtype=np.float32)
        if space.ndim != 2 or len(space) != len(catalogue):
            raise DataError(
                f"looks has shape {space.shape}; one row for each of the {len(catalogue)} works is needed"
            )
        if not np.isfinite(space).all():
            row = int(np.flatnonzero(~np.isfinite(space).all(axis=1))[0])
            raise DataError(f"looks of {catalogue.ids[row]!r} (row {row}) hold NaN or infinity; leave none")
    blocks = [scaled_block(space, 1 - taste.columns if columns else 1.0)]
    for column in columns:
        if column not in catalogue.frame.columns:
            raise UsageError(
                f"taste column {column!r} is not in the catalogue; it has {catalogue.frame.columns!r}"
            )
        codes = catalogue.frame[column].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(int) - 1
        blocks.append(
            scaled_block(np.eye(codes.max() + 1, dtype=np.float32)[codes], taste.columns / len(columns))
        )
    return np.concatenate(blocks, axis=1)


def _years(catalogue: Catalogue, market: Market) -> tuple[int, int]:
    """First and last moment of the log, microseconds: the market's years, from the first work on.

    A catalogue whose own works arrive over a longer time is followed until a month after the last.
    """
    span = int(market.years * 365.25) * DAY
    stated = (
        catalogue.frame["added_at"].drop_nulls() if "added_at" in catalogue.frame.columns else pl.Series([])
    )
    if stated.is_empty():
        return OPENING, OPENING + span
    times = stated.dt.epoch("us").to_numpy()
    return int(times.min()), max(int(times.min()) + span, int(times.max()) + 30 * DAY)


def _terms(
    catalogue: Catalogue, seed: int, market: Market
) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """When works enter and are withdrawn (microseconds) and which are originals; drawn where unknown."""
    frame = catalogue.frame
    enters, leaves = hang(len(frame), seed, market)
    if "added_at" in frame.columns:
        enters = frame["added_at"].dt.epoch("us").fill_null(ALWAYS).to_numpy().astype(np.int64)
        leaves = np.full(len(frame), NEVER)
    if "removed_at" in frame.columns:
        leaves = frame["removed_at"].dt.epoch("us").fill_null(NEVER).to_numpy().astype(np.int64)
    if "original" in frame.columns:
        return enters, leaves, catalogue.originals
    rng = generator(seed, "originals")
    return enters, leaves, rng.random(len(frame)) < market.originals


def _completed(
    catalogue: Catalogue, enters: IntArray, leaves: IntArray, originals: npt.NDArray[np.bool_]
) -> Catalogue:
    """The catalogue with the columns that the simulator had to draw; those it had stay as they were."""
    drawn = {
        "added_at": pl.Series(enters, dtype=pl.Int64).cast(TIME),
        "removed_at": pl.select(pl.when(pl.lit(pl.Series(leaves)) != NEVER).then(pl.lit(pl.Series(leaves))))
        .to_series()
        .cast(TIME),
        "original": pl.Series(originals),
    }
    new = [values.alias(name) for name, values in drawn.items() if name not in catalogue.frame.columns]
    return Catalogue(catalogue.frame.with_columns(new), catalogue.image_root)
