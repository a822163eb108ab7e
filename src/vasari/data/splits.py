"""Splitting a log into what is trained on and what is asked; here by basket and by a column.

`vasari.data.time_splits` cuts by time, `vasari.data.disjoint_splits` keeps works or users out of training.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import DataError, UsageError
from vasari.data.cases import Cases, hidden_cases, last_baskets
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.data.interactions import Interactions
from vasari.data.stock import Stock

BoolArray = npt.NDArray[np.bool_]

KEY = ("user_id", "item_id", "timestamp")


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
        Its name, with what it was set to, as `vasari.evaluation.protocols.split` reads it:
        ``"replay"``, ``"cold-items:share=0.2,seed=0"``.
    withheld
        The rows that were taken out of the log: user_id, item_id, timestamp. More than the cases ask for
        where users are left out or absent from training. Empty for a split made elsewhere, whose cases
        alone then say what is hidden.
    left_out
        Reason to number of users of whom something is withheld and nothing asked.
    """

    train: Dataset
    cases: Cases
    protocol: str
    withheld: pl.DataFrame = field(default_factory=lambda: Interactions.empty().frame.select(KEY))
    left_out: dict[str, int] = field(default_factory=dict)

    def verify(self) -> None:
        """Refuse a split that trains on an interaction it withholds.

        Raises
        ------
        DataError
            The same user, work and time is on both sides: by mistake, or because the log held it twice,
            flagged once.
        """
        both = self.withheld.join(self.train.interactions.frame, on=list(KEY), how="semi")
        if both.height:
            user, item = both["user_id"][0], both["item_id"][0]
            raise DataError(
                f"item {item!r} of user {user!r} is withheld by {self.protocol} and, with the same time, "
                f"trained on ({both.height} such rows); take it out of the training part, or, if the log "
                f'holds it twice, flag both rows or import with on_duplicate="drop"'
            )

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
    cases = hidden_cases(data.histories, hidden, Stock.everything(len(data.catalogue)), exclude_profile)
    return take_out(data, hidden, cases, "last-basket")


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
    hidden = last_baskets(data.histories)
    cases = hidden_cases(data.histories, hidden, data.stock, exclude_profile)
    return take_out(data, hidden, cases, "replay")


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
    cases = hidden_cases(data.histories, hidden, Stock.everything(len(data.catalogue)), exclude_profile)
    return take_out(data, hidden, cases, "evaluation-column")


def take_out(
    data: Dataset, withheld: BoolArray, cases: Cases, protocol: str, left_out: dict[str, int] | None = None
) -> Split:
    """Make the split whose training part lacks the flagged interactions, and verify it.

    Parameters
    ----------
    withheld
        In time order per user, as in `Dataset.histories`; shape (interactions,).
    protocol
        Its name with its settings, but for `exclude_profile`, which the cases know.

    Raises
    ------
    DataError
        As `Split.verify`.
    """
    frame = data.interactions.frame
    flags = np.empty(len(withheld), dtype=bool)
    flags[Histories.time_order(frame, data.histories.user_ids)] = withheld
    train = data.with_interactions(frame.filter(pl.Series(~flags)))
    if not cases.exclude_profile:
        protocol += f"{',' if ':' in protocol else ':'}exclude_profile=false"
    split = Split(train, cases, protocol, frame.filter(pl.Series(flags)).select(KEY), left_out or {})
    split.verify()
    return split


def check_share(share: float, what: str) -> None:
    """Refuse a share that is not strictly between 0 and 1.

    Raises
    ------
    UsageError
        It is not.
    """
    if not 0 < share < 1:
        raise UsageError(f"share={share} of {what} must lie between 0 and 1, both excluded")
