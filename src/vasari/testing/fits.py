"""One model fitted once and asked by many checks."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vasari.data.dataset import Dataset
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models.base import FloatArray, Recommender
from vasari.testing.galleries import style_gallery

Make = Callable[[], Recommender[Any]]
Gallery = Callable[[Path | None], tuple[Dataset, FeatureTable]]  # given a folder for pictures, or None

SEED = 1
UNSEEN = ("w005", "w040")  # works without a picture
COLD = "w071"  # in the market, nobody ever took it
ORIGINALS = tuple(f"w{n:03d}" for n in range(12))
REMOVED = ("w030", "w031")

PROFILES = Ragged.from_rows([[0, 1, 2], [13], [30, 31, 32, 33, 34], [50, 2], []])
PEOPLE = ("u00", "u01", "u02", "u03", None)  # who stands behind `PROFILES`


class Fit(NamedTuple):
    """A fitted model, what it learnt from, and its first scores of `PROFILES`, shape (5, 72)."""

    model: Recommender[Any]
    data: Dataset
    features: FeatureTable
    scores: FloatArray


def usual(pictures: Path | None) -> tuple[Dataset, FeatureTable]:
    """The gallery of most checks: two works have no picture, and every work is taken by somebody."""
    return style_gallery(UNSEEN, seed=1, pictures=pictures)


def market(pictures: Path | None) -> tuple[Dataset, FeatureTable]:
    """The same works, some of them originals or removed, and one that nobody ever took."""
    return style_gallery(seed=1, never_taken=[COLD], originals=ORIGINALS, removed=REMOVED, pictures=pictures)


def fit(model: Recommender[Any], gallery: Gallery = usual, seed: int = SEED) -> Fit:
    """Fit `model` on a gallery built for it alone, so that no model finds what another one spoilt."""
    data, features = gallery(_folder() if model.needs_pictures else None)
    model.fit(data, features, seed=seed, device="cpu", progress=False)
    return Fit(model, data, features, model.score(PROFILES, PEOPLE))


@lru_cache(maxsize=8)
def fitted(make: Make) -> Fit:
    """The model that most checks ask."""
    return fit(make())


@lru_cache(maxsize=8)
def at_market(make: Make) -> Fit:
    """The model that the checks of stock and of cold works ask."""
    return fit(make(), market)


@lru_cache(maxsize=8)
def repeats(make: Make) -> bool:
    """Whether a second fit with the same seed scores bit-identically.

    If not, `check_same_seed` says so, and no check that compares two fits can say anything.
    """
    return np.array_equal(fit(make()).scores, fitted(make).scores, equal_nan=True)


def looks(model: Recommender[Any]) -> bool:
    """Whether the model looks at pictures, through features or at their files."""
    return model.needs_features or model.needs_pictures


def _folder() -> Path:
    """A new folder for pictures, removed at the end of the process: models may read it while they score."""
    folder = tempfile.mkdtemp(prefix="vasari-testing-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
