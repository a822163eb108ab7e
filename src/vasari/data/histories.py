"""The log as integers: who took what, when, in which basket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.data.ids import Ids
from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Histories:
    """Every user's interactions in time order, as row numbers of the catalogue.

    Attributes
    ----------
    user_ids
        Users with at least one interaction, in order of first appearance in the log.
    item_ids
        The catalogue's ids; all item numbers are rows of it.
    items
        Per user the items in time order (file order within one timestamp).
    times
        Microseconds since 1970 (UTC), one per value of `items`.
    baskets
        Number of the basket within its user, from 0, one per value of `items`. Same user and same
        timestamp is one basket.
    """

    user_ids: Ids
    item_ids: Ids
    items: Ragged
    times: IntArray
    baskets: IntArray

    @classmethod
    def from_frame(cls, interactions: pl.DataFrame, item_ids: Ids) -> Histories:
        """Build from the columns user_id, item_id, timestamp (Datetime[us, UTC])."""
        user_ids = Ids(interactions["user_id"].unique(maintain_order=True), what="user_id")
        users = user_ids.rows(interactions["user_id"])
        items = item_ids.rows(interactions["item_id"])
        times = interactions["timestamp"].dt.epoch("us").to_numpy().astype(np.int64)
        order = cls.time_order(interactions, user_ids)
        return cls.from_sorted(user_ids, item_ids, users[order], items[order], times[order])

    @staticmethod
    def time_order(interactions: pl.DataFrame, user_ids: Ids) -> IntArray:
        """Row of the log behind every interaction of the histories, shape (interactions,)."""
        users = user_ids.rows(interactions["user_id"])
        # lexsort is stable: file order decides within one timestamp.
        order: IntArray = np.lexsort((interactions["timestamp"].dt.epoch("us").to_numpy(), users))
        return order

    @classmethod
    def from_sorted(
        cls, user_ids: Ids, item_ids: Ids, users: IntArray, items: IntArray, times: IntArray
    ) -> Histories:
        """Build from flat arrays already sorted by user, then time."""
        lengths = np.bincount(users, minlength=len(user_ids))
        ragged = Ragged.from_lengths(items, lengths)
        new_user = np.r_[True, users[1:] != users[:-1]][: len(users)]
        new_basket = np.r_[True, times[1:] != times[:-1]][: len(times)] | new_user
        running = np.cumsum(new_basket) - 1
        first = (
            running[np.minimum(ragged.offsets[:-1], max(len(running) - 1, 0))] if len(running) else running
        )
        return cls(user_ids, item_ids, ragged, times, running - np.repeat(first, lengths))

    @property
    def users(self) -> IntArray:
        """The user of every value of `items`, shape (interactions,)."""
        return self.items.row_of_value

    @property
    def basket_counts(self) -> IntArray:
        """Number of baskets of every user, shape (users,)."""
        last = self.items.offsets[1:] - 1
        return np.where(self.items.lengths > 0, self.baskets[last] + 1, 0) if len(self.baskets) else last * 0

    def where(self, keep: npt.NDArray[np.bool_]) -> Histories:
        """Only the interactions flagged in `keep`; users left with none drop out."""
        users = self.users[keep]
        left = np.unique(users)
        renumbered = np.searchsorted(left, users)
        user_ids = Ids(self.user_ids.take(left), what="user_id")
        return Histories.from_sorted(
            user_ids, self.item_ids, renumbered, self.items.values[keep], self.times[keep]
        )
