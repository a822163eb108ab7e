"""What models have in common whose score is an inner product: one index can answer for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vasari.data.ragged import Ragged
from vasari.models.base import FloatArray


def as_dot_product(model: object) -> DotProduct | None:
    """A fitted model as inner products; None where its score is none."""
    if isinstance(model, SometimesDotProduct):
        return model.as_dot_product()
    return model if isinstance(model, DotProduct) else None


@runtime_checkable
class SometimesDotProduct(Protocol):
    """A model whose settings decide whether its score is an inner product."""

    def as_dot_product(self) -> DotProduct | None:
        """Its inner products; None under other settings."""


@runtime_checkable
class DotProduct(Protocol):
    """A fitted recommender with ``score == user_matrix @ item_matrix.T`` for profiles that are not empty."""

    def item_matrix(self) -> FloatArray:
        """Vectors of the catalogue's items, biases folded in, shape (items, dim)."""

    def user_matrix(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None = None
    ) -> FloatArray:
        """Vectors of some visitors, shape (profiles, dim); no profile is empty, all members have a picture.

        Parameters
        ----------
        profiles
            Rows of the model's `item_ids`; numbers from ``len(item_ids)`` on are rows of `guests`.
        user_ids
            Who stands behind each profile.
        guests
            Raw features of pictures outside the catalogue, shape (guests, dim of a feature).
        """

    def embed(self, features: FloatArray) -> FloatArray:
        """Item vectors of pictures outside the catalogue, from their raw features, shape (n, dim).

        Raises
        ------
        UsageError
            The model does not look at pictures.
        """
