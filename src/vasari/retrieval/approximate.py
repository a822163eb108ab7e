"""Approximate nearest vectors by inner product: a graph that finds most of the best in little time.

The graph (HNSW; Malkov and Yashunin 2018) is usearch's. It is built for distances, which an inner product
is none of, so each vector gets one more entry, sqrt(M^2 - |v|^2) with M the largest norm, and each query a 0
there: all vectors then have one length, their products with queries are as before, and the order by product
is the order by distance (Bachrach et al. 2014, "Speeding up the Xbox recommender system"). The graph holds
them at length 1, in half precision and without the directions in which they hardly differ: a search spends
its time on reading vectors, and those of a network crowd into few directions. What the graph finds, more
than was asked for, is scored with the vectors as given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.core.errors import NotFoundError, UsageError
from vasari.retrieval.search import FloatArray, check_search, exact_top_k
from vasari.retrieval.topk import BoolArray, IntArray

BLOCK = 1 << 15  # vectors handed to the graph at a time
_FEW = 0.1  # below this share of candidates a graph of all items is mostly in the way
_SEEN = 0.9  # of the vectors' squared length lies in the directions that the graph sees
_SIDES = 16  # directions by whose sign vectors are put beside one another
_SPARE = 3  # times as many items as asked for are scored exactly


class ApproximateIndex:
    """Vectors behind a graph; what it finds is scored exactly, but it may miss some of the best.

    Parameters
    ----------
    vectors
        Finite, shape (items, dim); kept as they are, so a memory map stays on disk.
    connectivity, build_effort
        HNSW's M and efConstruction: a larger graph, built with more care, misses less and costs more.
    search_effort
        HNSW's ef: how many items a search keeps in sight. More find more, in more time.
    threads
        Threads that build. One gives the same graph every time; several give another one each time.

    Raises
    ------
    UsageError
        The vectors are no matrix of numbers.
    NotFoundError
        usearch is not installed.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.floating],
        connectivity: int = 24,
        build_effort: int = 200,
        search_effort: int = 128,
        threads: int = 1,
    ) -> None:
        if vectors.ndim != 2:
            raise UsageError(f"vectors {vectors.shape} must be a matrix, one row an item")
        self._vectors = vectors
        blocks = [slice(start, start + BLOCK) for start in range(0, len(vectors), BLOCK)]
        self._axes = _main_directions(vectors, blocks)
        self._graph = _graph(self._axes.shape[1] + 1, connectivity, build_effort, search_effort)
        longest, sides = 0.0, np.zeros(len(vectors), dtype=np.int64)
        for block in blocks:
            seen = self._seen(vectors[block])
            longest = max(longest, _lengths(seen).max())
            for direction in seen.T[:_SIDES]:
                sides[block] = 2 * sides[block] + (direction > 0)
        # What lies on the same sides is added, and then lies, together: a search reads on where it is.
        order = np.argsort(sides, kind="stable")
        for block in blocks:
            keys = order[block]
            scaled = self._seen(vectors[keys]).astype(np.float64) / (longest or 1.0)
            rest = np.sqrt(np.maximum(1 - np.square(scaled).sum(axis=1, keepdims=True), 0))  # (block, 1)
            longer = np.concatenate([scaled, rest], axis=1, dtype=np.float32)  # (block, directions + 1)
            self._graph.add(keys.astype(np.uint64), longer, threads=threads)

    def __len__(self) -> int:
        return len(self._vectors)

    def _seen(self, vectors: npt.NDArray[np.floating]) -> FloatArray:
        """What the graph sees of some vectors, shape (n, directions)."""
        return np.asarray(vectors, dtype=np.float32) @ self._axes

    def search(
        self, queries: npt.NDArray[np.floating], k: int, candidates: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Find about the k vectors with the highest inner product for each query.

        Parameters
        ----------
        queries, k, candidates
            As `vasari.retrieval.exact_top_k`. The graph knows no candidates: it is asked for more, and a
            query of which fewer than k are left, or that has few candidates anyway, is answered exactly.

        Returns
        -------
        As `vasari.retrieval.exact_top_k`; the scores are exact.

        Raises
        ------
        UsageError
            As `vasari.retrieval.exact_top_k`.
        """
        check_search(queries, self._vectors.shape, k, candidates)
        if not np.isfinite(queries).all():
            raise UsageError("a score is not a number; leave out vectors that are not all numbers")
        asked = np.asarray(queries, dtype=np.float32)
        items = np.full((len(asked), k), -1, dtype=np.int64)
        best = np.full((len(asked), k), -np.inf, dtype=np.float32)
        if not len(asked) or not len(self):
            return items, best
        if candidates is None:
            self._search(asked, k, None, np.arange(len(asked)), items, best)
            return items, best
        masks = np.broadcast_to(candidates, (len(asked), len(self)))
        counts = np.count_nonzero(candidates, axis=-1)
        shares = np.broadcast_to(counts / len(self), len(asked))
        usual = np.flatnonzero(shares >= _FEW)
        if len(usual):
            wanted = min(len(self), round(2 * k / float(shares[usual].min())))
            self._search(asked, wanted, masks, usual, items, best)
        short = (items >= 0).sum(axis=1) < np.minimum(k, np.broadcast_to(counts, len(asked)))
        for query in np.flatnonzero(short).tolist():
            self._search_exactly(asked, query, masks[query], items, best)
        return items, best

    def _search(
        self,
        queries: FloatArray,
        wanted: int,
        masks: BoolArray | None,
        rows: IntArray,
        items: IntArray,
        best: FloatArray,
    ) -> None:
        """Ask the graph about the queries `rows` and write what it finds into `items` and `best`."""
        seen = self._seen(queries[rows])
        units = np.zeros((len(rows), seen.shape[1] + 1), dtype=np.float32)
        units[:, :-1] = seen / np.maximum(_lengths(seen), np.finfo(np.float64).tiny)[:, None]
        # Waking other threads takes longer than one query.
        threads = 0 if len(rows) > 1 else 1
        found = self._graph.search(units, min(_SPARE * wanted, len(self)), threads=threads)
        # Where a part of the graph is cut off, fewer may be found, and junk stands behind.
        matches = zip(found.keys, found.counts, strict=True) if len(rows) > 1 else [(found.keys, None)]
        for row, (keys, count) in zip(rows.tolist(), matches, strict=True):
            near = np.sort(keys[:count]).astype(np.int64)  # equal scores come in the order of the items
            if masks is not None:
                near = near[masks[row, near]]
            scores = np.asarray(self._vectors[near], dtype=np.float32) @ queries[row]
            order = np.argsort(-scores, kind="stable")[: items.shape[1]]
            items[row, : len(order)], best[row, : len(order)] = near[order], scores[order]

    def _search_exactly(
        self, queries: FloatArray, query: int, mask: BoolArray, items: IntArray, best: FloatArray
    ) -> None:
        few = np.flatnonzero(mask)
        picked, scores = exact_top_k(queries[query : query + 1], self._vectors[few], items.shape[1])
        items[query], best[query] = np.where(picked[0] < 0, -1, few[picked[0]]), scores[0]


def _main_directions(vectors: npt.NDArray[np.floating], blocks: list[slice]) -> FloatArray:
    """Orthonormal directions that hold `_SEEN` of the vectors' squared length, shape (dim, directions).

    Raises
    ------
    UsageError
        A vector is not all numbers.
    """
    moment = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in blocks:
        part = np.asarray(vectors[block], dtype=np.float64)
        if not np.isfinite(part).all():
            raise UsageError("a vector is not all numbers; leave it out of the index")
        moment += part.T @ part
    strengths, axes = np.linalg.eigh(moment)  # ascending
    held = np.cumsum(strengths[::-1])
    directions = 1 + int(np.searchsorted(held, _SEEN * held[-1])) if len(held) else 0
    return np.ascontiguousarray(axes[:, ::-1][:, :directions], dtype=np.float32)


def _lengths(vectors: FloatArray) -> npt.NDArray[np.float64]:
    """Norms, shape (n,), of vectors however long or short."""
    return np.linalg.norm(vectors.astype(np.float64), axis=1)


def _graph(dim: int, connectivity: int, build_effort: int, search_effort: int) -> Any:
    try:
        from usearch.index import Index
    except ImportError:
        raise NotFoundError(
            "approximate search needs usearch; install vasari[ann], or search exactly with ExactIndex"
        ) from None
    return Index(
        ndim=dim,
        metric="ip",
        dtype="f16",
        connectivity=connectivity,
        expansion_add=build_effort,
        expansion_search=search_effort,
    )
