"""EASE: linear item-item weights that rebuild the log, with a zero diagonal, in closed form.

    min_B ‖X - X B‖² + λ ‖B‖²   subject to diag(B) = 0
    P = (XᵀX + λ I)⁻¹,   B_ji = -P_ji / P_ii for j ≠ i,   B_ii = 0
    x_ui = Σ_{j in P_u} B_ji

with X the binary matrix of who took what, shape (users, items).

Source: Steck 2019 (WWW), "Embarrassingly Shallow Autoencoders for Sparse Data".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from vasari.core.errors import DataError, UsageError
from vasari.models.base import Arrays, FloatArray
from vasari.models.item_weights import ItemWeights
from vasari.models.registry import register


@dataclass(frozen=True)
class EASESettings:
    """Settings of EASE.

    Attributes
    ----------
    l2
        λ, above 0.
    max_items
        Refuse logs with more works that somebody took: learning holds three square matrices of them in
        float64 (2.2 GiB for 10,000), the model keeps one in float32.
    """

    l2: float = 100.0
    max_items: int = 10_000

    def __post_init__(self) -> None:
        if self.l2 <= 0:
            raise UsageError(f"l2={self.l2} must be above 0, or the matrix has no inverse")
        if self.max_items < 1:
            raise UsageError(f"max_items={self.max_items} must be at least 1")


@register
class EASE(ItemWeights[EASESettings]):
    """Shallow linear autoencoder with a zero diagonal, solved at once.

    Works that nobody took score 0. That is exact, as their columns of B are 0, and not the least: weights
    can be negative, so a work that the profile speaks against stands below. `similar_items` shows B_ji, what
    having j adds to the score of i, which is not symmetric.

    Parameters
    ----------
    **settings
        Fields of `EASESettings`.
    """

    name = "EASE"
    Settings = EASESettings

    def _learn(self, log: sparse.csr_matrix) -> FloatArray:
        count, limit = log.shape[1], self.settings.max_items
        if count > limit:
            raise DataError(
                f"EASE would hold three matrices of {count} x {count} items with interactions, "
                f"{3 * 8 * count**2 / 2**30:.1f} GiB; max_items is {limit}. Use ItemKNN, whose memory grows "
                f"with the number of neighbours, or set max_items={count} on a machine with that memory"
            )
        gram = (log.T @ log).toarray().astype(np.float64)
        gram[np.diag_indices(count)] += self.settings.l2
        weights = np.linalg.inv(gram)
        weights /= -np.diag(weights).copy()  # the column of i by P_ii
        np.fill_diagonal(weights, 0.0)
        return np.asarray(weights, dtype=np.float32)

    def _arrays(self) -> Arrays:
        return {"weights": self.weights}

    def _restore(self, arrays: Arrays) -> None:
        self.weights = arrays["weights"].astype(np.float32)
