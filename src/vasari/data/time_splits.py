"""Splits by time: a moment for everybody, each user's last interaction, each user's last share."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Literal

import numpy as np
import numpy.typing as npt

from vasari.core.errors import DataError, UsageError
from vasari.core.seeds import generator
from vasari.data.cases import hidden_cases
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.data.splits import Split, check_share, take_out
from vasari.data.stock import Stock

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NEWCOMERS = "they came after the cut, so that nothing was known of them"


def global_time(
    data: Dataset,
    share: float = 0.8,
    moment: datetime | None = None,
    cold_users: bool = False,
    exclude_profile: bool = True,
) -> Split:
    """Hide everything after one moment, the same for all; rank the stock just after it.

    No model learns from what came later than any question: the only protocol of which that holds. Each
    user who acts after the cut makes one case: the profile is the history up to the cut, relevant is all
    the user took after it. Candidates are the works that could be had directly after the cut. Works added
    later are none, since that they would come was not known; taken, they count as lost. Works sold or removed
    later are candidates, since that they would go was not known either.

    Parameters
    ----------
    share
        The cut is the time at which this share of all interactions has happened; those at that very time
        are trained on. Not used where `moment` is given.
    moment
        The cut itself; without a time zone it is UTC.
    cold_users
        Keep users without any history before the cut, with an empty profile; by default they are left out
        and counted.
    exclude_profile
        Whether works the user had taken before are no candidates.

    Raises
    ------
    UsageError
        `share` is not between 0 and 1.
    DataError
        Nothing happened up to the moment.
    """
    check_share(share, "the interactions")
    histories, times = data.histories, data.histories.times
    if moment is not None:
        when = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        cut = (when - EPOCH) // timedelta(microseconds=1)
        name = f"global-time:moment={when.isoformat()}"
    elif len(times):
        cut = int(np.sort(times)[math.ceil(share * len(times)) - 1])
        name = f"global-time:share={share}"
    else:
        raise DataError(f"{data.name} has no interactions; there is no moment to cut at")
    hidden = times > cut
    if hidden.all():
        raise DataError(f"nothing in {data.name} happened up to {name}; there is nothing to train on")
    cases = hidden_cases(histories, hidden, data.stock, exclude_profile)
    # A work sold at the cut is gone after it; one microsecond is the resolution of all times.
    cases = replace(cases, times=np.full(len(cases), cut + 1, dtype=np.int64))
    if cold_users:
        return take_out(data, hidden, cases, name + ",cold_users=true")
    known = cases.profiles.lengths > 0
    return take_out(data, hidden, cases.take(np.flatnonzero(known)), name, {NEWCOMERS: int((~known).sum())})


def leave_one_out(
    data: Dataset, pick: Literal["last", "random"] = "last", seed: int = 0, exclude_profile: bool = True
) -> Split:
    """Hide one work of every user with two or more interactions; rank the whole catalogue.

    The profile is all the rest. With ``"random"`` it reaches past the hidden work, and with either choice
    other users' later interactions are trained on: easier than what a shop meets.

    Parameters
    ----------
    pick
        ``"last"`` in time (the last row of the log within one timestamp), or ``"random"`` by `seed`, each
        of the user's works alike; all the user's interactions with it are then hidden.
    seed
        Only for ``"random"``.
    exclude_profile
        Whether works the user had taken before are no candidates.

    Raises
    ------
    UsageError
        There is no such `pick`.
    """
    if pick not in ("last", "random"):
        raise UsageError(f'pick={pick!r} must be "last" or "random"')
    histories = data.histories
    users, offsets = histories.users, histories.items.offsets
    if pick == "last":
        chosen = offsets[1:] - 1
    else:
        firsts = _first_takes(histories)
        of_user = users[firsts]
        order = np.lexsort((generator(seed, "leave one out").random(len(firsts)), of_user))
        chosen = firsts[order][np.searchsorted(of_user, np.arange(len(histories.user_ids)))]
    hidden = np.zeros(len(users), dtype=bool)
    hidden[chosen[histories.items.lengths >= 2]] = True
    name = "leave-one-out" if pick == "last" else f"leave-one-out:pick=random,seed={seed}"
    return _whole_catalogue(data, hidden, exclude_profile, name)


def last_share(data: Dataset, share: float = 0.2, exclude_profile: bool = True) -> Split:
    """Hide the last share of every user's interactions in time; rank the whole catalogue.

    Per user ``share`` of the interactions, rounded to the nearest whole number, at least one and never
    all. Users with fewer than two only train. Baskets may be cut; the order of the log decides within
    one timestamp.

    Parameters
    ----------
    exclude_profile
        Whether works the user had taken before are no candidates.

    Raises
    ------
    UsageError
        `share` is not between 0 and 1.
    """
    check_share(share, "each user's interactions")
    items = data.histories.items
    lengths = items.lengths
    count = np.clip(np.rint(share * lengths).astype(np.int64), 1, np.maximum(lengths - 1, 0))
    from_end = np.repeat(items.offsets[1:], lengths) - np.arange(len(items.values))
    hidden = from_end <= np.repeat(count, lengths)
    return _whole_catalogue(data, hidden, exclude_profile, f"last-share:share={share}")


def _whole_catalogue(data: Dataset, hidden: BoolArray, exclude_profile: bool, protocol: str) -> Split:
    hidden = _with_repeats(data.histories, hidden)
    everything = Stock.everything(len(data.catalogue))
    return take_out(data, hidden, hidden_cases(data.histories, hidden, everything, exclude_profile), protocol)


def _with_repeats(histories: Histories, hidden: BoolArray) -> BoolArray:
    """Hide also the user's other interactions with a hidden work at or after the first hidden time.

    The same row twice in a log, or the work taken again, would otherwise give the answer away. Users of
    whom nothing would be left only train.
    """
    users, times, n_items = histories.users, histories.times, len(histories.item_ids)
    moment = np.full(len(histories.user_ids), np.iinfo(np.int64).max)
    np.minimum.at(moment, users[hidden], times[hidden])
    pairs = users * n_items + histories.items.values
    wider: BoolArray = hidden | (np.isin(pairs, pairs[hidden]) & (times >= moment[users]))
    left = np.bincount(users[~wider], minlength=len(moment)) > 0
    return wider & left[users]


def _first_takes(histories: Histories) -> IntArray:
    """The place of each user's first interaction with each of their works, ascending."""
    pairs = histories.users * len(histories.item_ids) + histories.items.values
    return np.sort(np.unique(pairs, return_index=True)[1])
