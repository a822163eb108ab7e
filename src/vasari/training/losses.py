"""Losses on pairs of scores: each takes the scores of positives and negatives, shape (triples,)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vasari.core.errors import NotFoundError

PairLoss = Callable[[Tensor, Tensor], Tensor]


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of -ln sigma(x_ui - x_uj) (Rendle et al. 2009; Messina et al. 2020 with c = 1)."""
    return F.softplus(negative - positive).mean()


def bpr_sum(positive: Tensor, negative: Tensor) -> Tensor:
    """Sum of -ln sigma(x_ui - x_uj): the tutorial's BCEWithLogitsLoss(reduction="sum") with target 1."""
    return F.softplus(negative - positive).sum()


def hinge(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of max(0, 1 - (x_ui - x_uj))."""
    return F.relu(1 - (positive - negative)).mean()


def top1(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of sigma(x_uj - x_ui) + sigma(x_uj^2) (Hidasi et al. 2016)."""
    return (torch.sigmoid(negative - positive) + torch.sigmoid(negative.square())).mean()


LOSSES: dict[str, PairLoss] = {"bpr": bpr, "bpr-sum": bpr_sum, "hinge": hinge, "top1": top1}


def pair_loss(loss: str | PairLoss) -> PairLoss:
    """A loss by its name, or the given function itself.

    Raises
    ------
    NotFoundError
        No loss of that name.
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise NotFoundError(f"there is no loss {loss!r}; choose one of {sorted(LOSSES)} or pass a function")
    return LOSSES[loss]
