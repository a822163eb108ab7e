"""VisRank: nearest neighbours by look, without training.

    sim(i, j) = cos(f_i, f_j)
    x_ui = max / mean / mean of the K largest of sim(i, j) over j in P_u,  K' = min(K, |P_u|)

Source: Messina et al. 2019 (UMUAI), the baseline of Messina et al. 2020; the tutorial runs ``max``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import Arrays, FitInputs, FloatArray, IntArray, Recommender
from vasari.models.registry import register

SIMILARITIES = ("max", "mean", "topk")
QUERY_TILE = 1024  # profile members multiplied with a block of items at once


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
        if self.similarity not in SIMILARITIES:
            raise UsageError(f"similarity={self.similarity!r} must be one of {SIMILARITIES}")
        if self.top < 1:
            raise UsageError(f"top={self.top} must be at least 1")
        if self.scale not in ("zscore", "none"):
            raise UsageError(f'scale={self.scale!r} must be "zscore" or "none"')


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
        self.bank = FeatureBank.fit(inputs.table.matrix, inputs.rows, self.settings.scale)

    @torch.inference_mode()
    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        scores = np.zeros((len(profiles), len(self.item_ids)), dtype=np.float32)
        if self.settings.similarity == "mean":
            return self._mean_scores(profiles, guests, scores)
        for first, last in profiles.tiles(QUERY_TILE):
            part = profiles.slice(first, last)
            members, places = np.unique(part.values, return_inverse=True)
            similar = self._cosine(members, guests)  # (members, items)
            for row, (start, stop) in enumerate(zip(part.offsets[:-1], part.offsets[1:], strict=True)):
                if stop > start:
                    scores[first + row] = self._pool(similar[places[start:stop]])
        return scores

    def _mean_scores(self, profiles: Ragged, guests: FloatArray | None, scores: FloatArray) -> FloatArray:
        """The mean of cosines is the cosine's numerator with the mean of unit vectors: one product."""
        members, places = np.unique(profiles.values, return_inverse=True)
        units = self._units(torch.from_numpy(members), guests)
        offsets = torch.from_numpy(profiles.offsets[:-1].copy())
        taste = F.embedding_bag(torch.from_numpy(places), units, offsets, mode="mean")
        for start, block in self._blocks():
            scores[:, start : start + len(block)] = (taste @ block.T).numpy()
        return scores

    def _pool(self, similar: FloatArray) -> FloatArray:
        """Cosines of one profile, shape (members, items), to scores, shape (items,)."""
        top = 1 if self.settings.similarity == "max" else min(self.settings.top, len(similar))
        if top == 1:
            return similar.max(axis=0)
        if top == len(similar):
            return similar.mean(axis=0)
        return np.partition(similar, -top, axis=0)[-top:].mean(axis=0)

    def _cosine(self, members: IntArray, guests: FloatArray | None) -> FloatArray:
        """Cosine of each member to every item, shape (members, items); 0 for items without a picture."""
        units = self._units(torch.from_numpy(members), guests)
        return np.concatenate([(units @ block.T).numpy() for _, block in self._blocks()], axis=1)

    def _units(self, members: Tensor, guests: FloatArray | None) -> Tensor:
        """Unit vectors of items and, numbered beyond the catalogue, of guests."""
        inside = members < len(self.item_ids)
        vectors = torch.empty(len(members), self.bank.dim)
        vectors[inside] = self.bank.take(members[inside])
        if guests is not None:
            outside = members[~inside] - len(self.item_ids)
            vectors[~inside] = self.bank.scale(torch.from_numpy(np.asarray(guests, np.float32))[outside])
        return F.normalize(vectors, dim=1)

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Unit vectors of all items, block by block, with the number of the first item."""
        for start in range(0, len(self.item_ids), BLOCK):
            items = torch.arange(start, min(start + BLOCK, len(self.item_ids)))
            block = F.normalize(self.bank.take(items), dim=1)
            block[torch.from_numpy(~self.bank.present[items.numpy()])] = 0.0
            yield start, block

    @torch.inference_mode()
    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        return self._cosine(items, guests)

    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """Exact: the terms of the mean, or the cosines that the maximum or the mean of the top took.

        Shape (items, profile); rows sum to the score.
        """
        cosine = self._cosine(profile, None)[:, items].T  # (items, profile)
        if self.settings.similarity == "mean":
            return cosine / len(profile)
        top = 1 if self.settings.similarity == "max" else min(self.settings.top, len(profile))
        order = np.argsort(-cosine, axis=1, kind="stable")
        taken = np.zeros_like(cosine)
        np.put_along_axis(taken, order[:, :top], np.float32(1 / top), axis=1)
        return cosine * taken

    def _arrays(self) -> Arrays:
        return self.bank.arrays()

    def _restore(self, arrays: Arrays) -> None:
        self.bank = FeatureBank.from_arrays(arrays)
