"""VisRank: nearest neighbours by look, without training.

    sim(i, j) = cos(f_i, f_j)
    x_ui = max / mean / mean of the K largest of sim(i, j) over j in P_u,  K' = min(K, |P_u|)

Source: Messina et al. 2019 (UMUAI), the baseline of Messina et al. 2020; the tutorial runs ``max``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vasari.data.ragged import Ragged
from vasari.models.bank import FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.dot_product import DotProduct
from vasari.models.pooling import Looks, Pooling
from vasari.models.registry import register
from vasari.models.scaling import check_scale

MOST = 1 << 28  # numbers of unit vectors that one index holds: 1 GiB of float32


@dataclass(frozen=True)
class VisRankSettings:
    """Settings of VisRank.

    Attributes
    ----------
    similarity
        ``"max"``, ``"mean"`` or ``"topk"`` (mean of the `top` largest).
    top
        K of ``"topk"``.
    scale
        ``"zscore"`` features per dimension before the cosine, or ``"none"``.
    """

    similarity: str = "mean"
    top: int = 3
    scale: str = "zscore"

    def __post_init__(self) -> None:
        Pooling(self.similarity, self.top)  # refuses what is out of range
        check_scale(self.scale)


@register
class VisRank(Recommender[VisRankSettings]):
    """Content-based nearest neighbours; never builds an items x items matrix.

    Parameters
    ----------
    **settings
        Fields of `VisRankSettings`.
    """

    name = "VisRank"
    Settings = VisRankSettings
    needs_features = True

    def _fit(self, inputs: FitInputs) -> None:
        assert inputs.table is not None
        self.looks = Looks(FeatureBank.fit(inputs.table.matrix, inputs.rows, self.settings.scale))

    @property
    def pooling(self) -> Pooling:
        """How the cosines to a profile become one score."""
        return Pooling(self.settings.similarity, self.settings.top)

    def as_dot_product(self) -> DotProduct | None:
        """The mean of cosines, of catalogues whose unit vectors fit into memory; see `Looks`."""
        fits = len(self.looks.bank) * self.looks.bank.dim <= MOST
        return self.looks if fits and self.settings.similarity == "mean" else None

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        return self.looks.scores(profiles, guests, self.pooling)

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        return self.looks.likeness(items, guests)

    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """Exact: the terms of the mean, or the cosines that the maximum or the mean of the top took.

        Shape (items, profile); rows sum to the score.
        """
        return self.pooling.terms(self.looks.likeness(profile, items=items)).T

    def _arrays(self) -> Arrays:
        return self.looks.bank.arrays()

    def _restore(self, arrays: Arrays) -> None:
        self.looks = Looks(FeatureBank.from_arrays(arrays))
