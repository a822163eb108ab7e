"""Exact nearest vectors by inner product, in tiles: the default search and the truth for any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from vasari.core.errors import UsageError
from vasari.retrieval.topk import BoolArray, IntArray, top_k

FloatArray = npt.NDArray[np.float32]

TILE_SCORES = 1 << 19  # scores held at a time: 2 MiB of float32; less means more merging than the cache saves
TILE_ROWS = 256  # queries at a time, so that a tile is wide enough for a fast product
FIRST_COLUMNS = 512  # the first tiles are narrow: they set the bar that most later scores fail
BLOCK_VALUES = 1 << 23  # vector entries held at a time as float32: 32 MiB


def exact_top_k(
    queries: npt.NDArray[np.floating],
    vectors: npt.NDArray[np.floating],
    k: int,
    candidates: BoolArray | None = None,
) -> tuple[IntArray, FloatArray]:
    """Find the k vectors with the highest inner product for each query.

    Vectors are read block by block, so a memory-mapped float16 matrix of any length does; memory is
    bounded by the tiles and the answer, never queries x vectors. Whoever asks often about vectors that
    fit into memory builds an `ExactIndex`.

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
    check_search(queries, vectors.shape, k, candidates)
    return _search(queries, _transposed_blocks(vectors), k, candidates)


class ExactIndex:
    """Vectors in memory, laid out so that one query reads them as fast as the memory gives them.

    Blocks of vectors lie transposed: a product with one query then adds up whole columns, which BLAS does
    at the speed of memory, where a product with rows of some hundred entries needs up to twice the time.

    Parameters
    ----------
    vectors
        Shape (items, dim); kept as float32.
    """

    def __init__(self, vectors: npt.NDArray[np.floating]) -> None:
        if vectors.ndim != 2:
            raise UsageError(f"vectors {vectors.shape} must be a matrix, one row an item")
        self.shape: tuple[int, int] = vectors.shape
        self._blocks = [np.ascontiguousarray(block) for block in _transposed_blocks(vectors)]

    def search(
        self, queries: npt.NDArray[np.floating], k: int, candidates: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Find the k vectors with the highest inner product for each query; see `exact_top_k`."""
        check_search(queries, self.shape, k, candidates)
        return _search(queries, self._blocks, k, candidates)


def check_search(
    queries: npt.NDArray[np.floating], shape: tuple[int, ...], k: int, candidates: BoolArray | None
) -> None:
    """Refuse what does not fit vectors of `shape`; see `exact_top_k`."""
    if queries.ndim != 2 or len(shape) != 2 or queries.shape[1] != shape[1]:
        raise UsageError(
            f"queries {queries.shape} and vectors {shape} must be matrices with as many columns each"
        )
    if k < 1:
        raise UsageError(f"k={k} must be at least 1")
    if candidates is not None and candidates.shape not in {(shape[0],), (len(queries), shape[0])}:
        raise UsageError(
            f"candidates {candidates.shape} must be ({shape[0]},) or ({len(queries)}, {shape[0]}): "
            f"one truth value an item"
        )


def _transposed_blocks(vectors: npt.NDArray[np.floating]) -> Iterator[FloatArray]:
    size = max(1, BLOCK_VALUES // max(vectors.shape[1], 1))
    for start in range(0, len(vectors), size):
        yield np.asarray(vectors[start : start + size], dtype=np.float32).T  # (dim, block)


def _search(
    queries: npt.NDArray[np.floating],
    blocks: Iterable[FloatArray],
    k: int,
    candidates: BoolArray | None,
) -> tuple[IntArray, FloatArray]:
    n_queries = len(queries)
    asked = np.asarray(queries, dtype=np.float32)
    items = np.full((n_queries, k), -1, dtype=np.int64)
    best = np.full((n_queries, k), -np.inf, dtype=np.float32)
    rows = max(1, min(n_queries, TILE_ROWS, TILE_SCORES))
    scratch = np.empty(max(rows, TILE_SCORES), dtype=np.float32)
    start, columns = 0, FIRST_COLUMNS
    for block in blocks:
        left = 0
        while left < block.shape[1]:
            columns = min(columns, max(1, TILE_SCORES // rows))
            part = block[:, left : left + columns]  # (dim, columns)
            for first in range(0, n_queries, rows):
                tile = slice(first, first + rows)
                shape = len(asked[tile]), part.shape[1]
                scores = np.matmul(asked[tile], part, out=scratch[: shape[0] * shape[1]].reshape(shape))
                allowed = _part(candidates, tile, start + left, part.shape[1])
                _merge(items[tile], best[tile], scores, allowed, start + left)
            left += part.shape[1]
            columns *= 2
        start += block.shape[1]
    return items, best


def _merge(
    items: IntArray, best: FloatArray, scores: FloatArray, allowed: BoolArray | None, start: int
) -> None:
    """Let the scores of the items from `start` on into the best so far, in place."""
    if np.isnan(scores.max()):
        raise UsageError("a score is not a number; leave out vectors that are not all numbers")
    # Only what beats the k-th best can enter: an equal score of a later item stands behind.
    better = scores > best[:, -1:]
    if allowed is not None:
        better &= allowed
    row, column = np.divmod(np.flatnonzero(better), better.shape[1])
    if not len(row):
        return
    counts = np.bincount(row, minlength=len(scores))
    rows, width = np.flatnonzero(counts), int(counts.max())
    # What enters stands side by side behind what was found so far: shape (rows, k + width). That has lower
    # item numbers, so ties keep their order.
    k = best.shape[1]
    known = np.pad(items[rows], ((0, 0), (0, width)), constant_values=-1)
    values = np.pad(best[rows], ((0, 0), (0, width)), constant_values=-np.inf)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
    line = np.repeat(np.arange(len(rows)), counts[rows])
    known[line, k + place] = column + start
    values[line, k + place] = scores[row, column]
    picked, best[rows] = top_k(values, k)
    items[rows] = np.where(picked < 0, -1, np.take_along_axis(known, np.maximum(picked, 0), axis=1))


def _part(candidates: BoolArray | None, queries: slice, start: int, length: int) -> BoolArray | None:
    if candidates is None:
        return None
    items = slice(start, start + length)
    return candidates[items] if candidates.ndim == 1 else candidates[queries, items]
