"""A model aligned with the shelf: one immutable object that answers, swapped by assigning one reference."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from vasari.core.errors import UsageError
from vasari.core.files import CHECKSUMS, sha256_file
from vasari.data.ragged import Ragged
from vasari.features.fingerprint import DEEP, Fingerprint
from vasari.features.table import FeatureTable
from vasari.metrics import Interval
from vasari.models import load
from vasari.models.acf import ACF
from vasari.models.base import Recommender
from vasari.models.dot_product import DotProduct, as_dot_product
from vasari.retrieval import PrunedIndex, top_k
from vasari.serving.asks import HeatMap, ModelInfo
from vasari.serving.roster import Roster

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

AGAINST = 0.5  # how much dislikes weigh: score = score(likes) - AGAINST score(dislikes)


@dataclass(frozen=True, eq=False)
class Taste:
    """Who asks, in rows of the shelf.

    Attributes
    ----------
    likes, dislikes
        Works, oldest first.
    pictures
        Raw features of pictures that count as likes, in the columns of the gallery's table, or None.
    user_id
        For models that learnt something of this very user and may use it; None otherwise.
    """

    likes: Sequence[int]
    dislikes: Sequence[int] = ()
    pictures: FloatArray | None = None
    user_id: str | None = None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model, and for every work of the shelf what the model knows of it.

    Attributes
    ----------
    name, version, written_at
        What it is called here; of the weights; seconds since 1970.
    model
        Fitted.
    columns
        Where the model's features stand among those of the gallery's table; None if it looks at none of them.
    members
        What a work is called in the model's profiles: a row of its catalogue, from ``len(item_ids)`` on a
        row of `strangers`, -1 if it can say nothing of it; shape (works,).
    strangers
        Raw features of works that training did not know, shape (n, dim).
    scorable
        Which works it can score, shape (works,).
    product, index
        The model's inner products, and the vectors of the works, if its score is one.
    evaluation
        See `ModelInfo`.
    """

    name: str
    version: str
    written_at: float
    model: Recommender[Any]
    columns: slice | None
    members: IntArray
    strangers: FloatArray
    scorable: BoolArray
    product: DotProduct | None
    index: PrunedIndex | None
    evaluation: Mapping[str, Interval] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        name: str,
        folder: Path,
        item_ids: Sequence[str],
        table: FeatureTable | None,
    ) -> Self:
        """Read a model from its folder and align it with the works of a data set.

        Parameters
        ----------
        item_ids
            The works; those the model does not know are looked up in `table` and embedded.
        """
        model = load(folder)
        rows = model.item_ids.find(item_ids)
        columns = None if table is None else model_columns(model, table.fingerprint, table.dim)
        members = np.where(rows >= 0, rows, -1)
        known = (rows >= 0) & model.scorable[rows]
        members[~known] = -1
        snapshot = cls(
            name=name,
            version=weights_version(folder),
            written_at=(folder / "config.json").stat().st_mtime,
            model=model,
            columns=columns,
            members=members,
            strangers=np.zeros((0, 0 if columns is None else columns.stop - columns.start), np.float32),
            scorable=known,
            product=None,
            index=None,
        )
        product, vectors = as_dot_product(model), None
        if product is not None:
            vectors = matrix = product.item_matrix()
            if not (known.all() and np.array_equal(rows, np.arange(len(matrix)))):
                vectors = np.zeros((len(rows), matrix.shape[1]), np.float32)
                vectors[known] = matrix[rows[known]]
        if table is not None and columns is not None and product is not None and vectors is not None:
            at = table.align(item_ids)
            new = np.flatnonzero((members < 0) & (at >= 0))
            if len(new):
                raw = table.gather(at[new])[:, columns]
                vectors[new] = product.embed(raw)
                snapshot.members[new] = len(model.item_ids) + np.arange(len(new))
                snapshot.scorable[new] = True
                snapshot = replace(snapshot, strangers=raw)
        return replace(snapshot, product=product, index=None if vectors is None else PrunedIndex(vectors))

    def extended(self, features: Sequence[FloatArray | None]) -> Self:
        """With further works behind these, from their raw features in the columns of the gallery's table."""
        seen = self.index is not None and self.columns is not None
        usable = np.array([seen and one is not None for one in features], dtype=bool)
        raw = np.array([one[self.columns] for one in features if seen and one is not None], dtype=np.float32)
        members = np.full(len(features), -1, dtype=np.int64)
        strangers, index = self.strangers, self.index
        if index is not None:
            vectors = np.zeros((len(features), index.shape[1]), np.float32)
            if usable.any() and self.product is not None:
                vectors[usable] = self.product.embed(raw)
                members[usable] = len(self.model.item_ids) + len(strangers) + np.arange(usable.sum())
                strangers = np.concatenate([strangers, raw])
            index = index.extended(vectors)
        return replace(
            self,
            members=np.append(self.members, members),
            strangers=strangers,
            scorable=np.append(self.scorable, usable),
            index=index,
        )

    def repainted(self, row: int, features: FloatArray | None) -> Self:
        """With another picture for one work, from its raw features; who cannot place it keeps the old."""
        if self.index is None or self.columns is None or features is None or self.product is None:
            return self
        raw, members, scorable = features[None, self.columns], self.members.copy(), self.scorable.copy()
        members[row] = len(self.model.item_ids) + len(self.strangers)
        scorable[row] = True
        index = self.index.replaced(row, self.product.embed(raw)[0])
        strangers = np.concatenate([self.strangers, raw])
        return replace(self, members=members, scorable=scorable, index=index, strangers=strangers)

    def info(self, share: float) -> ModelInfo:
        """What there is to say of it."""
        age = max(0.0, time.time() - self.written_at)
        return ModelInfo(self.name, self.model.name, self.version, age, share, self.evaluation)

    # ------------------------------------------------------------------ answering

    def knows(self, taste: Taste) -> bool:
        """Whether anything of a taste means something to the model."""
        if taste.pictures is not None and self.columns is not None:
            return True
        return not self.model.personal or any(self.members[row] >= 0 for row in taste.likes)

    def search(
        self,
        tastes: Sequence[Taste],
        k: Sequence[int],
        candidates: Sequence[BoolArray],
        without: Sequence[Sequence[int]],
    ) -> tuple[IntArray, npt.NDArray[np.floating]]:
        """The best works for each taste, as `vasari.retrieval.top_k`.

        Parameters
        ----------
        tastes
            Of each the model knows something (`knows`).
        k
            How many for each; all come as long as the largest, and what is behind the k-th means nothing.
        candidates
            For each, which works may be answered, shape (works,); best the same object where it is the same.
        without
            For each, rows that may not be answered all the same.
        """
        shared = {id(mask): mask & self.scorable for mask in candidates}
        allowed = [shared[id(mask)] for mask in candidates]
        if self.index is not None:
            return self.index.search(self._queries(tastes), k, allowed, without)
        return top_k(self._scores(tastes), max(k), fewer(allowed, without))

    def contributions(self, taste: Taste, rows: IntArray) -> tuple[list[int], FloatArray, bool]:
        """How much each member of a taste speaks for some works of the shelf.

        Exact where the model's score is a sum over the profile, and what it may know of the visitor beside;
        otherwise by leaving one out. ACF's attention is that of the mean user, so the terms of a visitor whom
        it has learnt are not exact.

        Returns
        -------
        The members: rows of the shelf, and -1, -2, ... for the first, second, ... picture. Their
        contributions, shape (len(rows), members). Whether these are exact terms of the score.
        """
        exact = type(self.model).contributions is not Recommender.contributions
        learnt = self.attends and taste.user_id is not None
        members: list[int] = []
        parts = [np.zeros((len(rows), 0), np.float32)]
        likes = [work for work in taste.likes if self.members[work] >= 0]
        dislikes = [work for work in taste.dislikes if self.members[work] >= 0]
        pictures = taste.pictures if self.columns is not None else None
        for works, guests, weight in ((likes, pictures, 1.0), (dislikes, None, -AGAINST)):
            own = self.members[np.array([*works, *rows], dtype=np.int64)]
            inside = guests is None and bool((own < len(self.model.item_ids)).all() and (own >= 0).all())
            if not works and guests is None:
                continue
            if inside and (exact or self.index is None):
                given, asked = own[: len(works)], own[len(works) :]
                parts.append(np.float32(weight) * self.model.contributions(given, asked))
            else:
                parts.append(weight * self._left_out(works, guests, rows))
                exact = False
            members += works + [-1 - number for number in range(0 if guests is None else len(guests))]
        values = np.concatenate(parts, axis=1)
        values[~self.scorable[rows]] = 0
        return members, values, exact and not learnt

    @property
    def attends(self) -> bool:
        """Whether the model can say where in pictures it looks."""
        return isinstance(self.model, ACF)

    def heat_maps(self, taste: Taste, roster: Roster) -> dict[str, HeatMap]:
        """Where the model, which `attends`, looked in the works of a taste; empty without spatial maps."""
        assert isinstance(self.model, ACF)
        assert self.model.fingerprint is not None
        known = [row for row in taste.likes if 0 <= self.members[row] < len(self.model.item_ids)]
        if not known:
            return {}
        seen = self.model.attention(roster.take(known), taste.user_id)
        count = seen["positions"].dtype.shape[0]  # type: ignore[attr-defined]  # of an array, as ACF documents
        side = math.isqrt(count)
        if side < 2 or side * side != count:
            return {}
        fingerprint = Fingerprint.from_json(self.model.fingerprint)
        deep = next((part.fingerprint for part in fingerprint.parts if part.name == DEEP), fingerprint)
        padded, steps = deep.mode == "pad", deep.preprocessing
        cover = 1.0 if padded or steps is None else steps.size / steps.resize
        return {
            item: HeatMap(
                item, weight, tuple(map(tuple, np.reshape(places, (side, side)).tolist())), cover, padded
            )
            for item, weight, places in seen.select("item_id", "weight", "positions").iter_rows()
        }

    def _left_out(self, works: Sequence[int], pictures: FloatArray | None, rows: IntArray) -> FloatArray:
        """Scores with a whole profile less those without each of its members, shape (len(rows), members)."""
        count = 0 if pictures is None else len(pictures)
        tastes = [Taste(works, (), pictures)]
        tastes += [Taste([*works[:at], *works[at + 1 :]], (), pictures) for at in range(len(works))]
        if pictures is not None:
            rest = [np.delete(pictures, at, axis=0) for at in range(count)]
            tastes += [Taste(works, (), one if len(one) else None) for one in rest]
        alone = len(works) + count == 1  # nothing to compare with: it speaks with the whole score
        asked = tastes[:1] if alone else tastes
        if self.index is not None:
            scores = self.index.take(rows) @ self._vectors(asked).T  # (rows, 1 + members)
        else:
            scores = self._scores(asked)[:, rows].T
            scores[~self.scorable[rows]] = 0
        return scores if alone else scores[:, :1] - scores[:, 1:]

    def _queries(self, tastes: Sequence[Taste]) -> FloatArray:
        """Vectors of some visitors, dislikes taken off, shape (tastes, dim)."""
        vectors = self._vectors(tastes)
        against = [
            (place, Taste(taste.dislikes))
            for place, taste in enumerate(tastes)
            if any(self.members[row] >= 0 for row in taste.dislikes)
        ]
        if against:
            places = [place for place, _ in against]
            vectors[places] -= AGAINST * self._vectors([taste for _, taste in against])
        return vectors

    def _vectors(self, tastes: Sequence[Taste]) -> FloatArray:
        assert self.product is not None
        profiles, guests = self._profiles(tastes)
        return self.product.user_matrix(profiles, [taste.user_id for taste in tastes], guests)

    def _scores(self, tastes: Sequence[Taste]) -> FloatArray:
        """Scores of all works, shape (tastes, works), for models that are no inner product."""
        profiles, guests = self._profiles(tastes)
        theirs = self.model.score(profiles, [taste.user_id for taste in tastes], guests)
        scores = np.full((len(tastes), len(self.members)), -np.inf, dtype=np.float32)
        inside = (self.members >= 0) & (self.members < theirs.shape[1])
        scores[:, inside] = theirs[:, self.members[inside]]
        for place, taste in enumerate(tastes):
            if taste.dislikes:
                against = self._scores([Taste(taste.dislikes)])[0]
                scores[place, self.scorable] -= AGAINST * against[self.scorable]
        return scores

    def _profiles(self, tastes: Sequence[Taste]) -> tuple[Ragged, FloatArray | None]:
        """Profiles in the model's numbers, and the raw features of strangers and pictures."""
        guests, rows = [self.strangers], []
        count = len(self.model.item_ids) + len(self.strangers)
        for taste in tastes:
            members = self.members[np.array(list(dict.fromkeys(taste.likes)), dtype=np.int64)]
            members = members[members >= 0]
            if taste.pictures is not None and self.columns is not None:
                guests.append(taste.pictures[:, self.columns])
                members = np.append(members, count + np.arange(len(taste.pictures)))
                count += len(taste.pictures)
            rows.append(members)
        profiles = Ragged.from_rows(rows)
        if not (profiles.values >= len(self.model.item_ids)).any():
            return profiles, None
        return profiles, np.concatenate([part for part in guests if len(part)])


def fewer(candidates: Sequence[BoolArray], without: Sequence[Sequence[int]]) -> BoolArray:
    """One array of candidates, shape (tastes, works), each less its own rows."""
    masks = np.array(candidates)
    for mask, rows in zip(masks, without, strict=True):
        mask[list(rows)] = False
    return masks


def weights_version(folder: Path) -> str:
    """What tells a model's files from any other's."""
    return sha256_file(folder / CHECKSUMS)[:12]


def model_columns(model: Recommender[Any], fingerprint: Fingerprint, dim: int) -> slice | None:
    """Where the features of a model stand in a table of this fingerprint; None if it looks at none.

    Raises
    ------
    UsageError
        The model looks at features that the table does not hold.
    """
    if model.fingerprint is None:
        return None
    wanted = Fingerprint.from_json(model.fingerprint).digest
    if fingerprint.digest == wanted:
        return slice(0, dim)
    columns = fingerprint.columns(dim)
    for part in fingerprint.parts:
        if part.fingerprint.digest == wanted:
            return columns[part.name]
    raise UsageError(
        f"{model.name} was trained on features of {model.fingerprint['extractor']!r}, and the table holds "
        f"those of {fingerprint.extractor!r}; pass --features with the table it was trained on"
    )
