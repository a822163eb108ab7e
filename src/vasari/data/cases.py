"""Test cases: a profile, the moment, what is on sale then, and what the user really took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import Stock

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cases:
    """Questions with known answers, one per row; item numbers are rows of `item_ids`.

    Attributes
    ----------
    user_ids
        Who asks, one per case (a user may have several cases).
    item_ids
        The catalogue.
    profiles
        What the user had taken before, per case, in time order.
    relevant
        What the user took then (distinct), per case.
    times
        The moment, microseconds since 1970 (UTC), shape (cases,).
    stock
        When each work can be had.
    exclude_profile
        Whether works of the profile are no candidates.
    shortlist
        If given, per case the only works that can be candidates; by default all in stock.
    """

    user_ids: list[str]
    item_ids: Ids
    profiles: Ragged
    relevant: Ragged
    times: IntArray
    stock: Stock
    exclude_profile: bool = True
    shortlist: Ragged | None = None

    def __len__(self) -> int:
        return len(self.user_ids)

    def candidates(self, start: int, stop: int) -> BoolArray:
        """Which works may be ranked for cases `start` to `stop`, shape (stop - start, items)."""
        mask = self.stock.at(self.times[start:stop])
        if self.exclude_profile:
            profiles = self.profiles.slice(start, stop)
            mask[profiles.row_of_value, profiles.values] = False
        if self.shortlist is not None:
            listed = self.shortlist.slice(start, stop)
            only = np.zeros_like(mask)
            only[listed.row_of_value, listed.values] = True
            mask &= only
        return mask

    def take(self, rows: npt.ArrayLike) -> Cases:
        """Only the given cases."""
        rows = np.asarray(rows, dtype=np.int64)
        return Cases(
            [self.user_ids[r] for r in rows.tolist()],
            self.item_ids,
            self.profiles.take(rows),
            self.relevant.take(rows),
            self.times[rows],
            self.stock,
            self.exclude_profile,
            None if self.shortlist is None else self.shortlist.take(rows),
        )


def last_baskets(histories: Histories, among: npt.ArrayLike | None = None) -> BoolArray:
    """Flag the interactions of each user's last basket, unless it is also the first.

    Parameters
    ----------
    among
        Rows of users to consider; all by default.

    Returns
    -------
    Shape (interactions,). Source: Messina et al. 2020, section 5 (users with one basket only train).
    """
    chosen = np.zeros(len(histories.user_ids), dtype=bool)
    chosen[slice(None) if among is None else np.asarray(among, dtype=np.int64)] = True
    counts = histories.basket_counts
    users = histories.users
    flags: BoolArray = (chosen & (counts >= 2))[users] & (histories.baskets == counts[users] - 1)
    return flags


def hidden_cases(
    histories: Histories, hidden: BoolArray, stock: Stock, exclude_profile: bool = True
) -> Cases:
    """One case per user with hidden interactions: the profile is what is not hidden, in time order.

    Parameters
    ----------
    hidden
        Flag per interaction, shape (interactions,); the moment of a case is its first hidden time.
    """
    users = histories.users
    asked = np.unique(users[hidden])
    shown = histories.items.where(~hidden).take(asked)
    wanted = histories.items.where(hidden).take(asked)
    first = np.flatnonzero(hidden)[np.unique(users[hidden], return_index=True)[1]]
    relevant = Ragged.from_rows([list(dict.fromkeys(row.tolist())) for row in wanted])
    return Cases(
        histories.user_ids.take(asked),
        histories.item_ids,
        shown,
        relevant,
        histories.times[first],
        stock,
        exclude_profile,
    )
