"""Drawing in vectors: uniform picks, bounded tries, and filling a quota."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError
from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Rows: TypeAlias = "IntArray | slice"

TRIES = (1, 3, 16)  # candidates judged at once in each round: 20 in all, as in the released notebook
_HOPELESS = 1 << 14  # proposals without a single success after which a quota is given up
_MOST_AT_ONCE = 1 << 18


def below(rng: np.random.Generator, limits: IntArray) -> IntArray:
    """Uniform integers, each 0 <= value < its limit, shape (len(limits),).

    A double times the limit is several times faster than `Generator.integers` with an array of
    limits; its bias is below limit / 2^53.
    """
    return (rng.random(len(limits)) * limits).astype(np.int64)


def pick(rng: np.random.Generator, groups: Ragged, rows: IntArray) -> IntArray:
    """One value of each given row, uniform; no such row may be empty."""
    start = groups.offsets[rows]
    picked: IntArray = groups.values[start + below(rng, groups.offsets[rows + 1] - start)]
    return picked


def first_accepted(
    count: int, propose: Callable[[Rows], tuple[IntArray, BoolArray]], tries: Sequence[int] = TRIES
) -> IntArray:
    """Redraw until accepted, at most ``sum(tries)`` times a row.

    Parameters
    ----------
    count
        Number of rows.
    propose
        Given rows (repeats are independent tries; a slice stands for all rows once), returns one
        candidate per row and whether it is accepted.
    tries
        Candidates per open row in each round. Few at first, because most are accepted; many
        later, because a round costs the same for ten rows as for a hundred.

    Returns
    -------
    The first accepted candidate of every row, -1 where all were refused; shape (count,).
    """
    chosen = np.full(count, -1, dtype=np.int64)
    still_open = np.arange(count)
    for tried, width in enumerate(tries):
        rows: Rows = slice(None) if tried == 0 and width == 1 else np.repeat(still_open, width)
        candidates, accepted = propose(rows)
        if width > 1:
            first = accepted.reshape(-1, width).argmax(axis=1) + np.arange(len(still_open)) * width
            candidates, accepted = candidates[first], accepted[first]
        chosen[still_open] = np.where(accepted, candidates, -1)
        still_open = still_open[~accepted]
        if not still_open.size:
            break
    return chosen


@dataclass(frozen=True, eq=False)
class Draws:
    """Triples in the numbers of a `SamplingContext`: works instead of items, profiles as keys.

    Attributes
    ----------
    user
        Row of the user, or ARTIFICIAL.
    profile
        Key of the profile (see `ProfileBook`).
    positive, negative
        Works; a negative of -1 says that every try was refused.
    """

    user: IntArray
    profile: IntArray
    positive: IntArray
    negative: IntArray

    def __len__(self) -> int:
        return len(self.positive)

    def found(self, most: int) -> Draws:
        """The first `most` draws that have both their works."""
        rows = np.flatnonzero((self.negative >= 0) & (self.positive >= 0))[:most]
        return Draws(self.user[rows], self.profile[rows], self.positive[rows], self.negative[rows])

    @staticmethod
    def join(parts: Sequence[Draws]) -> Draws:
        """All draws of `parts`, in order."""
        return Draws(
            np.concatenate([part.user for part in parts]),
            np.concatenate([part.profile for part in parts]),
            np.concatenate([part.positive for part in parts]),
            np.concatenate([part.negative for part in parts]),
        )


def fill(count: int, propose: Callable[[int], Draws], what: str) -> list[Draws]:
    """Ask `propose` for draws until `count` of them are found.

    A draw whose tries were all refused is replaced by a wholly new one (another user, another
    work), so the quota is always met.

    Raises
    ------
    DataError
        Nothing was found in many thousand proposals.
    """
    parts: list[Draws] = []
    missing, asked, got = count, 0, 0
    while missing:
        wanted = missing if not asked else missing * asked // max(got, 1) + missing // 8 + 16
        wanted = min(wanted, _MOST_AT_ONCE)
        part = propose(wanted).found(missing)
        parts.append(part)
        missing, asked, got = missing - len(part), asked + wanted, got + len(part)
        if not got and asked >= _HOPELESS:
            raise DataError(f"no triple of {what} found in {asked} proposals of {sum(TRIES)} tries each")
    return parts
