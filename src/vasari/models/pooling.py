"""How like a profile is an item, when one knows how like two items are.

    s(P, i) = max / mean / mean of the K largest of sim(i, j) over j in P,  K' = min(K, |P|)

Source: Messina et al. 2019 (UMUAI), there for every family of features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vasari.core.errors import UsageError
from vasari.data.ragged import Ragged
from vasari.models.bank import BLOCK, FeatureBank
from vasari.models.base import FloatArray, IntArray

SIMILARITIES = ("max", "mean", "topk")
AT_ONCE = 1024  # items in one product: so few that their features stay in the cache meanwhile
QUERY_TILE = 1 << 26  # likenesses held at once, unless one profile has more: 256 MiB of float32


@dataclass(frozen=True)
class Pooling:
    """From the likeness to each work of a profile to the likeness to the profile.

    Attributes
    ----------
    similarity
        ``"max"``, ``"mean"`` or ``"topk"`` (mean of the `top` largest).
    top
        K of ``"topk"``.
    """

    similarity: str
    top: int

    def __post_init__(self) -> None:
        if self.similarity not in SIMILARITIES:
            raise UsageError(f"similarity={self.similarity!r} must be one of {SIMILARITIES}")
        if self.top < 1:
            raise UsageError(f"top={self.top} must be at least 1")

    def taken(self, members: int) -> int:
        """How many of a profile's likenesses enter the mean."""
        return {"max": 1, "mean": members, "topk": min(self.top, members)}[self.similarity]

    def pool(self, similar: FloatArray) -> FloatArray:
        """Likenesses of one profile, shape (members, items), to scores, shape (items,)."""
        top = self.taken(len(similar))
        if top == 1:
            return similar.max(axis=0)
        if top == len(similar):
            return similar.mean(axis=0)
        return np.partition(similar, -top, axis=0)[-top:].mean(axis=0)

    def terms(self, similar: FloatArray) -> FloatArray:
        """What each work of a profile adds to `pool`, shape (members, items); columns sum to the score."""
        top = self.taken(len(similar))
        order = np.argsort(-similar, axis=0, kind="stable")
        shares = np.zeros_like(similar)
        np.put_along_axis(shares, order[:top], np.float32(1 / top), axis=0)
        return similar * shares

    def scores(
        self, profiles: Ragged, n_items: int, likeness: Callable[[IntArray], FloatArray]
    ) -> FloatArray:
        """Score all items for some profiles, shape (profiles, n_items); 0 for empty profiles.

        Parameters
        ----------
        likeness
            Some members to their likeness to every item, shape (members, n_items).
        """
        scores = np.zeros((len(profiles), n_items), dtype=np.float32)
        for first, last in profiles.tiles(max(1, QUERY_TILE // max(1, n_items))):
            part = profiles.slice(first, last)
            members, places = np.unique(part.values, return_inverse=True)
            similar = likeness(members)
            for row, (start, stop) in enumerate(zip(part.offsets[:-1], part.offsets[1:], strict=True)):
                if stop > start:
                    scores[first + row] = self.pool(similar[places[start:stop]])
        return scores


class Looks:
    """Likeness by look: the cosine of feature vectors.

    The mean likeness to a profile is an inner product (`vasari.models.dot_product.DotProduct`): of the mean
    of unit vectors with unit vectors.

    Parameters
    ----------
    bank
        Features of the catalogue's items.
    columns
        Where these features stand in a guest's vector.
    """

    def __init__(self, bank: FeatureBank, columns: slice = slice(None)) -> None:
        self.bank = bank
        self.columns = columns

    @torch.inference_mode()
    def likeness(
        self, members: IntArray, guests: FloatArray | None = None, items: IntArray | None = None
    ) -> FloatArray:
        """Cosine of each member to some items (None: to all), shape (members, items); 0 without a picture.

        Members numbered beyond the catalogue are rows of `guests`.
        """
        units = self._units(torch.from_numpy(members), guests)
        if items is None:
            return self._to_all(units)
        asked = torch.from_numpy(items)
        return _cosines(units, self.bank.take(asked), self._lengths[asked]).numpy()

    @torch.inference_mode()
    def scores(self, profiles: Ragged, guests: FloatArray | None, pooling: Pooling) -> FloatArray:
        """Pooled likeness of all items to some profiles, shape (profiles, items)."""
        if pooling.similarity != "mean":
            return pooling.scores(profiles, len(self.bank), lambda members: self.likeness(members, guests))
        return self._to_all(self._tastes(profiles, guests))

    @torch.inference_mode()
    def item_matrix(self) -> FloatArray:
        """Unit vectors of all items, shape (items, dim); zeros without a picture."""
        units = np.zeros((len(self.bank), self.bank.dim), dtype=np.float32)
        for items in np.array_split(np.flatnonzero(self.bank.present), len(self.bank) // BLOCK + 1):
            units[items] = self._units(torch.from_numpy(items), None).numpy()
        return units

    @torch.inference_mode()
    def user_matrix(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """Mean unit vector of each profile, shape (profiles, dim)."""
        return self._tastes(profiles, guests).numpy()

    @torch.inference_mode()
    def embed(self, features: FloatArray) -> FloatArray:
        """Unit vectors of guests, shape (n, dim)."""
        return self._units(len(self.bank) + torch.arange(len(features)), features).numpy()

    def _tastes(self, profiles: Ragged, guests: FloatArray | None) -> Tensor:
        members, places = np.unique(profiles.values, return_inverse=True)
        units = self._units(torch.from_numpy(members), guests)
        offsets = torch.from_numpy(profiles.offsets[:-1].copy())
        return F.embedding_bag(torch.from_numpy(places), units, offsets, mode="mean")

    def _units(self, members: Tensor, guests: FloatArray | None) -> Tensor:
        """Unit vectors of items and, numbered beyond the catalogue, of guests."""
        inside = members < len(self.bank)
        vectors = torch.empty(len(members), self.bank.dim)
        vectors[inside] = self.bank.take(members[inside])
        if guests is not None:
            outside = members[~inside] - len(self.bank)
            raw = torch.from_numpy(np.asarray(guests[:, self.columns], np.float32))
            vectors[~inside] = self.bank.scale(raw[outside])
        return F.normalize(vectors, dim=1)

    @cached_property
    def _lengths(self) -> Tensor:
        """Length of every item's vector, infinite without a picture, so that its cosines are 0; (items,)."""
        blocks = torch.split(torch.arange(len(self.bank)), BLOCK)
        lengths = torch.cat([self.bank.take(block).norm(dim=1) for block in blocks]).clamp_min(1e-12)
        lengths[torch.from_numpy(~self.bank.present)] = torch.inf
        return lengths

    def _to_all(self, vectors: Tensor) -> FloatArray:
        """Cosines of unit vectors with all items, shape (vectors, items), block by block."""
        cosines = torch.empty(len(vectors), len(self.bank))
        for first in range(0, len(self.bank), AT_ONCE):
            last = min(first + AT_ONCE, len(self.bank))
            _cosines(vectors, self.bank.block(first, last), self._lengths[first:last], cosines[:, first:last])
        return cosines.numpy()


def _cosines(vectors: Tensor, features: Tensor, lengths: Tensor, out: Tensor | None = None) -> Tensor:
    """Inner products of vectors, shape (n, dim), with features, shape (items, dim), brought to length 1."""
    # The product is divided, not the features: fewer numbers while there are fewer vectors than features.
    return torch.mm(vectors, features.T, out=out).div_(lengths)
