"""Everything the samplers need to know about the data, worked out once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError, UsageError
from vasari.data.histories import Histories
from vasari.data.ragged import Ragged
from vasari.sampling.images import SAME_SQUARED_DISTANCE, image_groups, squared_distance
from vasari.sampling.pairs import PairSet
from vasari.sampling.profiles import ProfileBook
from vasari.sampling.tastes import Tastes

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


class SamplingContext:
    """Histories, artists and visual clusters in the form that the samplers draw from.

    Inside, only *works* exist: the items that have a picture, numbered from 0. An item without a
    picture can therefore be no positive, no negative and no member of a profile. A *place* is a
    position in all histories laid end to end. A history holds each work once, where it was first
    taken, because a profile is a set; a basket that only repeats earlier purchases drops out.

    Memory is proportional to items + interactions + distinct (user, liked artist, cluster of that
    artist) that the user likes; there is no users × items and no items × items matrix.

    Parameters
    ----------
    histories
        Training interactions only (see `verify_disjoint`).
    artists
        Artist code of every item, -1 where unknown; shape (items,). None: all unknown.
    clusters
        Visual cluster of every item, -1 for an item without a picture; shape (items,). None: every
        item can be drawn and lies in one cluster (enough for uniform sampling).
    space
        PCA space of the items, shape (items, d); rows of items without a picture are not read.
        None: no two items are taken for the same image, and guideline 6 is impossible.

    Raises
    ------
    UsageError
        Shapes do not agree.
    DataError
        `space` holds NaN or infinity for an item with a picture.

    Attributes
    ----------
    works
        Item number of every work, shape (works,).
    cluster, artist
        Visual cluster and artist of every work, renumbered from 0 without gaps; the artist code
        `unknown_artist` stands for unknown. Shape (works,).
    image
        Works that show the same image share a number; shape (works,).
    space
        Unit vectors, shape (works, d), or None.
    by_cluster, by_artist
        Works of each cluster; works of each known artist.
    history
        Per user (row of `histories`) the works in time order, each once.
    owner
        The user of every place.
    baskets
        Places of every basket.
    consumed, liked_clusters, liked_artists
        What every user has, over the WHOLE training history; artists also count where the work
        itself has no picture. An unknown artist is never liked.
    profiles
        Names and writes the profiles.
    """

    def __init__(
        self,
        histories: Histories,
        artists: npt.ArrayLike | None = None,
        clusters: npt.ArrayLike | None = None,
        space: npt.ArrayLike | None = None,
    ) -> None:
        n_items, n_users = len(histories.item_ids), len(histories.user_ids)
        item_artist = _labels(artists, n_items, -1, "artists")
        item_cluster = _labels(clusters, n_items, 0, "clusters")
        self.works = np.flatnonzero(item_cluster >= 0)
        n_works = len(self.works)

        self.cluster, self.by_cluster = _groups(item_cluster[self.works])
        known, item_artist = _renumber(item_artist)
        self.unknown_artist = known
        self.artist = item_artist[self.works]
        self.by_artist = _group(self.artist, known)
        self.space = None if space is None else _unit_rows(space, self.works, n_items)
        self.image = np.arange(n_works) if self.space is None else image_groups(self.cluster, self.space)

        work_of_item = np.full(n_items, -1)
        work_of_item[self.works] = np.arange(n_works)
        users, taken = histories.users, work_of_item[histories.items.values]
        kept = np.flatnonzero(taken >= 0)
        kept = kept[np.sort(np.unique(users[kept] * n_works + taken[kept], return_index=True)[1])]
        self.owner = users[kept]
        self.history = Ragged.from_lengths(taken[kept], np.bincount(self.owner, minlength=n_users))
        self.baskets = _baskets(self.owner, histories.baskets[kept])

        self.consumed = PairSet(self.owner, self.history.values, n_users, n_works)
        self.liked_clusters = PairSet(
            self.owner, self.cluster[self.history.values], n_users, len(self.by_cluster)
        )
        liked = item_artist[histories.items.values]
        self.liked_artists = PairSet(users[liked < known], liked[liked < known], n_users, known + 1)
        basket_stop = np.repeat(self.baskets.offsets[1:], self.baskets.lengths)
        self.profiles = ProfileBook(self.history, basket_stop, self.works)

    @property
    def n_users(self) -> int:
        """Number of users, with or without works."""
        return len(self.history)

    @property
    def basket_owner(self) -> IntArray:
        """The user of every basket."""
        return self.owner[self.baskets.offsets[:-1]]

    @cached_property
    def places(self) -> Ragged:
        """Per user the places of the history."""
        return Ragged(np.arange(len(self.owner)), self.history.offsets)

    @cached_property
    def basket_start(self) -> IntArray:
        """For every place, the first place of its basket."""
        return np.repeat(self.baskets.offsets[:-1], self.baskets.lengths)

    @cached_property
    def later_places(self) -> Ragged:
        """Per user the places that have a basket before their own (sequential sampling)."""
        later = np.flatnonzero(self.basket_start > self.history.offsets[self.owner])
        return Ragged.from_lengths(later, np.bincount(self.owner[later], minlength=self.n_users))

    @cached_property
    def can_be_ranked(self) -> BoolArray:
        """Whether a user has some works but not all, shape (users,)."""
        held = self.history.lengths
        return (held > 0) & (held < len(self.works))

    @cached_property
    def big_baskets(self) -> Ragged:
        """Per user the baskets of two works or more (guideline 1)."""
        return self._baskets_by_user(self.baskets.lengths >= 2)

    @cached_property
    def later_baskets(self) -> Ragged:
        """Per user the baskets that have one before them (guideline 2)."""
        owner = self.basket_owner
        return self._baskets_by_user(np.r_[False, owner[1:] == owner[:-1]][: len(owner)])

    @cached_property
    def tastes(self) -> Tastes:
        """What each user's favourite artists still offer, and who has works beyond their taste."""
        return Tastes(self)

    @cached_property
    def place_by_artist(self) -> IntArray:
        """Position of every work in the values of `by_artist` (no meaning for unknown artists)."""
        place = np.zeros(len(self.works), dtype=np.int64)
        place[self.by_artist.values] = np.arange(len(self.by_artist.values))
        return place

    def same_image(self, a: IntArray, b: IntArray) -> BoolArray:
        """Whether two works are the same or show the same image, shape (pairs,).

        Same image: same cluster and |cos - 1| < 1e-7 in PCA space (released notebook).
        """
        same: BoolArray = self.image[a] == self.image[b]
        if self.space is not None and (doubtful := np.flatnonzero(same)).size:
            distance = squared_distance(self.space, a[doubtful], b[doubtful])
            same[doubtful] = (a[doubtful] == b[doubtful]) | (distance < SAME_SQUARED_DISTANCE)
        return same

    def _baskets_by_user(self, chosen: BoolArray) -> Ragged:
        rows = np.flatnonzero(chosen)
        return Ragged.from_lengths(rows, np.bincount(self.basket_owner[rows], minlength=self.n_users))


def _labels(labels: npt.ArrayLike | None, n_items: int, default: int, name: str) -> IntArray:
    if labels is None:
        return np.full(n_items, default, dtype=np.int64)
    array = np.asarray(labels)
    if array.shape != (n_items,) or not np.issubdtype(array.dtype, np.integer):
        raise UsageError(
            f"{name} must be {n_items} integers, one per item of the catalogue; "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64)


def _renumber(labels: IntArray) -> tuple[int, IntArray]:
    """Labels from 0 without gaps, negative ones last: how many are known, and the new labels."""
    known, codes = np.unique(labels[labels >= 0], return_inverse=True)
    renumbered = np.full(len(labels), len(known))
    renumbered[labels >= 0] = codes
    return len(known), renumbered


def _group(labels: IntArray, count: int) -> Ragged:
    """Rows of each label below `count`, ascending."""
    order = np.argsort(labels, kind="stable")
    lengths = np.bincount(labels, minlength=count)[:count]
    return Ragged.from_lengths(order[: lengths.sum()], lengths)


def _groups(labels: IntArray) -> tuple[IntArray, Ragged]:
    count, labels = _renumber(labels)
    return labels, _group(labels, count)


def _baskets(owner: IntArray, number: IntArray) -> Ragged:
    starts = np.ones(len(owner), dtype=bool)
    starts[1:] = (owner[1:] != owner[:-1]) | (number[1:] != number[:-1])
    offsets = np.append(np.flatnonzero(starts), len(owner))
    return Ragged(np.arange(len(owner)), offsets)


def _unit_rows(space: npt.ArrayLike, works: IntArray, n_items: int) -> FloatArray:
    array = np.asarray(space)
    if array.ndim != 2 or len(array) != n_items:
        raise UsageError(f"space must have one row per item, ({n_items}, d); got shape {array.shape}")
    vectors = array[works].astype(np.float32)
    if (bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))).size:
        raise DataError(
            f"space holds NaN or infinity for item number {works[bad[0]]} and {bad.size - 1} more; "
            "extract its features again, or give it cluster -1 to leave it out"
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, norms, out=vectors, where=norms > 0)
    return vectors
