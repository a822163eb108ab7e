"""Principal components of features: a short input for training, folded back into a network's first layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn
from typing_extensions import Self

from vasari.core.seeds import generator
from vasari.models.bank import BLOCK, FeatureBank

SAMPLE = 8192  # items that the components are taken from
POWER = 0.25  # of its variance that each component is divided by: 0 leaves them as they are, 0.5 whitens


@dataclass(frozen=True, eq=False)
class Components:
    """The leading principal components c = (f - mean) A of scaled features f.

    A first layer W' c + b' is W f + b with W = W' A^T and b = b' - W mean, so that a network trained on
    components is a network of features like any other. What it saves is arithmetic and memory: a
    thousand or two features become some hundred numbers. What it changes is how learning sees them: each
    component is divided by the square root of its standard deviation, half way between leaving it and
    whitening. Loud directions of the pictures are not those that people care about most; gradient descent
    takes them for such. Dropout and L2 are of components, too.

    Attributes
    ----------
    mean
        Shape (dim,).
    axes
        A, shape (dim, count); of the components of the sample the mean square is 1.
    """

    mean: Tensor
    axes: Tensor

    @classmethod
    def fit(cls, bank: FeatureBank, count: int, seed: int) -> Self:
        """The first `count` components of a sample, or as many as there are.

        By a randomised decomposition (Halko, Martinsson and Tropp 2011): the eigenvectors of all features'
        covariance would take longer than training.
        """
        random = generator(seed, "components")
        some = np.sort(random.permutation(np.flatnonzero(bank.present))[:SAMPLE])
        features = bank.take(torch.from_numpy(some).to(bank.mean.device)).cpu()
        mean = features.mean(0)
        centred = (features - mean).numpy()
        _, lengths, axes = randomized_svd(
            centred, min(count, *centred.shape), n_iter=2, random_state=int(random.integers(2**31))
        )
        variances = np.maximum(np.square(lengths) / len(centred), np.finfo(np.float32).tiny)
        loudness = np.mean(variances ** (1 - 2 * POWER)) ** 0.5 if lengths[0] > 0 else 1.0
        scaled = axes.T * (variances**-POWER / loudness) * (lengths > 1e-6 * lengths[0])
        return cls(mean, torch.from_numpy(scaled.astype(np.float32)))

    def of(self, bank: FeatureBank) -> FeatureBank:
        """A bank of every item's components; items without a picture have none there either."""
        device = bank.mean.device
        mean, axes = self.mean.to(device), self.axes.to(device)
        held = np.flatnonzero(bank.present)
        matrix = np.empty((len(held), axes.shape[1]), dtype=np.float32)
        for start in range(0, len(held), BLOCK):
            block = torch.from_numpy(held[start : start + BLOCK]).to(device)
            matrix[start : start + BLOCK] = ((bank.take(block) - mean) @ axes).cpu().numpy()
        rows = np.full(len(bank), -1, dtype=np.int64)
        rows[held] = np.arange(len(held))
        return FeatureBank.fit(matrix, rows, "none").to(device)

    @torch.no_grad()
    def unfold(self, layer: nn.Linear) -> nn.Linear:
        """The first layer on features that equals a first layer on components."""
        axes, mean = self.axes.to(layer.weight), self.mean.to(layer.weight)
        wide = nn.Linear(len(axes), layer.out_features, device=layer.weight.device)
        wide.weight.copy_(layer.weight @ axes.T)
        wide.bias.copy_(layer.bias - wide.weight @ mean)
        return wide
