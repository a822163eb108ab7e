"""The truth behind simulated collectors: how much each would like each work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError
from vasari.core.files import read_json
from vasari.data.ids import Ids

SCORES_FILE = "preference.npy"
USERS_FILE = "preference_users.json"


@dataclass(frozen=True, eq=False)
class Preference:
    """What a simulator knows and no recommender may see; the Oracle ranks by it.

    Attributes
    ----------
    user_ids
        The simulated collectors, one per row of `scores`.
    scores
        Higher is liked more, shape (users, items), float32; columns are rows of the catalogue.
    """

    user_ids: Ids
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or len(self.scores) != len(self.user_ids):
            raise DataError(
                f"preference scores have shape {self.scores.shape} for {len(self.user_ids)} users; "
                f"one row per user and one column per item are needed"
            )

    def write(self, scores: str | Path, users: str | Path) -> None:
        """Write the matrix (.npy) and the user ids (.json) to these two paths."""
        with Path(scores).open("wb") as stream:
            np.save(stream, np.asarray(self.scores, dtype=np.float32), allow_pickle=False)
        Path(users).write_text(json.dumps(list(self.user_ids), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Preference:
        """Read `preference.npy` (memory-mapped) and `preference_users.json` of a dataset folder."""
        scores = np.load(Path(folder) / SCORES_FILE, mmap_mode="r", allow_pickle=False)
        return cls(Ids(read_json(Path(folder) / USERS_FILE), what="user_id"), scores)
