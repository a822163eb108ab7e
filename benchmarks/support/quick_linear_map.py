"""The linear map that anybody would write in twenty minutes, to measure Vasari's against.

Shares no code with Vasari's. Factors of works by implicit-feedback least squares (Hu et al. 2008), dense and
by the book; scikit-learn's ridge from standardised features, its penalty by leave-one-out error. People keep
the factors that the works they took gave them; all works stand by their pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, NoSettings, Recommender
from vasari.models.registry import register

FACTORS, CONFIDENCE, PENALTY, ROUNDS = 16, 10.0, 1.0, 10


@register
class QuickLinearMap(Recommender[NoSettings]):
    """Ridge regression of collaborative factors on features."""

    name = "QuickLinearMap"
    Settings = NoSettings
    needs_features = True

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        seen = np.flatnonzero(inputs.rows >= 0)
        features = StandardScaler().fit_transform(inputs.table.matrix[inputs.rows[seen]].astype(np.float64))
        log = np.zeros((len(self.profiles), len(self.item_ids)))
        log[self.profiles.row_of_value, self.profiles.values] = 1
        taken = (log.sum(0) > 0)[seen]
        log = log[:, seen[taken]]
        works = np.random.default_rng(inputs.seed).normal(0, 0.1, (log.shape[1], FACTORS))
        for _ in range(ROUNDS):
            people = half_step(log, works)
            works = half_step(log.T, people)
        people = half_step(log, works)
        ridge = RidgeCV(np.logspace(1, 7, 13)).fit(features[taken], works)
        self.scores = np.zeros((len(people), len(self.item_ids)), np.float32)
        self.scores[:, seen] = people @ ridge.predict(features).T

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.scores[self.user_ids.rows([str(user) for user in user_ids])]

    def _arrays(self) -> Arrays:
        return {"scores": self.scores}

    def _restore(self, arrays: Arrays) -> None:
        self.scores = arrays["scores"]


def half_step(log: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Solve the weighted least squares of every row of a log of zeros and ones."""
    solved = []
    for row in log:
        confidence = 1 + CONFIDENCE * row
        normal = (others.T * confidence) @ others + PENALTY * np.eye(others.shape[1])
        solved.append(np.linalg.solve(normal, others.T @ (confidence * row)))
    return np.array(solved)
