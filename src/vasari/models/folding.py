"""Vectors of visitors whom training did not know, found with everything else frozen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vasari.core.seeds import generator
from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]

NEGATIVES = 256  # works that stand for all that a visitor did not choose
STEPS = 200
TILE = 1 << 21  # pairs of a profile's work and a negative looked at together


@torch.inference_mode()
def fold_in(vectors: Tensor, profiles: Ragged, pool: IntArray, regularisation: float) -> Tensor:
    r"""Find the user vectors that BPR would learn for some profiles, the vectors of works being as they are.

    theta = argmin  mean over l in P, j in J \ P of -ln sigma(theta . (v_l - v_j)) + lambda/2 ||theta||^2,

    where J are 256 works of `pool` drawn once for all visitors. The problem is convex: 200 steps of
    Nesterov's accelerated gradient descent, each profile with the step size that its own vectors allow, so
    that the answer to a profile does not depend on those asked beside it.

    Parameters
    ----------
    vectors
        Shape (n, dim).
    profiles
        Rows of `vectors`. An empty profile gives zeros.
    pool
        Rows of `vectors` that negatives are drawn from.
    regularisation
        lambda, >= 0.

    Returns
    -------
    Shape (profiles, dim).
    """
    drawn = np.sort(generator(0, "fold in").permutation(pool)[:NEGATIVES])
    parts = [
        _descend(vectors, profiles.slice(first, last), drawn, regularisation)
        for first, last in profiles.tiles(TILE // max(len(drawn), 1))
    ]
    return torch.cat([vectors[:0], *parts])


def _descend(vectors: Tensor, profiles: Ragged, drawn: IntArray, regularisation: float) -> Tensor:
    owner = torch.from_numpy(profiles.row_of_value).to(vectors.device)
    offsets = torch.from_numpy(profiles.offsets[:-1].copy()).to(vectors.device)
    order = torch.arange(len(owner), device=vectors.device)
    chosen = vectors[torch.from_numpy(profiles.values).to(vectors.device)]  # (members, dim)
    others = vectors[torch.from_numpy(drawn).to(vectors.device)]  # (negatives, dim)
    weight = torch.from_numpy(_absent(profiles, drawn)).to(vectors)[owner]  # (members, negatives)
    reach = F.embedding_bag(order, chosen.norm(dim=1, keepdim=True), offsets, mode="max")  # (profiles, 1)
    longest = others.norm(dim=1).max() if len(others) else 0.0
    step = 1 / (regularisation + (reach + longest).square() / 4).clamp(min=1e-12)
    # Momentum for a curvature of at least lambda; where that is 0, the schedule without one.
    steep = (regularisation * step).sqrt()
    theta = ahead = vectors.new_zeros(len(profiles), vectors.shape[1])
    for number in range(STEPS):
        gaps = (ahead @ others.T)[owner] - (chosen * ahead[owner]).sum(1, keepdim=True)
        pull = torch.sigmoid(gaps) * weight  # (members, negatives)
        slopes = pull @ others - pull.sum(1, keepdim=True) * chosen
        gradient = F.embedding_bag(order, slopes, offsets, mode="mean") + regularisation * ahead
        last, theta = theta, ahead - step * gradient
        momentum = ((1 - steep) / (1 + steep)).clamp(max=number / (number + 3))
        ahead = theta + momentum * (theta - last)
    return theta


def _absent(profiles: Ragged, drawn: IntArray) -> npt.NDArray[np.float64]:
    """Weight of every negative for every profile, shape (profiles, negatives): rows sum to 1, own works 0."""
    absent = np.ones((len(profiles), len(drawn)))
    place = np.searchsorted(drawn, profiles.values)
    own = np.append(drawn, -1)[place] == profiles.values
    absent[profiles.row_of_value[own], place[own]] = 0.0
    return absent / np.maximum(absent.sum(1, keepdims=True), 1.0)
