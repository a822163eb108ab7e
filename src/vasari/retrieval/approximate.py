"""Approximate nearest vectors by inner product: a graph that finds most of the best in little time.

The graph (HNSW; Malkov and Yashunin 2018) is usearch's. It is built for distances, which an inner product
is none of, so each vector gets one more entry, sqrt(M^2 - |v|^2) with M the largest norm, and each query a 0
there: all vectors then have one length, their products with queries are as before, and the order by product
is the order by distance (Bachrach et al. 2014, "Speeding up the Xbox recommender system"). The graph holds
them at length 1 and in half precision; what it finds is scored with the vectors as given.
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
        build_effort: int = 256,
        search_effort: int = 160,
        threads: int = 1,
    ) -> None:
        if vectors.ndim != 2:
            raise UsageError(f"vectors {vectors.shape} must be a matrix, one row an item")
        self._vectors = vectors
        self._graph = _graph(vectors.shape[1] + 1, connectivity, build_effort, search_effort)
        blocks = [slice(start, start + BLOCK) for start in range(0, len(vectors), BLOCK)]
        lengths = [np.linalg.norm(np.asarray(vectors[block], dtype=np.float64), axis=1) for block in blocks]
        longest = max((part.max() for part in lengths), default=0.0)
        if not np.isfinite(longest):
            raise UsageError("a vector is not all numbers; leave it out of the index")
        for block, length in zip(blocks, lengths, strict=True):
            scale = longest or 1.0
            rest = np.sqrt(1 - np.square(length / scale))[:, None]  # (block, 1)
            longer = np.concatenate(
                [vectors[block] / scale, rest], axis=1, dtype=np.float32
            )  # (block, dim + 1)
            keys = np.arange(block.start, block.start + len(longer), dtype=np.uint64)
            self._graph.add(keys, longer, threads=threads)

    def __len__(self) -> int:
        return len(self._vectors)

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
        asked = queries[rows]
        lengths = np.linalg.norm(asked, axis=1, keepdims=True)
        units = np.zeros((len(rows), asked.shape[1] + 1), dtype=np.float32)
        np.divide(asked, lengths, out=units[:, :-1], where=lengths > 0)
        # Waking other threads takes longer than one query.
        found = self._graph.search(units, min(wanted, len(self)), threads=0 if len(rows) > 1 else 1)
        keys = found.keys.reshape(len(rows), -1).astype(np.int64)  # (rows, wanted)
        if len(rows) > 1:  # where a part of the graph is cut off, fewer may be found, and junk stands behind
            keys[np.arange(keys.shape[1]) >= found.counts[:, None]] = len(self)
        keys.sort(axis=1)  # equal scores come in the order of the items
        known = keys < len(self)
        keys[~known] = 0
        vectors = np.asarray(self._vectors[keys], dtype=np.float32)  # (rows, wanted, dim)
        scores = np.matmul(vectors, asked[:, :, None])[:, :, 0]  # (rows, wanted)
        if masks is not None:
            known &= masks[rows[:, None], keys]
        scores[~known] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, : items.shape[1]]
        lines = np.arange(len(rows))[:, None]
        values = scores[lines, order]
        items[rows, : order.shape[1]] = np.where(values > -np.inf, keys[lines, order], -1)
        best[rows, : order.shape[1]] = values

    def _search_exactly(
        self, queries: FloatArray, query: int, mask: BoolArray, items: IntArray, best: FloatArray
    ) -> None:
        few = np.flatnonzero(mask)
        picked, scores = exact_top_k(queries[query : query + 1], self._vectors[few], items.shape[1])
        items[query], best[query] = np.where(picked[0] < 0, -1, few[picked[0]]), scores[0]


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
