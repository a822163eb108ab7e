"""The key under which a finished result may be used again: everything it depends on, hashed."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import vasari
from vasari.data.cases import Cases
from vasari.data.dataset import Dataset
from vasari.evaluation.storage import plain

if TYPE_CHECKING:
    from vasari.features.table import FeatureTable
    from vasari.models.base import Recommender

BLOCK_ROWS = 4096


def identity(
    model: Recommender[Any],
    probe: npt.NDArray[np.floating] | None,
    train: Dataset,
    cases: Cases,
    features: FeatureTable | None,
    settings: dict[str, Any],
) -> str:
    """Hash what decides a result: model, training part, cases, vectors, settings and our own code.

    Parameters
    ----------
    model
        Its class and settings count; whether it was fitted before shows in `probe`.
    probe
        Some scores of a model that is used as it came, since two fits of the same settings differ;
        None for one that is going to be fitted here.
    settings
        Whatever else the result depends on.
    """
    digest = hashlib.sha256()
    facts = {
        "model": f"{type(model).__module__}.{type(model).__qualname__}",
        "config": model.config(),
        "code": _code(type(model).__module__),
        "train": train.fingerprint,
        "settings": settings,
        "fitted": probe is not None,
    }
    digest.update(json.dumps(plain(facts), sort_keys=True).encode())
    digest.update("\0".join([*cases.user_ids, *cases.item_ids]).encode())
    profiles, relevant, stock = cases.profiles, cases.relevant, cases.stock
    arrays: list[npt.NDArray[Any]] = [
        profiles.values,
        profiles.offsets,
        relevant.values,
        relevant.offsets,
        cases.times,
    ]
    arrays += [stock.enters, stock.leaves, np.array([cases.exclude_profile])]
    if probe is not None:
        arrays.append(probe)
    elif train.preference is not None:  # what Oracle is fitted on; no part of the log's fingerprint
        arrays.append(train.preference.scores)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    if features is not None:
        digest.update("\0".join(features.ids).encode())
        for start in range(0, len(features), BLOCK_ROWS):
            digest.update(np.ascontiguousarray(features.matrix[start : start + BLOCK_ROWS]).data)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _code(module: str) -> str:
    """Hash the sources of Vasari and of the model's own module: changed code makes new results."""
    digest = hashlib.sha256()
    sources = sorted(Path(vasari.__file__).parent.rglob("*.py"))
    own = getattr(sys.modules.get(module), "__file__", None)
    for path in [*sources, *([Path(own)] if own else [])]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
