"""A batch of training triples with its profiles stored once each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]

ARTIFICIAL = -1  # the user of a profile that nobody stands behind (CuratorNet's "fake" users)


@dataclass(frozen=True, eq=False)
class Triples:
    """Triples (profile, positive, negative): for that profile the positive should score higher.

    Attributes
    ----------
    profiles
        The distinct profiles of the batch, each once; item numbers are rows of the catalogue.
    profile
        Row in `profiles` of every triple, shape (triples,). Many triples share one profile, so the
        user tower runs once per distinct profile.
    positive, negative
        Item numbers, shape (triples,).
    user
        Row of the user behind the profile in the training histories, or `ARTIFICIAL`; shape (triples,).
    rule
        Number of the guideline as the paper counts them, 1 to 6, 0 for uniform negatives; shape (triples,).
    """

    profiles: Ragged
    profile: IntArray
    positive: IntArray
    negative: IntArray
    user: IntArray
    rule: IntArray

    def __len__(self) -> int:
        return len(self.positive)
