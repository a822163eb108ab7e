"""Random: the floor that every table needs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from vasari.core.seeds import generator
from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, NoSettings, Recommender
from vasari.models.registry import register


@register
class Random(Recommender[NoSettings]):
    """x_ui uniform in [0, 1), fixed by the seed and the profile, so that one question has one answer."""

    name = "Random"
    Settings = NoSettings
    personal = False

    def _fit(self, inputs: FitInputs) -> None:
        self.seed = inputs.seed

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        rows = [
            generator(self.seed, "random scores", zlib.crc32(profile.tobytes()))
            .random(len(self.item_ids))
            .astype(np.float32)
            for profile in profiles
        ]
        return np.stack(rows) if rows else np.empty((0, len(self.item_ids)), np.float32)

    def _arrays(self) -> Arrays:
        return {"seed": np.array([self.seed])}

    def _restore(self, arrays: Arrays) -> None:
        self.seed = int(arrays["seed"][0])
