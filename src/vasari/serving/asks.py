"""What is asked of the gallery and what it answers: plain values, nothing of the web or of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vasari.core.errors import NotFoundError, UsageError, VasariError
from vasari.metrics import Interval
from vasari.serving.filters import Filters

if TYPE_CHECKING:
    from PIL import Image

MOST = 500  # works in one answer, or in one list of an ask


class NotFound(NotFoundError):  # noqa: N818  # named by what the visitor is told
    """A work, artist or model that the gallery does not know; the message names it."""


class Conflict(VasariError, RuntimeError):  # noqa: N818  # as above
    """The state of the gallery forbids it: the original is sold, the id taken, the key used otherwise."""


class Busy(VasariError, RuntimeError):  # noqa: N818  # as above
    """More waits than can be answered soon; ask again in a moment."""


@dataclass(frozen=True)
class Ask:
    """For whom, and how, a wall is to be hung.

    Attributes
    ----------
    user_id
        Whose history counts; None for a visitor who is nothing but what follows. An id nobody knows is a
        cold start, not an error.
    likes, dislikes
        Item ids beside the history; dislikes are not answered and speak against works like them.
    images
        Pictures outside the catalogue that count as likes.
    k
        How many works, 1 to `MOST`.
    filters
        Which works may be answered.
    exclude
        Item ids that may not.
    diversity
        0: by score alone; 1: as unlike each other as the best works allow.
    per_artist
        At most so many works of one artist; None: any number.
    novelty
        0: by score alone; 1: works that few people took come first among the best.
    model
        Which model answers; None: the one the user is assigned to (`Gallery.variant_of`).

    Raises
    ------
    UsageError
        A number is out of range, or a list is longer than `MOST`.
    """

    user_id: str | None = None
    likes: tuple[str, ...] = ()
    dislikes: tuple[str, ...] = ()
    images: tuple[Image.Image, ...] = ()
    k: int = 20
    filters: Filters = field(default_factory=Filters)
    exclude: tuple[str, ...] = ()
    diversity: float = 0.0
    per_artist: int | None = None
    novelty: float = 0.0
    model: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MOST:
            raise UsageError(f"k={self.k} must lie in 1 to {MOST}")
        for name in ("diversity", "novelty"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)} must lie in 0 to 1")
        if self.per_artist is not None and self.per_artist < 1:
            raise UsageError(f"per_artist={self.per_artist} must be at least 1")
        for name in ("likes", "dislikes", "exclude", "images"):
            if len(getattr(self, name)) > MOST:
                raise UsageError(f"{name} holds {len(getattr(self, name))} entries, more than {MOST}")


@dataclass(frozen=True)
class Hung:
    """One work of an answer; `score` in units of the model, `rank` from 1."""

    item_id: str
    score: float
    rank: int


@dataclass(frozen=True)
class Answer:
    """A wall.

    Attributes
    ----------
    works
        Best first; fewer than asked for where there are fewer candidates.
    model, version
        Who answered; `version` changes with every model that is swapped in.
    cold
        Nothing was known of the visitor.
    fallback
        What answered in place of the model, ``"popularity"`` or ``"looks"``; None if the model did.
    """

    works: tuple[Hung, ...]
    model: str
    version: str
    cold: bool = False
    fallback: str | None = None


@dataclass(frozen=True)
class Reason:
    """How much one work speaks for another.

    Attributes
    ----------
    item_id
        A work of the profile.
    contribution
        In units of the score; negative if it speaks against.
    exact
        True: a term of the score. False: the score with the whole profile less the score without it.
    """

    item_id: str
    contribution: float
    exact: bool


@dataclass(frozen=True)
class Work:
    """One artwork as the gallery shows it.

    Attributes
    ----------
    item_id, title, artist_id
        Title and artist are None where unknown.
    columns
        Every further column of the catalogue (price, technique, added_at ...), None where empty.
    original
        One of a kind.
    available
        Can be had: neither removed nor, if it is an original, sold.
    picture
        The file, None if there is none. It lies in the image root or among the gallery's own pictures.
    """

    item_id: str
    title: str | None
    artist_id: str | None
    columns: Mapping[str, Any]
    original: bool
    available: bool
    picture: Path | None


@dataclass(frozen=True)
class Page:
    """Some works of a longer list, which has `total`."""

    works: tuple[Work, ...]
    total: int


@dataclass(frozen=True)
class Artist:
    """An artist and how many works of theirs there are, all and those that can be had."""

    artist_id: str
    works: int
    available: int


@dataclass(frozen=True)
class Sale:
    """A sale that is safely on disk."""

    sale_id: int
    item_id: str
    buyer: str
    sold_at: datetime


@dataclass(frozen=True)
class ModelInfo:
    """A model that answers.

    Attributes
    ----------
    name
        What it is called here and in `Ask.model`.
    kind
        The class, for example ``"CuratorNet"``.
    version
        Of the weights.
    age_seconds
        Since it was written to disk.
    share
        Of the visitors assigned to it, 0 to 1.
    evaluation
        Metric to mean over users with its 95% interval, from the last evaluation of models of this class;
        empty if there is none.
    """

    name: str
    kind: str
    version: str
    age_seconds: float
    share: float
    evaluation: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class HeatMap:
    """Where in a picture of the profile a model with attention (ACF) looked.

    Attributes
    ----------
    item_id
        A work of the profile.
    weight
        How much the model looked at this work at all; the weights of a profile sum to 1.
    rows
        How much it looked at each position, from the top, from left to right; all of them sum to 1.
    cover, padded
        The positions share out a square in the middle of the picture. Its side is `cover` times the shorter
        side of the picture or, if the model saw pictures `padded`, the longer one.
    """

    item_id: str
    weight: float
    rows: tuple[tuple[float, ...], ...]
    cover: float
    padded: bool


@dataclass(frozen=True)
class Overview:
    """What an owner wants to see.

    Attributes
    ----------
    works, available, users
        How many there are.
    sales
        (day as YYYY-MM-DD, sales of that day), in order, the log and the live sales together.
    shown
        How many works that can be had were ever in an answer.
    coverage
        The share of works that can be had which were ever in an answer.
    never_shown
        Some of the others (at most 500).
    cold_visitors
        Users the gallery answered although nothing was known of them, most recent first (at most 500).
    answers
        Model to how many answers it gave.
    models
        As `Gallery.models`.
    evaluation
        Data, protocol and users of the last evaluation; None if there is none.
    map
        (item_id, x, y): the collection in two dimensions by looks, x and y in 0 to 1, at most 2,000 works.
    """

    works: int
    available: int
    users: int
    sales: tuple[tuple[str, int], ...]
    shown: int
    coverage: float
    never_shown: tuple[str, ...]
    cold_visitors: tuple[str, ...]
    answers: Mapping[str, int]
    models: tuple[ModelInfo, ...]
    evaluation: str | None
    map: tuple[tuple[str, float, float], ...]
