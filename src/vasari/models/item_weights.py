"""Models whose score is a sum of item-item weights over the profile.

    x_ui = Σ_{j in P_u} W_ji

Only works that somebody took have weights. The others have nothing to be counted from: they score 0 for
every profile, and where they stand in one they add nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.models.base import FitInputs, FloatArray, IntArray, Recommender

S = TypeVar("S")


class ItemWeights(Recommender[S]):
    """Scores any profile, of whomever: there is nothing about users in the model.

    A subclass learns the weights in `_learn`, dense or sparse, over the works that somebody took.
    """

    # (taken, taken), an array or a scipy.sparse.csr_matrix, which carries no types; row j holds what j in a
    # profile says of every work
    weights: Any

    @abstractmethod
    def _learn(self, log: sparse.csr_matrix) -> Any:
        """Weights of shape (taken, taken) from the binary matrix of who took what, (users, taken)."""

    def _fit(self, inputs: FitInputs) -> None:
        self.seed = inputs.seed
        self.weights = self._learn(self._indicator(self.profiles))

    @property
    def taken(self) -> IntArray:
        """Rows of the works with at least one interaction, ascending, shape (taken,)."""
        return np.flatnonzero(self.popularity > 0)

    def _places(self, items: IntArray) -> IntArray:
        """Number of each item among the taken works, -1 if nobody took it (or it is a guest)."""
        taken = self.taken
        places = np.minimum(np.searchsorted(taken, items), len(taken) - 1)
        return np.where(taken[places] == items, places, -1)

    def _indicator(self, profiles: Ragged) -> sparse.csr_matrix:
        """Profiles as a binary matrix, shape (profiles, taken)."""
        places = Ragged(self._places(profiles.values), profiles.offsets)
        kept = places.where(places.values >= 0)
        ones = np.ones(len(kept.values), dtype=np.float32)
        return sparse.csr_matrix((ones, kept.values, kept.offsets), shape=(len(profiles), len(self.taken)))

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        scores = np.zeros((len(profiles), len(self.item_ids)), dtype=np.float32)
        scores[:, self.taken] = _dense(self._indicator(profiles) @ self.weights)
        return scores

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """What each item says of every item, shape (len(items), items)."""
        places = self._places(items)
        if (places < 0).any():
            item = self.item_ids[int(items[places < 0][0])]
            raise UsageError(
                f"nobody took item_id {item!r} in the training log, so {self.name} cannot say what is "
                f"similar; use a model that looks at pictures"
            )
        similar = np.zeros((len(items), len(self.item_ids)), dtype=np.float32)
        similar[:, self.taken] = _dense(self.weights[places])
        return similar

    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """Exact: the terms W_ji of the sum, shape (items, profile); rows sum to the score."""
        of_profile, of_items = self._places(profile), self._places(items)
        terms = _dense(self.weights[np.maximum(of_profile, 0)][:, np.maximum(of_items, 0)]).T
        return np.where((of_items[:, None] >= 0) & (of_profile >= 0), terms, np.float32(0))


def _dense(matrix: Any) -> FloatArray:
    array: FloatArray = np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float32)
    return array
