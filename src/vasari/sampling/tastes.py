"""What every user's taste leaves to draw: unbought works of favourite artists, works beyond the taste."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.data.ragged import Ragged
from vasari.sampling.draws import below, pick

if TYPE_CHECKING:
    from vasari.sampling.context import SamplingContext

IntArray = npt.NDArray[np.int64]

_EXPANDED_AT_ONCE = 1 << 22


class Tastes:
    """Counts over *cells*, the works that one artist has in one visual cluster.

    Guideline 3 needs works whose artist and cluster are both liked, guidelines 1 to 3 works of which
    neither is. Both are unions of cells, so whether a user has any is counted exactly from the
    cells of the liked artists, without visiting works.

    Attributes
    ----------
    artists
        Per user the favourite artists that still have a work in a liked cluster which the user has
        not bought, as rows of an internal table of (user, artist).
    has_beyond
        Whether a user has any work whose cluster and artist are both not liked, shape (users,).
    """

    def __init__(self, context: SamplingContext) -> None:
        n_clusters, n_users = len(context.by_cluster), context.n_users
        known = context.by_artist.values  # works of known artists
        keys, cell_of_known = np.unique(
            context.artist[known] * n_clusters + context.cluster[known], return_inverse=True
        )
        order = np.argsort(cell_of_known, kind="stable")
        self._works = Ragged.from_lengths(known[order], np.bincount(cell_of_known, minlength=len(keys)))
        cell_artist, cell_cluster = np.divmod(keys, n_clusters)
        bounds = np.searchsorted(cell_artist, np.arange(len(context.by_artist) + 1))
        cells_of_artist = Ragged(np.arange(len(keys)), bounds)
        sizes = self._works.lengths

        # (user, liked artist) -> the artist's cells in clusters the user likes
        liked = context.liked_artists.ragged
        pair_user, pair_artist = liked.row_of_value, liked.values
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        for start, stop in _blocks(cells_of_artist.lengths[pair_artist]):
            expanded = cells_of_artist.take(pair_artist[start:stop])
            pair, cell = expanded.row_of_value + start, expanded.values
            both = context.liked_clusters.has(pair_user[pair], cell_cluster[cell])
            parts.append((pair[both], cell[both]))
        entry_pair, entry_cell = (np.concatenate(column) for column in zip(*parts, strict=True))
        entry_user = pair_user[entry_pair]

        # Inclusion and exclusion: all - in liked clusters - by liked artists + both.
        liked_clusters = context.liked_clusters.ragged
        beyond = (
            len(context.works)
            - _total(liked_clusters.row_of_value, context.by_cluster.lengths[liked_clusters.values], n_users)
            - _total(pair_user, context.by_artist.lengths[pair_artist], n_users)
            + _total(entry_user, sizes[entry_cell], n_users)
        )
        self.has_beyond = beyond > 0

        # How many works of each such cell the user has not bought
        cell_of_work = np.full(len(context.works), -1)
        cell_of_work[known] = cell_of_known
        bought = cell_of_work[context.history.values]
        owner = context.owner[bought >= 0]
        bought_keys, times = np.unique(owner * len(keys) + bought[bought >= 0], return_counts=True)
        asked = entry_user * len(keys) + entry_cell
        free = sizes[entry_cell]
        if len(bought_keys):
            at = np.minimum(np.searchsorted(bought_keys, asked), len(bought_keys) - 1)
            free = free - np.where(bought_keys[at] == asked, times[at], 0)
        live = np.flatnonzero(free > 0)
        self._cell = entry_cell[live]
        self._cumulative = np.cumsum(free[live])
        pairs, first = np.unique(entry_pair[live], return_index=True)
        ends = np.append(first[1:], len(live))[: len(pairs)]
        self._upto = self._cumulative[ends - 1]
        self._before = np.append(0, self._upto)[: len(pairs)]
        self.artists = Ragged.from_lengths(
            np.arange(len(pairs)), np.bincount(pair_user[pairs], minlength=n_users)
        )

    def draw_cellmate(self, rng: np.random.Generator, favourite: IntArray) -> IntArray:
        """A work of each favourite artist in a liked cluster; uniform once the bought ones are refused.

        Parameters
        ----------
        favourite
            Values of `artists`.
        """
        before = self._before[favourite]
        rank = before + below(rng, self._upto[favourite] - before)
        cell = self._cell[np.searchsorted(self._cumulative, rank, side="right")]
        return pick(rng, self._works, cell)


def _blocks(lengths: IntArray) -> Iterator[tuple[int, int]]:
    """Cut rows of these lengths into stretches that bound the memory of expanding them."""
    ends = np.cumsum(lengths)
    marks = np.arange(0, ends[-1] if len(ends) else 0, _EXPANDED_AT_ONCE)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(ends, marks), [len(ends)]]))
    yield from itertools.pairwise(cuts.tolist())


def _total(users: IntArray, amounts: IntArray, n_users: int) -> IntArray:
    return np.bincount(users, weights=amounts, minlength=n_users).astype(np.int64)
