"""Models by name, with settings that belong together under one name."""

from __future__ import annotations

from typing import Any

from vasari.core.errors import UsageError
from vasari.models.base import Recommender
from vasari.models.curatornet import CuratorNet
from vasari.models.registry import model_class

PRESETS = {"paper": CuratorNet.paper, "tuned": CuratorNet.tuned, "tutorial": CuratorNet.tutorial}


def build_model(name: str, preset: str | None, settings: dict[str, Any]) -> Recommender[Any]:
    """An unfitted model by name, from a preset if given, with single settings changed.

    Raises
    ------
    NotFoundError
        There is no such model.
    UsageError
        There is no such preset of this model, or no such setting, or it is out of range.
    """
    if preset is None:
        return model_class(name)(**settings)
    if model_class(name) is not CuratorNet:
        raise UsageError(f"preset {preset} belongs to CuratorNet, not to {name}")
    if preset not in PRESETS:
        raise UsageError(f"preset {preset!r} must be one of {sorted(PRESETS)}")
    return PRESETS[preset](**settings)
