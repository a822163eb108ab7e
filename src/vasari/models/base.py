"""The contract of every recommender: fit, score, recommend, similar_items, explain, save_pretrained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import TypeAdapter, ValidationError
from typing_extensions import Self

from vasari.core.errors import DataError, NotFittedError, UsageError
from vasari.data.dataset import Dataset
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import ALWAYS
from vasari.features.table import FeatureTable
from vasari.models.requests import Query, candidate_mask, long_table, profile_query, user_query
from vasari.retrieval.topk import top_k

if TYPE_CHECKING:
    from PIL import Image

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]

TILE = 256  # profiles scored at once by `recommend`


@dataclass(frozen=True)
class NoSettings:
    """A model without settings."""


@dataclass(frozen=True, eq=False)
class FitInputs:
    """What `fit` hands to a model.

    Attributes
    ----------
    data
        Catalogue and log.
    table
        The feature table, None for models that do not look at pictures.
    rows
        Row of `table` for every item of the catalogue, -1 without a picture; shape (items,).
    seed, device, checkpoints, progress
        As given to `fit`.
    """

    data: Dataset
    table: FeatureTable | None
    rows: IntArray
    seed: int
    device: str
    checkpoints: Path | None
    progress: bool | None


S = TypeVar("S")


class Recommender(ABC, Generic[S]):
    """Anything that scores works for a user or a profile.

    A subclass names its settings (a frozen dataclass), learns in `_fit`, scores in `_score` and gives
    its arrays to the file in `_arrays` / `_restore`. Everything else is shared.

    Parameters
    ----------
    **settings
        Fields of the model's `Settings`.

    Raises
    ------
    UsageError
        A setting does not exist or is out of range.
    """

    name: ClassVar[str]
    Settings: ClassVar[type]
    needs_features: ClassVar[bool] = False
    needs_pictures: ClassVar[bool] = False  # reads the picture files itself
    personal: ClassVar[bool] = True  # whether the profile decides, so that an empty one needs a fallback

    def __init__(self, **settings: Any) -> None:
        known = [field.name for field in fields(self.Settings)]
        if unknown := sorted(set(settings) - set(known)):
            raise UsageError(
                f"{self.name} has no setting {unknown[0]!r}; it has {', '.join(known) or 'none'}"
            )
        try:
            self.settings: S = _checker(self.Settings).validate_python(settings)
        except ValidationError as error:
            first = error.errors()[0]
            if isinstance(cause := first.get("ctx", {}).get("error"), UsageError):
                raise cause from None  # a setting of the right type but out of range
            name = first["loc"][0] if first["loc"] else ""
            raise UsageError(f"{self.name}: {name}={settings.get(str(name))!r}: {first['msg']}") from None
        self.history: list[dict[str, float]] = []
        self.trained_on = ""
        self.fingerprint: dict[str, Any] | None = None

    # ------------------------------------------------------------------ learning

    def fit(
        self,
        data: Dataset,
        features: FeatureTable | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        checkpoints: str | Path | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Learn from a log. A second `fit` forgets the first.

        Parameters
        ----------
        data
            Catalogue and interactions; every interaction may be learnt from.
        features
            The pictures' vectors; items without one are masked.
        seed
            Same seed, same model.
        device
            ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
        checkpoints
            Folder for checkpoints of models that train in epochs; if it holds some of this very run,
            training goes on from there.
        progress
            Whether to show a bar; None shows it on a terminal.

        Raises
        ------
        DataError
            The log is empty, or no item of the catalogue has a feature vector.
        UsageError
            The model needs features, or picture files, and got none.
        """
        if len(data.interactions) == 0:
            raise DataError(
                f"{data.name} has 0 users and 0 interactions; {self.name} needs a log to learn from"
            )
        rows = self._settle(data, features)
        self.history = []
        where = Path(checkpoints) if checkpoints is not None else None
        self._fit(FitInputs(data, features, rows, seed, device, where, progress))
        self.trained_on = data.fingerprint
        return self

    def _settle(self, data: Dataset, features: FeatureTable | None) -> IntArray:
        """Take over ids, profiles and stock; returns the feature row of every item, -1 without one."""
        if self.needs_features and features is None:
            raise UsageError(f"{self.name} looks at pictures: pass features=vasari.extract(data)")
        if self.needs_pictures and not any(data.catalogue.images()):
            raise UsageError(
                f"{self.name} learns from the picture files, and {data.name} names none; give their folder "
                "when the data is read: vasari import --images, or Dataset.from_frames(image_root=...)"
            )
        rows: IntArray = np.full(len(data.catalogue), -1, dtype=np.int64)
        if features is not None:
            rows = features.align(data.catalogue.ids)
        if self.needs_features and not (rows >= 0).any():
            raise DataError(
                f"none of the {len(rows)} items of {data.name} is in the feature table; "
                "was it extracted from another catalogue?"
            )
        histories = data.histories
        self.item_ids: Ids = data.catalogue.ids
        self.user_ids: Ids = histories.user_ids
        self.profiles: Ragged = distinct(histories.items, len(self.item_ids))
        self.scorable: BoolArray = rows >= 0 if self.needs_features else np.ones(len(rows), bool)
        # Sold originals and removed works are gone for visitors of today; works yet to be hung are not.
        now = histories.times.max() if len(histories.times) else ALWAYS
        self.available: BoolArray = data.stock.leaves > now
        counts = np.bincount(self.profiles.values, minlength=len(self.item_ids))
        self.popularity: FloatArray = counts.astype(np.float32)
        self.fingerprint = features.fingerprint.to_json() if self.needs_features and features else None
        return rows

    @abstractmethod
    def _fit(self, inputs: FitInputs) -> None:
        """Learn; item numbers are rows of the catalogue."""

    @property
    def fitted(self) -> bool:
        """Whether the model can answer."""
        return bool(self.trained_on)

    def config(self) -> dict[str, Any]:
        """The settings, such that ``type(model)(**model.config())`` is an unfitted copy."""
        return asdict(self.settings)  # type: ignore[call-overload]  # S is a dataclass by contract

    def clone(self) -> Self:
        """An unfitted model with the same settings."""
        return type(self)(**self.config())

    # ------------------------------------------------------------------ scoring

    def score(
        self,
        profiles: Ragged,
        user_ids: Sequence[str | None] | None = None,
        guests: FloatArray | None = None,
    ) -> FloatArray:
        """Score every item for every profile.

        Parameters
        ----------
        profiles
            Rows of `item_ids`, oldest first. A profile is a set: repeats count once. Numbers from
            ``len(item_ids)`` on are rows of `guests`. Items without a picture are left out by models
            that look at pictures. A profile that is empty then gets the popularity of every item.
        user_ids
            Who stands behind each profile; only Oracle and models with user factors look at it.
        guests
            Raw features of pictures outside the catalogue, shape (guests, dim).

        Returns
        -------
        Shape (profiles, items); -inf where the model cannot score an item.

        Raises
        ------
        NotFittedError
            Before `fit` or `load`.
        """
        self._require_fit()
        return self._masked_scores(profiles, user_ids, guests)

    def _masked_scores(
        self,
        profiles: Ragged,
        user_ids: Sequence[str | None] | None = None,
        guests: FloatArray | None = None,
    ) -> FloatArray:
        """What `score` gives, also to a model in training that is to be judged by what it would answer."""
        count = len(self.item_ids)
        total = count + (0 if guests is None else len(guests))
        if profiles.values.size and not (profiles.values.min() >= 0 and profiles.values.max() < total):
            raise UsageError(f"profile item numbers must lie in 0..{total - 1}")
        usable = np.concatenate([self.scorable, np.ones(total - count, dtype=bool)])
        clean = distinct(profiles.where(usable[profiles.values]), total)
        scores = self._score(clean, user_ids if user_ids is not None else [None] * len(clean), guests)
        if self.personal and (empty := clean.lengths == 0).any():
            scores[empty] = self.popularity
        scores[:, ~self.scorable] = -np.inf
        return scores

    @abstractmethod
    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        """Scores of shape (profiles, items), fresh memory; rows of empty profiles are overwritten."""

    def _similarity(self, items: IntArray, guests: FloatArray | None) -> FloatArray:
        """Likeness of the given items (or guests) to every item, shape (len(items), items)."""
        raise UsageError(f"{self.name} has no notion of similar items; use CuratorNet or VisRank")

    # ------------------------------------------------------------------ answers

    def recommend(
        self,
        users: Sequence[str] | None = None,
        *,
        profile: Sequence[str] | None = None,
        images: Sequence[str | Path | Image.Image] | None = None,
        k: int = 20,
        candidates: Sequence[str] | str = "available",
        exclude: Sequence[str] = (),
        exclude_profile: bool = True,
    ) -> pl.DataFrame:
        """Recommend to known users, or to a visitor known only by works and pictures.

        Parameters
        ----------
        users
            Known users; each gets up to `k` works.
        profile, images
            Works of the catalogue and pictures outside it that stand for one visitor; both may be given.
        k
            How many works, >= 1; fewer come back where there are fewer candidates.
        candidates
            ``"available"`` (not sold out and not removed by the end of the log), ``"all"``, or item ids.
        exclude
            Item ids that must not come back.
        exclude_profile
            Whether works of the profile are left out.

        Returns
        -------
        Long table: user_id (only for `users`), item_id, score, rank (from 1).

        Raises
        ------
        UsageError
            Neither or both of users and profile/images, or k < 1.
        NotFoundError
            A user or item is unknown.
        """
        self._require_fit()
        if (users is not None) == (profile is not None or images is not None):
            raise UsageError("recommend needs either users=[...] or profile=[...] and/or images=[...]")
        if k < 1:
            raise UsageError(f"k={k} must be at least 1")
        if users is not None:
            query = user_query(users, self.user_ids, self.profiles)
        else:
            query = profile_query(profile or (), self._encode(images or ()), self.item_ids)
        allowed = candidate_mask(candidates, exclude, self.item_ids, self.available) & self.scorable
        tables = [
            self._answer(query.slice(start, start + TILE), allowed, k, exclude_profile)
            for start in range(0, len(query.profiles), TILE)
        ]
        table = pl.concat(tables) if tables else long_table(query.user_ids, *_nothing(k), self.item_ids)
        return table if users is not None else table.drop("user_id")

    def _answer(self, query: Query, allowed: BoolArray, k: int, exclude_profile: bool) -> pl.DataFrame:
        scores = self.score(query.profiles, query.user_ids, query.guests)
        mask = np.tile(allowed, (len(scores), 1))
        if exclude_profile:
            inside = query.profiles.values < len(self.item_ids)
            mask[query.profiles.row_of_value[inside], query.profiles.values[inside]] = False
        return long_table(query.user_ids, *top_k(scores, k, mask), self.item_ids)

    def similar_items(
        self,
        item: str | Path | Image.Image,
        k: int = 20,
        *,
        candidates: Sequence[str] | str = "available",
    ) -> pl.DataFrame:
        """Works most like one work of the catalogue (its id) or like any picture (a path or image).

        Returns
        -------
        Table of item_id, score (cosine), rank; the work itself is left out.

        Raises
        ------
        NotFoundError
            The item is unknown.
        UsageError
            The model has no notion of similarity, or the item has no picture.
        """
        self._require_fit()
        if k < 1:
            raise UsageError(f"k={k} must be at least 1")
        mask = candidate_mask(candidates, (), self.item_ids, self.available) & self.scorable
        if isinstance(item, str) and (item in self.item_ids or not Path(item).is_file()):
            row = self.item_ids.rows([item])
            if not self.scorable[row[0]]:
                raise UsageError(f"item_id {item!r} has no picture, so nothing can look like it")
            mask[row[0]] = False
            scores = self._similarity(row, None)
        else:
            scores = self._similarity(np.array([len(self.item_ids)]), self._encode([item]))
        return long_table([None], *top_k(scores, k, mask[None]), self.item_ids).drop("user_id")

    def explain(self, profile: Sequence[str], item: str) -> pl.DataFrame:
        """Which works of a profile speak for an item, and how much.

        Returns
        -------
        Table of item_id (of the profile), contribution (in units of the score), strongest first.
        How contributions are computed is the model's affair, see `contributions`.

        Raises
        ------
        NotFoundError
            An item is unknown.
        UsageError
            The profile is empty.
        """
        self._require_fit()
        if not profile:
            raise UsageError("explain needs a profile of at least one item")
        rows = self.item_ids.rows(dict.fromkeys(profile))
        values = self.contributions(rows, self.item_ids.rows([item]))[0]
        table = pl.DataFrame({"item_id": self.item_ids.take(rows), "contribution": values})
        return table.sort("contribution", descending=True, maintain_order=True)

    def contributions(self, profile: IntArray, items: IntArray) -> FloatArray:
        """How much each work of a profile speaks for each of some items, shape (items, profile).

        By leaving one out: the score with the whole profile minus the score without that work. A
        profile of one work has nothing to compare with: it speaks with the whole score. Models whose
        score is a sum over the profile override this with the exact terms.
        """
        whole = self.score(Ragged.from_rows([profile]))[0, items]
        if len(profile) == 1:
            return whole[:, None]
        without = Ragged.from_rows([np.delete(profile, place) for place in range(len(profile))])
        return np.asarray(whole[:, None] - self.score(without)[:, items].T, dtype=np.float32)

    def _encode(self, images: Sequence[Any]) -> FloatArray | None:
        if not len(images):
            return None
        if self.fingerprint is None:
            raise UsageError(f"{self.name} does not look at pictures; pass item ids instead of images")
        from vasari.features.extractor import Extractor
        from vasari.features.fingerprint import Fingerprint

        return Extractor.from_fingerprint(Fingerprint.from_json(self.fingerprint)).encode(images)

    def _require_fit(self) -> None:
        if not self.fitted:
            raise NotFittedError(
                f"{self.name} has learnt nothing yet; call fit(...) or vasari.load(...) first"
            )

    # ------------------------------------------------------------------ files

    @abstractmethod
    def _arrays(self) -> Arrays:
        """What the model learnt, for model.safetensors."""

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None:
        """Undo `_arrays`."""

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors, ids, profiles, a model card and checksums, atomically."""
        self._require_fit()
        from vasari.models.pretrained import save

        return save(self, Path(folder))


def distinct(profiles: Ragged, n_items: int) -> Ragged:
    """Each profile without repeats; the last (most recent) occurrence of an item stays in place."""
    keys = profiles.row_of_value * n_items + profiles.values
    _, last = np.unique(keys[::-1], return_index=True)
    if len(last) == len(keys):
        return profiles
    keep = np.zeros(len(keys), dtype=bool)
    keep[len(keys) - 1 - last] = True
    return profiles.where(keep)


@cache  # made once: it takes longer than the check
def _checker(settings: type[S]) -> TypeAdapter[S]:
    return TypeAdapter(settings)


def _nothing(k: int) -> tuple[IntArray, FloatArray]:
    return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
