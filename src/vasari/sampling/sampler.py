"""Batches of triples as a pure function of (seed, epoch, index)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.sampling.context import SamplingContext
from vasari.sampling.draws import Draws, fill
from vasari.sampling.guidelines import GUIDELINES, Rules
from vasari.sampling.triples import Triples
from vasari.sampling.uniform import UNIFORM

IntArray = npt.NDArray[np.int64]

SOURCES = {**GUIDELINES, **UNIFORM}
MIXTURES = {
    "guidelines": dict.fromkeys(GUIDELINES, 1.0),
    "artists": {"uniform": 1.0, "G6": 2.0},
}


class Sampler:
    """Draws batches of verified triples from a mixture of guidelines.

    Parameters
    ----------
    context
        The training data.
    mixture
        ``"guidelines"``: the six in equal parts, without those that this data cannot serve (see
        `left_out`); ``"uniform"``; ``"tutorial"``; ``"sequential"``; ``"sequential-users"``; or weights,
        for example ``{"G1": 1, "G4": 2, "uniform": 1}``, where a guideline that cannot be served is an error.
    profile_cap
        Keep only the last so many items of every profile; None keeps all. With 0, for models that read none,
        all triples of a batch share one empty profile.
    rules
        The constants of the guidelines.

    Raises
    ------
    UsageError
        An unknown name or weight, or a guideline that this data cannot serve.

    Attributes
    ----------
    weights
        Share of every part, summing to 1.
    left_out
        Guidelines dropped from a named mixture, each with the reason.
    """

    def __init__(
        self,
        context: SamplingContext,
        mixture: str | Mapping[str, float] = "guidelines",
        profile_cap: int | None = None,
        rules: Rules | None = None,
    ) -> None:
        if profile_cap is not None and profile_cap < 0:
            raise UsageError(f"profile_cap is {profile_cap}; it must be 0 or more, or None to keep all")
        self.context, self.profile_cap, self.rules = context, profile_cap, rules or Rules()
        weights = _weights(mixture)
        self._starts = {name: SOURCES[name].starts(context) for name in weights}
        self.left_out = {name: reason for name in weights if (reason := self._why_not(name))}
        served = {name: weight for name, weight in weights.items() if name not in self.left_out}
        if self.left_out and not (served and isinstance(mixture, str)):
            raise UsageError("; ".join(self.left_out.values()))
        total = math.fsum(served.values())
        self.weights = {name: weight / total for name, weight in served.items()}

    def batch(self, seed: int, epoch: int, index: int, size: int) -> Triples:
        """Draw batch number `index` of an epoch; the same arguments always give the same triples.

        Every part of the mixture gets its exact share of `size`, rounded up or down; which parts
        are rounded up is drawn anew for every batch, so that shares are exact in expectation.
        Triples stand in the order of the mixture.

        Parameters
        ----------
        seed, epoch, index
            All >= 0.
        size
            Number of triples, >= 1.
        """
        if size < 1:
            raise UsageError(f"size is {size}; a batch holds at least one triple")
        rng = generator(seed, "triples", epoch, index)
        quotas = _quotas(rng, list(self.weights.values()), size)
        parts: list[Draws] = []
        for name, quota in zip(self.weights, quotas, strict=True):
            parts += self._fill(name, rng, quota)
        drawn = Draws.join(parts)
        works = self.context.works
        profiles, profile = self.context.profiles.write(drawn.profile, self.profile_cap, self.rules.window)
        numbers = [SOURCES[name].number for name in self.weights]
        return Triples(
            profiles,
            profile,
            works[drawn.positive],
            works[drawn.negative],
            drawn.user,
            np.repeat(np.asarray(numbers, dtype=np.int64), quotas),
        )

    def _fill(self, name: str, rng: np.random.Generator, count: int) -> list[Draws]:
        starts, draw = self._starts[name], SOURCES[name].draw

        def propose(wanted: int) -> Draws:
            start = starts[(rng.random(wanted) * len(starts)).astype(np.int64)]
            return draw(self.context, rng, start, self.rules)

        return fill(count, propose, name)

    def _why_not(self, name: str) -> str | None:
        """Why this data cannot serve a guideline, None where it can: one triple is drawn to see."""
        try:
            if len(self._starts[name]):
                self._fill(name, generator(0, "triples trial"), 1)
                return None
        except DataError:
            pass
        return f"{name} cannot be drawn from this data: it needs {SOURCES[name].needs}"


def _weights(mixture: str | Mapping[str, float]) -> dict[str, float]:
    if isinstance(mixture, str):
        mixture = MIXTURES.get(mixture, {mixture: 1.0})
    for name, weight in mixture.items():
        if name not in SOURCES:
            raise UsageError(f"mixture names {name!r}; known are {', '.join([*MIXTURES, *SOURCES])}")
        if not (math.isfinite(weight) and weight >= 0):
            raise UsageError(f"the weight of {name} is {weight}; it must be a finite number >= 0")
    weights = {name: float(weight) for name, weight in mixture.items() if weight > 0}
    if not weights:
        raise UsageError("the mixture has no part with a weight above 0")
    return weights


def _quotas(rng: np.random.Generator, shares: list[float], size: int) -> list[int]:
    """Systematic sampling: whole quotas that sum to `size`, each within one of its share."""
    ends = np.floor(np.cumsum(shares)[:-1] * size + rng.random()).astype(int)
    bounds = [0, *np.minimum(ends, size).tolist(), size]
    return [stop - start for start, stop in itertools.pairwise(bounds)]
