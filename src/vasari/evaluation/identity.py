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


def inputs_digest(
    train: Dataset, cases: Cases, features: FeatureTable | None, settings: dict[str, Any]
) -> str:
    """Hash what all models of one evaluation share: training part, cases, vectors and settings.

    Parameters
    ----------
    settings
        Whatever else the results depend on.
    """
    digest = hashlib.sha256(train.fingerprint.encode())
    digest.update(json.dumps(plain(settings), sort_keys=True).encode())
    digest.update("\0".join([*cases.user_ids, *cases.item_ids]).encode())
    profiles, relevant, stock = cases.profiles, cases.relevant, cases.stock
    arrays: list[npt.NDArray[Any]] = [profiles.values, profiles.offsets, relevant.values, relevant.offsets]
    arrays += [cases.times, stock.enters, stock.leaves, np.array([cases.exclude_profile])]
    if cases.shortlist is not None:
        arrays += [cases.shortlist.values, cases.shortlist.offsets]
    if train.preference is not None:  # Oracle is fitted on it; the fingerprint of the log does not hold it
        arrays.append(train.preference.scores)
    if features is not None:
        digest.update("\0".join(features.ids).encode())
        arrays += [features.matrix[i : i + BLOCK_ROWS] for i in range(0, len(features), BLOCK_ROWS)]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def identity(model: Recommender[Any], name: str, probe: npt.NDArray[np.floating] | None, inputs: str) -> str:
    """Hash what decides one model's result: its class and settings, the inputs, and our own code.

    Parameters
    ----------
    name
        What it is called: the same model may compete under two names, to see what is called a difference.
    probe
        Some scores of a model that is used as it came, since two fits of the same settings differ;
        None for one that is going to be fitted here.
    inputs
        From `inputs_digest`.
    """
    facts = {
        "name": name,
        "model": f"{type(model).__module__}.{type(model).__qualname__}",
        "config": model.config(),
        "code": _code(type(model).__module__),
        "inputs": inputs,
        "scores": None if probe is None else hashlib.sha256(np.ascontiguousarray(probe).data).hexdigest(),
    }
    return hashlib.sha256(json.dumps(plain(facts), sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=64)
def _code(module: str) -> str:
    """Hash the sources of Vasari and of the model's own module: changed code makes new results."""
    digest = hashlib.sha256()
    sources = sorted(Path(vasari.__file__).parent.rglob("*.py"))
    own = getattr(sys.modules.get(module), "__file__", None)
    for path in [*sources, *([Path(own)] if own else [])]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
