"""Where the relevant items stand: by counting what is better and what ties, never by sorting all.

Every metric of this package needs, for each relevant candidate, only two numbers: how many candidates
score strictly higher and how many score the same. Counting them is one pass over a row of scores, and
the result does not depend on the order in which items happen to be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.data.cases import Cases
from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ScoreArray = npt.NDArray[np.floating]

Score = Callable[[Ragged, list[str]], ScoreArray]
"""(profiles, user_ids) -> scores of shape (profiles, items); `Recommender.score` is one."""

TILE_SCORES = 1 << 22  # scores held at a time: 16 MiB of float32, which stay in the cache
# Of a large catalogue that is only a few cases, and to read all its vectors takes longer than their product.
FEW_CASES, MOST_SCORES = 32, 1 << 26
SORT_FROM = 8  # relevant items in one case from which one sort of its row is cheaper than counting each


@dataclass(frozen=True, eq=False)
class Ranks:
    """The standing of every relevant candidate, for the cases that have one.

    Attributes
    ----------
    cases
        Rows of the ranked cases among those asked, shape (ranked,). A case none of whose relevant items
        is a candidate has no answer and is left out.
    better
        Per ranked case and relevant candidate the number of candidates with a strictly higher score,
        ascending within a case.
    tied
        Number of *other* candidates with the same score, one per value of `better`.
    candidates
        Number of candidates, shape (ranked,).
    lost
        Number of relevant items that were no candidates, shape (n_cases,).
    n_items
        Size of the catalogue.
    """

    cases: IntArray
    better: Ragged
    tied: IntArray
    candidates: IntArray
    lost: IntArray
    n_items: int

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def n_cases(self) -> int:
        """Number of cases asked, ranked or not."""
        return len(self.lost)

    @property
    def n_left_out(self) -> int:
        """Number of cases without a relevant candidate."""
        return self.n_cases - len(self.cases)

    @property
    def n_relevant(self) -> IntArray:
        """Number of relevant candidates, shape (ranked,)."""
        return self.better.lengths

    @cached_property
    def groups(self) -> TieGroups:
        """The relevant candidates gathered by equal score."""
        better, case = self.better.values, self.better.row_of_value
        starts = np.flatnonzero(
            np.r_[True, (better[1:] != better[:-1]) | (case[1:] != case[:-1])][: len(better)]
        )
        relevant = np.diff(np.r_[starts, len(better)])
        of_case = case[starts]
        return TieGroups(
            of_case, better[starts], self.tied[starts] + 1, relevant, starts - self.better.offsets[of_case]
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Ranks]) -> Ranks:
        """Join the ranks of consecutive tiles of cases."""
        if not parts:
            raise UsageError("there are no ranks to join; rank at least one tile of cases")
        shifts = np.cumsum([0] + [part.n_cases for part in parts[:-1]])
        return cls(
            np.concatenate([part.cases + shift for part, shift in zip(parts, shifts, strict=True)]),
            Ragged.from_lengths(
                np.concatenate([part.better.values for part in parts]),
                np.concatenate([part.better.lengths for part in parts]),
            ),
            np.concatenate([part.tied for part in parts]),
            np.concatenate([part.candidates for part in parts]),
            np.concatenate([part.lost for part in parts]),
            parts[0].n_items,
        )


@dataclass(frozen=True, eq=False)
class TieGroups:
    """Runs of equally scored candidates that hold something relevant, best first within a case.

    Under a random order of ties the relevant ones take `relevant` of the 0-based places ``better`` to
    ``better + size - 1``, every choice being equally likely.

    Attributes
    ----------
    case
        Row of the ranked case, shape (groups,).
    better
        Candidates above the group.
    size
        Candidates in the group, relevant or not.
    relevant
        Relevant candidates in the group.
    before
        Relevant candidates above the group.
    """

    case: IntArray
    better: IntArray
    size: IntArray
    relevant: IntArray
    before: IntArray


def rank(scores: ScoreArray, candidates: BoolArray, relevant: Ragged) -> Ranks:
    """Count, for each relevant candidate, the candidates above it and beside it.

    Parameters
    ----------
    scores
        Shape (cases, items); higher is better. An item scored -inf (it cannot be scored) stands last,
        tied with all others like it.
    candidates
        Which items are ranked, shape (cases, items). The others do not exist for the metrics: they
        neither stand in the way nor count in a denominator, and a relevant one among them is `lost`.
    relevant
        Distinct item numbers per case.

    Raises
    ------
    UsageError
        Shapes that do not agree, a relevant item given twice, or a score that is not a number.
    """
    scores = np.asarray(scores)
    n_cases, n_items = candidates.shape
    if scores.shape != (n_cases, n_items) or len(relevant) != n_cases:
        raise UsageError(
            f"scores {scores.shape}, candidates {candidates.shape} and {len(relevant)} relevant rows "
            "do not belong together; all need one row per case and one column per item of the catalogue"
        )
    if scores.size and np.isnan(scores.min()):  # one pass without a temporary: min hands NaN on
        row, item = np.argwhere(np.isnan(scores))[0].tolist()
        raise UsageError(
            f"the score of item {item} for case {row} is not a number; score what cannot be scored -inf"
        )
    asked = relevant.row_of_value
    if len(np.unique(asked * n_items + relevant.values)) != len(asked):
        raise UsageError("a case names the same relevant item twice; give each once")

    kept = relevant.where(candidates[asked, relevant.values])
    lengths = kept.lengths
    ranked = np.flatnonzero(lengths)
    better, tied = np.empty_like(kept.values), np.empty_like(kept.values)
    for row in ranked.tolist():
        part = slice(kept.offsets[row], kept.offsets[row + 1])
        own = scores[row, kept.values[part]]
        better[part], tied[part] = _stand(scores[row], candidates[row], own)
    order = np.lexsort((better, kept.row_of_value))
    return Ranks(
        ranked,
        Ragged.from_lengths(better[order], lengths[ranked]),
        tied[order],
        np.count_nonzero(candidates, axis=1)[ranked].astype(np.int64),
        relevant.lengths - lengths,
        n_items,
    )


def _stand(row: ScoreArray, candidates: BoolArray, own: ScoreArray) -> tuple[IntArray, IntArray]:
    """Candidates above and beside each of the scores `own`, all of which are candidates of `row`."""
    if len(own) >= SORT_FROM:
        ordered = np.sort(np.compress(candidates, row))
        below, upto = np.searchsorted(ordered, own, "left"), np.searchsorted(ordered, own, "right")
        return len(ordered) - upto, upto - below - 1
    better = [np.count_nonzero((row > score) & candidates) for score in own]
    tied = [np.count_nonzero((row == score) & candidates) - 1 for score in own]
    return np.array(better, np.int64), np.array(tied, np.int64)


@dataclass(frozen=True, eq=False)
class Tile:
    """The scores of consecutive cases.

    Attributes
    ----------
    start, stop
        Rows of the cases.
    scores, candidates
        Shape (stop - start, items).
    """

    start: int
    stop: int
    scores: ScoreArray
    candidates: BoolArray


def scored_tiles(score: Score, cases: Cases, tile: int | None = None) -> Iterator[Tile]:
    """Score the cases a tile at a time, so that memory does not grow with their number.

    Parameters
    ----------
    score
        (profiles, user_ids) -> scores over `cases.item_ids`, shape (profiles, items).
    tile
        Cases in one tile; by default as many as make 16 MiB of scores or, of a large catalogue, 32 if these
        make no more than 256 MiB.
    """
    n_items = max(1, len(cases.item_ids))
    rows = tile or max(1, TILE_SCORES // n_items, min(FEW_CASES, MOST_SCORES // n_items))
    for start in range(0, len(cases), rows):
        stop = min(start + rows, len(cases))
        scores = score(cases.profiles.slice(start, stop), cases.user_ids[start:stop])
        yield Tile(start, stop, scores, cases.candidates(start, stop))


def rank_cases(score: Score, cases: Cases, tile: int | None = None) -> Ranks:
    """Rank every case with one scoring function: what validation during training calls.

    The trainer passes a function over its network (``lambda profiles, users: ...``), anybody else a
    fitted model's `score`; ``measure(rank_cases(...), ks=(20,))`` then gives the metrics per case. The
    evaluation of finished models walks the same tiles and counts with the same `rank`.

    Parameters
    ----------
    score, tile
        As for `scored_tiles`. The columns of the scores must be the rows of `cases.item_ids`.

    Raises
    ------
    UsageError
        There are no cases, or as for `rank`.
    """
    return Ranks.concatenate(
        [
            rank(part.scores, part.candidates, cases.relevant.slice(part.start, part.stop))
            for part in scored_tiles(score, cases, tile)
        ]
    )
