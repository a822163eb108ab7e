"""Layers whose CPU versions in torch cost more than the products around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

FloatArray = npt.NDArray[np.float32]

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU (Klambauer et al. 2017)
BLOCK = 1 << 19  # numbers that are dropped at once: their random bytes and factors stay in the cache
LEVELS = 256  # values of a random byte


def selu(inputs: Tensor) -> Tensor:
    """SELU in float32, elementwise: scale * x above zero, scale * alpha * (exp(x) - 1) below.

    On a CPU torch computes exp(x) - 1 by expm1, at several times the price of exp; the difference, about 1e-7
    near zero, is that of any sum of floats.
    """
    inputs = inputs.float()
    if inputs.device.type != "cpu":
        return F.selu(inputs)
    outputs: Tensor = _Selu.apply(inputs)
    return outputs


def selu_array(inputs: FloatArray) -> FloatArray:
    """As `selu`, of an array."""
    below = np.exp(np.minimum(inputs, 0)) - 1
    return np.asarray(SCALE * (np.maximum(inputs, 0) + ALPHA * below), dtype=np.float32)


class _Selu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        outputs = inputs.clamp_max(0).exp_().sub_(1).mul_(SCALE * ALPHA)
        outputs.add_(inputs.clamp_min(0), alpha=SCALE)
        ctx.save_for_backward(outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (outputs,) = ctx.saved_tensors
        (gradient,) = gradients
        slope = torch.ops.aten.elu_backward(gradient, ALPHA, SCALE, 1, True, outputs)
        assert isinstance(slope, Tensor)
        return slope


def drop_(features: Tensor, share: float) -> Tensor:
    """Dropout in place, of numbers that are not learnt: a share becomes zero, the others grow in return.

    On a CPU one random byte decides for each number, so that `share` is rounded to a 256th; torch draws a
    Bernoulli variable for each, which takes longer than the first layer of a network.

    Parameters
    ----------
    features
        Shape (n, dim), contiguous; no gradient comes back through them.
    share
        In [0, 1).
    """
    if features.device.type != "cpu":
        return F.dropout(features, share, inplace=True)
    dropped = min(round(share * LEVELS), LEVELS - 1)
    if dropped == 0:
        return features
    numbers = features.view(-1)
    words = torch.empty(BLOCK // 8, dtype=torch.int64)
    factors = torch.empty(BLOCK)
    for part in torch.split(numbers, BLOCK):
        words.random_(-(2**63), None)  # all 64 bits
        kept = factors[: len(part)]
        torch.ge(words.view(torch.uint8)[: len(part)], dropped, out=kept)
        part.mul_(kept.mul_(LEVELS / (LEVELS - dropped)))
    return features
