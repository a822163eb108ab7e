"""Small models whose right place in a comparison is known, registered for the tests that name them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from vasari.core.seeds import generator
from vasari.models.base import Recommender

FITTED_ON = []  # every dataset that a `Noisy` was fitted on


@dataclass(frozen=True)
class NoisySettings:
    noise: float = 0.0
    sign: int = 1
    words: tuple[str, ...] = ("one",)


class Noisy(Recommender[NoisySettings]):
    """Popularity with noise: the more of it, the worse."""

    name = "Noisy"
    Settings = NoisySettings
    personal = False

    def _fit(self, inputs):
        FITTED_ON.append(inputs.data)
        self.seed = inputs.seed

    def _score(self, profiles, user_ids, guests):
        rows = []
        for profile in profiles:
            random = generator(self.seed, "noise", zlib.crc32(profile.tobytes()))
            rows.append(
                self.settings.sign * self.popularity
                + self.settings.noise * random.normal(size=len(self.item_ids))
            )
        return np.stack(rows).astype(np.float32)

    def _arrays(self):
        return {}

    def _restore(self, arrays):
        pass
