"""Blend: several models of different kinds heard with one voice each.

    x(P, i) = 1/M sum_m (x_m(P, i) - mean_m(P)) / sd_m(P)

with mean and standard deviation of x_m(P, .) over all works that can be scored. What one model says of a
profile is thereby measured in its own spread, so that models with scores of any scale can be added. Equal
shares need no data to be learnt from, which a catalogue of new works does not have.

By default CuratorNet, which compares the looks of a profile with those of a work, and LinearMap, which knows
who took the profile's works besides and what such people's works look like; both judge every work, taken or
new, by its picture. How their sum compares with either on new works stands in `docs/tuning.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.presets import build_model
from vasari.models.registry import model_class, register

Parts = dict[str, dict[str, Any]]


def _default_parts() -> Parts:
    return {"CuratorNet": {"preset": "tuned"}, "LinearMap": {"warm": "map"}}


@dataclass(frozen=True)
class BlendSettings:
    """Settings of Blend.

    Attributes
    ----------
    parts
        Name of each model to its settings; ``preset`` among them names one of its presets.
    """

    parts: Parts = field(default_factory=_default_parts)

    def __post_init__(self) -> None:
        if not self.parts:
            raise UsageError("parts={} names no model; a blend needs one at least, two to be worth it")
        known = {model_class(name).name for name in self.parts}
        if Blend.name in known:
            raise UsageError(f"parts={list(self.parts)} names {Blend.name}, which cannot be part of itself")
        if len(known) < len(self.parts):
            raise UsageError(f"parts={list(self.parts)} names a model twice")
        self.build()  # refuses what a part refuses

    def build(self) -> dict[str, Recommender[Any]]:
        """The parts, unfitted, by their names."""
        return {name: _build(name, **settings) for name, settings in self.parts.items()}


def _build(name: str, preset: str | None = None, **settings: Any) -> Recommender[Any]:
    return build_model(name, preset, settings)


@register
class Blend(Recommender[BlendSettings]):
    """The mean of the standardised scores of several models; see the module's page.

    Parameters
    ----------
    **settings
        Fields of `BlendSettings`, for example ``parts={"VisRank": {}, "LinearMap": {"factors": 32}}``.

    Attributes
    ----------
    models
        The fitted parts by name.
    """

    name = "Blend"
    Settings = BlendSettings
    needs_features = True
    models: dict[str, Recommender[Any]]

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        self.models = self.settings.build()
        for name, model in self.models.items():
            model.fit(
                inputs.data,
                inputs.table,
                seed=inputs.seed,
                device=inputs.device,
                checkpoints=inputs.checkpoints and inputs.checkpoints / name,
                progress=inputs.progress,
            )
        self.history = next((model.history for model in self.models.values() if model.history), [])

    # ------------------------------------------------------------------ scoring

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        total = np.zeros((len(profiles), len(self.item_ids)), np.float32)
        for model in self.models.values():
            # A part without pictures knows no guests, and none of them speaks for anything there.
            known = model.needs_features or guests is None
            asked = profiles if known else profiles.where(profiles.values < len(self.item_ids))
            scores = model.score(asked, user_ids, guests if known else None)[:, self.scorable]
            spread = scores.std(axis=1, keepdims=True)
            # Where a model tells nothing apart, rounding must not become an opinion.
            spread[spread <= 1e-6 * np.abs(scores).max(axis=1, keepdims=True)] = np.inf
            scores = (scores - scores.mean(axis=1, keepdims=True)) / spread
            total[:, self.scorable] += scores / len(self.models)
        return total

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Mean of what the parts call likeness."""
        return np.mean([model._similarity(items, guests) for model in self.models.values()], axis=0)

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        return {
            f"{name}.{array}": value
            for name, model in self.models.items()
            for array, value in model._arrays().items()
        }

    def _restore(self, arrays: Arrays) -> None:
        self.models = self.settings.build()
        for name, model in self.models.items():
            for shared in ("item_ids", "user_ids", "profiles", "available", "popularity", "trained_on"):
                setattr(model, shared, getattr(self, shared))
            model.scorable = self.scorable if model.needs_features else np.ones_like(self.scorable)
            model.fingerprint = self.fingerprint if model.needs_features else None
            own = {a.removeprefix(f"{name}."): v for a, v in arrays.items() if a.startswith(f"{name}.")}
            model._restore(own)
