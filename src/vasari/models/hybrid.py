"""Hybrid: several families of likeness, of looks and of labels, in one weighted sum.

    s_f(P, i) = max / mean / mean of the K largest of sim_f(i, j) over j in P
    x(P, i)   = sum_f w_f s_f(P, i) / sigma_f,   w_f >= 0,  sum_f w_f = 1

sim_f is the cosine of z-scored features for the visual families, and the Jaccard index for artist and curated
attributes. sigma_f is the standard deviation of s_f over the works that the weights are learnt from.

Source: after Messina et al. 2019 (UMUAI), whose best recommender adds up artist, curated attributes, deep
features and explicit ones. This is a reconstruction: how their weights are fitted is not known here, nor are
the weights (except that LBP's is 14.5%) or the list of attributes. Here w minimises the BPR loss

    1/n sum -ln sigma(v . d) + l2 |v|^2 over v >= 0,   w = v / sum v
    d_f = (s_f(P, i) - s_f(P, j)) / sigma_f

over works i that users took in hidden last baskets and works j that were candidates then and were not taken.
It is convex, so that there is one minimum. Artist and each attribute are families like any other, where the
paper speaks of favourite artists and most popular attribute values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from vasari.core.errors import UsageError
from vasari.core.seeds import generator
from vasari.data.cases import Cases
from vasari.data.ragged import Ragged
from vasari.features.fingerprint import Fingerprint
from vasari.models.bank import FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender, distinct
from vasari.models.labels import Labels
from vasari.models.pooling import Looks, Pooling
from vasari.models.registry import register
from vasari.models.validation import hold_out

Vector = npt.NDArray[np.float64]

ARTIST = "artist"


@dataclass(frozen=True)
class HybridSettings:
    """Settings of Hybrid.

    Attributes
    ----------
    attributes
        Columns of the catalogue with curated attributes, each a family; a value or a list of values a work.
    similarity
        ``"max"``, ``"mean"`` or ``"topk"`` (mean of the `top` largest).
    top
        K of ``"topk"``.
    validation_share
        Share of the users with two or more baskets whose last baskets teach the weights. Nothing else
        is learnt, so that hiding the baskets of all takes nothing away.
    negatives
        Works drawn for each work of a hidden basket.
    l2
        Keeps the weights finite where one family alone explains everything.
    """

    attributes: tuple[str, ...] = ()
    similarity: str = "mean"
    top: int = 3
    validation_share: float = 1.0
    negatives: int = 20
    l2: float = 1e-3

    def __post_init__(self) -> None:
        Pooling(self.similarity, self.top)  # refuses what is out of range
        if not 0 <= self.validation_share <= 1:
            raise UsageError(f"validation_share={self.validation_share} must lie in [0, 1]")
        if self.negatives < 1:
            raise UsageError(f"negatives={self.negatives} must be at least 1")
        if self.l2 <= 0:
            raise UsageError(f"l2={self.l2} must be above 0")
        if len(set(self.attributes)) < len(self.attributes):
            raise UsageError(f"attributes={self.attributes} names a column twice")


@register
class Hybrid(Recommender[HybridSettings]):
    """Looks, artist and curated attributes in one sum, weighted by what predicts hidden baskets.

    Parameters
    ----------
    **settings
        Fields of `HybridSettings`.
    """

    name = "Hybrid"
    Settings = HybridSettings
    needs_features = True

    @property
    def pooling(self) -> Pooling:
        """How the likenesses to a profile become one score."""
        return Pooling(self.settings.similarity, self.settings.top)

    @property
    def weights(self) -> dict[str, float]:
        """The learnt weight of every family, not below 0, with the sum 1."""
        self._require_fit()
        return dict(zip(self.families, self._weights.tolist(), strict=True))

    # ------------------------------------------------------------------ learning

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        frame = inputs.data.catalogue.frame
        columns = {f"attribute {name}": name for name in self.settings.attributes}
        if "artist_id" in frame.columns:
            columns = {ARTIST: "artist_id", **columns}
        labels = {family: Labels.of_column(frame, name) for family, name in columns.items()}
        self._assemble(
            FeatureBank.fit(inputs.table.matrix, inputs.rows, "zscore"), inputs.table.families, labels
        )
        _, cases = hold_out(inputs.data, self.scorable, self.settings.validation_share, inputs.seed)
        # (pairs, families): scores of taken works, and of works that were not
        positive, negative = self._pairs(cases, inputs.seed)
        learnable = len(positive) > 0
        known = np.concatenate([positive, negative]) if learnable else self._any_scores(inputs.seed)
        deviation = known.std(axis=0)
        useful = deviation > 1e-6
        self._scales = np.where(useful, deviation, 1.0)
        if not useful.any():
            useful[:] = True  # nothing tells any two works apart: all families alike
        self._weights = useful / useful.sum()
        if learnable:
            differences = (positive - negative) / self._scales
            self._weights = fit_weights(differences, useful, self.settings.l2)
            margin = differences @ self._weights
            weights = {
                f"weight of {name}": float(w) for name, w in zip(self.families, self._weights, strict=True)
            }
            facts = {"epoch": 1.0, "loss": float(np.logaddexp(0, -margin).mean())}
            self.history = [facts | {"accuracy": float((margin > 0).mean())} | weights]

    def _assemble(self, bank: FeatureBank, columns: dict[str, slice], labels: dict[str, Labels]) -> None:
        self._bank = bank
        self._labels = labels
        looks = {name: Looks(bank.columns(part), part) for name, part in columns.items()}
        self.families: dict[str, Looks | Labels] = {**looks, **labels}

    def _pairs(self, cases: Cases, seed: int) -> tuple[Vector, Vector]:
        """Scores of pairs by every family, two of shape (pairs, families): works taken, and works not.

        Both were candidates at that moment.
        """
        positives, negatives = [], []
        for case in range(len(cases)):
            profile = self._usable(cases.profiles.slice(case, case + 1))
            allowed = cases.candidates(case, case + 1)[0] & self.scorable
            taken = cases.relevant[case]
            taken = taken[allowed[taken]]
            allowed[taken] = False
            others = np.flatnonzero(allowed)
            if not (len(profile) and len(taken) and len(others)):
                continue
            draw = generator(seed, "hybrid negatives", case)
            drawn = draw.choice(others, size=(len(taken), self.settings.negatives))
            items, places = np.unique(np.concatenate([taken, drawn.ravel()]), return_inverse=True)
            scores = self._family_scores(profile, items)[places]  # (taken + drawn, families)
            positives.append(np.repeat(scores[: len(taken)], self.settings.negatives, axis=0))
            negatives.append(scores[len(taken) :])
        nothing = np.empty((0, len(self.families)))
        return np.concatenate([nothing, *positives]), np.concatenate([nothing, *negatives])

    def _any_scores(self, seed: int) -> Vector:
        """Scores of works drawn for users drawn, where no basket could be hidden; shape (works, families)."""
        draw = generator(seed, "hybrid scales")
        items = draw.permutation(np.flatnonzero(self.scorable))[:256]
        users = draw.permutation(len(self.profiles))[:256]
        profiles = [self._usable(self.profiles.take([user])) for user in users]
        found = [self._family_scores(profile, items) for profile in profiles if len(profile)]
        return np.concatenate(found) if found else np.zeros((1, len(self.families)))

    def _usable(self, profile: Ragged) -> IntArray:
        """The distinct works with a picture of a single profile."""
        return distinct(profile.where(self.scorable[profile.values]), len(self.item_ids))[0]

    def _family_scores(self, profile: IntArray, items: IntArray) -> Vector:
        """Scores of some items for one profile by every family, shape (items, families)."""
        parts = [self.pooling.pool(f.likeness(profile, items=items)) for f in self.families.values()]
        return np.stack(parts, axis=1).astype(np.float64)

    # ------------------------------------------------------------------ scoring

    def _weighted(self) -> Iterator[tuple[np.float32, Looks | Labels]]:
        """The families that count, each with what its scores are multiplied by."""
        for factor, family in zip(self._weights / self._scales, self.families.values(), strict=True):
            if factor > 0:
                yield np.float32(factor), family

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        total = np.zeros((len(profiles), len(self.item_ids)), dtype=np.float32)
        for factor, family in self._weighted():
            total += factor * family.scores(profiles, guests, self.pooling)
        return total

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        total = np.zeros((len(items), len(self.item_ids)), dtype=np.float32)
        for factor, family in self._weighted():
            total += factor * family.likeness(items, guests)
        return total

    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """Exact: the terms of every family's mean, weighted and summed over the families.

        Shape (items, profile); rows sum to the score.
        """
        total = np.zeros((len(items), len(profile)), dtype=np.float32)
        for factor, family in self._weighted():
            total += factor * self.pooling.terms(family.likeness(profile, items=items)).T
        return total

    # ------------------------------------------------------------------ files

    def _arrays(self) -> Arrays:
        arrays: Arrays = {"weights": self._weights, "scales": self._scales, **self._bank.arrays()}
        for name, labels in self._labels.items():
            arrays |= labels.arrays(name)
        return arrays

    def _restore(self, arrays: Arrays) -> None:
        self._weights, self._scales = arrays["weights"], arrays["scales"]
        bank = FeatureBank.from_arrays(arrays)
        assert self.fingerprint is not None
        columns = Fingerprint.from_json(self.fingerprint).columns(bank.dim)
        names = [ARTIST, *(f"attribute {name}" for name in self.settings.attributes)]
        known = [name for name in names if f"labels.{name}.values" in arrays]
        self._assemble(bank, columns, {name: Labels.from_arrays(arrays, name) for name in known})


def combination_loss(weights: Vector, differences: Vector, l2: float) -> tuple[float, Vector]:
    """Mean of -ln sigma(v . d) + l2 |v|^2 and its gradient.

    Parameters
    ----------
    weights
        v, shape (families,).
    differences
        d: how much higher each family scores the work taken, shape (pairs, families).
    """
    margin = differences @ weights
    wrong = np.exp(-np.logaddexp(0, margin))  # sigma(-margin)
    loss = np.logaddexp(0, -margin).mean() + l2 * weights @ weights
    return float(loss), -(wrong @ differences) / len(differences) + 2 * l2 * weights


def fit_weights(differences: Vector, useful: npt.NDArray[np.bool_], l2: float) -> Vector:
    """Non-negative weights with the sum 1 that minimise `combination_loss`, shape (families,).

    Families not flagged as `useful` get 0. Where no family ranks better than chance, all useful ones
    count alike.
    """
    start = np.where(useful, 1.0, 0.0)
    bounds = [(0.0, None if flag else 0.0) for flag in useful]
    found = minimize(combination_loss, start, (differences, l2), "L-BFGS-B", jac=True, bounds=bounds).x
    total = found.sum()
    return found / total if total > 1e-9 else start / start.sum()
