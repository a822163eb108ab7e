"""From what a caller names (ids, pictures) to what a model computes with (row numbers), and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import UsageError
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Query:
    """Profiles to answer for; numbers beyond the catalogue are rows of `guests`."""

    user_ids: list[str | None]
    profiles: Ragged
    guests: FloatArray | None = None

    def slice(self, start: int, stop: int) -> Query:
        """Queries `start` to `stop`."""
        stop = min(stop, len(self.profiles))
        return Query(self.user_ids[start:stop], self.profiles.slice(start, stop), self.guests)


def user_query(users: Sequence[str], user_ids: Ids, profiles: Ragged) -> Query:
    """The stored profiles of known users."""
    if isinstance(users, str):
        raise UsageError(f"users={users!r} must be a list of ids, for example users=[{users!r}]")
    return Query(list(users), profiles.take(user_ids.rows(users)))


def profile_query(profile: Sequence[str], guests: FloatArray | None, item_ids: Ids) -> Query:
    """One visitor who is nothing but works of the catalogue and pictures outside it."""
    if isinstance(profile, str):
        raise UsageError(f"profile={profile!r} must be a list of ids, for example profile=[{profile!r}]")
    pictures = 0 if guests is None else len(guests)
    rows = np.concatenate([item_ids.rows(profile), len(item_ids) + np.arange(pictures)])
    return Query([None], Ragged.from_rows([rows]), guests)


def candidate_mask(
    candidates: Sequence[str] | str, exclude: Sequence[str], item_ids: Ids, available: BoolArray
) -> BoolArray:
    """Which items may be answered, shape (items,)."""
    if isinstance(candidates, str):
        if candidates not in ("available", "all"):
            raise UsageError(f'candidates={candidates!r} must be "available", "all" or a list of item ids')
        mask = available.copy() if candidates == "available" else np.ones(len(item_ids), dtype=bool)
    else:
        mask = np.zeros(len(item_ids), dtype=bool)
        mask[item_ids.rows(candidates)] = True
    mask[item_ids.rows(exclude)] = False
    return mask


def long_table(
    user_ids: Sequence[str | None], items: IntArray, scores: FloatArray, item_ids: Ids
) -> pl.DataFrame:
    """Ranked rows, -1 where a row has ended, to columns user_id, item_id, score, rank."""
    row, place = np.nonzero(items >= 0)
    return pl.DataFrame(
        {
            "user_id": pl.Series([user_ids[r] for r in row.tolist()], dtype=pl.String),
            "item_id": pl.Series(item_ids.take(items[row, place]), dtype=pl.String),
            "score": scores[row, place].astype(np.float32),
            "rank": place.astype(np.int64) + 1,
        }
    )
