"""The models by name."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, TypeVar

from vasari.core.errors import NotFoundError

if TYPE_CHECKING:
    from vasari.models.base import Recommender

Model = TypeVar("Model", bound="type[Recommender[Any]]")

_MODELS: dict[str, type[Recommender[Any]]] = {}


def register(model: Model) -> Model:
    """Class decorator: make a recommender known under its `name`."""
    _MODELS[model.name] = model
    return model


def list_models(pattern: str = "*") -> list[str]:
    """Names of all registered models that match a shell pattern, sorted."""
    return sorted(name for name in _MODELS if fnmatch(name.lower(), pattern.lower()))


def model_class(name: str) -> type[Recommender[Any]]:
    """The class registered under `name` (in any case).

    Raises
    ------
    NotFoundError
        No such model.
    """
    for known, model in _MODELS.items():
        if known.lower() == name.lower():
            return model
    raise NotFoundError(f"there is no model {name!r}; choose one of {list_models()}")
