"""The gallery itself: what the API and the page call, and all they need to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from typing_extensions import Self

from vasari.serving.asks import (
    Answer,
    Artist,
    Ask,
    HeatMap,
    ModelInfo,
    Overview,
    Page,
    Reason,
    Sale,
    Work,
)
from vasari.serving.filters import Filters


class Gallery:
    """Models, catalogue and live state under one roof; every method may be called from any thread.

    Every answer reflects all that was acknowledged before it was asked for, also by other processes that
    share the store. A work that is unknown raises `NotFound`.
    """

    @classmethod
    def open(
        cls,
        run: str | Path,
        database: str | None = None,
        data: str | Path | None = None,
        features: str | Path | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> Self:
        """Open a run for visitors; see `vasari.serving.run_folder.RunFolder` for what a run is.

        Parameters
        ----------
        run
            A folder such as `vasari demo` writes, or a model's folder.
        database
            SQLAlchemy URL; None: SQLite in ``RUN/live/gallery.db``.
        data, features
            Data set and feature table where the run does not hold them.
        shares
            Model name to its share of the visitors; None: the first model answers all.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stop answering and let go of the store; twice is allowed."""
        raise NotImplementedError

    # ------------------------------------------------------------------ answers

    def recommend(self, ask: Ask) -> Answer:
        """Hang a wall."""
        return self.submit(ask).result()

    def submit(self, ask: Ask) -> Future[Answer]:
        """As `recommend`, for those who wait otherwise; asks that wait together are answered together."""
        raise NotImplementedError

    def explain(self, ask: Ask, item_id: str) -> list[Reason]:
        """Which works of the visitor's profile speak for a work, strongest first; empty for a cold visitor."""
        raise NotImplementedError

    def similar(self, item_id: str, k: int = 12, filters: Filters | None = None) -> Answer:
        """Works most like one work; the work itself is left out."""
        raise NotImplementedError

    def between(self, item_a: str, item_b: str, k: int = 12) -> Answer:
        """Works that are like both of two works: by the smaller of the two likenesses."""
        raise NotImplementedError

    def surprise(self, start: str | None = None, k: int = 12, seed: int | None = None) -> Answer:
        """A random walk among similar works, from `start` or from anywhere; same seed, same walk."""
        raise NotImplementedError

    def heat_map(self, ask: Ask, item_id: str, profile_item: str) -> HeatMap | None:
        """Where in `profile_item` the model looked for this visitor; None unless it is ACF with spatial maps."""
        raise NotImplementedError

    # ------------------------------------------------------------------ works

    def work(self, item_id: str) -> Work:
        """One work."""
        raise NotImplementedError

    def works(self, item_ids: Iterable[str]) -> list[Work]:
        """Some works, in the given order."""
        raise NotImplementedError

    def browse(
        self, offset: int = 0, limit: int = 60, filters: Filters | None = None, order: str = "catalogue"
    ) -> Page:
        """Page through the works; `order` is ``"catalogue"``, a column, or ``"-column"`` for descending."""
        raise NotImplementedError

    def columns(self) -> dict[str, Sequence[Any]]:
        """What can be filtered by: column to its values if they are few, or to (least, largest) for numbers."""
        raise NotImplementedError

    def artists(self) -> list[Artist]:
        """All artists, those with most works first."""
        raise NotImplementedError

    def of_artist(self, artist_id: str) -> list[Work]:
        """All works of one artist; an unknown artist raises `NotFound`."""
        raise NotImplementedError

    def cluster_neighbours(self, item_id: str, k: int = 12) -> list[Work]:
        """Works of the same visual cluster that can be had, the most alike first."""
        raise NotImplementedError

    # ------------------------------------------------------------------ live state

    def profile(self, user_id: str) -> list[str]:
        """What a user took or likes, oldest first: the log, then what was recorded since."""
        raise NotImplementedError

    def dislikes(self, user_id: str) -> list[str]:
        """What a user dislikes."""
        raise NotImplementedError

    def record(
        self,
        user_id: str,
        item_id: str,
        kind: Literal["like", "dislike", "view"] = "like",
        value: float = 1.0,
        idempotency_key: str | None = None,
    ) -> None:
        """Keep what a user did; on disk when this returns."""
        raise NotImplementedError

    def take_back(self, user_id: str, item_id: str, idempotency_key: str | None = None) -> None:
        """Forget a user's like or dislike of a work; nothing happens if there is none."""
        raise NotImplementedError

    def sell(self, item_id: str, buyer: str, idempotency_key: str | None = None) -> Sale:
        """Sell a work; of two buyers of one original exactly one wins, the other gets `Conflict`."""
        raise NotImplementedError

    def add_work(
        self,
        item_id: str,
        picture: bytes,
        title: str | None = None,
        artist_id: str | None = None,
        original: bool = False,
        columns: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Work:
        """Hang a new work, to be found at once; an id that is taken raises `Conflict`."""
        raise NotImplementedError

    def update_work(
        self, item_id: str, changes: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Work:
        """Change title, artist_id, further columns, or `removed` (True takes it off the walls)."""
        raise NotImplementedError

    # ------------------------------------------------------------------ models and owner

    def models(self) -> list[ModelInfo]:
        """The models that answer."""
        raise NotImplementedError

    def swap(self, name: str, folder: str | Path) -> ModelInfo:
        """Put another model in the place of `name` (or beside the others), without a request that fails."""
        raise NotImplementedError

    def variant_of(self, user_id: str | None) -> str:
        """The model that answers a user: by a stable hash of the id, in proportion to the shares."""
        raise NotImplementedError

    def overview(self) -> Overview:
        """What an owner wants to see."""
        raise NotImplementedError
