"""Batches of (user, positive, negative) for models of inner products: distinct rows, scores, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

IntArray = npt.NDArray[np.int64]


class Distinct:
    """Finds the distinct rows of a table among those of a batch, in time that the batch alone decides.

    Sorting them takes several times as long.

    Parameters
    ----------
    count
        Rows of the table.
    """

    def __init__(self, count: int) -> None:
        self._place = np.empty(count, dtype=np.int64)

    def __call__(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Each distinct row once, in the order of last places, and where each of `rows` is among them."""
        place, here = self._place, np.arange(len(rows))
        place[rows] = here  # where a row is repeated, the last one stays
        distinct = rows[place[rows] == here]
        place[distinct] = here[: len(distinct)]
        return distinct, place[rows]


class PairProducts(torch.autograd.Function):
    """Inner products of users with their positives and negatives.

    The gradient is a sparse matrix, users x items with an entry for each score, times either side: several
    times faster than adding up triples x width products, none of which is made.

    For the thousands of narrow rows that a batch of these models gathers. `vasari.models.dots.pair_dots` does
    the same in blocks, which pays for CuratorNet's large batches of wide rows and not here.
    """

    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, user: Tensor, positive: Tensor, negative: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores of positives and negatives, shape (triples,) each.

        Parameters
        ----------
        users, items
            Shape (m, width) and (n, width).
        user, positive, negative
            Rows of these, shape (triples,) each.
        """
        ctx.save_for_backward(users, items, user, positive, negative)
        mine = users.index_select(0, user)
        first, second = ((mine * items.index_select(0, side)).sum(1) for side in (positive, negative))
        return first, second

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of `users` and `items`."""
        users, items, user, positive, negative = ctx.saved_tensors
        places = torch.stack([user.repeat(2), torch.cat([positive, negative])])
        size = (len(users), len(items))
        entries = torch.sparse_coo_tensor(places, torch.cat(gradients), size, check_invariants=False)
        return entries @ items, entries.t() @ users, None, None, None
