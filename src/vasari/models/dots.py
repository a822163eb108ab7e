"""Inner products of many pairs of rows, without a copy of two rows for every pair."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor


def pair_dots(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Inner products ``left[rows[n]] @ right[columns[n]]``, shape (pairs,), with gradients.

    A batch of triples has far more pairs than distinct profiles and works. Gathered, the rows of all pairs
    cost more on a CPU than both towers together: they leave the cache, and their gradients are added up one
    by one. Here the pairs are the entries of a sparse matrix: a score is one entry of the product of both
    sides at these places, and a row's gradient is one weighted sum of rows of the other side. A graphics card
    multiplies both sides whole, unless the rows of all pairs are less than that.

    Parameters
    ----------
    left, right
        Shapes (n, dim) and (m, dim).
    rows, columns
        Rows of `left` and of `right`, int64, shape (pairs,) each; repeats allowed.
    """
    if left.device.type != "cpu":
        if len(left) * len(right) <= len(rows) * left.shape[1]:  # what all pairs would copy
            return (left @ right.T).flatten().gather(0, rows * len(right) + columns)
        return (F.embedding(rows, left) * F.embedding(columns, right)).sum(1)
    dots: Tensor = _PairDots.apply(left, right, rows, columns)
    return dots


def cosines(vectors: Tensor, items: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float32]:
    """Cosine of some rows of `vectors` to its first `count` rows, shape (len(items), count); 0 for zero rows.

    Parameters
    ----------
    vectors
        Shape (count or more, dim): the catalogue's, then those of guests.
    items
        Rows of `vectors`.
    """
    unit = F.normalize(vectors, dim=1)
    return (unit[torch.from_numpy(items)] @ unit[:count].T).numpy()


class _PairDots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        order, starts = _grouped(rows, len(left))
        ctx.save_for_backward(left, right, rows, columns, order, starts)
        if len(rows) > len(left) * len(right):  # torch's sparse matrices hold no more
            return (left @ right.T)[rows, columns]
        places = _zeros_at(starts, columns.index_select(0, order), len(right), left.dtype)
        torch.sparse.sampled_addmm(places, left, right.T, beta=0.0, out=places)
        return torch.empty(len(rows), dtype=left.dtype).index_copy_(0, order.long(), places.values())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        left, right, rows, columns, order, starts = ctx.saved_tensors
        (weights,) = gradients
        to_left = to_right = None
        if ctx.needs_input_grad[0]:
            to_left = _weighted_sums(right, columns, weights, order, starts)
        if ctx.needs_input_grad[1]:
            to_right = _weighted_sums(left, rows, weights, *_grouped(columns, len(right)))
        return to_left, to_right, None, None


def _grouped(groups: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Pairs by group, in their order within each, shape (pairs,), and where each group starts, (count + 1,).

    By counting, as a sparse matrix with an entry a row is transposed: several times as fast as sorting.
    """
    pairs = len(groups)
    ones = csr_array((np.ones(pairs, np.int8), groups.numpy(), np.arange(pairs + 1)), shape=(pairs, count))
    by_group = ones.tocsc()
    return torch.from_numpy(by_group.indices), torch.from_numpy(by_group.indptr)


def _weighted_sums(vectors: Tensor, at: Tensor, weights: Tensor, order: Tensor, starts: Tensor) -> Tensor:
    """For each group of pairs, the sum of their weights times their vectors, shape (groups, dim)."""
    return F.embedding_bag(
        at.index_select(0, order).to(starts),
        vectors,
        starts,
        mode="sum",
        per_sample_weights=weights.index_select(0, order),
        include_last_offset=True,
    )


def _zeros_at(starts: Tensor, columns: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """A sparse matrix (rows, width) of zeros; `columns` of a row may stand in any order, repeats allowed."""
    _hear_once()
    size, zeros = (len(starts) - 1, width), torch.zeros(len(columns), dtype=dtype)
    return torch.sparse_csr_tensor(starts, columns.to(starts), zeros, size, check_invariants=False)


@functools.cache
def _hear_once() -> None:
    """Let torch say, once for all and to nobody, that its sparse matrices are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0], [], [], (0, 0), check_invariants=False)
