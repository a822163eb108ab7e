"""Profiles by reference: every profile is a stretch of a history, named by one integer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.data.ragged import Ragged

IntArray = npt.NDArray[np.int64]


class ProfileBook:
    """Names profiles by integer keys and writes out the distinct ones of a batch.

    A *place* is a position in all histories laid end to end. The keys are, with H places and W works:

    ========================  ===================================================================
    key                       profile
    ========================  ===================================================================
    0 .. H                    the user's history up to and including that place
    H .. H + W                the artificial profile of one work
    then H more               the history up to the end of that place's basket, without that place
    then H more               the whole history without that place
    then H more               the last `window` works up to and including that place
    ========================  ===================================================================

    Parameters
    ----------
    history
        Per user the works taken, in time order, each once.
    basket_stop
        For every place, the place after the end of its basket; shape (H,).
    works
        Item number of every work, shape (W,).
    """

    def __init__(self, history: Ragged, basket_stop: IntArray, works: IntArray) -> None:
        places, n_works = len(history.values), len(works)
        self._source = np.concatenate([works[history.values], works])  # items; places, then single works
        owner = history.row_of_value
        self._start = np.concatenate([history.offsets[owner], places + np.arange(n_works)])
        self._history_stop = history.offsets[owner + 1]
        self._basket_stop = basket_stop
        self._families = np.cumsum([0, places + n_works, places, places])  # first key of each family
        # One profile, one key: without its last place, a stretch is a shorter stretch from the start.
        place = np.arange(places)
        history_stop = self._history_stop
        alone = history_stop - self._start[:places] == 1
        left_out = np.where(place == history_stop - 1, place - 1, place + self._families[2])
        self._left_out = np.where(alone, place, left_out)
        hidden = np.where(basket_stop == history_stop, left_out, place + self._families[1])
        self._hidden = np.where(place == basket_stop - 1, place - 1, hidden)

    def up_to(self, place: IntArray) -> IntArray:
        """Keys of the histories up to and including each place."""
        return place

    def artificial(self, work: IntArray) -> IntArray:
        """Keys of the one-work profiles."""
        keys: IntArray = work + len(self._basket_stop)
        return keys

    def hidden_in_basket(self, place: IntArray) -> IntArray:
        """Keys of the histories up to the end of each place's basket, of two or more, without that place."""
        return self._hidden[place]

    def left_out(self, place: IntArray) -> IntArray:
        """Keys of the whole histories without each place; without all where nothing else is there."""
        return self._left_out[place]

    def window(self, place: IntArray) -> IntArray:
        """Keys of the last works up to and including each place."""
        keys: IntArray = place + self._families[3]
        return keys

    def write(self, keys: IntArray, cap: int | None, window: int) -> tuple[Ragged, IntArray]:
        """Write out each distinct profile once.

        Parameters
        ----------
        keys
            Shape (triples,).
        cap
            Keep only the last `cap` items of every profile; None keeps all. With 0 one empty profile is left.
        window
            Length of the windowed profiles.

        Returns
        -------
        The distinct profiles as item numbers, and the row of every key among them, shape (triples,).
        """
        if cap == 0:
            return Ragged.from_lengths([], [0]), np.zeros(len(keys), np.int64)
        distinct, row = np.unique(keys, return_inverse=True)
        family = np.searchsorted(self._families, distinct, side="right") - 1
        place = distinct - self._families[family]
        start, stop = self._start[place], place + 1
        removed = np.full(len(place), -1)
        if (hides := np.flatnonzero((family == 1) | (family == 2))).size:
            at = place[hides]
            stop[hides] = np.where(family[hides] == 1, self._basket_stop[at], self._history_stop[at])
            removed[hides] = at
        if (windowed := np.flatnonzero(family == 3)).size:
            start[windowed] = np.maximum(start[windowed], stop[windowed] - window)
        if cap is not None:
            first = stop - cap
            start = np.maximum(start, first - (removed >= first))  # the removed one leaves room for one more
        lengths = stop - start
        begin = np.cumsum(lengths) - lengths
        at = np.repeat(start - begin, lengths)
        at += np.arange(len(at))
        if hides.size:
            gone = begin[hides] + removed[hides] - start[hides]
            inside = removed[hides] >= start[hides]
            at = np.delete(at, gone[inside])
            lengths[hides[inside]] -= 1
        return Ragged.from_lengths(self._source[at], lengths), row.astype(np.int64, copy=False)
