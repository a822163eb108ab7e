"""ItemKNN: works that the same people took, by the cosine of the columns of the log.

    s_ji = n_ji / (√n_j √n_i + h),   j ≠ i
    W_ji = s_ji if i is among the K works most similar to j, else 0
    x_ui = Σ_{j in P_u} W_ji

with n_j the number of users who took j and n_ji of those who took both.

Sources: Sarwar et al. 2001 (WWW), cosine between items; Deshpande & Karypis 2004 (TOIS 22:1), the K nearest
of every work of the profile, summed. The shrinkage h, which pulls down similarities that rest on few people,
is a common addition; h = 0 is the plain cosine. The neighbours of a work are not scaled to one sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.models.base import Arrays, IntArray
from vasari.models.item_weights import ItemWeights
from vasari.models.registry import register

BLOCK = 1 << 20  # pairs of works counted at a time


@dataclass(frozen=True)
class ItemKNNSettings:
    """Settings of ItemKNN.

    Attributes
    ----------
    neighbours
        K, how many of the most similar works are kept for each.
    shrinkage
        h, at least 0.
    """

    neighbours: int = 100
    shrinkage: float = 10.0

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise UsageError(f"neighbours={self.neighbours} must be at least 1")
        if self.shrinkage < 0:
            raise UsageError(f"shrinkage={self.shrinkage} must be at least 0")


@register
class ItemKNN(ItemWeights[ItemKNNSettings]):
    """Item-based nearest neighbours; memory grows with works x `neighbours`, never works x works.

    Works that nobody took score 0, which is the least that any work can score. `similar_items` shows s_ji
    of the K nearest; all others stand at 0.

    Parameters
    ----------
    **settings
        Fields of `ItemKNNSettings`.
    """

    name = "ItemKNN"
    Settings = ItemKNNSettings

    def _learn(self, log: sparse.csr_matrix) -> Any:
        count, settings = log.shape[1], self.settings
        norms = np.sqrt(np.asarray(log.sum(axis=0), dtype=np.float64).reshape(-1))
        # Ties at the K-th place are broken by lot: by the order of the catalogue, which often follows
        # popularity, the popular would be everybody's neighbours.
        lot = generator(self.seed, "ties of neighbours").permutation(count)
        by_item = log.T.tocsr()
        rows, columns, values = [], [], []
        for start, stop in _blocks(log):
            both = (by_item[start:stop] @ log).tocoo()  # (stop - start, taken): n_ji
            row, column = both.row.astype(np.int64) + start, both.col.astype(np.int64)
            other = row != column
            row, column, together = row[other], column[other], both.data[other].astype(np.float64)
            similar = together / (norms[row] * norms[column] + settings.shrinkage)
            order = np.lexsort((lot[column], -similar, row))
            starts = np.searchsorted(row[order], np.arange(start, stop))
            place = np.arange(len(order)) - starts[row[order] - start]
            kept = order[place < settings.neighbours]
            rows.append(row[kept])
            columns.append(column[kept])
            values.append(similar[kept].astype(np.float32))
        where = (np.concatenate(rows), np.concatenate(columns))
        weights = sparse.csr_matrix((np.concatenate(values), where), shape=(count, count))
        weights.sort_indices()
        return weights

    def _arrays(self) -> Arrays:
        return {
            "weights": self.weights.data,
            "neighbours": self.weights.indices.astype(np.int64),
            "offsets": self.weights.indptr.astype(np.int64),
        }

    def _restore(self, arrays: Arrays) -> None:
        parts = (arrays["weights"], arrays["neighbours"], arrays["offsets"])
        self.weights = sparse.csr_matrix(parts, shape=(len(self.taken), len(self.taken)))


def _blocks(log: sparse.csr_matrix) -> Iterator[tuple[int, int]]:
    """Runs of works whose takers together took about `BLOCK` works (or one work)."""
    sizes = np.diff(log.indptr).astype(np.float64)
    pairs: IntArray = np.cumsum(log.T @ sizes).astype(np.int64)
    start = 0
    while start < len(pairs):
        done = pairs[start - 1] if start else 0
        stop = max(int(np.searchsorted(pairs, done + BLOCK, side="right")), start + 1)
        yield start, stop
        start = stop
