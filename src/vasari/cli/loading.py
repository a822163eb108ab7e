"""What several commands need: models and tables by the names given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vasari.core.errors import NotFoundError
from vasari.features.table import FeatureTable
from vasari.models import load, model_class
from vasari.models.base import Recommender


def load_features(data: Path, features: Path | None) -> FeatureTable:
    """The feature table at `features`, by default ``data/features``.

    Raises
    ------
    NotFoundError
        It does not exist; the message says how to make it.
    """
    folder = features or data / "features"
    if not folder.is_dir():
        raise NotFoundError(f"{folder} does not exist; make it with: vasari extract {data}")
    return FeatureTable.load(folder)


def named_model(name: str) -> Recommender[Any]:
    """A model folder, or the unfitted model of that name."""
    folder = Path(name)
    return load(folder) if folder.is_dir() else model_class(name)()
