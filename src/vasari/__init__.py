"""Vasari recommends art by looking at it.

import vasari as vs

data = vs.Dataset.load("my-gallery/")
features = vs.extract(data)
model = vs.CuratorNet().fit(data, features)
model.recommend(profile=["a17", "a23"], k=20)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vasari._version import __version__

if TYPE_CHECKING:
    from vasari import synthetic, testing
    from vasari.data.catalogue import Catalogue
    from vasari.data.dataset import Dataset
    from vasari.data.interactions import Interactions
    from vasari.evaluation.ablate import ablate
    from vasari.evaluation.compare import compare
    from vasari.evaluation.evaluate import evaluate
    from vasari.features.extract import extract
    from vasari.features.table import FeatureTable
    from vasari.models import (
        ACF,
        BPR,
        DVBPR,
        EASE,
        VBPR,
        Blend,
        CuratorNet,
        Hybrid,
        ItemKNN,
        LinearMap,
        Oracle,
        Popularity,
        Random,
        VisRank,
        Vista,
        YouTubeDNN,
        list_models,
        load,
        load_tutorial_checkpoint,
    )

# Where each public name lives: it is imported when first used, so that `import vasari` stays quick and
# never pulls in torch for somebody who only reads a table.
_HOME = {
    "ACF": "vasari.models",
    "BPR": "vasari.models",
    "Blend": "vasari.models",
    "Catalogue": "vasari.data.catalogue",
    "CuratorNet": "vasari.models",
    "DVBPR": "vasari.models",
    "Dataset": "vasari.data.dataset",
    "EASE": "vasari.models",
    "FeatureTable": "vasari.features.table",
    "Hybrid": "vasari.models",
    "Interactions": "vasari.data.interactions",
    "ItemKNN": "vasari.models",
    "LinearMap": "vasari.models",
    "Oracle": "vasari.models",
    "Popularity": "vasari.models",
    "Random": "vasari.models",
    "VBPR": "vasari.models",
    "VisRank": "vasari.models",
    "Vista": "vasari.models",
    "YouTubeDNN": "vasari.models",
    "ablate": "vasari.evaluation.ablate",
    "compare": "vasari.evaluation.compare",
    "evaluate": "vasari.evaluation.evaluate",
    "extract": "vasari.features.extract",
    "list_models": "vasari.models",
    "load": "vasari.models",
    "load_tutorial_checkpoint": "vasari.models",
}

__all__ = [
    "ACF",
    "BPR",
    "DVBPR",
    "EASE",
    "VBPR",
    "Blend",
    "Catalogue",
    "CuratorNet",
    "Dataset",
    "FeatureTable",
    "Hybrid",
    "Interactions",
    "ItemKNN",
    "LinearMap",
    "Oracle",
    "Popularity",
    "Random",
    "VisRank",
    "Vista",
    "YouTubeDNN",
    "__version__",
    "ablate",
    "compare",
    "evaluate",
    "extract",
    "list_models",
    "load",
    "load_tutorial_checkpoint",
    "synthetic",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in ("synthetic", "testing"):
        return import_module(f"vasari.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'vasari' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
