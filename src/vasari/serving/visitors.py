"""What every visitor took, likes and dislikes: the log, and what happened since."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.serving.roster import Roster
from vasari.serving.store.store import DISLIKE, LIKE, SALE, TAKE_BACK, Event

ABOUT = (LIKE, DISLIKE, TAKE_BACK, SALE)  # events that change a profile


@dataclass
class Taken:
    """What some events did to popularity and stock: row numbers, repeats count."""

    more: list[int] = field(default_factory=list)
    fewer: list[int] = field(default_factory=list)
    sold: list[int] = field(default_factory=list)


class Visitors:
    """Profiles of visitors as rows of the roster.

    Parameters
    ----------
    user_ids, profiles
        The log: what each user took, oldest first, without repeats; rows of the data set's catalogue.
    """

    def __init__(self, user_ids: Ids, profiles: Ragged) -> None:
        self._user_ids, self._profiles = user_ids, profiles
        self._since: dict[str, dict[int, bool]] = {}  # user to work to whether it is liked, in order
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the users of the log and those who came since."""
        with self._lock:
            return len(self._user_ids) + sum(user not in self._user_ids for user in self._since)

    def fold(self, events: Iterable[Event], roster: Roster) -> Taken:
        """Let what happened into the profiles."""
        taken = Taken()
        with self._lock:
            for event in events:
                if event.user_id is None or event.kind not in ABOUT or event.item_id not in roster:
                    continue
                row = roster.row(event.item_id)
                mine = self._since.setdefault(event.user_id, {})
                if mine.pop(row, False):
                    taken.fewer.append(row)
                if event.kind in (LIKE, SALE):
                    mine[row] = True
                    taken.more.append(row)
                elif event.kind == DISLIKE:
                    mine[row] = False
                if event.kind == SALE:
                    taken.sold.append(row)
        return taken

    def likes(self, user_id: str) -> list[int]:
        """What a user took or likes, oldest first; empty for somebody unknown."""
        with self._lock:
            since = dict(self._since.get(user_id, {}))
        row = int(self._user_ids.find([user_id])[0])
        before = self._profiles[row].tolist() if row >= 0 else []
        return [work for work in before if work not in since] + [
            work for work, liked in since.items() if liked
        ]

    def dislikes(self, user_id: str) -> list[int]:
        """What a user dislikes, oldest first."""
        with self._lock:
            return [work for work, liked in self._since.get(user_id, {}).items() if not liked]

    def moved_on(self, user_id: str) -> bool:
        """Whether the user did something since the log, so that what was learnt of them is out of date."""
        with self._lock:
            return bool(self._since.get(user_id))


def taken_rows(taken: Taken) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The three lists as arrays."""
    more, fewer, sold = (np.array(rows, dtype=np.int64) for rows in (taken.more, taken.fewer, taken.sold))
    return more, fewer, sold
