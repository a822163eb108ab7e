"""What every user's taste leaves to draw: unbought works of favourite artists, works beyond the taste."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.data.ragged import Ragged
from vasari.sampling.draws import below, pick

if TYPE_CHECKING:
    from vasari.sampling.context import SamplingContext

IntArray = npt.NDArray[np.int64]

_EXPANDED_AT_ONCE = 1 << 20
_NONE = np.empty(0, dtype=np.int64)


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
        bought = _bought(context, cell_of_known, len(keys))

        # (user, liked artist) -> that artist's cells in clusters the user likes
        liked = context.liked_artists.ragged
        pair_user, pair_artist = liked.row_of_value, liked.values
        in_both = np.zeros(len(pair_user), dtype=np.int64)  # works of the pair's artist in liked clusters
        cells, free, n_cells = [_NONE], [_NONE], np.zeros(len(pair_user), dtype=np.int64)
        for start, stop in _blocks(cells_of_artist.lengths[pair_artist]):
            entries = cells_of_artist.take(pair_artist[start:stop])
            pair, cell = entries.row_of_value, entries.values
            both = np.flatnonzero(context.liked_clusters.has(pair_user[start + pair], cell_cluster[cell]))
            pair, cell = pair[both], cell[both]
            in_both[start:stop] = _total(pair, sizes[cell], stop - start)
            left = sizes[cell] - bought(pair_user[start + pair], cell)
            live = np.flatnonzero(left > 0)
            cells.append(cell[live].astype(np.int32))
            free.append(left[live])
            n_cells[start:stop] = np.bincount(pair[live], minlength=stop - start)

        # Inclusion and exclusion: all - in liked clusters - by liked artists + both.
        clusters = context.liked_clusters.ragged
        in_clusters = _total(clusters.row_of_value, context.by_cluster.lengths[clusters.values], n_users)
        by_artists = _total(pair_user, context.by_artist.lengths[pair_artist], n_users)
        self.has_beyond = (
            len(context.works) - in_clusters - by_artists + _total(pair_user, in_both, n_users) > 0
        )

        self._cell = np.concatenate(cells)
        self._cumulative = np.cumsum(np.concatenate(free))
        pairs = np.flatnonzero(n_cells)
        self._upto = self._cumulative[np.cumsum(n_cells[pairs]) - 1]
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


def _bought(
    context: SamplingContext, cell_of_known: IntArray, n_cells: int
) -> Callable[[IntArray, IntArray], IntArray]:
    """Answer how many works of a cell a user has."""
    cell_of_work = np.full(len(context.works), -1)
    cell_of_work[context.by_artist.values] = cell_of_known
    cell = cell_of_work[context.history.values]
    keys, times = np.unique((context.owner * n_cells + cell)[cell >= 0], return_counts=True)

    def count(users: IntArray, cells: IntArray) -> IntArray:
        asked = users * n_cells + cells
        at = np.searchsorted(keys, asked)
        inside = at < len(keys)
        counts = np.zeros(len(asked), dtype=np.int64)
        inside[inside] = keys[at[inside]] == asked[inside]
        counts[inside] = times[at[inside]]
        return counts

    return count


def _blocks(lengths: IntArray) -> Iterator[tuple[int, int]]:
    """Cut rows of these lengths into stretches that bound the memory of expanding them."""
    ends = np.cumsum(lengths)
    marks = np.arange(0, ends[-1] if len(ends) else 0, _EXPANDED_AT_ONCE)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(ends, marks), [len(ends)]]))
    yield from itertools.pairwise(cuts.tolist())


def _total(users: IntArray, amounts: IntArray, n_users: int) -> IntArray:
    return np.bincount(users, weights=amounts, minlength=n_users).astype(np.int64)
