"""What the shown lists are like, beside how often they are right.

A model can be accurate and show everybody the same ten works. Five measures of the first k works that
every case is shown; the first three are per list (and so have intervals and paired tests over users),
the last two are of all lists together:

==============  ==========================================================================================
``diversity``   mean of 1 - cos(f_i, f_j) over the pairs of a list, f being z-scored visual features
                (intra-list distance; Ziegler et al. 2005 with visual likeness)
``novelty``     mean self-information -log2 p_i, with p_i = (c_i + 1) / (U + 1) for a work that c_i of U users
                took in training (Zhou et al. 2010; the ones are ours, since works nobody took would be
                infinitely novel)
``originals``   share of the list that is one of a kind
``coverage``    distinct works shown, divided by the works that were in stock at the moment of any case
                (Ge et al. 2010)
``artist_gini`` Gini coefficient of the places in lists that the artists get, those of works in stock who
                are never shown included: 0 if all get the same, near 1 if one gets all
==============  ==========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.data.cases import Cases
from vasari.data.dataset import Dataset

if TYPE_CHECKING:
    from vasari.features.table import FeatureTable
    from vasari.models.bank import FeatureBank

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

PER_LIST = ("diversity", "novelty", "originals")
OVERALL = ("coverage", "artist_gini")
TILE = 1 << 22  # feature values held at a time: 16 MiB of float32


@dataclass(frozen=True, eq=False)
class Shop:
    """What the measures need to know about the works on show.

    Attributes
    ----------
    reachable
        Works in stock at the moment of at least one case, shape (items,).
    counts, users
        How many of the `users` users of the training log took each work, shape (items,).
    artists
        Number of the artist of each work, -1 where unknown; None where the catalogue names no artists.
    originals
        Which works are one of a kind; None where the catalogue does not say.
    bank
        Z-scored features; None where no model looks at pictures.
    """

    reachable: BoolArray
    counts: IntArray
    users: int
    artists: IntArray | None
    originals: BoolArray | None
    bank: FeatureBank | None

    @classmethod
    def of(cls, train: Dataset, cases: Cases, features: FeatureTable | None) -> Shop:
        """Collect it from the training part and the cases of one evaluation."""
        from vasari.models.bank import FeatureBank

        catalogue, histories = train.catalogue, train.histories
        pairs = np.unique(histories.users * len(catalogue) + histories.items.values)
        bank = None
        if features is not None:
            bank = FeatureBank.fit(features.matrix, features.align(catalogue.ids), "zscore")
        return cls(
            reachable(cases),
            np.bincount(pairs % max(len(catalogue), 1), minlength=len(catalogue)),
            len(histories.user_ids),
            catalogue.artists if len(catalogue.artist_ids) else None,
            catalogue.originals if "original" in catalogue.frame.columns else None,
            bank,
        )

    def per_list(self, lists: IntArray) -> dict[str, FloatArray]:
        """Those of `PER_LIST` that can be measured: name to values, each of shape (cases,)."""
        found = {"novelty": novelty(lists, self.counts, self.users)}
        if self.bank is not None:
            found["diversity"] = diversity(lists, self.bank)
        if self.originals is not None:
            found["originals"] = mean_of(lists, self.originals)
        return {name: found[name] for name in PER_LIST if name in found}

    def overall(self, lists: IntArray) -> dict[str, float]:
        """Those of `OVERALL` that can be measured."""
        found = {"coverage": coverage(lists, self.reachable)}
        if self.artists is not None:
            found["artist_gini"] = gini(exposure(lists, self.artists, self.reachable))
        return found


def reachable(cases: Cases) -> BoolArray:
    """Works in stock at the moment of at least one case, shape (items,)."""
    moments = np.sort(cases.times)
    first = np.searchsorted(moments, cases.stock.enters, "left")  # first case at or after its arrival
    last = np.searchsorted(moments, cases.stock.leaves, "right")  # first case after it left
    return np.asarray(first < last)


def mean_of(lists: IntArray, values: npt.NDArray[np.generic]) -> FloatArray:
    """Mean over each list of a value per work; NaN for an empty list.

    Parameters
    ----------
    lists
        Rows of the catalogue, shape (cases, k), -1 where a list ends.
    values
        Shape (items,).
    """
    shown = lists >= 0
    taken = np.where(shown, values[np.maximum(lists, 0)].astype(np.float64), 0.0)
    lengths = shown.sum(axis=1)
    mean: FloatArray = np.full(len(lists), np.nan)
    np.divide(taken.sum(axis=1), lengths, out=mean, where=lengths > 0)
    return mean


def novelty(lists: IntArray, counts: IntArray, users: int) -> FloatArray:
    """Mean self-information of each list in bits, -log2((count + 1) / (users + 1)); shape (cases,)."""
    return mean_of(lists, -np.log2((counts + 1.0) / (users + 1.0)))


def diversity(lists: IntArray, bank: FeatureBank) -> FloatArray:
    """Mean over the pairs of each list of 1 - cosine, shape (cases,); NaN below two works with a picture.

    With unit vectors u the cosines of all n (n - 1) ordered pairs sum to |Σ u|² - Σ |u|²: no pair is visited.
    """
    import torch
    import torch.nn.functional as F

    seen = (lists >= 0) & bank.present[np.maximum(lists, 0)]
    result: FloatArray = np.full(len(lists), np.nan)
    rows = max(1, TILE // max(1, lists.shape[1] * bank.dim))
    for start in range(0, len(lists), rows):
        part = slice(start, start + rows)
        there = torch.from_numpy(seen[part])
        items = torch.from_numpy(np.maximum(lists[part], 0).reshape(-1))
        vectors = bank.take(items).double().reshape(*there.shape, bank.dim)  # (cases, k, dim)
        units = F.normalize(vectors, dim=2) * there[:, :, None]
        cosines = units.sum(1).square().sum(1) - units.square().sum((1, 2))
        number = seen[part].sum(axis=1)
        pairs = number * (number - 1)
        np.divide(cosines.numpy(), pairs, out=result[part], where=pairs > 0)
    return 1.0 - result


def coverage(lists: IntArray, possible: BoolArray) -> float:
    """Distinct works in any list, divided by the number of `possible` ones."""
    return len(np.unique(lists[lists >= 0])) / max(int(possible.sum()), 1)


def exposure(lists: IntArray, artists: IntArray, possible: BoolArray) -> IntArray:
    """Places in lists of every artist with a possible work, shape (artists with one,)."""
    of_shown = artists[lists[lists >= 0]]
    places = np.bincount(of_shown[of_shown >= 0], minlength=int(artists.max(initial=-1)) + 1)
    present = np.unique(artists[possible])
    counted: IntArray = places[present[present >= 0]]
    return counted


def gini(values: npt.ArrayLike) -> float:
    """Gini coefficient of amounts >= 0: Σ_r (2 r - n - 1) x_(r) / (n Σ x), x ascending, r from 1.

    NaN where there is nothing to share. For one taker among n it is (n - 1) / n.
    """
    amounts = np.sort(np.asarray(values, dtype=np.float64))
    n, total = len(amounts), amounts.sum()
    if not total:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ amounts / (n * total))
