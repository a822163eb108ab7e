"""One fitted model against all cases: metrics per case and the lists it would have shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.progress import Bar
from vasari.data.cases import Cases
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import ALWAYS, NEVER, Stock
from vasari.metrics import Ranks, Score, measure, rank, scored_tiles
from vasari.metrics.measures import first_hit_rank
from vasari.metrics.ranks import ScoreArray
from vasari.retrieval import top_k

if TYPE_CHECKING:
    from vasari.models.base import Recommender

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@runtime_checkable
class Revealable(Protocol):
    """A model that is told the answers: Oracle, the upper bound of a table."""

    def reveal(self, cases: Cases) -> None:
        """Take note of what is relevant in each case."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model made of the cases.

    Attributes
    ----------
    per_case
        One row per ranked case: case (its row among the cases), user_id, profile_size, n_relevant,
        n_candidates, the metrics, first_hit_rank.
    top_items, top_scores
        The list of every case, shape (cases, longest k); -1 and -inf where it is shorter.
    """

    per_case: pl.DataFrame
    top_items: IntArray
    top_scores: FloatArray


def answer(score: Score, cases: Cases, ks: Sequence[int], legacy: bool, seed: int, bar: Bar) -> Answers:
    """Walk the cases in tiles: rank the relevant candidates by counting and keep the top of each list."""
    ranks: list[Ranks] = []
    items = np.full((len(cases), max(ks)), -1, dtype=np.int64)
    scores = np.full((len(cases), max(ks)), -np.inf, dtype=np.float32)
    for tile in scored_tiles(score, cases):
        part = slice(tile.start, tile.stop)
        ranks.append(rank(tile.scores, tile.candidates, cases.relevant.slice(tile.start, tile.stop)))
        items[part], scores[part] = top_k(tile.scores, max(ks), tile.candidates)
        bar.advance(tile.stop - tile.start)
    return Answers(per_case(Ranks.concatenate(ranks), cases, ks, legacy, seed), items, scores)


def per_case(ranks: Ranks, cases: Cases, ks: Sequence[int], legacy: bool, seed: int) -> pl.DataFrame:
    """Lay the metrics of every ranked case out in columns; what is undefined is null."""
    values = measure(ranks, ks, "puc" if legacy else None, seed)
    frame = pl.DataFrame(
        {
            "case": ranks.cases,
            "user_id": pl.Series([cases.user_ids[row] for row in ranks.cases.tolist()], dtype=pl.String),
            "profile_size": profile_sizes(cases)[ranks.cases],
            "n_relevant": ranks.n_relevant,
            "n_candidates": ranks.candidates,
            **values,
            "first_hit_rank": first_hit_rank(ranks),
        }
    )
    return frame.with_columns(pl.col(list(values)).fill_nan(None))


def profile_sizes(cases: Cases) -> IntArray:
    """Number of distinct works in each profile, shape (cases,)."""
    profiles = cases.profiles
    keys = np.unique(profiles.row_of_value * len(cases.item_ids) + profiles.values)
    return np.bincount(keys // max(len(cases.item_ids), 1), minlength=len(cases)).astype(np.int64)


def score_by_ids(model: Recommender[Any], item_ids: Ids) -> Score:
    """Wrap a model's `score` so that item numbers are rows of `item_ids`, whatever the model's own order.

    Works that the model does not know cannot be scored (-inf) and drop out of the profiles it sees.
    """
    if model.item_ids == item_ids:
        return model.score
    to_model = model.item_ids.find(item_ids)
    known = np.flatnonzero(to_model >= 0)

    def score(profiles: Ragged, user_ids: list[str]) -> ScoreArray:
        rows = to_model[profiles.values]
        theirs = replace(profiles, values=rows).where(rows >= 0)
        scores = np.full((len(profiles), len(item_ids)), -np.inf, dtype=np.float32)
        scores[:, known] = model.score(theirs, user_ids)[:, to_model[known]]
        return scores

    return score


def answerable(cases: Cases) -> BoolArray:
    """Which relevant items are candidates of their case, shape (values of `cases.relevant`,).

    The same rule as `Cases.candidates`, without making its masks.
    """
    items, asked = cases.relevant.values, cases.relevant.row_of_value
    now = cases.times[asked]
    flags = (cases.stock.enters[items] <= now) & (now <= cases.stock.leaves[items])
    if cases.exclude_profile:
        n_items, profiles = len(cases.item_ids), cases.profiles
        flags &= ~np.isin(asked * n_items + items, profiles.row_of_value * n_items + profiles.values)
    return flags


def without(cases: Cases, unseen: BoolArray) -> Cases:
    """Take items out of the stock at all times, so that they are candidates in no case.

    Parameters
    ----------
    unseen
        Shape (items,).
    """
    enters, leaves = cases.stock.enters, cases.stock.leaves
    return replace(cases, stock=Stock(np.where(unseen, NEVER, enters), np.where(unseen, ALWAYS, leaves)))
