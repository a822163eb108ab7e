"""Exact nearest vectors by inner product, in tiles: the default search and the truth for any other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.retrieval.topk import BoolArray, IntArray, top_k

FloatArray = npt.NDArray[np.float32]

TILE_SCORES = 1 << 22  # scores held at a time: 16 MiB of float32
BLOCK_VALUES = 1 << 24  # vector entries held at a time as float32: 64 MiB


def exact_top_k(
    queries: npt.NDArray[np.floating],
    vectors: npt.NDArray[np.floating],
    k: int,
    candidates: BoolArray | None = None,
) -> tuple[IntArray, FloatArray]:
    """Find the k vectors with the highest inner product for each query.

    Vectors are read block by block, so a memory-mapped float16 matrix of any length does; memory is
    bounded by the tiles and the answer, never queries x vectors.

    Parameters
    ----------
    queries
        Shape (queries, dim).
    vectors
        Shape (items, dim).
    k
        At least 1.
    candidates
        Which items may be found, shape (items,) or (queries, items); all by default.

    Returns
    -------
    Item numbers and inner products, each of shape (queries, k), best first, equal ones in the order of
    the items; -1 and -inf where there are fewer than k candidates.

    Raises
    ------
    UsageError
        Dimensions that do not agree, k below 1, or a vector that is not all numbers.
    """
    if queries.ndim != 2 or vectors.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise UsageError(
            f"queries {queries.shape} and vectors {vectors.shape} must be matrices with as many columns each"
        )
    if k < 1:
        raise UsageError(f"k={k} must be at least 1")
    n_queries, (n_items, dim) = len(queries), vectors.shape
    items = np.full((n_queries, k), -1, dtype=np.int64)
    best = np.full((n_queries, k), -np.inf, dtype=np.float32)
    block = max(1, min(BLOCK_VALUES // max(dim, 1), TILE_SCORES))
    for start in range(0, n_items, block):
        part = np.asarray(vectors[start : start + block], dtype=np.float32)
        rows = max(1, TILE_SCORES // len(part))
        for first in range(0, n_queries, rows):
            tile = slice(first, first + rows)
            scores = np.asarray(queries[tile], dtype=np.float32) @ part.T  # (rows, block)
            found, values = top_k(scores, min(k, len(part)), _part(candidates, tile, start, len(part)))
            # What was found so far has lower item numbers and stands first, so ties keep their order.
            known = np.concatenate([items[tile], np.where(found < 0, -1, found + start)], axis=1)
            picked, best[tile] = top_k(np.concatenate([best[tile], values], axis=1), k)
            items[tile] = np.where(picked < 0, -1, np.take_along_axis(known, np.maximum(picked, 0), axis=1))
    return items, best


def _part(candidates: BoolArray | None, queries: slice, start: int, length: int) -> BoolArray | None:
    if candidates is None:
        return None
    items = slice(start, start + length)
    return candidates[items] if candidates.ndim == 1 else candidates[queries, items]
