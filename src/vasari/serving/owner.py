"""What an owner wants to see at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from vasari.data.dataset import Dataset
from vasari.serving.asks import ModelInfo, Overview
from vasari.serving.exposures import Shown
from vasari.serving.shelf import Shelf
from vasari.serving.store.store import Store

LISTED = 500
ON_THE_MAP = 2_000


class Owner:
    """Counts what was sold and shown; what the log holds is counted once.

    Parameters
    ----------
    data
        Catalogue and log.
    store
        What happened since.
    evaluation
        See `Overview`.
    """

    def __init__(self, data: Dataset, store: Store, evaluation: str | None) -> None:
        self._evaluation = evaluation
        days = data.interactions.sales()["timestamp"].dt.strftime("%Y-%m-%d").to_list()
        self._sales = Counter(days)
        self._store = store
        self._shown = Shown()

    def overview(self, shelf: Shelf, users: int, models: Sequence[ModelInfo]) -> Overview:
        """Everything, as of now."""
        self._shown.catch_up(self._store)
        sales = self._sales + Counter(map(_day, self._store.sales_times()))
        here = np.flatnonzero(shelf.available).tolist()
        never = [item for item in shelf.roster.take(here) if item not in self._shown.works]
        return Overview(
            works=len(shelf),
            available=len(here),
            users=users,
            sales=tuple(sorted(sales.items())),
            shown=len(here) - len(never),
            coverage=(len(here) - len(never)) / max(len(here), 1),
            never_shown=tuple(never[:LISTED]),
            cold_visitors=tuple(reversed(list(self._shown.cold)[-LISTED:])),
            answers=dict(self._shown.answers),
            models=tuple(models),
            evaluation=self._evaluation,
            map=_map(shelf),
        )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, tz=timezone.utc).strftime("%Y-%m-%d")


def _map(shelf: Shelf) -> tuple[tuple[str, float, float], ...]:
    """At most `ON_THE_MAP` works with a picture, evenly from the catalogue."""
    if shelf.looks is None:
        return ()
    pictured = np.array(
        [row for row, picture in enumerate(shelf.pictures[: len(shelf)]) if picture is not None]
    )
    rows = pictured[:: max(1, -(-len(pictured) // ON_THE_MAP))].astype(np.int64)
    places = shelf.looks.places(rows).tolist()
    return tuple((item, x, y) for item, (x, y) in zip(shelf.roster.take(rows.tolist()), places, strict=True))
