"""What stands at this moment: shelf, models and visitors, brought up to date from the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy.exc import SQLAlchemyError

from vasari.serving.asks import NotFound
from vasari.serving.shelf import NewWork, Shelf
from vasari.serving.snapshot import Snapshot
from vasari.serving.store.store import ADDED, CHANGED, SWAP, Event, Store, StoredWork
from vasari.serving.turns import turn
from vasari.serving.visitors import Visitors, taken_rows

logger = logging.getLogger(__name__)

AT_ONCE = 20_000  # events in memory at a time

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class State:
    """Shelf and models of one moment; they have the same rows."""

    shelf: Shelf
    snapshots: Mapping[str, Snapshot]

    def snapshot(self, name: str) -> Snapshot:
        """One model.

        Raises
        ------
        NotFound
            There is no such model.
        """
        if name not in self.snapshots:
            raise NotFound(f"model {name!r} is unknown; there are {', '.join(self.snapshots)}")
        return self.snapshots[name]


class Live:
    """The state, and the only place where it changes.

    A change is first in the store and then here: `catch_up` reads what was committed since it last looked,
    by this process or by others, and puts a new `State` in place of the old one. Whoever holds the old one
    goes on with it undisturbed.

    Parameters
    ----------
    store
        Where events come from.
    state
        As the data set has it, before any event.
    visitors
        As the log has them.
    pictures
        Folder of the gallery's own pictures.
    extractor
        Digest of the fingerprint of the gallery's features; vectors of works made otherwise are not used.
    swapped
        Called with name and folder when a model was swapped, by whichever process; must not take long.
    """

    def __init__(
        self,
        store: Store,
        state: State,
        visitors: Visitors,
        pictures: Path,
        extractor: str | None,
        swapped: Callable[[str, str], None],
    ) -> None:
        self.store, self.visitors, self.pictures = store, visitors, pictures
        self._state, self._extractor, self._swapped = state, extractor, swapped
        self._last = 0
        self._hung: list[FloatArray | None] = []  # features of works that came after the data set
        self._painted: dict[int, FloatArray | None] = {}  # and of works with another picture since
        self._lock = threading.Lock()

    def catch_up(self) -> State:
        """The state with everything that was committed before this call.

        Raises
        ------
        Busy
            Somebody else waits for the store, and has for long.
        """
        with turn(self._lock):
            # Asked before every batch of answers, and mostly in vain: so the short question comes first.
            while self.store.newest() > self._last:
                events = self.store.events_after(self._last, AT_ONCE)
                try:
                    self._state = self._after(events)
                except SQLAlchemyError:
                    raise
                except Exception:
                    logger.exception("events %d to %d go in one by one", events[0].id, events[-1].id)
                    self._one_by_one(events)
                self._last = events[-1].id
            return self._state

    def _one_by_one(self, events: Sequence[Event]) -> None:
        """Let in all events but those that fail: one that nobody foresaw must not stop all behind it."""
        for event in events:
            try:
                self._state = self._after([event])
            except SQLAlchemyError:
                raise
            except Exception:
                logger.exception("event %d (%s of %r) is left out", event.id, event.kind, event.item_id)

    @property
    def state(self) -> State:
        """The state as it was last brought up to date."""
        return self._state

    def install(self, snapshot: Snapshot, wanted: Callable[[], bool] = lambda: True) -> None:
        """Put a model, aligned with the works of the data set, in place of the one of its name.

        Parameters
        ----------
        wanted
            Whether it is still to be, asked while no event can come in between.
        """
        with self._lock:
            if not wanted():
                return
            if self._hung:
                snapshot = snapshot.extended(self._hung)
            for row, features in self._painted.items():
                snapshot = snapshot.repainted(row, features)
            self._state = replace(self._state, snapshots={**self._state.snapshots, snapshot.name: snapshot})

    def _after(self, events: Sequence[Event]) -> State:
        shelf, snapshots = self._state.shelf, dict(self._state.snapshots)
        touched = dict.fromkeys(event.item_id for event in events if event.kind in (ADDED, CHANGED))
        stored = self.store.stored_works(list(touched)) if touched else {}
        new = [stored[item] for item in touched if stored[item].added and item not in shelf.roster]
        features = [self._features(work) for work in new]
        painted: dict[int, FloatArray | None] = {}
        if new:
            shelf = shelf.hung(
                [
                    NewWork(work.item_id, work.changes, work.original, self._picture(work), one)
                    for work, one in zip(new, features, strict=True)
                ]
            )
            snapshots = {name: snapshot.extended(features) for name, snapshot in snapshots.items()}
        for event in events:
            if event.kind == CHANGED and event.item_id in touched and event.item_id in shelf.roster:
                del touched[event.item_id]  # once is enough: what is stored holds all changes
                work, row = stored[event.item_id], shelf.roster.row(event.item_id)
                shelf = shelf.changed(event.item_id, work.changes)
                if (picture := self._picture(work)) is not None and picture != shelf.pictures[row]:
                    one = self._features(work)
                    painted[row] = one
                    shelf = shelf.repainted(row, picture, one)
                    snapshots = {name: snap.repainted(row, one) for name, snap in snapshots.items()}
        for name, folder in {e.item_id: e.user_id for e in events if e.kind == SWAP}.items():
            self._swapped(name, folder or "")
        taken = self.visitors.fold(events, shelf.roster)
        if taken.more or taken.fewer:
            shelf = shelf.taken(*taken_rows(taken))
        # Last: should anything above fail, the same events are met again.
        self._hung += features
        self._painted |= painted
        return State(shelf, snapshots)

    def _picture(self, work: StoredWork) -> Path | None:
        return None if work.picture is None else self.pictures / work.picture

    def _features(self, work: StoredWork) -> FloatArray | None:
        """What the gallery's models can look at, None if that is nothing."""
        if work.features is None or work.extractor != self._extractor:
            return None
        return work.features if np.isfinite(work.features).all() else None
