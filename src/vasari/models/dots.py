"""Inner products of many pairs of rows, without a copy of two rows for every pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 512  # pairs gathered at once: few enough to stay in the processor's cache


def pair_dots(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Inner products ``left[rows[n]] @ right[columns[n]]``, shape (pairs,), with gradients.

    A batch of triples has far more pairs than distinct profiles and works. Gathered at once, the rows of all
    pairs cost more on a CPU than both towers together: they leave the cache, and their gradients are added
    up one by one. Here rows are gathered in blocks, and a row's gradient is one weighted sum. For small
    batches of narrow rows see `vasari.models.pairs`.

    Parameters
    ----------
    left, right
        Shapes (n, dim) and (m, dim).
    rows, columns
        Rows of `left` and of `right`, int64, shape (pairs,) each; repeats allowed.
    """
    if left.device.type != "cpu":  # there, gathering is cheap
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
        ctx.save_for_backward(left, right, rows, columns)
        dots = left.new_empty(len(rows))
        matrices, numbers, out = (left.numpy(), right.numpy()), (rows.numpy(), columns.numpy()), dots.numpy()
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            a, b = (matrix[at[part]] for matrix, at in zip(matrices, numbers, strict=True))  # (BLOCK, dim)
            np.einsum("nd,nd->n", a, b, out=out[part])
        return dots

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        left, right, rows, columns = ctx.saved_tensors
        (weights,) = gradients
        to_left = _weighted_sums(right, columns, weights, rows, len(left))
        to_right = _weighted_sums(left, rows, weights, columns, len(right))
        return to_left, to_right, None, None


def _weighted_sums(vectors: Tensor, at: Tensor, weights: Tensor, groups: Tensor, count: int) -> Tensor:
    """For each group of pairs, the sum of their weights times their vectors, shape (count, dim)."""
    ordered, order = torch.sort(groups, stable=True)
    starts = torch.searchsorted(ordered, torch.arange(count + 1))
    return F.embedding_bag(
        at[order],
        vectors,
        starts,
        mode="sum",
        per_sample_weights=weights[order],
        include_last_offset=True,
    )
