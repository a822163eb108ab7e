"""The k best candidates of every row of scores, exactly and in a fixed order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ScoreArray = npt.NDArray[np.floating]


def top_k(scores: ScoreArray, k: int, candidates: BoolArray | None = None) -> tuple[IntArray, ScoreArray]:
    """Pick the k highest scores of each row; equal scores come in the order of the items.

    Parameters
    ----------
    scores
        Shape (rows, items). An item scored -inf cannot be scored and is never picked.
    k
        At least 1.
    candidates
        Which items may be picked, shape (rows, items) or (items,); all by default.

    Returns
    -------
    Item numbers and scores, each of shape (rows, k), best first. Where a row has fewer than k candidates
    the rest is -1 and -inf.

    Raises
    ------
    UsageError
        k below 1, or a score that is not a number.
    """
    if k < 1:
        raise UsageError(f"k={k} must be at least 1")
    scores = np.asarray(scores)
    allowed = scores if candidates is None else np.where(candidates, scores, np.array(-np.inf, scores.dtype))
    n_rows, n_items = allowed.shape
    if allowed.size and np.isnan(allowed.min()):
        raise UsageError("a score is not a number; score what cannot be scored -inf")
    kept = min(k, n_items)
    items = np.full((n_rows, k), -1, dtype=np.int64)
    best = np.full((n_rows, k), -np.inf, dtype=scores.dtype)
    if not allowed.size:
        return items, best

    chosen = np.argpartition(allowed, n_items - kept, axis=1)[:, n_items - kept :]
    chosen.sort(axis=1)
    values = np.take_along_axis(allowed, chosen, axis=1)
    # Where more items share the lowest picked score than were picked, partition took any of them.
    lowest = values.min(axis=1, keepdims=True)
    shared = np.count_nonzero(allowed == lowest, axis=1) > np.count_nonzero(values == lowest, axis=1)
    for row in np.flatnonzero(shared & (lowest[:, 0] > -np.inf)).tolist():
        chosen[row] = np.sort(best_places(allowed[row], kept))
        values[row] = allowed[row, chosen[row]]
    order = np.argsort(-values, axis=1, kind="stable")
    best[:, :kept] = np.take_along_axis(values, order, axis=1)
    items[:, :kept] = np.take_along_axis(chosen, order, axis=1)
    items[best == -np.inf] = -1
    return items, best


def best_places(scores: ScoreArray, k: int) -> IntArray:
    """Places of the k highest of some scores, shape (k,), best first, equal ones in order; k <= len(scores).

    What `top_k` does for many rows, for one alone and in a fraction of the time.
    """
    lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
    reached = np.flatnonzero(scores >= lowest)
    places: IntArray = reached[np.argsort(-scores[reached], kind="stable")[:k]]
    return places
