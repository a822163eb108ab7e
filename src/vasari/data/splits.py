"""Splitting a log into what is trained on and what is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError
from vasari.data.cases import Cases, hidden_cases, last_baskets
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.data.stock import Stock

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Split:
    """A log without the hidden interactions, and the questions that they answer.

    Attributes
    ----------
    train
        Same catalogue, the log without what is hidden.
    cases
        One per user with hidden interactions. `relevant` holds everything hidden, also works that are no
        candidate at the moment of the case; the metrics leave those out, `lost` counts them.
    protocol
        ``"last-basket"``, ``"replay"`` or ``"evaluation-column"``.
    """

    train: Dataset
    cases: Cases
    protocol: str

    @property
    def lost(self) -> int:
        """Number of hidden works that are no candidate: not in stock then, or in the profile already."""
        cases = self.cases
        case, items = cases.relevant.row_of_value, cases.relevant.values
        times = cases.times[case]
        there = (cases.stock.enters[items] <= times) & (times <= cases.stock.leaves[items])
        if cases.exclude_profile:
            width = len(cases.item_ids)
            known = cases.profiles.row_of_value * width + cases.profiles.values
            there &= ~np.isin(case * width + items, known)
        return int((~there).sum())


def last_basket(data: Dataset, exclude_profile: bool = True) -> Split:
    """Hide every user's last basket; the whole catalogue is ranked, whenever it was to be had.

    Users with a single basket only train (Messina et al. 2020, section 5).

    Parameters
    ----------
    exclude_profile
        Whether works the user had taken before are no candidates.
    """
    hidden = last_baskets(data.histories)
    return _split(data, hidden, Stock.everything(len(data.catalogue)), exclude_profile, "last-basket")


def replay(data: Dataset, exclude_profile: bool = True) -> Split:
    """Hide every user's last basket; the stock of its moment is ranked.

    A work is in stock from `added_at` until `removed_at` or, if the catalogue calls it an original, its
    first sale, the buying session included. The model is trained once, on everything that is not hidden.
    The sessions before the last, which the authors' simulation also ranks but leaves out of the reported
    "last" metrics, are not asked.

    Parameters
    ----------
    exclude_profile
        Whether works the user had taken before are no candidates. The authors keep them as candidates
        while in stock (copies can be bought again): False.
    """
    return _split(data, last_baskets(data.histories), data.stock, exclude_profile, "replay")


def evaluation_column(data: Dataset, exclude_profile: bool = True) -> Split:
    """Hide the rows that the log's column `evaluation` flags; the whole catalogue is ranked.

    The tutorial's protocol, per user: all flagged rows of a user make one case, whatever their number of
    timestamps, and the profile is all the user's other rows, later ones included. Flagged users without
    any other row have an empty profile.

    Raises
    ------
    DataError
        The log has no such column, or it flags nothing.
    """
    frame = data.interactions.frame
    if "evaluation" not in frame.columns:
        raise DataError(
            f"the log of {data.name} has no column 'evaluation'; add one, or use last-basket or replay"
        )
    flags = frame["evaluation"].fill_null(False).to_numpy().astype(bool)
    if not flags.any():
        raise DataError(f"column 'evaluation' of {data.name} flags no row; nothing would be asked")
    hidden = flags[Histories.time_order(frame, data.histories.user_ids)]
    everything = Stock.everything(len(data.catalogue))
    return _split(data, hidden, everything, exclude_profile, "evaluation-column")


def _split(data: Dataset, hidden: BoolArray, stock: Stock, exclude_profile: bool, protocol: str) -> Split:
    """Take the interactions flagged in `hidden` (shape (interactions,), in time order) out of the log."""
    histories = data.histories
    frame = data.interactions.frame
    flags = np.empty(len(hidden), dtype=bool)
    flags[Histories.time_order(frame, histories.user_ids)] = hidden
    train = data.with_interactions(frame.filter(pl.Series(~flags)))
    _verify(train.interactions.frame, frame.filter(pl.Series(flags)))
    return Split(train, hidden_cases(histories, hidden, stock, exclude_profile), protocol)


def _verify(train: pl.DataFrame, hidden: pl.DataFrame) -> None:
    """Refuse a split that trains on an interaction it hides.

    Raises
    ------
    DataError
        The same user, work and time is on both sides: the log held it twice, flagged once.
    """
    key = ["user_id", "item_id", "timestamp"]
    both = hidden.join(train, on=key, how="semi")
    if both.height:
        user, item = both["user_id"][0], both["item_id"][0]
        raise DataError(
            f"item {item!r} of user {user!r} is hidden and, in another row with the same time, trained on "
            f'({both.height} such rows); flag both rows or import with on_duplicate="drop"'
        )
