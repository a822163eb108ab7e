"""Popularity: how often a work was taken, the same for everybody."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, NoSettings, Recommender
from vasari.models.registry import register


@register
class Popularity(Recommender[NoSettings]):
    """x_ui = number of users who took i in the training log. Works never taken tie at zero."""

    name = "Popularity"
    Settings = NoSettings
    personal = False

    def _fit(self, inputs: FitInputs) -> None:
        """Everything needed was counted by the base class."""

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return np.tile(self.popularity, (len(profiles), 1))

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None:
        """Nothing beyond what the base class restores."""
