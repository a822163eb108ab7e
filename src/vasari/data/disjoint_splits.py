"""Splits that keep works, or users, out of training altogether."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.seeds import generator
from vasari.data.cases import hidden_cases, last_baskets
from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.splits import Split, check_share, take_out
from vasari.data.stock import ALWAYS, NEVER, Stock

NOTHING_ELSE = "they took nothing but works hidden from training, so that no profile is left"


def cold_items(data: Dataset, share: float = 0.2, seed: int = 0) -> Split:
    """Hide some works' interactions from training altogether, and rank these works among themselves.

    The question of a new work: only models that look at it can answer. The profile is all of the user's
    other interactions, later ones included, relevant are the hidden works the user took, and the hidden
    works are the candidates, whenever they were to be had. Users whom that leaves no profile are left out
    and counted. The training part's catalogue says that the works were added after its log ended, so
    that no model learns from them, be it only as works that nobody wanted.

    Parameters
    ----------
    share
        Of the works with at least one interaction, rounded, at least one: works that nobody took cannot
        be an answer and would only make the list longer.
    seed
        Chooses the works, each alike whatever its popularity.

    Raises
    ------
    UsageError
        `share` is not between 0 and 1.
    """
    check_share(share, "the works")
    histories = data.histories
    taken = np.unique(histories.items.values)
    count = min(max(round(share * len(taken)), 1), len(taken))
    cold = np.zeros(len(data.catalogue), dtype=bool)
    cold[generator(seed, "cold items").permutation(taken)[:count]] = True
    hidden = cold[histories.items.values]
    stock = Stock(np.where(cold, ALWAYS, NEVER), np.where(cold, NEVER, ALWAYS))
    cases = hidden_cases(histories, hidden, stock)
    known = cases.profiles.lengths > 0
    return take_out(
        _added_later(data, cold),
        hidden,
        cases.take(np.flatnonzero(known)),
        f"cold-items:share={share},seed={seed}",
        {NOTHING_ELSE: int((~known).sum())},
    )


def _added_later(data: Dataset, items: npt.NDArray[np.bool_]) -> Dataset:
    """The same dataset, but that the flagged works enter a microsecond after the end of the log."""
    catalogue = data.catalogue
    after = int(data.histories.times.max(initial=0)) + 1
    added = pl.from_epoch(pl.Series("added_at", np.where(items, after, 0)), "us").dt.replace_time_zone("UTC")
    before = catalogue.frame["added_at"] if "added_at" in catalogue.frame.columns else None
    frame = catalogue.frame.with_columns(
        pl.when(pl.Series(items)).then(added).otherwise(before).alias("added_at")
    )
    return Dataset(
        Catalogue(frame, catalogue.image_root), data.interactions, data.name, data.simulated, data.preference
    )


def user_disjoint(data: Dataset, share: float = 0.2, seed: int = 0, exclude_profile: bool = True) -> Split:
    """Keep some users out of training altogether, and ask for their last baskets; rank the whole catalogue.

    The question of a new visitor: a profile is given, the model has never met its owner. Models with user
    factors must fold such users in.

    Parameters
    ----------
    share
        Of the users with two or more baskets, rounded, at least one: the others cannot be asked and train.
    seed
        Chooses the users.
    exclude_profile
        Whether works the user had taken before are no candidates.

    Raises
    ------
    UsageError
        `share` is not between 0 and 1.
    """
    check_share(share, "the users")
    histories = data.histories
    returning = np.flatnonzero(histories.basket_counts >= 2)
    count = max(round(share * len(returning)), 1)
    chosen = generator(seed, "disjoint users").permutation(returning)[:count]
    absent = np.isin(histories.users, chosen)
    everything = Stock.everything(len(data.catalogue))
    cases = hidden_cases(histories, last_baskets(histories, chosen), everything, exclude_profile)
    return take_out(data, absent, cases, f"user-disjoint:share={share},seed={seed}")
